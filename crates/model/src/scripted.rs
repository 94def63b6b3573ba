//! A model for tests: it answers as it was told, remembers what it was asked, and refuses what a real API refuses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::content::{Block, Delta, Failure, FailureKind, Message, Reply, ReplyBlock, Request, Role};
use outlive_core::id::CallId;

use crate::{Description, Model, Pending, Sink};

/// A model that does as it was told. Clones are the same one.
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: VecDeque<Result<Reply, Failure>>,
    requests: Vec<Request>,
}

impl Scripted {
    /// Answers the next request that nothing was said about.
    pub fn then(&self, answer: Result<Reply, Failure>) {
        self.lock().answers.push_back(answer);
    }

    /// Returns what it was asked.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: Request) -> Result<Reply, Failure> {
        let refuse = |message: String| Failure { kind: FailureKind::InvalidRequest, message, retry_after_ms: None };
        let checked = well_formed(&request.messages).map_err(refuse);
        let mut script = self.lock();
        script.requests.push(request);
        checked?;
        script.answers.pop_front().unwrap_or_else(|| Err(refuse("the script has no more answers".to_owned())))
    }
}

impl Model for Scripted {
    fn describe(&self) -> Description {
        Description { provider: "scripted".to_owned(), name: "script".to_owned(), context_window: None }
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        let answer = self.next(request);
        for block in answer.iter().flat_map(|reply| &reply.content) {
            if let ReplyBlock::Text(text) = block {
                sink(Delta::Text { text: text.clone() });
            }
        }
        Box::pin(std::future::ready(answer))
    }
}

/// Checks what every real API asks of a conversation.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn well_formed(messages: &[Arc<Message>]) -> Result<(), String> {
    let mut open: Vec<CallId> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let expected = if at.is_multiple_of(2) { Role::User } else { Role::Assistant };
        if message.role != expected {
            return Err(format!("message {at}: roles must alternate, beginning with the user"));
        }
        let results: Vec<CallId> = message.content.iter().filter_map(answered).collect();
        if results != open {
            return Err(format!("message {at}: calls {open:?} are answered by {results:?}"));
        }
        let is_blank = |block: &Block| matches!(block, Block::Text { text } if text.trim().is_empty());
        if message.content.is_empty() || message.content.iter().any(is_blank) {
            return Err(format!("message {at}: neither a message nor a text may be empty"));
        }
        open = message.content.iter().filter_map(used).collect();
    }
    let last = messages.last().map(|last| last.role);
    if last == Some(Role::User) { Ok(()) } else { Err("the last message must be the user's".to_owned()) }
}

fn used(block: &Block) -> Option<CallId> {
    match block {
        Block::ToolUse { id, .. } => Some(*id),
        Block::Text { .. } | Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolResult { .. } => None,
    }
}

fn answered(block: &Block) -> Option<CallId> {
    match block {
        Block::ToolResult { id, .. } => Some(*id),
        Block::Text { .. } | Block::Thinking { .. } | Block::RedactedThinking { .. } | Block::ToolUse { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, content: Vec<Block>) -> Arc<Message> {
        Arc::new(Message { role, content })
    }

    #[test]
    fn what_a_real_api_refuses_is_refused() {
        let text = |text: &str| Block::Text { text: text.into() };
        let id = CallId::from_bits(1);
        let call = || Block::ToolUse { id, name: "t".into(), input: serde_json::json!({}), malformed: None };
        let result = || Block::ToolResult { id, content: String::new(), is_error: false };
        let (user, model) = (Role::User, Role::Assistant);
        let good = [message(user, vec![text("a")]), message(model, vec![call()]), message(user, vec![result()])];
        assert_eq!(well_formed(&good), Ok(()));
        for bad in [
            vec![],
            vec![message(model, vec![text("a")])],
            vec![message(user, vec![text(" ")])],
            vec![message(user, vec![])],
            vec![message(user, vec![result()])],
            vec![message(user, vec![text("a")]), message(user, vec![text("b")])],
            vec![message(user, vec![text("a")]), message(model, vec![call()])],
            vec![message(user, vec![text("a")]), message(model, vec![call()]), message(user, vec![text("b")])],
        ] {
            assert!(well_formed(&bad).is_err(), "{bad:?}");
        }
    }
}
