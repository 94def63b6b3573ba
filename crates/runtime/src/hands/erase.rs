//! Erases what is forgotten: every line that has something of it, in this journal, in all others and in the trash, is written anew
//! without, each by its session's own actor.
//!
//! What was under way when that was done (a step whose request had it, a call that had read it) may bring it back: so it is looked for
//! again in what was written since, until all of that has ended and nothing more is found. However long that takes, it is not reported
//! before.
//!
//! Invariants: the rows themselves go last: until then they say which words they are, so that a start after a death goes on. Nothing is
//! reported before the index of what is remembered has followed, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use outlive_core::command::{Command, MemoryCommand, Report};
use outlive_core::digest::Digest;
use outlive_core::event::{ArtifactRef, Line, LineError, Origin, OriginKind};
use outlive_core::id::{MemoryId, Seq, SessionId};
use outlive_core::memory::forget::{Extent, Gathering, Going, Traces, beside, kept_beside};
use outlive_core::redact::{Redactor, is_forgotten};
use outlive_core::secret::Secret;
use outlive_core::session::State;
use outlive_store::{Note, Row, StoreError};
use tokio::sync::oneshot;

use super::Errand;
use crate::actor::Mail;
use crate::noting::Left;
use crate::shell::Shell;
use crate::{Runtime, SubmitError, list, load};

/// Lines read at once.
const PAGE: usize = 1_024;
/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// Pause before sessions are asked again of which one came to its end.
const SOON: Duration = Duration::from_secs(1);
/// Lines that are named where something is left.
const NAMED: usize = 1_000;

/// What is to be forgotten, and how much goes with each.
pub(crate) type Forgetting = BTreeMap<MemoryId, Extent>;

/// A journal, wherever it lies.
pub(crate) struct Place {
    session: SessionId,
    /// What is noted of it in the trash.
    discarded: Option<Note>,
}

/// What is to be written in the place of what.
#[derive(Default)]
struct Anew {
    lines: BTreeMap<Seq, Line>,
    /// What these keep beside themselves.
    outputs: Vec<Vec<u8>>,
    /// What was made of what is forgotten, and is not.
    made: Made,
    /// The last line that was looked at.
    to: Seq,
}

/// Rows, each with how much is to go with it.
type Made = BTreeMap<MemoryId, Extent>;

/// Erases, and reports.
pub(crate) async fn erase(errand: Errand, shell: Shell, state: State) {
    let memories = state.upkeep.memories.forgetting.clone();
    let report = match everywhere(&errand, &shell, &memories).await {
        Ok(Some(lines)) => Report::Erased { memories, lines },
        Ok(None) => Report::Erased { memories: Forgetting::new(), lines: 0 },
        Err(why) => {
            tracing::warn!(%why, "what is forgotten is not erased yet");
            tokio::time::sleep(PAUSE).await;
            Report::Erased { memories: Forgetting::new(), lines: 0 }
        }
    };
    errand.report(report).await;
}

/// Returns how many lines were written anew; none where more is to be forgotten here: all of it is erased together.
async fn everywhere(errand: &Errand, shell: &Shell, forgetting: &Forgetting) -> Result<Option<u64>, String> {
    let (own, gone) = (errand.session, |error: StoreError| error.to_string());
    let (traces, _) = traces(shell, own, forgetting).await.map_err(gone)?;
    let runtime = shell.door.runtime().ok_or("the runtime is closing")?;
    let look = Look { shell, runtime: &runtime, traces: &traces, own };
    let mut seen = Seen::new();
    let (mut count, mut made) = look.pass(&mut seen).await?;
    loop {
        shell.store.memories.catch_up().await.map_err(gone)?;
        if look.forget(made).await?.is_none() {
            return Ok(None);
        }
        let (is_calm, late, made_late) = look.calm(&mut seen).await?;
        let (last, made_last) = look.pass(&mut seen).await?;
        count += late + last;
        made = made_late.into_iter().chain(made_last).collect();
        if is_calm
            && late + last == 0
            && made.is_empty()
            && let Some(rows) = look.rows(&seen).await?
        {
            shell.store.memories.catch_up().await.map_err(gone)?;
            return Ok(Some(count + rows));
        }
    }
}

