//! Looks at what a session's model sees: its checkpoints, and what a compaction would do. Nothing here changes anything.

use outlive_core::compaction::{self, Plan, Summary};
use outlive_core::context::assemble_with;
use outlive_core::event::{Aside, CheckpointCreated, Event};
use outlive_core::id::{CheckpointId, Seq, SessionId};
use outlive_core::session::{Refusal, View};
use outlive_core::time::Timestamp;

use crate::load::{self, Sight};
use crate::query::missing;
use crate::{Runtime, SubmitError};

/// A checkpoint, where and when it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Where.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What it is.
    pub created: CheckpointCreated,
}

/// What a compaction would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What it would cover; nothing where nothing can be gained.
    pub plan: Option<Plan>,
    /// Tokens of the next request now.
    pub tokens: u64,
    /// What events alone would make of it; where nothing can be gained, of all of it.
    pub summary: Summary,
}

impl Runtime {
    /// Returns every checkpoint of a session, oldest first, and what its model sees.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn checkpoints(&self, session: SessionId) -> Result<(Vec<Made>, View), SubmitError> {
        let state = self.view(session).await?;
        let (mut made, redactor) = (Vec::new(), self.shell.kits.secrets().now());
        for version in &state.upkeep.view.made {
            let lines = self.entries(session, version.seq.saturating_sub(1), 1).await?;
            let Some(line) = lines.first() else { continue };
            let clean = line.redacted(&redactor).ok().flatten();
            let entry = load::read(session, clean.as_ref().unwrap_or(line)).map_err(SubmitError::Store)?;
            if let Event::CheckpointCreated(created) = entry.event {
                made.push(Made { seq: entry.seq, at: entry.at, created });
            }
        }
        Ok((made, state.upkeep.view.clone()))
    }

    /// Returns one of them.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn checkpoint(&self, session: SessionId, id: CheckpointId) -> Result<(Made, View), SubmitError> {
        let (made, view) = self.checkpoints(session).await?;
        let found = made.into_iter().find(|made| made.created.checkpoint == id);
        let what = format!("this session has no checkpoint `{id}`, or a rewind set it aside");
        let unknown = SubmitError::Refused(Refusal::Invalid { code: "checkpoint_not_found", what });
        found.map(|made| (made, view)).ok_or(unknown)
    }

    /// Says what a compaction would do now, by this model where one is named.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `model_unknown` where the agent asks no such model.
    pub async fn preview(&self, session: SessionId, model: Option<&str>) -> Result<Preview, SubmitError> {
        let next = self.next(session).await?;
        next.kit.condenser(model)?;
        let (state, frame, transcript) = (&next.state, next.frame(), &next.transcript);
        let (store, aside) = (&self.shell.store, state.profile.as_ref().map(|profile| profile.aside.clone()));
        let (aside, checkpoint) = (aside.unwrap_or_default(), Sight::of(state).checkpoint);
        let redactor = self.shell.kits.secrets().now();
        let load = assemble_with(frame, &next.layers, transcript).1.load;
        let tokens = self.shell.kits.scales().calibration(&frame.model).estimate(&load);
        let marks = transcript.marks_in((tokens, load.counted()));
        let plan = compaction::plan(&marks, state.head, (tokens, &frame.window), false);
        let room = plan.map_or(frame.window.usable() / 8, |planned| planned.tokens.room);
        let covers = plan.map(|planned| planned.covers).or(transcript.covers());
        let covers = covers.unwrap_or(Aside { first: 1, last: state.head });
        let base = match checkpoint {
            Some(seq) => {
                let read = load::checkpoint(store, session, seq, &redactor).await.map_err(missing)?;
                read.map(|created| created.summary)
            }
            None => None,
        };
        let entries = load::entries(store, session, covers.last).await.map_err(missing)?;
        let covered = entries.iter().filter(|it| it.seq >= covers.first && !Aside::holds(&aside, it.seq));
        let summary = base.unwrap_or_default().merged(&compaction::fallback(covered), covers);
        Ok(Preview { plan, tokens, summary: summary.within(room) })
    }
}
