//! Tasks on the wire.

use std::collections::BTreeMap;

use outlive_core::task::TaskState;
use serde::{Deserialize, Serialize};

use crate::session::SessionRow;

/// `GET /tasks`: the sessions of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// Its sessions by its states `planning`, `in_dev`, `in_qa` and `in_review`; in each, what was active last comes first.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Vec<SessionRow>>))]
    pub states: BTreeMap<TaskState, Vec<SessionRow>>,
    /// The session that was active last of those that are not archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}

impl TaskView {
    /// Makes it of its sessions, of which what was active last comes first.
    #[must_use]
    pub fn of(rows: Vec<SessionRow>) -> Self {
        let current = rows.iter().find(|row| row.status != "archived").map(|row| row.id.clone());
        let mut states: BTreeMap<TaskState, Vec<SessionRow>> = TaskState::ALL.map(|state| (state, Vec::new())).into();
        for row in rows {
            let state = row.task.as_ref().map(|task| task.state);
            state.and_then(|state| states.get_mut(&state)).into_iter().for_each(|of| of.push(row.clone()));
        }
        Self { states, current }
    }
}

/// A task of the document: its session's id is made of these.
#[cfg(feature = "openapi")]
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "the form of `outlive_core::task::Task`, for the document alone")]
pub struct TaskBody {
    /// The project, PREFIX-XXXXXXXX.
    project: String,
    /// Who does it: a lowercase letter, then up to 62 of `a-z`, `0-9` and `-`.
    role: String,
    /// The feature, up to 128 bytes.
    feature: Option<String>,
    /// The task, up to 128 bytes.
    task: Option<String>,
    /// `planning`, `in_dev`, `in_qa` or `in_review`.
    state: String,
}
