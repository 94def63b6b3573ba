//! The fold: what a session's events and fragments look like in a terminal.

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::content::{Block, Delta, Usage};
use outlive_core::event::{CallFinished, Ending, Entry, Event, Outcome, TurnEnded};
use outlive_core::id::{CallId, InputId, TurnId};
use serde_json::Value;

use crate::Style;
use crate::markdown::Markdown;

/// What happens to a screen.
#[derive(Debug, Clone)]
pub enum Input {
    /// The next event.
    Event(Box<Entry>),
    /// A fragment of what runs.
    Delta(Delta),
    /// The journal so far has come: what comes next happens now.
    Live,
    /// The connection is gone: fragments are missed from here on.
    Away,
}

/// Whether the running step's fragments make up its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Hearing {
    /// No step runs.
    #[default]
    Nothing,
    /// From the step's beginning.
    All,
    /// Some were missed: its answer comes whole with its event.
    Gaps,
}

/// Text in one style. Newlines are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// How it looks.
    pub style: Style,
    /// What it says.
    pub text: String,
}

impl Piece {
    /// Makes a piece.
    #[must_use]
    pub fn new(style: Style, text: &str) -> Self {
        Self { style, text: text.to_owned() }
    }

    fn line(style: Style, text: &str) -> Self {
        Self { style, text: format!("{text}\n") }
    }
}

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

impl Waiting {
    /// Says what exactly is asked, and what `always` would store.
    #[must_use]
    pub fn question(&self) -> Vec<Piece> {
        vec![
            Piece::line(Style::Notice, &format!("{} wants to run:", self.tool)),
            Piece::line(Style::Bold, &format!("  {}", self.summary.replace('\n', "\n  "))),
            Piece::line(Style::Dim, &format!("  `always` would allow: {}", self.rule)),
        ]
    }
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Which.
    pub turn: Option<TurnId>,
    /// How.
    pub ending: Ending,
    /// Why, if it failed.
    pub error: Option<String>,
}

/// What a session looks like so far.
#[derive(Debug, Default)]
pub struct Screen {
    markdown: Markdown,
    /// Text of the running step that was printed as it came.
    streamed: String,
    /// Whether the cursor is within a line.
    midline: bool,
    /// The call whose output was printed last.
    speaking: Option<CallId>,
    hearing: Hearing,
    /// Calls that wait for a person, oldest first.
    pub waiting: BTreeMap<CallId, Waiting>,
    /// The last turn's ending, until the next one begins.
    pub ended: Option<Ended>,
    /// Whether a turn runs.
    pub running: bool,
    /// The model that was asked last.
    pub model: String,
    /// Tokens of the turns that ended.
    pub usage: Usage,
    /// Follow-ups that wait.
    pub queue: BTreeSet<InputId>,
    /// Why nothing goes on, while a turn or the session is held.
    pub held: Option<String>,
}

impl Screen {
    /// Folds what happens and returns what is to be printed.
    pub fn update(&mut self, input: &Input) -> Vec<Piece> {
        let mut pieces = Vec::new();
        match input {
            Input::Event(entry) => self.event(entry, &mut pieces),
            Input::Delta(delta) => self.delta(delta, &mut pieces),
            Input::Live | Input::Away if self.hearing == Hearing::Nothing => {}
            Input::Live | Input::Away => self.hearing = Hearing::Gaps,
        }
        if let Some(last) = pieces.iter().rev().find(|piece| !piece.text.is_empty()) {
            self.midline = !last.text.ends_with('\n');
        }
        pieces
    }

    /// Returns the line of the answer that has not ended, as far as it came.
    #[must_use]
    pub fn unfinished(&self) -> &str {
        self.markdown.open()
    }

    /// Says in a word or two how things stand.
    #[must_use]
    pub fn state(&self) -> &str {
        match &self.held {
            _ if !self.waiting.is_empty() => "asks",
            Some(why) => why,
            None if self.running => "working",
            None => "idle",
        }
    }

