//! Tools that do what a test says, and write down what they really did.

use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::policy::{Reach, Subject};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{Assessment, Finished, Found, Invocation, Pending, Place, Span, Tool};

/// What was really done, by idempotency key: it outlives the runtime that did it, as the world does.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Vec<String>>>);

impl Ledger {
    /// Returns the keys of all that was done, in order, repeats included.
    #[must_use]
    pub fn deeds(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how often this was done.
    #[must_use]
    pub fn times(&self, key: &str) -> usize {
        self.deeds().iter().filter(|deed| *deed == key).count()
    }

    fn did(&self, key: &str, effect: Effect) {
        let mut deeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = deeds.iter().any(|deed| deed == key);
        match effect {
            Effect::Read => {}
            Effect::Idempotent if again => {}
            Effect::Idempotent | Effect::Verifiable | Effect::Resumable | Effect::Effectful => {
                deeds.push(key.to_owned())
            }
        }
    }
}

/// What a scripted call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Its deed, and ends well.
    Do,
    /// Its deed, then waits until it is released or stopped.
    Hang,
    /// Says that it failed, without having done anything.
    Fail,
    /// Panics after its deed.
    Panic,
}

/// A tool of one effect. Its argument `act` (`do`, `hang`, `fail`, `panic`) says what a call does; `do` if left out.
#[derive(Debug, Clone)]
pub struct Scripted {
    name: String,
    effect: Effect,
    reach: Reach,
    ledger: Ledger,
    release: Arc<Notify>,
}

impl Scripted {
    /// Makes a tool that writes down what it does in `ledger`.
    #[must_use]
    pub fn new(name: &str, effect: Effect, reach: Reach, ledger: &Ledger) -> Self {
        Self { name: name.to_owned(), effect, reach, ledger: ledger.clone(), release: Arc::default() }
    }

    /// Lets the calls that hang go on.
    pub fn release(&self) {
        self.release.notify_waiters();
    }

    fn act(arguments: &Value) -> Act {
        match arguments["act"].as_str() {
            Some("hang") => Act::Hang,
            Some("fail") => Act::Fail,
            Some("panic") => Act::Panic,
            Some(_) | None => Act::Do,
        }
    }
}

impl Tool for Scripted {
    fn spec(&self) -> ToolSpec {
        let acts = json!({"type": "string", "enum": ["do", "hang", "fail", "panic"]});
        let input_schema = json!({"type": "object", "properties": {"act": acts}, "additionalProperties": false});
        ToolSpec { name: self.name.clone(), description: "Does what a test says.".to_owned(), input_schema }
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let subject = Subject { tool: self.name.clone(), target: arguments.to_string(), reach: self.reach };
        let summary = subject.as_rule();
        Ok(Assessment { effect: self.effect, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let act = Self::act(&invocation.arguments);
            if act == Act::Fail {
                return Finished::error("it failed, as it was told");
            }
            let released = self.release.notified();
            (invocation.sink)("doing ".to_owned());
            self.ledger.did(&invocation.idempotency_key, self.effect);
            (invocation.sink)("done".to_owned());
            match act {
                Act::Do | Act::Fail => {}
                Act::Panic => std::panic::resume_unwind(Box::new("a scripted panic")),
                Act::Hang => tokio::select! {
                    () = released => {}
                    () = invocation.stop.cancelled() => {
                        return Finished { outcome: Outcome::Interrupted, ..Finished::ok("doing done") };
                    }
                },
            }
            Finished::ok("doing done")
        })
    }

    fn find(&self, invocation: Invocation) -> Pending<'_, Found> {
        let found = match self.ledger.times(&invocation.idempotency_key) {
            0 => Found::NotDone,
            _ => Found::Done(Finished::ok("doing done (found)")),
        };
        let known = matches!(self.effect, Effect::Verifiable | Effect::Resumable);
        Box::pin(std::future::ready(if known { found } else { Found::Unknown }))
    }
}
