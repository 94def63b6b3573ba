//! Sessions that have a task: whoever asks for the same gets the same one.

use outlive_core::command::{Command, Create};
use outlive_core::id::{RequestId, SessionId};
use outlive_core::memory::Mode;
use outlive_core::session::{Refusal, State};
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
    /// [`SubmitError`]; [`Refusal::Invalid`] with `task_taken` where it is there, and not what is asked for.
    pub async fn find_or_make(
        &self,
        session: SessionId,
        create: Create,
        request: Option<RequestId>,
    ) -> Result<Found, SubmitError> {
        let asked = create.clone();
        match self.submit_in_turn(session, Command::Create(create), request).await {
            Ok(_) => return Ok(Found::New),
            Err(SubmitError::Refused(Refusal::Exists)) => {}
            Err(error) => return Err(error),
        }
        match other_than(&*self.view(session).await?, &asked) {
            Some(how) => {
                let what = format!("the session of this task, {session}, {how}");
                Err(SubmitError::Refused(Refusal::Invalid { code: "task_taken", what }))
            }
            None => Ok(Found::Old),
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
        // One that came from elsewhere may say what it likes: its id tells.
        rows.retain(|row| row.task.as_deref().is_some_and(|task| is_of(task) && task.session() == row.session));
        Ok(rows)
    }
}

/// Says how a session that was found is not the one that is asked for, and the way out.
fn other_than(state: &State, asked: &Create) -> Option<String> {
    let profile = state.profile.as_ref()?;
    if profile.agent != asked.agent {
        let (is, wanted) = (&profile.agent, &asked.agent);
        return Some(format!("is of agent `{is}`, not `{wanted}`: ask for that agent, or take another role"));
    }
    if profile.task.as_ref() != asked.task.as_deref() {
        return Some("was imported and says that it is of another one: delete it, or take another role".to_owned());
    }
    // Where nobody has said it, it is as its agent's files say.
    let mode = state.upkeep.memories.mode.unwrap_or(Mode::On);
    let is_other = asked.memory.is_some_and(|asked| asked != mode);
    is_other.then(|| "takes part in what is remembered in another way: leave `memory` out".to_owned())
}
