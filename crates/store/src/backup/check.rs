//! Restores an archive on trial: unpacks it, compares every file with the list, folds every journal, looks for damage.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use outlive_core::digest::Digest;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{Seq, SessionId};
use outlive_core::session::State;
use serde::Serialize;

use super::{Digesting, FORMAT, MANIFEST, Manifest, ROOT, folder};
use crate::files::fs::{Disk as _, Open, RealDisk, read_all};
use crate::files::verify::{Repair, verify};

/// What a trial found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Journals that fold.
    pub sessions: u64,
    /// Their events.
    pub events: u64,
    /// All files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What makes it no good backup, in plain words.
    pub problems: Vec<String>,
    /// What was not right in the workspace already.
    pub warnings: Vec<String>,
}

/// Unpacks an archive beside it, on trial, and looks at all of it. What was unpacked is removed.
///
/// # Errors
///
/// What the system says of reading and unpacking; what is wrong with the archive is in the report.
pub fn check(archive: &Path) -> io::Result<Report> {
    let trial = tempfile::Builder::new().prefix(".outlive-trial-").tempdir_in(folder(archive))?;
    let mut report = Report::default();
    let file = RealDisk.open(archive, Open::Read)?;
    let unpacked = match unpack(super::At { file: &*file, at: 0 }, trial.path(), &mut report) {
        Ok(unpacked) => unpacked,
        Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
        Err(error) => {
            report.problems.push(format!("the archive cannot be read to its end: {error}"));
            return Ok(report);
        }
    };
    let root = trial.path().join(ROOT);
    let manifest = match read_all(&RealDisk, &root.join(MANIFEST), 1 << 30) {
        Ok(bytes) => serde_json::from_slice::<Manifest>(&bytes).map_err(|error| error.to_string()),
        Err(_) => Err("it is not there".to_owned()),
    };
    match manifest {
        Ok(manifest) if manifest.format > FORMAT => {
            report.problems.push(format!("format {} is newer than this version of Outlive reads", manifest.format));
        }
        Ok(manifest) => compare(&root, &manifest, &unpacked, &mut report)?,
        Err(why) => report.problems.push(format!("this is no whole backup: {MANIFEST} at its end: {why}")),
    }
    Ok(report)
}

/// Unpacks files, and nothing else, below the folder; returns their digests.
fn unpack(from: impl io::Read, trial: &Path, report: &mut Report) -> io::Result<BTreeMap<String, Digest>> {
    let mut unpacked = BTreeMap::new();
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let mut parts = path.components();
        let is_ours = parts.next() == Some(Component::Normal(ROOT.as_ref()));
        let goes_down = parts.clone().all(|part| matches!(part, Component::Normal(_))) && parts.next().is_some();
        if !is_ours || !goes_down || entry.header().entry_type() != tar::EntryType::Regular {
            report.problems.push(format!("`{}` has no place in a backup", path.display()));
            continue;
        }
        let target = trial.join(&path);
        RealDisk.make_dir(target.parent().unwrap_or(trial))?;
        let mut read = Digesting::new(&mut entry);
        write(&target, &mut read)?;
        let (digest, length) = read.end();
        report.files += 1;
        report.bytes += length;
        let name = path.strip_prefix(ROOT).unwrap_or(&path).to_string_lossy().into_owned();
        if unpacked.insert(name.clone(), digest).is_some() {
            report.problems.push(format!("`{name}` is there twice"));
        }
    }
    Ok(unpacked)
}

fn write(target: &Path, from: &mut impl io::Read) -> io::Result<()> {
    let file = RealDisk.open(target, Open::Write)?;
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                file.write_at(at, buffer.get(..read).unwrap_or_default())?;
                at += read as u64;
            }
        }
    }
}

fn compare(
    root: &Path,
    manifest: &Manifest,
    unpacked: &BTreeMap<String, Digest>,
    report: &mut Report,
) -> io::Result<()> {
    for (name, digest) in &manifest.files {
        match unpacked.get(name) {
            Some(found) if found == digest => {}
            Some(_) => report.problems.push(format!("`{name}` is not what was put in")),
            None => report.problems.push(format!("`{name}` is missing")),
        }
    }
    let extra = unpacked.keys().filter(|name| *name != MANIFEST && !manifest.files.contains_key(*name));
    report.problems.extend(extra.map(|name| format!("`{name}` is not on the list")));
    let mut kept = BTreeSet::new();
    for (session, head) in &manifest.sessions {
        match fold(root, *session, &mut kept) {
            Ok(found) if found == *head => {
                report.sessions += 1;
                report.events += found;
            }
            Ok(found) => report.problems.push(format!("session {session} ends with event {found}, not {head}")),
            Err(why) => report.problems.push(format!("session {session} cannot be folded: {why}")),
        }
    }
    let missing = kept.iter().filter(|hash| !unpacked.contains_key(&artifact(hash)));
    report.warnings.extend(missing.map(|hash| format!("artifact {hash} was missing from the workspace already")));
    let is_known = |file: &str| manifest.damaged.iter().any(|session| file.contains(&session.to_string()));
    for problem in verify(&RealDisk, root, Repair::No)?.problems {
        let said = format!("{}:{}: {}", problem.file, problem.line, problem.what);
        if is_known(&problem.file) { report.warnings.push(said) } else { report.problems.push(said) }
    }
    Ok(())
}

fn artifact(hash: &Digest) -> String {
    format!("artifacts/{}/{hash}", hash.as_str().get(..2).unwrap_or_default())
}

/// Folds a journal; returns its head, and notes the artifacts that it names.
fn fold(root: &Path, session: SessionId, kept: &mut BTreeSet<Digest>) -> Result<Seq, String> {
    let path = root.join("sessions").join(session.to_string()).join("events.jsonl");
    let bytes = read_all(&RealDisk, &path, u64::MAX).map_err(|error| error.to_string())?;
    let mut state = State::default();
    for (number, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let text = text.strip_suffix(b"\n").ok_or_else(|| format!("line {number} has no end"))?;
        let entry =
            Line::check(text).and_then(|line| line.read()).map_err(|error| format!("line {number}: {error}"))?;
        if entry.seq != number {
            return Err(format!("line {number} has seq {}", entry.seq));
        }
        state.apply(&entry);
        kept.extend(named(&entry));
    }
    Ok(state.head)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "few events name an artifact")]
fn named(entry: &Entry) -> Option<Digest> {
    match &entry.event {
        Event::ArtifactStored(stored) => Some(stored.artifact.hash.clone()),
        Event::CallFinished(finished) => finished.artifact.as_ref().map(|artifact| artifact.hash.clone()),
        _names_none => None,
    }
}
