//! What the store, the agent's files and the tools can do to a session at the worst moment: it takes the next message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outlive_core::command::Command;
use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, Ending, Event, Line, OnLost, Question};
use outlive_core::id::{Seq, SessionId};
use outlive_core::policy::{Reach, Subject};
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::kit::KitError;
use outlive_runtime::{Accepted, SubmitError};
use outlive_store::memory::Fault;
use outlive_store::{Deed, Inside, Note, Row, Store, StoreError, Trash};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::{Value, json};

use super::house::{Agents, House, by, id, kit, message};

/// Looks, without an end if it is told to; asks what nobody can be asked; and describes itself in as many words as it is told to.
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
        Ok(Assessment { effect, on_lost, subject, summary: "word ".repeat(words), span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            if invocation.arguments["long"] == true {
                invocation.stop.cancelled().await;
            }
            if invocation.arguments["asks"] == true {
                let nothing = Question { text: String::new(), options: Vec::new(), multiple: false };
                return Finished::ok(format!("answered {:?}", (invocation.asker)(vec![nothing]).await));
            }
            Finished::ok("seen")
        })
    }
}

/// A trash that takes nothing.
struct Full;

fn full<T: Send>() -> outlive_store::Pending<'static, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::NoSpace) })
}

impl Inside for Full {
    fn read(&self, _: SessionId, _: Seq, _: usize) -> outlive_store::Pending<'_, Result<Vec<Line>, StoreError>> {
        full()
    }

    fn scrub(&self, _: SessionId, _: Vec<Line>, _: Row) -> outlive_store::Pending<'_, Result<(), StoreError>> {
        full()
    }
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

    fn inside(&self) -> &dyn Inside {
        self
    }

    fn erase(&self, _: Vec<SessionId>, _: Option<String>) -> outlive_store::Pending<'_, Result<(), StoreError>> {
        full()
    }

    fn erase_discarded(&self, _: Vec<Note>) -> outlive_store::Pending<'_, Result<usize, StoreError>> {
        full()
    }

    fn sweep(&self, _: Timestamp) -> outlive_store::Pending<'_, Result<usize, StoreError>> {
        full()
    }

    fn answered(&self, _: SessionId, _: String) -> outlive_store::Pending<'_, Result<Option<Deed>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
}

/// A session of an agent whose files are broken while that is set.
async fn with(policy: &'static str, steps: impl IntoIterator<Item = Step>) -> (House, Arc<AtomicBool>) {
    let model = Scripted::default();
    steps.into_iter().for_each(|step| model.then(step));
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let agents = Agents::made(move |agent| match is_broken.load(Ordering::SeqCst) {
        true => Err(KitError::Invalid { agent: agent.clone(), why: "agent.yaml:3:1".into() }),
        false => Ok(Arc::new(kit(model.clone(), Toolbox::new(vec![Arc::new(Look)]), policy))),
    });
    (House::of(agents).await, broken)
}

/// Says this, once however often it is said.
async fn say(house: &House, content: &str) -> Result<Accepted, SubmitError> {
    house.runtime.submit(id(1), Command::Message(message(content)), Some(content.parse().unwrap())).await
}

#[tokio::test]
async fn what_could_not_be_written_is_not_answered_as_if_it_were_when_the_journal_cannot_be_read_either() {
    let (house, _) = with("mode: ask", [Step::text("first"), Step::text("second")]).await;
    let warm = say(&house, "warm").await.unwrap();
    assert_eq!(house.outcome(1, warm).await.message, "first");
    let head = house.runtime.head(id(1)).await.unwrap();
    house.faults.next(Fault::Io);
    house.faults.unreadable(true);
    assert!(matches!(say(&house, "hello").await, Err(SubmitError::Store(StoreError::Io { .. }))));
    assert!(matches!(say(&house, "hello").await, Err(SubmitError::Store(StoreError::Io { .. }))), "still not durable");
    assert!(house.runtime.view(id(1)).await.is_err(), "what is not durable is not shown");
    house.faults.unreadable(false);
    let said = say(&house, "hello").await.unwrap();
    assert_eq!((said.seq, said.duplicate), (head + 1, false));
    assert_eq!(house.outcome(1, said).await.message, "second");
}

