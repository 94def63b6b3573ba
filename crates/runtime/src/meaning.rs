//! What texts mean, in numbers: asked of the service that an agent names, of each question, and beside everything else of
//! what the agent may know.
//!
//! Invariants: no question waits for a service longer than [`PATIENCE`], no turn waits for it at all; what it does not say
//! well is told to whoever asks; only what an agent may know goes to the service that it names; a run ends.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::content::{Failure, FailureKind};
use outlive_core::event::Event;
use outlive_core::id::{AgentName, MemoryId};
use outlive_model::embeddings::{Embedder, TEXTS, Vectors};
use outlive_store::{Measured, Sight, Space, StoreError, Unmeasured};

use crate::shell::Shell;

/// How long a question waits for its vector; then it is looked for by its words.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long vectors of what is remembered are waited for.
const MEASURING: Duration = Duration::from_secs(20);
/// Memories that a service may refuse before it is asked for no more.
const REFUSED: usize = 1_000;

/// A service, and how far an agent's memories have vectors of it.
pub struct Meaning {
    embedder: Embedder,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    run: Run,
    /// What it answered in last.
    space: Option<Space>,
    /// Why the last run ended before all had a vector.
    trouble: Option<String>,
    /// Those that it will not measure.
    refused: BTreeSet<MemoryId>,
}

#[derive(Default, PartialEq, Eq)]
enum Run {
    #[default]
    None,
    Running,
    /// It looks once more when it is done.
    Again,
}

/// What one run has seen.
#[derive(Default)]
struct Seen {
    space: Option<Space>,
    asked: Vec<MemoryId>,
}

/// A run that ends, however it ends, lets the next one begin.
struct Over<'a>(&'a Meaning);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.progress().run = Run::None;
        }
    }
}

impl Meaning {
    /// Of this service; nothing is asked yet.
    #[must_use]
    pub fn new(embedder: Embedder) -> Self {
        Self { embedder, progress: Mutex::default() }
    }

    /// Returns the service's name, under which its vectors are kept.
    #[must_use]
    pub fn name(&self) -> String {
        self.embedder.name()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why not all have a vector, where something is wrong.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.progress().trouble.clone()
    }

    /// Asks for the vector of a question.
    pub(crate) async fn of(&self, question: &str) -> Result<(Space, Vec<f32>), String> {
        let texts = [question.to_owned()];
        let asked = tokio::time::timeout(PATIENCE, self.embedder.vectors(&texts)).await;
        let silent = || format!("the embedding service does not answer within {} s", PATIENCE.as_secs());
        let Vectors { model, vectors } = asked.map_err(|_elapsed| silent())?.map_err(|failure| failure.message)?;
        let vector = vectors.into_iter().next().ok_or("the embedding service answers nothing")?;
        let space = self.space(model, &vector);
        self.progress().space = Some(space.clone());
        Ok((space, vector))
    }

    fn space(&self, model: String, vector: &[f32]) -> Space {
        Space { service: self.name(), model, dimensions: vector.len() }
    }

    /// Begins to ask for the vectors that are missing of what this agent may know, unless that goes on.
    pub(crate) fn begin(self: &Arc<Self>, shell: &Shell, agent: &AgentName) {
        let before = {
            let mut progress = self.progress();
            let next = if progress.run == Run::None { Run::Running } else { Run::Again };
            std::mem::replace(&mut progress.run, next)
        };
        if before == Run::None {
            let (meaning, own, agent) = (Arc::clone(self), shell.clone(), agent.clone());
            shell.tasks.spawn("vectors", async move {
                let _over = Over(&meaning);
                meaning.run(&own, &agent).await;
            });
        }
    }

    async fn run(&self, shell: &Shell, agent: &AgentName) {
        let mut seen = Seen::default();
        if let Err(error) = forget_others(shell).await {
            tracing::warn!(%error, "vectors that nobody needs are still there");
        }
        loop {
            let batch = self.batch(shell, agent, &mut seen);
            let done = tokio::select! {
                biased;
                () = shell.door.closing.cancelled() => Err("the server is closing".to_owned()),
                done = batch => done,
            };
            let mut progress = self.progress();
            match done {
                Ok(0) if progress.run == Run::Again => progress.run = Run::Running,
                Ok(0) => {
                    (progress.run, progress.trouble) = (Run::None, None);
                    return;
                }
                Ok(_some) => {}
                Err(why) => {
                    tracing::warn!(%agent, "not all memories have vectors: they are found by words alone");
                    (progress.run, progress.trouble) = (Run::None, Some(why));
                    return;
                }
            }
        }
    }

    /// Asks for the next vectors. Returns of how many memories; 0 where all have one, or are refused.
    async fn batch(&self, shell: &Shell, agent: &AgentName, seen: &mut Seen) -> Result<usize, String> {
        if shell.brake.stop().is_some() {
            return Err("everything is stopped".to_owned());
        }
        let (space, refused) = {
            let progress = self.progress();
            (progress.space.clone(), progress.refused.clone())
        };
        let (service, agent, limit) = (self.name(), Some(agent.to_string()), TEXTS + refused.len());
        let query = Unmeasured { service, space, agent, limit };
        let mut missing = shell.store.memories.unmeasured(query).await.map_err(|error| error.to_string())?;
        missing.retain(|one| !refused.contains(&one.memory));
        missing.truncate(TEXTS);
        let asked: Vec<MemoryId> = missing.iter().map(|one| one.memory).collect();
        if !asked.is_empty() && asked == std::mem::replace(&mut seen.asked, asked.clone()) {
            return Err("vectors that the embedding service answers are not kept".to_owned());
        }
        if asked.is_empty() {
            return Ok(0);
        }
        match self.measure(shell, &missing, seen).await {
            Ok(()) => {}
            // One text may be what it cannot take.
            Err(failure) if failure.kind == FailureKind::InvalidRequest && missing.len() > 1 => {
                self.one_by_one(shell, &missing, (seen, failure)).await?;
            }
            Err(failure) => return Err(failure.message),
        }
        Ok(missing.len())
    }

