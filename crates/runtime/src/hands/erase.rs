//! Erases what is forgotten: every line that has something of it, in this journal and in all others, is written anew without, each by
//! its session's own actor.
//!
//! Invariants: this journal's own lines go last: until then its rows say which words they are, so that a start after a death goes on.
//! Nothing is reported before the index of what is remembered has followed, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::Report;
use outlive_core::digest::Digest;
use outlive_core::event::{ArtifactRef, Line, LineError};
use outlive_core::id::{MemoryId, Seq, SessionId};
use outlive_core::memory::forget::{Extent, Gathering, Traces, Whose, beside, kept_beside};
use outlive_core::redact::{Redactor, is_forgotten};
use outlive_core::secret::Secret;
use outlive_core::session::State;
use outlive_store::StoreError;

use super::Errand;
use crate::noting::Left;
use crate::shell::Shell;
use crate::{Runtime, load};

/// Lines read at once.
const PAGE: usize = 1_024;
/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// Lines that are named where something is left.
const NAMED: usize = 1_000;

/// What is to be forgotten, and how much goes with each.
pub(crate) type Forgetting = BTreeMap<MemoryId, Extent>;

/// What is to be written in the place of what.
#[derive(Default)]
struct Anew {
    lines: BTreeMap<Seq, Line>,
    /// What these keep beside themselves.
    outputs: Vec<Vec<u8>>,
}

/// Erases, and reports.
pub(crate) async fn erase(errand: Errand, shell: Shell, state: State) {
    let memories = state.upkeep.memories.forgetting.clone();
    let report = match everywhere(&errand, &shell, &memories).await {
        Ok(lines) => Report::Erased { memories, lines },
        Err(why) => {
            tracing::warn!(%why, "what is forgotten is not erased yet");
            tokio::time::sleep(PAUSE).await;
            Report::Erased { memories: Forgetting::new(), lines: 0 }
        }
    };
    errand.report(report).await;
}

async fn everywhere(errand: &Errand, shell: &Shell, forgetting: &Forgetting) -> Result<u64, String> {
    let (own, gone) = (errand.session, |error: StoreError| error.to_string());
    let (traces, _) = traces(shell, own, forgetting).await.map_err(gone)?;
    let runtime = shell.door.runtime().ok_or("the runtime is closing")?;
    let look = Look { shell, runtime: &runtime, traces: &traces, own };
    let (mut seen, mut count) = (Seen::from([(own, Seq::MAX)]), 0);
    count += look.others(&mut seen).await?;
    seen.remove(&own);
    // Its own last. A fork may have been made of what it was, and what was read before may have been said since.
    count += look.others(&mut seen).await?;
    if count > 0 {
        // What was found by its words is found no more.
        shell.store.search.begin_anew().await.map_err(gone)?;
    }
    shell.store.memories.catch_up().await.map_err(gone)?;
    Ok(count)
}

/// How far each journal was looked through.
type Seen = BTreeMap<SessionId, Seq>;

/// Times that journals are looked through again that grow meanwhile.
const ROUNDS: usize = 4;

/// What is looked for, wherever it is.
struct Look<'a> {
    shell: &'a Shell,
    runtime: &'a Arc<Runtime>,
    traces: &'a Traces,
    own: SessionId,
}

