//! A workspace in one file: journals, artifacts and all that people wrote; none of what is derived, secret or of one process.
//!
//! | Where | What |
//! |---|---|
//! | [`Writer`] | puts journals and files into an archive, beside its place; sealed, it is checked and renamed |
//! | [`check`](check()) | unpacks an archive on trial and folds every journal of it |
//!
//! The archive is a plain tar; unpacking it is restoring it. Its last file lists all others by digest.
//!
//! Invariants: what has not that list at its end is no backup; nothing has the archive's name before all of it is on disk;
//! artifacts go in after the journals that name them, so that none is missing.

mod check;

pub use check::{Report, check};

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, SpooledTempFile};

use crate::files::fs::{Disk as _, RealDisk};

/// The folder that an archive holds.
const ROOT: &str = ".outlive";
/// The list at its end.
const MANIFEST: &str = "backup.json";
const FORMAT: u32 = 1;
/// What is derived, secret, of one process, or put in by itself.
const LEFT_OUT: [&str; 6] = ["commit", "run", "token", "tokens.json", "sessions", MANIFEST];
/// Bytes of a journal that are gathered in memory.
const SPOOL: usize = 8 << 20;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The version of Outlive that made it.
    pub version: String,
    /// The journals, each up to which event.
    pub sessions: BTreeMap<SessionId, Seq>,
    /// Journals that were damaged, and are there as they were found.
    #[serde(default)]
    pub damaged: Vec<SessionId>,
    /// Every other file by its path, with the digest of its bytes.
    pub files: BTreeMap<String, Digest>,
}

