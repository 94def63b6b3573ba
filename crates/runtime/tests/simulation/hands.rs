//! The world outside: a model and tools that are slow, fail, panic and hang, and write down what was really done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::agent::MemorySpec;
use outlive_core::budget::{Budget, Limits};
use outlive_core::content::{
    Block, Delta, Failure, FailureKind, Purpose, Reply, ReplyBlock, Request, Role, StopReason, ToolSpec, Usage,
};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::cost::Prices;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::id::{AgentName, CallId, SessionId};
use outlive_core::policy::{Policy, Reach, Subject};
use outlive_core::session::{ASK_USER, LIST_TOOL, SELECT_STATE};
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::scales::Scales;
use outlive_store::Store;
use outlive_tools::builtin::{AskUser, Relays, TodoList};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Found, Invocation, Place, Span, Tool};
use serde_json::{Value, json};

use crate::checks::Bash;
use crate::evening::Evening;
use crate::rng::Rng;
use crate::seen;
use crate::world::World;

/// Answered steps that a turn's budget allows.
pub const BUDGET_STEPS: u64 = 9;

pub struct SimModel {
    pub rng: Rng,
    pub world: World,
    pub calm: Arc<Mutex<bool>>,
    pub store: Store,
    pub evening: Evening,
}

/// What relays run: its effect is known by the command.
const BASH: (&str, Effect, Reach) = ("bash", Effect::Effectful, Reach::Beyond);

const TOOLS: [(&str, Effect, Reach); 8] = [
    ("look", Effect::Read, Reach::Within),
    ("recall", Effect::Read, Reach::Within),
    ("put", Effect::Idempotent, Reach::Within),
    ("edit", Effect::Verifiable, Reach::Within),
    ("job", Effect::Resumable, Reach::Within),
    ("shell", Effect::Effectful, Reach::Beyond),
    ("send", Effect::Effectful, Reach::Within),
    ("wipe", Effect::Effectful, Reach::Forbidden),
];

impl Model for SimModel {
    fn describe(&self) -> Description {
        Description { provider: "sim".into(), name: "sim".into(), context_window: None }
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        if let Some(wrong) = well_formed(&request) {
            self.world.never(format!("request is not well-formed: {wrong}\n{:#?}", request.messages));
        }
        let said = seen::said(&request);
        self.world.asked(&said);
        Box::pin(async move {
            let _going = self.world.goes("a model request");
            let calm = *self.calm.lock().unwrap();
            let _condensing = match request.purpose {
                Purpose::Condense => seen::session_of(&said).map(|session| self.world.condenses(session)),
                Purpose::Step | Purpose::Observe | Purpose::Reflect => None,
            };
            if let Some(wrong) = seen::wrong(&self.store, &request, self.evening.narrow).await {
                self.world.never(wrong);
            }
            tokio::time::sleep(Duration::from_millis(self.rng.below(2_000))).await;
            sink(Delta::Text { text: "…".into() });
            if !calm && self.rng.chance(15) {
                return Err(self.failure());
            }
            if !calm && self.rng.chance(2) {
                panics();
            }
            tokio::time::sleep(Duration::from_millis(self.rng.below(500))).await;
            let tokens = seen::weigh(&request);
            if let Some(narrow) = self.evening.narrow.filter(|narrow| tokens > narrow.takes) {
                return Err(too_long(tokens, narrow.takes));
            }
            let reply = match request.purpose {
                Purpose::Step => self.reply(calm, &said),
                Purpose::Condense => self.condensed(calm, &said),
                Purpose::Observe | Purpose::Reflect => self.noted(calm, &request, &said),
            };
            Ok(if self.evening.narrow.is_some() { seen::counted(reply, tokens) } else { reply })
        })
    }
}

/// As providers say it.
fn too_long(tokens: u64, takes: u64) -> Failure {
    let message = format!("prompt is too long: {tokens} tokens > {} maximum", takes + 100);
    Failure { kind: FailureKind::Overflow, message, retry_after_ms: None }
}

impl SimModel {
    fn failure(&self) -> Failure {
        let kinds = [
            FailureKind::Overloaded,
            FailureKind::RateLimited,
            FailureKind::Timeout,
            FailureKind::Network,
            FailureKind::Truncated,
            FailureKind::Truncated,
            FailureKind::InvalidRequest,
            FailureKind::Refused,
        ];
        let kind = kinds[usize::try_from(self.rng.below(8)).unwrap()];
        let retry_after_ms = self.rng.chance(30).then(|| self.rng.below(90_000));
        Failure { kind, message: "simulated".into(), retry_after_ms }
    }