    async fn measure(&self, shell: &Shell, missing: &[Measured<()>], seen: &mut Seen) -> Result<(), Failure> {
        let wrong = |kind, message: String| Failure { kind, message, retry_after_ms: None };
        let redactor = shell.kits.secrets().now();
        let texts: Vec<String> = missing.iter().map(|one| redactor.text(&one.text).into_owned()).collect();
        let asked = tokio::time::timeout(MEASURING, self.embedder.vectors(&texts)).await;
        let silent =
            || wrong(FailureKind::Timeout, "the embedding service does not answer about memories in time".to_owned());
        let Vectors { model, vectors } = asked.map_err(|_elapsed| silent())??;
        let Some(first) = vectors.first() else { return Ok(()) };
        let space = self.space(model, first);
        // One that is another each time would be asked without end.
        let before = seen.space.get_or_insert_with(|| space.clone());
        if *before != space {
            let (one, other) = (shown(before), shown(&space));
            return Err(wrong(
                FailureKind::Truncated,
                format!("the embedding service answers as {one}, then as {other}"),
            ));
        }
        self.progress().space = Some(space.clone());
        let together = missing.iter().cloned().zip(vectors);
        let measured = together.map(|(one, vector)| Measured { memory: one.memory, text: one.text, vector }).collect();
        let kept = shell.store.memories.measured(space, measured).await;
        kept.map_err(|error| wrong(FailureKind::Network, error.to_string()))
    }

    /// Asks for each alone, and no more for those that are refused; but where all are, it is not they that are wrong.
    async fn one_by_one(
        &self,
        shell: &Shell,
        missing: &[Measured<()>],
        (seen, first): (&mut Seen, Failure),
    ) -> Result<(), String> {
        let mut refused = self.refused_of(shell, missing, seen).await?;
        // It may have been the service that was wrong then: what it took in between says that it is not any more.
        if refused.len() < missing.len() {
            refused = self.refused_of(shell, &refused, seen).await?;
        }
        let mut progress = self.progress();
        if refused.len() == missing.len() || progress.refused.len() + refused.len() > REFUSED {
            return Err(first.message);
        }
        progress.refused.extend(refused.iter().map(|one| one.memory));
        Ok(())
    }

    /// Asks for each alone; returns those that are refused.
    async fn refused_of(
        &self,
        shell: &Shell,
        texts: &[Measured<()>],
        seen: &mut Seen,
    ) -> Result<Vec<Measured<()>>, String> {
        let mut refused = Vec::new();
        for one in texts {
            match self.measure(shell, std::slice::from_ref(one), seen).await {
                Ok(()) => {}
                Err(failure) if failure.kind == FailureKind::InvalidRequest => refused.push(one.clone()),
                Err(failure) => return Err(failure.message),
            }
        }
        Ok(refused)
    }
}

fn shown(space: &Space) -> String {
    format!("`{}` with {} numbers", space.model, space.dimensions)
}

/// Takes out the vectors of services that no agent names any more.
async fn forget_others(shell: &Shell) -> Result<(), StoreError> {
    let named = shell.kits.meanings(None)?;
    shell.store.memories.retain(named.iter().map(|(_, meaning)| meaning.name()).collect()).await
}

/// Says whether an event is of a text that is to get a vector.
pub(crate) fn has_text(event: &Event) -> bool {
    matches!(
        event,
        Event::MemoryObserved(_) | Event::MemoryReflected(_) | Event::MemoryAdded(_) | Event::MemoryEdited(_)
    )
}

/// Returns the one service by which whoever asks finds memories, with the agents that name it; none where words are to do.
pub(crate) fn service(shell: &Shell, sight: &Sight) -> Result<Option<Meanings>, String> {
    let agent: Option<AgentName> = sight.agent.as_deref().and_then(|agent| agent.parse().ok());
    let named = shell.kits.meanings(agent.as_ref()).map_err(|error| error.to_string())?;
    let Some((_, first)) = named.first() else { return Ok(None) };
    if named.iter().any(|(_, other)| other.name() != first.name()) {
        return Err("agents name different embedding services: say which agent asks".to_owned());
    }
    Ok(Some(named))
}

/// A service, as each of these agents names it: at least one.
pub(crate) type Meanings = Vec<(AgentName, Arc<Meaning>)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_panics_lets_the_next_one_begin() {
        let spec = serde_json::json!({ "base_url": "http://127.0.0.1:9", "model": "x" });
        let spec: outlive_core::agent::EmbeddingSpec = serde_json::from_value(spec).unwrap();
        let meaning = Meaning::new(Embedder::unable(spec, "no".to_owned()));
        meaning.progress().run = Run::Running;
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _over = Over(&meaning);
            panic!("as a bug would");
        }));
        assert!(ran.is_err() && meaning.progress().run == Run::None);
    }
}
