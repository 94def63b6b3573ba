//! Who listens to which session. A session's engine never waits for a listener: fragments may be dropped, and a listener
//! that falls behind reads the journal instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::content::Delta;
use outlive_core::event::{Entry, Line};
use outlive_core::id::SessionId;
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

struct Feed {
    sender: broadcast::Sender<Published>,
    attached: usize,
}

impl Feeds {
    /// Makes feeds that tell `left` of each session whose last listener goes.
    #[must_use]
    pub fn new(left: mpsc::Sender<SessionId>) -> Self {
        Self { sessions: Arc::default(), all: broadcast::Sender::new(4 * BEHIND), left }
    }

    /// Tells the listeners of a session.
    pub fn publish(&self, session: SessionId, what: Published) {
        // No receiver is no fault: nobody listens.
        if self.all.receiver_count() > 0 {
            self.all.send((session, what.clone())).ok();
        }
        let sender = self.lock().get(&session).map(|feed| feed.sender.clone());
        if let Some(sender) = sender {
            sender.send(what).ok();
        }
    }

    /// Says whether anybody would hear.
    #[must_use]
    pub fn heard(&self, session: SessionId) -> bool {
        self.all.receiver_count() > 0 || self.lock().contains_key(&session)
    }

    /// Says whether anybody listens to anything.
    #[must_use]
    pub fn any(&self) -> bool {
        self.all.receiver_count() > 0 || !self.lock().is_empty()
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
        let feed =
            sessions.entry(session).or_insert_with(|| Feed { sender: broadcast::Sender::new(BEHIND), attached: 0 });
        feed.attached += 1;
        Ear { receiver: feed.sender.subscribe(), feeds: self.clone(), session }
    }

    /// Listens to all sessions from now on.
    #[must_use]
    pub fn listen_to_all(&self) -> broadcast::Receiver<(SessionId, Published)> {
        self.all.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Feed>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One listener. Dropping the last one of a session frees its feed.
pub struct Ear {
    /// What is told.
    pub receiver: broadcast::Receiver<Published>,
    feeds: Feeds,
    session: SessionId,
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut sessions = self.feeds.lock();
        if let Some(feed) = sessions.get_mut(&self.session) {
            feed.attached -= 1;
            if feed.attached == 0 {
                sessions.remove(&self.session);
                // If so many leave at once that this is full, what they left goes on to its end.
                self.feeds.left.try_send(self.session).ok();
            }
        }
    }
}
