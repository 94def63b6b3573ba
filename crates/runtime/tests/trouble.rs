//! What the store, the agent's files and the tools can do to a session at the worst moment: it takes the next message.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::ToolSpec;
use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{Behavior, Effect, Ending, Event, OnDisconnect, OnLost, Origin, OriginKind};
use outlive_core::id::{AgentName, RequestId, SessionId, TurnId};
use outlive_core::policy::{Policy, Reach, Subject};
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{Accepted, Outcome, Runtime, Settings, SubmitError};
use outlive_store::memory::{self, Fault, Faults};
use outlive_store::{Deed, Note, Store, StoreError, Trash};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Tool};
use serde_json::{Value, json};

/// Longer than anything here takes, shorter than a person waits: what hangs fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

fn session() -> SessionId {
    SessionId::from_bits(1)
}

/// Looks, without an end if it is told to; and describes itself in as many words as it is told to.
struct Look;

impl Tool for Look {
    fn spec(&self) -> ToolSpec {
        ToolSpec { name: "look".into(), description: "looks".into(), input_schema: json!({"type": "object"}) }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let words = usize::try_from(arguments["words"].as_u64().unwrap_or(1)).unwrap();
        let reach = if words > 1 { Reach::Beyond } else { Reach::Within };
        let subject = Subject { tool: "look".into(), target: "here".into(), reach };
        let (effect, on_lost) = (Effect::Read, OnLost::Report);
        Ok(Assessment { effect, on_lost, subject, summary: "word ".repeat(words) })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            if invocation.arguments["long"] == true {
                invocation.stop.cancelled().await;
            }
            Finished::ok("seen")
        })
    }
}

/// Kits of one agent, whose files may be broken.
#[derive(Clone)]
struct Agent {
    model: Arc<Scripted>,
    policy: &'static str,
    broken: Arc<AtomicBool>,
}

impl Kits for Agent {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(KitError::Invalid { agent: agent.clone(), why: "agent.yaml:3:1".into() });
        }
        let toolbox = Arc::new(Toolbox::new(vec![Arc::new(Look)]));
        let parts = FrameParts {
            system: vec!["test".into()],
            tools: toolbox.specs(),
            max_output_tokens: 100,
            temperature: None,
            model: "scripted/scripted".into(),
            agent_digest: "0".into(),
        };
        Ok(Arc::new(Kit {
            voices: Voices::only(Voice { frame: Frame::new(parts), model: self.model.clone() }),
            toolbox,
            policy: Policy::parse(self.policy, "policy.yaml").unwrap(),
            place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
            terms: Terms::default(),
        }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

/// A trash that takes nothing.
struct Full;

fn full<T: Send>() -> outlive_store::Pending<'static, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::NoSpace) })
}

impl Trash for Full {
    fn discard(&self, _: SessionId, _: Note) -> outlive_store::Pending<'_, Result<(), StoreError>> {
        full()
    }

    fn restore(&self, _: SessionId) -> outlive_store::Pending<'_, Result<(), StoreError>> {
        full()
    }

    fn discarded(&self) -> outlive_store::Pending<'_, Result<Vec<Note>, StoreError>> {
        full()
    }

    fn erase(&self, _: Vec<SessionId>, _: Option<String>) -> outlive_store::Pending<'_, Result<(), StoreError>> {
        full()
    }

    fn erase_discarded(&self, _: Vec<Note>) -> outlive_store::Pending<'_, Result<usize, StoreError>> {
        full()
    }

    fn unfinished(&self) -> outlive_store::Pending<'_, Result<Vec<SessionId>, StoreError>> {
        full()
    }

    fn sweep(&self, _: Timestamp) -> outlive_store::Pending<'_, Result<usize, StoreError>> {
        full()
    }

    fn answered(&self, _: SessionId, _: String) -> outlive_store::Pending<'_, Result<Option<Deed>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
}

/// A session of that agent, on a store that can be broken.
struct Desk {
    agent: Agent,
    faults: Faults,
    runtime: Arc<Runtime>,
    turns: Mutex<BTreeMap<String, (TurnId, u64)>>,
}

fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

async fn started(store: Store, agent: &Agent) -> Arc<Runtime> {
    let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
    let moments = Moments::new(Arc::new(clock), 1);
    Runtime::start(store, Arc::new(agent.clone()), moments, Settings::default()).await.unwrap()
}

impl Desk {
    async fn with(policy: &'static str, steps: impl IntoIterator<Item = Step>) -> Self {
        let model = Arc::new(Scripted::default());
        steps.into_iter().for_each(|step| model.then(step));
        let agent = Agent { model, policy, broken: Arc::default() };
        let (store, faults) = memory::store();
        let runtime = started(store, &agent).await;
        let create = Create {
            agent: "helper".parse().unwrap(),
            agent_digest: "0".into(),
            title: None,
            project: None,
            on_disconnect: OnDisconnect::Continue,
            labels: BTreeMap::new(),
            by: by(),
        };
        runtime.submit(session(), Command::Create(create), None).await.unwrap();
        Self { agent, faults, runtime, turns: Mutex::default() }
    }

    /// The process dies, and another starts.
    async fn die(&mut self) {
        let store = self.faults.reopen();
        self.runtime = started(store, &self.agent).await;
    }

