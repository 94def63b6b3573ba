//! A person at a session: what is on the screen, in the input box and asked, and what each thing that happens changes.
//!
//! Pure: [`Talk::update`] takes what happened and returns what is wished of the world. [`crate::view()`] draws the rest.
//!
//! Invariants: no key that was typed before a question could be read decides it; a message stays visible from Enter until
//! it is durable; what a person is asked to allow is shown whole, once, with nothing hidden.

mod ask;
mod outbox;
mod words;

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use outlive_core::command::Verdict;
use outlive_core::event::Behavior;
use outlive_core::id::{CallId, QuestionId, Seq};
use outlive_core::media::{Attachment, with_attachments};
use outlive_core::time::Timestamp;

use crate::editor::{Edit, Editor};
use crate::lines::Lines;
use crate::{Before, History, Input, Page, Piece, Screen, Style, hint};
use ask::Settled;
pub(crate) use ask::{Asking, Focus};
use outbox::Outbox;

/// What happened.
#[derive(Debug, Clone)]
pub enum Happened {
    /// In the session.
    Session(Input),
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// Time went by.
    Tick,
    /// A wish was fulfilled, or why not.
    Done(Wish, Result<(), String>),
    /// The server does not come back yet.
    Away(String),
    /// Part of the session from before this seq was read, or why not.
    Earlier(Seq, Result<Page, String>),
    /// The file at this path is at the server, or why not.
    Attached(String, Result<Attachment, String>),
}

/// What is wished of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Say this, with these files.
    Say(String, Behavior, Vec<Attachment>),
    /// Send the file at this path to the server.
    Attach(String),
    /// Answer a question with these labels or words; this is what was typed.
    Answer(QuestionId, Vec<String>, String),
    /// Decide on a call, as the event of this seq asked about it, with a reason.
    Decide(CallId, Option<Seq>, Verdict, Option<String>),
    /// Stop the running turn.
    Interrupt,
    /// Start nothing new.
    Pause,
    /// Go on.
    Resume,
    /// Read what is before this seq.
    Earlier(Seq),
    /// Keep this in the history.
    Keep(String),
    /// Detach.
    Leave,
    /// Give the terminal to the shell for a while.
    Suspend,
    /// Draw all of it again.
    Redraw,
}

/// Who talks where.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The agent.
    pub agent: String,
    /// The model that it would ask, as `provider/name`.
    pub model: String,
    /// The session.
    pub session: String,
    /// The command that comes back to it.
    pub back: String,
    /// The first event that is shown.
    pub from: Seq,
}

/// Whether the session is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// What was said before is being read.
    Reading,
    /// As it happens.
    Live,
    /// Not since then.
    Lost(Timestamp),
    /// Not since then, and the person was told why.
    Away(Timestamp),
}

/// A hint below the input box, until the next key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Note {
    #[default]
    None,
    Says(String),
    /// Ctrl-C was pressed with nothing to stop: the next one leaves.
    Leaving,
}

/// A person at a session.
#[derive(Debug)]
pub struct Talk {
    pub(crate) who: Who,
    pub(crate) screen: Screen,
    pub(crate) lines: Lines,
    above: Vec<Vec<Piece>>,
    pub(crate) editor: Editor,
    history: History,
    pub(crate) asking: Option<Asking>,
    /// Calls that wait and are not asked about.
    settled: BTreeMap<CallId, Settled>,
    pub(crate) link: Link,
    pub(crate) outbox: Outbox,
    pub(crate) note: Note,
    pub(crate) now: Timestamp,
}

impl Talk {
    /// Begins.
    #[must_use]
    pub fn new(who: Who, history: History, now: Timestamp) -> Self {
        Self {
            who,
            screen: Screen::default(),
            lines: Lines::default(),
            above: Vec::new(),
            editor: Editor::default(),
            history,
            asking: None,
            settled: BTreeMap::new(),
            link: Link::Reading,
            outbox: Outbox::default(),
            note: Note::None,
            now,
        }
    }

    /// Begins in the middle of a session.
    #[must_use]
    pub fn knowing(self, before: Before) -> Self {
        Self { screen: Screen::knowing(before), ..self }
    }

