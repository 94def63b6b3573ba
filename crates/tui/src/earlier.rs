//! A conversation that is shown from its end: what is known of what came before, and the pages of it that are asked for.

use std::collections::BTreeMap;

use outlive_core::content::Usage;
use outlive_core::event::{Entry, Event, Question};
use outlive_core::id::{CallId, QuestionId, Seq};
use outlive_core::session::Filled;

use crate::lines::Lines;
use crate::{Activity, Input, Later, Piece, Screen, Style, Waiting};

/// What a screen that begins in the middle of a session cannot know from the events that it is given.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The name under which this client speaks: its own messages go without it.
    pub me: Option<String>,
    /// What the session does.
    pub activity: Activity,
    /// Whether it is paused.
    pub paused: bool,
    /// Calls that wait for a person.
    pub waiting: BTreeMap<CallId, Waiting>,
    /// Questions that wait for a person.
    pub questions: Vec<(QuestionId, Vec<Question>)>,
    /// What comes by itself.
    pub later: Later,
    /// Tokens of the steps that the screen is not given.
    pub usage: Usage,
    /// How full the model's window is.
    pub filled: Option<Filled>,
}

/// Part of a journal, in order.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its events.
    pub entries: Vec<Entry>,
    /// Seq of the first of them: what is before it is on other pages.
    pub first: Seq,
}

impl Page {
    /// Takes events and leaves those of a broken-off turn at their beginning to the page before, where that is the lesser
    /// part of them.
    #[must_use]
    pub fn of(mut entries: Vec<Entry>) -> Self {
        let begins = |entry: &Entry| matches!(entry.event, Event::MessageReceived(_));
        let cut = entries.iter().position(begins).filter(|at| at * 2 < entries.len());
        if entries.first().is_some_and(|first| first.seq > 1) {
            entries.drain(..cut.unwrap_or(0));
        }
        let first = entries.first().map_or(1, |first| first.seq);
        Self { entries, first }
    }

    /// Draws it, between two marks.
    #[must_use]
    pub fn drawn(&self, me: Option<&str>) -> Vec<Vec<Piece>> {
        let mark = |text: &str| vec![Piece::new(Style::Dim, text)];
        let last = self.entries.last().map_or(self.first, |last| last.seq);
        let mut screen = Screen::knowing(Before { me: me.map(str::to_owned), ..Before::default() });
        let (mut lines, mut rows) =
            (Lines::default(), vec![mark(&format!("── earlier: events {} to {last} ──", self.first))]);
        for entry in &self.entries {
            rows.extend(lines.push(&screen.update(&Input::Event(Box::new(entry.clone())))));
        }
        rows.extend(lines.push(&screen.unfinished()));
        rows.extend((!lines.open().is_empty()).then(|| lines.open().to_vec()));
        rows.push(mark(&format!("── end of events {} to {last} ──", self.first)));
        rows
    }
}

/// What tells of events that are not shown, if there are any.
#[must_use]
pub fn hint(first: Seq) -> Option<String> {
    (first > 1).then(|| format!("… {} earlier events: /more or PageUp shows the last of them", first - 1))
}
