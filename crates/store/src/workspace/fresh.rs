//! Artifacts that were stored and that no event names yet: they are kept, though nobody seems to refer to them. And those
//! that were erased: no event that names one comes after that.
//!
//! Invariants: as often as an artifact was stored, so often its naming is awaited, but no longer than from one daily sweep to
//! the next; an append that names one whose users are looked for keeps it; nothing is appended that names one of those that
//! were erased lately.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::archive::SessionArchive;
use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::time::Timestamp;
use tokio::sync::RwLock;

use crate::files::named_in;
use crate::{Append, Artifacts, Pending, StoreError};

/// What was stored lately.
#[derive(Default)]
pub(super) struct Fresh {
    stored: Mutex<Stored>,
    /// An append has ended.
    ended: Condvar,
    /// Held together by those who store, and alone by whoever removes: appends wait for neither.
    storing: RwLock<()>,
}

#[derive(Default)]
struct Stored {
    /// How many were stored.
    count: u64,
    /// Stored more often than named.
    unnamed: BTreeMap<Digest, Awaited>,
    /// Appends that are being written, by number.
    appending: BTreeSet<u64>,
    /// How many appends began.
    appends: u64,
    /// Those whose users are looked for, and whether an append that began meanwhile names one.
    doubted: BTreeMap<Digest, bool>,
    /// Those that were erased and not stored since.
    erased: BTreeSet<Digest>,
}

/// Events that are to come and name an artifact.
#[derive(Default)]
struct Awaited {
    times: usize,
    /// The moment up to which the first sweep went that came across them.
    seen: Option<Timestamp>,
}

/// The moment at which a look for users of artifacts began.
pub(super) struct Began {
    count: u64,
    unnamed: BTreeSet<Digest>,
}

/// Whether nothing was stored since a look began.
pub(super) enum Quiet<T> {
    /// Nothing was: this came of what was done then.
    Yes(T),
    /// Something was: look again.
    No,
}

/// How long appends that began before a look are waited for.
const WAIT: Duration = Duration::from_secs(10);
/// How long after a sweep came across an artifact its naming is awaited: microseconds.
const PATIENCE: i64 = 86_400_000_000;
/// Erased artifacts that are remembered. Once there are more, those of the last erasure are.
const ERASED: usize = 1 << 16;

impl Fresh {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an append, and notes what it names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if it names an artifact that was erased.
    pub(super) fn naming(&self, append: &Append) -> Result<Naming<'_>, StoreError> {
        let mut stored = self.stored();
        let mut named = BTreeMap::new();
        if !(stored.unnamed.is_empty() && stored.doubted.is_empty() && stored.erased.is_empty()) {
            let found = named_in(&append.lines);
            if found.iter().any(|hash| stored.erased.contains(hash))
                && let Some(gone) = SessionArchive::hashes(&append.lines).intersection(&stored.erased).next()
            {
                let why = format!("artifact {gone}, which it names, was deleted for good; give its bytes again");
                return Err(StoreError::Refused { what: format!("append to {}", append.journal), why });
            }
            for hash in found {
                if let Some(is_named) = stored.doubted.get_mut(&hash) {
                    *is_named = true;
                }
                if stored.unnamed.contains_key(&hash) {
                    let times = times(&append.lines, &hash);
                    named.insert(hash, times);
                }
            }
        }
        stored.appends += 1;
        let number = stored.appends;
        stored.appending.insert(number);
        Ok(Naming { fresh: self, number, named })
    }

    /// Begins to doubt artifacts: appends that name one of them are noticed from here on. Those that began before have ended
    /// when it returns. Blocks.
    pub(super) fn doubt(&self, artifacts: &BTreeSet<Digest>) -> io::Result<Doubt<'_>> {
        let mut stored = self.stored();
        stored.doubted = artifacts.iter().map(|hash| (hash.clone(), false)).collect();
        let doubt = Doubt(self);
        let last = stored.appends;
        let is_before = |stored: &mut Stored| stored.appending.first().is_some_and(|oldest| *oldest <= last);
        let (stored, waited) =
            self.ended.wait_timeout_while(stored, WAIT, is_before).unwrap_or_else(PoisonError::into_inner);
        drop(stored);
        if waited.timed_out() { Err(io::Error::other("an append does not end")) } else { Ok(doubt) }
    }

    /// Gives up events that name one of these, and were awaited already when another sweep, which went up to a day before
    /// this moment, came across it: they went with whoever stored it.
    pub(super) fn give_up(&self, artifacts: &BTreeSet<Digest>, before: Timestamp) {
        self.stored().unnamed.retain(|hash, awaited| {
            let seen = if artifacts.contains(hash) { *awaited.seen.get_or_insert(before) } else { before };
            before.micros().saturating_sub(seen.micros()) < PATIENCE
        });
    }
}

