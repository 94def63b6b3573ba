//! What `schedule_task`, `list_schedules` and `cancel_schedule` ask for, and of whom.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};

use outlive_core::event::{Effect, Outcome};
use outlive_core::id::{AgentName, CallId, ScheduleId, SessionId};
use outlive_core::policy::{Closed, Reach};
use outlive_core::schedule::Plan;
use outlive_tools::registry::Toolbox;
use outlive_tools::schedule::{Asker, Plans, tools};
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Keeps what it was asked.
#[derive(Default)]
struct Desk {
    asked: Mutex<Vec<(Asker, String)>>,
}

impl Desk {
    fn note(&self, asker: Asker, what: String) {
        self.asked.lock().unwrap().push((asker, what));
    }
}

fn schedule() -> ScheduleId {
    ScheduleId::from_bits(7)
}

impl Plans for Desk {
    fn plan(&self, asker: Asker, plan: Plan) -> Pending<'_, Result<(ScheduleId, String), String>> {
        self.note(asker, serde_json::to_string(&plan).unwrap());
        Box::pin(std::future::ready(Ok((schedule(), "Due next at noon.".to_owned()))))
    }

    fn list(&self, asker: Asker) -> Pending<'_, Result<Vec<String>, String>> {
        self.note(asker, "list".to_owned());
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn cancel(&self, asker: Asker, schedule: ScheduleId) -> Pending<'_, Result<(), String>> {
        self.note(asker, format!("cancel {schedule}"));
        Box::pin(std::future::ready(Err(format!("there is no schedule `{schedule}`"))))
    }
}

fn toolbox(desk: &Arc<Desk>) -> Toolbox {
    let plans: Arc<dyn Plans> = Arc::<Desk>::clone(desk);
    Toolbox::new(tools(&plans, &agent()))
}

fn agent() -> AgentName {
    "own".parse().unwrap()
}

fn place() -> Place {
    Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() }
}

fn assessed(tool: &str, arguments: &Value) -> Result<Assessment, String> {
    let prepared = toolbox(&Arc::default()).prepare(tool, arguments, &place());
    prepared.map(|(_, assessment)| assessment).map_err(|refusal| refusal.to_string())
}

/// Calls a tool, and returns what it said and what was asked of the desk.
async fn call(tool: &str, arguments: Value) -> (Finished, Vec<(Asker, String)>) {
    let desk = Arc::new(Desk::default());
    let (tool, _) = toolbox(&desk).prepare(tool, &arguments, &place()).unwrap();
    let invocation = Invocation {
        session: SessionId::from_bits(1),
        call: CallId::from_bits(9),
        attempt: 2,
        idempotency_key: "key-9".to_owned(),
        arguments,
        place: place(),
        ruled: None,
        closed: Closed::default(),
        sink: Arc::new(|_| {}),
        asker: outlive_tools::unheard(),
        stop: CancellationToken::new(),
    };
    let finished = tool.run(invocation).await;
    let asked = desk.asked.lock().unwrap().clone();
    (finished, asked)
}

fn asker() -> Asker {
    Asker { agent: agent(), session: SessionId::from_bits(1), key: "key-9".to_owned() }
}

#[tokio::test]
async fn a_plan_is_for_its_own_session_or_its_own_agent_under_the_call_s_name() {
    for (place, says) in [
        (json!("here"), ("session", SessionId::from_bits(1).to_string())),
        (json!("fresh"), ("agent", "own".to_owned())),
    ] {
        let arguments = json!({"message": "look", "cron": "0 9 * * *", "zone": "Europe/Berlin", "session": place});
        let (finished, asked) = call("schedule_task", arguments).await;
        assert_eq!(finished.content, format!("Planned as {}. Due next at noon.", schedule()));
        let [(by, plan)] = asked.as_slice() else { panic!("{asked:?}") };
        let plan: Value = serde_json::from_str(plan).unwrap();
        assert_eq!((by, &plan[says.0], &plan["zone"]), (&asker(), &json!(says.1), &json!("Europe/Berlin")));
    }
}

#[tokio::test]
async fn what_is_planned_is_listed_and_taken_back_in_its_agent_s_name() {
    let (finished, asked) = call("list_schedules", json!({})).await;
    assert_eq!((finished.content.as_str(), asked), ("(nothing is planned)", vec![(asker(), "list".to_owned())]));
    let (finished, asked) = call("cancel_schedule", json!({"id": schedule().to_string()})).await;
    assert_eq!(finished.outcome, Outcome::Error, "what is not its own is not there");
    assert_eq!(asked, [(asker(), format!("cancel {}", schedule()))]);
}

#[test]
fn a_plan_reaches_beyond_its_turn_and_what_is_allowed_for_good_is_exactly_it() {
    let plan = |message: &str| assessed("schedule_task", &json!({"message": message, "every": "1h"})).unwrap();
    let (tea, milk) = (plan("tea"), plan("milk"));
    assert_eq!(
        (tea.subject.tool.as_str(), tea.subject.reach, tea.effect),
        ("schedule", Reach::Beyond, Effect::Idempotent)
    );
    assert!(tea.subject.target.starts_with("plan every 1h ") && tea.subject.target != milk.subject.target);
    assert_eq!(tea.summary, "plan every 1h: tea");
    // A message cannot make another target of it.
    let odd = assessed("schedule_task", &json!({"message": "x", "cron": "0 9 * * *\n* list"})).unwrap();
    assert!(!odd.subject.target.contains('\n'), "{}", odd.subject.target);
    let list = assessed("list_schedules", &json!({})).unwrap();
    assert_eq!((list.subject.reach, list.effect), (Reach::Within, Effect::Read));
}

#[test]
fn what_is_no_plan_is_refused_before_anybody_is_asked() {
    for (tool, wrong, says) in [
        ("schedule_task", json!({"every": "1h"}), "message"),
        ("schedule_task", json!({"message": "x"}), "one of `at`, `every` and `cron` is needed"),
        ("schedule_task", json!({"message": "x", "every": "1h", "cron": "@daily"}), "one of `at`, `every` and `cron`"),
        ("schedule_task", json!({"message": "x", "every": "soon"}), "`soon` is not a time"),
        ("schedule_task", json!({"message": "x", "every": "1h", "zone": "UTC"}), "`zone` belongs to"),
        ("schedule_task", json!({"message": "x", "every": "1h", "when": "now"}), "when"),
        ("schedule_task", json!({"message": "x", "every": "1h", "session": "ses_1"}), "session"),
        ("cancel_schedule", json!({"id": "../x"}), "`../x` is no schedule's id"),
        ("list_schedules", json!({"all": true}), "all"),
    ] {
        let said = assessed(tool, &wrong).unwrap_err();
        assert!(said.contains(says), "{wrong}: {said}");
    }
}
