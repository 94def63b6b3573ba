//! Scripted tools do what they are told, and a panic of a tool is a result.

mod stage;

use std::sync::Arc;

use outlive_core::event::{Effect, Outcome};
use outlive_core::policy::Reach;
use outlive_tools::registry::{Toolbox, run_caught};
use outlive_tools::scripted::{Ledger, Scripted};
use outlive_tools::{Found, Tool};
use serde_json::json;
use stage::Stage;

const EFFECTS: [Effect; 5] =
    [Effect::Read, Effect::Idempotent, Effect::Verifiable, Effect::Resumable, Effect::Effectful];

#[tokio::test]
async fn each_effect_is_written_down_as_the_world_would_see_it() {
    for (effect, times) in EFFECTS.into_iter().zip([0, 1, 2, 2, 2]) {
        let (stage, ledger) = (Stage::new(), Ledger::default());
        let tool = Scripted::new("act", effect, Reach::Within, &ledger);
        let key = stage.call.to_string();
        let unknown = !matches!(effect, Effect::Verifiable | Effect::Resumable);
        let before = tool.find(stage.invocation(json!({}))).await;
        assert_eq!(before, if unknown { Found::Unknown } else { Found::NotDone });
        for _ in 0..2 {
            assert_eq!(tool.run(stage.invocation(json!({}))).await.outcome, Outcome::Ok);
        }
        assert_eq!(ledger.times(&key), times, "{effect:?}");
        assert_eq!(matches!(tool.find(stage.invocation(json!({}))).await, Found::Done(_)), !unknown);
    }
}

#[tokio::test]
async fn a_panic_is_a_result_and_the_deed_before_it_stays() {
    let (stage, ledger) = (Stage::new(), Ledger::default());
    let tool = Scripted::new("act", Effect::Effectful, Reach::Within, &ledger);
    let finished = run_caught(&tool, stage.invocation(json!({"act": "panic"}))).await;
    assert!(finished.outcome == Outcome::Error && finished.content.contains("panicked"));
    assert_eq!(ledger.deeds().len(), 1);
    assert_eq!(tool.run(stage.invocation(json!({"act": "fail"}))).await.outcome, Outcome::Error);
    assert_eq!(ledger.deeds().len(), 1);
}

#[tokio::test]
async fn a_call_that_hangs_ends_when_it_is_released_or_stopped() {
    let (mut stage, ledger) = (Stage::new(), Ledger::default());
    let tool = Scripted::new("act", Effect::Effectful, Reach::Within, &ledger);
    let hang = json!({"act": "hang"});
    let (released, ()) = tokio::join!(tool.run(stage.invocation(hang.clone())), async { tool.release() });
    assert_eq!(released.outcome, Outcome::Ok);
    stage.said = Arc::default();
    stage.stop_at = Some("done");
    assert_eq!(tool.run(stage.invocation(hang)).await.outcome, Outcome::Interrupted);
}

#[test]
fn a_tool_sees_only_what_its_schema_admits() {
    let (stage, ledger) = (Stage::new(), Ledger::default());
    let tool: Arc<dyn Tool> = Arc::new(Scripted::new("act", Effect::Read, Reach::Within, &ledger));
    let tools = Toolbox::new(vec![tool]);
    let refused = |name, arguments| tools.prepare(name, &arguments, &stage.place).err().unwrap().to_string();
    assert!(refused("act", json!({"act": "dance"})).contains("`/act`"));
    assert!(refused("act", json!({"other": 1})).contains("Expected: act (string)"));
    assert!(refused("atc", json!({})).contains("did you mean `act`"));
    assert!(tools.prepare("act", &json!({"act": "do"}), &stage.place).is_ok());
}
