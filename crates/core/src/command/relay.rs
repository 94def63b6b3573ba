//! What can be asked about a relay.

use serde::Serialize;
use serde_json::Value;

use crate::event::RelaySource;
use crate::relay::Definition;

/// A relay is to begin, to go elsewhere, to be another, or to end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayCommand {
    /// Begin.
    Start(Box<NewRelay>),
    /// Leave the state that it is in, and enter this one: it may be the same.
    Select(Chosen),
    /// Go on by this definition.
    Redefine {
        /// All of it.
        definition: Box<Definition>,
        /// Why.
        reason: String,
    },
    /// Go on after its end.
    Reopen {
        /// Why.
        reason: String,
        /// With which state; the agent chooses where none is named.
        with: Option<Chosen>,
    },
    /// End it.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
}

/// A relay that is to begin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewRelay {
    /// All of it.
    pub definition: Definition,
    /// Who made the definition.
    pub source: RelaySource,
    /// The state that it begins with, where that is not its first.
    pub state: Option<String>,
    /// What that state is given.
    pub input: Value,
}

/// A state that is chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Which.
    pub state: String,
    /// What it is given.
    pub input: Value,
    /// Why, where a person chose it.
    pub reason: Option<String>,
}
