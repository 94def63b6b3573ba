//! When something is to be done: once, at a distance, or by a cron expression.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use crate::time::{Period, Timestamp};

/// The time zones that are known: a value, since they lie in files where a system has them.
pub type Zones = TimeZoneDatabase;

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Once.
    At {
        /// A moment with its offset, as in RFC 3339, or a time on the wall such as `2026-12-24T18:00`.
        at: String,
        /// The zone of a time on the wall; UTC where there is none.
        zone: Option<String>,
    },
    /// Again and again at the same distance.
    Every {
        /// The distance.
        every: Period,
        /// One of its moments, and the first: none is due before. A schedule that is made without one has its own first moment.
        anchor: Option<Timestamp>,
    },
    /// At the minutes that an expression names.
    Cron {
        /// Five fields, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
        cron: String,
        /// The zone whose clocks it is about; UTC where there is none.
        zone: Option<String>,
    },
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The expression.
    #[error("cron: {0}")]
    Cron(String),
    /// The moment.
    #[error("at: `{0}` is no time such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 with a zone")]
    At(String),
    /// The zone.
    #[error("zone: no time zone `{0}` is known here: name one such as Europe/Berlin")]
    Zone(String),
}

/// A moment as people write it.
pub(super) enum At {
    Instant(Timestamp),
    Wall(DateTime),
}

impl At {
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(instant));
        }
        let wall: Option<DateTime> = text.parse().ok().filter(|_| text.contains(['T', 't', ' ']));
        wall.map(Self::Wall).ok_or_else(|| RuleError::At(text.chars().take(80).collect()))
    }
}

/// Returns a zone by its name.
pub(super) fn zone(name: Option<&str>, zones: &Zones) -> Result<TimeZone, RuleError> {
    let Some(name) = name.filter(|name| *name != "UTC") else { return Ok(TimeZone::UTC) };
    // What leads out of the folder is no name of a zone.
    let is_name = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
    let found = is_name.then(|| zones.get(name).ok()).flatten();
    found.ok_or_else(|| RuleError::Zone(name.chars().take(80).collect()))
}

impl Rule {
    /// Says what is wrong with it, if something is.
    ///
    /// # Errors
    ///
    /// [`RuleError`]
    pub fn check(&self, zones: &Zones) -> Result<(), RuleError> {
        match self {
            Self::At { at, zone: name } => At::parse(at).and(zone(name.as_deref(), zones)).map(drop),
            Self::Every { .. } => Ok(()),
            Self::Cron { cron, zone: name } => {
                Cron::parse(cron).map_err(RuleError::Cron).and(zone(name.as_deref(), zones).map(drop))
            }
        }
    }

    /// Says whether it is due once.
    #[must_use]
    pub fn is_once(&self) -> bool {
        matches!(self, Self::At { .. })
    }
}

/// What becomes of a run that is due while the one before is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// It runs after it.
    Queue,
    /// It runs beside it.
    Parallel,
}