/// Says how often an artifact's naming is in these lines: an event says that it was stored, or, with attachments, one does
/// for all.
fn times(lines: &[Line], hash: &Digest) -> usize {
    let names = |line: &&Line| line.as_str().contains(hash.as_str());
    lines.iter().filter(names).filter(|line| line.as_str().contains("\"type\":\"artifact.stored\"")).count().max(1)
}

/// An append that is being written.
pub(super) struct Naming<'a> {
    fresh: &'a Fresh,
    number: u64,
    named: BTreeMap<Digest, usize>,
}

impl Naming<'_> {
    /// Says that its lines are durable.
    pub(super) fn settle(&self) {
        let mut stored = self.fresh.stored();
        for (hash, times) in &self.named {
            if let Some(awaited) = stored.unnamed.get_mut(hash) {
                awaited.times = awaited.times.saturating_sub(*times);
            }
        }
        if !self.named.is_empty() {
            stored.unnamed.retain(|_, awaited| awaited.times > 0);
        }
    }
}

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        let mut stored = self.fresh.stored();
        stored.appending.remove(&self.number);
        if !stored.doubted.is_empty() {
            self.fresh.ended.notify_all();
        }
    }
}

/// Artifacts whose users are looked for, until it is dropped.
pub(super) struct Doubt<'a>(&'a Fresh);

impl Doubt<'_> {
    pub(super) fn begin(&self) -> Began {
        let stored = self.0.stored();
        Began { count: stored.count, unnamed: stored.unnamed.keys().cloned().collect() }
    }

    /// Erases these while nothing is stored, if nothing was since `began`. Those stay that some event may name which is still
    /// to come, or came meanwhile. Returns how many went.
    pub(super) fn erase_while_quiet(
        &self,
        began: &Began,
        artifacts: &BTreeSet<Digest>,
        erase: impl FnOnce(&[Digest]) -> io::Result<()>,
    ) -> Quiet<io::Result<usize>> {
        let Ok(_alone) = self.0.storing.try_write() else { return Quiet::No };
        let mut stored = self.0.stored();
        if stored.count != began.count {
            return Quiet::No;
        }
        let gone = artifacts.difference(&began.unnamed).filter(|hash| stored.doubted.get(*hash) == Some(&false));
        let gone: Vec<Digest> = gone.cloned().collect();
        if stored.erased.len() + gone.len() > ERASED {
            stored.erased.clear();
        }
        stored.erased.extend(gone.iter().cloned());
        // What is appended from here on and names one of them is refused.
        drop(stored);
        Quiet::Yes(erase(&gone).map(|()| gone.len()))
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.stored().doubted.clear();
    }
}

/// Artifacts whose storing is noted.
pub(super) struct Noted {
    pub(super) artifacts: Arc<dyn Artifacts>,
    pub(super) fresh: Arc<Fresh>,
}

impl Artifacts for Noted {
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>> {
        Box::pin(async move {
            let _storing = self.fresh.storing.read().await;
            let hash = self.artifacts.put(bytes).await?;
            let mut stored = self.fresh.stored();
            stored.erased.remove(&hash);
            stored.count += 1;
            let awaited = stored.unnamed.entry(hash.clone()).or_default();
            awaited.times += 1;
            awaited.seen = None;
            Ok(hash)
        })
    }

    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.artifacts.get(hash)
    }
}
