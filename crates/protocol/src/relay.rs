//! Relays on the wire.

use outlive_core::relay::history::Row;
use outlive_core::relay::{Definition, Relay, Terminal, draw};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A relay of the workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayView {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// SHA-256 over its definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How many states it has.
    pub states: usize,
    /// All of it; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub definition: Option<Definition>,
    /// Its states and where they lead, as text; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawing: Option<String>,
    /// What keeps its file from being a relay: a line for each fault, with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl RelayView {
    /// Shows a relay as lists do.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        Self {
            name: definition.name.clone(),
            prompt: Some(definition.prompt.clone()),
            digest: Some(definition.digest().to_string()),
            states: definition.states.len(),
            definition: None,
            drawing: None,
            error: None,
        }
    }

    /// Shows all of a relay.
    #[must_use]
    pub fn whole(definition: Definition) -> Self {
        let drawing = Some(draw::definition(&definition));
        Self { drawing, ..Self { definition: Some(definition.clone()), ..Self::of(&definition) } }
    }

    /// Shows what is no relay.
    #[must_use]
    pub fn broken(name: String, error: String) -> Self {
        let (prompt, digest, definition, drawing) = (None, None, None, None);
        Self { name, prompt, digest, states: 0, definition, drawing, error: Some(error) }
    }
}

/// `POST /relays`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeepRelay {
    /// All of it, as in a file: `{name, prompt, first?, guard?, states}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub definition: Value,
    /// Whether it takes the place of one of the same name.
    #[serde(default)]
    pub replace: bool,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// `POST /relays/{name}/start`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StartRelay {
    /// In which session; a fresh one of `agent` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whose session it is, where that is a fresh one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The state to begin with; the relay's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What that state is given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub input: Value,
    /// The same id acts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A relay that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayStart {
    /// The session that runs it.
    pub session_id: String,
    /// The event with which it began.
    pub seq: u64,
    /// Whether the same request had begun it before.
    pub duplicate: bool,
}

/// `POST /sessions/{id}/relay`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChangeRelay {
    /// Begins one that is in no file.
    Start {
        /// All of it.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        definition: Value,
        /// The state to begin with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// What that state is given.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
        input: Value,
        /// The same id acts once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Leaves the state that it is in for this one, which may be the same.
    Select {
        /// Which.
        state: String,
        /// What it is given.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
        input: Value,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The same id acts once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Goes on by another definition.
    Redefine {
        /// All of it.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        definition: Value,
        /// Why.
        reason: String,
        /// The same id acts once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Goes on after its end; that stays in its history.
    Reopen {
        /// Why.
        reason: String,
        /// With which state; the agent chooses when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// What that state is given.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
        input: Value,
        /// The same id acts once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
    /// Ends it.
    Cancel {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The same id acts once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    },
}

/// The relay of a session, and a page of what its relays did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayRun {
    /// The relay's name.
    pub name: String,
    /// Which version of its definition it goes by, from 1.
    pub version: u32,
    /// The state that it is in, or was in last.
    pub state: String,
    /// Which attempt of it, from 1.
    pub attempt: u32,
    /// Where it stands, in words.
    pub standing: String,
    /// How it ended: `completed`, `failed` or `cancelled`; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub outcome: Option<Terminal>,
    /// Its states and where they lead, as text.
    pub drawing: String,
    /// Its path so far, as text: the newest attempts.
    pub path: String,
    /// Rows, oldest first: one for each attempt.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub items: Vec<Row>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl RelayRun {
    /// Shows a relay with a page of rows.
    #[must_use]
    pub fn of(relay: &Relay, items: Vec<Row>, next_cursor: Option<String>) -> Self {
        Self {
            name: relay.definition.name.clone(),
            version: relay.version,
            state: relay.at.state.clone(),
            attempt: relay.at.attempt,
            standing: relay.standing(),
            outcome: relay.outcome.filter(|_| !relay.is_under_way()),
            drawing: draw::definition(&relay.definition),
            path: draw::path(relay),
            items,
            next_cursor,
        }
    }
}
