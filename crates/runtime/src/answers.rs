//! Answers that are given again: requests that belong to no one session have no journal that remembers them.
//!
//! A deed is done first and its answer kept then. A process that dies in between has done a deed that nobody knows to be
//! answered: the same request does it again, and finds it done.

use outlive_core::digest::Digest;
use outlive_core::id::RequestId;
use outlive_core::session::Refusal;
use outlive_store::{ANSWER_BYTES, Answer};
use tokio::sync::oneshot;

use crate::{Runtime, SubmitError};

/// A request that its client named.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The client's name for it.
    pub request: RequestId,
    /// What that name belongs to: the same name means another thing elsewhere.
    pub of: String,
    /// Digest of all that was asked.
    pub what: Digest,
}

impl Asked {
    /// Returns a digest of the request's name and of what that belongs to.
    #[must_use]
    pub fn name(&self) -> Digest {
        Digest::of(format!("{} {}", self.of, self.request).as_bytes())
    }
}

impl Runtime {
    /// Returns what was answered to this request before.
    ///
    /// # Errors
    ///
    /// Something else was asked by its name, or what the store says.
    pub fn answered(&self, asked: &Asked) -> Result<Option<String>, SubmitError> {
        let found = self.shell.store.house.answers.answered(&asked.name()).map_err(SubmitError::Store)?;
        match found {
            Some(answer) if answer.asked == asked.what => Ok(Some(answer.said)),
            Some(_) => Err(SubmitError::Refused(Refusal::RequestReused(asked.request.clone()))),
            None => Ok(None),
        }
    }

    /// Keeps what is answered to a request that was done. Where that fails the deed stays done: the same request finds it so.
    pub fn keep_answer(&self, asked: &Asked, said: String) {
        if said.len() > ANSWER_BYTES {
            tracing::warn!(of = asked.of, "an answer is too long to be kept: the same request is done again");
            return;
        }
        let at = self.shell.moments.now();
        let said = self.secrets().now().text(&said).into_owned();
        let answer = Answer { name: asked.name(), asked: asked.what.clone(), at, said };
        if let Err(error) = self.shell.store.house.answers.keep(answer) {
            tracing::warn!(of = asked.of, %error, "an answer could not be kept: the same request is done again");
        }
    }

    /// Does something to its end, also where whoever waits for it goes away.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Closing`] where it did not come to its end: the runtime stops, or the work panicked.
    pub async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let whole = async move {
            // Whoever waited may be gone.
            drop(reply.send(work.await));
        };
        self.shell.tasks.spawn("deed", whole);
        answer.await.map_err(|_gone| SubmitError::Closing)
    }
}