/// How far each journal was looked through.
type Seen = BTreeMap<SessionId, Seq>;

/// What is looked for, wherever it is.
struct Look<'a> {
    shell: &'a Shell,
    runtime: &'a Arc<Runtime>,
    traces: &'a Traces,
    own: SessionId,
}

impl Look<'_> {
    /// Goes through all that is in journals and was not looked through yet, its own last: which words they are stands there. Returns how
    /// many lines it wrote anew, and what it found that was made of what is forgotten.
    async fn pass(&self, seen: &mut Seen) -> Result<(u64, Made), String> {
        let (mut count, mut all) = (0, Made::new());
        let mut places = places(self.shell).await.map_err(|error| error.to_string())?;
        places.sort_by_key(|place| place.session == self.own);
        for place in places {
            let (lines, made) = self.look_on(&place, seen).await?;
            all.extend(made);
            count += lines;
        }
        Ok((count, all))
    }

    /// Goes on in a journal where it was left.
    async fn look_on(&self, place: &Place, seen: &mut Seen) -> Result<(u64, Made), String> {
        let before = seen.get(&place.session).copied();
        if self.head(place).await?.is_none_or(|head| before.is_some_and(|seen| seen >= head)) {
            return Ok((0, Made::new()));
        }
        let going = match &place.discarded {
            Some(_) => Going::Derived,
            None if place.session == self.own => Going::Traces,
            None => Going::Rows,
        };
        let _alone = self.shell.door.erasing.lock().await;
        let written = self.rewrite(place, before.unwrap_or_default(), going).await?;
        Ok(written.map_or_else(Default::default, |(lines, made, to)| {
            seen.insert(place.session, to);
            (lines, made)
        }))
    }

    /// Writes anew what is behind this event. None where it has moved. What nobody can read now is named among what is left.
    async fn rewrite(&self, place: &Place, after: Seq, going: Going) -> Result<Option<(u64, Made, Seq)>, String> {
        let gone = |error: StoreError| error.to_string();
        let anew = match found(self.shell, (place, after), (self.traces, going)).await {
            Ok(anew) => anew,
            Err(StoreError::Corrupt { .. }) if place.session != self.own => {
                return Ok(Some((0, Made::new(), Seq::MAX)));
            }
            Err(StoreError::NotFound(_)) if place.session != self.own => return Ok(None),
            Err(error) => return Err(gone(error)),
        };
        let Anew { lines, outputs, made, to } = anew;
        for output in outputs {
            self.shell.store.artifacts.put(output).await.map_err(gone)?;
        }
        let count = lines.len() as u64;
        match &place.discarded {
            _ if lines.is_empty() => {}
            None => {
                let lines = lines.into_values().collect();
                self.runtime.scrub(place.session, lines).await.map_err(|error| error.to_string())?;
            }
            Some(_) => {
                let row = row(self.shell, place, &lines).await.map_err(gone)?;
                let lines = lines.into_values().collect();
                self.shell.store.trash.inside().scrub(place.session, lines, row).await.map_err(gone)?;
            }
        }
        Ok(Some((count, if going == Going::Derived { Made::new() } else { made }, to)))
    }

    async fn head(&self, place: &Place) -> Result<Option<Seq>, String> {
        if let Some(note) = &place.discarded {
            return Ok(Some(note.row.head));
        }
        match self.shell.store.journals.head(place.session).await {
            Ok(head) => Ok(Some(head)),
            Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) if place.session != self.own => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Has what was made of it forgotten, too, which was not there when that was asked. None where one is of its own journal.
    async fn forget(&self, made: Made) -> Result<Option<()>, String> {
        let mut is_own = false;
        for (memory, extent) in made {
            let known = self.shell.store.memories.get(memory).await.map_err(|error| error.to_string())?;
            // One that is forgotten is erased by whoever does that.
            let Some(session) = known.map(|known| known.row.session) else { continue };
            let what = MemoryCommand::Forget { memories: vec![memory], sources: extent == Extent::Sources };
            let command = Command::Memory { what, by: Origin::of(OriginKind::Runtime) };
            match self.runtime.submit_in_turn(session, command, None).await {
                Ok(_) if session == self.own => is_own = true,
                Ok(accepted) => drop(self.runtime.erased(session, accepted.seq, vec![memory]).await),
                Err(SubmitError::Store(StoreError::Corrupt { .. } | StoreError::NotFound(_))) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok((!is_own).then_some(()))
    }

    /// Last of all the rows themselves go, unless something has come that was not looked through.
    async fn rows(&self, seen: &Seen) -> Result<Option<u64>, String> {
        let _alone = self.shell.door.erasing.lock().await;
        for place in places(self.shell).await.map_err(|error| error.to_string())? {
            if !seen.contains_key(&place.session) && self.head(&place).await?.is_some() {
                return Ok(None);
            }
        }
        let own = Place { session: self.own, discarded: None };
        Ok(self.rewrite(&own, 0, Going::Rows).await?.map(|(lines, ..)| lines))
    }

    /// Waits until all has ended that is under way anywhere: it may have read what was erased since. What each session has written when
    /// it ended is looked through at once. Says whether it has, how many lines were written anew, and what was found made of it.
    async fn calm(&self, seen: &mut Seen) -> Result<(bool, u64, Made), String> {
        self.shell.door.recovered.cancelled().await;
        let sessions = &self.runtime.sessions;
        let inboxes = sessions.all().into_iter().filter_map(|session| Some((session, sessions.live(session)?)));
        let mut ended: FuturesUnordered<_> = inboxes
            .map(async |(session, inbox)| {
                let (reply, answer) = oneshot::channel();
                let is_asked = inbox.send(Mail::Ended(reply)).await.is_ok();
                drop(inbox);
                (session, is_asked && answer.await.is_ok())
            })
            .collect();
        let (mut is_calm, mut count, mut all) = (true, 0, Made::new());
        while let Some((session, has_ended)) = ended.next().await {
            is_calm &= has_ended;
            let (lines, made) = self.look_on(&Place { session, discarded: None }, seen).await?;
            all.extend(made);
            count += lines;
        }
        if !is_calm {
            tokio::time::sleep(SOON).await;
        }
        Ok((is_calm, count, all))
    }
}

/// Returns all journals. One that moves meanwhile is among them.
async fn places(shell: &Shell) -> Result<Vec<Place>, StoreError> {
    let mut places = BTreeMap::new();
    let discarded = async |places: &mut BTreeMap<SessionId, Option<Note>>| {
        let notes = shell.store.trash.discarded().await?;
        places.extend(notes.into_iter().map(|note| (note.row.session, Some(note))));
        Ok::<_, StoreError>(())
    };
    discarded(&mut places).await?;
    places.extend(shell.store.directory.sessions().await?.into_iter().map(|session| (session, None)));
    discarded(&mut places).await?;
    Ok(places.into_iter().map(|(session, discarded)| Place { session, discarded }).collect())
}

/// Returns what the list shows of a session in the trash, with these lines in the place of others.
async fn row(shell: &Shell, place: &Place, lines: &BTreeMap<Seq, Line>) -> Result<Row, StoreError> {
    let mut state = State::default();
    each(shell, (place, 0), |line| {
        state.apply(&load::read(place.session, lines.get(&line.seq()).unwrap_or(line))?);
        Ok(())
    })
    .await?;
    Ok(list::row(shell, (place.session, &state)))
}

/// Returns how many lines would be written anew.
pub(crate) async fn would_erase(shell: &Shell, plan: &[(SessionId, Forgetting)]) -> Result<u64, StoreError> {
    let mut found_in = BTreeSet::new();
    for (own, forgetting) in plan {
        let (traces, _) = traces(shell, *own, forgetting).await?;
        for place in places(shell).await? {
            match found(shell, (&place, 0), (&traces, Going::Rows)).await {
                Ok(anew) => found_in.extend(anew.lines.into_keys().map(|seq| (place.session, seq))),
                Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found_in.len() as u64)
}

/// Reads from the session's own journal what its forgotten rows said, and where that came from. With what stays of that.
pub(crate) async fn traces(
    shell: &Shell,
    session: SessionId,
    forgetting: &Forgetting,
) -> Result<(Traces, BTreeSet<Seq>), StoreError> {
    let mut gathering = Gathering::of(forgetting);
    each(shell, (&Place { session, discarded: None }, 0), |line| {
        if line.as_str().contains("\"memory.") {
            gathering.row(&load::read(session, line)?.event);
        }
        Ok(())
    })
    .await?;
    for seq in gathering.sources().clone() {
        let lines = shell.store.journals.read(session, seq.saturating_sub(1), 1).await?.lines;
        if let Some(line) = lines.first().filter(|line| line.seq() == seq) {
            gathering.said(load::read(session, line)?);
        }
    }
    let spared = gathering.spared();
    Ok((gathering.traces(), spared))
}

/// Returns where one of these texts is left, in order; a journal that cannot be read may have it.
pub(crate) async fn holding(shell: &Shell, texts: &[String]) -> Result<Vec<Left>, StoreError> {
    let secrets: Vec<Secret> = texts.iter().filter(|text| !is_forgotten(text)).map(Secret::new).collect();
    let (words, mut left) = (Redactor::forgetting(&secrets), Vec::new());
    for place in places(shell).await? {
        let session = place.session;
        let looked = each(shell, (&place, 0), |line| {
            let is_there = left.len() < NAMED && words.finds(line.as_str().as_bytes());
            left.extend(is_there.then(|| Left { session, seq: line.seq(), is_damaged: false }));
            Ok(())
        });
        match looked.await {
            Ok(()) | Err(StoreError::NotFound(_)) => {}
            Err(StoreError::Corrupt { line, .. }) => left.push(Left { session, seq: line, is_damaged: true }),
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Returns the lines of a journal behind this one that hold what is looked for, without it.
async fn found(
    shell: &Shell,
    (place, after): (&Place, Seq),
    (traces, going): (&Traces, Going),
) -> Result<Anew, StoreError> {
    let (mut anew, mut kept) = (Anew { to: after, ..Anew::default() }, Vec::new());
    // A line that is no event, or would be none, stays as it is; where it holds the words, it is named among what is left.
    let odd = |seq: Seq, error: &LineError| {
        tracing::warn!(session = %place.session, seq, %error, "event cannot be written anew");
    };
    each(shell, (place, after), |line| {
        anew.made.extend(traces.made(line).unwrap_or_default());
        let clean = traces.without(line, going).inspect_err(|error| odd(line.seq(), error)).unwrap_or_default();
        let output = kept_beside(clean.as_ref().unwrap_or(line));
        kept.extend(output.map(|output| (clean.clone().unwrap_or_else(|| line.clone()), output)));
        anew.lines.extend(clean.map(|clean| (clean.seq(), clean)));
        anew.to = line.seq();
        Ok(())
    })
    .await?;
    for (line, output) in kept {
        let Some((clean, bytes)) = without(shell, traces, &output).await? else { continue };
        match beside(&line, &output.hash, &clean) {
            Ok(line) => anew.lines.extend(line.map(|line| (line.seq(), line))),
            Err(error) => odd(line.seq(), &error),
        }
        anew.outputs.push(bytes);
    }
    Ok(anew)
}

/// Returns what a line keeps beside itself without what is looked for, where it holds some of it.
async fn without(
    shell: &Shell,
    traces: &Traces,
    output: &ArtifactRef,
) -> Result<Option<(ArtifactRef, Vec<u8>)>, StoreError> {
    if traces.words().is_empty() {
        return Ok(None);
    }
    let bytes = match shell.store.artifacts.get(output.hash.clone()).await {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let std::borrow::Cow::Owned(clean) = traces.words().bytes(&bytes) else { return Ok(None) };
    let (hash, length) = (Digest::of(&clean), clean.len() as u64);
    Ok(Some((ArtifactRef { hash, bytes: length, media_type: output.media_type.clone() }, clean)))
}

/// Goes through a journal's lines behind this one.
async fn each(
    shell: &Shell,
    (place, after): (&Place, Seq),
    mut with: impl FnMut(&Line) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut at = after;
    loop {
        let lines = match &place.discarded {
            None => shell.store.journals.read(place.session, at, PAGE).await?.lines,
            Some(_) => shell.store.trash.inside().read(place.session, at, PAGE).await?,
        };
        let Some(last) = lines.last() else { return Ok(()) };
        at = last.seq();
        lines.iter().try_for_each(&mut with)?;
    }
}
