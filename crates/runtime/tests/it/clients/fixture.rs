//! A session whose model says what the test tells it to, when it does.

use std::time::Duration;

use outlive_core::command::{Command, Create};
use outlive_core::content::{Delta, Failure, Reply, ReplyBlock, Request, Said, StopReason, Usage};
use outlive_core::event::{Event, OnDisconnect};
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::Settings;
use outlive_runtime::kit::{Kit, Terms};
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_tools::registry::Toolbox;
use tokio::sync::{Mutex, mpsc};

use crate::house::{Agents, House, create, id, kit};

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

pub struct Desk {
    pub house: House,
    pub model: mpsc::Sender<Say>,
}

pub fn text(text: &str) -> Delta {
    Delta::Text { text: text.into() }
}

impl Desk {
    pub async fn new(on_disconnect: OnDisconnect) -> Self {
        let (model, said) = mpsc::channel(4_096);
        let kit = kit(Told(Mutex::new(said)), Toolbox::new(Vec::new()), "mode: ask");
        let terms = Terms { disconnect_grace: GRACE, ..Terms::default() };
        let house = House::empty(Agents::of(Kit { terms, ..kit }), Settings::default()).await;
        house.ask(1, Command::Create(Create { on_disconnect, ..create() })).await.unwrap();
        Self { house, model }
    }

    /// Begins a turn that goes on until the model is told to end it.
    pub async fn ask(&self) {
        self.house.say(1, "go").await;
    }

    pub async fn say(&self, delta: Delta) {
        self.model.send(Say::Piece(delta)).await.unwrap();
    }

    pub async fn attach(&self, after: u64) -> Subscription {
        self.house.runtime.attach(id(1), after).await.unwrap()
    }

    pub async fn status(&self) -> &'static str {
        self.house.runtime.view(id(1)).await.unwrap().status().as_str()
    }

    /// What the journal says of pauses, in order.
    pub async fn pauses(&self) -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::SessionPaused(_) => Some("paused"),
            Event::SessionResumed(_) => Some("resumed"),
            _ => None,
        };
        self.house.events(1).await.iter().filter_map(word).collect()
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
