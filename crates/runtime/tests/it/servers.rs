//! Servers of tools through the whole runtime: found before the first step, ruled on, asked about, and asking.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::ModelSpec;
use outlive_core::command::{Command, Decision, Verdict};
use outlive_core::event::{CallFinished, Event, OriginKind, Outcome};
use outlive_core::id::{AgentName, CallId, QuestionId, SessionId};
use outlive_core::session::Refusal;
use outlive_core::time::Timestamp;
use outlive_model::Model;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::catalog::{Catalog, Models, Sources};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Aftermath, Card, Kit, KitError, Kits};
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_runtime::{Runtime, Settings, SubmitError};
use outlive_store::memory_files::HeldMemory;
use outlive_store::{Store, StoreError, memory};
use outlive_tools::Pending;
use outlive_tools::exec::Exec;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::catalog::Given;
use super::house::{by, create, heard, id, message};

struct One(Scripted);

impl Models for One {
    fn connect(&self, _wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String> {
        Ok(Arc::new(self.0.clone()))
    }
}

struct Desk {
    runtime: Arc<Runtime>,
    kits: Arc<Catalog>,
    model: Scripted,
    heard: Subscription,
    _folder: TempDir,
}

impl Desk {
    async fn of(mode: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ws = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(ws.join("run")).unwrap();
        let (store, faults) = memory::store();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/tests/mcp/server.py");
        let yaml = format!(
            "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: helper}}\nspec:\n  sandbox: {{mode: trust}}\n  tools:\n    \
             - mcp: {{name: s, command: python3, args: ['-u', '{script}', {mode}]}}\n"
        );
        faults.write_agent_file("helper", "agent.yaml", yaml.as_str());
        faults.write_agent_file("helper", "policy.yaml", policy);
        let model = Scripted::default();
        let kits = Arc::new(catalog(&store, &model, &ws));
        let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
        let shared = Arc::clone(&kits);
        let runtime = Runtime::start(store, shared, Moments::new(clock, 1), Settings::default()).await.unwrap();
        runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
        let heard = runtime.subscribe(id(1), 0);
        Self { runtime, kits, model, heard, _folder: folder }
    }

    async fn call(&self, tool: &str, arguments: &Value) {
        self.model.then(Step::call(tool, arguments));
        self.model.then(Step::text("done"));
        self.runtime.submit(id(1), Command::Message(message("go")), None).await.unwrap();
    }

    async fn event<T>(&mut self, pick: fn(&Event) -> Option<T>) -> T {
        let seen = |signal: &Signal| if let Signal::Event(_, entry) = signal { pick(&entry.event) } else { None };
        heard(&mut self.heard, seen).await
    }

    async fn asked(&mut self) -> (CallId, String, String) {
        let pick = |event: &Event| {
            let Event::ApprovalRequested(asked) = event else { return None };
            Some((asked.call, asked.summary.clone(), asked.rule.clone()))
        };
        self.event(pick).await
    }

    async fn decide(&self, call: CallId, verdict: Verdict) {
        let decision = Decision { call, asked: None, verdict, reason: None, by: by() };
        self.runtime.submit(id(1), Command::Decide(decision), None).await.unwrap();
    }

    async fn finished(&mut self) -> CallFinished {
        self.event(|event| if let Event::CallFinished(finished) = event { Some(finished.clone()) } else { None }).await
    }