    pub fn reply(&self, calm: bool, said: &str) -> Reply {
        let mut content = Vec::new();
        if self.rng.chance(30) {
            content.push(ReplyBlock::Thinking { thinking: "hm".into(), signature: Some("s".into()) });
        }
        if self.rng.chance(60) {
            content.push(ReplyBlock::Text(if self.rng.chance(10) { "  ".into() } else { self.words("words") }));
        }
        // What is remembered may be said again, word by word.
        let mut remembered =
            said.lines().filter(|line| line.starts_with("- ")).filter_map(|line| line.split_once("): "));
        if let Some((_, text)) = remembered.next_back().filter(|_| self.evening.remembers && self.rng.chance(5)) {
            content.push(ReplyBlock::Text(text.to_owned()));
        }
        let chooses =
            self.evening.tours && said.rsplit("\n[").next().is_some_and(|last| last.contains("choose what is next]"));
        if chooses && (calm || self.rng.chance(60)) {
            let states = ["pay", "sign", "look", "rest", "mail", "write", "ask", "done", "gone", "nowhere"];
            let state = states[if calm { 7 } else { usize::try_from(self.rng.below(10)).unwrap() }];
            let arguments = json!({ "state": state }).to_string();
            content.push(ReplyBlock::ToolUse { name: SELECT_STATE.to_owned(), arguments });
        }
        let calls = if calm || self.rng.chance(45) { 0 } else { 1 + self.rng.below(4) };
        for _ in 0..calls {
            content.push(self.call());
        }
        let stop = [StopReason::EndTurn, StopReason::ToolUse, StopReason::MaxTokens, StopReason::StopSequence];
        let stop_reason = stop[usize::try_from(self.rng.below(4)).unwrap()];
        Reply {
            content,
            // An answer that was cut ends its turn as failed, which is no calm end.
            stop_reason: if calm { StopReason::EndTurn } else { stop_reason },
            usage: Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() },
            model: "sim".into(),
            provider_request_id: None,
            served_by: None,
        }
    }

    /// In a narrow evening words fill the window.
    fn words(&self, first: &str) -> String {
        self.evening.narrow.map_or(first.to_owned(), |narrow| filled(first, self.rng.below(narrow.said / 3)))
    }

    fn call(&self) -> ReplyBlock {
        if self.rng.chance(8) {
            let options = json!([{ "label": "one" }, { "label": "two" }]);
            let questions = json!({ "questions": [{ "text": "which?", "options": options }] });
            return ReplyBlock::ToolUse { name: ASK_USER.to_owned(), arguments: questions.to_string() };
        }
        if self.rng.chance(5) {
            let items =
                json!({ "items": [{ "text": "one", "status": "done" }, { "text": "two", "status": "pending" }] });
            return ReplyBlock::ToolUse { name: LIST_TOOL.to_owned(), arguments: items.to_string() };
        }
        if self.evening.loops && self.rng.chance(8) {
            let arguments = json!({ "command": format!("run {}", self.rng.below(1_000)) });
            return ReplyBlock::ToolUse { name: "bash".to_owned(), arguments: arguments.to_string() };
        }
        let name = match self.rng.below(20) {
            0 => "no_such_tool".to_owned(),
            _ => TOOLS[usize::try_from(self.rng.below(8)).unwrap()].0.to_owned(),
        };
        let arguments = match self.rng.below(20) {
            0 => "{\"n\": ".to_owned(),
            1 => "[1]".to_owned(),
            2 => "{\"n\": \"not a number\"}".to_owned(),
            3 => String::new(),
            _ => json!({ "n": self.rng.below(1_000) }).to_string(),
        };
        ReplyBlock::ToolUse { name, arguments }
    }
}

/// Says something at about this length, in bytes.
pub fn filled(first: &str, bytes: u64) -> String {
    format!("{first}{}", " 和 b=".repeat(usize::try_from(bytes / 7).unwrap()))
}

pub struct SimTool {
    name: &'static str,
    effect: Effect,
    reach: Reach,
    rng: Rng,
    world: World,
    store: Store,
    evening: Evening,
}