    fn delta(&mut self, delta: &Delta, pieces: &mut Vec<Piece>) {
        match delta {
            Delta::Text { .. } | Delta::Thinking { .. } if self.hearing == Hearing::Gaps => {}
            Delta::Text { text } => {
                self.streamed.push_str(text);
                pieces.extend(self.markdown.push(text));
            }
            Delta::Thinking { text } => pieces.push(Piece::new(Style::Dim, text)),
            Delta::ToolOutput { call, text } => {
                if self.speaking != Some(*call) {
                    self.fresh_line(pieces);
                    self.speaking = Some(*call);
                }
                pieces.push(Piece::new(Style::Dim, text));
            }
            Delta::Restart => self.ask_again(pieces),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not shown is not shown")]
    fn event(&mut self, entry: &Entry, pieces: &mut Vec<Piece>) {
        match &entry.event {
            Event::MessageReceived(message) => {
                if let Some(input) = message.input {
                    self.queue.remove(&input);
                }
                self.fresh_line(pieces);
                pieces.push(Piece::new(Style::Person, "› "));
                pieces.push(Piece::line(Style::Plain, &message.content));
            }
            Event::InputRemoved(removed) => drop(self.queue.remove(&removed.input)),
            Event::InputQueued(queued) => {
                self.queue.insert(queued.input);
                self.note(pieces, Style::Dim, &format!("(queued: {})", queued.content));
            }
            Event::TurnStarted(_) => (self.running, self.ended) = (true, None),
            Event::StepStarted(started) => {
                self.model.clone_from(&started.model);
                self.held = None;
                self.ask_again(pieces);
            }
            Event::StepFinished(finished) => {
                self.hearing = Hearing::Nothing;
                self.answer(&finished.content, pieces);
            }
            Event::StepFailed(failed) => {
                self.hearing = Hearing::Nothing;
                let again = failed.retry_at.map(|at| format!("; asked again at {at}")).unwrap_or_default();
                self.held = failed.retry_at.map(|at| format!("provider away, asked again at {at}"));
                self.note(pieces, Style::Notice, &format!("⏳ {}{again}", failed.message));
            }
            Event::CallStarted(started) => {
                self.fresh_line(pieces);
                self.waiting.remove(&started.call);
                let again = if started.attempt > 1 { format!(" (attempt {})", started.attempt) } else { String::new() };
                let what = short(&started.arguments);
                pieces.push(Piece::line(Style::Call, &format!("⚙ {} {what}{again}", started.tool)));
                self.speaking = None;
            }
            Event::ApprovalRequested(asked) => {
                let (tool, summary, rule) = (asked.tool.clone(), asked.summary.clone(), asked.rule.clone());
                self.waiting.insert(asked.call, Waiting { tool, summary, rule });
            }
            Event::CallAllowed(allowed) => drop(self.waiting.remove(&allowed.call)),
            Event::CallDenied(denied) => {
                self.waiting.remove(&denied.call);
                self.note(pieces, Style::Bad, &format!("✗ {}", denied.content));
            }
            Event::CallFinished(finished) => self.finished(finished, pieces),
            Event::CallLost(lost) => self.note(pieces, Style::Bad, &format!("? {}", lost.known)),
            Event::RecoveryNoted(noted) => {
                self.note(pieces, Style::Notice, &format!("⟲ {}: back at {}", noted.summary, entry.at));
            }
            Event::SessionPaused(paused) => {
                let why = paused.reason.as_deref().unwrap_or("by request");
                self.held = Some("paused".to_owned());
                self.note(pieces, Style::Notice, &format!("⏸ paused: {why}"));
            }
            Event::SessionResumed(_) => {
                self.held = None;
                self.note(pieces, Style::Notice, "▶ resumed");
            }
            Event::TurnEnded(ended) => self.end(entry.turn, ended, pieces),
            _silent => {}
        }
    }

    /// A step begins: what was shown of an earlier attempt counts no more.
    fn ask_again(&mut self, pieces: &mut Vec<Piece>) {
        self.hearing = Hearing::All;
        if !std::mem::take(&mut self.streamed).is_empty() {
            self.fresh_line(pieces);
            pieces.push(Piece::line(Style::Notice, "(asked again: what was shown of this answer is void)"));
        }
    }

    /// Prints what of an answer was not printed as it came.
    fn answer(&mut self, content: &[Block], pieces: &mut Vec<Piece>) {
        let mut whole = String::new();
        for block in content {
            match block {
                Block::Text { text } => whole.push_str(text),
                Block::ToolUse { .. }
                | Block::Thinking { .. }
                | Block::RedactedThinking { .. }
                | Block::ToolResult { .. } => {}
            }
        }
        let streamed = std::mem::take(&mut self.streamed);
        let shown = whole.strip_prefix(&streamed).or_else(|| whole.strip_prefix(streamed.trim_end()));
        let rest = shown.unwrap_or(&whole);
        if !streamed.is_empty() && shown.is_none() {
            self.markdown.finish();
            self.fresh_line(pieces);
        }
        pieces.extend(self.markdown.push(rest.trim_end()));
        pieces.extend(self.markdown.finish());
        if !whole.trim().is_empty() {
            pieces.push(Piece::new(Style::Plain, "\n"));
        }
    }

    fn finished(&mut self, finished: &CallFinished, pieces: &mut Vec<Piece>) {
        self.waiting.remove(&finished.call);
        let live = self.speaking == Some(finished.call);
        self.fresh_line(pieces);
        let seconds = finished.duration_ms as f64 / 1_000.0;
        let (style, word) = match finished.outcome {
            Outcome::Ok => (Style::Good, "✓ done"),
            Outcome::Error => (Style::Bad, "✗ failed"),
            Outcome::Timeout => (Style::Bad, "✗ timed out"),
            Outcome::Interrupted => (Style::Bad, "✗ interrupted"),
        };
        if !live {
            let shown: Vec<&str> = finished.content.lines().take(12).collect();
            let more = finished.content.lines().count().saturating_sub(shown.len());
            let more = if more > 0 { format!("\n… {more} more lines") } else { String::new() };
            if !shown.is_empty() {
                pieces.push(Piece::line(Style::Dim, &format!("{}{more}", shown.join("\n"))));
            }
        }
        pieces.push(Piece::line(style, &format!("{word} ({seconds:.1} s)")));
        self.speaking = None;
    }

    fn end(&mut self, turn: Option<TurnId>, ended: &TurnEnded, pieces: &mut Vec<Piece>) {
        self.fresh_line(pieces);
        self.running = false;
        self.held = None;
        self.waiting.clear();
        self.usage.add(ended.usage);
        let error = ended.error.as_ref().map(|error| error.message.clone());
        match (&ended.ending, &error) {
            (Ending::Failed, Some(error)) => {
                pieces.push(Piece::line(Style::Bad, &format!("✗ the turn failed: {error}")))
            }
            (Ending::Interrupted, _) => pieces.push(Piece::line(Style::Notice, "■ interrupted")),
            (Ending::Complete | Ending::Ask | Ending::Sleep | Ending::Failed, _) => {}
        }
        self.ended = Some(Ended { turn, ending: ended.ending, error });
    }

    /// Says something on a line of its own.
    fn note(&mut self, pieces: &mut Vec<Piece>, style: Style, text: &str) {
        self.fresh_line(pieces);
        pieces.push(Piece::line(style, text));
    }

    fn fresh_line(&mut self, pieces: &mut Vec<Piece>) {
        let tail = self.markdown.finish();
        let open = self.midline || !tail.is_empty();
        pieces.extend(tail);
        if open && !pieces.last().is_some_and(|piece| piece.text.ends_with('\n')) {
            pieces.push(Piece::new(Style::Plain, "\n"));
        }
        self.midline = false;
    }
}

/// The one argument that says most, or all of them.
fn short(arguments: &Value) -> String {
    let main = ["command", "path", "pattern"].iter().find_map(|key| arguments.get(key)?.as_str());
    let text = main.map_or_else(|| arguments.to_string(), str::to_owned);
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests;
