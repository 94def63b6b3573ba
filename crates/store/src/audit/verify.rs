//! Follows the chain from its first entry, and names the first one that breaks it.

use std::io;
use std::path::Path;

use outlive_core::digest::Digest;
use outlive_core::id::Seq;

use super::files::{Anchor, FOLDER, anchor, bytes, names};
use super::{AuditEntry, check, root};
use crate::files::fs::RealDisk;

/// What was found of a whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Entries that follow each other from the first one on.
    pub entries: Seq,
    /// The hash of the last of them: noted elsewhere, it says later that nothing before it was changed.
    pub head: Digest,
    /// Bytes of an entry at the end that was never finished; the next start cuts them.
    pub torn_bytes: usize,
    /// The first thing that is not as it was written.
    pub broken: Option<Broken>,
    /// Where a start found that entries were missing, and said so in an entry: the chain goes on after it.
    pub missing: Vec<Broken>,
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line in it, from 1; 0 where it is no line.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// Follows the chain of a workspace's audit log, whether that is open or not. With a hash that was noted elsewhere it must be one
/// of its entries'.
///
/// # Errors
///
/// It cannot be read.
pub fn verify(workspace: &Path, noted: Option<&Digest>) -> io::Result<Verified> {
    // First: what is entered meanwhile comes after it.
    let anchored = anchor(&RealDisk, &workspace.join(FOLDER));
    let mut walk = Walk { anchored: anchored.as_ref().ok(), noted, ..Walk::new() };
    for (number, name) in (1_u64..).zip(names(workspace)?) {
        let expected = format!("{number:08}.jsonl");
        if name != expected {
            walk.breaks(&name, 0, format!("`{expected}` is missing before it"));
            break;
        }
        walk.file(&name, &bytes(workspace, &name)?);
        if walk.found.broken.is_some() {
            break;
        }
    }
    if walk.found.broken.is_none() {
        walk.end(&anchored);
    }
    Ok(walk.found)
}

struct Walk<'a> {
    found: Verified,
    /// What must still come.
    anchored: Option<&'a Anchor>,
    noted: Option<&'a Digest>,
}

impl Walk<'_> {
    fn new() -> Self {
        let found = Verified { entries: 0, head: root(), torn_bytes: 0, broken: None, missing: Vec::new() };
        Self { found, anchored: None, noted: None }
    }

    fn breaks(&mut self, file: &str, line: usize, why: String) {
        self.found.broken = Some(Broken { file: file.to_owned(), line, why });
    }

    fn file(&mut self, name: &str, text: &[u8]) {
        if self.found.torn_bytes > 0 {
            return self.breaks(name, 0, "the file before it ends in the middle of an entry".to_owned());
        }
        for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                self.found.torn_bytes = line.len();
                return;
            };
            match self.line(line) {
                Err(why) => return self.breaks(name, at + 1, why),
                Ok(Some(why)) => self.found.missing.push(Broken { file: name.to_owned(), line: at + 1, why }),
                Ok(None) => {}
            }
        }
    }

    /// Returns what this entry says of others.
    fn line(&mut self, line: &[u8]) -> Result<Option<String>, String> {
        let next = self.found.entries + 1;
        let Some(entry) = check(line) else { return Err(format!("entry {next} was changed: its hash is another")) };
        if entry.seq > next {
            return Err(format!("entry {} comes where entry {next} should: what was between is missing", entry.seq));
        }
        if entry.seq < next {
            return Err(format!("entry {} comes where entry {next} should: it was moved or put in", entry.seq));
        }
        if entry.prev != self.found.head {
            return Err(format!("entry {next} follows another entry {} than the one before it", next - 1));
        }
        if let Some(anchor) = self.anchored.filter(|anchor| anchor.seq == next)
            && anchor.hash != entry.hash
        {
            return Err(format!("entry {next} is another than the one that `audit/head` names"));
        }
        self.noted.take_if(|noted| **noted == entry.hash);
        let says = says(&entry);
        (self.found.entries, self.found.head) = (next, entry.hash);
        Ok(says)
    }

    fn end(&mut self, anchored: &Result<Anchor, String>) {
        let last = self.found.entries;
        match anchored {
            Ok(anchor) if anchor.seq > last => {
                let why = format!("it ends with entry {last}, and had {} at least: its end was cut off", anchor.seq);
                self.breaks("head", 0, why);
            }
            Err(why) if last > 0 => self.breaks("head", 0, why.clone()),
            Ok(_) | Err(_) => {}
        }
        if let Some(noted) = self.noted.filter(|noted| **noted != root()) {
            self.breaks(
                "head",
                0,
                format!("no entry has the hash {noted}: it was changed or cut off since that was noted"),
            );
        }
    }
}

/// What the log itself says of entries that were missing when it was opened.
fn says(entry: &AuditEntry) -> Option<String> {
    let (act, kept) = (&entry.act, entry.seq - 1);
    match act.what.as_str() {
        "audit.cut" => {
            let had = act.on.get("had").map_or("?", String::as_str);
            Some(format!("at the start of {} it ended with entry {kept}, and had {had}: its end was cut off", act.at))
        }
        "audit.unanchored" => {
            Some(format!("at the start of {} `audit/head` was gone: entries after {kept} may be missing", act.at))
        }
        _ => None,
    }
}
