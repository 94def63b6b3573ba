//! What every test of the runtime begins with: agents, a store that outlives its process, and a session to talk to.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Create, Message};
use outlive_core::context::{Frame, FrameParts, Window};
use outlive_core::cost::Prices;
use outlive_core::event::{Behavior, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::policy::Policy;
use outlive_core::redact::Secrets;
use outlive_core::time::Timestamp;
use outlive_model::Model;
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::scales::Scales;
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_runtime::tasks::Fuse;
use outlive_runtime::{Accepted, Courier, Outcome, Runtime, Settings, SubmitError};
use outlive_store::memory::{self, Faults};
use outlive_store::{Store, StoreError};
use outlive_tools::registry::Toolbox;
use outlive_tools::tasks::Tasks;
use outlive_tools::{Pending, Place};

/// Longer than anything here takes: a paused clock is there at once.
const PATIENCE: Duration = Duration::from_secs(3 * 86_400);

pub fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

pub fn id(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

/// A session of `helper`.
pub fn create() -> Create {
    Create {
        agent: "helper".parse().unwrap(),
        agent_digest: "0".into(),
        title: None,
        project: None,
        task: None,
        on_disconnect: OnDisconnect::Continue,
        labels: Default::default(),
        memory: None,
        by: by(),
    }
}

pub fn message(content: &str) -> Message {
    Message::text(content, Behavior::FollowUp, by())
}

/// What this model says, with these tools on offer.
pub fn voice(model: impl Model + 'static, toolbox: &Toolbox) -> Voice {
    let described = model.describe();
    let parts = FrameParts {
        // Room for all that these tests say.
        window: Window { tokens: 4_000_000, soft_cap: None, ..Window::default() },
        system: vec!["test".into()],
        tools: toolbox.specs(),
        max_output_tokens: 1_000,
        temperature: None,
        model: format!("{}/{}", described.provider, described.name),
        agent_digest: "0".into(),
    };
    Voice { frame: Frame::new(parts), model: Arc::new(model) }
}

/// A kit of this model and these tools, which works nowhere.
pub fn kit(model: impl Model + 'static, toolbox: Toolbox, policy: &str) -> Kit {
    let voice = voice(model, &toolbox);
    Kit {
        keeper: Keeper::plain(&voice),
        voices: Voices::only(voice),
        toolbox: Arc::new(toolbox),
        policy: Policy::parse(policy, "policy.yaml").unwrap(),
        place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
        terms: Terms::default(),
    }
}

type Made = Result<Arc<Kit>, KitError>;

/// Agents of any name.
#[derive(Clone)]
pub struct Agents {
    pub make: Arc<dyn Fn(&AgentName) -> Made + Send + Sync>,
    pub prices: Option<Prices>,
    /// What their calls leave running.
    pub tasks: Option<Arc<Tasks>>,
    pub secrets: Secrets,
    /// What weighs their requests; roughly where it is left out.
    pub scales: Option<Arc<Scales>>,
    /// Who carries what people are told.
    pub courier: Option<Arc<dyn Courier>>,
}

impl Agents {
    /// Their kit is made anew whenever it is asked for.
    pub fn made(make: impl Fn(&AgentName) -> Made + Send + Sync + 'static) -> Self {
        let (make, secrets) = (Arc::new(make), Secrets::default());
        Self { make, prices: None, tasks: None, secrets, scales: None, courier: None }
    }

    /// All have this kit.
    pub fn of(kit: Kit) -> Self {
        let kit = Arc::new(kit);
        Self::made(move |_| Ok(Arc::clone(&kit)))
    }

    pub fn none() -> Self {
        Self::made(|agent| Err(KitError::Unknown(agent.clone())))
    }
}

impl Aftermath for Agents {
    fn end(&self, of: Option<SessionId>) -> Pending<'_, ()> {
        match &self.tasks {
            Some(tasks) => Box::pin(tasks.end(of)),
            None => Box::pin(std::future::ready(())),
        }
    }

    fn courier(&self) -> Option<&Arc<dyn Courier>> {
        self.courier.as_ref()
    }
}

impl Kits for Agents {
    fn kit(&self, agent: &AgentName) -> Made {
        (self.make)(agent)
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }

    fn prices(&self, _model: &str) -> Option<Prices> {
        self.prices
    }

    fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    fn scales(&self) -> &Scales {
        self.scales.as_deref().unwrap_or(Scales::plain())
    }
}

/// Sessions of these agents, told apart by number, on a store that outlives its process.
pub struct House {
    pub runtime: Arc<Runtime>,
    pub faults: Faults,
    pub settings: Settings,
    pub agents: Agents,
    clock: Arc<TokioClock>,
    pub lives: u64,
}

impl House {
    /// Without a session.
    pub async fn empty(agents: Agents, settings: Settings) -> Self {
        let (store, faults) = memory::store();
        let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
        let moments = Moments::new(clock.clone(), 1);
        let runtime = Runtime::start(store, Arc::new(agents.clone()), moments, settings).await.unwrap();
        Self { runtime, faults, settings, agents, clock, lives: 1 }
    }

    /// With session 1.
    pub async fn of(agents: Agents) -> Self {
        let house = Self::empty(agents, Settings::default()).await;
        house.ask(1, Command::Create(create())).await.unwrap();
        house
    }

    /// Another process starts, on this store.
    pub async fn start(&mut self, store: Store) {
        self.lives += 1;
        let moments = Moments::new(self.clock.clone(), self.lives);
        let runtime = Runtime::start(store, Arc::new(self.agents.clone()), moments, self.settings);
        self.runtime = runtime.await.unwrap();
    }

    /// The process dies, and another starts.
    pub async fn die(&mut self) {
        self.start(self.faults.reopen()).await;
    }

    /// The process dies, and another starts that dies, too, after so many polls of its tasks.
    pub async fn die_again_after(&mut self, polls: i64) {
        self.lives += 1;
        let (store, moments) = (self.faults.reopen(), Moments::new(self.clock.clone(), self.lives));
        let with = (self.settings, outlive_runtime::tasks::Tasks::with_fuse(Fuse::of(polls)));
        self.runtime = Runtime::start_with(store, Arc::new(self.agents.clone()), moments, with).await.unwrap();
    }

    /// The process ends as it should, and another starts.
    pub async fn restart(&mut self) {
        self.runtime.shutdown().await;
        self.start(self.faults.store()).await;
    }

    pub async fn ask(&self, session: u128, command: Command) -> Result<Accepted, SubmitError> {
        self.runtime.submit(id(session), command, None).await
    }

    pub async fn say(&self, session: u128, content: &str) -> Accepted {
        self.ask(session, Command::Message(message(content))).await.unwrap()
    }

    /// Waits for the end of the turn that this began.
    pub async fn outcome(&self, session: u128, said: Accepted) -> Outcome {
        let outcome = self.runtime.outcome(id(session), said.turn.unwrap(), said.seq);
        tokio::time::timeout(PATIENCE, outcome).await.unwrap().unwrap()
    }

    pub async fn events(&self, session: u128) -> Vec<Event> {
        let lines = self.runtime.entries(id(session), 0, 100_000).await.unwrap();
        lines.iter().map(|line| line.read().unwrap().event).collect()
    }

    /// Waits until an event of this name is in the journal.
    pub async fn until(&self, session: u128, name: &str) {
        let named = |signal: &Signal| matches!(signal, Signal::Event(_, entry) if entry.event.name() == name);
        heard(&mut self.runtime.subscribe(id(session), 0), |signal| named(signal).then_some(())).await;
    }
}

/// Hears until something that is heard gives a value.
pub async fn heard<T>(heard: &mut Subscription, mut seen: impl FnMut(&Signal) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = seen(&heard.next().await.unwrap().unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap()
}
