//! When a rule is due next, and what of it was missed.
//!
//! Clocks on walls are put forward and back. What names every hour goes by time itself: each time that the clock shows such a
//! minute, also twice. What names hours of the day is due once for each: the first of two, and where the clock leaps over it,
//! right after.

use jiff::Timestamp as Instant;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::cron::Cron;
use super::rule::{At, Rule, RuleError, Zones};
use crate::time::Timestamp;

/// Occurrences that were not accounted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed {
    /// The first of all.
    pub(super) first: Timestamp,
    /// The latest ones, oldest first; at least one.
    pub(super) latest: Vec<Timestamp>,
}

/// How far back the latest ones are looked for, in milliseconds, until they are found.
const WINDOWS: [u64; 5] = [3_600_000, 86_400_000, 32 * 86_400_000, 400 * 86_400_000, 2_000 * 86_400_000];
/// Transitions that are looked through: two a year, for as long as a day may be away.
const TRANSITIONS: usize = 120;

impl Rule {
    /// Returns when it is due next, later than this moment; `None` if never.
    ///
    /// # Errors
    ///
    /// [`RuleError`]: it cannot be read, or its zone is not known here.
    pub fn next(&self, after: Timestamp, zones: &Zones) -> Result<Option<Timestamp>, RuleError> {
        match self {
            Self::At { at, zone } => {
                let due = match At::parse(at)? {
                    At::Instant(due) => Some(due),
                    At::Wall(wall) => settled(wall, &super::rule::zone(zone.as_deref(), zones)?).map(timestamp),
                };
                Ok(due.filter(|due| *due > after))
            }
            Self::Every { every, anchor } => {
                let anchor = anchor.unwrap_or_default();
                let step = i64::try_from(every.ms()).unwrap_or(i64::MAX).saturating_mul(1_000).max(1);
                let passed = after.micros().saturating_sub(anchor.micros());
                let count = if passed < 0 { 0 } else { passed / step + 1 };
                let due = count.checked_mul(step).and_then(|past| anchor.micros().checked_add(past));
                // What lies behind the end of time is held to it.
                let due = due.map(|due| (due, Timestamp::from_micros(due))).filter(|(due, held)| *due == held.micros());
                Ok(due.map(|(_, due)| due).filter(|due| *due > after))
            }
            Self::Cron { cron, zone } => {
                let cron = Cron::parse(cron).map_err(RuleError::Cron)?;
                let zone = super::rule::zone(zone.as_deref(), zones)?;
                let after = instant(after);
                let due = if cron.is_of_every_hour() {
                    shown_next(&cron, after, &zone)
                } else {
                    named_next(&cron, after, &zone)
                };
                Ok(due.map(timestamp))
            }
        }
    }

    /// Returns what was due later than `since`, up to `now`: the first of it, and the last so many.
    pub(super) fn missed(
        &self,
        (since, now): (Timestamp, Timestamp),
        most: usize,
        zones: &Zones,
    ) -> Result<Option<Missed>, RuleError> {
        let Some(first) = self.next(since, zones)?.filter(|due| *due <= now) else { return Ok(None) };
        let mut latest = vec![first];
        let windows = WINDOWS.iter().map(|ms| Timestamp::from_micros(now.micros().saturating_sub_unsigned(ms * 1_000)));
        for from in windows.map(|from| from.max(since)).chain([since]) {
            latest.clear();
            let mut at = from;
            while let Some(due) = self.next(at, zones)?.filter(|due| *due <= now) {
                latest.push(due);
                at = due;
            }
            if latest.len() >= most || from == since {
                break;
            }
        }
        latest.drain(..latest.len().saturating_sub(most));
        Ok(Some(Missed { first, latest }))
    }
}

/// The next moment at which the clock shows a minute that is named.
fn shown_next(cron: &Cron, after: Instant, zone: &TimeZone) -> Option<Instant> {
    let mut from = next_minute(after, zone)?;
    let mut began = after;
    for _transition in 0..TRANSITIONS {
        let end = zone.following(began).map(|transition| transition.timestamp()).next();
        let offset = zone.to_offset(began);
        let due = cron.first_from(from).and_then(|wall| offset.to_timestamp(wall).ok());
        match (due, end) {
            (Some(due), end) if end.is_none_or(|end| due < end) => return Some(due),
            (_, Some(end)) => {
                began = end;
                from = this_minute(end, zone)?;
            }
            (_, None) => return None,
        }
    }
    None
}

/// The next moment that stands for a minute that is named: the order of minutes is that of their moments.
fn named_next(cron: &Cron, after: Instant, zone: &TimeZone) -> Option<Instant> {
    let mut from = next_minute(after, zone)?;
    loop {
        let wall = cron.first_from(from)?;
        let due = settled(wall, zone)?;
        if due > after {
            return Some(due);
        }
        from = wall.checked_add(jiff::Span::new().minutes(1)).ok()?;
    }
}

/// The one moment that a time on the wall stands for.
fn settled(wall: DateTime, zone: &TimeZone) -> Option<Instant> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before, after } => {
            let earlier = after.to_timestamp(wall).ok()?;
            let leaps = zone.following(earlier).take(TRANSITIONS).map(|transition| transition.timestamp());
            leaps.into_iter().find(|leap| zone.to_offset(*leap) != before)
        }
    }
}

/// The minute on the wall after the one that is shown.
fn next_minute(at: Instant, zone: &TimeZone) -> Option<DateTime> {
    floor(zone.to_datetime(at))?.checked_add(jiff::Span::new().minutes(1)).ok()
}

/// The minute on the wall that is shown, or begins next.
fn this_minute(at: Instant, zone: &TimeZone) -> Option<DateTime> {
    let shown = zone.to_datetime(at);
    let floor = floor(shown)?;
    if floor == shown { Some(floor) } else { floor.checked_add(jiff::Span::new().minutes(1)).ok() }
}

fn floor(wall: DateTime) -> Option<DateTime> {
    wall.with().second(0).subsec_nanosecond(0).build().ok()
}

fn instant(at: Timestamp) -> Instant {
    // Both hold the same years.
    Instant::from_microsecond(at.micros()).unwrap_or(Instant::MAX)
}

fn timestamp(at: Instant) -> Timestamp {
    Timestamp::from_micros(at.as_microsecond())
}
