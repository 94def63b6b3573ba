//! Moving through history: a fork shares a journal's beginning and goes its own way; a rewind goes on from an earlier event
//! and sets aside what came after it.
//!
//! Invariants: nothing that ran is run again by a fork; a rewind edits nothing, and can itself be rewound.

use super::decide::{Facts, Refusal};
use super::settle::Fact;
use super::{Hold, State};
use crate::command::{Fork, Rewind};
use crate::event::{
    Aside, Asked, CallFinished, CallLost, Ending, Entry, Event, InputRemoved, Origin, OriginKind, Outcome,
    SessionArchived, SessionResumed, SessionRewound, SessionUpdated, TurnEnded,
};
use crate::id::SessionId;
use crate::limits::ASIDES;
use crate::turn::{Call, Phase, Turn};

/// Returns what a fork's journal begins with: the same events at the same places, under its own name. The client's names
/// for writes stay with the session to which they were sent.
pub(super) fn shared(session: SessionId, fork: &Fork, asked: Option<&Asked>) -> Vec<Entry> {
    let own = |entry: &Entry| {
        let mut own = Entry { asked: None, ..entry.clone() };
        if let Event::SessionCreated(created) = &mut own.event {
            (created.session, created.parent) = (session, Some(fork.parent.clone()));
            // What the fork notes itself is its own, wherever it begins.
            created.taken_to = created.taken_to.map(|to| to.min(fork.parent.seq));
            // One session alone has the task's name.
            created.task = None;
            own.asked = asked.cloned();
        }
        own
    };
    fork.entries.iter().map(own).collect()
}

impl State {
    /// Returns the facts that part a fork from what its original had under way: that is the original's, and stays there.
    #[must_use]
    pub fn parted(&self, title: Option<&String>, by: &Origin) -> Vec<Fact> {
        let mut facts: Vec<Fact> = self.turn.iter().flat_map(|turn| turn.parted()).collect();
        // It was nobody's wish that there is none.
        facts.extend(self.compaction_cancelled(&Origin::of(OriginKind::Runtime)));
        facts.extend(self.loop_aborted());
        facts.extend(self.relay_parted());
        facts.extend(self.waits_cancelled(0, by));
        facts.extend(self.notices_dropped(by));
        if let (None, Some(parked)) = (&self.turn, &self.questions.parked) {
            facts.extend(parked.left());
        }
        let mut of_session = |event| facts.push(Fact::of_session(event));
        for queued in &self.queue.items {
            of_session(Event::InputRemoved(InputRemoved { input: queued.input, by: by.clone() }));
        }
        match self.hold {
            Hold::Open => {}
            Hold::Paused { .. } => of_session(Event::SessionResumed(SessionResumed { by: by.clone() })),
            Hold::Archived { .. } => {
                of_session(Event::SessionArchived(SessionArchived { archived: false, by: by.clone() }));
            }
        }
        if let Some(title) = title {
            let (title, labels) = (Some(title.clone()), None);
            of_session(Event::SessionUpdated(SessionUpdated { title, labels, memory: None, by: by.clone() }));
        }
        facts
    }

    pub(super) fn rewind(&self, rewind: &Rewind) -> Facts {
        if self.is_archived() {
            return Err(Refusal::Archived);
        }
        if self.turn.is_some() {
            return Err(Refusal::TurnRunning);
        }
        self.check_not_looping()?;
        self.check_not_relaying()?;
        let (to_seq, then) = (rewind.to_seq, &rewind.then);
        let refuse = |code, what: String| Err(Refusal::Invalid { code, what });
        if to_seq == 0 || to_seq >= self.head || then.head != to_seq {
            let last = self.head.saturating_sub(1);
            return refuse("seq_out_of_range", format!("to_seq is 1 to {last}, not {to_seq}"));
        }
        if then.questions.parked.is_some() {
            let what = format!("calls waited for a decision at event {to_seq}: rewind to before their turn");
            return refuse("seq_in_turn", what);
        }
        if rewind.calm != to_seq {
            let what = format!("event {to_seq} is in the middle of a turn: rewind to {}, before it", rewind.calm);
            return refuse("seq_in_turn", what);
        }
        let aside = then.profile.as_ref().map(|then| then.aside.clone()).unwrap_or_default();
        if aside.len() >= ASIDES {
            return refuse(
                "seq_out_of_range",
                format!("{ASIDES} parts are set aside already: rewind to an earlier event"),
            );
        }
        let (questions, todos) = (then.questions.open.clone(), then.todos.clone());
        let (checkpoint, tail_from) = (then.upkeep.view.checkpoint, then.upkeep.view.tail_from);
        let by = rewind.by.clone();
        let rewound = SessionRewound { to_seq, by, aside, questions, todos, checkpoint, tail_from };
        let cancelled = self.waits_cancelled(to_seq, &rewind.by);
        Ok(cancelled.into_iter().chain([Fact::of_session(Event::SessionRewound(rewound))]).collect())
    }

    pub(super) fn apply_rewound(&mut self, entry: &Entry, rewound: &SessionRewound) {
        self.questions.open.clone_from(&rewound.questions);
        self.questions.parked = None;
        self.todos.clone_from(&rewound.todos);
        // They were said after other words: nobody but a person knows whether they still fit.
        self.queue.held = !self.queue.items.is_empty();
        if let Some(profile) = &mut self.profile {
            profile.aside.clone_from(&rewound.aside);
            profile.aside.push(Aside { first: rewound.to_seq.saturating_add(1), last: entry.seq.saturating_sub(1) });
        }
        let aside = self.profile.as_ref().map(|profile| profile.aside.as_slice()).unwrap_or_default();
        self.upkeep.view.go_back(rewound, aside);
    }
}

impl Turn {
    fn left(&self) -> Vec<Fact> {
        let unsettled = self.calls.iter().filter(|call| call.phase != Phase::Settled);
        unsettled.map(|call| Fact::of_step(self, left(call))).collect()
    }

    pub(super) fn parted(&self) -> Vec<Fact> {
        let mut facts = self.left();
        let ending = Ending::Interrupted;
        let ended = TurnEnded { ending, wake_at: None, error: None, usage: self.usage, cost: self.usage.charged() };
        facts.push(Fact::of_turn(self.id, Event::TurnEnded(ended)));
        facts
    }
}

fn left(call: &Call) -> Event {
    if call.attempt > 0 {
        let known = format!(
            "The outcome of this call is unknown here: `{}` was running in the session that this one comes from. It was \
             not run again.",
            call.tool
        );
        return Event::CallLost(CallLost { call: call.id, attempt: call.attempt, known });
    }
    Event::CallFinished(CallFinished {
        call: call.id,
        attempt: 0,
        outcome: Outcome::Interrupted,
        content: "Not started: the session went another way before it was.".to_owned(),
        details: None,
        artifact: None,
        duration_ms: 0,
    })
}
