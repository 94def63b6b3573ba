//! Reads a session back from its journal: the snapshot where it helps, then the events after it.

use std::sync::Arc;

use outlive_core::context::Transcript;
use outlive_core::event::{Aside, CheckpointCreated, Entry, Event, Line, MessageReceived};
use outlive_core::id::{Seq, SessionId};
use outlive_core::redact::Redactor;
use outlive_core::session::State;
use outlive_store::{Store, StoreError};

/// Lines read at once.
const PAGE: usize = 1_024;
/// Lines beyond which reading them keeps others waiting.
const LONG: Seq = 1_024;

/// Does what takes long on a thread apart.
async fn apart_if<T: Send + 'static>(is_long: bool, work: impl Future<Output = T> + Send + 'static) -> T {
    if is_long { crate::tasks::apart(work).await } else { work.await }
}

/// A session as its journal says it is.
pub struct Loaded {
    /// Its state.
    pub state: State,
    /// Bytes of a torn tail that the store cut at its last start.
    pub cut_bytes: u64,
    /// The last event that a snapshot covers; zero, where there is none.
    pub covered: Seq,
    /// Events that no snapshot spared reading.
    pub replayed: Seq,
}

impl Loaded {
    fn from(snapshot: State) -> Self {
        Self { cut_bytes: 0, covered: snapshot.head, replayed: 0, state: snapshot }
    }

    /// Says whether reading it took long.
    pub(crate) fn was_long(&self) -> bool {
        self.replayed > LONG
    }
}

/// Reads the state; a session that does not exist has the empty one.
///
/// # Errors
///
/// What the store says; [`StoreError::Corrupt`] where an event cannot be read.
pub async fn state(store: &Store, session: SessionId) -> Result<Loaded, StoreError> {
    let from = snapshot(store, session).await.unwrap_or_default();
    let head = match store.journals.head(session).await {
        Ok(head) => head,
        Err(StoreError::NotFound(_)) => return Ok(Loaded::from(State::default())),
        Err(error) => return Err(error),
    };
    // A snapshot from beyond the journal's end is none.
    let from = if from.head <= head { from } else { State::default() };
    let (store, rest) = (store.clone(), head - from.head);
    apart_if(rest > LONG, async move { replay(&store, session, from).await }).await
}

async fn replay(store: &Store, session: SessionId, from: State) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::from(from);
    loop {
        let opened = store.journals.read(session, loaded.state.head, PAGE).await?;
        loaded.cut_bytes = loaded.cut_bytes.max(opened.cut_bytes);
        if opened.lines.is_empty() {
            return Ok(loaded);
        }
        loaded.replayed += opened.lines.len() as Seq;
        for line in &opened.lines {
            loaded.state.apply(&read(session, line)?);
        }
    }
}

/// Reads the state as it was at `to`, and the last event up to there that is in no turn.
///
/// # Errors
///
/// As for [`state`].
pub async fn state_at(store: &Store, session: SessionId, to: Seq) -> Result<(State, Seq), StoreError> {
    let store = store.clone();
    apart_if(to > LONG, async move {
        let (mut state, mut calm) = (State::default(), 0);
        let folded = each(&store, session, to, |_, entry| {
            state.apply(&entry);
            // What comes right before a turn's start belongs to it.
            let between = entry.turn.is_none() || matches!(entry.event, Event::TurnEnded(_));
            if between && state.turn.is_none() {
                calm = entry.seq;
            }
        });
        folded.await?;
        Ok((state, calm))
    })
    .await
}

/// Reads the events up to and including `to`.
///
/// # Errors
///
/// As for [`state`].
pub async fn entries(store: &Store, session: SessionId, to: Seq) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    each(store, session, to, |_, entry| entries.push(entry)).await?;
    Ok(entries)
}

/// What of a journal a model sees.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// The last event.
    pub head: Seq,
    /// What rewinds have set aside.
    pub aside: Vec<Aside>,
    /// The first event that is shown as it is.
    pub tail_from: Seq,
    /// Where the checkpoint is that stands before it.
    pub checkpoint: Option<Seq>,
    /// That checkpoint, where the journal does not have it yet.
    pub fresh: Option<Entry>,
}

impl Sight {
    /// Returns what a session's model sees of its journal.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let view = &state.upkeep.view;
        Self {
            head: state.head,
            aside: state.profile.as_ref().map(|profile| profile.aside.clone()).unwrap_or_default(),
            tail_from: view.tail_from,
            checkpoint: view.active().map(|active| active.seq),
            fresh: None,
        }
    }

    /// Returns what the model sees of it in the running turn: of a state that sees nothing else, that state.
    #[must_use]
    pub fn of_turn(state: &State) -> Self {
        match state.sees_from() {
            Some(tail_from) => Self { tail_from, checkpoint: None, ..Self::of(state) },
            None => Self::of(state),
        }
    }
}

/// Reads the transcript that a model sees: a checkpoint, where one is in use, and the events from its tail on, without what is
/// set aside and without secrets: the journal may be older than what is known now. What the checkpoint stands for is not read.
///
/// # Errors
///
/// As for [`state`].
pub async fn transcript(
    store: &Store,
    session: SessionId,
    sight: Sight,
    redactor: Arc<Redactor>,
) -> Result<Transcript, StoreError> {
    let store = store.clone();
    let rest = sight.head.saturating_sub(sight.tail_from);
    apart_if(rest > LONG, async move {
        let mut transcript = opening(&store, session, (&sight, &redactor)).await?;
        let after = sight.tail_from.saturating_sub(1);
        let folded = each_after(&store, session, (after, sight.head), |line, entry| {
            if Aside::holds(&sight.aside, entry.seq) {
                return;
            }
            let clean = line.redacted(&redactor).ok().flatten().and_then(|clean| clean.read().ok());
            transcript.apply(clean.as_ref().unwrap_or(&entry));
        });
        folded.await?;
        Ok(transcript)
    })
    .await
}

