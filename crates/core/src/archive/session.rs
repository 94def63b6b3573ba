//! A session in an archive: `events.jsonl` byte for byte, `artifacts/AB/HASH` that it refers to, its agent.
//!
//! Invariant: what is read is a whole journal: events from 1 without a gap, each with its right crc, made by the session
//! that the manifest names; and exactly those artifacts that belong to it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AgentPart, ArchiveError, Entries, Kind, Manifest, Packer, unpack, wrong};
use crate::agent::{Files, files_digest};
use crate::digest::Digest;
use crate::event::{Entry, Event, Line};
use crate::id::{AgentName, Seq, SessionId};

const JOURNAL: &str = "events.jsonl";

/// A session that was read from an archive.
#[derive(Debug)]
pub struct SessionArchive<'a> {
    /// Which.
    pub session: SessionId,
    /// Its journal, exactly.
    pub lines: Vec<Line>,
    /// What the lines say.
    pub entries: Vec<Entry>,
    /// What it refers to, by hash.
    pub artifacts: Vec<(Digest, &'a [u8])>,
    /// Its agent, with its files where they are there.
    pub agent: (AgentName, Option<Files>),
}

impl<'a> SessionArchive<'a> {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let (manifest, entries) = unpack(bytes)?;
        let (Kind::Session, Some(session), Some(head)) = (manifest.kind, manifest.session, manifest.head) else {
            return Err(wrong("it holds no session; `outlive agent import` takes an agent"));
        };
        let journal = entries.get(JOURNAL).ok_or_else(|| wrong("it has no events.jsonl"))?;
        let (lines, events) = journal_of(session, journal)?;
        if lines.len() as Seq != head {
            return Err(wrong(format!("events.jsonl has {} events, manifest.json says {head}", lines.len())));
        }
        let artifacts = artifacts_of(&lines, &entries)?;
        let files = super::agent::files(&manifest.agent, &entries)?;
        if 1 + artifacts.len() + files.as_ref().map_or(0, Files::len) != entries.len() {
            return Err(wrong("it holds more than a session's journal, artifacts and agent"));
        }
        let speaks_to = events.first().and_then(agent_of);
        if speaks_to != Some(&manifest.agent.name) {
            return Err(wrong(format!("its session does not talk to agent `{}`", manifest.agent.name)));
        }
        Ok(Self { session, lines, entries: events, artifacts, agent: (manifest.agent.name, files) })
    }

    /// Returns what goes before the journal in the order of entries: the agent's files, or why they are left out.
    #[must_use]
    pub fn begin(name: AgentName, files: Result<&Files, String>) -> (Packer, AgentPart) {
        let packed = files.and_then(|files| {
            let (mut packer, digest) = (Packer::default(), files_digest(files));
            let mut all = files.iter();
            let added = all.try_for_each(|(path, content)| packer.add(&format!("agent/{digest}/{path}"), content));
            added.map(|()| (packer, digest)).map_err(|error| error.to_string())
        });
        match packed {
            Ok((packer, digest)) => (packer, AgentPart { name, digest: Some(digest), left_out: None }),
            Err(why) => (Packer::default(), AgentPart { name, digest: None, left_out: Some(why) }),
        }
    }

    /// Ends the archive of a session, after its agent and its artifacts, with its journal.
    ///
    /// # Errors
    ///
    /// It is too large.
    pub fn finish(
        mut packer: Packer,
        (session, agent): (SessionId, AgentPart),
        lines: &[Line],
    ) -> Result<Vec<u8>, ArchiveError> {
        let mut journal = Vec::with_capacity(lines.iter().map(|line| line.as_str().len() + 1).sum());
        for line in lines {
            journal.extend_from_slice(line.as_str().as_bytes());
            journal.push(b'\n');
        }
        packer.add(JOURNAL, &journal)?;
        let (session, head) = (Some(session), lines.last().map(Line::seq));
        packer.finish(Manifest { session, head, ..Manifest::new(Kind::Session, agent) })
    }

    /// Returns where an artifact lies.
    #[must_use]
    pub fn artifact(hash: &Digest) -> String {
        format!("artifacts/{}/{hash}", hash.as_str().get(..2).unwrap_or_default())
    }

    /// Returns every hash that a journal's lines could refer to an artifact by: any text of 64 hex digits in them.
    #[must_use]
    pub fn hashes(lines: &[Line]) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        for line in lines {
            if let Ok(value) = serde_json::from_str(line.as_str()) {
                look_for_hashes(&value, &mut found);
            }
        }
        found
    }
}

fn look_for_hashes(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(Digest::parse(text)),
        Value::Array(values) => values.iter().for_each(|value| look_for_hashes(value, found)),
        Value::Object(values) => values.values().for_each(|value| look_for_hashes(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn agent_of(entry: &Entry) -> Option<&AgentName> {
    if let Event::SessionCreated(created) = &entry.event { Some(&created.agent) } else { None }
}

fn journal_of(session: SessionId, bytes: &[u8]) -> Result<(Vec<Line>, Vec<Entry>), ArchiveError> {
    let text = bytes.strip_suffix(b"\n").ok_or_else(|| wrong("events.jsonl does not end with a whole line"))?;
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    for (seq, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let at = |why: String| wrong(format!("events.jsonl, line {seq}: {why}"));
        let line = Line::check(text).map_err(|error| at(error.to_string()))?;
        if line.seq() != seq {
            return Err(at(format!("its seq is {}: events run from 1 without a gap", line.seq())));
        }
        let entry = line.read().map_err(|error| at(error.to_string()))?;
        match (&entry.event, seq) {
            (Event::SessionCreated(created), 1) if created.session == session => {}
            (Event::SessionCreated(created), 1) => {
                return Err(at(format!("it belongs to session `{}`, not to `{session}`", created.session)));
            }
            (_, 1) => return Err(at("a journal begins with session.created".to_owned())),
            (Event::SessionCreated(_), _) => return Err(at("a session is made once".to_owned())),
            _later => {}
        }
        lines.push(line);
        entries.push(entry);
    }
    Ok((lines, entries))
}

fn artifacts_of<'a>(lines: &[Line], entries: &Entries<'a>) -> Result<Vec<(Digest, &'a [u8])>, ArchiveError> {
    let mut artifacts = Vec::new();
    for hash in SessionArchive::hashes(lines) {
        let path = SessionArchive::artifact(&hash);
        let Some(content) = entries.get(&path) else { continue };
        if Digest::of(content) != hash {
            return Err(wrong(format!("the bytes of `{path}` do not give its hash")));
        }
        artifacts.push((hash, *content));
    }
    Ok(artifacts)
}
