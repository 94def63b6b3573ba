//! What people are told outside of any client: the outbox of a session.
//!
//! Invariants: that somebody is to be told is durable with what it is about; a notice leaves by being delivered or by a person, and
//! nothing else; one that is given up stays until a person has it tried again or drops it.

use serde::{Deserialize, Serialize};

use super::State;
use super::decide::{Facts, Moment, Refusal};
use super::owed::{Beside, Debt, Held};
use super::settle::Fact;
use crate::command::{NoticeCommand, Undelivered};
use crate::event::{Entry, Event, NoticeDelivered, NoticeDropped, NoticeDue, NoticeFailed, NoticeRetried, Origin};
use crate::id::{NoticeId, Seq};
use crate::limits::{NOTICE_ERROR_CHARS, NOTICES};
use crate::notice::{Target, Topic};
use crate::time::Timestamp;

/// Pauses between one try and the next, in milliseconds: about two days, after which it is given up.
const PAUSES_MS: [u64; 9] = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000];

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
    /// When it is tried next; nothing once it is given up.
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

    /// Returns when the next one is tried.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.all.iter().filter_map(|notice| notice.next_at).min()
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
                next_at: Some(entry.at),
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
            }
            Event::NoticeRetried(retried) => {
                if let Some(notice) = self.get_mut(retried.notice) {
                    (notice.attempts, notice.next_at) = (0, Some(entry.at));
                }
            }
            _other => {}
        }
    }

    fn get_mut(&mut self, id: NoticeId) -> Option<&mut Notice> {
        self.all.iter_mut().find(|notice| notice.notice == id)
    }
}

impl State {
    /// Returns the facts that these are to be told of an event. Beyond `limits::NOTICES` nobody is.
    #[must_use]
    pub fn told<'a>(
        &self,
        (topic, of): (Topic, Seq),
        targets: impl IntoIterator<Item = &'a Target>,
        moment: &mut Moment,
    ) -> Vec<Fact> {
        let Some(profile) = &self.profile else { return Vec::new() };
        let room = NOTICES.saturating_sub(self.upkeep.notices.all.len());
        let wanting = targets.into_iter().filter(|target| target.wants(topic, &profile.agent)).take(room);
        let due = |target: &Target| {
            let notice = NoticeId::from_bits(moment.ids.fresh());
            Fact::of_session(Event::NoticeDue(NoticeDue { notice, target: target.name.clone(), topic, of }))
        };
        wanting.map(due).collect()
    }

    /// What is to be told now. It holds up nothing, and nothing holds it up.
    pub(super) fn owed_notices(&self, now: Timestamp, held: &Held) -> impl Iterator<Item = Debt> {
        let due = self.upkeep.notices.all.iter().filter(move |notice| notice.next_at.is_some_and(|at| at <= now));
        due.map(|notice| Beside::Tell(notice.notice)).filter(|tell| !held.beside.contains(tell)).map(Debt::Beside)
    }

    pub(super) fn decide_notice(&self, what: NoticeCommand, by: &Origin) -> Facts {
        let (NoticeCommand::Retry(id) | NoticeCommand::Drop(id)) = what;
        let notice = self.upkeep.notices.get(id).ok_or(Refusal::NoNotice(id))?;
        let by = by.clone();
        Ok(vec![Fact::of_session(match what {
            NoticeCommand::Retry(_) => Event::NoticeRetried(NoticeRetried { notice: notice.notice, by }),
            NoticeCommand::Drop(_) => Event::NoticeDropped(NoticeDropped { notice: notice.notice, by }),
        })])
    }

    pub(super) fn was_told(&self, id: NoticeId, outcome: &Result<(), Undelivered>, now: Timestamp) -> Facts {
        // One that was dropped meanwhile is no more.
        let notice = self.upkeep.notices.get(id).ok_or(Refusal::Stale)?;
        let attempt = notice.attempts.saturating_add(1);
        Ok(vec![Fact::of_session(match outcome {
            Ok(()) => Event::NoticeDelivered(NoticeDelivered { notice: id, attempt }),
            Err(undelivered) => {
                let retry_at = notice.pause_ms(attempt).filter(|_| !undelivered.for_good).map(|ms| now.plus_ms(ms));
                let error = undelivered.why.chars().take(NOTICE_ERROR_CHARS).collect();
                Event::NoticeFailed(NoticeFailed { notice: id, attempt, error, retry_at })
            }
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
    /// Returns the pause behind a try that failed, spread by a tenth so that what failed together does not come back together.
    fn pause_ms(&self, attempt: u32) -> Option<u64> {
        let at = usize::try_from(attempt).ok()?.checked_sub(1)?;
        let pause = *PAUSES_MS.get(at)?;
        let mixed =
            (self.notice.bits() ^ u128::from(attempt)).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) >> 96;
        Some(pause + u64::try_from(mixed).unwrap_or(0) % (pause / 10))
    }
}
