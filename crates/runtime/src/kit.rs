//! An agent ready to run: its request frame, model, tools, policy and limits, made afresh when its files change.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::context::Frame;
use outlive_core::event::{Decider, OnDisconnect};
use outlive_core::id::AgentName;
use outlive_core::policy::{Policy, Verdict};
use outlive_core::session::{ASK_USER, LIST_TOOL, Ruling, State, read_questions, read_todos};
use outlive_core::turn::Call;
use outlive_model::Model;
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;

/// What a session needs of its agent to take a step.
pub struct Kit {
    /// The stable part of every request.
    pub frame: Frame,
    /// The model that is asked.
    pub model: Arc<dyn Model>,
    /// The tools on offer.
    pub toolbox: Arc<Toolbox>,
    /// What they may do.
    pub policy: Policy,
    /// Where they may act.
    pub place: Place,
    /// Limits.
    pub terms: Terms,
}

/// An agent's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Steps of one turn.
    pub max_steps: u32,
    /// Time of one model request, from asking to the last byte.
    pub step_timeout: Duration,
    /// Time without anything to do, after which the session leaves memory.
    pub idle_evict: Duration,
    /// What becomes of a turn without a client, where the session does not say.
    pub on_disconnect: OnDisconnect,
    /// Time that a turn goes on after its last client has gone, where it is to be paused then.
    pub disconnect_grace: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_steps: 50,
            step_timeout: Duration::from_secs(600),
            idle_evict: Duration::from_secs(60),
            on_disconnect: OnDisconnect::Continue,
            disconnect_grace: Duration::from_secs(10),
        }
    }
}

/// Why an agent cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// There is no such agent.
    #[error("there is no agent `{0}`; `outlive agent list` shows them, `outlive agent new {0}` makes it")]
    Unknown(AgentName),
    /// Its files are not right.
    #[error("agent `{agent}` cannot run: {why}")]
    Invalid {
        /// Which.
        agent: AgentName,
        /// File, line and what is wrong.
        why: String,
    },
    /// Nothing runs that would need one.
    #[error("no turn is running")]
    NoTurn,
}

/// What people are told of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its name.
    pub name: AgentName,
    /// What it is for.
    pub description: String,
    /// Its version, in its author's words.
    pub version: Option<String>,
    /// `provider/name` of the model that it would ask now.
    pub model: String,
    /// Digest of its files.
    pub digest: String,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// The folder that they work in.
    pub works_in: String,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
}

/// Makes kits.
pub trait Kits: Send + Sync {
    /// Returns the agent's kit as its files stand now.
    ///
    /// # Errors
    ///
    /// [`KitError`]
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError>;

    /// Returns what people are told of the agent.
    ///
    /// # Errors
    ///
    /// [`KitError`]
    fn card(&self, agent: &AgentName) -> Result<Card, KitError>;

    /// Returns all agents' names, sorted.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn names(&self) -> Result<Vec<AgentName>, outlive_store::StoreError>;
}

impl Kit {
    /// Rules on a call: its arguments first, then the policy, then what a person allowed always.
    #[must_use]
    pub fn rule(&self, state: &State, call: &Call) -> Ruling {
        let refuse = |content: String| Ruling::Denied { by: Decider::Runtime, content };
        if let Some(raw) = &call.malformed {
            return refuse(format!(
                "The arguments of this call are not a JSON object; it did not run. They were: {raw}"
            ));
        }
        let (_tool, assessment) = match self.toolbox.prepare(&call.tool, &call.input, &self.place) {
            Ok(prepared) => prepared,
            Err(refusal) => return refuse(refusal.to_string()),
        };
        if call.tool == ASK_USER {
            // It does nothing but ask a person: no policy asks a person about that.
            return read_questions(&call.input).map_or_else(refuse, Ruling::Question);
        }
        if call.tool == LIST_TOOL {
            return read_todos(&call.input).map_or_else(refuse, Ruling::Todos);
        }
        let (effect, on_lost, ruled) = (assessment.effect, assessment.on_lost, assessment.subject.ruled());
        match self.policy.rule(&assessment.subject) {
            Verdict::Allow { rule } => Ruling::Allowed { by: Decider::Policy(rule), effect, on_lost, ruled },
            Verdict::Deny { rule, reason } => Ruling::Denied { by: Decider::Policy(rule), content: reason },
            Verdict::Ask { suggestion, .. } if state.decisions.grants.contains(&suggestion) => {
                Ruling::Allowed { by: Decider::Grant(suggestion), effect, on_lost, ruled }
            }
            Verdict::Ask { suggestion, .. } => {
                Ruling::Ask { summary: assessment.summary, rule: suggestion, effect, on_lost, ruled }
            }
        }
    }
}
