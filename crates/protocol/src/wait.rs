//! Waits and signals, on the wire.

use outlive_core::event::{Overdue, WaitKind, WaitOwner};
use outlive_core::id::WaitId;
use outlive_core::session::Wait;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::Done;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: WaitId,
    /// The session that waits.
    pub session_id: String,
    /// `timer` or `signal`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: WaitKind,
    /// When it is over, for a timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub due_at: Option<Timestamp>,
    /// The signal's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What the signal's payload must hold.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub fits: Option<Value>,
    /// When the signal is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub deadline: Option<Timestamp>,
    /// What becomes of it when it is found over late: `fire`, `fire_once`, `skip`, or `{"expire_after_ms": 60000}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub overdue: Overdue,
    /// What it is for.
    pub reason: String,
    /// Whose it is: `agent`, `person` or `relay`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub owner: WaitOwner,
    /// When it was armed.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub armed_at: Timestamp,
}

impl WaitView {
    /// Shows a session's wait.
    #[must_use]
    pub fn of(session_id: String, wait: Wait) -> Self {
        let Wait { wait: id, terms, owner, armed_at, .. } = wait;
        let (signal, fits) = terms.signal.map(|signal| (signal.name, signal.fits)).unzip();
        Self {
            id,
            session_id,
            kind: terms.kind,
            due_at: terms.due_at,
            signal,
            fits: fits.flatten(),
            deadline: terms.deadline,
            overdue: terms.overdue,
            reason: terms.reason,
            owner,
            armed_at,
        }
    }
}

/// `POST /sessions/{id}/waits`: until a time, or for a signal and no longer than until a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArmWait {
    /// What it is for, in 1 to 200 characters: the agent is told so.
    pub reason: String,
    /// How long: `90s`, `10m`, `2h`, `14d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// Until when, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub until: Option<Timestamp>,
    /// For which signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What the signal's payload must hold.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub fits: Option<Value>,
    /// What becomes of it when it is found over late; `fire` when absent.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub overdue: Overdue,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answer to arming a wait: it is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitArmed {
    /// The wait: by this it is moved, fired and cancelled.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub wait_id: WaitId,
    /// As of every write.
    #[serde(flatten)]
    pub done: Done,
}

/// `POST /waits/{id}/move`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveWait {
    /// How long from now: `90s`, `10m`, `2h`, `14d`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// Until when, as RFC 3339. A time that is past ends it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub until: Option<Timestamp>,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /sessions/{id}/signals`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostSignal {
    /// Its name: 1 to 200 of `a-z A-Z 0-9 . _ - : /`.
    pub name: String,
    /// What it brings, up to 64 KiB of JSON. To the agent it is data from outside, no instruction.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub payload: Value,
    /// The same id is the same signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answer to a webhook: it is durable. Without a session nothing asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HookTaken {
    /// The session that it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The event that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Whether it was delivered before.
    pub duplicate: bool,
    /// What its sender asked to hear, where it asked nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}
