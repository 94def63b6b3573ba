//! The world outside, as it is known afterwards: what was done, what is going on, what was asked, and what must never be.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::event::Effect;
use outlive_core::id::{CallId, SessionId};
use tokio::time::Instant;

/// What really happened, however many processes died.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Vec<Deed>>>, Arc<Mutex<Vec<String>>>, Arc<Mutex<Busy>>, Arc<Mutex<Asked>>);

/// What is going on there.
#[derive(Default)]
struct Busy {
    /// Everything was stopped, and whoever asked was told so.
    stopped: bool,
    /// How many processes died: what went on in them never ends, and does nothing any more.
    deaths: u32,
    running: usize,
}

/// What the model is asked, and what nobody may ever show it again.
#[derive(Default)]
struct Asked {
    requests: u64,
    /// Sessions that are being condensed.
    condensing: BTreeSet<SessionId>,
    notes: u64,
    gone: Vec<(String, Instant)>,
}

/// Something that goes on until it is dropped, or its process dies.
pub struct Going(World, u32);

impl Drop for Going {
    fn drop(&mut self) {
        let mut busy = self.0.2.lock().unwrap();
        busy.running -= usize::from(busy.deaths == self.1);
    }
}

/// A session that is being condensed until this is dropped, or its process dies.
pub struct Condensing(World, u32, SessionId);

impl Drop for Condensing {
    fn drop(&mut self) {
        if self.0.2.lock().unwrap().deaths == self.1 {
            self.0.3.lock().unwrap().condensing.remove(&self.2);
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    pub call: CallId,
    pub effect: Effect,
}

impl World {
    pub fn did(&self, call: CallId, effect: Effect) {
        self.0.lock().unwrap().push(Deed { call, effect });
    }

    /// Notes what must never happen. A panic here would be caught, as a tool's own.
    pub fn never(&self, what: String) {
        self.1.lock().unwrap().push(what);
    }

    pub fn goes(&self, what: &str) -> Going {
        let mut busy = self.2.lock().unwrap();
        busy.running += 1;
        if busy.stopped {
            self.never(format!("{what} begins while everything is stopped"));
        }
        Going(self.clone(), busy.deaths)
    }

    /// The process died, and left this behind.
    pub fn die(&self, stopped: bool) {
        let mut busy = self.2.lock().unwrap();
        *busy = Busy { stopped, deaths: busy.deaths + 1, running: 0 };
        self.3.lock().unwrap().condensing.clear();
    }

    /// A request arrives: nothing in it may be what is forgotten.
    pub fn asked(&self, said: &str) {
        let mut asked = self.3.lock().unwrap();
        asked.requests += 1;
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1));
        let gone = asked.gone.iter().find(|(word, at)| Some(*at) < long_ago && said.contains(word));
        if let Some((word, _)) = gone {
            self.never(format!("{word} is forgotten, and shown to a model: {said}"));
        }
    }

    pub fn requests(&self) -> u64 {
        self.3.lock().unwrap().requests
    }

    /// A word that is said once.
    pub fn word(&self) -> String {
        let mut asked = self.3.lock().unwrap();
        asked.notes += 1;
        format!("note{}x", asked.notes)
    }

    pub fn forget(&self, word: &str) {
        self.3.lock().unwrap().gone.push((word.to_owned(), Instant::now()));
    }

    /// One at a time condenses a session.
    pub fn condenses(&self, session: SessionId) -> Condensing {
        if !self.3.lock().unwrap().condensing.insert(session) {
            self.never(format!("{session} is condensed twice at once"));
        }
        let deaths = self.2.lock().unwrap().deaths;
        Condensing(self.clone(), deaths, session)
    }

    pub fn set_stopped(&self, stopped: bool) {
        self.2.lock().unwrap().stopped = stopped;
    }

    pub fn running(&self) -> usize {
        self.2.lock().unwrap().running
    }

    pub fn violations(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }

    pub fn deeds(&self) -> Vec<Deed> {
        self.0.lock().unwrap().clone()
    }
}
