//! What stands in every request behind what the agent is, and before what was said: files that a person keeps, and what is
//! remembered. Made anew only where the journal says so, so that requests begin with the same bytes.

use std::sync::Arc;

use super::{Counter, Weight};
use crate::digest::Digest;
use crate::event::BlockHash;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    part: &'static str,
    text: String,
    hash: Digest,
    weight: Weight,
}

impl Layer {
    /// A layer of this text.
    #[must_use]
    pub fn new(part: &'static str, text: String, counter: &dyn Counter) -> Self {
        let (hash, weight) = (Digest::of(text.as_bytes()), Weight::of_text(&text, counter));
        Self { part, text, hash, weight }
    }

    /// Returns what it says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Those of a session, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layers(pub Arc<[Layer]>);

/// The name of the layer that shows files which people keep; the others show what is remembered.
pub const FILES: &str = "files";

impl Layers {
    /// Returns their hashes.
    #[must_use]
    pub fn blocks(&self) -> Vec<BlockHash> {
        self.0
            .iter()
            .map(|layer| BlockHash { part: layer.part.to_owned(), hash: layer.hash.short().to_owned() })
            .collect()
    }

    /// Returns what they add to a request.
    pub(super) fn weight(&self) -> Weight {
        self.files().plus(self.remembered())
    }

    /// Returns what those of files add.
    pub(super) fn files(&self) -> Weight {
        self.sum(|layer| layer.part == FILES)
    }

    /// Returns what those of what is remembered add.
    pub(super) fn remembered(&self) -> Weight {
        self.sum(|layer| layer.part != FILES)
    }

    fn sum(&self, of: impl Fn(&Layer) -> bool) -> Weight {
        self.0.iter().filter(|layer| of(layer)).fold(Weight::default(), |sum, layer| sum.plus(layer.weight))
    }

    /// Returns the digest of a request with them.
    pub(super) fn chained(&self, digest: Digest) -> Digest {
        self.0.iter().fold(digest, |digest, layer| Digest::chain(&digest, layer.hash.as_str().as_bytes()))
    }

    /// Puts them behind what the agent is.
    pub(super) fn behind(&self, system: &Arc<[String]>) -> Arc<[String]> {
        if self.0.is_empty() {
            return Arc::clone(system);
        }
        system.iter().chain(self.0.iter().map(|layer| &layer.text)).cloned().collect()
    }
}