/// Returns the sessions that have a folder.
///
/// # Errors
///
/// What the system says.
pub fn on_disk(root: &Path) -> io::Result<Vec<SessionId>> {
    match RealDisk.list(&root.join("sessions")) {
        Ok(names) => Ok(names.iter().filter_map(|name| name.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns the sessions that lie in the trash.
///
/// # Errors
///
/// What the system says.
pub fn in_trash(root: &Path) -> io::Result<Vec<SessionId>> {
    match RealDisk.list(&root.join("trash")) {
        Ok(names) => Ok(names.iter().filter_map(|name| name.parse().ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// One journal, gathered before it goes in.
pub struct Journal {
    session: SessionId,
    head: Seq,
    spool: SpooledTempFile,
}

impl Journal {
    /// Begins with the first event.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self { session, head: 0, spool: SpooledTempFile::new(SPOOL) }
    }

    /// Returns the seq of its last event.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Adds the next line.
    ///
    /// # Errors
    ///
    /// It is damaged or not the next one, or there is no room to gather.
    pub fn push(&mut self, text: &str) -> io::Result<()> {
        let line = Line::check(text.as_bytes()).map_err(io::Error::other)?;
        if line.seq() != self.head + 1 {
            let why = format!("event {} of {} came where {} belongs", line.seq(), self.session, self.head + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.head = line.seq();
        self.spool.write_all(text.as_bytes())?;
        self.spool.write_all(b"\n")
    }
}

/// An archive that is being made.
pub struct Writer {
    archive: tar::Builder<BufWriter<NamedTempFile>>,
    manifest: Manifest,
    target: PathBuf,
}

impl Writer {
    /// Begins an archive beside its place.
    ///
    /// # Errors
    ///
    /// The place is taken, or the system says no.
    pub fn begin(target: &Path, version: &str) -> io::Result<Self> {
        if std::fs::symlink_metadata(target).is_ok() {
            let why = format!("{} exists: choose another name, or remove it first", target.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        let beside = tempfile::Builder::new().prefix(".outlive-backup-").suffix(".part").tempfile_in(folder(target))?;
        let manifest = Manifest {
            format: FORMAT,
            version: version.to_owned(),
            sessions: BTreeMap::new(),
            damaged: Vec::new(),
            files: BTreeMap::new(),
        };
        Ok(Self { archive: tar::Builder::new(BufWriter::new(beside)), manifest, target: target.to_owned() })
    }

    /// Puts a whole journal in.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn journal(&mut self, mut journal: Journal) -> io::Result<()> {
        let length = journal.spool.stream_position()?;
        journal.spool.seek(SeekFrom::Start(0))?;
        let path = format!("sessions/{}/events.jsonl", journal.session);
        self.add(&path, (length, Kept::default()), journal.spool)?;
        self.manifest.sessions.insert(journal.session, journal.head);
        Ok(())
    }

    /// Puts a journal in as it lies there, damaged.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn damaged(&mut self, root: &Path, session: SessionId) -> io::Result<()> {
        // Lines of a damaged journal do not move from one of these to another.
        for name in crate::files::journal_files(&RealDisk, &root.join("sessions").join(session.to_string()))? {
            let path = format!("sessions/{session}/{name}");
            self.file(&path, &root.join(&path))?;
        }
        self.manifest.damaged.push(session);
        Ok(())
    }

    /// Returns those of these sessions that are in neither part of it: not among the journals, and not in the trash.
    #[must_use]
    pub fn lacks(&self, sessions: &BTreeSet<SessionId>) -> Vec<SessionId> {
        let is_in_trash =
            |session: &SessionId| self.manifest.files.contains_key(&format!("trash/{session}/events.jsonl"));
        sessions.iter().filter(|session| !self.has(session) && !is_in_trash(session)).copied().collect()
    }

    fn has(&self, session: &SessionId) -> bool {
        self.manifest.sessions.contains_key(session) || self.manifest.damaged.contains(session)
    }

    /// Puts in all else that the workspace holds and that belongs into a backup, and is not in it yet. Links and what is no
    /// file stay out, and what goes away meanwhile.
    ///
    /// # Errors
    ///
    /// What the system says; a file that changes meanwhile.
    pub fn rest(&mut self, root: &Path) -> io::Result<()> {
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(root.join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => continue,
                entries => entries?,
            };
            let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            let names: Vec<String> = entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            for entry in entries {
                let Ok(name) = entry.file_name().into_string() else { continue };
                if is_unfinished(&folder, &name) || self.is_elsewhere(&folder, &name, &names) {
                    continue;
                }
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && !self.manifest.files.contains_key(&path) {
                    let is_journal = folder.starts_with("schedules/") && path.ends_with("/events.jsonl");
                    let add = if is_journal { Self::whole_lines } else { Self::file };
                    match add(self, &path, &entry.path()) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        other => other?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Says whether something stays out, or is among the journals: in the trash, what is being erased, and what was there
    /// before it went to the trash.
    fn is_elsewhere(&self, folder: &str, name: &str, names: &[String]) -> bool {
        match folder {
            "" => is_left_out(name),
            "trash" => {
                let session = name.strip_suffix(".gone").unwrap_or(name);
                let is_doomed = names.contains(&format!("{session}.gone"));
                is_doomed || session.parse().is_ok_and(|session| self.has(&session))
            }
            // What is being removed.
            "schedules" => name.ends_with(".gone"),
            // What a schedule's journal comes to, which may be more than what was taken of it.
            _ => folder.starts_with("schedules/") && name.starts_with("state."),
        }
    }

    /// Puts a schedule's journal in as far as its lines are whole: it may be written to meanwhile.
    fn whole_lines(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let mut bytes = crate::files::fs::read_all(&RealDisk, from, u64::MAX)?;
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.add(path, (bytes.len() as u64, Kept::default()), bytes.as_slice())
    }

    fn file(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
        let file = RealDisk.open(from, crate::files::fs::Open::Read).map_err(named)?;
        let length = file.size().map_err(named)?;
        let found = std::fs::symlink_metadata(from).map_err(named)?;
        let kept = Kept { mode: found.mode() & 0o777, mtime: u64::try_from(found.mtime()).unwrap_or(0) };
        self.add(path, (length, kept), At { file: &*file, at: 0 }).map_err(named)
    }

    fn add(&mut self, path: &str, (length, kept): (u64, Kept), from: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(kept.mode);
        header.set_mtime(kept.mtime);
        header.set_cksum();
        let mut read = Digesting::new(from.take(length));
        self.archive.append_data(&mut header, format!("{ROOT}/{path}"), &mut read)?;
        let (digest, found) = read.end();
        if found != length {
            return Err(io::Error::other("it changed while it was read: begin again"));
        }
        self.manifest.files.insert(path.to_owned(), digest);
        Ok(())
    }

    /// Ends the archive with its list, and brings it to the disk.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn seal(mut self) -> io::Result<Sealed> {
        let text = serde_json::to_string_pretty(&self.manifest)?;
        self.add(MANIFEST, (text.len() as u64, Kept::default()), text.as_bytes())?;
        let file = self.archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        Ok(Sealed { file, target: self.target })
    }
}

/// What is kept of a file besides its bytes.
#[derive(Clone, Copy)]
struct Kept {
    mode: u32,
    mtime: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Self { mode: 0o600, mtime: 0 }
    }
}

/// An archive that is whole, and has not its name yet. Dropped, it is gone.
pub struct Sealed {
    file: NamedTempFile,
    target: PathBuf,
}

impl Sealed {
    /// Unpacks it on trial.
    ///
    /// # Errors
    ///
    /// As for [`check`](check()).
    pub fn check(&self) -> io::Result<Report> {
        check(self.file.path())
    }

    /// Gives it its name, unless another has that meanwhile. Returns its bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn publish(self) -> io::Result<u64> {
        let length = self.file.as_file().metadata()?.len();
        self.file.persist_noclobber(&self.target).map_err(|refused| refused.error)?;
        RealDisk.sync_dir(folder(&self.target))?;
        Ok(length)
    }
}

/// Returns the folder that a file is to lie in.
fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.contains(&name)
        || name.starts_with("index.db")
        || name.starts_with("search.db")
        || name.starts_with("memory.db")
}

/// A file of ours that will have another name once it is whole, in a folder where only we write. Elsewhere a person may have
/// named it so.
fn is_unfinished(folder: &str, name: &str) -> bool {
    let is_ours = ["artifacts", "trash", "agents/.versions"].iter().any(|ours| Path::new(folder).starts_with(ours));
    let slot = name.rsplit_once(".new-").map(|(_, slot)| slot);
    is_ours && slot.is_some_and(|slot| slot.parse::<u64>().is_ok_and(|number| number.to_string() == slot))
}

/// Reads a file of the disk on and on.
struct At<'a> {
    file: &'a dyn crate::files::fs::DiskFile,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Digests what is read through it.
struct Digesting<R> {
    from: R,
    digest: Sha256,
    length: u64,
}

impl<R: Read> Digesting<R> {
    fn new(from: R) -> Self {
        Self { from, digest: Sha256::new(), length: 0 }
    }

    fn end(self) -> (Digest, u64) {
        let hex: String = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (Digest::parse(&hex).unwrap_or_else(|| Digest::of(&[])), self.length)
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        self.length += read as u64;
        Ok(read)
    }
}
