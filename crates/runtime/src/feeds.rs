//! Who listens to which session. A session's engine never waits for a listener: fragments may be dropped, and a listener
//! that falls behind reads the journal instead, and then joins anew.
//!
//! Invariants: what is told at once is a piece of bounded size, whatever came in one append; what waits for listeners is
//! bounded by number and by bytes, and beyond that they are told where it is written.
//!
//! Also kept here, and bounded: what each running session has said so far, so that whoever joins sees it at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::{Deref, RangeInclusive};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    Events(Told),
    /// Events that are durable now, beyond what is held for listeners: the journal has them.
    Written(RangeInclusive<Seq>),
    /// A fragment of what runs.
    Delta(Delta),
    /// The session is no more.
    Removed,
}

/// How many things a listener may be behind before it reads the journal.
const BEHIND: usize = 256;

/// Bytes of lines that wait for the slowest listener of a session, and of all sessions. As events they take about as much
/// again.
const HELD_BYTES: usize = 16 << 20;
const ALL_HELD_BYTES: usize = 64 << 20;
/// Events, and bytes of their lines, that are told at once; a longer line goes alone.
const PIECE: usize = 256;
const PIECE_BYTES: usize = 1 << 20;

/// Events on their way to listeners.
#[derive(Debug, Clone)]
pub struct Told {
    events: Arc<[(Line, Entry)]>,
    _taken: Arc<Taken>,
}

impl Deref for Told {
    type Target = [(Line, Entry)];

    fn deref(&self) -> &Self::Target {
        &self.events
    }
}

/// Bytes that wait for listeners.
#[derive(Debug, Clone, Default)]
struct Room(Arc<AtomicUsize>);

/// A part of a [`Room`], until the last listener has heard it.
#[derive(Debug)]
struct Taken(Room, usize);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Room {
    /// Says events, or where there is no room for them, where they are.
    fn published(&self, events: &Arc<[(Line, Entry)]>, most: usize) -> Published {
        let bytes = events.iter().map(|(line, _)| line.as_str().len()).sum();
        let held = self.0.fetch_add(bytes, Ordering::Relaxed);
        let taken = Arc::new(Taken(self.clone(), bytes));
        match (events.first(), events.last()) {
            (Some((first, _)), Some((last, _))) if held > 0 && held + bytes > most => {
                Published::Written(first.seq()..=last.seq())
            }
            _ => Published::Events(Told { events: Arc::clone(events), _taken: taken }),
        }
    }
}

/// Cuts events into pieces that are told at once.
fn pieces(mut rest: &[(Line, Entry)]) -> impl Iterator<Item = &[(Line, Entry)]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(line, _): &&(Line, Entry)| {
            bytes += line.as_str().len();
            bytes <= PIECE_BYTES
        };
        let count = rest.iter().take(PIECE).take_while(fits).count().max(1);
        let (piece, later) = rest.split_at_checked(count)?;
        rest = later;
        Some(piece)
    })
}

/// The listeners of all sessions.
#[derive(Clone)]
pub struct Feeds {
    sessions: Arc<Mutex<HashMap<SessionId, Feed>>>,
    all: broadcast::Sender<(SessionId, Published)>,
    all_held: Room,
    /// How often something remembered was forgotten or said otherwise, in whichever session.
    changes: Arc<AtomicU64>,
    left: mpsc::Sender<SessionId>,
}

