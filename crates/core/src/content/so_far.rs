//! What runs has said so far, as one fragment that takes the place of all the fragments before it.
//!
//! Whoever comes in the middle of an answer gets it once, before the fragments that follow. It replaces: what was already
//! shown is its beginning, counted in bytes, so nothing is shown twice and nothing is left out.

use serde::{Deserialize, Serialize};

use super::Delta;
use crate::id::{CallId, Seq};

/// All that is still running has said so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SoFar {
    /// The answer that the model is giving; absent while it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepSoFar>,
    /// The output of each call that runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputSoFar>,
}

/// An answer so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepSoFar {
    /// The `step.started` that asked for it.
    pub asked: Seq,
    /// What was said, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// Bytes of text from its beginning that are not kept any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_text_bytes: usize,
    /// Bytes of reasoning from its beginning that are not kept any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_thinking_bytes: usize,
}

/// A stretch of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Said {
    /// Text of the reply.
    Text {
        /// All of the stretch.
        text: String,
    },
    /// Reasoning.
    Thinking {
        /// All of the stretch.
        text: String,
    },
}

/// A call's output so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSoFar {
    /// The call.
    pub call: CallId,
    /// Bytes from its beginning that are not kept any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_bytes: usize,
    /// The rest.
    pub text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Bytes that are kept of an answer.
const ANSWER: usize = 192 * 1_024;
/// Stretches that are kept of an answer.
const STRETCHES: usize = 256;
/// Bytes that are kept of the outputs of all calls.
const OUTPUTS: usize = 64 * 1_024;

impl StepSoFar {
    pub(crate) fn say(&mut self, said: Said) {
        match (self.said.last_mut(), said) {
            (Some(Said::Text { text }), Said::Text { text: more })
            | (Some(Said::Thinking { text }), Said::Thinking { text: more }) => text.push_str(&more),
            (_, said) => self.said.push(said),
        }
        self.cut();
    }

    /// Lets go of the oldest. Not a little each time: that would move the rest each time.
    fn cut(&mut self) {
        let bytes: usize = self.said.iter().map(|said| said.text().len()).sum();
        let mut over = if bytes > ANSWER + ANSWER / 8 { bytes - ANSWER } else { 0 };
        while over > 0 || self.said.len() > STRETCHES {
            let Some(first) = self.said.first_mut() else { return };
            let cut = cut_front(first.text_mut(), if over > 0 { over } else { usize::MAX });
            over = over.saturating_sub(cut);
            match first {
                Said::Text { .. } => self.cut_text_bytes += cut,
                Said::Thinking { .. } => self.cut_thinking_bytes += cut,
            }
            if first.text().is_empty() {
                self.said.remove(0);
            }
        }
    }
}

impl Said {
    /// Returns what was said.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text { text } | Self::Thinking { text } => text,
        }
    }

    fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Text { text } | Self::Thinking { text } => text,
        }
    }
}

/// Lets go of the beginning of the longest outputs until all of them together fit.
pub(crate) fn cut_outputs<'a>(outputs: impl Iterator<Item = &'a mut OutputSoFar>) {
    let mut outputs: Vec<&mut OutputSoFar> = outputs.collect();
    let bytes: usize = outputs.iter().map(|output| output.text.len()).sum();
    let mut over = if bytes > OUTPUTS + OUTPUTS / 8 { bytes - OUTPUTS } else { 0 };
    while over > 0 {
        let Some(longest) = outputs.iter_mut().max_by_key(|output| output.text.len()) else { return };
        let cut = cut_front(&mut longest.text, over);
        longest.cut_bytes += cut;
        over = over.saturating_sub(cut);
    }
}

/// Cuts at least this much off the front, and no character in two; returns how much.
fn cut_front(text: &mut String, least: usize) -> usize {
    let end = text.ceil_char_boundary(least.min(text.len()));
    text.drain(..end);
    end
}

impl From<SoFar> for Delta {
    fn from(so_far: SoFar) -> Self {
        Self::SoFar(Box::new(so_far))
    }
}
