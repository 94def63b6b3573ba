//! What messages are made of, in one shape for every provider: blocks, replies, usage, failures.

mod so_far;

pub(crate) use so_far::cut_outputs;
pub use so_far::{OutputSoFar, Said, SoFar, StepSoFar};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::CallId;
use crate::media::{Attachment, Family, File, Files};

/// One piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// The model's reasoning. Sent back unchanged, signature included, while its turn's calls are open.
    Thinking {
        /// The reasoning, possibly empty when the provider hides it.
        thinking: String,
        /// The provider's seal on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A file that the user attached. Only in requests, which bring its bytes beside.
    Media(Attachment),
    /// Reasoning that the provider shows only to itself. Sent back unchanged.
    RedactedThinking {
        /// Opaque bytes, as text.
        data: String,
    },
    /// The model asks for a tool call. The id is ours: whatever a provider sends, it is unique in the journal.
    ToolUse {
        /// The call.
        id: CallId,
        /// The tool's name, as the model wrote it.
        name: String,
        /// The arguments: always an object.
        input: Value,
        /// The raw text, when the arguments were not a JSON object; `input` is then empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        malformed: Option<String>,
    },
    /// The result of a tool call. Only in requests, never in a reply.
    ToolResult {
        /// The call that it answers.
        id: CallId,
        /// What the model sees.
        content: String,
        /// Whether the call failed or was denied.
        #[serde(default)]
        is_error: bool,
    },
}

/// Who speaks in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// One message of a request. Roles alternate, the first is the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said: never empty.
    pub content: Vec<Block>,
}

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `^[a-zA-Z0-9_-]{1,64}$`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of its arguments: an object.
    pub input_schema: Value,
}

/// One model request, the same for every provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The system prompt, in ordered blocks that are stable from request to request.
    pub system: Arc<[String]>,
    /// The tools on offer.
    pub tools: Arc<[ToolSpec]>,
    /// The conversation: alternating, starting with the user, each tool use answered in the next message.
    pub messages: Vec<Arc<Message>>,
    /// Limit of the reply, in tokens.
    pub max_output_tokens: u32,
    /// Sampling temperature, when the agent sets one.
    pub temperature: Option<f64>,
    /// The JSON Schema that the final answer must fit.
    pub output_schema: Option<Arc<Value>>,
    /// The bytes of what is attached. Assembled without: the shell brings them right before it asks.
    pub files: Files,
    /// What it is for. No provider is told.
    pub purpose: Purpose,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// A step of a turn.
    #[default]
    Step,
    /// A piece of a conversation is condensed: the answer is a `compaction::Change` as JSON.
    Condense,
    /// What was said is looked at for what is to be remembered: the answer is memories as JSON.
    Observe,
    /// What is remembered is condensed: the answer is memories as JSON.
    Reflect,
}

impl Request {
    /// Returns what is attached, newest first.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        attached(&self.messages)
    }

    /// Returns the files that a provider may refuse this request for, newest first: those that no reply has followed yet;
    /// where there are none, all. Text is never refused for what is in it.
    #[must_use]
    pub fn suspects(&self) -> Vec<Attachment> {
        let replied = self.messages.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |at| at + 1);
        let in_doubt = |messages: &[Arc<Message>]| -> Vec<Attachment> {
            let is_text = |file: &Attachment| file.kind().is_none_or(|kind| kind.family() == Family::Text);
            let mut found: Vec<Attachment> = Vec::new();
            for file in attached(messages) {
                let is_here = matches!(self.files.get(&file.hash), Some(File::Whole(_)));
                if is_here && !is_text(file) && !found.iter().any(|known| known.hash == file.hash) {
                    found.push(file.clone());
                }
            }
            found
        };
        let new = in_doubt(self.messages.get(replied..).unwrap_or_default());
        if new.is_empty() { in_doubt(&self.messages) } else { new }
    }
}

fn attached(messages: &[Arc<Message>]) -> impl Iterator<Item = &Attachment> {
    let blocks = messages.iter().rev().flat_map(|message| message.content.iter().rev());
    blocks.filter_map(|block| match block {
        Block::Media(attachment) => Some(attachment),
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    })
}

