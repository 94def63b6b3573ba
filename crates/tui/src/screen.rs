//! The fold: what a session's events and fragments look like in a terminal.
//!
//! Invariants: a fragment is printed only if all of its answer, or of its call's output, was heard from its beginning;
//! others are a [`Screen::preview`], gone when the event comes. So nothing is printed twice, whatever was missed while the
//! connection was away. What was printed of an answer that is asked again is called void.

mod call;
mod later;
mod question;
mod stream;
mod todo;

use std::collections::BTreeMap;

use outlive_core::content::{Block, Delta, Usage};
use outlive_core::event::{
    CompactionTrigger, Ending, Entry, Event, MessageReceived, RecoveryNoted, StepStarted, TurnEnded,
};
use outlive_core::id::{CallId, TurnId};
use outlive_core::media::with_attachments;
use outlive_core::session::Filled;
use outlive_core::time::Timestamp;

use crate::clean::label;
use crate::view::spent;
use crate::{Before, Style};
use call::Running;
pub use call::Waiting;
pub use later::{Later, Sleep, left};
use stream::{Heard, Stream};
pub use todo::mark;

/// What happens to a screen.
#[derive(Debug, Clone)]
pub enum Input {
    /// The next event.
    Event(Box<Entry>),
    /// A fragment of what runs.
    Delta(Delta),
    /// The journal has been replayed: what comes next is heard as it happens.
    Live,
    /// The connection is gone: something may be missed.
    Lost,
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

    pub(crate) fn line(style: Style, text: &str) -> Self {
        Self { style, text: format!("{text}\n") }
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

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// A turn runs since then.
    Working(Timestamp),
    /// A turn that began then waits for its provider, which is asked again later.
    Waiting(Timestamp, Timestamp),
    /// A turn is being stopped.
    Stopping,
}

/// Who looks at the screen.
#[derive(Debug, Default)]
struct Hearer {
    /// Whether what happens is heard as it happens.
    live: bool,
    /// The name of whoever types here.
    me: Option<String>,
}

/// The model that was asked last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    /// Its name.
    pub model: String,
    /// How full its window was.
    pub filled: Option<Filled>,
}

/// What a session looks like so far.
#[derive(Debug, Default)]
pub struct Screen {
    stream: Stream,
    /// Whether the cursor is within a line.
    midline: bool,
    calls: BTreeMap<CallId, Running>,
    hearer: Hearer,
    /// Calls that wait for a person, oldest first.
    pub waiting: BTreeMap<CallId, Waiting>,
    /// Questions that wait for a person, oldest first.
    questions: Vec<question::Open>,
    /// The last turn's ending, until the next one begins.
    pub ended: Option<Ended>,
    /// Whether a turn runs.
    pub activity: Activity,
    /// Whether the session is paused.
    pub paused: bool,
    /// What comes by itself.
    pub later: Later,
    /// The model that was asked last.
    pub asked: Asked,
    /// Tokens of all steps that were answered.
    pub usage: Usage,
}

impl Screen {
    /// Begins in the middle of a session.
    #[must_use]
    pub fn knowing(before: Before) -> Self {
        let Before { me, activity, paused, waiting, questions, later, usage, filled } = before;
        let questions = questions.into_iter().map(question::Open::from).collect();
        let hearer = Hearer { live: false, me };
        let asked = Asked { filled, ..Asked::default() };
        Self { hearer, asked, activity, paused, waiting, questions, later, usage, ..Self::default() }
    }

    /// Returns the name of whoever types here.
    #[must_use]
    pub fn me(&self) -> Option<&str> {
        self.hearer.me.as_deref()
    }

    /// Folds what happens and returns what is to be printed.
    pub fn update(&mut self, input: &Input) -> Vec<Piece> {
        let mut pieces = Vec::new();
        match input {
            Input::Event(entry) => self.event(entry, &mut pieces),
            Input::Delta(delta) => self.delta(delta, &mut pieces),
            Input::Live => self.hearer.live = true,
            Input::Lost => self.lose(),
        }
        self.look_where(&pieces);
        pieces
    }

    /// Takes note of where the cursor is after these.
    fn look_where(&mut self, pieces: &[Piece]) {
        if let Some(last) = pieces.iter().rev().find(|piece| !piece.text.is_empty()) {
            self.midline = !last.text.ends_with('\n');
        }
    }

