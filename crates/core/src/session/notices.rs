//! What people are told outside of any client: the outbox of a session.
//!
//! Invariants: that somebody is to be told is durable with what it is about; a notice leaves by being delivered, by a person, or
//! because what it asks was decided; one that is given up stays until a person has it tried again or drops it, or many more are given up. What one
//! target does not take is no other target's matter, and a clock that is set back keeps nobody waiting.

use serde::{Deserialize, Serialize};

use super::State;
use super::decide::{Facts, Moment, Refusal};
use super::owed::{Beside, Debt, Held};
use super::settle::Fact;
use crate::command::{NoticeCommand, Then, Undelivered};
use crate::event::{
    Entry, Event, NoticeDelivered, NoticeDropped, NoticeDue, NoticeFailed, NoticeRetried, Origin, OriginKind,
};
use crate::id::{NoticeId, Seq};
use crate::limits::{NOTICE_ERROR_CHARS, NOTICES, NOTICES_GIVEN_UP};
use crate::notice::{Target, Topic};
use crate::time::Timestamp;
use crate::turn::spread;

/// Pauses between one try and the next, in milliseconds: about two days, after which it is given up.
const PAUSES_MS: [u64; 9] = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000];

/// A little more than the longest of them: who is to wait longer waits for a clock that was set back.
const LONGEST_MS: u64 = 100_000_000;
/// Pause before what was not even tried, for too many wait.
const PUT_OFF_MS: u64 = 300_000;
/// The time of what is not put off: it is over whatever the clock says.
pub const AT_ONCE: Timestamp = Timestamp::EPOCH;

/// Somebody who is to be told of something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, the same at each try.
    pub notice: NoticeId,
    /// Who.
    pub target: String,
    /// What it is about.
    pub topic: Topic,
    /// The event that it tells of.
    pub of: Seq,
    /// When that was.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, [`AT_ONCE`] where nothing has to pass before; nothing once it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The outbox.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Notices {
    /// In the order in which they came to be due.
    pub all: Vec<Notice>,
}

impl Notices {
    /// Says whether nobody is to be told of anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns one of them.
    #[must_use]
    pub fn get(&self, id: NoticeId) -> Option<&Notice> {
        self.all.iter().find(|notice| notice.notice == id)
    }

    /// Returns when they are tried.
    pub(super) fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.all.iter().filter_map(|notice| notice.next_at)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is about notices")]
    pub(super) fn hear(&mut self, entry: &Entry) {
        match &entry.event {
            Event::NoticeDue(due) => self.all.push(Notice {
                notice: due.notice,
                target: due.target.clone(),
                topic: due.topic,
                of: due.of,
                since: entry.at,
                attempts: 0,
                next_at: Some(AT_ONCE),
                error: None,
            }),
            Event::NoticeDelivered(NoticeDelivered { notice, .. })
            | Event::NoticeDropped(NoticeDropped { notice, .. }) => {
                self.all.retain(|it| it.notice != *notice);
            }
            Event::NoticeFailed(failed) => {
                if let Some(notice) = self.get_mut(failed.notice) {
                    notice.attempts = failed.attempt;
                    notice.next_at = failed.retry_at;
                    notice.error = Some(failed.error.clone());
                }
                self.forget_the_oldest();
            }
            Event::NoticeRetried(retried) => {
                if let Some(notice) = self.get_mut(retried.notice) {
                    (notice.attempts, notice.next_at) = (0, Some(AT_ONCE));
                }
            }
            _other => {}
        }
    }

    /// Of many that are given up, the newest stay.
    fn forget_the_oldest(&mut self) {
        let given_up = self.all.iter().filter(|notice| notice.next_at.is_none()).count();
        let oldest = self.all.iter().position(|notice| notice.next_at.is_none());
        if let Some(oldest) = oldest.filter(|_| given_up > NOTICES_GIVEN_UP) {
            self.all.remove(oldest);
        }
    }

    fn get_mut(&mut self, id: NoticeId) -> Option<&mut Notice> {
        self.all.iter_mut().find(|notice| notice.notice == id)
    }
}

