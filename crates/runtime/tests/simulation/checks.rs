//! The `bash` of evenings with loops: it runs checks, which pass, fail, are too slow, break, or quote what is remembered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::policy::{Reach, Subject};
use outlive_store::{RememberedQuery, Store};
use outlive_tools::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};
use serde_json::{Value, json};

use crate::evening::Evening;
use crate::hands::{filled, finished, panics, unfounded};
use crate::rng::Rng;
use crate::world::World;

/// What a check's command line begins with; what the model runs itself does not.
pub const CHECK: &str = "check";
/// What may not be run at all.
pub const FORBIDDEN: &str = "check what is forbidden";

pub struct Bash {
    pub rng: Rng,
    pub world: World,
    pub store: Store,
    pub calm: Arc<Mutex<bool>>,
    pub evening: Evening,
}

fn command(arguments: &Value) -> &str {
    arguments["command"].as_str().unwrap_or_default()
}

impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        let input_schema =
            json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});
        ToolSpec { name: "bash".into(), description: "simulated".into(), input_schema }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let target = command(arguments).to_owned();
        let reach = if target == FORBIDDEN { Reach::Forbidden } else { Reach::Beyond };
        let subject = Subject { tool: "bash".into(), target: target.clone(), reach };
        let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
        Ok(Assessment { effect, on_lost, subject, summary: target, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let _going = self.world.goes("a command");
            if let Some(wrong) = unfounded(&self.store, &invocation).await {
                self.world.never(wrong);
            }
            let is_check = command(&invocation.arguments).starts_with(CHECK);
            let work = async {
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
                self.world.did(invocation.call, if is_check { Effect::Idempotent } else { Effect::Effectful });
                tokio::time::sleep(Duration::from_millis(self.rng.below(3_000))).await;
            };
            tokio::select! {
                biased;
                () = work => {}
                () = invocation.stop.cancelled() => return finished(Outcome::Interrupted),
            }
            if *self.calm.lock().unwrap() {
                return finished(Outcome::Ok);
            }
            if self.rng.chance(4) {
                panics();
            }
            let (outcome, code) = match self.rng.below(20) {
                0..9 => (Outcome::Ok, Some(0)),
                9..17 => (Outcome::Error, Some(1)),
                17 => (Outcome::Error, None),
                _ => (Outcome::Timeout, None),
            };
            Finished { content: self.prints().await, details: Some(json!({"exit_code": code})), ..finished(outcome) }
        })
    }
}

impl Bash {
    async fn prints(&self) -> String {
        let most = self.evening.narrow.map_or(4_000, |narrow| narrow.said);
        let mut printed = filled("printed", self.rng.below(most));
        if self.evening.remembers && self.rng.chance(30) {
            let all = RememberedQuery { limit: 100, ..RememberedQuery::default() };
            let rows = self.store.memories.list(all).await.map(|page| page.rows).unwrap_or_default();
            let at = usize::try_from(self.rng.below(rows.len().max(1) as u64)).unwrap();
            printed.extend(rows.get(at).map(|row| format!("\n{}", row.memory.text)));
        }
        printed
    }
}
