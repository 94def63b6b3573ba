//! Says why a store did not do it, sorted by what the caller can do about it.

use outlive_core::id::{ScheduleId, Seq, SessionId};

/// Why a store did not do it, by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such journal.
    #[error("there is no session `{0}`")]
    NotFound(SessionId),
    /// The head is not the expected one: another writer was here, or ours is stale.
    #[error("session `{journal}` is at {head}, not at {expected}")]
    Conflict {
        /// Which journal.
        journal: SessionId,
        /// What the writer expected.
        expected: Seq,
        /// What is there.
        head: Seq,
    },
    /// The lease is not the newest.
    #[error("the lease on session `{0}` is stale: another process owns it now")]
    Fenced(SessionId),
    /// What was asked can never be done: a name that is taken or unfit, a file that is too large.
    #[error("{what}: {why}")]
    Refused {
        /// What was tried, with the name.
        what: String,
        /// Why not, and what to do instead.
        why: String,
    },
    /// No room on the disk. Nothing was written; writing resumes by itself once there is room.
    #[error("no space left on the disk for new events; free some, then try again")]
    NoSpace,
    /// The store stopped acknowledging after a failed sync. Only a restart, which reads back what is there, helps.
    #[error("storage is closed after a failed write ({0}); restart the server to read back what is on the disk")]
    Poisoned(String),
    /// A line that is not the tail cannot be read. The evidence is kept.
    #[error("journal of session `{journal}` is damaged at line {line}: {why}; run `outlive verify --repair`")]
    Corrupt {
        /// Which journal.
        journal: SessionId,
        /// Line number, from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// As [`StoreError::Corrupt`], of a schedule.
    #[error("journal of schedule `{schedule}` is damaged at line {line}: {why}; run `outlive verify --repair`")]
    Damaged {
        /// Which.
        schedule: ScheduleId,
        /// Line number, from 1.
        line: u64,
        /// What is wrong there.
        why: String,
    },
    /// The operating system said no. Nothing was changed.
    #[error("{what}: {why}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        why: String,
    },
}

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Ask for something else, or read what is there first: the same call fails again.
    Refused,
    /// Try the same call later: nothing was changed, and it may work then.
    Busy,
    /// Find out: whether it was done is unknown until a restart has read back what is there.
    Lost,
    /// Stop and keep the evidence: only a repair helps.
    Corrupt,
}

impl StoreError {
    pub(crate) fn damaged(schedule: ScheduleId, line: u64, why: String) -> Self {
        Self::Damaged { schedule, line, why }
    }

    /// Returns its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Fenced(_) => "fenced",
            Self::Refused { .. } => "refused",
            Self::NoSpace => "no_space",
            Self::Poisoned(_) => "store_poisoned",
            Self::Corrupt { .. } | Self::Damaged { .. } => "journal_corrupt",
            Self::Io { .. } => "io",
        }
    }

    /// Returns what a caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::NotFound(_) | Self::Conflict { .. } | Self::Fenced(_) | Self::Refused { .. } => Class::Refused,
            Self::NoSpace | Self::Io { .. } => Class::Busy,
            Self::Poisoned(_) => Class::Lost,
            Self::Corrupt { .. } | Self::Damaged { .. } => Class::Corrupt,
        }
    }
}
