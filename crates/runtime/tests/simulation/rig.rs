//! One life of the process after another, on one store, under a clock that people set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use outlive_core::command::{Command, Create};
use outlive_core::event::{OnDisconnect, Origin, OriginKind};
use outlive_core::id::{RequestId, SessionId};
use outlive_core::session::Refusal;
use outlive_core::time::Timestamp;
use outlive_runtime::clock::{Clock, Moments, TokioClock};
use outlive_runtime::kit::Kits;
use outlive_runtime::tasks::{Fuse, Tasks};
use outlive_runtime::{Accepted, Runtime, Settings, SubmitError};
use outlive_store::Store;
use outlive_store::memory::{self, Fault, Faults};

use crate::rng::Rng;

/// A clock that somebody sets.
pub struct Wall {
    clock: TokioClock,
    by_ms: AtomicI64,
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now().micros() + self.by_ms.load(Ordering::Relaxed) * 1_000)
    }

    /// The system's looks each second, which takes long here.
    fn longest(&self) -> Duration {
        Duration::from_secs(60)
    }
}

impl Wall {
    /// Sets it anywhere within a day of what is right.
    pub fn set(&self, rng: &Rng) {
        let day = 86_400_000;
        self.by_ms.store(rng.below(2 * day) as i64 - day as i64, Ordering::Relaxed);
    }

    pub fn set_right(&self) {
        self.by_ms.store(0, Ordering::Relaxed);
    }
}

pub struct Rig {
    pub seed: u64,
    pub rng: Rng,
    pub store: Store,
    pub faults: Faults,
    pub wall: Arc<Wall>,
    lives: u64,
}

/// One life of the process.
pub struct Life {
    pub runtime: Arc<Runtime>,
    pub fuse: Arc<Fuse>,
}

pub fn by() -> Origin {
    Origin::of(OriginKind::Api)
}

impl Rig {
    pub fn new(seed: u64) -> Self {
        let (store, faults) = memory::store();
        let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
        let wall = Arc::new(Wall { clock, by_ms: AtomicI64::new(0) });
        Self { seed, rng: Rng::new(seed), store, faults, wall, lives: 0 }
    }

    /// Starts the process, to die after so many polls of its tasks.
    pub async fn start(&mut self, kits: Arc<dyn Kits>, polls: u64) -> Life {
        self.lives += 1;
        let fuse = Fuse::of(i64::try_from(polls).unwrap_or(i64::MAX));
        let moments = Moments::new(self.wall.clone(), self.seed ^ (self.lives << 32));
        let settings = Settings { idle_evict: Duration::from_secs(5), ..Settings::default() };
        let tasks = Tasks::with_fuse(Arc::clone(&fuse));
        let runtime = Runtime::start_with(self.store.clone(), kits, moments, (settings, tasks)).await.unwrap();
        Life { runtime, fuse }
    }

    /// What was running stays undone; what was written is there.
    pub fn die(&mut self, life: Life) {
        life.fuse.cut();
        drop(life);
        self.faults.clear();
        self.faults.crash();
        self.store = self.faults.reopen();
    }

    /// Waits for an answer, or for the process to be dead.
    pub async fn ask(
        &self,
        life: &Life,
        session: SessionId,
        command: Command,
        request: Option<&str>,
    ) -> Option<Result<Accepted, SubmitError>> {
        self.faults.release();
        let request: Option<RequestId> = request.map(|request| request.parse().unwrap());
        let answer = life.runtime.submit(session, command, request);
        tokio::time::timeout(Duration::from_secs(600), answer).await.ok()
    }

    /// Says whether the session is there now.
    pub async fn make(&self, life: &Life, session: SessionId) -> bool {
        let create = Create {
            agent: "sim".parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            task: None,
            on_disconnect: OnDisconnect::Continue,
            labels: Default::default(),
            memory: None,
            by: by(),
        };
        let made = self.ask(life, session, Command::Create(create), None).await;
        matches!(made, Some(Ok(_) | Err(SubmitError::Refused(Refusal::Exists))))
    }

    pub fn break_storage(&self) {
        let faults =
            [Fault::NoSpace, Fault::Io, Fault::PoisonedKept, Fault::PoisonedLost, Fault::HangBefore, Fault::HangAfter];
        let fault = faults[usize::try_from(self.rng.below(6)).unwrap()];
        self.faults.after(usize::try_from(self.rng.below(6)).unwrap(), fault);
    }

    /// Lets up to so many milliseconds pass.
    pub async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.below(ms))).await;
    }
}
