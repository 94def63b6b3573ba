//! Looks at what a session's model sees: its checkpoints, and what a compaction would do. Nothing here changes anything.

use outlive_core::compaction::{self, Alone, Plan, Summary};
use outlive_core::context::assemble_with;
use outlive_core::event::{CheckpointCreated, CompactionStarted, Entry, Event};
use outlive_core::id::{CheckpointId, Seq, SessionId};
use outlive_core::session::{Refusal, View};
use outlive_core::time::Timestamp;

use crate::load::{self, Sight};
use crate::preview::Next;
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
    /// Who would be asked, as `provider/name`.
    pub model: String,
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
        let mut made = Vec::new();
        for version in &state.upkeep.view.made {
            made.extend(self.made(session, version.seq).await?);
        }
        Ok((made, state.upkeep.view.clone()))
    }

    /// Returns one of them; nothing else is read.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn checkpoint(&self, session: SessionId, id: CheckpointId) -> Result<(Made, View), SubmitError> {
        let state = self.view(session).await?;
        let made = match state.upkeep.view.version(id) {
            Some(version) => self.made(session, version.seq).await?,
            None => None,
        };
        let what = format!("this session has no checkpoint `{id}`, or a rewind set it aside");
        let unknown = SubmitError::Refused(Refusal::Invalid { code: "checkpoint_not_found", what });
        made.map(|made| (made, state.upkeep.view.clone())).ok_or(unknown)
    }

    async fn made(&self, session: SessionId, seq: Seq) -> Result<Option<Made>, SubmitError> {
        let redactor = self.shell.kits.secrets().now();
        let entry = load::one(&self.shell.store, session, seq, &redactor).await.map_err(missing)?;
        let Some(Entry { seq, at, event, .. }) = entry else { return Ok(None) };
        Ok(if let Event::CheckpointCreated(created) = event { Some(Made { seq, at, created }) } else { None })
    }

    /// Returns what a compaction was begun with.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn begun(&self, session: SessionId, seq: Seq) -> Result<Option<CompactionStarted>, SubmitError> {
        let redactor = self.shell.kits.secrets().now();
        let entry = load::one(&self.shell.store, session, seq, &redactor).await.map_err(missing)?;
        let event = entry.map(|entry| entry.event);
        Ok(if let Some(Event::CompactionStarted(started)) = event { Some(started) } else { None })
    }

    /// Says what a compaction would do now, by this model where one is named. No model is asked.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; [`Refusal::Invalid`] with `model_unknown` where the agent asks no such model.
    pub async fn preview(&self, session: SessionId, model: Option<&str>) -> Result<Preview, SubmitError> {
        let next = self.next(session).await?;
        let model = next.kit.condenser(model)?;
        let (frame, transcript) = (next.frame(), &next.transcript);
        let load = assemble_with(frame, &next.layers, transcript).1.load;
        let tokens = self.shell.kits.scales().calibration(&frame.model).estimate(&load);
        let marks = transcript.marks_in((tokens, load.counted()));
        let plan = compaction::plan(&marks, next.state.head, (tokens, &frame.window), false);
        let summary = self.alone(session, &next, plan).await?;
        Ok(Preview { plan, model, tokens, summary })
    }

    /// Returns what events alone make of all that a session's model sees: to go on with it elsewhere.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]
    pub async fn gist(&self, session: SessionId) -> Result<Summary, SubmitError> {
        let next = self.next(session).await?;
        self.alone(session, &next, None).await
    }

    /// Returns what events alone make of what is planned, or of all that is seen.
    async fn alone(&self, session: SessionId, next: &Next, plan: Option<Plan>) -> Result<Summary, SubmitError> {
        let (store, state, transcript) = (&self.shell.store, &next.state, &next.transcript);
        let (sight, redactor) = (Sight::of(state), self.shell.kits.secrets().now());
        let room = plan.map_or(next.frame().window.usable() / 8, |plan| plan.tokens.room);
        let tail_from = plan.map_or(state.head + 1, |plan| plan.tail_from);
        let covers = plan.map(|plan| plan.covers).or(transcript.covers());
        let base = match sight.checkpoint {
            Some(seq) => load::checkpoint(store, session, seq, &redactor).await.map_err(missing)?,
            None => None,
        };
        let base = base.map(|created| created.summary).unwrap_or_default();
        let newest = match transcript.newest() {
            Some(seq) => load::message(store, session, seq, &redactor).await.map_err(missing)?.map(|it| (seq, it)),
            None => None,
        };
        let mut summary = base.clone();
        if let Some(covers) = covers {
            let so_far = (Alone::of(&base, room), Alone::apply as fn(&mut Alone, &Entry));
            let alone = load::seen(store, session, (covers, sight.aside, redactor), so_far).await;
            summary = summary.merged(&alone.map_err(missing)?.change(), covers);
        }
        let summary = summary.asked(&base, newest.as_ref().map(|(seq, message)| (*seq, message)), tail_from);
        Ok(summary.within(room).with_open(&state.open_items()))
    }
}
