//! The audit log: who approved, denied, changed and read what, as a chain of lines in which nothing can be changed, moved or
//! taken out unseen.
//!
//! | Where | What |
//! |---|---|
//! | here | an entry, and its exact bytes |
//! | [`AuditLog`] | the files of a workspace, written by one thread |
//! | [`verify`] | follows the chain, and names the first entry that breaks it |
//!
//! Invariants: an entry's hash covers all of its line before it, and so the hash of the entry before; what is entered durably is
//! synced before its seq is returned; what is torn after the head is cut at the
//! next start, and an entry says so.

mod files;
mod verify;

pub use files::{AuditLog, read};
pub use verify::{Broken, Verified, verify};

use std::collections::BTreeMap;

use outlive_core::digest::Digest;
use outlive_core::id::Seq;
use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Pending, StoreError};

/// Something that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// By whom: a token's name, `agent:NAME`, or `local` where the workspace's files were used.
    pub who: String,
    /// In whose name, as far as whoever asked said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What, by a stable name.
    pub what: String,
    /// On which things: their kinds and ids. Never content, never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on: BTreeMap<String, String>,
    /// `ok`, or the code of why not.
    pub outcome: String,
}

/// An act in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its position: 1, 2, 3 … without gaps, over all files.
    pub seq: Seq,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
    /// The hash of the entry before; of no bytes for the first one.
    pub prev: Digest,
    /// SHA-256 of the line up to and without `,"hash"`.
    pub hash: Digest,
}

/// Where acts are entered.
pub trait Audit: Send + Sync {
    /// Enters an act; durable when it returns.
    fn enter(&self, act: Act) -> Pending<'_, Result<(), StoreError>>;

    /// Enters an act soon, and waits for nothing. Where too many wait, it is counted, and the count is entered.
    fn note(&self, act: Act);

    /// Returns the newest entries, oldest first, at most this many, that fit.
    fn newest(&self, limit: usize, fits: &dyn Fn(&AuditEntry) -> bool) -> Result<Vec<AuditEntry>, StoreError>;
}

/// What stands before the first entry.
fn root() -> Digest {
    Digest::of(b"")
}

/// Bytes of one value of an act.
const VALUE_BYTES: usize = 512;

#[derive(Serialize)]
struct Open<'a> {
    seq: Seq,
    #[serde(flatten)]
    act: &'a Act,
    prev: &'a Digest,
}

/// Returns an entry's line, without its end, and its hash.
fn write(seq: Seq, act: &Act, prev: &Digest) -> (String, Digest) {
    let cut = |text: &str| text[..text.floor_char_boundary(VALUE_BYTES)].to_owned();
    let on = act.on.iter().take(16).map(|(key, value)| (cut(key), cut(value))).collect();
    let (who, what, outcome) = (cut(&act.who), cut(&act.what), cut(&act.outcome));
    let (sender, from) = (act.sender.as_deref().map(cut), act.from.as_deref().map(cut));
    let act = Act { at: act.at, who, sender, from, what, on, outcome };
    // Words, ids and times always serialize.
    let mut line = serde_json::to_string(&Open { seq, act: &act, prev }).unwrap_or_default();
    line.pop();
    let hash = Digest::of(line.as_bytes());
    line.push_str(&format!(",\"hash\":\"{hash}\"}}"));
    (line, hash)
}

/// Reads a line; `None` where it is not an entry whose hash is that of its bytes.
fn check(line: &[u8]) -> Option<AuditEntry> {
    let entry: AuditEntry = serde_json::from_slice(line).ok()?;
    let end = format!(",\"hash\":\"{}\"}}", entry.hash);
    let open = line.strip_suffix(end.as_bytes())?;
    (Digest::of(open) == entry.hash).then_some(entry)
}
