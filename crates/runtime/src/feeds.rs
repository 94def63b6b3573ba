//! Who listens to which session. A session's engine never waits for a listener: fragments may be dropped, and a listener
//! that falls behind reads the journal instead, and then joins anew.
//!
//! Also kept here, and bounded: what each running session has said so far, so that whoever joins sees it at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::content::{Delta, SoFar};
use outlive_core::event::{Entry, Line};
use outlive_core::id::{Seq, SessionId};
use outlive_core::turn::Running;
use tokio::sync::{broadcast, mpsc};

/// What a session tells its listeners.
#[derive(Debug, Clone)]
pub enum Published {
    /// Events that are durable now.
    Events(Arc<[(Line, Entry)]>),
    /// A fragment of what runs.
    Delta(Delta),
    /// The session is no more.
    Removed,
}

/// How many things a listener may be behind before it reads the journal.
const BEHIND: usize = 256;

/// The listeners of all sessions.
#[derive(Clone)]
pub struct Feeds {
    sessions: Arc<Mutex<HashMap<SessionId, Feed>>>,
    all: broadcast::Sender<(SessionId, Published)>,
    left: mpsc::Sender<SessionId>,
}

#[derive(Default)]
struct Feed {
    /// There while somebody listens.
    sender: Option<broadcast::Sender<Published>>,
    attached: usize,
    running: Running,
    is_removed: bool,
}

impl Feed {
    fn is_needed(&self) -> bool {
        self.attached > 0 || !self.running.is_silent()
    }

    fn send(&self, what: Published) {
        // No receiver is no fault: nobody listens.
        if let Some(sender) = &self.sender {
            sender.send(what).ok();
        }
    }

    fn receiver(&mut self) -> broadcast::Receiver<Published> {
        self.sender.get_or_insert_with(|| broadcast::Sender::new(BEHIND)).subscribe()
    }
}

impl Feeds {
    /// Makes feeds that tell `left` of each session whose last listener goes.
    #[must_use]
    pub fn new(left: mpsc::Sender<SessionId>) -> Self {
        Self { sessions: Arc::default(), all: broadcast::Sender::new(4 * BEHIND), left }
    }

    /// Tells the listeners of a session of events that are durable now.
    pub fn tell(&self, session: SessionId, events: &[(Line, Entry)]) {
        let mut sessions = self.lock();
        let feed = sessions.entry(session).or_default();
        feed.is_removed = false;
        events.iter().for_each(|(_, entry)| feed.running.event(entry));
        if feed.attached > 0 || self.all.receiver_count() > 0 {
            let events = Published::Events(events.into());
            feed.send(events.clone());
            self.all.send((session, events)).ok();
        }
        if !feed.is_needed() {
            sessions.remove(&session);
        }
    }

    /// Tells the listeners of a session of a fragment. One that comes late is no fragment of anything.
    pub fn fragment(&self, session: SessionId, delta: Delta) {
        let mut sessions = self.lock();
        if let Some(feed) = sessions.get_mut(&session)
            && feed.running.delta(&delta)
        {
            feed.send(Published::Delta(delta));
        }
    }

    /// Tells the listeners that the session is no more.
    pub fn remove(&self, session: SessionId) {
        let mut sessions = self.lock();
        if let Some(feed) = sessions.get_mut(&session) {
            (feed.running, feed.is_removed) = (Running::default(), true);
            feed.send(Published::Removed);
        }
        self.all.send((session, Published::Removed)).ok();
        sessions.retain(|other, feed| *other != session || feed.is_needed());
    }

    /// The session is there again: whoever listens from now on stays.
    pub(crate) fn restored(&self, session: SessionId) {
        if let Some(feed) = self.lock().get_mut(&session) {
            feed.is_removed = false;
        }
    }

    /// Forgets what ran: whoever ran it is gone.
    pub(crate) fn silence(&self, session: SessionId) {
        if let Slot::Occupied(mut slot) = self.lock().entry(session) {
            slot.get_mut().running = Running::default();
            if !slot.get().is_needed() {
                slot.remove();
            }
        }
    }

    /// Says whether anybody listens to a session. Who listens to all of them is no client of each.
    #[must_use]
    pub fn heard(&self, session: SessionId) -> bool {
        self.lock().get(&session).is_some_and(|feed| feed.attached > 0)
    }

    /// Says whether anybody listens to anything.
    #[must_use]
    pub fn any(&self) -> bool {
        self.all.receiver_count() > 0 || self.lock().values().any(|feed| feed.attached > 0)
    }

    /// Returns how many listen, to one session or to all.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.all.receiver_count() + self.lock().values().map(|feed| feed.attached).sum::<usize>()
    }

    /// Listens to one session from now on.
    #[must_use]
    pub fn listen(&self, session: SessionId) -> Ear {
        let mut sessions = self.lock();
        let feed = sessions.entry(session).or_default();
        feed.attached += 1;
        Ear { receiver: feed.receiver(), feeds: self.clone(), session }
    }

    /// Listens to all sessions from now on.
    #[must_use]
    pub fn listen_to_all(&self) -> broadcast::Receiver<(SessionId, Published)> {
        self.all.subscribe()
    }

    /// Takes note that a restart has cut off whoever listened to a session.
    pub(crate) async fn cut_off(&self, session: SessionId) {
        self.left.send(session).await.ok();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Feed>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a listener stands that has just joined: what comes from here on is all that it has not heard.
pub(crate) struct Joined {
    /// The last event that was told before; 0 where none was.
    pub(crate) head: Seq,
    /// What runs has said before.
    pub(crate) so_far: Option<SoFar>,
    /// Whether the session is no more.
    pub(crate) is_removed: bool,
}

/// One listener. Dropping the last one of a session frees its feed.
pub struct Ear {
    /// What is told.
    pub receiver: broadcast::Receiver<Published>,
    feeds: Feeds,
    session: SessionId,
}

impl Ear {
    /// Hears from now on, and returns what there is to know of before.
    pub(crate) fn join(&mut self) -> Joined {
        let mut sessions = self.feeds.lock();
        let feed = sessions.entry(self.session).or_default();
        self.receiver = feed.receiver();
        Joined { head: feed.running.head(), so_far: feed.running.so_far(), is_removed: feed.is_removed }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut sessions = self.feeds.lock();
        let Some(feed) = sessions.get_mut(&self.session) else { return };
        feed.attached -= 1;
        if feed.attached > 0 {
            return;
        }
        feed.sender = None;
        if !feed.is_needed() {
            sessions.remove(&self.session);
        }
        // If so many leave at once that this is full, what they left goes on to its end.
        self.feeds.left.try_send(self.session).ok();
    }
}
