//! What can be asked of a session. Everything that happens to one is one of these, through one door.

mod beside;
mod iteration;
mod notice;
mod relay;
mod wait;

pub use beside::{ContextCommand, MemoryCommand, Planned};
pub use iteration::{LoopCommand, NewLoop};
pub use notice::{NoticeCommand, Then, Undelivered};
pub use relay::{Chosen, NewRelay, RelayCommand};
pub use wait::{NewSignal, NewWait, Until, WaitCommand};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::compaction::{Change, Summary};
use crate::content::{Failure, Reply, Usage};
use crate::digest::Digest;
use crate::event::{ArtifactRef, Behavior, Entry, OnDisconnect, Origin, Outcome, Parent, Question, RelaySource, Scope};
use crate::id::{AgentName, CallId, CompactionId, InputId, MemoryId, NoticeId, QuestionId, Seq, TurnId};
use crate::import::Adopted;
use crate::media::Attachment;
use crate::memory::forget::Extent;
use crate::memory::{Memory, Mode};
use crate::session::State;
use crate::task::Task;

/// Something asked of a session, by a person, a program, the clock, or a hand that reports back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Command {
    /// Make the session.
    Create(Create),
    /// Say something.
    Message(Message),
    /// Stop the running turn. Without one, nothing happens.
    Interrupt {
        /// By whom.
        by: Origin,
    },
    /// Start nothing new.
    Pause {
        /// By whom.
        by: Origin,
        /// Why.
        reason: Option<String>,
    },
    /// Go on.
    Resume {
        /// By whom.
        by: Origin,
    },
    /// Change title or labels; what is `None` stays.
    Update {
        /// The new title.
        title: Option<String>,
        /// The new labels, all of them.
        labels: Option<BTreeMap<String, String>>,
        /// By whom.
        by: Origin,
    },
    /// Put away, or take back out.
    Archive {
        /// False takes it back out.
        archived: bool,
        /// By whom.
        by: Origin,
    },
    /// Begin as a fork of another session.
    Fork(Fork),
    /// Begin with a conversation of another program.
    Adopt(Adopted),
    /// Go on from an earlier event.
    Rewind(Rewind),
    /// Decide on a call that waits for a person.
    Decide(Decision),
    /// Answer a question.
    Answer {
        /// Which.
        question: QuestionId,
        /// For each of its questions in order: the labels that were chosen, or words of the person's own.
        answers: Vec<Vec<String>>,
        /// By whom.
        by: Origin,
    },
    /// Replace the queue of follow-ups: those not named are removed, those with a new text are edited, the order stays.
    SetQueue {
        /// What stays.
        items: Vec<QueueItem>,
        /// By whom.
        by: Origin,
    },
    /// Change what the model sees.
    Context {
        /// How.
        what: ContextCommand,
        /// By whom.
        by: Origin,
    },
    /// Begin or end a loop.
    Loop {
        /// Which of it.
        what: LoopCommand,
        /// By whom.
        by: Origin,
    },
    /// Arm a wait, or end one otherwise than by itself.
    Wait {
        /// Which of it.
        what: WaitCommand,
        /// By whom.
        by: Origin,
    },
    /// Take in a signal: it ends the first wait that it fits, now or later.
    Signal(NewSignal),
    /// Begin, steer or end a relay.
    Relay {
        /// Which of it.
        what: RelayCommand,
        /// By whom.
        by: Origin,
    },
    /// Decide about a notice that nobody has.
    Notice {
        /// What.
        what: NoticeCommand,
        /// By whom.
        by: Origin,
    },
    /// Change what is remembered.
    Memory {
        /// How.
        what: MemoryCommand,
        /// By whom.
        by: Origin,
    },
    /// The clock says that something may be due, or a restart that something may be owed.
    Wake,
    /// A hand reports what became of an effect.
    Report(Report),
}

/// What a model found to be remembered, or why it found nothing; and what it took either way.
pub type Noted = Result<(Vec<Memory>, Usage), (Failure, Usage)>;

/// A new session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Create {
    /// The agent it talks to.
    pub agent: AgentName,
    /// Digest of the agent's files now.
    pub agent_digest: String,
    /// A name for people.
    pub title: Option<String>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The piece of work that it is for, which gives it its id.
    pub task: Option<Box<Task>>,
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// How far it takes part in what is remembered; as its agent's files say where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Mode>,
    /// Through which door.
    pub by: Origin,
}

/// A session that begins as another one did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fork {
    /// The other one, and the last event that both share.
    pub parent: Parent,
    /// The event that was asked for, if one was.
    pub at: Option<Seq>,
    /// Its events up to that one.
    #[serde(skip)]
    pub entries: Arc<Vec<Entry>>,
    /// Another name for people.
    pub title: Option<String>,
    /// By whom.
    pub by: Origin,
}

