//! What an agent's tools remember with: the index, and the one door.

use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::{MemoryId, RequestId};
use outlive_core::memory::{Memory, Mode};
use outlive_store::{RecallQuery, Sight, Store};
use outlive_tools::Pending;
use outlive_tools::memory::{Asker, Mind, Question};

use crate::clock::Moments;
use crate::{Door, Runtime, Whose, load};

/// What remembers for the tools of all agents.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) store: Store,
    pub(crate) door: Door,
}

impl Kept {
    fn runtime(&self) -> Result<std::sync::Arc<Runtime>, String> {
        self.door.runtime().ok_or_else(|| "the server is only starting, or closing: try again".to_owned())
    }
}

fn asked(asker: &Asker) -> (Origin, Option<RequestId>) {
    let by = Origin { kind: OriginKind::Runtime, sender: Some(asker.agent.to_string()) };
    (by, asker.key.parse().ok())
}

impl Mind for Kept {
    fn recall(&self, asker: Asker, question: Question) -> Pending<'_, Result<(Vec<Memory>, Vec<String>), String>> {
        Box::pin(async move {
            let runtime = self.runtime()?;
            let moments: &Moments = runtime.moments();
            let state = load::state(&self.store, asker.session).await.map_err(|error| error.to_string())?.state;
            if state.upkeep.memories.mode == Some(Mode::Off) {
                return Err("the memory of this session is off".to_owned());
            }
            let project = state.profile.and_then(|profile| profile.project);
            let sight = Sight { agent: Some(asker.agent.to_string()), session: Some(asker.session), project };
            let query = RecallQuery {
                text: question.text,
                sight,
                now: moments.now(),
                as_of: question.as_of,
                limit: question.limit,
                ..RecallQuery::default()
            };
            let found = runtime.recall(query).await.map_err(|error| error.to_string())?;
            Ok((found.hits.into_iter().map(|hit| hit.row.memory).collect(), found.notes))
        })
    }

    fn remember(&self, asker: Asker, memory: Memory) -> Pending<'_, Result<MemoryId, String>> {
        Box::pin(async move {
            let whose = Whose::Session(asker.session);
            let noted = self.runtime()?.note(&whose, memory, asked(&asker)).await;
            noted.map(|(_, memory)| memory.id).map_err(|error| error.to_string())
        })
    }

    fn reflect(&self, asker: Asker) -> Pending<'_, Result<Vec<Memory>, String>> {
        Box::pin(async move {
            let whose = Whose::Session(asker.session);
            self.runtime()?.reflect(&whose, false, asked(&asker)).await.map_err(|error| error.to_string())
        })
    }
}
