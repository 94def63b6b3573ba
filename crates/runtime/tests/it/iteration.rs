//! Loops and tasks through the real runtime: contexts that begin anew, checks that run, processes that die.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use outlive_core::command::{Command, Create, LoopCommand, NewLoop};
use outlive_core::content::{Block, FailureKind, Request, ToolSpec};
use outlive_core::event::{Check, Effect, Event, LoopExit, OnLost, Outcome};
use outlive_core::memory::Mode;
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::Refusal;
use outlive_core::task::{Task, TaskState};
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::task::Found;
use outlive_runtime::{Accepted, NewImport, OfTask, Settings, SubmitError};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::{Value, json};

use crate::house::{Agents, House, by, create, id, kit};

/// A `bash` that knows two commands: `pass N` passes from the call that is its N-th, `hang` ends in no first attempt.
#[derive(Clone, Default)]
struct Checker {
    /// The key and the attempt of each run.
    ran: Arc<Mutex<Vec<(String, u32)>>>,
}

impl Checker {
    fn ran(&self) -> Vec<(String, u32)> {
        self.ran.lock().unwrap().clone()
    }
}

impl Tool for Checker {
    fn spec(&self) -> ToolSpec {
        ToolSpec { name: "bash".into(), description: "Runs it.".into(), input_schema: json!({"type": "object"}) }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let target = arguments["command"].as_str().unwrap().to_owned();
        let subject = Subject { tool: "bash".into(), target: target.clone(), reach: Reach::Beyond };
        let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
        Ok(Assessment { effect, on_lost, subject, summary: target, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        let Invocation { idempotency_key: key, attempt, arguments, stop, .. } = invocation;
        self.ran.lock().unwrap().push((key, attempt));
        let calls = self.ran().into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len();
        Box::pin(async move {
            match arguments["command"].as_str().unwrap().split_once(' ') {
                Some(("pass", from)) if calls < from.parse().unwrap() => Finished {
                    outcome: Outcome::Error,
                    details: Some(json!({"exit_code": 3})),
                    ..Finished::ok(format!("much\nlast words of call {calls}"))
                },
                None if attempt == 1 => {
                    stop.cancelled().await;
                    Finished { outcome: Outcome::Interrupted, ..Finished::ok("stopped") }
                }
                Some(_) | None => Finished::ok("well"),
            }
        })
    }
}

struct Bench {
    house: House,
    model: Scripted,
    checker: Checker,
}

impl Bench {
    async fn with(policy: &str, model: impl Fn(&Request, usize) -> Step + Send + Sync + 'static) -> Self {
        let (model, checker) = (Scripted::by(model), Checker::default());
        let toolbox = Toolbox::new(vec![Arc::new(checker.clone())]);
        let house = House::of(Agents::of(kit(model.clone(), toolbox, policy))).await;
        Self { house, model, checker }
    }

    /// Whose model says `uttered N` when it is asked for the N-th time.
    async fn plain() -> Self {
        Self::with("mode: ask", |_, n| Step::text(&format!("uttered {}", n + 1))).await
    }

    async fn start(&self, run: &str, limit: u32) {
        let checks = vec![Check { name: "test".into(), run: run.into() }];
        let what = LoopCommand::Start(NewLoop { goal: "make it work".into(), checks, limit });
        self.house.ask(1, Command::Loop { what, by: by() }).await.unwrap();
    }

    async fn abort(&self) -> Result<Accepted, SubmitError> {
        self.house.ask(1, Command::Loop { what: LoopCommand::Abort, by: by() }).await
    }

    /// Waits for the loop's end, and checks it.
    async fn ends(&self, exit: LoopExit, number: u32, says: &str) {
        self.house.until(1, "loop.ended").await;
        let events = self.house.events(1).await;
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| if let Event::LoopEnded(ended) = event { Some(ended.clone()) } else { None })
            .collect();
        assert_eq!(ends.len(), 1, "{ends:?}");
        let ended = &ends[0];
        let reason = ended.reason.clone().unwrap_or_default();
        assert_eq!((ended.exit, ended.number), (exit, number), "{reason}");
        assert!(reason.contains(says), "{reason}");
        let numbers: Vec<u32> = events
            .iter()
            .filter_map(
                |event| if let Event::LoopIterationStarted(started) = event { Some(started.number) } else { None },
            )
            .collect();
        assert_eq!(numbers, (1..=number).collect::<Vec<_>>());
    }
}

fn words(request: &Request) -> String {
    let text =
        |block: &Block| if let Block::Text { text } = block { format!("{text}\n") } else { format!("{block:?}\n") };
    request.messages.iter().flat_map(|message| &message.content).map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn each_iteration_sees_nothing_of_the_one_before_but_its_checkpoint_until_the_checks_pass() {
    let bench = Bench::plain().await;
    let said = bench.house.say(1, "a word before").await;
    bench.house.outcome(1, said).await;
    bench.start("pass 3", 5).await;
    bench.ends(LoopExit::Passed, 3, "").await;
    let requests: Vec<String> = bench.model.requests().iter().map(words).collect();
    assert_eq!(requests.len(), 4);
    assert!(requests[1].contains("check `test` has not run yet") && !requests[1].contains("a word before"));
    for (at, before) in [(2, "1"), (3, "2")] {
        let request = &requests[at];
        assert!(request.contains("make it work") && request.contains(&format!("[iteration {at} of 5")), "{request}");
        assert!(request.contains("failed when it ran last (exit code 3)"), "{request}");
        assert!(request.contains(&format!("last words of call {before}")) && !request.contains("uttered"), "{request}");
    }
    // What was said stays, and so does what the model sees of the last iteration.
    let said = bench.house.say(1, "and now?").await;
    bench.house.outcome(1, said).await;
    let after = words(bench.model.requests().last().unwrap());
    assert!(
        after.contains("check `test` passed") && after.contains("uttered 4") && !after.contains("uttered 3"),
        "{after}"
    );
    let messages = bench.house.runtime.entries(id(1), 0, 1_000).await.unwrap();
    let whole: String = messages.iter().map(|line| line.as_str().to_owned()).collect();
    assert!((1..=5).all(|n| whole.contains(&format!("uttered {n}"))));
}

#[tokio::test(start_paused = true)]
async fn a_loop_ends_at_its_limit() {
    let bench = Bench::plain().await;
    bench.start("pass 9", 2).await;
    bench.ends(LoopExit::Iterations, 2, "").await;
    assert_eq!(bench.checker.ran().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_loop_whose_request_never_fits_ends_as_context() {
    let bench = Bench::with("mode: ask", |_, _| Step::fail(FailureKind::Overflow)).await;
    bench.start("pass 1", 5).await;
    bench.ends(LoopExit::Context, 1, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_whose_turn_fails_ends_as_error() {
    let bench = Bench::with("mode: ask", |_, _| Step::fail(FailureKind::Auth)).await;
    bench.start("pass 1", 5).await;
    bench.ends(LoopExit::Error, 1, "set a valid key").await;
}

#[tokio::test(start_paused = true)]
async fn a_check_that_a_rule_denies_is_not_run_and_ends_the_loop() {
    let bench = Bench::with("deny: ['bash:pass *']", |_, _| Step::text("done")).await;
    bench.start("pass 1", 5).await;
    bench.ends(LoopExit::Error, 1, "check `test` could not be run: rule `").await;
    assert_eq!(bench.checker.ran(), []);
}

#[tokio::test(start_paused = true)]
async fn aborted_in_a_turn_or_in_a_check_a_loop_ends_at_once() {
    let bench = Bench::with("mode: ask", |_, _| Step::text("done").held()).await;
    bench.start("pass 1", 5).await;
    bench.house.until(1, "step.started").await;
    bench.abort().await.unwrap();
    bench.ends(LoopExit::Aborted, 1, "").await;
    let bench = Bench::plain().await;
    bench.start("hang", 5).await;
    bench.house.until(1, "call.started").await;
    bench.abort().await.unwrap();
    bench.ends(LoopExit::Aborted, 1, "").await;
    let again = bench.abort().await;
    assert!(matches!(again, Err(SubmitError::Refused(Refusal::Invalid { code: "loop_not_running", .. }))), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_a_turn_goes_on_with_the_same_iteration() {
    let mut bench =
        Bench::with("mode: ask", |_, n| if n == 1 { Step::text("lost").held() } else { Step::text("done") }).await;
    bench.start("pass 2", 5).await;
    while bench.model.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    bench.house.die().await;
    bench.ends(LoopExit::Passed, 2, "").await;
    assert_eq!(bench.checker.ran().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_a_check_runs_it_again_under_its_own_name() {
    let mut bench = Bench::plain().await;
    bench.start("hang", 5).await;
    while bench.checker.ran().is_empty() {
        tokio::task::yield_now().await;
    }
    bench.house.die().await;
    bench.ends(LoopExit::Passed, 1, "").await;
    let ran = bench.checker.ran();
    let key = ran[0].0.clone();
    assert_eq!(ran, [(key.clone(), 1), (key, 2)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_from_elsewhere_in_the_midst_of_its_checks_is_over_and_runs_none() {
    let bench = Bench::plain().await;
    bench.start("hang", 5).await;
    while bench.checker.ran().is_empty() {
        tokio::task::yield_now().await;
    }
    let archive = bench.house.runtime.export(id(1)).await.unwrap();
    let checker = Checker::default();
    let toolbox = Toolbox::new(vec![Arc::new(checker.clone())]);
    let agents = Agents::of(kit(Scripted::by(|_, _| Step::text("hm")), toolbox, "mode: ask"));
    let there = House::empty(agents, Settings::default()).await;
    let import = || NewImport { bytes: archive.clone().into(), copy: None, by: by() };
    assert!(!there.runtime.import(import(), None).await.unwrap().was_there);
    let said = there.say(1, "go on").await;
    there.outcome(1, said).await;
    let events = there.events(1).await;
    let ended = events.iter().find_map(|event| if let Event::LoopEnded(ended) = event { Some(ended) } else { None });
    assert_eq!(ended.map(|ended| ended.exit), Some(LoopExit::Aborted));
    assert_eq!(checker.ran(), []);
    // Where it comes from it is there already, and goes on.
    assert!(bench.house.runtime.import(import(), None).await.unwrap().was_there);
    assert!(bench.house.runtime.view(id(1)).await.unwrap().looping().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_that_came_from_elsewhere_in_the_midst_is_there_when_it_comes_again() {
    let bench = Bench::with("mode: ask", |_, _| Step::text("done").held()).await;
    bench.start("pass 1", 5).await;
    bench.house.until(1, "step.started").await;
    let archive = bench.house.runtime.export(id(1)).await.unwrap();
    let there = House::empty(Agents::none(), Settings::default()).await;
    let import = || NewImport { bytes: archive.clone().into(), copy: None, by: by() };
    assert!(!there.runtime.import(import(), None).await.unwrap().was_there);
    assert!(there.runtime.import(import(), None).await.unwrap().was_there);
    assert_eq!(there.runtime.view(id(1)).await.unwrap().status().as_str(), "idle");
}

fn task() -> Task {
    let role = "helper".parse().unwrap();
    Task { project: "shop-0000abcd".into(), role, feature: Some("cart".into()), task: None, state: TaskState::InDev }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_ask_for_a_task_at_once_get_one_session_and_so_does_who_asks_later() {
    let mut house = House::of(Agents::of(kit(Scripted::default(), Toolbox::new(Vec::new()), ""))).await;
    let asked = || Create { task: Some(Box::new(task())), project: Some(task().project), ..create() };
    let session = task().session();
    let all = join_all((0..100).map(|_| house.runtime.find_or_make(session, asked(), None))).await;
    let made = all.into_iter().map(Result::unwrap).filter(|found| *found == Found::New).count();
    assert_eq!(made, 1);
    house.die().await;
    assert_eq!(house.runtime.find_or_make(session, asked(), None).await.unwrap(), Found::Old);
    let lines = house.runtime.entries(session, 0, 100).await.unwrap();
    assert_eq!(lines.len(), 1, "nothing but `session.created`");
    let other = Create { agent: "other".parse().unwrap(), ..asked() };
    let refused = house.runtime.find_or_make(session, other, None).await.unwrap_err();
    assert!(
        matches!(&refused, SubmitError::Refused(Refusal::Invalid { code: "task_taken", what })
        if what.contains("is of agent `helper`, not `other`")),
        "{refused}"
    );
    let quiet = Create { memory: Some(Mode::Incognito), ..asked() };
    let refused = house.runtime.find_or_make(session, quiet, None).await.unwrap_err();
    assert!(refused.to_string().contains("leave `memory` out"), "{refused}");
    let of = |feature: Option<&str>| OfTask { feature: feature.map(str::to_owned), task: None };
    let rows = house.runtime.of_task("shop-0000abcd", of(Some("cart"))).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.session).collect::<Vec<_>>(), [session]);
    assert_eq!(house.runtime.of_task("shop-0000abcd", of(None)).await.unwrap(), []);
    assert_eq!(house.runtime.of_task("other-0000abcd", of(Some("cart"))).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_leave_no_trace_is_made_so_at_once() {
    let house = House::of(Agents::of(kit(Scripted::default(), Toolbox::new(Vec::new()), ""))).await;
    let session = task().session();
    let quiet = || Create {
        task: Some(Box::new(task())),
        memory: Some(Mode::Incognito),
        project: Some(task().project),
        ..create()
    };
    assert_eq!(house.runtime.find_or_make(session, quiet(), None).await.unwrap(), Found::New);
    assert_eq!(house.runtime.find_or_make(session, quiet(), None).await.unwrap(), Found::Old);
    let lines = house.runtime.entries(session, 0, 100).await.unwrap();
    assert!(lines.len() == 1 && lines[0].as_str().contains(r#""memory":"incognito""#), "{lines:?}");
    // Whoever does not say finds it as it is.
    let found = house.runtime.find_or_make(session, Create { memory: None, ..quiet() }, None).await.unwrap();
    assert_eq!(found, Found::Old);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_says_that_it_is_of_a_task_and_has_another_id_is_not_of_it() {
    let house = House::of(Agents::of(kit(Scripted::default(), Toolbox::new(Vec::new()), ""))).await;
    let posing = Create { task: Some(Box::new(task())), project: Some(task().project), ..create() };
    house.ask(2, Command::Create(posing.clone())).await.unwrap();
    let of = || OfTask { feature: Some("cart".to_owned()), task: None };
    assert_eq!(house.runtime.of_task("shop-0000abcd", of()).await.unwrap(), []);
    let session = task().session();
    let other = Create { task: None, ..posing.clone() };
    house.runtime.submit(session, Command::Create(other), None).await.unwrap();
    let refused = house.runtime.find_or_make(session, posing, None).await.unwrap_err();
    assert!(refused.to_string().contains("says that it is of another one"), "{refused}");
}
