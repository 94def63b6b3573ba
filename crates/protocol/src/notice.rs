//! What people are told outside of any client, on the wire.

use outlive_core::id::NoticeId;
use outlive_core::notice::{Target, Topic};
use outlive_core::session::Notice;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A notice that nobody has yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoticeView {
    /// Its id, the same at each try.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: NoticeId,
    /// The session that it is of.
    pub session_id: String,
    /// Who is to be told, as the configuration names them.
    pub target: String,
    /// `ask`, `approval`, `failure` or `ending`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub topic: Topic,
    /// The event that it tells of.
    pub seq: u64,
    /// Since when it is to be delivered.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next. It is given up where this is missing: nobody tries it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub next_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetView {
    /// Their name in the configuration.
    pub name: String,
    /// What they are told of.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub topics: Vec<Topic>,
    /// Of which agents; of all where none is named.
    pub agents: Vec<String>,
}

/// Whether one who is told could be told now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tried {
    /// Whether they have it.
    pub delivered: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl NoticeView {
    /// Shows a session's notice.
    #[must_use]
    pub fn of(session_id: String, notice: Notice) -> Self {
        let Notice { notice: id, target, topic, of: seq, since, attempts, next_at, error } = notice;
        // What is tried at once is tried since then.
        let next_at = next_at.map(|at| at.max(since));
        Self { id, session_id, target, topic, seq, since, attempts, next_at, error }
    }
}

impl TargetView {
    /// Shows one.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        let agents = target.agents.iter().map(ToString::to_string).collect();
        Self { name: target.name.clone(), topics: target.topics.iter().copied().collect(), agents }
    }
}
