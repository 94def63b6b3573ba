//! `create_relay`, `select_state`, `relay_status`: work of many states that outlasts processes. Never run: a relay is part of the
//! session.

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::{CREATE_RELAY, RELAY_STATUS, SELECT_STATE, read_relay_call};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// One of the three.
pub enum Relays {
    /// Begins one.
    Create,
    /// Chooses a state.
    Select,
    /// Says where it stands.
    Status,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads the call")]
struct Creates {
    /// `{name, prompt, first?, states: [{name, kind, …}]}`. Kinds: agent {prompt}; script {command, timeout, effect, check}; poll
    /// {command, interval, deadline} (exit code 0 found, 1 not yet); timer {after} or {at, `time_zone`}; signal {signal, match,
    /// deadline}; park {question, options}; terminal {outcome: completed, failed or cancelled}. Each may have description,
    /// `input_schema`, next, `on_failure`, retry {attempts, backoff}. A command is a list of words, or a line for bash, which
    /// takes values only by env: {NAME: "{{input.key}}"}.
    definition: Map<String, Value>,
    /// The state to begin with. Its first one if left out.
    #[serde(default)]
    state: Option<String>,
    /// What that state is given.
    #[serde(default)]
    input: Option<Map<String, Value>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads the call")]
struct Selects {
    /// The state that is next.
    state: String,
    /// What it is given: as its `input_schema` says.
    #[serde(default)]
    input: Option<Map<String, Value>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Relays {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Select, Self::Status];

    fn name(&self) -> &'static str {
        match self {
            Self::Create => CREATE_RELAY,
            Self::Select => SELECT_STATE,
            Self::Status => RELAY_STATUS,
        }
    }
}

impl Tool for Relays {
    fn spec(&self) -> ToolSpec {
        match self {
            Self::Create => shape::spec::<Creates>(
                CREATE_RELAY,
                "Begins a relay: work of several states that may take weeks and survives restarts. You choose each next state; \
                 scripts, looks, times, signals and questions between run without you.",
            ),
            Self::Select => shape::spec::<Selects>(
                SELECT_STATE,
                "Chooses the next state of the relay that is under way. A state that is waiting is left for it.",
            ),
            Self::Status => {
                shape::spec::<Nothing>(RELAY_STATUS, "Shows the relay of this session: its states and its path so far.")
            }
        }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let name = self.name();
        read_relay_call(name, arguments).transpose()?;
        let subject = Subject { tool: name.to_owned(), target: String::new(), reach: Reach::Within };
        let summary = format!("{name} {arguments}");
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(std::future::ready(Finished::error("relays are kept by the session; this one was not")))
    }
}
