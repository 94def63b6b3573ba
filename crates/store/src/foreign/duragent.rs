//! Duragent's workspace: `sessions/ID/` with an event log and a snapshot, `agents/NAME/`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use outlive_core::import::{Damage, Read, Records as _, duragent};
use outlive_core::limits::RECORD_BYTES;
use sha2::{Digest as _, Sha256};

use super::walk::{self, shown};
use super::{Body, Found, Unit};
use crate::agents::{FILE_BYTES, FILES};

/// The log, and before it what was put away.
const LOGS: [&str; 2] = ["events.archive.jsonl", "events.jsonl"];
/// Snapshots, newest form first.
const SNAPSHOTS: [&str; 2] = ["state.json", "state.yaml"];

/// An agent's files.
#[derive(Debug)]
pub struct AgentFolder {
    /// The folder's name.
    pub name: String,
    /// Path relative to the folder → bytes; or why they are not read.
    pub files: Result<BTreeMap<String, Vec<u8>>, String>,
}

/// Returns the folder that holds `sessions` and `agents`.
fn root(path: &Path) -> PathBuf {
    let inner = path.join(".duragent");
    if walk::is_plain_folder(&inner) { inner } else { path.to_owned() }
}

/// Returns the folders in a folder, sorted; without links.
fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn find(path: &Path) -> io::Result<Found> {
    let root = root(path);
    let mut found = Found::default();
    let is_session = |folder: &Path| LOGS.iter().chain(&SNAPSHOTS).any(|name| folder.join(name).is_file());
    let sessions = root.join("sessions");
    let all = if is_session(&root) {
        vec![root.clone()]
    } else {
        folders(if walk::is_plain_folder(&sessions) { &sessions } else { &root })?
    };
    for folder in all.into_iter().filter(|folder| is_session(folder)) {
        let below = shown(&root, &folder);
        let name = || folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.units.push(Unit { shown: if below.is_empty() { name() } else { below }, body: Body::Duragent(folder) });
    }
    Ok(found)
}

pub(super) fn read(folder: &Path, shown: &str) -> io::Result<Read> {
    let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut reader = Box::new(duragent::Reader::new(shown, &id));
    let mut hasher = Sha256::new();
    if let Some(path) = SNAPSHOTS.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        reader.turn_to(&format!("{shown}/{}", path.file_name().unwrap_or_default().to_string_lossy()));
        match walk::whole(&path, RECORD_BYTES)? {
            Some(bytes) => reader.snapshot(&bytes),
            None => reader.too_long(0),
        }
    }
    for name in LOGS {
        let path = folder.join(name);
        if path.is_file() {
            reader.turn_to(&format!("{shown}/{name}"));
            walk::lines(&path, &mut hasher, reader.as_mut())?;
        }
    }
    Ok(reader.finish(walk::digest(hasher)))
}

/// Reads the agents of a Duragent workspace.
///
/// # Errors
///
/// The folder cannot be read.
pub fn agents(path: &Path) -> io::Result<(Vec<AgentFolder>, Vec<Damage>)> {
    let folder = root(&path.canonicalize()?).join("agents");
    if !walk::is_plain_folder(&folder) {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut all, mut skipped) = (Vec::new(), Vec::new());
    for agent in folders(&folder)? {
        let name = shown(&folder, &agent);
        let walked = walk::walk(&agent)?;
        skipped.extend(
            walked
                .skipped
                .into_iter()
                .map(|damage| Damage { file: format!("agents/{name}/{}", damage.file), ..damage }),
        );
        all.push(AgentFolder { files: files(walked.files), name });
    }
    Ok((all, skipped))
}

fn files(found: Vec<walk::Found>) -> Result<BTreeMap<String, Vec<u8>>, String> {
    if found.len() > FILES {
        return Err(format!("{} files, of {FILES} that an agent may have", found.len()));
    }
    let mut files = BTreeMap::new();
    for file in found {
        let bytes = walk::whole(&file.path, FILE_BYTES).map_err(|error| format!("`{}`: {error}", file.shown))?;
        let bytes = bytes.ok_or_else(|| format!("`{}` is longer than {FILE_BYTES} bytes", file.shown))?;
        files.insert(file.shown, bytes);
    }
    Ok(files)
}
