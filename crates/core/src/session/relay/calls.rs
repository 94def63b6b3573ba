//! The agent's calls about relays: they are never run, since a relay is part of the session's state.

use serde_json::Value;

use super::State;
use crate::command::{Chosen, NewRelay};
use crate::event::{Event, Origin, OriginKind, RelaySource, Via};
use crate::relay::{draw, read_value};
use crate::session::decide::Moment;

/// Name of the tool that begins a relay.
pub const CREATE_RELAY: &str = "create_relay";
/// Name of the tool that chooses a state.
pub const SELECT_STATE: &str = "select_state";
/// Name of the tool that says where a relay stands.
pub const RELAY_STATUS: &str = "relay_status";

/// A call about a relay.
#[derive(Debug, Clone, PartialEq)]
pub enum RelayCall {
    /// It begins.
    Create(Box<NewRelay>),
    /// This state is next.
    Select(Chosen),
    /// Where does it stand?
    Status,
}

/// Reads a call, if it is one about relays.
#[must_use]
pub fn read_relay_call(tool: &str, arguments: &Value) -> Option<Result<RelayCall, String>> {
    let text = |key: &str| arguments[key].as_str().map(str::to_owned);
    let input = || arguments["input"].clone();
    match tool {
        RELAY_STATUS => Some(Ok(RelayCall::Status)),
        SELECT_STATE => {
            let state = text("state").ok_or_else(|| "`state` is missing".to_owned());
            Some(state.map(|state| RelayCall::Select(Chosen { state, input: input(), reason: None })))
        }
        CREATE_RELAY => Some(match read_value(&arguments["definition"]) {
            Ok(definition) => {
                let (source, state, input) = (RelaySource::Agent, text("state"), input());
                Ok(RelayCall::Create(Box::new(NewRelay { definition, source, state, input })))
            }
            Err(faults) => Err(format!("it is no relay; mend all of this:\n{faults}")),
        }),
        _ => None,
    }
}

impl State {
    /// Returns the events of a call about a relay, and what the agent is told.
    ///
    /// # Errors
    ///
    /// What does not fit, for the model.
    pub(in crate::session) fn relay_by_call(
        &self,
        call: &RelayCall,
        moment: &mut Moment,
    ) -> Result<(Vec<Event>, String), String> {
        match call {
            RelayCall::Create(new) => {
                let agent = self.profile.as_ref().map(|profile| profile.agent.to_string());
                let by = Origin { kind: OriginKind::Relay, sender: agent };
                if self.looping().is_some() {
                    return Err("a loop is under way in this session: no relay can begin".to_owned());
                }
                let events = self.started(new, &by, moment).map_err(|refusal| refusal.to_string())?;
                let drawn = draw::definition(&new.definition);
                Ok((events, format!("The relay has begun; it goes on when this turn ends.\n{drawn}")))
            }
            RelayCall::Select(chosen) => {
                let events = self.select(chosen, (Via::Agent, None), moment)?;
                Ok((events, format!("`{}` is next; it begins when this turn ends.", chosen.state)))
            }
            RelayCall::Status => {
                let relay = self.relay().ok_or_else(|| "no relay was begun in this session".to_owned())?;
                let drawn = format!("{}\n\n{}", draw::definition(&relay.definition), draw::path(relay));
                Ok((Vec::new(), drawn))
            }
        }
    }
}