impl Tool for SimTool {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.into(),
            description: "simulated".into(),
            input_schema: match self.name {
                "bash" => json!({"type": "object"}),
                _ => json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}),
            },
        }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        if arguments["n"] == 13 {
            return Err("13 is refused".into());
        }
        let subject = Subject { tool: self.name.into(), target: arguments.to_string(), reach: self.reach };
        Ok(Assessment {
            effect: self.effect,
            on_lost: OnLost::Report,
            subject,
            summary: self.name.into(),
            span: Span::Call,
        })
    }

    fn run(&self, invocation: Invocation) -> outlive_tools::Pending<'_, Finished> {
        Box::pin(async move {
            let _going = self.world.goes("a call");
            if let Some(wrong) = unfounded(&self.store, &invocation).await {
                self.world.never(wrong);
            }
            let work = async {
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
                (invocation.sink)("half".into());
                let line = invocation.arguments["command"].as_str().unwrap_or_default();
                let looks = self.name == "bash" && !line.ends_with(" pay") && !line.ends_with(" sign");
                self.world.did(invocation.call, if looks { Effect::Idempotent } else { self.effect });
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
            };
            tokio::select! {
                biased;
                () = work => {}
                () = invocation.stop.cancelled() => return finished(Outcome::Interrupted),
            }
            if self.rng.chance(4) {
                panics();
            }
            let outcome = if self.rng.chance(20) { Outcome::Error } else { Outcome::Ok };
            let most = self.evening.narrow.map_or(0, |narrow| self.rng.below(narrow.said * 2));
            let content = if self.name == "recall" { RECALLED.to_owned() } else { filled("done", most) };
            let code = if outcome == Outcome::Ok { 0 } else { 1 + self.rng.below(2) };
            let details = (self.name == "bash").then(|| json!({ "exit_code": code }));
            Finished { content, details, ..finished(outcome) }
        })
    }

    fn find(&self, invocation: Invocation) -> outlive_tools::Pending<'_, Found> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.rng.below(500))).await;
            let done = self.world.deeds().iter().any(|deed| deed.call == invocation.call);
            match (done, self.rng.chance(10)) {
                (_, true) => Found::Unknown,
                (true, false) => Found::Done(finished(Outcome::Ok)),
                (false, false) => Found::NotDone,
            }
        })
    }
}

/// What the harness says, and what is remembered already: nobody notes it again.
pub const HARNESS: &str = "HARNESS";
pub const RECALLED: &str = "RECALLED";

/// Panics without a word: thousands of them are part of the plan.
pub fn panics() {
    std::panic::resume_unwind(Box::new("simulated"));
}

pub fn finished(outcome: Outcome) -> Finished {
    Finished { outcome, content: "done".into(), details: None, whole: None }
}

/// Intent before effect: whatever runs, its `call.started` is acknowledged already, and it was allowed.
pub async fn unfounded(store: &Store, invocation: &Invocation) -> Option<String> {
    let lines = store.journals.read(invocation.session, 0, usize::MAX).await.map(|opened| opened.lines);
    let (call, attempt) = (format!("\"call\":\"{}\"", invocation.call), format!("\"attempt\":{},", invocation.attempt));
    let of_call: Vec<_> = lines.iter().flatten().filter(|line| line.as_str().contains(&call)).collect();
    let says = |name: &str| of_call.iter().any(|line| line.as_str().contains(&format!("\"type\":\"{name}\"")));
    let started = of_call.iter().any(|line| line.as_str().contains("call.started") && line.as_str().contains(&attempt));
    let founded = started && says("call.allowed") && !says("call.denied");
    (!founded).then(|| format!("call {} runs without being started and allowed: {of_call:?}", invocation.call))
}

pub async fn read_all(store: &Store, session: SessionId) -> Vec<outlive_core::event::Entry> {
    let lines = match store.journals.read(session, 0, usize::MAX).await {
        Ok(opened) => opened.lines,
        Err(_) => Vec::new(),
    };
    lines.iter().map(|line| line.read().expect("an acknowledged line can be read")).collect()
}

