//! Events of what people are told outside of any client.
//!
//! That somebody is to be told stands in one append with what it is about; each try and its outcome is a line of its own, so that a
//! restart goes on where it was, and whoever receives a notice twice sees by its id that it is the same.

use serde::{Deserialize, Serialize};

use super::session::Origin;
use crate::id::{NoticeId, Seq};
use crate::notice::Topic;
use crate::time::Timestamp;

/// In one append with what it is about: somebody is to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeDue {
    /// Its id, the same at each try.
    pub notice: NoticeId,
    /// Who, as `notify` in the configuration names them.
    pub target: String,
    /// What it is about.
    pub topic: Topic,
    /// The event that it tells of.
    pub of: Seq,
}

/// They have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeDelivered {
    /// Which.
    pub notice: NoticeId,
    /// At which try, from 1.
    pub attempt: u32,
}

/// They do not have it, as far as is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeFailed {
    /// Which.
    pub notice: NoticeId,
    /// At which try, from 1.
    pub attempt: u32,
    /// Why, for a person.
    pub error: String,
    /// When it is tried again; never by itself where this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// A person has it tried once more, from now on as if it were new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeRetried {
    /// Which.
    pub notice: NoticeId,
    /// Who says so.
    pub by: Origin,
}

/// Nobody is told any more: a person says so, or what it asks was decided before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeDropped {
    /// Which.
    pub notice: NoticeId,
    /// Who says so.
    pub by: Origin,
}
