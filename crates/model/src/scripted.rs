//! A model for tests: it does as it was told, remembers what it was asked, and refuses what a real API refuses.
//!
//! Told in a list ([`Scripted::then`]), by a function ([`Scripted::by`]), or both: the list comes first. No clock and no
//! randomness: between two fragments it only yields, so that a test can stop it there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock, Request, StopReason, Usage};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{Description, Model, Pending, Sink, wellformed};

/// What it does when it is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Streams this in pieces and answers it.
    Reply(Reply),
    /// Fails.
    Fail(Failure),
    /// Streams this in pieces, then keeps it back until [`Scripted::release`].
    Hold(Reply),
    /// Panics, with this message.
    Panic(String),
}

impl Step {
    /// Says this, and is done.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::blocks(vec![ReplyBlock::Text(text.to_owned())])
    }

    /// Asks for one call.
    #[must_use]
    pub fn call(tool: &str, input: &Value) -> Self {
        Self::blocks(vec![ReplyBlock::ToolUse { name: tool.to_owned(), arguments: input.to_string() }])
    }

    /// Replies with these blocks; whether it wants calls run follows from them.
    #[must_use]
    pub fn blocks(content: Vec<ReplyBlock>) -> Self {
        let calls = content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
        let stop_reason = if calls { StopReason::ToolUse } else { StopReason::EndTurn };
        let (usage, model) = (Usage::default(), NAME.to_owned());
        Self::Reply(Reply { content, stop_reason, usage, model, provider_request_id: None, served_by: None })
    }

    /// Fails in this way.
    #[must_use]
    pub fn fail(kind: FailureKind) -> Self {
        Self::Fail(Failure { kind, message: format!("scripted: {kind:?}"), retry_after_ms: None })
    }

    /// Keeps a reply back until [`Scripted::release`]; anything else stays as it is.
    #[must_use]
    pub fn held(self) -> Self {
        match self {
            Self::Reply(reply) | Self::Hold(reply) => Self::Hold(reply),
            Self::Fail(_) | Self::Panic(_) => self,
        }
    }
}

impl From<Result<Reply, Failure>> for Step {
    fn from(answer: Result<Reply, Failure>) -> Self {
        answer.map_or_else(Self::Fail, Self::Reply)
    }
}

const NAME: &str = "script";

type Brain = Box<dyn Fn(&Request, usize) -> Step + Send + Sync>;

/// A model that does as it was told. Clones are the same one.
#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    script: Mutex<Script>,
    brain: Brain,
    released: Semaphore,
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    requests: Vec<Request>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self::by(|_, _| invalid("the script has no more answers".to_owned()))
    }
}

impl Scripted {
    /// Asks this function what to do, with the request and how many came before it.
    #[must_use]
    pub fn by(brain: impl Fn(&Request, usize) -> Step + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { script: Mutex::default(), brain: Box::new(brain), released: Semaphore::new(0) }))
    }

    /// Does this at the next request that nothing was said about.
    pub fn then(&self, step: impl Into<Step>) {
        self.lock().steps.push_back(step.into());
    }

    /// Lets one held reply go: one that waits, or the next that would.
    pub fn release(&self) {
        self.0.released.add_permits(1);
    }

    /// Returns what it was asked, refused requests included.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: Request) -> Step {
        let (nth, planned) = {
            let mut script = self.lock();
            script.requests.push(request.clone());
            let nth = script.requests.len() - 1;
            if let Err(why) = wellformed::check(&request) {
                return invalid(why);
            }
            (nth, script.steps.pop_front())
        };
        planned.unwrap_or_else(|| (self.0.brain)(&request, nth))
    }
}

fn invalid(message: String) -> Step {
    Step::Fail(Failure { kind: FailureKind::InvalidRequest, message, retry_after_ms: None })
}

impl Model for Scripted {
    fn describe(&self) -> Description {
        Description { provider: "scripted".to_owned(), name: NAME.to_owned(), context_window: None }
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            match self.next(request) {
                Step::Reply(reply) => {
                    play(&reply, &sink).await;
                    Ok(reply)
                }
                Step::Hold(reply) => {
                    play(&reply, &sink).await;
                    // The semaphore is never closed.
                    if let Ok(permit) = self.0.released.acquire().await {
                        permit.forget();
                    }
                    Ok(reply)
                }
                Step::Fail(failure) => Err(failure),
                Step::Panic(message) => fall(&message),
            }
        })
    }
}

