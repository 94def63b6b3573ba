//! `artifact`: shows more of what was too long to be shown whole.
//!
//! Invariants: a session sees what its own journal keeps, whatever hashes it has heard of; a piece has no more tokens than any
//! result may, whatever it is made of.

use std::sync::Arc;

use outlive_core::content::ToolSpec;
use outlive_core::digest::Digest;
use outlive_core::event::{Effect, OnLost};
use outlive_core::id::SessionId;
use outlive_core::limits::RESULT_TOKENS;
use outlive_core::policy::{Reach, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::builtin::shape;
use crate::web::foreign;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// What rules, people and models call it.
pub const NAME: &str = "artifact";
/// Bytes of a piece: no token has less than one, and some room is for what stands around it.
const PIECE: usize = RESULT_TOKENS as usize - 1_000;

/// What is kept of results.
pub trait Outputs: Send + Sync {
    /// Returns it by its hash, if it is there and this session's journal keeps it.
    fn output(&self, session: SessionId, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, String>>;
}

/// Shows it in pieces.
pub struct Artifact(Arc<dyn Outputs>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The artifact's hash, as the shortened result names it.
    id: String,
    /// First byte to show, from 0.
    #[serde(default)]
    offset: usize,
}

impl Artifact {
    /// Shows these.
    #[must_use]
    pub fn new(outputs: Arc<dyn Outputs>) -> Self {
        Self(outputs)
    }

    async fn show(&self, invocation: &Invocation) -> Result<String, String> {
        let Arguments { id, offset } = shape::read(&invocation.arguments)?;
        let found = self.0.output(invocation.session, hash(&id)?).await?;
        let bytes =
            found.ok_or_else(|| format!("there is no artifact `{id}`: take the hash from the result itself"))?;
        if offset >= bytes.len() {
            return Err(format!("the artifact has {} bytes: there is nothing at {offset}", bytes.len()));
        }
        let (text, end) = piece(&bytes, offset);
        let more = if end < bytes.len() { format!("\n[go on with offset {end}]") } else { String::new() };
        let what = format!("bytes {offset} to {end} of {} of artifact {}", bytes.len(), &id[..12]);
        Ok(foreign(&what, invocation.call, &text) + &more)
    }
}

fn hash(id: &str) -> Result<Digest, String> {
    Digest::parse(id).ok_or_else(|| format!("`{id:.80}` is no artifact's hash: 64 lowercase hex digits"))
}

/// Returns what begins there, and where it ends: at a line's end where there is one, else between characters.
fn piece(bytes: &[u8], offset: usize) -> (String, usize) {
    let most = bytes.len().min(offset + PIECE);
    let rest = bytes.get(offset..most).unwrap_or_default();
    let is_last = most == bytes.len();
    let line = rest.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1).filter(|at| *at > PIECE / 2);
    let whole = || match std::str::from_utf8(rest) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        Ok(_) | Err(_) => rest.len(),
    };
    let kept = if is_last { rest.len() } else { line.unwrap_or_else(whole) };
    (String::from_utf8_lossy(rest.get(..kept).unwrap_or_default()).into_owned(), offset + kept)
}

impl Tool for Artifact {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            NAME,
            "Shows more of a result that was too long to be shown whole, by its artifact's hash.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { id, offset } = shape::read(arguments)?;
        let hash = hash(&id)?;
        let subject = Subject { tool: NAME.to_owned(), target: id, reach: Reach::Within };
        let summary = format!("artifact {} from {offset}", hash.short());
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { self.show(&invocation).await.map_or_else(Finished::error, Finished::ok) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_and_end_where_lines_and_characters_do() {
        let lines: String = (0..3_000).map(|n| format!("line {n}\n")).collect();
        for text in ["a".to_owned(), lines, "漢".repeat(20_000), "x".repeat(PIECE), "🦀".repeat(PIECE)] {
            let (mut at, mut all) = (0, String::new());
            while at < text.len() {
                let (shown, end) = piece(text.as_bytes(), at);
                assert!(shown.len() <= PIECE && end > at, "{at}");
                assert!(end == text.len() || !text.contains('\n') || shown.ends_with('\n'), "{at}");
                all.push_str(&shown);
                at = end;
            }
            assert_eq!(all, text);
        }
        let broken = [vec![0xff; 3], vec![b'a'; 2 * PIECE]].concat();
        assert_eq!(piece(&broken, 0).1, PIECE);
    }
}
