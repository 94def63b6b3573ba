//! What is to be done when, and what becomes of it if that does not go well.

use serde::{Deserialize, Serialize};

use super::rule::{Overlap, Rule, Zones};
use crate::event::Overdue;
use crate::id::{AgentName, SessionId};
use crate::limits::{LONGEST_PERIOD_MS, MESSAGE_BYTES, RUN_ATTEMPTS, SHORTEST_PERIOD_MS, TITLE_CHARS};
use crate::session::Refusal;
use crate::time::{Period, Timestamp};

/// What a person or an agent wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Plan {
    /// A name for people.
    pub name: Option<String>,
    /// When.
    pub rule: Rule,
    /// Where.
    pub target: Target,
    /// What is said there.
    pub message: String,
    /// What becomes of what was missed: by `skip` the latest one runs if it is less than a minute late, by `expire_after_ms` if it
    /// is not later than that.
    pub overdue: Overdue,
    /// What becomes of a run that is due while the one before is not over.
    pub overlap: Overlap,
    /// What becomes of a run that failed.
    pub retry: Retry,
}

/// Where a run's message is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In this session.
    Session(SessionId),
    /// In a fresh session of this agent.
    Agent(AgentName),
}

/// How often a run that failed is tried again, in the same session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Times that it is tried, the first one included.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each. Of each pause a half to the whole is waited.
    pub first: Period,
    /// The longest pause.
    pub longest: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, first: Period::from_ms(30_000), longest: Period::from_ms(3_600_000) }
    }
}

/// A plan as it is written: all of it at one level.
#[derive(Serialize, Deserialize, Clone)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Period>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<AgentName>,
    message: String,
    #[serde(default = "fire_once")]
    overdue: Overdue,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    retry: Retry,
}

/// What most want: of all that was missed the last one.
fn fire_once() -> Overdue {
    Overdue::FireOnce
}

impl TryFrom<Form> for Plan {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        let rule = match (form.at, form.every, form.cron) {
            (Some(at), None, None) => Rule::At { at, zone: form.zone.clone() },
            (None, Some(every), None) => Rule::Every { every, anchor: form.anchor },
            (None, None, Some(cron)) => Rule::Cron { cron, zone: form.zone.clone() },
            _other => return Err("one of `at`, `every` and `cron` is needed".to_owned()),
        };
        if form.anchor.is_some() && !matches!(rule, Rule::Every { .. }) {
            return Err("`anchor` belongs to `every`".to_owned());
        }
        if form.zone.is_some() && matches!(rule, Rule::Every { .. }) {
            return Err("`zone` belongs to `at` and `cron`: `every` goes by time itself".to_owned());
        }
        let target = match (form.session, form.agent) {
            (Some(session), None) => Target::Session(session),
            (None, Some(agent)) => Target::Agent(agent),
            _other => return Err("one of `session` and `agent` is needed".to_owned()),
        };
        let Form { name, message, overdue, overlap, retry, .. } = form;
        Ok(Self { name, rule, target, message, overdue, overlap, retry })
    }
}

impl From<Plan> for Form {
    fn from(plan: Plan) -> Self {
        let (mut at, mut every, mut cron, mut anchor, mut zone) = (None, None, None, None, None);
        match plan.rule {
            Rule::At { at: moment, zone: name } => (at, zone) = (Some(moment), name),
            Rule::Every { every: period, anchor: moment } => (every, anchor) = (Some(period), moment),
            Rule::Cron { cron: expression, zone: name } => (cron, zone) = (Some(expression), name),
        }
        let (session, agent) = match plan.target {
            Target::Session(session) => (Some(session), None),
            Target::Agent(agent) => (None, Some(agent)),
        };
        let Plan { name, message, overdue, overlap, retry, .. } = plan;
        Self { name, at, every, anchor, cron, zone, session, agent, message, overdue, overlap, retry }
    }
}

impl Plan {
    /// Checks what it says, and that it is ever due. What is due at a distance counts from `now` where nothing else is said.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] with the field.
    pub fn checked(mut self, now: Timestamp, zones: &Zones) -> Result<Self, Refusal> {
        let wrong = |what: String| Err(Refusal::Invalid { code: "schedule_invalid", what });
        let is_name = |name: &String| {
            (1..=TITLE_CHARS).contains(&name.trim().chars().count()) && !name.chars().any(char::is_control)
        };
        if self.name.as_ref().is_some_and(|name| !is_name(name)) {
            return wrong(format!("name: 1 to {TITLE_CHARS} characters on one line are needed"));
        }
        if self.message.trim().is_empty() || self.message.len() > MESSAGE_BYTES {
            return wrong(format!("message: 1 to {MESSAGE_BYTES} bytes are needed"));
        }
        if let Rule::Every { every, anchor } = &mut self.rule {
            if !(SHORTEST_PERIOD_MS..=LONGEST_PERIOD_MS).contains(&every.ms()) {
                return wrong(format!("every: `{every}` is not a second to ten years"));
            }
            anchor.get_or_insert(now);
        }
        if let Err(error) = self.rule.check(zones) {
            return wrong(error.to_string());
        }
        if !self.rule.is_once() && !matches!(self.rule.next(now, zones), Ok(Some(_))) {
            return wrong("it is never due: no such day comes".to_owned());
        }
        if !(1..=RUN_ATTEMPTS).contains(&self.retry.attempts) {
            return wrong(format!("retry.attempts: 1 to {RUN_ATTEMPTS}, not {}", self.retry.attempts));
        }
        let pauses = [self.retry.first, self.retry.longest];
        if pauses.iter().any(|pause| pause.ms() > LONGEST_PERIOD_MS) || self.retry.longest < self.retry.first {
            return wrong("retry: `first` is at most `longest`, and that at most ten years".to_owned());
        }
        Ok(self)
    }

    /// Returns how it is called, or what it says.
    #[must_use]
    pub fn title(&self) -> String {
        let text = self.name.as_deref().unwrap_or_else(|| self.message.trim().lines().next().unwrap_or_default());
        text.chars().take(TITLE_CHARS).collect()
    }
}
