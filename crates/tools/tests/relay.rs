//! What `create_relay`, `select_state` and `relay_status` take.

use std::sync::Arc;

use outlive_core::event::Effect;
use outlive_core::policy::Reach;
use outlive_tools::builtin::Relays;
use outlive_tools::registry::Toolbox;
use outlive_tools::{Assessment, Place, Tool};
use serde_json::{Value, json};

fn assessed(tool: &str, arguments: &Value) -> Result<Assessment, String> {
    let tools = Toolbox::new(Relays::ALL.map(|relay| Arc::new(relay) as Arc<dyn Tool>).into());
    let place = Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() };
    tools.prepare(tool, arguments, &place).map(|(_, assessment)| assessment).map_err(|refusal| refusal.to_string())
}

#[test]
fn calls_about_relays_change_nothing_outside_their_session() {
    let definition = json!({"name": "trip", "prompt": "go", "states": [
        {"name": "done", "kind": "terminal", "outcome": "completed"},
    ]});
    for (tool, arguments) in [
        ("create_relay", json!({"definition": definition, "input": {}})),
        ("select_state", json!({"state": "done", "input": {"a": 1}})),
        ("relay_status", json!({})),
    ] {
        let assessment = assessed(tool, &arguments).unwrap();
        assert_eq!((assessment.subject.reach, assessment.effect), (Reach::Within, Effect::Read), "{tool}");
    }
}

#[test]
fn what_is_no_such_call_is_refused_with_every_fault() {
    for (tool, wrong, says) in [
        ("create_relay", json!({}), "definition"),
        ("create_relay", json!({"definition": {"name": "Trip", "states": []}}), "prompt: is missing"),
        ("create_relay", json!({"definition": {"name": "Trip", "states": []}}), "`Trip` is no name"),
        ("create_relay", json!({"definition": {}, "stat": "x"}), "stat"),
        ("select_state", json!({}), "state"),
        ("select_state", json!({"state": "done", "inputs": {}}), "inputs"),
        ("select_state", json!({"state": "done", "input": "x"}), "input"),
        ("relay_status", json!({"session": "ses_1"}), "an object without keys"),
    ] {
        let said = assessed(tool, &wrong).unwrap_err();
        assert!(said.contains(says), "{tool} {wrong}: {said}");
    }
}