#[derive(Default)]
struct Feed {
    /// There while somebody listens.
    sender: Option<broadcast::Sender<Published>>,
    held: Room,
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
        Self {
            sessions: Arc::default(),
            all: broadcast::Sender::new(4 * BEHIND),
            all_held: Room::default(),
            changes: Arc::default(),
            left,
        }
    }

    /// Notes that something remembered was forgotten or said otherwise: other sessions may show it still.
    pub(crate) fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often that was.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Tells the listeners of a session of events that are durable now.
    pub fn tell(&self, session: SessionId, events: &[(Line, Entry)]) {
        pieces(events).for_each(|piece| self.tell_piece(session, piece));
    }

    fn tell_piece(&self, session: SessionId, events: &[(Line, Entry)]) {
        let mut sessions = self.lock();
        let feed = sessions.entry(session).or_default();
        feed.is_removed = false;
        events.iter().for_each(|(_, entry)| feed.running.event(entry));
        if feed.attached > 0 || self.all.receiver_count() > 0 {
            let events = events.into();
            feed.send(feed.held.published(&events, HELD_BYTES));
            self.all.send((session, self.all_held.published(&events, ALL_HELD_BYTES))).ok();
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

#[cfg(test)]
mod tests {
    use outlive_store::conformance::{line, lines, session};
    use outlive_store::{Append, Store};

    use super::*;
    use crate::subscribe::{Signal, Subscription};

    fn feeds() -> Feeds {
        Feeds::new(mpsc::channel(1).0)
    }

    fn read(lines: &[Line]) -> Vec<(Line, Entry)> {
        lines.iter().map(|line| (line.clone(), line.read().unwrap())).collect()
    }

    /// Events of a quarter of a piece each.
    fn large(count: u64) -> Vec<Line> {
        let text = "x".repeat(PIECE_BYTES / 4);
        (1..=count).map(|seq| line(seq, &text)).collect()
    }

    async fn append(store: &Store, expected: Seq, lines: &[Line]) {
        let epoch = store.leases.take(session(1)).await.unwrap();
        let append = Append { journal: session(1), epoch, expected, lines: lines.to_vec() };
        store.journals.append(append).await.unwrap();
    }

    #[tokio::test]
    async fn what_comes_at_once_is_told_in_pieces_in_its_order() {
        let feeds = feeds();
        let mut all = feeds.listen_to_all();
        let small = lines(0, 1_000);
        feeds.tell(session(1), &read(&[small, vec![line(1_001, &"x".repeat(2 * PIECE_BYTES))], large(9)].concat()));
        let mut heard: Vec<Vec<Seq>> = Vec::new();
        while let Ok((_, Published::Events(events))) = all.try_recv() {
            heard.push(events.iter().map(|(line, _)| line.seq()).collect());
        }
        let counts: Vec<usize> = heard.iter().map(Vec::len).collect();
        assert_eq!(counts, [256, 256, 256, 232, 1, 3, 3, 3]);
        let seqs: Vec<Seq> = heard.concat();
        assert!(seqs.into_iter().eq((1..=1_001).chain(1..=9)));
    }

    #[tokio::test]
    async fn what_waits_for_a_listener_to_all_is_bounded_by_bytes_and_said_to_be_written_beyond() {
        let feeds = feeds();
        let mut all = feeds.listen_to_all();
        let events = read(&large(300));
        feeds.tell(session(1), &events);
        let held = feeds.all_held.0.load(Ordering::Relaxed);
        assert!(held <= ALL_HELD_BYTES && held > ALL_HELD_BYTES - PIECE_BYTES, "{held}");
        let mut next = 1;
        while let Ok((_, told)) = all.try_recv() {
            let (first, last) = match told {
                Published::Events(events) => (events[0].0.seq(), events.last().unwrap().0.seq()),
                Published::Written(range) => range.into_inner(),
                Published::Delta(_) | Published::Removed => panic!("nobody said it"),
            };
            assert_eq!(first, next);
            next = last + 1;
        }
        assert_eq!((next, feeds.all_held.0.load(Ordering::Relaxed)), (301, 0), "all was heard, and nothing is held");
        feeds.tell(session(1), &events[..1]);
        assert!(matches!(all.try_recv(), Ok((_, Published::Events(_)))), "there is room again");
    }

    #[tokio::test]
    async fn a_listener_for_whom_too_much_waits_reads_the_journal_and_misses_nothing() {
        let (feeds, lines, store) = (feeds(), large(100), outlive_store::memory::store().0);
        append(&store, 0, &lines[..1]).await;
        let mut heard = Subscription::new(session(1), store.clone(), feeds.listen(session(1)), 1);
        assert!(matches!(heard.next().await, Ok(Some(Signal::Live))));
        append(&store, 1, &lines[1..]).await;
        feeds.tell(session(1), &read(&lines[1..]));
        assert!(feeds.lock()[&session(1)].held.0.load(Ordering::Relaxed) <= HELD_BYTES);
        for seq in 2..=100 {
            let signal = heard.next().await.unwrap().unwrap();
            assert!(matches!(&signal, Signal::Event(line, _) if line.seq() == seq), "{seq}: {signal:?}");
        }
    }
}
