//! What agents plan: each for itself, under its own name.

use std::sync::Arc;

use outlive_core::digest::Digest;
use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::ScheduleId;
use outlive_core::schedule::{Plan, Schedule, ScheduleCommand};
use outlive_tools::Pending;
use outlive_tools::schedule::{Asker, Plans};

use super::missing;
use crate::{Door, Runtime};

/// Of what is over, so many of the newest are listed.
const SHOWN_OVER: usize = 10;

/// Plans of all agents.
pub(crate) struct Planner(pub(crate) Door);

/// Returns who says so where an agent does.
fn by(asker: &Asker) -> Origin {
    Origin { kind: OriginKind::Runtime, sender: Some(asker.agent.to_string()) }
}

/// Says whether an agent said so.
pub(super) fn is_agent(by: &Origin) -> bool {
    by.kind == OriginKind::Runtime && by.sender.is_some()
}

impl Planner {
    fn runtime(&self) -> Result<Arc<Runtime>, String> {
        self.0.runtime().ok_or_else(|| "the server is only starting, or closing: try again".to_owned())
    }
}

impl Plans for Planner {
    fn plan(&self, asker: Asker, plan: Plan) -> Pending<'_, Result<(ScheduleId, String), String>> {
        Box::pin(async move {
            let runtime = self.runtime()?;
            // The call's name is the schedule's: run again, it finds it.
            let id = ScheduleId::from_bits(Digest::of(format!("plan/{}", asker.key).as_bytes()).bits());
            let made = runtime.create_schedule(id, plan, by(&asker)).await.map_err(|error| error.to_string())?;
            Ok((id, due(&made, &runtime)))
        })
    }

    fn list(&self, asker: Asker) -> Pending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let runtime = self.runtime()?;
            let known = runtime.schedules().await.map_err(|error| error.to_string())?;
            let own = known.schedules.iter().filter(|known| known.by == by(&asker));
            let (mut over, mut shown): (Vec<&Schedule>, Vec<&Schedule>) =
                own.partition(|known| known.is_over(runtime.zones()));
            over.sort_by_key(|known| std::cmp::Reverse(known.updated_at));
            shown.extend(over.iter().take(SHOWN_OVER));
            let line = |known: &&Schedule| format!("{}  {}  {}", known.id, due(known, &runtime), known.plan.title());
            Ok(shown.iter().map(line).collect())
        })
    }

    fn cancel(&self, asker: Asker, schedule: ScheduleId) -> Pending<'_, Result<(), String>> {
        Box::pin(async move {
            let runtime = self.runtime()?;
            let known = runtime.schedule(schedule).await.map_err(|error| error.to_string())?;
            // One of another is not told apart from one that is not there.
            if known.by != by(&asker) {
                return Err(missing(schedule).to_string());
            }
            let removed = runtime.ask_schedule(schedule, ScheduleCommand::Remove, by(&asker)).await;
            removed.map(drop).map_err(|error| error.to_string())
        })
    }
}

fn due(known: &Schedule, runtime: &Runtime) -> String {
    match known.next(runtime.zones()) {
        Some(next) => format!("Due next at {next}."),
        None if known.runs.is_empty() => "Not due any more.".to_owned(),
        None => "Under way.".to_owned(),
    }
}