#[expect(clippy::panic, reason = "a test asked for it")]
fn fall(message: &str) -> ! {
    panic!("{message}")
}

/// Streams what can be seen of a reply, word by word.
async fn play(reply: &Reply, sink: &Sink) {
    for block in &reply.content {
        let (text, delta): (_, fn(String) -> Delta) = match block {
            ReplyBlock::Text(text) => (text, |text| Delta::Text { text }),
            ReplyBlock::Thinking { thinking, .. } => (thinking, |text| Delta::Thinking { text }),
            ReplyBlock::RedactedThinking(_) | ReplyBlock::ToolUse { .. } => continue,
        };
        for piece in text.split_inclusive(' ') {
            sink(delta(piece.to_owned()));
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use outlive_core::content::{Block, Message, Role};
    use serde_json::json;

    use super::*;

    fn request(text: &str) -> Request {
        let content = vec![Block::Text { text: text.into() }];
        Request {
            system: Arc::new([]),
            tools: Arc::new([]),
            messages: vec![Arc::new(Message { role: Role::User, content })],
            max_output_tokens: 1,
            ..Request::default()
        }
    }

    async fn ask(model: &Scripted, text: &str) -> Result<Reply, Failure> {
        model.stream(request(text), Arc::new(|_| {})).await
    }

    fn answer(step: Step) -> Result<Reply, Failure> {
        match step {
            Step::Reply(reply) | Step::Hold(reply) => Ok(reply),
            Step::Fail(failure) => Err(failure),
            Step::Panic(message) => panic!("{message}"),
        }
    }

    #[tokio::test]
    async fn the_list_comes_first_then_the_function_and_all_requests_are_remembered() {
        let model = Scripted::by(|request, nth| Step::text(&format!("{nth} of {}", request.messages.len())));
        model.then(Step::fail(FailureKind::Overloaded));
        model.then(Step::call("t", &json!({"a": 1})));
        assert_eq!(ask(&model, "a").await, answer(Step::fail(FailureKind::Overloaded)));
        let called = ask(&model, "b").await.unwrap();
        assert_eq!(called.stop_reason, StopReason::ToolUse);
        assert_eq!(ask(&model, "c").await, answer(Step::text("2 of 1")));
        assert_eq!(model.requests(), [request("a"), request("b"), request("c")]);
    }

    #[tokio::test]
    async fn a_request_that_is_not_well_formed_is_refused_and_uses_up_no_answer() {
        let model = Scripted::default();
        model.then(Step::text("hi"));
        assert_eq!(ask(&model, " ").await.unwrap_err().kind, FailureKind::InvalidRequest);
        assert_eq!(ask(&model, "a").await, answer(Step::text("hi")));
        assert_eq!(ask(&model, "b").await.unwrap_err().message, "the script has no more answers");
        assert_eq!(model.requests().len(), 3);
    }

    #[tokio::test]
    async fn a_held_reply_streams_and_waits_until_it_is_released() {
        let model = Scripted::default();
        model.then(Step::text("one two three").held());
        let (seen, heard) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
        let (into, told) = (Arc::clone(&seen), Arc::clone(&heard));
        let sink: Sink = Arc::new(move |delta| {
            into.lock().unwrap().push(delta);
            told.notify_one();
        });
        let mut asked = model.stream(request("a"), sink);
        while seen.lock().unwrap().len() < 3 {
            assert!((&mut asked).now_or_never().is_none());
            heard.notified().await;
        }
        for _ in 0..10 {
            assert!((&mut asked).now_or_never().is_none(), "it is kept back");
        }
        model.release();
        assert_eq!(asked.await, answer(Step::text("one two three")));
    }

    #[tokio::test]
    async fn it_panics_when_it_is_told_to_and_goes_on_afterwards() {
        let model = Scripted::default();
        model.then(Step::Panic("as planned".into()));
        model.then(Step::text("hi"));
        let fallen = std::panic::AssertUnwindSafe(ask(&model, "a")).catch_unwind().await.unwrap_err();
        assert_eq!(fallen.downcast_ref::<String>().map(String::as_str), Some("as planned"));
        assert_eq!(ask(&model, "b").await, answer(Step::text("hi")));
    }
}