/// One piece of a reply as a provider gave it, before the core names its calls.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyBlock {
    /// Plain text.
    Text(String),
    /// Reasoning, with its signature.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// The provider's seal.
        signature: Option<String>,
    },
    /// Reasoning that only the provider can read.
    RedactedThinking(String),
    /// A tool call: the name, and the arguments as the text that was streamed (empty means none).
    ToolUse {
        /// The tool's name.
        name: String,
        /// The raw arguments.
        arguments: String,
    },
}

/// A complete answer of a model. A stream that was cut is a [`Failure`], never a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What the model said, in order.
    pub content: Vec<ReplyBlock>,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// What it cost, in tokens.
    pub usage: Usage,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// The provider's id of the request, for its support.
    pub provider_request_id: Option<String>,
    /// Who served it, where the provider is a router and says so.
    pub served_by: Option<String>,
}

/// What a journal line holds of a block beside what was said in it.
const BLOCK_BYTES: usize = 32;

impl Reply {
    /// Returns about the bytes of all that was said, each block with what surrounds it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |block: &ReplyBlock| match block {
            ReplyBlock::Text(text) | ReplyBlock::RedactedThinking(text) => text.len(),
            ReplyBlock::Thinking { thinking, signature } => thinking.len() + signature.as_ref().map_or(0, String::len),
            ReplyBlock::ToolUse { name, arguments } => name.len() + arguments.len(),
        };
        self.content.iter().map(|block| of(block) + BLOCK_BYTES).sum()
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said all.
    EndTurn,
    /// It wants its tool calls run.
    ToolUse,
    /// The output limit was reached.
    MaxTokens,
    /// A stop sequence was met.
    StopSequence,
    /// It declined to answer.
    Refusal,
}

/// Tokens of one step, or a sum of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens read from the provider's cache.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// Input tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// What they cost, in billionths of a US dollar: what the provider charged, else worked out from the catalogue when
    /// the reply came; zero where neither says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost_nano_usd: u64,
    /// Answered steps in it: 1 in a step. Zero where it was written before they were counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps: u64,
    /// Those of them whose cost is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priced_steps: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// Adds another step's tokens.
    pub fn add(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        self.cost_nano_usd = self.cost_nano_usd.saturating_add(other.cost_nano_usd);
        self.steps = self.steps.saturating_add(other.steps);
        self.priced_steps = self.priced_steps.saturating_add(other.priced_steps);
    }

    /// Returns what it cost in US dollars as far as that is known: at least this where not every step's cost is.
    #[must_use]
    pub fn charged(self) -> Option<f64> {
        (self.cost_nano_usd > 0 || self.priced_steps > 0).then_some(self.cost_nano_usd as f64 / 1e9)
    }

    /// Returns all input tokens, cached or not.
    #[must_use]
    pub fn all_input(self) -> u64 {
        self.input_tokens.saturating_add(self.cache_read_tokens).saturating_add(self.cache_write_tokens)
    }
}

/// How a step failed, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The provider is over its capacity or broken for now: asked again later.
    Overloaded,
    /// Too many requests or tokens: asked again when the provider says.
    RateLimited,
    /// No answer, or no progress, in time: asked again.
    Timeout,
    /// No connection: asked again.
    Network,
    /// The provider does not take the request: asking again would not help.
    InvalidRequest,
    /// The key is missing, wrong or not entitled.
    Auth,
    /// The provider declines the content.
    Refused,
    /// The stream ended before the reply did, or the reply could not be read: asked again, a few times.
    Truncated,
    /// The answer does not fit the schema that was asked for: asked again, a few times.
    OffSchema,
    /// The request is longer than the model's window: the same again would be, too.
    Overflow,
}

/// A step that has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// What happened, for a person: no keys, no bodies.
    pub message: String,
    /// When the provider asked to be tried again, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

/// A live fragment of a running turn. Never journaled, has no seq, and may be lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Delta {
    /// Text of the reply so far.
    Text {
        /// What was added.
        text: String,
    },
    /// Reasoning so far.
    Thinking {
        /// What was added.
        text: String,
    },
    /// Output of a running tool.
    ToolOutput {
        /// The call.
        call: CallId,
        /// What was added.
        text: String,
    },
    /// The step is asked again: what was shown of it so far is void.
    Restart,
    /// All that what runs has said so far: it takes the place of all fragments before it.
    SoFar(Box<SoFar>),
}
