//! Who waits for the answer to what a running call asks.
//!
//! Invariant: an answer reaches whoever asked that question, and nobody else: not a later question, not a later attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::id::QuestionId;
use tokio::sync::oneshot;

use crate::clock::Moments;

type Waiting = HashMap<QuestionId, oneshot::Sender<Vec<Vec<String>>>>;

/// The questions of one session's running calls.
#[derive(Clone)]
pub(crate) struct Inquiries {
    moments: Moments,
    waiting: Arc<Mutex<Waiting>>,
}

impl Inquiries {
    /// Returns a list of none. Questions are named by these moments.
    pub(crate) fn new(moments: Moments) -> Self {
        Self { moments, waiting: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the name of a question that is about to be asked, and what its answer comes through.
    pub(crate) fn open(&self) -> (QuestionId, oneshot::Receiver<Vec<Vec<String>>>) {
        let question = QuestionId::from_bits(self.moments.moment().ids.fresh());
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(question, sender);
        (question, receiver)
    }

    /// Says whether somebody waits for the answer.
    pub(crate) fn awaits(&self, question: QuestionId) -> bool {
        self.lock().contains_key(&question)
    }

    /// Waits no more; says whether the question had no answer yet.
    pub(crate) fn forget(&self, question: QuestionId) -> bool {
        self.lock().remove(&question).is_some()
    }

    /// Passes an answer on, once it is durable. Nothing, where nobody answered, or nobody will.
    pub(crate) fn answer(&self, question: QuestionId, answers: Vec<Vec<String>>) {
        if let Some(waiting) = self.lock().remove(&question) {
            // A call that has ended meanwhile does not hear it.
            drop(waiting.send(answers));
        }
    }
}
