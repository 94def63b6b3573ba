//! `schedule_task`, `list_schedules`, `cancel_schedule`: what an agent plans for itself.
//!
//! Invariants: an agent plans for its own sessions, and sees and cancels what it planned; a call that runs again plans nothing twice.

use std::sync::Arc;

use outlive_core::content::ToolSpec;
use outlive_core::digest::Digest;
use outlive_core::event::{Effect, OnLost};
use outlive_core::id::{AgentName, ScheduleId, SessionId};
use outlive_core::policy::{Reach, Subject};
use outlive_core::schedule::Plan;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::builtin::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Who plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Its agent.
    pub agent: AgentName,
    /// Its session.
    pub session: SessionId,
    /// The call's name, the same at every attempt.
    pub key: String,
}

/// What keeps plans.
pub trait Plans: Send + Sync {
    /// Keeps a plan; returns its id, and a line about when it is due.
    fn plan(&self, asker: Asker, plan: Plan) -> Pending<'_, Result<(ScheduleId, String), String>>;

    /// Returns a line about each of its plans.
    fn list(&self, asker: Asker) -> Pending<'_, Result<Vec<String>, String>>;

    /// Takes back one of its plans.
    fn cancel(&self, asker: Asker, schedule: ScheduleId) -> Pending<'_, Result<(), String>>;
}

/// The tools of an agent that plans.
#[must_use]
pub fn tools(plans: &Arc<dyn Plans>, agent: &AgentName) -> Vec<Arc<dyn Tool>> {
    let one = |what| -> Arc<dyn Tool> { Arc::new(Planning { plans: Arc::clone(plans), agent: agent.clone(), what }) };
    [What::Plan, What::List, What::Cancel].map(one).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Plan,
    List,
    Cancel,
}

struct Planning {
    plans: Arc<dyn Plans>,
    agent: AgentName,
    what: What,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleTask {
    /// What you will be told then: all that is needed to do it, also without this conversation.
    message: String,
    /// Once, at a time such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 with a `zone`.
    #[serde(default)]
    at: Option<String>,
    /// Again and again at this distance, as 15m, 1h, 1d.
    #[serde(default)]
    every: Option<String>,
    /// At the minutes that this names: minute, hour, day of the month, month, day of the week; as `0 9 * * MON-FRI`.
    #[serde(default)]
    cron: Option<String>,
    /// The time zone of `at` and `cron`, as Europe/Berlin. UTC if left out.
    #[serde(default)]
    zone: Option<String>,
    /// A short name.
    #[serde(default)]
    name: Option<String>,
    /// Where you are told: `here`, in this conversation, or `fresh`, each time in a new one. `here` if left out.
    #[serde(default)]
    session: Option<Where>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Where {
    Here,
    Fresh,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListSchedules {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CancelSchedule {
    /// Which, as `list_schedules` shows it.
    id: String,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Plan => "schedule_task",
            Self::List => "list_schedules",
            Self::Cancel => "cancel_schedule",
        }
    }
}

impl ScheduleTask {
    /// When it is due, in a few words on one line.
    fn when(&self) -> String {
        let asked = [("at", &self.at), ("every", &self.every), ("cron", &self.cron)];
        let said = asked.into_iter().filter_map(|(key, text)| Some(format!("{key} {:.80}", text.as_ref()?)));
        said.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn plan(self, agent: &AgentName, session: SessionId) -> Result<Plan, String> {
        let place = match self.session {
            None | Some(Where::Here) => ("session", session.to_string()),
            Some(Where::Fresh) => ("agent", agent.to_string()),
        };
        let Self { message, at, every, cron, zone, name, .. } = self;
        let mut form = json!({ "message": message, place.0: place.1 });
        for (key, text) in [("at", at), ("every", every), ("cron", cron), ("zone", zone), ("name", name)] {
            if let (Some(text), Some(form)) = (text, form.as_object_mut()) {
                form.insert(key.to_owned(), text.into());
            }
        }
        serde_json::from_value(form).map_err(|error| error.to_string())
    }
}

impl CancelSchedule {
    fn schedule(&self) -> Result<ScheduleId, String> {
        self.id.parse().map_err(|_| format!("`{:.40}` is no schedule's id", self.id))
    }
}

impl Planning {
    async fn answer(&self, invocation: &Invocation) -> Result<String, String> {
        let (session, key) = (invocation.session, invocation.idempotency_key.clone());
        let asker = Asker { agent: self.agent.clone(), session, key };
        match self.what {
            What::Plan => {
                let plan = shape::read::<ScheduleTask>(&invocation.arguments)?.plan(&self.agent, session)?;
                let (schedule, due) = self.plans.plan(asker, plan).await?;
                Ok(format!("Planned as {schedule}. {due}"))
            }
            What::List => {
                let lines = self.plans.list(asker).await?;
                Ok(if lines.is_empty() { "(nothing is planned)".to_owned() } else { lines.join("\n") })
            }
            What::Cancel => {
                let schedule = shape::read::<CancelSchedule>(&invocation.arguments)?.schedule()?;
                self.plans.cancel(asker, schedule).await?;
                Ok(format!("{schedule} is cancelled."))
            }
        }
    }
}

impl Tool for Planning {
    fn spec(&self) -> ToolSpec {
        match self.what {
            What::Plan => shape::spec::<ScheduleTask>(
                self.what.name(),
                "Has you told something later: once (`at`), again and again (`every`), or by a calendar (`cron`). It happens \
                 whether or not anybody is there then. To wait for a short time within this turn, this is not needed.",
            ),
            What::List => {
                shape::spec::<ListSchedules>(self.what.name(), "Lists what you planned, with when it is due next.")
            }
            What::Cancel => shape::spec::<CancelSchedule>(self.what.name(), "Takes back something that you planned."),
        }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let (effect, target, summary) = match self.what {
            What::Plan => {
                let asked: ScheduleTask = shape::read(arguments)?;
                let when = asked.when();
                let summary = format!("plan {when}: {:.200}", asked.message);
                // What it says by itself, whatever session it is for.
                asked.plan(&self.agent, SessionId::from_bits(0))?;
                // What is allowed for good is exactly this.
                let exactly = Digest::of(arguments.to_string().as_bytes());
                (Effect::Idempotent, format!("plan {when} {}", exactly.short()), summary)
            }
            What::List => (Effect::Read, "list".to_owned(), "list what is planned".to_owned()),
            What::Cancel => {
                let schedule = shape::read::<CancelSchedule>(arguments)?.schedule()?;
                (Effect::Idempotent, format!("cancel {schedule}"), format!("cancel {schedule}"))
            }
        };
        // What goes on without anybody is more than a turn is for.
        let reach = if self.what == What::Plan { Reach::Beyond } else { Reach::Within };
        let subject = Subject { tool: "schedule".to_owned(), target, reach };
        Ok(Assessment { effect, on_lost: OnLost::Report, span: Span::Call, subject, summary })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { self.answer(&invocation).await.map_or_else(Finished::error, Finished::ok) })
    }
}
