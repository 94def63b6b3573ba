//! What a session's requests begin with behind what its agent is: files that people keep, and what is remembered.
//!
//! Invariant: they begin with the same bytes until the journal says that they do not, and why.

use std::sync::Arc;

use outlive_core::context::{FILES, Frame, Layer, Layers};
use outlive_core::event::{BlockHash, ContextRebuilt, RebuildCause};
use outlive_core::id::SessionId;
use outlive_core::memory::pack::{Part, choose, of_files, render};
use outlive_core::memory::{Memory, Mode, Rows, curated_within};
use outlive_core::session::{Shown, State};
use outlive_store::StoreError;

use crate::kit::Kit;
use crate::memory::{of_session, own, seen_by};
use crate::shell::Shell;

/// How long a provider keeps the beginning of a request, in milliseconds: after that nothing is lost by another one.
const CACHED_MS: u64 = 300_000;

/// Says whether requests show what is remembered. Nobody has said how far a session takes part that never asked anything.
pub(crate) fn shows(state: &State, kit: &Kit) -> bool {
    kit.keeper.memory.is_some() && state.upkeep.memories.mode != Some(Mode::Off)
}

/// Returns why it is to be made anew before the next step, where the last request began with these blocks.
pub(crate) fn is_due(state: &State, frame: &Frame, begins: &[BlockHash]) -> Option<RebuildCause> {
    match &state.upkeep.memories.shown {
        None => Some(RebuildCause::Load),
        Some(shown) => shown.stale.or_else(|| frame.is_another_than(begins).then_some(RebuildCause::Reload)),
    }
}

/// Returns what the next request begins with, where the last one began with these blocks and behind what the agent is there were
/// these layers. Nothing is written.
pub(crate) async fn of_next(
    (shell, session, state): (&Shell, SessionId, &State),
    (kit, frame): (&Kit, &Frame),
    (begins, before): (&[BlockHash], Option<&Layers>),
) -> Result<Layers, StoreError> {
    if !shows(state, kit) {
        return Ok(Layers::default());
    }
    let due = is_due(state, frame, begins);
    if let Some(layers) = before.filter(|_| due.is_none()) {
        return Ok(layers.clone());
    }
    let rows = of_session(shell, session, state.head).await?;
    Ok(Prefix { shell, state, kit, frame, rows }.begin(due).await?.layers())
}

/// How requests begin from now on.
pub(crate) enum Begins {
    /// As they did before this process read the session.
    AsBefore(Layers),
    /// Otherwise, and the journal is told so.
    Anew(Layers, ContextRebuilt),
}

impl Begins {
    pub(crate) fn layers(self) -> Layers {
        match self {
            Self::AsBefore(layers) | Self::Anew(layers, _) => layers,
        }
    }
}

/// What it is made of.
pub(crate) struct Prefix<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) state: &'a State,
    pub(crate) kit: &'a Kit,
    pub(crate) frame: &'a Frame,
    /// What the session's own journal says is remembered.
    pub(crate) rows: Arc<Rows>,
}

