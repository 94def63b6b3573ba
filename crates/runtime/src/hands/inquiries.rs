//! Who waits for the answer to what a running call asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::id::CallId;
use tokio::sync::oneshot;

type Waiting = HashMap<CallId, oneshot::Sender<Vec<Vec<String>>>>;

/// The running calls of one session that ask a person.
#[derive(Clone, Default)]
pub(crate) struct Inquiries(Arc<Mutex<Waiting>>);

impl Inquiries {
    /// Returns what the answer to a call's question comes through. A question before it is answered no more.
    pub(crate) fn expect(&self, call: CallId) -> oneshot::Receiver<Vec<Vec<String>>> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call, sender);
        receiver
    }

    /// Passes an answer on, once it is durable. Nothing, where nobody answered.
    pub(crate) fn answer(&self, call: CallId, answers: Vec<Vec<String>>) {
        if let Some(waiting) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&call) {
            // A call that has ended meanwhile does not hear it.
            drop(waiting.send(answers));
        }
    }
}
