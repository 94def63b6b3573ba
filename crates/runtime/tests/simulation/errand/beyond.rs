//! What is beyond an errand's process, and outlasts it: what its commands do there. And an agent whose answers follow from what it
//! is asked, so that a run that is disturbed is asked nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::content::{
    Block, Failure, FailureKind, Message, Reply, ReplyBlock, Request, StopReason, ToolSpec, Usage,
};
use outlive_core::context::{Frame, FrameParts, Window};
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::id::AgentName;
use outlive_core::policy::{Policy, Reach, Subject};
use outlive_core::session::SELECT_STATE;
use outlive_core::time::Timestamp;
use outlive_model::{Description, Model, Sink};
use outlive_runtime::clock::Clock as _;
use outlive_runtime::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_tools::builtin::Relays;
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::{Value, json};

use super::Plan;
use crate::hands::finished;
use crate::rig::Wall;
use crate::rng::Rng;

/// Clones are the same.
#[derive(Clone)]
pub struct Beyond {
    plan: Plan,
    wall: Arc<Wall>,
    began: Timestamp,
    done: Arc<Mutex<Done>>,
}

#[derive(Default)]
struct Done {
    /// What cannot be taken back, by the key of the state's entry.
    deeds: BTreeMap<String, u32>,
    tries: u64,
    looks: u64,
    /// Commands that run now.
    running: u32,
    deaths: u32,
    violations: Vec<String>,
}

impl Beyond {
    pub fn new(plan: &Plan, wall: Arc<Wall>) -> Self {
        let began = wall.now();
        Self { plan: plan.clone(), wall, began, done: Arc::default() }
    }

    pub fn times(&self, key: &str) -> u32 {
        self.done.lock().unwrap().deeds.get(key).copied().unwrap_or_default()
    }

    pub fn deeds(&self) -> BTreeMap<String, u32> {
        self.done.lock().unwrap().deeds.clone()
    }

    pub fn violations(&self) -> Vec<String> {
        self.done.lock().unwrap().violations.clone()
    }

    pub fn is_busy(&self) -> bool {
        self.done.lock().unwrap().running > 0
    }

    pub fn die(&self) {
        let mut done = self.done.lock().unwrap();
        (done.running, done.deaths) = (0, done.deaths + 1);
    }

    fn deed(&self, key: &str) {
        *self.done.lock().unwrap().deeds.entry(key.to_owned()).or_default() += 1;
    }

    /// Begins a command: a relay has one at a time.
    fn begin(&self, what: &str) -> u32 {
        let mut done = self.done.lock().unwrap();
        done.running += 1;
        if done.running > 1 {
            done.violations.push(format!("`{what}` runs beside another command"));
        }
        done.deaths
    }

    fn end(&self, deaths: u32) {
        let mut done = self.done.lock().unwrap();
        done.running -= u32::from(done.deaths == deaths);
    }

    /// What a command does, what it prints, and its exit code.
    fn act(&self, what: &str, key: &str) -> (String, i64) {
        match what {
            "pay" => {
                self.deed(key);
                (json!({"paid": self.plan.seed}).to_string(), 0)
            }
            "sign" => {
                let tries = {
                    let mut done = self.done.lock().unwrap();
                    done.tries += 1;
                    done.tries
                };
                if tries <= self.plan.fails {
                    return ("no pen".to_owned(), 3);
                }
                self.deed(key);
                ("signed".to_owned(), 0)
            }
            // What it was about, so that whoever asks later has the same.
            "is-signed" if self.times(key) > 0 => ("signed".to_owned(), 0),
            "is-signed" => (String::new(), 1),
            "list" => ("one\ntwo".to_owned(), 0),
            "look" => self.look(),
            other => (format!("no such command: {other}"), 127),
        }
    }

    fn look(&self) -> (String, i64) {
        let looks = {
            let mut done = self.done.lock().unwrap();
            done.looks += 1;
            done.looks
        };
        let found = self.plan.found_s.is_some_and(|found_s| self.wall.now() >= self.began.plus_ms(found_s * 1_000));
        match (found, looks % 4) {
            (true, _) => ("found".to_owned(), 0),
            // Once in a while it cannot look.
            (false, 3) => ("nothing".to_owned(), 2),
            (false, _) => ("nothing".to_owned(), 1),
        }
    }
}

struct Bash {
    rng: Rng,
    beyond: Beyond,
}

impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        ToolSpec { name: "bash".into(), description: "simulated".into(), input_schema: json!({"type": "object"}) }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let target = arguments["command"].as_str().unwrap_or_default().to_owned();
        let subject = Subject { tool: "bash".into(), target: target.clone(), reach: Reach::Beyond };
        let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
        Ok(Assessment { effect, on_lost, subject, summary: target, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let line = invocation.arguments["command"].as_str().unwrap_or_default();
            let what = line.rsplit(' ').next().unwrap_or_default();
            let key =
                line.split_once("RELAY_KEY=").and_then(|(_, rest)| rest.split([' ', '\'']).next()).unwrap_or_default();
            let deaths = self.beyond.begin(what);
            let work = async {
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
                let said = self.beyond.act(what, key);
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
                said
            };
            let said = tokio::select! {
                biased;
                said = work => Some(said),
                () = invocation.stop.cancelled() => None,
            };
            self.beyond.end(deaths);
            let Some((content, code)) = said else { return finished(Outcome::Interrupted) };
            let outcome = if code == 0 { Outcome::Ok } else { Outcome::Error };
            Finished { content, details: Some(json!({ "exit_code": code })), ..finished(outcome) }
        })
    }
}

