//! Does things: the tool trait, bash, files and the web, process groups, sandboxes, orphans.

pub mod artifact;
mod blocking;
pub mod builtin;
pub mod cli;
pub mod egress;
pub mod exec;
pub mod held;
pub mod mcp;
pub mod memory;
pub mod orphans;
pub mod path;
mod proc;
pub mod registry;
pub mod sandbox;
pub mod schedule;
pub mod scripted;
pub mod session;
pub mod skill;
pub mod tasks;
pub mod vector;
pub mod web;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome, Question};
use outlive_core::id::{CallId, SessionId};
use outlive_core::policy::{Closed, Ruled, Subject};
use serde_json::Value;

/// A future that a tool returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes a running tool's output as it comes. Must not block.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

/// For each question in order what was chosen or said; nothing where nobody answers.
pub type Answers = Option<Vec<Vec<String>>>;

/// Asks a person on behalf of a running call, and waits for the answers, however long that takes. One at a time.
pub type Asker = Arc<dyn Fn(Vec<Question>) -> Pending<'static, Answers> + Send + Sync>;

/// Where a session's calls may act.
#[derive(Debug, Clone)]
pub struct Place {
    /// Working folder; relative paths start here.
    pub cwd: PathBuf,
    /// Folders that may be read and written without asking.
    pub roots: Vec<PathBuf>,
    /// Files and folders that no call may write, asked or not: the agent's definition, policies, the token, journals.
    pub protected: Vec<PathBuf>,
}

/// What a call would do, before it is ruled on. Pure of effects; may look at the file system.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// What running it does.
    pub effect: Effect,
    /// What becomes of it when its outcome is unknown.
    pub on_lost: OnLost,
    /// What policy rules look at.
    pub subject: Subject,
    /// Exactly what will run, for a person.
    pub summary: String,
    /// How long it runs.
    pub span: Span,
}

/// How long what a call starts may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// It ends with the call.
    Call,
    /// It goes on in the background.
    Background,
}

impl Assessment {
    /// Returns what a person who allows this call always allows: exactly this, and for no longer than this runs.
    #[must_use]
    pub fn grant(&self) -> String {
        match self.span {
            Span::Call => self.subject.as_rule(),
            Span::Background => format!("{} in the background:{}", self.subject.tool, self.subject.target),
        }
    }
}

/// A call to run.
#[derive(Clone)]
pub struct Invocation {
    /// The session.
    pub session: SessionId,
    /// The call.
    pub call: CallId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The same for every attempt.
    pub idempotency_key: String,
    /// The arguments: checked against the schema.
    pub arguments: Value,
    /// Where it may act.
    pub place: Place,
    /// Where it led when it was ruled on: its path must still lead there. Without this it stays within `place.roots`.
    pub ruled: Option<Ruled>,
    /// What rules close to it below where it starts.
    pub closed: Closed,
    /// Takes output as it comes.
    pub sink: Sink,
    /// Asks a person while it runs.
    pub asker: Asker,
    /// Set when the call is to stop: it ends its work with all its processes, keeps what it has, and returns within 2 s.
    pub stop: tokio_util::sync::CancellationToken,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// What the model sees, within `limits::RESULT_BYTES`.
    pub content: String,
    /// What clients see beside that.
    pub details: Option<Value>,
    /// The whole output, where `content` is not all of it: the runtime keeps it as an artifact.
    pub whole: Option<Vec<u8>>,
}

/// What a look at an unfinished attempt found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It was done: this is its result.
    Done(Finished),
    /// It was not done, and can be started again.
    NotDone,
    /// It cannot be told.
    Unknown,
}

/// One thing that an agent can do.
pub trait Tool: Send + Sync {
    /// Returns what the model is told.
    fn spec(&self) -> ToolSpec;

    /// Says what the call would do. The arguments were checked against the schema.
    ///
    /// # Errors
    ///
    /// What is wrong with the arguments, for the model.
    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String>;

    /// Does it.
    fn run(&self, invocation: Invocation) -> Pending<'_, Finished>;

    /// Tells this description of the tool from others, where it comes from elsewhere: what is allowed for good is bound to it.
    fn pin(&self) -> Option<&str> {
        None
    }

    /// For `verifiable` and `resumable` calls: looks for what an attempt of a dead process did.
    fn find(&self, _invocation: Invocation) -> Pending<'_, Found> {
        Box::pin(std::future::ready(Found::Unknown))
    }
}

impl Invocation {
    /// A call of no session, for what is only tried or measured. Nobody hears it and nobody stops it.
    #[must_use]
    pub fn of_nobody(call: CallId, place: Place) -> Self {
        Self {
            session: SessionId::from_bits(0),
            call,
            attempt: 1,
            idempotency_key: call.to_string(),
            arguments: Value::Null,
            place,
            ruled: None,
            closed: Closed::default(),
            sink: Arc::new(|_| {}),
            asker: unheard(),
            stop: tokio_util::sync::CancellationToken::new(),
        }
    }
}

/// What asks nobody: it is never answered.
#[must_use]
pub fn unheard() -> Asker {
    Arc::new(|_questions| Box::pin(std::future::ready(None)))
}

impl Finished {
    /// It did what was asked.
    #[must_use]
    pub fn ok(content: impl Into<String>) -> Self {
        Self { outcome: Outcome::Ok, content: content.into(), details: None, whole: None }
    }

    /// It did not, or says that it did not.
    #[must_use]
    pub fn error(content: impl Into<String>) -> Self {
        Self { outcome: Outcome::Error, ..Self::ok(content) }
    }
}
