//! Which sessions are live: one actor each, started when somebody needs it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::id::SessionId;
use tokio::sync::mpsc;

use crate::actor::{Life, Mail, spawn};
use crate::shell::Shell;

/// The live sessions' inboxes.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<SessionId, mpsc::Sender<Mail>>>>);

impl Sessions {
    /// Returns the session's inbox, starting its actor if it has none.
    pub(crate) fn inbox(&self, id: SessionId, shell: &Shell) -> mpsc::Sender<Mail> {
        let mut live = self.lock();
        match live.entry(id) {
            // An inbox nobody reads any more belonged to an actor that died.
            Entry::Occupied(entry) if !entry.get().is_closed() => entry.get().clone(),
            entry @ (Entry::Occupied(_) | Entry::Vacant(_)) => {
                let (sender, inbox) = mpsc::channel(shell.settings.inbox);
                entry.insert_entry(sender.clone());
                let life = Life { id, shell: shell.clone(), sessions: self.clone() };
                spawn(life, inbox, sender.clone());
                sender
            }
        }
    }

    /// Returns the session's inbox if it is live.
    pub(crate) fn live(&self, id: SessionId) -> Option<mpsc::Sender<Mail>> {
        self.lock().get(&id).filter(|sender| !sender.is_closed()).cloned()
    }

    /// Takes the session off, if `alone` still says so while nobody can get its inbox.
    pub(crate) fn leave(&self, id: SessionId, alone: impl FnOnce() -> bool) -> bool {
        let mut live = self.lock();
        let leaves = alone();
        if leaves {
            live.remove(&id);
        }
        leaves
    }

    pub(crate) fn remove(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    /// Returns all that are live.
    pub(crate) fn all(&self) -> Vec<SessionId> {
        self.lock().keys().copied().collect()
    }

    /// Returns how many are live.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns how many commands wait for them.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().values().map(|inbox| inbox.max_capacity() - inbox.capacity()).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, mpsc::Sender<Mail>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