    /// Says whether a turn runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.activity != Activity::Idle
    }

    /// Returns the line of the answer that has not ended, which is not printed yet.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Piece> {
        self.stream.markdown.open()
    }

    /// Returns the end of what is heard of something whose beginning was missed.
    #[must_use]
    pub fn preview(&self) -> &str {
        &self.stream.preview
    }

    fn lose(&mut self) {
        self.hearer.live = false;
        self.stream.heard = Heard::InPart;
        self.stream.preview.clear();
        self.calls.values_mut().for_each(|call| call.heard = Heard::InPart);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not shown is not shown")]
    fn event(&mut self, entry: &Entry, pieces: &mut Vec<Piece>) {
        self.fill(&entry.event, pieces);
        match &entry.event {
            Event::MessageReceived(message) => self.message(message, pieces),
            later @ (Event::InputQueued(_)
            | Event::InputEdited(_)
            | Event::InputRemoved(_)
            | Event::WaitArmed(_)
            | Event::WaitMoved(_)
            | Event::WaitEnded(_)
            | Event::SignalReceived(_)) => {
                if let Some(told) = self.later.hear(later) {
                    self.note(Style::Dim, &told, pieces);
                }
            }
            Event::TurnStarted(_) => {
                (self.activity, self.ended) = (Activity::Working(entry.at), None);
            }
            Event::InterruptRequested(_) => self.activity = Activity::Stopping,
            Event::StepStarted(started) => self.ask(started, pieces),
            Event::StepFinished(finished) => {
                self.usage.add(finished.usage);
                self.answer(&finished.content, pieces);
            }
            Event::StepFailed(failed) => {
                let again = failed.retry_at.map(|at| format!("; asked again at {}", moment(at))).unwrap_or_default();
                if let (Some(until), Activity::Working(since)) = (failed.retry_at, self.activity) {
                    self.activity = Activity::Waiting(since, until);
                }
                self.note(Style::Notice, &format!("⏳ {}{again}", failed.message), pieces);
            }
            Event::RecoveryNoted(noted) => {
                // Whoever asked for the turn to be stopped asks anew; the journal knows.
                self.note(Style::Notice, &recovered(noted, entry.at), pieces);
            }
            Event::SessionPaused(paused) => {
                self.paused = true;
                let why = paused.reason.as_deref().unwrap_or("by request");
                self.note(Style::Notice, &format!("⏸ paused: {why}"), pieces);
            }
            Event::SessionResumed(_) => {
                self.paused = false;
                self.note(Style::Notice, "▶ resumed", pieces);
            }
            Event::CompactionStarted(_) | Event::CheckpointCreated(_) | Event::CompactionFailed(_) => {
                self.note(Style::Dim, &condensing(&entry.event), pieces);
            }
            Event::LoopStarted(_)
            | Event::LoopIterationStarted(_)
            | Event::LoopChecksAsked(_)
            | Event::LoopEnded(_) => {
                self.note(Style::Notice, &looping(&entry.event), pieces);
            }
            Event::SessionRewound(rewound) => self.rewind(rewound, pieces),
            Event::QuestionAsked(asked) => self.ask_person(asked, pieces),
            Event::QuestionAnswered(answered) => self.hear_answer(answered, pieces),
            Event::TodoChanged(changed) => self.list(changed, pieces),
            Event::TurnEnded(ended) => self.end((entry.turn, entry.at), ended, pieces),
            call => self.call((entry.seq, call), pieces),
        }
    }

    /// Says once when a window becomes full.
    fn fill(&mut self, event: &Event, pieces: &mut Vec<Piece>) {
        let before = self.asked.filled.as_ref().map(Filled::level).unwrap_or_default();
        self.asked.filled = Filled::after(self.asked.filled, event);
        let Some(filled) = self.asked.filled.filter(|filled| filled.level() > before) else { return };
        let words = format!("◔ the context is {} % full", filled.percent());
        self.note(Style::Notice, &words, pieces);
    }

    fn message(&mut self, message: &MessageReceived, pieces: &mut Vec<Piece>) {
        if let Some(input) = message.input {
            self.later.queue.retain(|(queued, _)| *queued != input);
        }
        self.fresh_line(pieces);
        // What others say has their name.
        let sender = message.origin.sender.as_deref().filter(|sender| Some(*sender) != self.me());
        let name = sender.map(|sender| format!("{} ", label(sender))).unwrap_or_default();
        pieces.push(Piece::new(Style::Person, &format!("\n{name}› ")));
        let said = with_attachments(&message.content, &message.attachments);
        pieces.push(Piece::line(Style::Plain, &format!("{}\n", said.replace('\n', "\n  "))));
    }

    /// A question to the model begins: what was printed of an answer to the one before is void.
    fn ask(&mut self, started: &StepStarted, pieces: &mut Vec<Piece>) {
        if let Activity::Waiting(since, _) = self.activity {
            self.activity = Activity::Working(since);
        }
        if started.attempt > 1 && started.model != self.asked.model {
            self.note(Style::Notice, &format!("→ {} is asked", started.model), pieces);
        }
        self.asked.model.clone_from(&started.model);
        self.restart(if started.attempt > 1 { Again::Asked } else { Again::First }, pieces);
        self.stream.heard = if self.hearer.live { Heard::Whole } else { Heard::InPart };
    }

    fn end(&mut self, (turn, at): (Option<TurnId>, Timestamp), ended: &TurnEnded, pieces: &mut Vec<Piece>) {
        self.fresh_line(pieces);
        self.activity = Activity::Idle;
        // What a turn that nobody sits at leaves waiting can still be decided on.
        if ended.ending != Ending::Ask {
            self.waiting.clear();
        }
        self.calls.clear();
        self.stream = Stream::default();
        let error = ended.error.as_ref().map(|error| error.message.clone());
        match (&ended.ending, &error) {
            (Ending::Failed, Some(error)) => {
                pieces.push(Piece::line(Style::Bad, &format!("✗ the turn failed: {}", label(error))))
            }
            (Ending::Interrupted, _) => {
                self.questions.clear();
                pieces.push(Piece::line(Style::Notice, "■ interrupted"));
            }
            (Ending::Sleep, _) => {
                let asleep = self.later.next().map(|sleep| format!("⏲ asleep {}", sleep.shown(at)));
                pieces.extend(asleep.map(|told| Piece::line(Style::Notice, &told)));
            }
            (Ending::Complete | Ending::Ask | Ending::Failed, _) => {}
        }
        if let Some(spent) = spent(&ended.usage) {
            pieces.push(Piece::line(Style::Dim, &spent));
        }
        self.ended = Some(Ended { turn, ending: ended.ending, error });
    }

    /// Says something in a line of its own, whatever of it others wrote.
    fn note(&mut self, style: Style, text: &str, pieces: &mut Vec<Piece>) {
        self.block(style, &label(text), pieces);
    }

    /// Says something in lines of its own.
    fn block(&mut self, style: Style, text: &str, pieces: &mut Vec<Piece>) {
        self.fresh_line(pieces);
        pieces.push(Piece::line(style, text));
    }

    fn fresh_line(&mut self, pieces: &mut Vec<Piece>) {
        let tail = self.stream.markdown.finish();
        let open = self.midline || !tail.is_empty();
        pieces.extend(tail);
        if open && !pieces.last().is_some_and(|piece| piece.text.ends_with('\n')) {
            pieces.push(Piece::new(Style::Plain, "\n"));
        }
        self.midline = false;
    }
}

