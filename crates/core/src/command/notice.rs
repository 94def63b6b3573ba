//! What can be asked about notices, and what a hand says of one.

use serde::Serialize;

use crate::id::NoticeId;

/// A person decides about a notice that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeCommand {
    /// Try it once more, from now on as if it were new.
    Retry(NoticeId),
    /// Tell nobody.
    Drop(NoticeId),
}

impl NoticeCommand {
    /// Returns the notice that it is about.
    #[must_use]
    pub fn notice(self) -> NoticeId {
        let (Self::Retry(notice) | Self::Drop(notice)) = self;
        notice
    }
}

/// Why somebody was not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// For a person.
    pub why: String,
    /// What becomes of it.
    pub then: Then,
}

/// What becomes of what was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Then {
    /// Another try may do better.
    Again,
    /// It was not even tried, for too many wait: that counts for nothing.
    PutOff,
    /// No other try would do better.
    GiveUp,
    /// Nobody needs to be told any more.
    Drop,
}

impl Undelivered {
    /// Another try may do better.
    pub fn for_now(why: impl Into<String>) -> Self {
        Self { why: why.into(), then: Then::Again }
    }

    /// No other try would do better.
    pub fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), then: Then::GiveUp }
    }
}
