//! The last entry of an archive: what it is, and the SHA-256 of every other entry.

use serde::{Deserialize, Serialize};

use super::{ArchiveError, Entries, shown, wrong};
use crate::digest::Digest;
use crate::id::{AgentName, Seq, SessionId};

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`Manifest::FORMAT`].
    pub format: String,
    /// Always [`Manifest::VERSION`]: another version is read by another Outlive.
    pub version: u32,
    /// What it holds.
    pub kind: Kind,
    /// The session that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The last event of the session's journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
    /// The agent.
    pub agent: AgentPart,
    /// Every other entry, in order.
    pub entries: Vec<Sum>,
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session, with its agent as it was at the export.
    Session,
    /// An agent.
    Agent,
}

/// The agent of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentPart {
    /// Its name.
    pub name: AgentName,
    /// The digest of its files, which lie under `agent/DIGEST/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why its files are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// An entry's length and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Where it lies.
    pub path: String,
    /// Its length.
    pub bytes: usize,
    /// Of its bytes.
    pub sha256: Digest,
}

impl Sum {
    pub(super) fn of(path: &str, content: &[u8]) -> Self {
        Self { path: path.to_owned(), bytes: content.len(), sha256: Digest::of(content) }
    }
}

/// What is read before the rest: another version may have other keys.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u32,
}

impl Manifest {
    /// Where it lies.
    pub const PATH: &'static str = "manifest.json";
    /// Tells an archive of ours from any other.
    pub const FORMAT: &'static str = "outlive-archive";
    /// The version that is written, and read.
    pub const VERSION: u32 = 1;

    pub(super) fn new(kind: Kind, agent: AgentPart) -> Self {
        let (format, version) = (Self::FORMAT.to_owned(), Self::VERSION);
        Self { format, version, kind, session: None, head: None, agent, entries: Vec::new() }
    }

    pub(super) fn write(&self) -> Result<String, ArchiveError> {
        serde_json::to_string_pretty(self).map(|text| format!("{text}\n")).map_err(|error| wrong(error.to_string()))
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let unread = |error: serde_json::Error| wrong(format!("manifest.json: {error}"));
        let Version { format, version } = serde_json::from_slice(bytes).map_err(unread)?;
        if format != Self::FORMAT {
            return Err(wrong(format!("manifest.json: format `{}` is not `{}`", shown(&format), Self::FORMAT)));
        }
        if version != Self::VERSION {
            let what =
                format!("it has version {version}, this Outlive reads {}: take the one that wrote it", Self::VERSION);
            return Err(wrong(what));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unread)?;
        if manifest.write()?.as_bytes() == bytes {
            Ok(manifest)
        } else {
            Err(wrong("manifest.json is not written as Outlive writes it"))
        }
    }

    /// Holds the entries against what it says of them.
    pub(super) fn check(&self, entries: &Entries<'_>) -> Result<(), ArchiveError> {
        let named: Vec<&str> = self.entries.iter().map(|sum| sum.path.as_str()).collect();
        if !named.iter().copied().eq(entries.keys().map(String::as_str)) {
            return Err(wrong("manifest.json does not name the entries that are there"));
        }
        for (sum, (path, content)) in self.entries.iter().zip(entries) {
            if *sum != Sum::of(path, content) {
                return Err(wrong(format!(
                    "`{path}` is not what manifest.json says: its SHA-256 is {}",
                    Digest::of(content)
                )));
            }
        }
        Ok(())
    }
}
