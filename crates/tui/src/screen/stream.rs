//! An answer as it streams: what was printed of it, and what of that its event makes good or void.

use outlive_core::content::{Block, Delta, OutputSoFar, Said, SoFar, StepSoFar};
use outlive_core::id::CallId;

use super::{Again, Piece, Screen, texts};
use crate::Style;
use crate::markdown::Markdown;

/// How much of something was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Heard {
    /// All of it, from its beginning.
    Whole,
    /// Some was missed, or may have been.
    #[default]
    InPart,
}

/// The running step's answer.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub markdown: Markdown,
    /// Its text that was printed as it came, the unfinished line included.
    pub printed: String,
    /// Its reasoning that was printed.
    pub thought: String,
    /// The call whose output was printed last.
    pub speaking: Option<CallId>,
    /// Whether reasoning was printed last.
    pub thinks: bool,
    pub heard: Heard,
    /// The end of what was heard in part.
    pub preview: String,
}

/// Bytes of a preview.
const PREVIEW: usize = 2_048;

impl Stream {
    pub(crate) fn peek(&mut self, text: &str) {
        self.preview.push_str(text);
        while self.preview.len() > PREVIEW {
            let first = self.preview.chars().next().map_or(0, char::len_utf8);
            self.preview.drain(..first.max(self.preview.find('\n').map_or(first, |at| at + 1)));
        }
    }
}

impl Stream {
    /// Returns what of an answer is not printed yet; nothing where its beginning is not what was printed, or not kept.
    fn rest(&self, step: &StepSoFar) -> Option<Vec<Said>> {
        let mut text = self.printed.get(step.cut_text_bytes..)?;
        let mut thought = self.thought.get(step.cut_thinking_bytes..)?;
        let mut rest = Vec::new();
        for said in &step.said {
            let printed = match said {
                Said::Text { .. } => &mut text,
                Said::Thinking { .. } => &mut thought,
            };
            let known = printed.len().min(said.text().len());
            let (before, after) = (printed.get(..known)?, printed.get(known..)?);
            let more = said.text().strip_prefix(before)?.to_owned();
            *printed = after;
            match said {
                _ if more.is_empty() => {}
                Said::Text { .. } => rest.push(Said::Text { text: more }),
                Said::Thinking { .. } => rest.push(Said::Thinking { text: more }),
            }
        }
        (text.is_empty() && thought.is_empty()).then_some(rest)
    }
}

fn thinking(block: &Block) -> Option<&str> {
    match block {
        Block::Thinking { thinking, .. } => Some(thinking),
        Block::Text { .. }
        | Block::Media(_)
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    }
}

impl Screen {
    pub(super) fn delta(&mut self, delta: &Delta, pieces: &mut Vec<Piece>) {
        match delta {
            Delta::Text { text } | Delta::Thinking { text } if text.is_empty() => {}
            Delta::Text { text } | Delta::Thinking { text } if self.stream.heard == Heard::InPart => {
                self.stream.peek(text);
            }
            Delta::Text { text } => {
                if std::mem::take(&mut self.stream.thinks) {
                    self.fresh_line(pieces);
                }
                self.stream.printed.push_str(text);
                pieces.extend(self.stream.markdown.push(text));
            }
            Delta::Thinking { text } => {
                if !std::mem::replace(&mut self.stream.thinks, true) {
                    self.fresh_line(pieces);
                }
                self.stream.thought.push_str(text);
                pieces.push(Piece::new(Style::Thought, text));
            }
            Delta::ToolOutput { call, text } => self.output(*call, text, pieces),
            Delta::Restart => {
                self.restart(Again::Asked, pieces);
                self.stream.heard = Heard::Whole;
            }
            Delta::SoFar(so_far) => self.catch_up(so_far, pieces),
        }
    }

    /// Prints what of all that was said so far is not printed yet: from here on nothing is missing.
    fn catch_up(&mut self, so_far: &SoFar, pieces: &mut Vec<Piece>) {
        self.stream.preview.clear();
        if let Some(step) = &so_far.step {
            let rest = self.stream.rest(step);
            self.stream.heard = if rest.is_some() { Heard::Whole } else { Heard::InPart };
            for said in rest.unwrap_or_else(|| step.said.clone()) {
                let delta = match said {
                    Said::Text { text } => Delta::Text { text },
                    Said::Thinking { text } => Delta::Thinking { text },
                };
                self.delta(&delta, pieces);
                self.look_where(pieces);
            }
        }
        for OutputSoFar { call, cut_bytes, text } in &so_far.outputs {
            let Some(running) = self.calls.get_mut(call) else { continue };
            let rest = running.took.checked_sub(*cut_bytes).and_then(|known| text.get(known..));
            running.heard = if rest.is_some() { Heard::Whole } else { Heard::InPart };
            self.output(*call, rest.unwrap_or(text), pieces);
            self.look_where(pieces);
        }
    }

    /// Forgets what was printed of an answer, and says so where it is asked again.
    pub(super) fn restart(&mut self, again: Again, pieces: &mut Vec<Piece>) {
        self.fresh_line(pieces);
        let printed = std::mem::take(&mut self.stream.printed);
        let thought = std::mem::take(&mut self.stream.thought);
        self.stream.thinks = false;
        self.stream.preview.clear();
        if again == Again::Asked && !(thought.is_empty() && printed.is_empty()) {
            pieces.push(Piece::line(Style::Notice, "⟲ asked again: the unfinished answer above is void"));
        }
    }

    /// Prints what of an answer was not printed as it came.
    pub(super) fn answer(&mut self, content: &[Block], pieces: &mut Vec<Piece>) {
        let whole = texts(content);
        let printed = std::mem::take(&mut self.stream.printed);
        self.think_on(content, pieces);
        let rest = whole.strip_prefix(&printed).or_else(|| whole.strip_prefix(printed.trim_end()));
        if rest.is_none() || std::mem::take(&mut self.stream.thinks) {
            self.fresh_line(pieces);
        }
        if rest.is_none() {
            pieces.push(Piece::line(Style::Notice, "⟲ pieces of the answer above were missed; the whole of it:"));
        }
        pieces.extend(self.stream.markdown.push(rest.unwrap_or(&whole).trim_end()));
        self.midline |= pieces.last().is_some_and(|piece| !piece.text.ends_with('\n'));
        self.fresh_line(pieces);
        self.stream = super::Stream::default();
    }

    /// Prints the rest of a thought that was cut short by a lost connection.
    fn think_on(&mut self, content: &[Block], pieces: &mut Vec<Piece>) {
        let whole: String = content.iter().filter_map(thinking).collect();
        let rest = whole.strip_prefix(&self.stream.thought).filter(|_| self.stream.thinks).unwrap_or_default();
        if !rest.is_empty() {
            pieces.push(Piece::new(Style::Thought, rest));
            self.midline = !rest.ends_with('\n');
        }
    }

    /// A call's output as it comes.
    fn output(&mut self, call: CallId, text: &str, pieces: &mut Vec<Piece>) {
        let Some(running) = self.calls.get_mut(&call) else { return self.stream.peek(text) };
        if running.heard == Heard::InPart {
            return self.stream.peek(text);
        }
        let shown = running.print(text);
        let again = running.again();
        if shown.len() < text.len() {
            self.stream.peek(&text[shown.len()..]);
        }
        if shown.is_empty() {
            return;
        }
        if self.stream.speaking != Some(call) {
            self.fresh_line(pieces);
            pieces.push(Piece::line(Style::Call, &again));
            self.stream.speaking = Some(call);
        }
        pieces.push(Piece::new(Style::Output, shown));
    }
}