    async fn ended(&mut self) {
        self.event(|event| matches!(event, Event::TurnEnded(_)).then_some(())).await;
    }
}

fn catalog(store: &Store, model: &Scripted, ws: &Path) -> Catalog {
    let sources = Sources {
        folders: Arc::clone(&store.agents),
        memory: Arc::new(HeldMemory::default()),
        models: Arc::new(One(model.clone())),
        exec: Arc::new(Exec::new([], &ws.join("run"), &ws.join("run/children"))),
        variables: Box::new(|_| None),
        credentials: Arc::new(Given),
        workspace: ws.join("none"),
        cwd: ws.to_owned(),
    };
    Catalog::new(sources)
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let ws = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(ws.join("run")).unwrap();
    let (store, faults) = memory::store();
    let server = r#"{name: s, command: sh, args: ['-c', 'echo "no $GH_TOKEN" >&2; exit 7'], secrets: [GH_TOKEN]}"#;
    let yaml = format!(
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: helper}}\nspec: {{sandbox: {{mode: trust}}, tools: [{{mcp: {server}}}]}}\n"
    );
    faults.write_agent_file("helper", "agent.yaml", yaml.as_str());
    let catalog = catalog(&store, &Scripted::default(), &ws);
    let asked = catalog.look(&"helper".parse().unwrap()).await.unwrap();
    let state = &asked[0].seen.as_ref().unwrap().state;
    assert!(state.contains("it said: no [redacted:GH_TOKEN]"), "{state}");
    catalog.leave().await;
}

