//! What the answer of a person makes of a relay.

use serde_json::{Value, json};

use super::fold::{AGAIN, CANCEL, DONE, FAILED, GO_ON, choosing};
use super::{About, Ended, Relay, Stage, Stuck};
use crate::event::{QuestionAnswered, StateOutcome, Via};
use crate::relay::definition::StateSpec;

impl Relay {
    pub(crate) fn hear_answered(&mut self, answered: &QuestionAnswered) {
        let Stage::Asking { call, about, .. } = &self.stage else { return };
        if *call != answered.call {
            return;
        }
        let said = answered.answers.iter().flatten().cloned().collect::<Vec<_>>().join("; ");
        // Taken back: what takes its place comes next.
        if answered.answers.is_empty() {
            return;
        }
        let stuck = match about.clone() {
            About::State => {
                let output = json!({"answer": said, "by": answered.by.sender});
                return self.end(Ended::of(StateOutcome::Answered, output));
            }
            About::Stuck(stuck) => stuck,
        };
        self.stage = match (said.as_str(), stuck) {
            (CANCEL, _) => Stage::Cancelling(answered.by.clone()),
            (AGAIN, Stuck::Lost | Stuck::Interrupted) => {
                let why = format!("{} says to run it again", answered.by.sender.as_deref().unwrap_or("a person"));
                Stage::Ended(Box::new(Ended { error: Some(why), ..Ended::of(StateOutcome::Lost, Value::Null) }))
            }
            (DONE, Stuck::Lost) => {
                Stage::Ended(Box::new(Ended::of(StateOutcome::Ok, json!("a person says that it was done"))))
            }
            (FAILED, Stuck::Lost | Stuck::Interrupted) => {
                Stage::Ended(Box::new(Ended::failed("a person says that it failed")))
            }
            (GO_ON, Stuck::Guard(name, via)) => {
                self.entries.clear();
                Stage::Next(name, via)
            }
            (said, _) if self.is_free(said) => Stage::Next(said.to_owned(), Via::Person),
            (said, _) => choosing(Some(said.to_owned())),
        };
    }

    /// Says whether a state can be entered without being given anything.
    fn is_free(&self, name: &str) -> bool {
        let needs = |state: &StateSpec| {
            state.input_schema.as_ref().is_some_and(|schema| !crate::relay::schema::required(schema).is_empty())
        };
        self.definition.state(name).is_some_and(|state| !needs(state))
    }
}