#[tokio::test]
async fn a_call_that_its_agent_cannot_run_any_more_is_settled_and_the_session_goes_on() {
    let look = Step::call("look", &json!({"long": true}));
    let (mut house, broken) = with("mode: dangerous", [look, Step::text("fine")]).await;
    let said = say(&house, "hello").await.unwrap();
    house.until(1, "call.started").await;
    broken.store(true, Ordering::SeqCst);
    house.die().await;
    let outcome = house.outcome(1, said).await;
    assert_eq!((outcome.ending, outcome.error.unwrap().code.as_str()), (Ending::Failed, "agent_invalid"));
    let lost = |event| if let Event::CallLost(lost) = event { Some(lost.known) } else { None };
    let lost = house.events(1).await.into_iter().find_map(lost);
    assert!(lost.unwrap().contains("agent.yaml:3:1"));
    broken.store(false, Ordering::SeqCst);
    let again = house.say(1, "again").await;
    assert_eq!(house.outcome(1, again).await.message, "fine");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_leaves_the_turn_to_go_on() {
    let (mut house, _) = with("mode: ask", [Step::text("cut off").held(), Step::text("fine")]).await;
    house.runtime.shutdown().await;
    let store = Store { trash: Arc::new(Full), ..house.faults.reopen() };
    house.start(store).await;
    let said = say(&house, "hello").await.unwrap();
    house.until(1, "step.started").await;
    let deleted = house.runtime.discard(id(1), by(), None).await;
    assert!(matches!(deleted, Err(SubmitError::Store(StoreError::NoSpace))));
    assert_eq!(house.outcome(1, said).await.message, "fine");
}

#[tokio::test]
async fn a_call_that_is_too_long_to_be_told_is_not_run_and_the_turn_goes_on() {
    let look = Step::call("look", &json!({"words": 4_000_000}));
    let (house, _) = with("mode: ask", [look, Step::text("fine")]).await;
    let said = say(&house, "hello").await.unwrap();
    let outcome = house.outcome(1, said).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "fine"));
    let denied = |event| if let Event::CallDenied(denied) = event { Some(denied.content) } else { None };
    let denied = house.events(1).await.into_iter().find_map(denied).unwrap();
    assert!(denied.contains("more than a line of the journal"), "{denied}");
}

#[tokio::test]
async fn a_session_whose_writer_was_overtaken_starts_anew_from_its_journal() {
    let (house, _) = with("mode: ask", [Step::text("fine"), Step::text("again")]).await;
    // Another process takes the lease and gives it back.
    let store = house.faults.store();
    let epoch = store.leases.take(id(1)).await.unwrap();
    store.leases.release(id(1), epoch).await.unwrap();
    assert!(matches!(say(&house, "hello").await, Err(SubmitError::Store(StoreError::Fenced(_)))));
    let said = loop {
        if let Ok(said) = say(&house, "hello").await {
            break said;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(house.outcome(1, said).await.message, "fine");
}

#[tokio::test]
async fn a_call_that_asks_what_nobody_can_be_asked_goes_on_without_an_answer() {
    let look = Step::call("look", &json!({"asks": true}));
    let (house, _) = with("mode: ask", [look, Step::text("fine")]).await;
    let said = say(&house, "hello").await.unwrap();
    let outcome = house.outcome(1, said).await;
    assert_eq!((outcome.ending, outcome.message.as_str()), (Ending::Complete, "fine"));
    let finished = |event| if let Event::CallFinished(finished) = event { Some(finished.content) } else { None };
    let finished = house.events(1).await.into_iter().find_map(finished);
    assert_eq!(finished.as_deref(), Some("answered Some([])"));
}