/// Returns what the conversation begins with.
async fn opening(
    store: &Store,
    session: SessionId,
    (sight, redactor): (&Sight, &Redactor),
) -> Result<Transcript, StoreError> {
    let read = match (&sight.fresh, sight.checkpoint) {
        (Some(fresh), _) => Some(fresh.clone()),
        (None, Some(seq)) => one(store, session, seq, redactor).await?,
        (None, None) => None,
    };
    let Some(Entry { event: Event::CheckpointCreated(created), tokens, .. }) = read else {
        return Ok(Transcript::default());
    };
    let is_in_turn = created.tail_from == sight.tail_from;
    let message = async |seq: Option<Seq>| match seq.filter(|_| is_in_turn) {
        Some(seq) => self::message(store, session, seq, redactor).await,
        None => Ok(None),
    };
    let (carried, asked) = (message(created.carried).await?, message(created.schema_from).await?);
    Ok(Transcript::after((&created, tokens), carried.as_ref(), asked.as_ref()))
}

/// Reads a message, without secrets.
///
/// # Errors
///
/// As for [`state`].
pub async fn message(
    store: &Store,
    session: SessionId,
    seq: Seq,
    redactor: &Redactor,
) -> Result<Option<MessageReceived>, StoreError> {
    let read = one(store, session, seq, redactor).await?.map(|entry| entry.event);
    Ok(if let Some(Event::MessageReceived(message)) = read { Some(message) } else { None })
}

/// Reads a checkpoint, without secrets that were not known when it was made.
///
/// # Errors
///
/// As for [`state`].
pub async fn checkpoint(
    store: &Store,
    session: SessionId,
    seq: Seq,
    redactor: &Redactor,
) -> Result<Option<CheckpointCreated>, StoreError> {
    let read = one(store, session, seq, redactor).await?.map(|entry| entry.event);
    Ok(if let Some(Event::CheckpointCreated(created)) = read { Some(created) } else { None })
}

/// Reads one event, without secrets.
///
/// # Errors
///
/// As for [`state`].
pub async fn one(
    store: &Store,
    session: SessionId,
    seq: Seq,
    redactor: &Redactor,
) -> Result<Option<Entry>, StoreError> {
    let lines = store.journals.read(session, seq.saturating_sub(1), 1).await?.lines;
    let Some(line) = lines.iter().find(|line| line.seq() == seq) else { return Ok(None) };
    let clean = line.redacted(redactor).ok().flatten();
    read(session, clean.as_ref().unwrap_or(line)).map(Some)
}

/// Goes through what the model was shown of these events, page by page, without secrets, on a thread apart where there are many.
///
/// # Errors
///
/// As for [`state`].
pub async fn seen<T: Send + 'static>(
    store: &Store,
    session: SessionId,
    (covers, aside, redactor): (Aside, Vec<Aside>, Arc<Redactor>),
    (mut so_far, with): (T, fn(&mut T, &Entry)),
) -> Result<T, StoreError> {
    let store = store.clone();
    let Aside { first, last } = covers;
    apart_if(last.saturating_sub(first) > LONG, async move {
        let folded = each_after(&store, session, (first.saturating_sub(1), last), |line, entry| {
            if Aside::holds(&aside, entry.seq) {
                return;
            }
            let clean = line.redacted(&redactor).ok().flatten().and_then(|clean| clean.read().ok());
            with(&mut so_far, clean.as_ref().unwrap_or(&entry));
        });
        folded.await?;
        Ok(so_far)
    })
    .await
}

/// Goes through the events up to and including `to`, page by page.
async fn each(store: &Store, session: SessionId, to: Seq, with: impl FnMut(&Line, Entry)) -> Result<(), StoreError> {
    each_after(store, session, (0, to), with).await
}

/// Goes through the events after the first of these, up to and including the second.
async fn each_after(
    store: &Store,
    session: SessionId,
    (after, to): (Seq, Seq),
    mut with: impl FnMut(&Line, Entry),
) -> Result<(), StoreError> {
    let mut at = after;
    while at < to {
        let lines = store.journals.read(session, at, PAGE).await?.lines;
        let Some(last) = lines.last() else { break };
        at = last.seq();
        for line in lines.iter().filter(|line| line.seq() <= to) {
            with(line, read(session, line)?);
        }
    }
    Ok(())
}

/// Reads one line's event.
///
/// # Errors
///
/// [`StoreError::Corrupt`] with the line's number, which is its seq.
pub fn read(session: SessionId, line: &Line) -> Result<Entry, StoreError> {
    line.read().map_err(|error| StoreError::Corrupt { journal: session, line: line.seq(), why: error.to_string() })
}

/// Reads a session's snapshot, if one is there that can be read.
pub(crate) async fn snapshot(store: &Store, session: SessionId) -> Option<State> {
    let text = store.snapshots.get(session).await.ok()??;
    // An unreadable snapshot is as good as none: the journal has it all.
    outlive_core::session::read_snapshot(&text)
}
