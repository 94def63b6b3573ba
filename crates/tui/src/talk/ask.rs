//! Questions to a person: what exactly will run, and the keys that decide it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use outlive_core::command::Verdict;
use outlive_core::id::CallId;
use outlive_core::time::Timestamp;

use super::{Link, Note, Talk, Wish};
use crate::Style;
use crate::clean::visible;
use crate::screen::Waiting;

/// Milliseconds that a question must be seen before a key decides it: what is typed meanwhile was not meant for it.
const SEEN_MS: u64 = 500;

/// Who gets the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    /// The question.
    Question,
    /// The box, for the reason of a no.
    Reason,
    /// The box, for a message.
    Box,
}

/// Why a call that waits is not asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It was put off.
    Later,
    /// It was decided, which the session has not told yet.
    Decided,
}

/// A question that is on the screen.
#[derive(Debug)]
pub(crate) struct Asking {
    pub call: CallId,
    pub since: Timestamp,
    pub focus: Focus,
    /// What was in the box when the question took it.
    draft: String,
}

impl Asking {
    /// Says whether a key decides now.
    pub(crate) fn is_seen(&self, now: Timestamp) -> bool {
        now.ms_since(self.since) >= SEEN_MS
    }
}

impl Talk {
    /// Asks about the oldest call that waits, and drops a question that was answered elsewhere.
    pub(super) fn ask(&mut self) {
        let waiting = &self.screen.waiting;
        self.settled.retain(|call, _| waiting.contains_key(call));
        if self.asking.as_ref().is_some_and(|asking| !waiting.contains_key(&asking.call)) {
            self.answered();
        }
        if self.asking.is_some() || self.link != Link::Live {
            return;
        }
        let next = self.screen.waiting.iter().find(|(call, _)| !self.settled.contains_key(call));
        let Some((call, waiting)) = next.map(|(call, waiting)| (*call, waiting.clone())) else { return };
        self.show(&waiting);
        let focus = if self.editor.text().is_empty() { Focus::Question } else { Focus::Box };
        self.asking = Some(Asking { call, since: self.now, focus, draft: String::new() });
    }

    /// Shows exactly what will run: above, where no height is too small for it.
    fn show(&mut self, waiting: &Waiting) {
        self.tell(Style::Notice, &format!("? {} wants to run:", visible(&waiting.tool)));
        self.tell(Style::Command, &format!("    {}", visible(&waiting.summary).replace('\n', "\n    ")));
        for because in &waiting.because {
            self.tell(Style::Dim, &format!("  asks: {}", visible(because)));
        }
        if !waiting.rule.is_empty() {
            self.tell(Style::Dim, &format!("  always would store, for this session: {}", visible(&waiting.rule)));
        }
    }

    /// The question is gone; what was in the box before it is back.
    fn answered(&mut self) {
        if let Some(asking) = self.asking.take()
            && asking.focus != Focus::Box
        {
            self.editor.set(&asking.draft);
        }
    }

    /// Takes a key if it is for the question.
    pub(super) fn answer_key(&mut self, key: KeyEvent) -> Option<Vec<Wish>> {
        let is_tab = key.code == KeyCode::Tab;
        let Some(asking) = &mut self.asking else {
            if is_tab {
                // What was put off is asked about again.
                self.settled.retain(|_, why| *why == Settled::Decided);
            }
            return is_tab.then(Vec::new);
        };
        match asking.focus {
            Focus::Box if is_tab => {
                asking.draft = self.editor.take();
                (asking.focus, asking.since) = (Focus::Question, self.now);
                Some(Vec::new())
            }
            Focus::Box => None,
            Focus::Question if !asking.is_seen(self.now) && !is_tab => {
                asking.focus = Focus::Box;
                self.editor.set(&std::mem::take(&mut asking.draft));
                None
            }
            Focus::Question => Some(self.choose(key)),
            Focus::Reason => self.reason(key),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    fn choose(&mut self, key: KeyEvent) -> Vec<Wish> {
        let Some(asking) = &mut self.asking else { return Vec::new() };
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('y' | 'Y') if is_plain => self.decide(Verdict::Allow, None),
            KeyCode::Char('a' | 'A') if is_plain => self.decide(Verdict::AllowAlways, None),
            KeyCode::Char('g' | 'G') if is_plain => self.decide(Verdict::AllowAgent, None),
            KeyCode::Char('n' | 'N') if is_plain => {
                asking.focus = Focus::Reason;
                Vec::new()
            }
            KeyCode::Char('s' | 'S') | KeyCode::Esc if is_plain => {
                let call = asking.call;
                self.settled.insert(call, Settled::Later);
                self.answered();
                self.tell(Style::Dim, &format!("  it waits: Tab asks again; elsewhere: outlive approve {call}"));
                Vec::new()
            }
            KeyCode::Tab => {
                asking.focus = Focus::Box;
                self.editor.set(&std::mem::take(&mut asking.draft));
                Vec::new()
            }
            _ => {
                self.note = Note::Says("y, a, n or s answers; Tab goes to the input box".to_owned());
                Vec::new()
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    fn reason(&mut self, key: KeyEvent) -> Option<Vec<Wish>> {
        match key.code {
            KeyCode::Enter if !key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT) => {
                let reason = self.editor.take().trim().to_owned();
                Some(self.decide(Verdict::Deny, (!reason.is_empty()).then_some(reason)))
            }
            KeyCode::Esc => {
                self.editor.take();
                if let Some(asking) = &mut self.asking {
                    asking.focus = Focus::Question;
                }
                Some(Vec::new())
            }
            KeyCode::Up | KeyCode::Down | KeyCode::Tab => Some(Vec::new()),
            _ => None,
        }
    }

    fn decide(&mut self, verdict: Verdict, reason: Option<String>) -> Vec<Wish> {
        let Some(call) = self.asking.as_ref().map(|asking| asking.call) else { return Vec::new() };
        self.settled.insert(call, Settled::Decided);
        self.answered();
        let seq = self.screen.waiting.get(&call).map(|waiting| waiting.seq);
        vec![Wish::Decide(call, seq, verdict, reason)]
    }
}
