//! What stands in every request behind what the agent is, and before what was said: files that a person keeps, and what is
//! remembered. Made anew only where the journal says so, so that requests begin with the same bytes.

use crate::content::Request;
use crate::digest::Digest;
use crate::event::BlockHash;
use crate::session::StepPlan;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    part: &'static str,
    text: String,
    hash: Digest,
}

impl Layer {
    /// A layer of this text.
    #[must_use]
    pub fn new(part: &'static str, text: String) -> Self {
        let hash = Digest::of(text.as_bytes());
        Self { part, text, hash }
    }

    /// Returns what it says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Those of a session, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layers(pub Vec<Layer>);

impl Layers {
    /// Returns their hashes.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockHash> {
        self.0
            .iter()
            .map(|layer| BlockHash { part: layer.part.to_owned(), hash: layer.hash.short().to_owned() })
            .collect()
    }

    /// Returns the bytes that they add to a request.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|layer| layer.text.len() as u64).sum()
    }

    /// Puts them into a request, behind what the agent is, and says so in its plan.
    pub fn lay(&self, request: &mut Request, plan: &mut StepPlan) {
        if self.0.is_empty() {
            return;
        }
        let texts = self.0.iter().map(|layer| layer.text.clone());
        request.system = request.system.iter().cloned().chain(texts).collect();
        let whole = self.0.iter().fold(Digest::of(plan.request.as_bytes()), |digest, layer| {
            Digest::chain(&digest, layer.hash.as_str().as_bytes())
        });
        plan.request = whole.short().to_owned();
        // Behind the agent's own blocks, before what was said.
        let at = plan.blocks.iter().position(|block| block.part == "messages").unwrap_or(plan.blocks.len());
        plan.blocks.splice(at..at, self.blocks());
        plan.tokens_estimated = plan.tokens_estimated.saturating_add(self.bytes() / 4);
    }
}
