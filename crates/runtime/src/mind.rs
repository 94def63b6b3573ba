//! What an agent's tools remember with: the index, the one door, and the files that people may edit.

use std::sync::Arc;

use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::{MemoryId, RequestId};
use outlive_core::memory::world::{Told, version};
use outlive_core::memory::{Memory, Mode, Page, TOPICS, Topic};
use outlive_core::session::State;
use outlive_store::memory_files::MemoryFiles;
use outlive_store::{RecallQuery, Sight, Store, StoreError};
use outlive_tools::Pending;
use outlive_tools::memory::{Asker, Mind, Piece, Question, SHOWN};

use crate::clock::Moments;
use crate::{Door, Runtime, Whose, load};

/// What remembers for the tools of all agents.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) store: Store,
    pub(crate) door: Door,
    pub(crate) files: Arc<dyn MemoryFiles>,
}

impl Kept {
    /// Returns the session's state, if its memory is not off.
    async fn reading(&self, asker: &Asker) -> Result<State, String> {
        let state = load::state(&self.store, asker.session).await.map_err(|error| error.to_string())?.state;
        if state.upkeep.memories.mode == Some(Mode::Off) {
            return Err("the memory of this session is off".to_owned());
        }
        Ok(state)
    }

    fn runtime(&self) -> Result<Arc<Runtime>, String> {
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
            let state = self.reading(&asker).await?;
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

    fn page(&self, asker: Asker, page: Page, from: u64) -> Pending<'_, Result<Piece, String>> {
        Box::pin(async move {
            self.reading(&asker).await?;
            let read = self.files.piece(&asker.agent, &page, from).map_err(|error| error.to_string())?;
            let (bytes, all) = read.ok_or_else(|| format!("there is no `{page}`"))?;
            let piece = piece((bytes, all), from);
            let mut piece = piece.ok_or_else(|| format!("`{page}` has {all} bytes: none from {from} on"))?;
            // Whoever has seen its end has been shown all of it.
            if piece.next.is_none() {
                let read = self.files.piece(&asker.agent, &page, 0).map_err(|error| error.to_string())?;
                let whole = read.filter(|(bytes, all)| bytes.len() as u64 == *all);
                piece.version = whole.and_then(|(bytes, _)| std::str::from_utf8(&bytes).ok().map(version));
            }
            Ok(piece)
        })
    }

    fn tell_world(&self, asker: Asker, topic: Topic, told: Told) -> Pending<'_, Result<bool, String>> {
        Box::pin(async move {
            let state = self.reading(&asker).await?;
            if state.upkeep.memories.mode == Some(Mode::Incognito) {
                return Err("nothing of this session is remembered: it is incognito".to_owned());
            }
            let (files, page) = (Arc::clone(&self.files), Page::World(topic));
            let written = crate::tasks::apart(async move {
                let is_another = |page: &&Page| matches!(page, Page::World(_));
                let pages = files.pages(&asker.agent)?;
                if !pages.contains(&page) && pages.iter().filter(is_another).count() >= TOPICS {
                    let (what, why) = ("the world".to_owned(), format!("it has {TOPICS} topics: take one of these"));
                    return Err(StoreError::Refused { what, why });
                }
                files.change(&asker.agent, &page, &|before| told.make(before))
            });
            written.await.map_err(|error| error.to_string())
        })
    }
}

/// Shows a piece of a file's bytes from this one on; `None` where there are none.
fn piece((mut bytes, all): (Vec<u8>, u64), from: u64) -> Option<Piece> {
    if bytes.is_empty() && from > 0 {
        return None;
    }
    bytes.truncate(SHOWN);
    let cut = from + (bytes.len() as u64) < all;
    if let Err(error) = std::str::from_utf8(&bytes)
        && cut
        && error.error_len().is_none()
    {
        // Half a character, cut by us.
        bytes.truncate(error.valid_up_to());
    }
    let end = from + bytes.len() as u64;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(Piece { text, next: (end < all).then_some(end), bytes: all, version: None })
}