/// What a strict provider refuses, written apart from the code that must satisfy it.
fn well_formed(request: &Request) -> Option<String> {
    let messages = &request.messages;
    if messages.first().map(|m| m.role) != Some(Role::User) || messages.last().map(|m| m.role) != Some(Role::User) {
        return Some("must begin and end with the user".into());
    }
    let mut open: Vec<CallId> = Vec::new();
    let mut last = None;
    for message in messages {
        if last == Some(message.role) || message.content.is_empty() {
            return Some("roles must alternate, messages must not be empty".into());
        }
        last = Some(message.role);
        let mut results = Vec::new();
        let mut uses = Vec::new();
        let mut text_seen = false;
        let mut speaks = false;
        for block in &message.content {
            match block {
                Block::Text { text } if text.trim().is_empty() => return Some("empty text".into()),
                Block::Text { .. } | Block::Media(_) => (text_seen, speaks) = (true, true),
                Block::ToolUse { id, input, .. } if input.is_object() => {
                    uses.push(*id);
                    speaks = true;
                }
                Block::ToolUse { .. } => return Some("arguments must be an object".into()),
                Block::ToolResult { .. } if text_seen => return Some("results come first".into()),
                Block::ToolResult { id, .. } => {
                    results.push(*id);
                    speaks = true;
                }
                Block::Thinking { .. } | Block::RedactedThinking { .. } => {}
            }
        }
        if results != open || !speaks || (message.role == Role::User && !uses.is_empty()) {
            return Some(format!("open calls {open:?}, results {results:?}, speaks {speaks}"));
        }
        open = uses;
    }
    None
}

pub struct SimKits {
    pub rng: Rng,
    pub world: World,
    pub store: Store,
    pub calm: Arc<Mutex<bool>>,
    pub evening: Evening,
    pub scales: Scales,
}

/// A turn ends before it has taken as many steps as it may; the day's never does.
fn budget() -> Budget {
    let turn = Limits { steps: Some(BUDGET_STEPS), ..Limits::default() };
    let day = Limits { tokens: Some(u64::MAX / 2), nano_usd: Some(u64::MAX / 2), ..Limits::default() };
    Budget { turn, day, session: Limits::default() }
}

impl Aftermath for SimKits {}

impl Kits for SimKits {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        if !*self.calm.lock().unwrap() && self.rng.chance(1) {
            return Err(KitError::Invalid { agent: agent.clone(), why: "simulated".into() });
        }
        let tool = |(name, effect, reach): &(&'static str, Effect, Reach)| -> Arc<dyn Tool> {
            let (rng, world, store, evening) = (self.rng.clone(), self.world.clone(), self.store.clone(), self.evening);
            Arc::new(SimTool { name, effect: *effect, reach: *reach, rng, world, store, evening })
        };
        let own: [Arc<dyn Tool>; 2] = [Arc::new(AskUser), Arc::new(TodoList)];
        let bash = self.evening.loops.then(|| -> Arc<dyn Tool> {
            let (rng, world, store, calm) =
                (self.rng.clone(), self.world.clone(), self.store.clone(), self.calm.clone());
            Arc::new(Bash { rng, world, store, calm, evening: self.evening })
        });
        let of_relays = Relays::ALL.map(|relay| Arc::new(relay) as Arc<dyn Tool>).into_iter().chain([tool(&BASH)]);
        let of_relays = of_relays.filter(|_| self.evening.tours);
        let tools = TOOLS.iter().map(tool).chain(own).chain(bash).chain(of_relays);
        let toolbox = Arc::new(Toolbox::new(tools.collect()));
        let parts = FrameParts {
            window: self.evening.window(self.scales.window("sim/sim")),
            system: vec!["simulated".into()],
            tools: toolbox.specs(),
            max_output_tokens: 100,
            temperature: None,
            model: "sim/sim".into(),
            agent_digest: "0".into(),
        };
        let voice = |name: &str| {
            let (rng, world, calm) = (self.rng.clone(), self.world.clone(), Arc::clone(&self.calm));
            let frame = Frame::new(FrameParts { model: name.to_owned(), ..parts.clone() });
            let (store, evening) = (self.store.clone(), self.evening);
            Voice { frame, model: Arc::new(SimModel { rng, world, calm, store, evening }) }
        };
        Ok(Arc::new(Kit {
            keeper: Keeper {
                memory: self.evening.remembers.then(MemorySpec::default),
                ..Keeper::plain(&voice("sim/sim"))
            },
            voices: Voices::only(voice("sim/sim")).with_fallback(vec![voice("sim/other")], 2, 60_000),
            toolbox,
            policy: Policy::default(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms { max_steps: 12, budget: budget(), step_timeout: Duration::from_secs(60), ..Terms::default() },
        }))
    }

    fn scales(&self) -> &Scales {
        if self.evening.narrow.is_some() { &self.scales } else { Scales::plain() }
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, outlive_store::StoreError> {
        Ok(Vec::new())
    }

    fn prices(&self, _model: &str) -> Option<Prices> {
        Some(Prices { input: 1_000_000_000, output: 10_000_000_000, ..Prices::default() })
    }
}