    async fn say(&self, content: &str) -> Result<Accepted, SubmitError> {
        let message = Message::text(content, Behavior::FollowUp, by());
        let request: RequestId = content.parse().unwrap();
        let said = self.runtime.submit(session(), Command::Message(message), Some(request)).await?;
        self.turns.lock().unwrap().insert(content.into(), (said.turn.unwrap(), said.seq));
        Ok(said)
    }

    /// Waits for the turn that these words started.
    async fn outcome(&self, content: &str) -> Outcome {
        let (turn, seq) = self.turns.lock().unwrap()[content];
        tokio::time::timeout(PATIENCE, self.runtime.outcome(session(), turn, seq)).await.unwrap().unwrap()
    }

    /// Waits until an event of this name is in the journal.
    async fn until(&self, name: &str) {
        let mut heard = self.runtime.subscribe(session(), 0);
        let found = async {
            while let Some(signal) = heard.next().await.unwrap() {
                if let outlive_runtime::subscribe::Signal::Event(_, entry) = signal
                    && entry.event.name() == name
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap();
    }

    async fn events(&self) -> Vec<Event> {
        let lines = self.runtime.entries(session(), 0, 1_000).await.unwrap();
        lines.iter().map(|line| line.read().unwrap().event).collect()
    }
}

#[tokio::test]
async fn what_could_not_be_written_is_not_answered_as_if_it_were_when_the_journal_cannot_be_read_either() {
    let desk = Desk::with("mode: ask", [Step::text("first"), Step::text("second")]).await;
    desk.say("warm").await.unwrap();
    assert_eq!(desk.outcome("warm").await.message, "first");
    let head = desk.runtime.head(session()).await.unwrap();
    desk.faults.next(Fault::Io);
    desk.faults.unreadable(true);
    assert!(matches!(desk.say("hello").await, Err(SubmitError::Store(StoreError::Io { .. }))));
    assert!(matches!(desk.say("hello").await, Err(SubmitError::Store(StoreError::Io { .. }))), "still not durable");
    assert!(desk.runtime.view(session()).await.is_err(), "what is not durable is not shown");
    desk.faults.unreadable(false);
    let said = desk.say("hello").await.unwrap();
    assert_eq!((said.seq, said.duplicate), (head + 1, false));
    assert_eq!(desk.outcome("hello").await.message, "second");
}

#[tokio::test]
async fn a_call_that_its_agent_cannot_run_any_more_is_settled_and_the_session_goes_on() {
    let look = Step::call("look", &json!({"long": true}));
    let mut desk = Desk::with("mode: dangerous", [look, Step::text("fine")]).await;
    desk.say("hello").await.unwrap();
    desk.until("call.started").await;
    desk.agent.broken.store(true, Ordering::SeqCst);
    desk.die().await;
    let outcome = desk.outcome("hello").await;
    assert_eq!((outcome.ending, outcome.error.unwrap().code.as_str()), (Ending::Failed, "agent_invalid"));
    let lost = |event| if let Event::CallLost(lost) = event { Some(lost.known) } else { None };
    let lost = desk.events().await.into_iter().find_map(lost);
    assert!(lost.unwrap().contains("agent.yaml:3:1"));
    desk.agent.broken.store(false, Ordering::SeqCst);
    desk.say("again").await.unwrap();
    assert_eq!(desk.outcome("again").await.message, "fine");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_leaves_the_turn_to_go_on() {
    let mut desk = Desk::with("mode: ask", [Step::text("cut off").held(), Step::text("fine")]).await;
    desk.runtime.shutdown().await;
    let store = Store { trash: Arc::new(Full), ..desk.faults.reopen() };
    desk.runtime = started(store, &desk.agent).await;
    desk.say("hello").await.unwrap();
    desk.until("step.started").await;
    let deleted = desk.runtime.discard(session(), by(), None).await;
    assert!(matches!(deleted, Err(SubmitError::Store(StoreError::NoSpace))));
    assert_eq!(desk.outcome("hello").await.message, "fine");
}

#[tokio::test]
async fn a_call_that_is_too_long_to_be_told_is_not_run_and_the_turn_goes_on() {
    let look = Step::call("look", &json!({"words": 4_000_000}));
    let desk = Desk::with("mode: ask", [look, Step::text("fine")]).await;
    desk.say("hello").await.unwrap();
    let outcome = desk.outcome("hello").await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "fine"));
    let denied = |event| if let Event::CallDenied(denied) = event { Some(denied.content) } else { None };
    let denied = desk.events().await.into_iter().find_map(denied).unwrap();
    assert!(denied.contains("more than a line of the journal"), "{denied}");
}

#[tokio::test]
async fn a_session_whose_writer_was_overtaken_starts_anew_from_its_journal() {
    let desk = Desk::with("mode: ask", [Step::text("fine"), Step::text("again")]).await;
    // Another process takes the lease and gives it back.
    let store = desk.faults.store();
    let epoch = store.leases.take(session()).await.unwrap();
    store.leases.release(session(), epoch).await.unwrap();
    assert!(matches!(desk.say("hello").await, Err(SubmitError::Store(StoreError::Fenced(_)))));
    let again = async {
        while desk.say("hello").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(desk.outcome("hello").await.message, "fine");
}