/// A return to an earlier event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rewind {
    /// The last event that counts.
    pub to_seq: Seq,
    /// What the session was like then.
    #[serde(skip)]
    pub then: Arc<State>,
    /// The last event up to that one which is in no turn.
    pub calm: Seq,
    /// By whom.
    pub by: Origin,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The text: 1 byte to `limits::MESSAGE_BYTES`; none is needed beside attachments.
    pub content: String,
    /// Files that come with it, kept already.
    pub attachments: Vec<Attachment>,
    /// The JSON Schema that the turn's final answer must fit.
    pub output_schema: Option<Arc<serde_json::Value>>,
    /// What it does to a running turn.
    pub behavior: Behavior,
    /// Where it comes from.
    pub origin: Origin,
}

impl Message {
    /// Makes a message of nothing but text.
    #[must_use]
    pub fn text(content: impl Into<String>, behavior: Behavior, origin: Origin) -> Self {
        Self { content: content.into(), attachments: Vec::new(), output_schema: None, behavior, origin }
    }

    /// Says whether it is nothing but text.
    fn is_plain(&self) -> bool {
        self.attachments.is_empty() && self.output_schema.is_none()
    }
}

/// A person's decision on a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Which call.
    pub call: CallId,
    /// The event that asked, if the person said which they saw: another attempt is not decided with it.
    pub asked: Option<Seq>,
    /// What is decided.
    pub verdict: Verdict,
    /// The person's words.
    pub reason: Option<String>,
    /// By whom.
    pub by: Origin,
}

/// What a person can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Run it, this once.
    Allow,
    /// Run it, and from now on whatever the same rule names in this session.
    AllowAlways,
    /// Run it, and from now on whatever the same rule names in any session of this agent here.
    AllowAgent,
    /// Do not run it.
    Deny,
}

impl Verdict {
    /// Returns how far the permission reaches.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Allow | Self::Deny => Scope::Once,
            Self::AllowAlways => Scope::Always,
            Self::AllowAgent => Scope::Agent,
        }
    }
}

/// A follow-up that stays in the queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueItem {
    /// Which; `None` adds a new one at the end.
    pub input: Option<InputId>,
    /// Its text.
    pub content: String,
}

/// What a hand says about an effect that it was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Report {
    /// The model answered, or did not.
    Step {
        /// The turn.
        turn: TurnId,
        /// The step.
        step: u32,
        /// The attempt: a report of an earlier one is refused.
        attempt: u32,
        /// What it said.
        #[serde(skip)]
        answer: Result<Reply, Failure>,
        /// Files that a provider may have refused the request for, newest first.
        #[serde(skip)]
        suspects: Vec<Attachment>,
        /// From asking to the last byte.
        latency_ms: u64,
    },
    /// A call ended.
    Call {
        /// The call.
        call: CallId,
        /// The attempt: a report of an earlier one is refused.
        attempt: u32,
        /// How it ended.
        #[serde(skip)]
        done: Done,
        /// From start to end.
        duration_ms: u64,
    },
    /// A running call asks a person.
    Asks {
        /// The call.
        call: CallId,
        /// The attempt: a report of an earlier one is refused.
        attempt: u32,
        /// The name that the hand gives what it asks, and under which the answer comes back.
        question: QuestionId,
        /// What is asked.
        #[serde(skip)]
        questions: Vec<Question>,
    },
    /// A running call takes back what it asked: nobody waits for the answer.
    Withdraws {
        /// The call.
        call: CallId,
        /// The attempt: a report of an earlier one is refused.
        attempt: u32,
        /// What it asked.
        question: QuestionId,
    },
    /// A look at what an attempt of a dead process did.
    Found {
        /// The call.
        call: CallId,
        /// The attempt that was looked for.
        attempt: u32,
        /// What was found.
        #[serde(skip)]
        found: Found,
    },
    /// A piece of the conversation was condensed, or could not be.
    Condensed {
        /// Which compaction.
        compaction: CompactionId,
        /// The last event of the piece that is condensed whole.
        to: Seq,
        /// What became of it.
        #[serde(skip)]
        answer: Result<Condensed, (Failure, Usage)>,
    },
    /// What was said was looked at for what is to be remembered, or could not be.
    Observed {
        /// The last event that was looked at.
        to: Seq,
        /// Who looked, as `provider/name`.
        model: Option<String>,
        /// What it found.
        #[serde(skip)]
        answer: Noted,
    },
    /// What is remembered was condensed, or could not be.
    Reflected {
        /// The last event that it had read.
        read: Seq,
        /// Notes of other journals among what it had read.
        #[serde(skip)]
        shown: Vec<Memory>,
        /// Who condensed it, as `provider/name`.
        model: Option<String>,
        /// What takes the place of what.
        #[serde(skip)]
        answer: Noted,
    },
    /// Somebody was told, or could not be.
    Told {
        /// Of what.
        notice: NoticeId,
        /// Whether they were.
        outcome: Result<(), Undelivered>,
    },
    /// Nothing of these is left in the journal.
    Erased {
        /// Which memories, each with what went with it.
        memories: BTreeMap<MemoryId, Extent>,
        /// Lines that were written anew.
        lines: u64,
    },
}

