//! What an agent's requests may have, and what of it outlasts its sessions, as agent.yaml says it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Misfit, ModelSpec};
use crate::context::{Percent, Window};

/// How long conversations are kept within the model's window.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContextSpec {
    /// People are warned from here on, in percent of what is usable.
    warn: Option<u64>,
    /// From here on results are pruned and a checkpoint is made beside the turn.
    soft: Option<u64>,
    /// From here on a request waits for it.
    hard: Option<u64>,
    /// The most tokens before something is done, whatever `soft` says: a number, or `auto` for none.
    soft_tokens: Option<SoftTokens>,
    /// Tokens that stay free.
    buffer: Option<u64>,
    /// Whether checkpoints are made by themselves.
    compact: Option<bool>,
    /// Who condenses, observes and reflects; the agent's own model where nobody is named.
    pub helper_model: Option<ModelSpec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum SoftTokens {
    Number(u64),
    Word(Auto),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Auto {
    Auto,
}

impl ContextSpec {
    /// Returns what it makes of a model's window: `tokens` and `output` are the model's.
    #[must_use]
    pub fn window(&self, tokens: u64, output: u64) -> Window {
        let usual = Window::default();
        let percent = Percent {
            warn: self.warn.unwrap_or(usual.percent.warn),
            soft: self.soft.unwrap_or(usual.percent.soft),
            hard: self.hard.unwrap_or(usual.percent.hard),
        };
        let soft_cap = match self.soft_tokens {
            None => usual.soft_cap,
            Some(SoftTokens::Number(tokens)) => Some(tokens),
            Some(SoftTokens::Word(Auto::Auto)) => None,
        };
        // A small window has no room for the usual buffer.
        let buffer = self.buffer.unwrap_or(usual.buffer.min(tokens / 8));
        Window { tokens, output: output.min(tokens / 2), buffer, percent, soft_cap, ..usual }
    }

    /// Says whether checkpoints are made by themselves.
    #[must_use]
    pub fn compacts(&self) -> bool {
        self.compact.unwrap_or(true)
    }

    pub(super) fn check(&self) -> Result<(), Misfit> {
        let Percent { warn, soft, hard } = self.window(0, 0).percent;
        if !(1..=100).contains(&warn) || !(1..=100).contains(&hard) {
            return Err(Misfit::new("spec.context", "`warn`, `soft` and `hard` are percentages, 1 to 100"));
        }
        if soft == 0 || soft > hard {
            return Err(Misfit::new("spec.context.soft", format!("is 1 to `hard`, which is {hard}")));
        }
        match &self.helper_model {
            Some(model) if !model.fallback.is_empty() => {
                Err(Misfit::new("spec.context.helper_model", "has no `fallback`: what it does is tried again later"))
            }
            Some(model) => model.check("spec.context.helper_model"),
            None => Ok(()),
        }
    }
}

/// What is to outlast a session.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemorySpec {
    enabled: Option<bool>,
    observe: Option<bool>,
    /// The most tokens of what is remembered of all sessions in a request.
    pub global_tokens: Option<u64>,
    /// Who makes vectors of texts; without one, words are compared.
    pub embedding: Option<EmbeddingSpec>,
    /// Duragent's.
    #[serde(rename = "backend")]
    _backend: Option<IgnoredAny>,
}

/// Numbers in a vector, at most.
pub const DIMENSIONS: usize = 8_192;

/// An endpoint that makes vectors of texts, as OpenAI's does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// Its address, up to `/embeddings`.
    pub base_url: String,
    /// The model.
    pub model: String,
    /// Numbers that are asked for in each vector; where nothing is said, as many as the model gives.
    #[serde(default)]
    pub dimensions: Option<usize>,
    /// The variable of the server's environment that holds its key.
    #[serde(default)]
    pub api_key_env: Option<String>,
}

impl MemorySpec {
    /// Says whether the agent remembers.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Says whether what is said is looked at by itself for what is to be remembered.
    #[must_use]
    pub fn observes(&self) -> bool {
        self.is_on() && self.observe.unwrap_or(true)
    }

    pub(super) fn check(&self) -> Result<(), Misfit> {
        match &self.embedding {
            Some(spec) if !spec.base_url.starts_with("http://") && !spec.base_url.starts_with("https://") => {
                Err(Misfit::new("spec.memory.embedding.base_url", "begins with `http://` or `https://`"))
            }
            Some(spec) if spec.model.trim().is_empty() => {
                Err(Misfit::new("spec.memory.embedding.model", "names no model"))
            }
            Some(EmbeddingSpec { dimensions: Some(dimensions), .. }) if !(1..=DIMENSIONS).contains(dimensions) => {
                Err(Misfit::new("spec.memory.embedding.dimensions", format!("is 1 to {DIMENSIONS}")))
            }
            Some(_) | None => Ok(()),
        }
    }
}