impl Look<'_> {
    /// Goes through all journals that were not seen yet, or have grown since, until there are none.
    async fn others(&self, seen: &mut Seen) -> Result<u64, String> {
        let gone = |error: StoreError| error.to_string();
        let mut count = 0;
        for _ in 0..ROUNDS {
            let before = seen.clone();
            for session in self.shell.store.directory.sessions().await.map_err(gone)? {
                let head = match self.shell.store.journals.head(session).await {
                    Ok(head) => head,
                    Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) if session != self.own => continue,
                    Err(error) => return Err(gone(error)),
                };
                if before.get(&session).is_none_or(|seen| *seen < head) {
                    count += self.rewrite(session).await?;
                    seen.insert(session, head);
                }
            }
            if *seen == before {
                break;
            }
        }
        Ok(count)
    }

    async fn rewrite(&self, session: SessionId) -> Result<u64, String> {
        let whose = if session == self.own { Whose::Own } else { Whose::Other };
        let alone = self.shell.door.erasing.lock().await;
        let anew = match found(self.shell, session, (self.traces, whose)).await {
            Ok(anew) => anew,
            // Nobody can read it now: it is named among what is left.
            Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) if whose == Whose::Other => return Ok(0),
            Err(error) => return Err(error.to_string()),
        };
        for output in anew.outputs {
            self.shell.store.artifacts.put(output).await.map_err(|error| error.to_string())?;
        }
        let lines: Vec<Line> = anew.lines.into_values().collect();
        let count = lines.len() as u64;
        if count > 0 {
            self.runtime.scrub(session, lines).await.map_err(|error| error.to_string())?;
        }
        drop(alone);
        Ok(count)
    }
}

/// Returns how many lines would be written anew.
pub(crate) async fn would_erase(shell: &Shell, plan: &[(SessionId, Forgetting)]) -> Result<u64, StoreError> {
    let mut found_in = BTreeSet::new();
    for (own, forgetting) in plan {
        let (traces, _) = traces(shell, *own, forgetting).await?;
        for session in shell.store.directory.sessions().await? {
            let whose = if session == *own { Whose::Own } else { Whose::Other };
            match found(shell, session, (&traces, whose)).await {
                Ok(anew) => found_in.extend(anew.lines.into_keys().map(|seq| (session, seq))),
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
    each(shell, session, |line| {
        if line.as_str().contains("\"memory.") {
            gathering.row(&load::read(session, line)?.event);
        }
        Ok(())
    })
    .await?;
    let (sources, spared) = (gathering.sources().clone(), gathering.spared());
    if !sources.is_empty() {
        each(shell, session, |line| {
            if sources.contains(&line.seq()) {
                gathering.said(&load::read(session, line)?.event);
            }
            Ok(())
        })
        .await?;
    }
    Ok((gathering.traces(), spared))
}

/// Returns where one of these texts is left, in order; a journal that cannot be read may have it.
pub(crate) async fn holding(shell: &Shell, texts: &[String]) -> Result<Vec<Left>, StoreError> {
    let secrets: Vec<Secret> = texts.iter().filter(|text| !is_forgotten(text)).map(Secret::new).collect();
    let (words, mut left) = (Redactor::forgetting(&secrets), Vec::new());
    for session in shell.store.directory.sessions().await? {
        let looked = each(shell, session, |line| {
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

/// Returns the lines of a journal that hold what is looked for, without it.
async fn found(shell: &Shell, session: SessionId, what: (&Traces, Whose)) -> Result<Anew, StoreError> {
    let ((traces, whose), mut anew, mut kept) = (what, Anew::default(), Vec::new());
    let corrupt =
        |seq: Seq, error: LineError| StoreError::Corrupt { journal: session, line: seq, why: error.to_string() };
    each(shell, session, |line| {
        let clean = traces.without(line, whose).map_err(|error| corrupt(line.seq(), error))?;
        let output = kept_beside(clean.as_ref().unwrap_or(line));
        kept.extend(output.map(|output| (clean.clone().unwrap_or_else(|| line.clone()), output)));
        anew.lines.extend(clean.map(|clean| (clean.seq(), clean)));
        Ok(())
    })
    .await?;
    for (line, output) in kept {
        let Some((clean, bytes)) = without(shell, traces, &output).await? else { continue };
        let line = beside(&line, &output.hash, &clean).map_err(|error| corrupt(line.seq(), error))?;
        anew.lines.extend(line.map(|line| (line.seq(), line)));
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

/// Goes through a journal's lines.
pub(crate) async fn each(
    shell: &Shell,
    session: SessionId,
    mut with: impl FnMut(&Line) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut at = 0;
    loop {
        let lines = shell.store.journals.read(session, at, PAGE).await?.lines;
        let Some(last) = lines.last() else { return Ok(()) };
        at = last.seq();
        lines.iter().try_for_each(&mut with)?;
    }
}
