//! Calls: asked about, running, settled.

use outlive_core::event::{CallAllowed, CallDenied, CallFinished, CallStarted, Decider, Event, Outcome, Scope};
use outlive_core::id::Seq;
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
    /// What `always` would allow from then on in this session; empty where it would store nothing.
    pub rule: String,
    /// The parts of it that must be asked about, each with the reason.
    pub because: Vec<String>,
    /// The event that asks.
    pub seq: Seq,
}

/// A call that runs.
#[derive(Debug, Default)]
pub(crate) struct Running {
    pub label: String,
    /// Output that was printed as it came, up to a bound.
    pub printed: String,
    pub heard: Heard,
    /// Bytes that were heard from its beginning, printed or only counted.
    pub took: usize,
    /// Lines that came after so many were printed.
    hidden: usize,
}

/// Lines and bytes of an output that are printed as it comes.
const LINES: usize = 100;
const BYTES: usize = 32 * 1_024;
/// Lines shown from the end of an output that was longer.
const LAST: usize = 5;
/// Lines shown of an output that was not printed as it came.
const SHOWN: usize = 12;

impl Running {
    /// Returns what of the next output is printed; the rest is only counted.
    pub(crate) fn print<'a>(&mut self, text: &'a str) -> &'a str {
        // However it comes in pieces, the same is printed.
        let is_full = self.took > self.printed.len();
        self.took += text.len();
        let left = if is_full { 0 } else { LINES.saturating_sub(self.printed.matches('\n').count()) };
        let most = text.floor_char_boundary(BYTES.saturating_sub(self.printed.len()).min(text.len()));
        let end = match text.match_indices('\n').nth(left.saturating_sub(1)) {
            _ if left == 0 => 0,
            Some((at, _)) => most.min(at + 1),
            None => most,
        };
        let (shown, hidden) = text.split_at(end);
        self.printed.push_str(shown);
        self.hidden += hidden.matches('\n').count();
        shown
    }

    /// Names the call again, where another has spoken meanwhile.
    pub(crate) fn again(&self) -> String {
        format!("⚙ … {}", self.label.lines().next().unwrap_or_default())
    }

    /// Returns the rest of an output of which all that was heard is printed, and which was cut off there.
    fn cut_off(&self, finished: &CallFinished) -> Option<String> {
        let is_open = self.took == self.printed.len() && !self.printed.is_empty() && !self.printed.ends_with('\n');
        let rest = finished.content.strip_prefix(&self.printed).filter(|rest| is_open && !rest.trim().is_empty())?;
        Some(shortened(rest))
    }

    /// Returns what of the whole output is not printed yet.
    fn rest(&self, finished: &CallFinished) -> String {
        let content = &finished.content;
        if self.printed.is_empty() {
            return shortened(content);
        }
        if self.hidden > 0 {
            let lines: Vec<&str> = content.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST.min(self.hidden))..).unwrap_or_default();
            let between = self.hidden - last.len();
            return format!("… {between} more lines\n{}", last.join("\n"));
        }
        if let Some(rest) = content.strip_prefix(self.printed.trim_end()) {
            return shortened(rest.trim_start_matches('\n'));
        }
        if self.heard == Heard::InPart || finished.artifact.is_none() {
            return format!("… pieces were missed; the whole of it:\n{}", shortened(content));
        }
        // What the model sees of a long output is cut in its middle; its end says what went wrong.
        match finished.outcome {
            Outcome::Ok => String::new(),
            Outcome::Error | Outcome::Timeout | Outcome::Interrupted => {
                content.lines().next_back().unwrap_or_default().to_owned()
            }
        }
    }
}

impl Screen {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not shown is not shown")]
    pub(super) fn call(&mut self, (seq, event): (Seq, &Event), pieces: &mut Vec<Piece>) {
        match event {
            Event::CallStarted(started) => self.start(started, pieces),
            Event::ApprovalRequested(asked) => {
                let (tool, summary, rule) = (asked.tool.clone(), asked.summary.clone(), asked.rule.clone());
                let because = asked.because.clone();
                self.waiting.insert(asked.call, Waiting { tool, summary, rule, because, seq });
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
        self.block(Style::Call, &format!("⚙ {}", label.replace('\n', "\n    ")), pieces);
        let heard = if self.hearer.live { Heard::Whole } else { Heard::InPart };
        self.calls.insert(started.call, Running { label, heard, ..Running::default() });
        self.stream.speaking = Some(started.call);
    }

    fn allow(&mut self, allowed: &CallAllowed, pieces: &mut Vec<Piece>) {
        let Some(waiting) = self.waiting.remove(&allowed.call) else { return };
        if !matches!(allowed.by, Decider::Person(_)) {
            return;
        }
        let reach = match allowed.scope {
            Scope::Once => "✓ allowed once".to_owned(),
            Scope::Always => format!("✓ allowed, and from now on in this session: {}", waiting.rule),
            Scope::Agent => format!("✓ allowed, and from now on for this agent: {}", waiting.rule),
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
        let goes_on = self.midline && self.stream.speaking == Some(finished.call);
        if let Some(rest) = running.cut_off(finished).filter(|_| goes_on) {
            // What was cut off in the middle of a line goes on there.
            pieces.push(Piece::line(Style::Output, rest.trim_end()));
            return self.settle(finished, pieces);
        }
        self.fresh_line(pieces);
        if self.stream.speaking != Some(finished.call) && !running.label.is_empty() {
            pieces.push(Piece::line(Style::Call, &running.again()));
        }
        let rest = running.rest(finished);
        if !rest.trim().is_empty() {
            pieces.push(Piece::line(Style::Output, rest.trim_end()));
        }
        self.settle(finished, pieces);
    }

    fn settle(&mut self, finished: &CallFinished, pieces: &mut Vec<Piece>) {
        let seconds = finished.duration_ms as f64 / 1_000.0;
        let (style, word) = match finished.outcome {
            Outcome::Ok => (Style::Good, "✓ done"),
            Outcome::Error => (Style::Bad, "✗ failed"),
            Outcome::Timeout => (Style::Bad, "✗ timed out"),
            Outcome::Interrupted => (Style::Bad, "✗ interrupted"),
        };
        pieces.push(Piece::line(style, &format!("  {word} ({seconds:.1} s)")));
        self.stream.speaking = None;
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
