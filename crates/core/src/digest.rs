//! Content digests: SHA-256 in lowercase hex, shortened where only equality within one session matters.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lowercase hex digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Digests these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// Digests `earlier`'s text followed by these bytes: the next link of a chain.
    #[must_use]
    pub fn chain(earlier: &Self, bytes: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(earlier.0.as_bytes());
        hasher.update(bytes);
        Self(hex(&hasher.finalize()))
    }

    /// Reads 64 lowercase hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first 128 bits: an id that everybody who knows the same makes of it.
    #[must_use]
    pub fn bits(&self) -> u128 {
        // They are hex digits, and there are 64.
        self.0.get(..32).and_then(|hex| u128::from_str_radix(hex, 16).ok()).unwrap_or_default()
    }

    /// Returns the first 16 hex digits: enough to tell the contents of one session apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
