//! What a session is for, where it belongs to a piece of work: whoever asks for the same gets the same session.
//!
//! Invariant: other fields give another id, however they are cut: each goes in with its length.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AgentName, SessionId};
use crate::limits::TASK_BYTES;

/// A role's place in a task: the name of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The project.
    pub project: String,
    /// Who does it: a name as agents have one.
    pub role: AgentName,
    /// The feature, where the project is told apart in features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The task, where the feature is told apart in tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How far the task is.
    pub state: TaskState,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It is thought about.
    Planning,
    /// It is worked on.
    InDev,
    /// It is tried.
    InQa,
    /// It is read by another.
    InReview,
}

/// A task that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: 1 to {TASK_BYTES} bytes on one line are needed")]
pub struct TaskError {
    field: &'static str,
}

impl TaskState {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Planning, Self::InDev, Self::InQa, Self::InReview];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::InDev => "in_dev",
            Self::InQa => "in_qa",
            Self::InReview => "in_review",
        }
    }
}

impl Task {
    /// Returns the one session of this task for this role in this state.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let (role, state) = (Some(self.role.as_str()), Some(self.state.as_str()));
        let fields = [Some(self.project.as_str()), role, self.feature.as_deref(), self.task.as_deref(), state];
        let mut bytes = b"task".to_vec();
        for field in fields {
            // Nothing is not the empty text.
            bytes.push(u8::from(field.is_some()));
            let text = field.unwrap_or_default();
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        SessionId::from_bits(Digest::of(&bytes).bits())
    }

    /// Checks what its fields say.
    ///
    /// # Errors
    ///
    /// [`TaskError`] with the field.
    pub fn check(&self) -> Result<(), TaskError> {
        let fields =
            [("project", Some(&self.project)), ("feature", self.feature.as_ref()), ("task", self.task.as_ref())];
        let fits =
            |text: &String| !text.trim().is_empty() && text.len() <= TASK_BYTES && !text.chars().any(char::is_control);
        match fields.into_iter().find(|(_, text)| text.is_some_and(|text| !fits(text))) {
            Some((field, _)) => Err(TaskError { field }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn task(project: &str, feature: Option<&str>, task: Option<&str>, state: TaskState) -> Task {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Task {
            project: project.into(),
            role: "dev".parse().unwrap(),
            feature: owned(feature),
            task: owned(task),
            state,
        }
    }

    #[test]
    fn other_fields_give_another_session_however_they_are_cut() {
        use TaskState::{InDev, InQa};
        let tasks = [
            task("ab", Some("c"), Some("d"), InDev),
            task("a", Some("bc"), Some("d"), InDev),
            task("a", Some("b"), Some("cd"), InDev),
            task("abcd", None, None, InDev),
            task("abc", Some("d"), None, InDev),
            task("abc", None, Some("d"), InDev),
            task("ab", Some("c"), Some("d"), InQa),
            Task { role: "qa".parse().unwrap(), ..task("ab", Some("c"), Some("d"), InDev) },
        ];
        let ids: BTreeSet<SessionId> = tasks.iter().map(Task::session).collect();
        assert_eq!(ids.len(), tasks.len());
        // A promise: whoever comes back finds it.
        assert_eq!(tasks[0].session().to_string(), "ses_7ZG7H4MW15WBTFS4DK7H69P7CK");
    }

    #[test]
    fn a_field_that_is_empty_too_long_or_more_than_a_line_is_refused_by_its_name() {
        let check = |given: Task| given.check().err().map(|error| error.field);
        let state = TaskState::Planning;
        assert_eq!(check(task("p", Some("f"), Some("t"), state)), None);
        assert_eq!(check(task("p", None, None, state)), None);
        assert_eq!(check(task(" ", None, None, state)), Some("project"));
        assert_eq!(check(task("p", Some("a\nb"), None, state)), Some("feature"));
        assert_eq!(check(task("p", None, Some(&"x".repeat(TASK_BYTES + 1)), state)), Some("task"));
    }
}