#[tokio::test]
async fn the_first_step_has_a_server_s_tools_and_its_calls_are_asked_about() {
    let mut desk = Desk::of("old", "").await;
    desk.call("mcp_s_echo", &json!({"text": "hi"})).await;
    let (call, summary, rule) = desk.asked().await;
    assert_eq!(summary, r#"mcp s/echo {"text":"hi"}"#);
    assert!(rule.starts_with("mcp:s/echo as described by "), "{rule}");
    desk.decide(call, Verdict::AllowAlways).await;
    let finished = desk.finished().await;
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "hi"));
    desk.ended().await;
    // What was allowed for good is this tool as it is described now.
    desk.call("mcp_s_echo", &json!({"text": "again"})).await;
    assert_eq!(desk.finished().await.content, "again");
    desk.ended().await;
    let before = desk.kits.offered(&"helper".parse().unwrap()).version;
    desk.call("mcp_s_change", &json!({})).await;
    let (call, ..) = desk.asked().await;
    desk.decide(call, Verdict::Allow).await;
    desk.finished().await;
    desk.ended().await;
    while desk.kits.offered(&"helper".parse().unwrap()).version == before {
        tokio::task::yield_now().await;
    }
    desk.call("mcp_s_echo", &json!({"text": "other"})).await;
    let (_, summary, other) = desk.asked().await;
    assert!(summary.contains("has changed since it was listed first"), "{summary}");
    assert_ne!(other, rule);
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_question_of_a_running_call_is_in_the_journal_and_its_answer_lets_it_go_on() {
    let mut desk = Desk::of("old", "allow: ['mcp:s/*']").await;
    desk.call("mcp_s_ask", &json!({})).await;
    let pick = |event: &Event| {
        let Event::QuestionAsked(asked) = event else { return None };
        Some((asked.question, asked.attempt, asked.questions[0].text.clone()))
    };
    let (question, attempt, text): (QuestionId, _, _) = desk.event(pick).await;
    assert_eq!((attempt, text.as_str()), (Some(1), "The mcp server `s` asks: Who?\n\nName"));
    let answers = vec![vec!["Ada".to_owned()]];
    desk.runtime.submit(id(1), Command::Answer { question, answers, by: by() }, None).await.unwrap();
    let finished = desk.finished().await;
    assert_eq!(finished.content, r#"{"action": "accept", "content": {"name": "Ada"}}"#);
    desk.ended().await;
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_question_that_its_server_takes_back_is_taken_back_in_the_journal_and_the_next_has_its_own_answer() {
    let mut desk = Desk::of("unasking", "allow: ['mcp:s/*']").await;
    desk.call("mcp_s_ask", &json!({})).await;
    let asked = |event: &Event| {
        let Event::QuestionAsked(asked) = event else { return None };
        Some((asked.question, asked.questions[0].text.contains("Never mind")))
    };
    let answered = |event: &Event| {
        let Event::QuestionAnswered(answered) = event else { return None };
        Some((answered.question, answered.answers.clone(), answered.by.kind))
    };
    let (first, is_first) = desk.event(asked).await;
    assert!(is_first);
    assert_eq!(desk.event(answered).await, (first, vec![], OriginKind::Runtime));
    let (second, is_first) = desk.event(asked).await;
    assert!(!is_first);
    let answer = |question| Command::Answer { question, answers: vec![vec!["Ada".to_owned()]], by: by() };
    let late = desk.runtime.submit(id(1), answer(first), None).await;
    assert!(matches!(late, Err(SubmitError::Refused(Refusal::AlreadyAnswered(_)))), "{late:?}");
    desk.runtime.submit(id(1), answer(second), None).await.unwrap();
    assert_eq!(desk.finished().await.content, r#"{"action": "accept", "content": {"name": "Ada"}}"#);
    desk.ended().await;
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_running_call_asks_nobody_where_nobody_sits() {
    let mut desk = Desk::of("old", "allow: ['mcp:s/*']").await;
    desk.model.then(Step::call("mcp_s_ask", &json!({})));
    desk.model.then(Step::text("done"));
    let mut alone = message("go");
    alone.origin.kind = OriginKind::Schedule;
    desk.runtime.submit(id(1), Command::Message(alone), None).await.unwrap();
    let finished = desk.finished().await;
    assert_eq!(finished.content, r#"{"action": "cancel"}"#);
    desk.ended().await;
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_server_that_does_not_start_is_told_of_and_the_turn_goes_on() {
    let mut desk = Desk::of("broken", "").await;
    desk.call("mcp_s_echo", &json!({"text": "hi"})).await;
    let denied =
        desk.event(|event| if let Event::CallDenied(it) = event { Some(it.content.clone()) } else { None }).await;
    assert!(denied.contains("there is no tool `mcp_s_echo`"), "{denied}");
    desk.ended().await;
    let card = desk.kits.card(&"helper".parse().unwrap()).unwrap();
    assert!(card.warnings.iter().any(|warning| warning.contains("no such module")), "{:?}", card.warnings);
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_server_that_the_policy_denies_is_never_started() {
    let mut desk = Desk::of("old", "deny: ['mcp:s/*']").await;
    desk.call("mcp_s_echo", &json!({"text": "hi"})).await;
    desk.ended().await;
    let card = desk.kits.card(&"helper".parse().unwrap()).unwrap();
    let told = "mcp server `s` is not started: denied by the policy's rule `mcp:s/*`";
    assert_eq!(card.warnings, [told]);
    desk.runtime.shutdown().await;
}

#[tokio::test]
async fn a_call_that_was_asked_about_before_a_stop_runs_once_the_stop_is_lifted() {
    let mut desk = Desk::of("old", "").await;
    desk.call("mcp_s_echo", &json!({"text": "hi"})).await;
    let (call, ..) = desk.asked().await;
    desk.runtime.stop_all(by(), None).await.unwrap();
    desk.runtime.lift().await.unwrap();
    desk.decide(call, Verdict::Allow).await;
    let finished = desk.finished().await;
    assert_eq!((finished.outcome, finished.content.as_str()), (Outcome::Ok, "hi"));
    desk.ended().await;
    desk.runtime.shutdown().await;
}

/// Agents whose calls leave behind what never ends.
struct Endless;

impl Aftermath for Endless {
    fn end(&self, _of: Option<SessionId>) -> Pending<'_, ()> {
        Box::pin(std::future::pending())
    }
}

impl Kits for Endless {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_answered_and_can_be_lifted_though_something_does_not_end() {
    let (store, _faults) = memory::store();
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let runtime = Runtime::start(store, Arc::new(Endless), Moments::new(clock, 1), Settings::default()).await.unwrap();
    let long = Duration::from_secs(60);
    let stopped = tokio::time::timeout(long, runtime.stop_all(by(), None)).await.expect("it is answered").unwrap();
    assert_eq!(runtime.lift().await.unwrap(), Some(stopped.stop));
    tokio::time::timeout(long, runtime.shutdown()).await.expect("it shuts down");
}
