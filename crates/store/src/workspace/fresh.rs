//! Artifacts that were stored and that no event names yet: they are kept, though nobody seems to refer to them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::digest::Digest;
use outlive_core::event::Line;

use crate::{Artifacts, Pending, StoreError};

/// What was stored lately.
#[derive(Default)]
pub(super) struct Fresh(Mutex<Stored>);

#[derive(Default)]
struct Stored {
    /// How many are being stored now.
    under_way: usize,
    /// How many were stored.
    count: u64,
    unnamed: BTreeSet<Digest>,
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

impl Fresh {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Began {
        let stored = self.stored();
        Began { count: stored.count, unnamed: stored.unnamed.clone() }
    }

    /// Does something while nothing is stored, if nothing was since `began`. It is told which artifacts some event may name
    /// that is still to come, or came meanwhile.
    pub(super) fn while_quiet<T>(&self, began: &Began, act: impl FnOnce(&BTreeSet<Digest>) -> T) -> Quiet<T> {
        let stored = self.stored();
        if stored.under_way > 0 || stored.count != began.count {
            return Quiet::No;
        }
        Quiet::Yes(act(&began.unnamed))
    }

    /// Returns those of the unnamed ones that these lines name.
    pub(super) fn named_in(&self, lines: &[Line]) -> Vec<Digest> {
        let stored = self.stored();
        let is_named = |hash: &&Digest| lines.iter().any(|line| line.as_str().contains(hash.as_str()));
        stored.unnamed.iter().filter(is_named).cloned().collect()
    }

    /// Says that these are named by durable lines.
    pub(super) fn settle(&self, named: &[Digest]) {
        if !named.is_empty() {
            let mut stored = self.stored();
            stored.unnamed.retain(|hash| !named.contains(hash));
        }
    }
}

/// Artifacts whose storing is noted.
pub(super) struct Noted {
    pub(super) artifacts: Arc<dyn Artifacts>,
    pub(super) fresh: Arc<Fresh>,
}

/// One that is being stored.
struct UnderWay<'a>(&'a Fresh);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut stored = self.0.stored();
        stored.under_way -= 1;
        stored.count += 1;
    }
}

impl Artifacts for Noted {
    fn put(&self, bytes: Vec<u8>) -> Pending<'_, Result<Digest, StoreError>> {
        Box::pin(async move {
            self.fresh.stored().under_way += 1;
            let _under_way = UnderWay(&self.fresh);
            let hash = self.artifacts.put(bytes).await?;
            self.fresh.stored().unnamed.insert(hash.clone());
            Ok(hash)
        })
    }

    fn get(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.artifacts.get(hash)
    }
}
