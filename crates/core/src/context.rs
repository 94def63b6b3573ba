//! What the model sees: a fold of the journal into messages, and the request made of it.
//!
//! Invariant: every request is well-formed whatever happened before. Roles alternate and the user is first; every tool
//! use has exactly one result in the very next message, results first; no message and no text is empty; nothing is only
//! reasoning; reasoning goes back to the model whose it is, and to no other. A call that never got a result gets one made up here, which says so.

mod layers;
mod markdown;
mod messages;
mod refused;
mod transcript;
mod window;

pub use layers::{Layer, Layers};
pub use markdown::{Heading, markdown};
pub use messages::{MessageItem, MessageRole, ToolCallItem, fold_messages};
pub use transcript::{Did, Transcript};
pub use window::{Percent, WINDOW, Window};

use std::sync::Arc;

use crate::content::{Purpose, Request, ToolSpec};
use crate::digest::Digest;
use crate::event::BlockHash;
use crate::media::{File, Files};
use crate::session::StepPlan;

/// The parts of a request that come from the agent and stay the same from step to step.
#[derive(Debug, Clone)]
pub struct Frame {
    /// System prompt, in ordered blocks.
    pub system: Arc<[String]>,
    /// Tools on offer.
    pub tools: Arc<[ToolSpec]>,
    /// Limit of the reply, in tokens.
    pub max_output_tokens: u32,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// The model, as `provider/name`.
    pub model: String,
    /// Digest of the agent's files.
    pub agent_digest: String,
    /// How much a request may have.
    pub window: Window,
    seal: Seal,
}

/// Hashes and size of a frame, computed once.
#[derive(Debug, Clone)]
struct Seal {
    system: Digest,
    tools: Digest,
    bytes: u64,
}

/// What a frame is made of.
#[derive(Debug, Clone)]
pub struct FrameParts {
    /// See [`Frame`].
    pub system: Vec<String>,
    /// See [`Frame`].
    pub tools: Vec<ToolSpec>,
    /// See [`Frame`].
    pub max_output_tokens: u32,
    /// See [`Frame`].
    pub temperature: Option<f64>,
    /// See [`Frame`].
    pub model: String,
    /// See [`Frame`].
    pub agent_digest: String,
    /// See [`Frame`].
    pub window: Window,
}

impl Frame {
    /// Seals the parts: their hashes go into every `step.started`.
    #[must_use]
    pub fn new(parts: FrameParts) -> Self {
        let system = parts.system.join("\n\n");
        // Structs of strings and JSON values always serialize.
        let tools = serde_json::to_string(&parts.tools).unwrap_or_default();
        let seal = Seal {
            system: Digest::of(system.as_bytes()),
            tools: Digest::of(tools.as_bytes()),
            bytes: (system.len() + tools.len()) as u64,
        };
        Self {
            system: parts.system.into(),
            tools: parts.tools.into(),
            max_output_tokens: parts.max_output_tokens,
            temperature: parts.temperature,
            model: parts.model,
            agent_digest: parts.agent_digest,
            window: parts.window,
            seal,
        }
    }
}

/// Makes the next request of a conversation, and what the journal says of it.
#[must_use]
pub fn assemble(frame: &Frame, transcript: &Transcript) -> (Request, StepPlan) {
    let closed = transcript.closed(&frame.model);
    let mut digest = Digest::chain(&closed.digest, format!("{}{}", frame.seal.system, frame.seal.tools).as_bytes());
    let hash = |part: &str, digest: &Digest| BlockHash { part: part.to_owned(), hash: digest.short().to_owned() };
    let schema = closed.schema.as_ref().map(|schema| Digest::of(schema.to_string().as_bytes()));
    if let Some(schema) = &schema {
        digest = Digest::chain(&digest, schema.as_str().as_bytes());
    }
    let mut files = Files::default();
    for hash in &closed.refused {
        digest = Digest::chain(&digest, hash.as_str().as_bytes());
        files.add(hash.clone(), File::Refused);
    }
    let mut plan = StepPlan {
        model: frame.model.clone(),
        request: digest.short().to_owned(),
        blocks: vec![
            hash("system", &frame.seal.system),
            hash("tools", &frame.seal.tools),
            hash("messages", &closed.digest),
        ],
        // Four bytes a token is a rough measure; it is only shown.
        tokens_estimated: (frame.seal.bytes + closed.bytes) / 4,
        agent_digest: frame.agent_digest.clone(),
        messages: u32::try_from(closed.messages.len()).unwrap_or(u32::MAX),
        capped: None,
    };
    plan.blocks.extend(schema.iter().map(|schema| hash("output_schema", schema)));
    let request = Request {
        system: Arc::clone(&frame.system),
        tools: Arc::clone(&frame.tools),
        messages: closed.messages,
        max_output_tokens: frame.max_output_tokens,
        temperature: frame.temperature,
        output_schema: closed.schema,
        files,
        purpose: Purpose::Step,
    };
    (request, plan)
}
