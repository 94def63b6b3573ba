//! Calls: asked about, running, settled.

use outlive_core::event::{CallAllowed, CallDenied, CallFinished, CallStarted, Decider, Event, Outcome, Scope};
use serde_json::Value;

use super::stream::Heard;
use super::{Piece, Screen};
use crate::Style;

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The tool.
    pub tool: String,
    /// Exactly what will run.
    pub summary: String,
    /// What `always` would allow from then on in this session.
    pub rule: String,
}

/// A call that runs.
#[derive(Debug, Default)]
pub(crate) struct Running {
    pub label: String,
    /// Output that was printed as it came, up to a bound.
    pub printed: String,
    pub heard: Heard,
}

/// Bytes of printed output that are remembered.
const REMEMBERED: usize = 256 * 1_024;
/// Lines shown of an output that was not printed as it came.
const SHOWN: usize = 12;

impl Running {
    pub(crate) fn print(&mut self, text: &str) {
        if self.printed.len() < REMEMBERED {
            self.printed.push_str(text);
        }
    }

    /// Returns what of the whole output is not printed yet.
    fn rest(&self, content: &str, outcome: Outcome) -> String {
        if self.printed.is_empty() {
            return shortened(content);
        }
        if let Some(rest) = content.strip_prefix(self.printed.trim_end()) {
            return shortened(rest.trim_start_matches('\n'));
        }
        match (self.heard, outcome) {
            (Heard::InPart, _) => format!("… pieces were missed; the whole of it:\n{}", shortened(content)),
            // A long output is cut in its middle; its end says what went wrong.
            (Heard::Whole, Outcome::Error | Outcome::Timeout | Outcome::Interrupted) => {
                content.lines().next_back().unwrap_or_default().to_owned()
            }
            (Heard::Whole, Outcome::Ok) => String::new(),
        }
    }
}

impl Screen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not shown is not shown")]
    pub(super) fn call(&mut self, event: &Event, pieces: &mut Vec<Piece>) {
        match event {
            Event::CallStarted(started) => self.start(started, pieces),
            Event::ApprovalRequested(asked) => {
                let (tool, summary, rule) = (asked.tool.clone(), asked.summary.clone(), asked.rule.clone());
                self.waiting.insert(asked.call, Waiting { tool, summary, rule });
            }
            Event::CallAllowed(allowed) => self.allow(allowed, pieces),
            Event::CallDenied(denied) => self.deny(denied, pieces),
            Event::CallFinished(finished) => self.finish(finished, pieces),
            Event::CallLost(lost) => {
                self.calls.remove(&lost.call);
                self.stream.preview.clear();
                self.note(Style::Bad, &format!("? {}", lost.known), pieces);
            }
            _silent => {}
        }
    }

    fn start(&mut self, started: &CallStarted, pieces: &mut Vec<Piece>) {
        self.waiting.remove(&started.call);
        let again = if started.attempt > 1 { format!(" (attempt {})", started.attempt) } else { String::new() };
        let label = format!("{} {}{again}", started.tool, short(&started.arguments));
        self.note(Style::Call, &format!("⚙ {}", label.replace('\n', "\n    ")), pieces);
        let heard = if self.live { Heard::Whole } else { Heard::InPart };
        self.calls.insert(started.call, Running { label, printed: String::new(), heard });
        self.speaking = (self.calls.len() == 1).then_some(started.call);
    }

    fn allow(&mut self, allowed: &CallAllowed, pieces: &mut Vec<Piece>) {
        let Some(waiting) = self.waiting.remove(&allowed.call) else { return };
        if !matches!(allowed.by, Decider::Person(_)) {
            return;
        }
        let reach = match allowed.scope {
            Scope::Once => "✓ allowed once".to_owned(),
            Scope::Always => format!("✓ allowed, and from now on in this session: {}", waiting.rule),
        };
        self.note(Style::Good, &reach, pieces);
    }

    fn deny(&mut self, denied: &CallDenied, pieces: &mut Vec<Piece>) {
        self.waiting.remove(&denied.call);
        self.note(Style::Bad, &format!("✗ {}", denied.content), pieces);
    }

    fn finish(&mut self, finished: &CallFinished, pieces: &mut Vec<Piece>) {
        self.waiting.remove(&finished.call);
        let running = self.calls.remove(&finished.call).unwrap_or_default();
        self.stream.preview.clear();
        self.fresh_line(pieces);
        if self.speaking != Some(finished.call) && !self.calls.is_empty() {
            let label = running.label.lines().next().unwrap_or_default();
            pieces.push(Piece::line(Style::Call, &format!("⚙ … {label}")));
        }
        let rest = running.rest(&finished.content, finished.outcome);
        if !rest.trim().is_empty() {
            pieces.push(Piece::line(Style::Output, rest.trim_end()));
        }
        let seconds = finished.duration_ms as f64 / 1_000.0;
        let (style, word) = match finished.outcome {
            Outcome::Ok => (Style::Good, "✓ done"),
            Outcome::Error => (Style::Bad, "✗ failed"),
            Outcome::Timeout => (Style::Bad, "✗ timed out"),
            Outcome::Interrupted => (Style::Bad, "✗ interrupted"),
        };
        pieces.push(Piece::line(style, &format!("  {word} ({seconds:.1} s)")));
        self.speaking = None;
    }
}

fn shortened(content: &str) -> String {
    let shown: Vec<&str> = content.lines().take(SHOWN).collect();
    let more = content.lines().count().saturating_sub(shown.len());
    let more = if more > 0 { format!("\n… {more} more lines") } else { String::new() };
    format!("{}{more}", shown.join("\n"))
}

/// The one argument that says most, or all of them.
fn short(arguments: &Value) -> String {
    let main = ["command", "path", "pattern"].iter().find_map(|key| arguments.get(key)?.as_str());
    let text = main.map_or_else(|| arguments.to_string(), str::to_owned);
    text.chars().take(400).collect()
}
