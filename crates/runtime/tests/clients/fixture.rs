//! A session whose model says what the test tells it to, when it does.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{Delta, Failure, Reply, ReplyBlock, Request, Said, StopReason, Usage};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{Behavior, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::policy::Policy;
use outlive_core::time::Timestamp;
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_runtime::{Runtime, Settings};
use outlive_store::{Store, StoreError, memory};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;
use tokio::sync::{Mutex, mpsc};

/// Time that a session goes on without a client.
pub const GRACE: Duration = Duration::from_secs(10);

/// What a model is told to say next; nothing more ends its answer.
pub enum Say {
    /// A fragment.
    Piece(Delta),
    /// The answer, whole.
    End(String),
}

struct Told(Mutex<mpsc::Receiver<Say>>);

impl Model for Told {
    fn describe(&self) -> Description {
        Description { provider: "test".into(), name: "told".into(), context_window: None }
    }

    fn stream(&self, _request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let mut said = self.0.lock().await;
            loop {
                match said.recv().await {
                    Some(Say::Piece(delta)) => sink(delta),
                    Some(Say::End(text)) => return Ok(reply(text)),
                    None => std::future::pending().await,
                }
            }
        })
    }
}

fn reply(text: String) -> Reply {
    Reply {
        content: vec![ReplyBlock::Text(text)],
        stop_reason: StopReason::EndTurn,
        usage: Usage::default(),
        model: "told".into(),
        provider_request_id: None,
        served_by: None,
    }
}

struct OneKit(Arc<Kit>);

impl Kits for OneKit {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        Ok(Arc::clone(&self.0))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

pub struct Desk {
    pub runtime: Arc<Runtime>,
    pub session: SessionId,
    pub model: mpsc::Sender<Say>,
    store: Store,
    kit: Arc<Kit>,
}

pub fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

pub fn text(text: &str) -> Delta {
    Delta::Text { text: text.into() }
}

async fn started(store: &Store, kit: &Arc<Kit>, seed: u64) -> Arc<Runtime> {
    let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
    let moments = Moments::new(Arc::new(clock), seed);
    Runtime::start(store.clone(), Arc::new(OneKit(Arc::clone(kit))), moments, Settings::default()).await.unwrap()
}

impl Desk {
    pub async fn new(on_disconnect: OnDisconnect) -> Self {
        let (model, said) = mpsc::channel(4_096);
        let toolbox = Arc::new(Toolbox::new(Vec::new()));
        let parts = FrameParts {
            system: Vec::new(),
            tools: toolbox.specs(),
            max_output_tokens: 1,
            temperature: None,
            model: "test/told".into(),
            agent_digest: "0".into(),
        };
        let kit = Arc::new(Kit {
            voices: Voices::only(Voice { frame: Frame::new(parts), model: Arc::new(Told(Mutex::new(said))) }),
            toolbox,
            policy: Policy::default(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms { disconnect_grace: GRACE, ..Terms::default() },
        });
        let (store, _faults) = memory::store();
        let runtime = started(&store, &kit, 1).await;
        let session = SessionId::from_bits(1);
        let create = Create {
            agent: "helper".parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            on_disconnect,
            labels: Default::default(),
            by: by(),
        };
        runtime.submit(session, Command::Create(create), None).await.unwrap();
        Self { runtime, session, model, store, kit }
    }

    /// A server that died and was started again.
    pub async fn restart(&mut self) {
        self.runtime.shutdown().await;
        self.runtime = started(&self.store, &self.kit, 2).await;
    }

    /// Begins a turn that goes on until the model is told to end it.
    pub async fn ask(&self) {
        let message = Message {
            content: "go".into(),
            behavior: Behavior::FollowUp,
            origin: by(),
            attachments: Vec::new(),
            output_schema: None,
        };
        self.runtime.submit(self.session, Command::Message(message), None).await.unwrap();
    }

    pub async fn say(&self, delta: Delta) {
        self.model.send(Say::Piece(delta)).await.unwrap();
    }

    pub async fn attach(&self, after: u64) -> Subscription {
        self.runtime.attach(self.session, after).await.unwrap()
    }

    pub async fn status(&self) -> &'static str {
        self.runtime.view(self.session).await.unwrap().status().as_str()
    }

    /// What the journal says of pauses, in order.
    pub async fn pauses(&self) -> Vec<&'static str> {
        let lines = self.runtime.entries(self.session, 0, 1_000).await.unwrap();
        let word = |event: &Event| match event {
            Event::SessionPaused(_) => Some("paused"),
            Event::SessionResumed(_) => Some("resumed"),
            _ => None,
        };
        lines.iter().filter_map(|line| word(&line.read().unwrap().event)).collect()
    }
}

/// What a client makes of what it hears.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Client {
    pub text: String,
    pub is_live: bool,
    pub ended: bool,
}

impl Client {
    pub fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Event(_, entry) => match &entry.event {
                Event::StepStarted(_) => self.text.clear(),
                Event::TurnEnded(_) => self.ended = true,
                _ => {}
            },
            Signal::Live => self.is_live = true,
            Signal::Delta(Delta::Text { text }) => self.text.push_str(text),
            Signal::Delta(Delta::SoFar(so_far)) => {
                let said = so_far.step.iter().flat_map(|step| &step.said);
                let text = |said: &Said| match said {
                    Said::Text { text } => Some(text.clone()),
                    Said::Thinking { .. } => None,
                };
                self.text = said.filter_map(text).collect();
            }
            Signal::Delta(Delta::Thinking { .. } | Delta::ToolOutput { .. } | Delta::Restart) => {}
        }
    }

    /// Hears until something is so.
    pub async fn until(&mut self, heard: &mut Subscription, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let signal = tokio::time::timeout(Duration::from_secs(3_600), heard.next()).await;
            self.hear(&signal.unwrap().unwrap().unwrap());
        }
    }
}