impl Prefix<'_> {
    /// Makes it: as it was, where nothing is due and a provider may have it in a cache still.
    pub(crate) async fn begin(&self, due: Option<RebuildCause>) -> Result<Begins, StoreError> {
        let files = self.files();
        let is_cached = |shown: &&Shown| self.shell.moments.now().ms_since(shown.asked_at) < CACHED_MS;
        let before = self.state.upkeep.memories.shown.as_ref().filter(is_cached).filter(|_| due.is_none());
        if let Some(shown) = before
            && let Some(layers) = self.as_before(shown, files.clone()).await?
        {
            return Ok(Begins::AsBefore(layers));
        }
        self.anew(due.unwrap_or(RebuildCause::Load), files).await
    }

    async fn anew(&self, cause: RebuildCause, files: Option<Layer>) -> Result<Begins, StoreError> {
        let (window, cap) =
            (&self.frame.window, self.kit.keeper.memory.as_ref().and_then(|memory| memory.global_tokens));
        let count = |text: &str| self.count(text);
        let weight = self.frame.weight();
        let fixed = self.scaled(weight.all().tokens) + files.as_ref().map_or(0, |layer| count(layer.text()));
        let now = self.shell.moments.now();
        let holds = |memory: &Memory| memory.until.is_none_or(|until| until > now);
        let (store, session) = (&self.shell.store, self.state.profile.as_ref().map(|profile| profile.session));
        let own = match session {
            Some(session) => own(store, session, &self.rows).await?.into_iter().filter(holds).collect(),
            None => Vec::new(),
        };
        let others = seen_by(store, self.state, &self.rows).await?.into_iter().filter(holds).collect();
        let global = choose(others, Part::Global.tokens((window, fixed), cap), &count);
        let session = choose(own, Part::Session.tokens((window, fixed), cap), &count);
        let layers = self.layers(files, (&global, &session));
        let ids = |memories: &[Memory]| memories.iter().map(|memory| memory.id).collect();
        let (blocks, global, session) = (self.frame.blocks(&layers), ids(&global), ids(&session));
        Ok(Begins::Anew(layers, ContextRebuilt { cause, blocks, global, session }))
    }

    /// Renders the same rows again; none where they, or the files, do not say the same any more.
    async fn as_before(&self, shown: &Shown, files: Option<Layer>) -> Result<Option<Layers>, StoreError> {
        let session: Vec<Memory> =
            shown.session.iter().filter_map(|id| self.rows.get(*id)).map(|row| row.memory.clone()).collect();
        let layers = self.layers(files, (&self.of_others(shown).await?, &session));
        // The frame's own are at its beginning, but for what older versions wrote.
        let is_same =
            shown.blocks.ends_with(&layers.blocks()) && shown.blocks.len() <= self.frame.blocks(&layers).len();
        Ok(is_same.then_some(layers))
    }

    /// Says why what is shown is old, where another session has forgotten it or says it otherwise.
    pub(crate) async fn changed_elsewhere(&self) -> Result<Option<RebuildCause>, StoreError> {
        let Some(shown) = &self.state.upkeep.memories.shown else { return Ok(None) };
        let global = self.of_others(shown).await?;
        if global.len() < shown.global.len() {
            return Ok(Some(RebuildCause::Forget));
        }
        let blocks = self.layers(None, (&global, &[])).blocks();
        let is_same = blocks.iter().all(|block| shown.blocks.contains(block));
        Ok((!is_same).then_some(RebuildCause::Reload))
    }

    async fn of_others(&self, shown: &Shown) -> Result<Vec<Memory>, StoreError> {
        let mut rows = Vec::new();
        for id in &shown.global {
            rows.extend(self.shell.store.memories.get(*id).await?.map(|known| known.row.memory));
        }
        Ok(rows)
    }

    /// The files as they are now, within their budget. What cannot be read is left out: the agent's card says so.
    fn files(&self) -> Option<Layer> {
        let agent = &self.state.profile.as_ref()?.agent;
        let (mut files, _warnings) = self.kit.keeper.files.all(agent);
        let redactor = self.shell.kits.secrets().now();
        files.iter_mut().for_each(|file| file.text = redactor.text(&file.text).into_owned());
        let text = curated_within(&files, of_files(&self.frame.window), &|text| self.count(text));
        (!text.is_empty()).then(|| Layer::new(FILES, text, &**self.shell.kits.scales().counter()))
    }

    fn layers(&self, files: Option<Layer>, (global, session): (&[Memory], &[Memory])) -> Layers {
        let (counter, redactor) = (&**self.shell.kits.scales().counter(), self.shell.kits.secrets().now());
        // What was noted may be older than what is known to be secret.
        let clean = |text: String| redactor.text(&text).into_owned();
        let layer =
            |part: Part, rows: &[Memory]| render(part, rows).map(|text| Layer::new(part.name(), clean(text), counter));
        Layers([files, layer(Part::Global, global), layer(Part::Session, session)].into_iter().flatten().collect())
    }

    /// Counts as this model does.
    fn count(&self, text: &str) -> u64 {
        self.scaled(u64::from(self.shell.kits.scales().counter().count(text)))
    }

    fn scaled(&self, tokens: u64) -> u64 {
        let ratio = self.shell.kits.scales().calibration(&self.frame.model).ratio().max(1.0);
        (tokens as f64 * ratio).ceil() as u64
    }
}
