//! Sessions that have a task: whoever asks for the same gets the same one.

use outlive_core::command::{Command, Create};
use outlive_core::id::{RequestId, SessionId};
use outlive_core::session::Refusal;
use outlive_core::task::Task;
use outlive_store::{ListQuery, OfTask, Row, StoreError};

use crate::{Runtime, SubmitError};

/// Whether a session was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It was.
    Old,
    /// It was made.
    New,
}

/// Sessions of one task that are shown.
const SHOWN: usize = 1_000;

impl Runtime {
    /// Makes the session unless somebody did before: its id says what it is for.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `task_taken` where it is there, and another agent's.
    pub async fn find_or_make(
        &self,
        session: SessionId,
        create: Create,
        request: Option<RequestId>,
    ) -> Result<Found, SubmitError> {
        let agent = create.agent.clone();
        match self.submit_in_turn(session, Command::Create(create), request).await {
            Ok(_) => return Ok(Found::New),
            Err(SubmitError::Refused(Refusal::Exists)) => {}
            Err(error) => return Err(error),
        }
        let state = self.view(session).await?;
        match &state.profile {
            Some(profile) if profile.agent != agent => {
                let what = format!(
                    "the session of this task, {session}, is of agent `{}`, not `{agent}`: ask for that agent, or take another role",
                    profile.agent
                );
                Err(SubmitError::Refused(Refusal::Invalid { code: "task_taken", what }))
            }
            Some(_) | None => Ok(Found::Old),
        }
    }

    /// Returns the sessions of a task, in whatever state and role; what was active last comes first.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn of_task(&self, project: &str, of: OfTask) -> Result<Vec<Row>, StoreError> {
        let is_of = |task: &Task| task.project == project && task.feature == of.feature && task.task == of.task;
        let (project, of_task) = (Some(project.to_owned()), Some(Box::new(of.clone())));
        let mut rows = self.list(ListQuery { project, of_task, limit: SHOWN, ..ListQuery::default() }).await?;
        rows.retain(|row| row.task.as_deref().is_some_and(is_of));
        Ok(rows)
    }
}