/// Looks at something before it writes.
struct Peek;

impl Tool for Peek {
    fn spec(&self) -> ToolSpec {
        ToolSpec { name: "peek".into(), description: "simulated".into(), input_schema: json!({"type": "object"}) }
    }

    fn assess(&self, _arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let subject = Subject { tool: "peek".into(), target: String::new(), reach: Reach::Within };
        let (effect, on_lost) = (Effect::Read, OnLost::Retry);
        Ok(Assessment { effect, on_lost, subject, summary: "peek".into(), span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(std::future::ready(finished(Outcome::Ok)))
    }
}

/// Answers what it is asked last.
struct Clerk {
    name: &'static str,
    rng: Rng,
    beyond: Beyond,
    rough: bool,
}

impl Model for Clerk {
    fn describe(&self) -> Description {
        Description { provider: "sim".into(), name: self.name.into(), context_window: None }
    }

    fn stream(&self, request: Request, _sink: Sink) -> outlive_model::Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.rng.below(2_000))).await;
            if self.rough && self.rng.chance(15) {
                let kinds =
                    [FailureKind::Overloaded, FailureKind::RateLimited, FailureKind::Timeout, FailureKind::Network];
                let kind = kinds[usize::try_from(self.rng.below(4)).unwrap()];
                return Err(Failure { kind, message: "simulated".into(), retry_after_ms: None });
            }
            Ok(reply(self.answer(&request)))
        })
    }
}

fn reply(block: ReplyBlock) -> Reply {
    let is_call = matches!(block, ReplyBlock::ToolUse { .. });
    Reply {
        content: vec![block],
        stop_reason: if is_call { StopReason::ToolUse } else { StopReason::EndTurn },
        usage: Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() },
        model: "sim".into(),
        provider_request_id: None,
        served_by: None,
    }
}

impl Clerk {
    fn answer(&self, request: &Request) -> ReplyBlock {
        let says = |text: &str| ReplyBlock::Text(text.to_owned());
        let call = |name: &str, arguments: Value| ReplyBlock::ToolUse {
            name: name.to_owned(),
            arguments: arguments.to_string(),
        };
        let is_told = |message: &Arc<Message>| told(message).is_some();
        let Some(at) = request.messages.iter().rposition(is_told) else { return says("hello") };
        let (told, behind) = (told(&request.messages[at]).unwrap(), &request.messages[at + 1..]);
        if told.contains("choose what is next]") {
            // Once in a while it does not do what it is asked.
            if !behind.is_empty() || self.rough && self.rng.chance(10) {
                return says("hm");
            }
            let ended = told.lines().nth(1).and_then(|line| line.strip_prefix('`')?.split('`').next());
            return call(SELECT_STATE, json!({"state": self.beyond.plan.next(ended.unwrap())}));
        }
        let is_call = |block: &Block| matches!(block, Block::ToolUse { .. });
        let has_called = behind.iter().flat_map(|message| &message.content).any(is_call);
        let has_said =
            behind.iter().flat_map(|message| &message.content).any(|block| matches!(block, Block::Text { .. }));
        if told.contains("state `write`") && self.beyond.plan.alone && !has_said {
            let beside = request.messages[at].content.iter().filter_map(of_relay).count();
            if at > 0 || beside > 1 {
                let what = format!("`write` sees {at} messages before its own, and {beside} in it");
                self.beyond.done.lock().unwrap().violations.push(what);
            }
        }
        match (told.contains("state `write`"), has_called) {
            (true, false) => call("peek", json!({})),
            (true, true) => says(&json!({"written": self.beyond.plan.seed}).to_string()),
            (false, _) => says("told"),
        }
    }
}

/// What the relay says last in a message.
fn told(message: &Message) -> Option<&str> {
    message.content.iter().rev().find_map(of_relay)
}

fn of_relay(block: &Block) -> Option<&str> {
    match block {
        Block::Text { text } if text.starts_with("[relay `errand`") => Some(text),
        _ => None,
    }
}

/// One agent, whatever it is called.
pub struct Agents {
    pub rng: Rng,
    pub beyond: Beyond,
    /// Whether its model is away at times.
    pub rough: bool,
}

impl Aftermath for Agents {}

impl Kits for Agents {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        let bash: Arc<dyn Tool> = Arc::new(Bash { rng: self.rng.clone(), beyond: self.beyond.clone() });
        let relays = Relays::ALL.map(|relay| Arc::new(relay) as Arc<dyn Tool>);
        let toolbox = Arc::new(Toolbox::new([bash, Arc::new(Peek)].into_iter().chain(relays).collect()));
        let voice = |name: &'static str| {
            let parts = FrameParts {
                window: Window::default(),
                system: vec!["simulated".into()],
                tools: toolbox.specs(),
                max_output_tokens: 100,
                temperature: None,
                model: format!("sim/{name}"),
                agent_digest: "0".into(),
            };
            let (rng, beyond, rough) = (self.rng.clone(), self.beyond.clone(), self.rough);
            Voice { frame: Frame::new(parts), model: Arc::new(Clerk { name, rng, beyond, rough }) }
        };
        let first = voice("sim");
        Ok(Arc::new(Kit {
            keeper: Keeper::plain(&first),
            voices: Voices::only(first).with_fallback(vec![voice("other")], 2, 60_000),
            toolbox,
            policy: Policy::default(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms { step_timeout: Duration::from_secs(60), ..Terms::default() },
        }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, outlive_store::StoreError> {
        Ok(Vec::new())
    }
}