/// Whether a step was asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    First,
    Asked,
}

/// In one line: how it goes with what the model sees.
#[expect(clippy::wildcard_enum_match_arm, reason = "only events of compactions come here")]
fn condensing(event: &Event) -> String {
    let shown = |tokens: u64| if tokens < 1_000 { tokens.to_string() } else { format!("{}k", tokens / 1_000) };
    match event {
        Event::CompactionStarted(started) => {
            let waits = matches!(started.trigger, CompactionTrigger::Hard | CompactionTrigger::Overflow);
            let waits = if waits { "; the turn waits for it" } else { "" };
            format!("⋯ condensing {} tokens of it{waits}", shown(started.tokens.covered))
        }
        Event::CheckpointCreated(created) => {
            let (before, after) = created.tokens;
            format!("⋯ checkpoint {}: {} → {} tokens", created.version, shown(before), shown(after))
        }
        Event::CompactionFailed(failed) => format!("⋯ not condensed: {}", failed.message),
        _other => String::new(),
    }
}

/// In one line: how far a loop is.
#[expect(clippy::wildcard_enum_match_arm, reason = "only events of loops come here")]
fn looping(event: &Event) -> String {
    match event {
        Event::LoopStarted(started) => format!("↻ a loop of up to {} iterations begins", started.limit),
        Event::LoopIterationStarted(started) => format!("↻ iteration {}", started.number),
        Event::LoopChecksAsked(asked) => format!("↻ iteration {}: {} checks", asked.number, asked.calls.len()),
        Event::LoopEnded(ended) => {
            let why = ended.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("↻ the loop ended, {}, after {} iterations{why}", ended.exit.as_str(), ended.number)
        }
        _other => String::new(),
    }
}

/// In one line: what died, when it came back, what was done about it.
fn recovered(noted: &RecoveryNoted, at: Timestamp) -> String {
    let died = noted.last_event_at.map(|at| format!("the process died after {at}: "));
    let done = died.and_then(|died| noted.summary.strip_prefix(&died));
    match (done, noted.last_event_at) {
        (Some(done), Some(last)) => {
            let (last, at) = (moment(last), moment(at));
            // The day once, where it is the same.
            let day = last.split(' ').next().unwrap_or_default();
            let back = at.strip_prefix(day).map_or(at.as_str(), str::trim_start);
            format!("⟲ the server died after {} and was back at {back}: {done}", last.trim_end_matches(" UTC"))
        }
        _ => format!("⟲ {}; back at {}", noted.summary, moment(at)),
    }
}

/// A moment to the second, as people read it.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.split('.').next().unwrap_or(time))
}

/// Text of an answer's blocks.
fn texts(content: &[Block]) -> String {
    let text = |block: &Block| match block {
        Block::Text { text } => Some(text.clone()),
        Block::Media(_)
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    };
    content.iter().filter_map(text).collect()
}

#[cfg(test)]
mod joining;
#[cfg(test)]
pub(crate) mod tests;
