//! The values of a state: what its texts can name, what its command is, what its output becomes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Ended, Relay};
use crate::event::{CallFinished, StateOutcome};
use crate::limits::RELAY_VALUE_BYTES;
use crate::relay::definition::{StateSpec, Work};
use crate::relay::due::due;
use crate::relay::line::{LINE_BYTES, TOO_LONG, line};
use crate::relay::schema;
use crate::template::Values;
use crate::time::Timestamp;

impl Relay {
    /// Returns the values that the texts of its state can name.
    #[must_use]
    pub fn values(&self) -> Values {
        self.values_with(&self.at.input)
    }

    fn values_with(&self, input: &Value) -> Values {
        let past =
            |(name, past): (&String, &super::Past)| (name.clone(), json!({"output": past.output, "error": past.error}));
        let states: Map<String, Value> = self.past.iter().map(past).collect();
        let Self { definition, at, .. } = self;
        Values(json!({
            "input": input,
            "states": states,
            "relay": {"name": definition.name, "prompt": definition.prompt, "key": at.key.to_string()},
        }))
    }

    /// Returns the command line of the state, and the time that it has in milliseconds.
    ///
    /// # Errors
    ///
    /// The value that is not there, or that no command can be given.
    pub fn command(&self) -> Result<Option<(String, u64)>, String> {
        let Some((run, limit)) = self.state().and_then(StateSpec::run) else { return Ok(None) };
        let own = self.own(&self.at.state, &self.at.input);
        Ok(Some((line(run, &run.command, &own, &self.values())?, limit.0)))
    }

    /// Returns the command line that says whether the script's work is done already.
    ///
    /// # Errors
    ///
    /// As of its command.
    pub fn check(&self) -> Result<Option<(String, u64)>, String> {
        let Some(StateSpec { work: Work::Script(script), .. }) = self.state() else { return Ok(None) };
        let Some(check) = &script.check else { return Ok(None) };
        let own = self.own(&self.at.state, &self.at.input);
        Ok(Some((line(&script.run, check, &own, &self.values())?, script.timeout.0)))
    }

    /// The variables that every command gets.
    fn own(&self, state: &str, input: &Value) -> BTreeMap<&'static str, String> {
        [
            ("RELAY_NAME", self.definition.name.clone()),
            ("RELAY_STATE", state.to_owned()),
            ("RELAY_KEY", self.at.key.to_string()),
            ("RELAY_INPUT", input.to_string()),
        ]
        .into()
    }

    /// Returns what a state is given, with its defaults, once all that it needs is looked at.
    ///
    /// # Errors
    ///
    /// Why it cannot be entered: nothing of it has run.
    pub fn admit(&self, name: &str, input: &Value, now: Timestamp) -> Result<Value, String> {
        let Some(state) = self.definition.state(name) else {
            let names: Vec<&str> = self.definition.states.iter().map(|state| state.name.as_str()).collect();
            return Err(format!("there is no state `{name}`: there are {}", names.join(", ")));
        };
        let input = schema::admit(state.input_schema.as_ref(), input)?;
        if input.to_string().len() > RELAY_VALUE_BYTES || !crate::session::is_shallow(&input) {
            return Err(format!(
                "input: at most {RELAY_VALUE_BYTES} bytes: write what is long to a file, and name that"
            ));
        }
        let values = self.values_with(&input);
        let fill = |key: &str, text: &str| {
            let filled = values.fill(text).map_err(|why| format!("{key}: {why}"))?;
            let is_held = filled.len() <= LINE_BYTES;
            is_held.then_some(filled).ok_or_else(|| format!("{key}: its values {TOO_LONG}"))
        };
        match &state.work {
            Work::Agent(agent) => {
                fill("prompt", &agent.prompt)?;
                fill("cwd", agent.cwd.as_deref().unwrap_or_default())?;
            }
            Work::Script(_) | Work::Poll(_) => {
                let check = if let Work::Script(script) = &state.work { script.check.as_ref() } else { None };
                let run = state.run().map(|(run, _)| run);
                let own = self.own(name, &input);
                for (run, command) in run.iter().flat_map(|run| [Some(&run.command), check].map(|it| (run, it))) {
                    let Some(command) = command else { continue };
                    line(run, command, &own, &values)?;
                }
            }
            Work::Timer(timer) => {
                due(timer, &|text| values.fill(text), now).map_err(|(key, why)| format!("{key}: {why}"))?;
            }
            Work::Park(park) => drop(fill("question", &park.question)?),
            // It can end whatever is known of why.
            Work::Terminal(_) | Work::Signal(_) => {}
        }
        Ok(input)
    }
}

/// Makes an output of what a command printed or the agent said: JSON where it is, else text, and no more than is kept.
pub(super) fn output(text: &str) -> Value {
    let text = text.trim();
    if text.len() > RELAY_VALUE_BYTES {
        let kept = text.get(..text.floor_char_boundary(RELAY_VALUE_BYTES)).unwrap_or_default();
        return Value::String(format!("{kept}\n[cut here: it had {} bytes]", text.len()));
    }
    let read = serde_json::from_str::<Value>(text).ok().filter(crate::session::is_shallow);
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What a command that ran has left.
pub(super) fn ran(finished: &CallFinished, outcome: StateOutcome, code: Option<i64>) -> Ended {
    let text = finished.content.trim_end();
    // What the runner adds behind the output of what did not exit with 0.
    let note = code.filter(|code| *code != 0).map(|code| format!("[exit code {code}]"));
    let plain = note.and_then(|note| text.strip_suffix(note.as_str())).unwrap_or(text);
    let plain = if plain == "(no output)" { "" } else { plain };
    // What is not there yet is no error.
    let is_good = matches!(outcome, StateOutcome::Ok | StateOutcome::Found | StateOutcome::NotYet);
    let error = (!is_good).then(|| match code {
        Some(code) => format!("exit code {code}"),
        None => last_line(text).to_owned(),
    });
    Ended { outcome, output: output(plain), error, code, artifact: finished.artifact.clone() }
}

fn last_line(text: &str) -> &str {
    text.lines().next_back().unwrap_or("it did not end by itself").trim_matches(['[', ']'])
}