impl State {
    /// Returns the facts that these are to be told of events, and of how many they are not: so many wait for one target at most.
    #[must_use]
    pub fn told(&self, of: &[(Topic, Seq)], targets: &[Target], moment: &mut Moment) -> (Vec<Fact>, usize) {
        let Some(profile) = &self.profile else { return (Vec::new(), 0) };
        let (mut facts, mut left_out) = (Vec::new(), 0);
        for target in targets {
            let waits = |notice: &&Notice| notice.target == target.name && notice.next_at.is_some();
            let room = NOTICES.saturating_sub(self.upkeep.notices.all.iter().filter(waits).count());
            let wanted: Vec<_> = of.iter().filter(|(topic, _)| target.wants(*topic, &profile.agent)).collect();
            left_out += wanted.len().saturating_sub(room);
            facts.extend(wanted.into_iter().take(room).map(|(topic, of)| {
                let notice = NoticeId::from_bits(moment.ids.fresh());
                let (target, topic, of) = (target.name.clone(), *topic, *of);
                Fact::of_session(Event::NoticeDue(NoticeDue { notice, target, topic, of }))
            }));
        }
        (facts, left_out)
    }

    /// What is to be told now. It holds up nothing, and nothing holds it up.
    pub(super) fn owed_notices(&self, now: Timestamp, held: &Held) -> impl Iterator<Item = Debt> {
        let due = self.upkeep.notices.all.iter().filter(move |notice| notice.is_due(now));
        due.map(|notice| Beside::Tell(notice.notice)).filter(|tell| !held.beside.contains(tell)).map(Debt::Beside)
    }

    pub(super) fn decide_notice(&self, what: NoticeCommand, by: &Origin) -> Facts {
        let id = what.notice();
        self.upkeep.notices.get(id).ok_or(Refusal::NoNotice(id))?;
        let by = by.clone();
        Ok(vec![Fact::of_session(match what {
            NoticeCommand::Retry(notice) => Event::NoticeRetried(NoticeRetried { notice, by }),
            NoticeCommand::Drop(notice) => Event::NoticeDropped(NoticeDropped { notice, by }),
        })])
    }

    pub(super) fn was_told(&self, id: NoticeId, outcome: &Result<(), Undelivered>, now: Timestamp) -> Facts {
        // One that was dropped meanwhile is no more.
        let notice = self.upkeep.notices.get(id).ok_or(Refusal::Stale)?;
        let attempt = notice.attempts.saturating_add(1);
        let failed = |undelivered: &Undelivered, attempt, pause: Option<u64>| {
            let error = undelivered.why.chars().take(NOTICE_ERROR_CHARS).collect();
            Event::NoticeFailed(NoticeFailed { notice: id, attempt, error, retry_at: pause.map(|ms| now.plus_ms(ms)) })
        };
        Ok(vec![Fact::of_session(match outcome {
            Ok(()) => Event::NoticeDelivered(NoticeDelivered { notice: id, attempt }),
            Err(undelivered) => match undelivered.then {
                Then::Again => failed(undelivered, attempt, notice.pause_ms(attempt)),
                Then::PutOff => failed(undelivered, notice.attempts, Some(notice.spread(PUT_OFF_MS, PUT_OFF_MS))),
                Then::GiveUp => failed(undelivered, attempt, None),
                Then::Drop => Event::NoticeDropped(NoticeDropped { notice: id, by: Origin::of(OriginKind::Runtime) }),
            },
        })])
    }

    /// Returns the facts that nobody is told any more: in a journal that goes on elsewhere, there are others to tell.
    pub(super) fn notices_dropped(&self, by: &Origin) -> impl Iterator<Item = Fact> {
        self.upkeep.notices.all.iter().map(|notice| {
            let dropped = NoticeDropped { notice: notice.notice, by: by.clone() };
            Fact::of_session(Event::NoticeDropped(dropped))
        })
    }
}

impl Notice {
    fn is_due(&self, now: Timestamp) -> bool {
        self.next_at.is_some_and(|at| at <= now || at > now.plus_ms(LONGEST_MS))
    }

    /// Returns the pause behind a try that failed.
    fn pause_ms(&self, attempt: u32) -> Option<u64> {
        let at = usize::try_from(attempt).ok()?.checked_sub(1)?;
        let pause = *PAUSES_MS.get(at)?;
        Some(self.spread(pause, pause / 10))
    }

    /// Spreads a pause: what failed together does not come back together.
    fn spread(&self, pause: u64, by: u64) -> u64 {
        let seed = self.notice.bits() ^ u128::from(self.attempts) ^ u128::from(pause);
        pause + spread(seed, by)
    }
}