/// What became of a compaction, so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Condensed {
    /// A piece of the conversation changes this.
    Piece {
        /// What.
        change: Box<Change>,
        /// The tokens that it took.
        usage: Usage,
        /// Bytes of the event behind the piece that are condensed, too.
        part: u64,
    },
    /// All pieces are merged: this is the summary.
    Whole(Box<Summary>),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// How.
    pub outcome: Outcome,
    /// What the model sees.
    pub content: String,
    /// What clients see beside that.
    pub details: Option<serde_json::Value>,
    /// The whole output, already kept.
    pub artifact: Option<ArtifactRef>,
}

/// What was found of an attempt whose process died.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It was done.
    Done(Done),
    /// It was not done: it may start again.
    NotDone,
    /// It cannot be told.
    Unknown,
}

impl Command {
    /// Digests what is asked, whoever asks: the same request id with another digest is refused.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = match self {
            Self::Message(message) if message.is_plain() => {
                serde_json::to_string(&("message", &message.content, message.behavior))
            }
            Self::Message(message) => serde_json::to_string(&(
                "message",
                &message.content,
                message.behavior,
                &message.attachments,
                &message.output_schema,
            )),
            Self::Decide(decision) => {
                serde_json::to_string(&("decide", decision.call, decision.asked, decision.verdict, &decision.reason))
            }
            Self::Answer { question, answers, .. } => serde_json::to_string(&("answer", question, answers)),
            Self::Create(Create { agent, title, project, task: None, on_disconnect, labels, .. }) => {
                serde_json::to_string(&("create", agent, title, project, on_disconnect, labels))
            }
            // Whatever else is asked for with it: the task is the session's name.
            Self::Create(Create { agent, task: Some(task), .. }) => serde_json::to_string(&("create", agent, task)),
            Self::Fork(fork) => serde_json::to_string(&("fork", fork.parent.session, fork.at, &fork.title)),
            Self::Adopt(adopted) => {
                let source = &adopted.talk.source;
                serde_json::to_string(&("adopt", &adopted.agent, &source.program, &source.id, &source.digest))
            }
            Self::Rewind(rewind) => serde_json::to_string(&("rewind", rewind.to_seq)),
            Self::Interrupt { .. } => Ok("interrupt".to_owned()),
            Self::Pause { reason: None, .. } => Ok("pause".to_owned()),
            Self::Pause { reason: Some(reason), .. } => serde_json::to_string(&("pause", reason)),
            Self::Resume { .. } => Ok("resume".to_owned()),
            Self::Update { title, labels, .. } => serde_json::to_string(&("update", title, labels)),
            Self::Archive { archived, .. } => serde_json::to_string(&("archive", archived)),
            Self::SetQueue { items, .. } => serde_json::to_string(&("queue", items)),
            Self::Context { what, .. } => serde_json::to_string(&("context", what)),
            Self::Memory { what, .. } => serde_json::to_string(&("memory", what)),
            Self::Loop { what, .. } => serde_json::to_string(&("loop", what)),
            // A file may change meanwhile: the same request is still the same.
            Self::Relay { what: RelayCommand::Start(new), .. } if new.source == RelaySource::File => {
                serde_json::to_string(&("relay", &new.definition.name, &new.state, &new.input))
            }
            Self::Relay { what, .. } => serde_json::to_string(&("relay", what)),
            Self::Wait { what, .. } => serde_json::to_string(&("wait", what)),
            Self::Notice { what, .. } => serde_json::to_string(&("notice", what)),
            Self::Signal(signal) => serde_json::to_string(&("signal", &signal.name, &signal.payload)),
            Self::Wake | Self::Report(_) => Ok(String::new()),
        };
        // Strings, numbers and maps with string keys always serialize.
        Digest::of(text.unwrap_or_default().as_bytes()).short().to_owned()
    }
}