    /// Takes what happened and returns what is to be done about it.
    pub fn update(&mut self, now: Timestamp, happened: Happened) -> Vec<Wish> {
        self.now = now;
        let wishes = match happened {
            Happened::Session(input) => self.hear(&input),
            Happened::Key(key) => self.key(key),
            Happened::Paste(text) => self.paste(&text),
            Happened::Tick => Vec::new(),
            Happened::Done(wish, done) => self.done(wish, done),
            Happened::Away(error) => {
                if let Link::Lost(since) = self.link {
                    self.tell(Style::Bad, &crate::clean::visible(&error));
                    self.link = Link::Away(since);
                }
                self.note = Note::Says("trying again; Ctrl-D leaves".to_owned());
                Vec::new()
            }
            Happened::Earlier(before, page) => self.show_earlier(before, page),
            Happened::Attached(path, kept) => self.attached(&path, kept),
        };
        self.ask();
        wishes
    }

    /// Takes the lines that are finished: they go above what is drawn, once.
    pub fn finished(&mut self) -> Vec<Vec<Piece>> {
        std::mem::take(&mut self.above)
    }

    /// Says whether something on the screen changes by itself.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.screen.runs() || self.asking.is_some() || !matches!(self.link, Link::Live)
    }

    /// What to say when detaching.
    #[must_use]
    pub fn farewell(&self) -> String {
        let state = match (self.screen.runs(), self.screen.waiting.len()) {
            (true, 0) => "the turn goes on without you; ",
            (true, _) => "a call waits for a decision; ",
            (false, _) => "",
        };
        let unsent = match self.outbox.unsent.len() {
            0 => String::new(),
            1 => "your last message may not have arrived; ".to_owned(),
            many => format!("your last {many} messages may not have arrived; "),
        };
        format!("{unsent}{state}come back with: {}", self.who.back)
    }

    fn hear(&mut self, input: &Input) -> Vec<Wish> {
        match input {
            Input::Live => {
                if matches!(self.link, Link::Lost(_) | Link::Away(_)) {
                    self.note = Note::None;
                }
                self.link = Link::Live;
            }
            Input::Lost => self.link = Link::Lost(self.now),
            Input::Event(_) | Input::Delta(_) => {}
        }
        let ran = self.screen.runs();
        let pieces = self.screen.update(input);
        if ran && !self.screen.runs() {
            self.note = Note::None;
        }
        self.above.extend(self.lines.push(&pieces));
        Vec::new()
    }

    /// Asks for what came before what is shown.
    fn more(&mut self) -> Option<Wish> {
        if self.who.from <= 1 {
            self.note = Note::Says("that is the beginning".to_owned());
            return None;
        }
        self.note = Note::Says("reading…".to_owned());
        Some(Wish::Earlier(self.who.from))
    }

    fn show_earlier(&mut self, before: Seq, page: Result<Page, String>) -> Vec<Wish> {
        self.note = Note::None;
        match page {
            // It was asked for twice.
            Ok(_) if before != self.who.from => {}
            Ok(page) => {
                self.above.extend(page.drawn(self.screen.me()));
                self.who.from = page.first;
                self.note = hint(page.first).map_or(Note::None, Note::Says);
            }
            Err(error) => self.tell(Style::Bad, &crate::clean::visible(&error)),
        }
        Vec::new()
    }

    fn done(&mut self, wish: Wish, done: Result<(), String>) -> Vec<Wish> {
        let error = done.err();
        match wish {
            Wish::Say(text, _, files) => {
                self.taken_back(&text, error.is_some());
                if error.is_some() {
                    self.outbox.files.splice(..0, files);
                }
            }
            Wish::Answer(_, _, text) => self.taken_back(&text, error.is_some()),
            // There was no room for the wish.
            Wish::Attach(path) => {
                return self.attached(&path, Err(error.unwrap_or_else(|| "the file was not sent".to_owned())));
            }
            Wish::Decide(call, ..) if error.is_some() => drop(self.settled.remove(&call)),
            Wish::Decide(..)
            | Wish::Earlier(_)
            | Wish::Interrupt
            | Wish::Pause
            | Wish::Resume
            | Wish::Keep(_)
            | Wish::Leave
            | Wish::Suspend
            | Wish::Redraw => {}
        }
        if let Some(error) = error {
            self.tell(Style::Bad, &error);
        }
        Vec::new()
    }

    /// What was sent has arrived; what has not is in the box again, if that is free.
    fn taken_back(&mut self, text: &str, failed: bool) {
        self.outbox.unsent.pop_front();
        if failed && self.editor.text().is_empty() {
            self.editor.set(text);
        }
    }

    fn paste(&mut self, text: &str) -> Vec<Wish> {
        if let Some(asking) = &mut self.asking
            && asking.focus == Focus::Question
        {
            asking.focus = Focus::Box;
        }
        self.note = Note::None;
        self.editor.paste(text);
        Vec::new()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    fn key(&mut self, key: KeyEvent) -> Vec<Wish> {
        let note = std::mem::take(&mut self.note);
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return self.stop(note == Note::Leaving),
                KeyCode::Char('d') if self.editor.text().is_empty() => return vec![Wish::Leave],
                KeyCode::Char('z') => return vec![Wish::Suspend],
                KeyCode::Char('l') => return vec![Wish::Redraw],
                _ => {}
            }
        }
        if key.code == KeyCode::PageUp {
            return self.more().into_iter().collect();
        }
        if let Some(wishes) = self.answer_key(key) {
            return wishes;
        }
        self.edit(key)
    }

    /// Ctrl-C: stops the turn, else clears the box and what is attached, else leaves when pressed twice.
    fn stop(&mut self, leaving: bool) -> Vec<Wish> {
        if self.screen.runs() {
            let stopping = self.screen.activity == crate::Activity::Stopping;
            let says = if stopping { "still stopping; Ctrl-D leaves" } else { "stopping the turn" };
            self.note = Note::Says(says.to_owned());
            return if stopping { Vec::new() } else { vec![Wish::Interrupt] };
        }
        if leaving {
            return vec![Wish::Leave];
        }
        self.editor.take();
        self.outbox.files.clear();
        self.note = Note::Leaving;
        Vec::new()
    }

    fn edit(&mut self, key: KeyEvent) -> Vec<Wish> {
        match self.editor.key(key) {
            Edit::Send => return self.send(),
            Edit::Before => {
                if let Some(text) = self.history.before(self.editor.text()) {
                    self.editor.set(text);
                }
            }
            Edit::After => {
                if let Some(text) = self.history.after() {
                    self.editor.set(text);
                }
            }
            Edit::Done | Edit::Nothing => {}
        }
        Vec::new()
    }

    fn send(&mut self) -> Vec<Wish> {
        let is_message = !self.editor.text().trim_start().starts_with('/');
        if is_message && self.awaits_files() {
            return Vec::new();
        }
        let text = self.editor.take().trim().to_owned();
        if text.is_empty() && self.outbox.files.is_empty() {
            return Vec::new();
        }
        if let Some(asking) = &mut self.asking {
            // The question has the keys again, after a moment to see it.
            (asking.focus, asking.since) = (Focus::Question, self.now);
        }
        let mut wishes = Vec::new();
        if !text.is_empty() && self.history.push(text.clone()) {
            wishes.push(Wish::Keep(text.clone()));
        }
        wishes.extend(self.words(&text));
        wishes
    }

    /// An answer takes no files along: they wait for the next message.
    fn say(&mut self, text: &str, behavior: Behavior) -> Option<Wish> {
        let text = text.to_owned();
        if let Some((question, answer)) = self.screen.reply(&text).filter(|_| !text.is_empty()) {
            self.outbox.unsent.push_back(text.clone());
            return Some(Wish::Answer(question, answer, text));
        }
        let files = std::mem::take(&mut self.outbox.files);
        self.outbox.unsent.push_back(with_attachments(&text, &files));
        Some(Wish::Say(text, behavior, files))
    }

    /// Puts lines of our own above what is drawn.
    pub(crate) fn tell(&mut self, style: Style, text: &str) {
        self.above.extend(text.lines().map(|line| vec![Piece::new(style, line)]));
    }
}

#[cfg(test)]
mod tests;
