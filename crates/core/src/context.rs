//! What the model sees: a fold of the journal into messages, and the request made of it.
//!
//! Invariant: every request is well-formed whatever happened before. Roles alternate and the user is first; every tool
//! use has exactly one result in the very next message, results first; no message and no text is empty; nothing is only
//! reasoning; reasoning goes back to the model whose it is, and to no other. A call that never got a result gets one made up here, which says so.

mod counter;
mod ends;
mod estimate;
mod layers;
mod markdown;
mod messages;
mod overflow;
pub mod preview;
mod refused;
pub mod reuse;
pub mod sample;
mod tally;
mod transcript;
mod window;

pub use counter::{Counter, Rough, Weight, added};
pub use ends::ends;
pub use estimate::Calibration;
pub use layers::{FILES, Layer, Layers};
pub use markdown::{Heading, markdown};
pub use messages::{MessageItem, MessageRole, ToolCallItem, fold_messages};
pub use overflow::taught;
pub use tally::{Anchor, Load};
pub use transcript::{Did, Transcript};
pub use window::{Level, Percent, Room, WINDOW, Window};

use std::sync::{Arc, OnceLock};

use crate::content::{Purpose, Request, ToolSpec};
use crate::digest::Digest;
use crate::event::BlockHash;
use crate::media::{File, Files};
use crate::session::StepPlan;

/// The names of the blocks that are a frame's.
const SYSTEM: &str = "system";
const TOOLS: &str = "tools";

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
    /// How many blocks of the system prompt say who the agent is; what comes after them it is to know besides.
    pub own: usize,
    seal: Seal,
}

/// Hashes and weight of a frame, computed once.
#[derive(Debug, Clone)]
struct Seal {
    system: Digest,
    tools: Digest,
    /// The tools as they are hashed and counted.
    offer: Arc<str>,
    counted: Arc<OnceLock<FrameWeight>>,
}

/// What the parts of a frame weigh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameWeight {
    /// Each block of the system prompt.
    pub system: Vec<Weight>,
    /// The tools.
    pub tools: Weight,
}

impl FrameWeight {
    /// Returns what all of it weighs.
    #[must_use]
    pub fn all(&self) -> Weight {
        self.system.iter().copied().fold(self.tools, Weight::plus)
    }
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
            offer: tools.into(),
            counted: Arc::default(),
        };
        let own = parts.system.len();
        Self {
            system: parts.system.into(),
            tools: parts.tools.into(),
            max_output_tokens: parts.max_output_tokens,
            temperature: parts.temperature,
            model: parts.model,
            agent_digest: parts.agent_digest,
            window: parts.window,
            own,
            seal,
        }
    }

    /// Says how many of its system blocks are the agent's own.
    #[must_use]
    pub fn with_own(self, own: usize) -> Self {
        Self { own: own.min(self.system.len()), ..self }
    }

    /// Returns it with these blocks behind its system prompt.
    #[must_use]
    pub fn with_more(&self, more: &[String]) -> Self {
        let parts = FrameParts {
            system: self.system.iter().chain(more).cloned().collect(),
            tools: self.tools.to_vec(),
            max_output_tokens: self.max_output_tokens,
            temperature: self.temperature,
            model: self.model.clone(),
            agent_digest: self.agent_digest.clone(),
            window: self.window,
        };
        Self::new(parts).with_own(self.own)
    }

    /// Counts it, once for good as soon as there is a counter that counts exactly.
    pub fn count(&self, counter: &dyn Counter) {
        if counter.is_exact() {
            self.seal.counted.get_or_init(|| self.counted(counter));
        }
    }

    /// Returns what it weighs: as it was counted, else roughly.
    #[must_use]
    pub fn weight(&self) -> FrameWeight {
        self.seal.counted.get().cloned().unwrap_or_else(|| self.counted(&Rough))
    }

    fn counted(&self, counter: &dyn Counter) -> FrameWeight {
        let system = self.system.iter().map(|block| Weight::of_text(block, counter)).collect();
        let tools = if self.tools.is_empty() { Weight::default() } else { Weight::of_text(&self.seal.offer, counter) };
        FrameWeight { system, tools }
    }
}

impl Frame {
    /// Returns the hashes of what every request begins with: these blocks, then those of the layers.
    #[must_use]
    pub fn blocks(&self, layers: &Layers) -> Vec<BlockHash> {
        let hash = |part: &str, digest: &Digest| BlockHash { part: part.to_owned(), hash: digest.short().to_owned() };
        let own = [hash(SYSTEM, &self.seal.system), hash(TOOLS, &self.seal.tools)];
        own.into_iter().chain(layers.blocks()).collect()
    }

    /// Says whether requests began with another system prompt or other tools where they began with these blocks.
    #[must_use]
    pub fn is_another_than(&self, blocks: &[BlockHash]) -> bool {
        let own = self.blocks(&Layers::default());
        let differs = |mine: &BlockHash| blocks.iter().any(|it| it.part == mine.part && it.hash != mine.hash);
        own.iter().any(differs)
    }
}

/// Makes the next request of a conversation, and what the journal says of it.
#[must_use]
pub fn assemble(frame: &Frame, transcript: &Transcript) -> (Request, StepPlan) {
    assemble_with(frame, &Layers::default(), transcript)
}

/// As [`assemble`], with these layers behind what the agent is.
#[must_use]
pub fn assemble_with(frame: &Frame, layers: &Layers, transcript: &Transcript) -> (Request, StepPlan) {
    let closed = transcript.closed(&frame.model);
    let mut digest = Digest::chain(&closed.digest, format!("{}{}", frame.seal.system, frame.seal.tools).as_bytes());
    let hash = |part: &str, digest: &Digest| BlockHash { part: part.to_owned(), hash: digest.short().to_owned() };
    let schema = closed.schema.as_ref().map(|schema| schema.to_string());
    let sealed = schema.as_ref().map(|schema| Digest::of(schema.as_bytes()));
    if let Some(schema) = &sealed {
        digest = Digest::chain(&digest, schema.as_str().as_bytes());
    }
    digest = layers.chained(digest);
    let mut files = Files::default();
    for hash in &closed.refused {
        digest = Digest::chain(&digest, hash.as_str().as_bytes());
        files.add(hash.clone(), File::Refused);
    }
    let mut plan = StepPlan {
        model: frame.model.clone(),
        request: digest.short().to_owned(),
        blocks: frame.blocks(layers),
        // Whoever has learned more of the model says it better.
        tokens_estimated: 0,
        load: Load::default(),
        room: frame.window.room(),
        agent_digest: frame.agent_digest.clone(),
        messages: u32::try_from(closed.messages.len()).unwrap_or(u32::MAX),
        capped: None,
    };
    plan.blocks.push(hash("messages", &closed.digest));
    plan.blocks.extend(sealed.iter().map(|schema| hash(tally::SCHEMA, schema)));
    let anchor = closed.anchor(&frame.model, &plan.blocks);
    let said = closed.weight.plus(schema.as_deref().map(of_schema).unwrap_or_default());
    plan.load = Load { frame: frame.weight().all().plus(layers.weight()), messages: said, anchor };
    plan.tokens_estimated = Calibration::seeded(&frame.model).estimate(&plan.load);
    let request = Request {
        system: layers.behind(&frame.system),
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

/// What an answer's schema weighs: nobody counts it, and it has more signs than words.
fn of_schema(schema: &str) -> Weight {
    Weight { tokens: (schema.len() as u64).div_ceil(3), pieces: 1, reasoning: 0 }
}
