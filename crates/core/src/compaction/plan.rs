//! Says what a compaction covers, and where the part begins that is shown as it is.
//!
//! Invariants: the tail begins where no call waits for its result; the newest message is in the tail, or word for word in the
//! checkpoint; what is planned fits.

use crate::context::Window;
use crate::event::{Aside, Sizes};
use crate::id::Seq;

/// What an event adds to the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which; 0 is the checkpoint that the conversation begins with.
    pub seq: Seq,
    /// About the tokens of it.
    pub tokens: u64,
    /// Set where the tail may begin with it, and where a person said it.
    pub start: Option<Start>,
}

/// What a tail may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A person's message.
    Message,
    /// A step, within a turn.
    Step,
    /// A person's message while calls wait for their results: the tail cannot begin with it.
    Within,
}

/// What a compaction is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The events that it condenses.
    pub covers: Aside,
    /// The first event that stays as it is.
    pub tail_from: Seq,
    /// How much there is of it.
    pub tokens: Sizes,
}

/// Tokens that a summary may have at least, and at most.
const SUMMARY: (u64, u64) = (160, 8_000);

/// Plans a compaction of what these marks say, whose request has `tokens`, up to `head`. `None` where nothing can be gained.
///
/// What must fit, whatever it costs, may be `forced`: then nothing of the running turn has to stay but its newest message.
#[must_use]
pub fn plan(marks: &[Mark], head: Seq, (tokens, window): (u64, &Window), forced: bool) -> Option<Plan> {
    let first = marks.iter().find(|mark| mark.seq > 0)?.seq;
    let all: u64 = marks.iter().map(|mark| mark.tokens).sum();
    let fixed = tokens.saturating_sub(all);
    let sizes = Goal::of(tokens, fixed, window, forced)?;
    let candidates = Candidates::of(marks, head);
    let (tail_from, tail, carried) = candidates.choose(sizes.tail, forced)?;
    let covered = all.saturating_sub(tail);
    let room = sizes.room.max(sizes.tail.saturating_sub(tail + carried).min(sizes.room * 2)) + carried;
    let gains = covered > room || forced && covered > carried + SUMMARY.0;
    let covers = Aside { first, last: tail_from.saturating_sub(1) };
    gains.then_some(Plan { covers, tail_from, tokens: Sizes { before: tokens, covered, room } })
}

/// How many tokens are to be left.
struct Goal {
    /// For what stays as it is.
    tail: u64,
    /// For the summary.
    room: u64,
}

impl Goal {
    fn of(tokens: u64, fixed: u64, window: &Window, forced: bool) -> Option<Self> {
        let usual = (tokens.saturating_mul(60) / 100).min(window.soft());
        let goal = if forced && usual < fixed.saturating_add(2 * SUMMARY.0) { window.usable() } else { usual };
        let left = goal.checked_sub(fixed)?;
        let room = (window.usable() / 8).clamp(SUMMARY.0, SUMMARY.1).min(left / 2);
        (room >= SUMMARY.0 / 2).then_some(Self { tail: left.saturating_sub(room), room })
    }
}

/// Where the tail may begin, oldest first, with its tokens.
struct Candidates {
    messages: Vec<(Seq, u64)>,
    steps: Vec<(Seq, u64)>,
    head: Seq,
    /// Tokens of the newest message, and where it is.
    newest: Option<(Seq, u64)>,
    /// The newest message that the tail may begin with.
    asked_at: Seq,
}

impl Candidates {
    fn of(marks: &[Mark], head: Seq) -> Self {
        let (mut messages, mut steps, mut newest, mut asked_at, mut after) = (Vec::new(), Vec::new(), None, 0, 0);
        let covered = marks.iter().position(|mark| mark.seq > 0 && mark.tokens > 0).unwrap_or(marks.len());
        for (at, mark) in marks.iter().enumerate().rev() {
            after += mark.tokens;
            let covers_something = at > covered;
            match mark.start {
                Some(Start::Message) => {
                    newest = newest.or(Some((mark.seq, mark.tokens)));
                    asked_at = asked_at.max(mark.seq);
                    messages.extend(covers_something.then_some((mark.seq, after)));
                }
                Some(Start::Within) => newest = newest.or(Some((mark.seq, mark.tokens))),
                Some(Start::Step) => steps.extend(covers_something.then_some((mark.seq, after))),
                None => {}
            }
        }
        messages.reverse();
        steps.reverse();
        Self { messages, steps, head, newest, asked_at }
    }

    /// Returns where it begins, its tokens, and those of the newest message where that is not in it.
    fn choose(&self, room: u64, forced: bool) -> Option<(Seq, u64, u64)> {
        let fits = |tail: u64| tail <= room;
        let second = self.messages.iter().rev().nth(1);
        let far = self.messages.iter().take(self.messages.len().saturating_sub(1)).find(|(_, tail)| *tail <= room / 2);
        let near = second.filter(|(_, tail)| fits(*tail));
        let last = self.messages.last().filter(|(_, tail)| fits(*tail));
        if let Some((seq, tail)) = far.or(near).or(last) {
            return Some((*seq, *tail, 0));
        }
        let (newest_at, carried) = self.newest.unwrap_or_default();
        let left = |seq: Seq| if seq > newest_at { carried } else { 0 };
        let mut within = self.steps.iter().filter(|(seq, _)| *seq > self.asked_at);
        if let Some((seq, tail)) = within.find(|(seq, tail)| fits(tail + left(*seq))) {
            return Some((*seq, *tail, left(*seq)));
        }
        let end = (self.head + 1, 0, carried);
        (forced && fits(carried)).then_some(end)
    }
}
