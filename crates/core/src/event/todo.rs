//! The event of an agent's list of what is to be done.

use serde::{Deserialize, Serialize};

use crate::id::CallId;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// What.
    pub text: String,
    /// How far it is.
    pub status: TodoStatus,
}

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Done,
}

/// While a turn runs, right before the end of the call that wrote the list. It replaces the list before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TodoChanged {
    /// The call that wrote it.
    pub call: CallId,
    /// The whole list.
    pub items: Vec<Todo>,
}
