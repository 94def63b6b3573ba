//! Agents' folders on plain files: read, written whole, kept as versions.
//!
//! A change is written beside first, as one file (`agents/.versions/NAME/pending.tar`), synced; then file by file into the
//! folder; then the file beside goes. Whoever finds it there goes on with it before anything is read: a change is done
//! whole, or not at all, though people see plain files. What is not an agent's own (`memory/`, what a person keeps there)
//! is never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use outlive_core::agent::{Files, WORKSPACE, files_digest, is_known, own_files};
use outlive_core::archive::AgentArchive;
use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::policy::LOCAL_POLICY;
use outlive_core::time::Timestamp;

use super::beside::Beside;
use super::fs::{read_all, replace};
use super::tails::io_error;
use crate::agents::{VERSIONS, check_new, granted, refused, taken};
use crate::{AgentFolders, AgentGrants, Changed, Expected, FILE_BYTES, FILES, StoreError, Version, WORKSPACE_POLICY};

/// Largest version that is read back.
const VERSION_BYTES: u64 = outlive_core::archive::ARCHIVE_BYTES as u64;

/// Folders within each other of what a workspace shares.
const SHARED_DEPTH: usize = 6;

/// Held while a folder changes: readers see all of a change or nothing of it.
static CHANGING: RwLock<()> = RwLock::new(());

fn reading() -> RwLockReadGuard<'static, ()> {
    CHANGING.read().unwrap_or_else(PoisonError::into_inner)
}

fn writing() -> RwLockWriteGuard<'static, ()> {
    CHANGING.write().unwrap_or_else(PoisonError::into_inner)
}

impl AgentFolders for Beside {
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join("agents");
        Ok(self.listed(&folder)?.into_iter().filter(|name| name.parse::<AgentName>().is_ok()).collect())
    }

    fn stamp(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.go_on(name)?;
        let _whole = reading();
        let Some(found) = self.walk(name)? else { return Ok(None) };
        let mut text = String::new();
        for (path, real) in found {
            if let Ok(meta) = std::fs::metadata(&real) {
                text.push_str(&format!(
                    "{path} {} {} {} {}\n",
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.len(),
                    meta.ino()
                ));
            }
        }
        let digest = Digest::of(text.as_bytes());
        Ok(u64::from_str_radix(digest.short(), 16).ok())
    }

    fn read(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, StoreError> {
        self.go_on(name)?;
        let _whole = reading();
        self.files(name)
    }

    fn create(&self, name: &str, files: BTreeMap<String, Vec<u8>>) -> Result<(), StoreError> {
        let name = check_new(name, &files)?;
        let _alone = writing();
        self.finish(&name)?;
        if self.agent(&name).exists() {
            return Err(taken(name.as_str()));
        }
        self.put(&name, files)
    }

    fn change(&self, name: &AgentName, files: Option<Files>, expected: Expected) -> Result<Changed, StoreError> {
        if let Some(files) = &files {
            check_new(name.as_str(), files)?;
        }
        let _alone = writing();
        self.finish(name)?;
        let here = self.files(name.as_str())?;
        if !expected.holds(here.as_ref()) {
            return Ok(Changed::Stale);
        }
        let present = here.map(own_files);
        if present == files {
            return Ok(Changed::Done { was_there: present.is_some() });
        }
        if let Some(present) = &present {
            self.keep_version(name, present)?;
        }
        match files {
            Some(files) => self.put(name, files)?,
            None => self.put_away(name)?,
        }
        Ok(Changed::Done { was_there: present.is_some() })
    }

    fn keep(&self, name: &AgentName, files: Files) -> Result<(), StoreError> {
        check_new(name.as_str(), &files)?;
        let _alone = writing();
        self.keep_version(name, &files)
    }

    fn versions(&self, name: &AgentName) -> Result<Vec<Version>, StoreError> {
        let _whole = reading();
        let mut versions: Vec<Version> = self.kept(name)?.into_iter().map(|(_, version)| version).collect();
        versions.reverse();
        Ok(versions)
    }

    fn version(&self, name: &AgentName, digest: &Digest) -> Result<Option<Files>, StoreError> {
        let _whole = reading();
        let kept = self.kept(name)?.into_iter().find(|(_, version)| version.digest == *digest);
        kept.map(|(path, _)| self.unpack(&path)).transpose()
    }
}

impl AgentGrants for Beside {
    fn grant(&self, name: &AgentName, rule: &str) -> Result<(), StoreError> {
        let _alone = writing();
        self.finish(name)?;
        let folder = self.agent(name);
        if !is_folder(&folder) {
            return Err(refused(name.as_str(), "there is no such agent"));
        }
        let path = folder.join(LOCAL_POLICY);
        let before = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Ok(found) if found.is_file() => {
                read_all(&*self.disk, &path, FILE_BYTES as u64).map_err(|error| io_error("read", &path, &error))?
            }
            Ok(_) | Err(_) => return Err(refused(name.as_str(), format!("{LOCAL_POLICY} is no plain file"))),
        };
        let after = granted(name, &before, rule)?;
        let done = replace(&*self.disk, &path, &after).and_then(|()| self.disk.sync_dir(&folder));
        done.map_err(|error| io_error("write", &path, &error))
    }
}

impl Beside {
    fn agent(&self, name: &AgentName) -> PathBuf {
        self.root.join("agents").join(name.as_str())
    }

    /// Where an agent's versions are: no agent's name begins with a dot.
    fn history(&self, name: &AgentName) -> PathBuf {
        self.root.join("agents").join(".versions").join(name.as_str())
    }

    fn pending(&self, name: &AgentName) -> PathBuf {
        self.history(name).join("pending.tar")
    }

    pub(super) fn listed(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| io_error("list", folder, &error)),
        }
    }

    /// Goes on with what a process that died was changing, for all agents. Where that cannot be done now, the workspace
    /// opens all the same: whoever reads that agent goes on with it, or learns why not.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn go_on_with_all(&self) -> Result<(), StoreError> {
        let names = self.listed(&self.root.join("agents").join(".versions"))?;
        for name in &names {
            if let Err(error) = self.go_on(name) {
                tracing::error!(agent = name, %error, "a change of an agent cannot be finished now");
            }
        }
        Ok(())
    }

    fn go_on(&self, name: &str) -> Result<(), StoreError> {
        let Ok(name) = name.parse::<AgentName>() else { return Ok(()) };
        if self.disk.identity(&self.pending(&name)).is_err() {
            return Ok(());
        }
        let _alone = writing();
        self.finish(&name)
    }

    fn files(&self, name: &str) -> Result<Option<Files>, StoreError> {
        let Some(found) = self.walk(name)? else { return Ok(None) };
        let mut files = BTreeMap::new();
        for (path, real) in found {
            let bytes =
                read_all(&*self.disk, &real, FILE_BYTES as u64).map_err(|error| io_error("read", &real, &error))?;
            files.insert(path, bytes);
        }
        Ok(Some(files))
    }

    /// Writes an agent's own files in place of those that are there.
    fn put(&self, name: &AgentName, files: Files) -> Result<(), StoreError> {
        self.fits(name, &files)?;
        let packed = AgentArchive { name: name.clone(), files }.write();
        let packed = packed.map_err(|error| refused(name.as_str(), error.to_string()))?;
        self.write(&self.pending(name), &packed)?;
        self.finish(name)
    }

    /// Refuses what could not be written, before any of it is.
    fn fits(&self, name: &AgentName, files: &Files) -> Result<(), StoreError> {
        let folder = self.agent(name);
        for path in files.keys() {
            let mut at = folder.clone();
            let parts: Vec<&str> = path.split('/').collect();
            for (n, part) in (1..).zip(&parts) {
                at.push(part);
                let Ok(found) = std::fs::symlink_metadata(&at) else { break };
                let fits = if n == parts.len() { found.is_file() } else { found.is_dir() };
                if !fits {
                    let what = "something else lies in its folder at";
                    return Err(refused(name.as_str(), format!("{what} `{path}`; take it away first")));
                }
            }
        }
        Ok(())
    }

    /// Does what is pending, from its beginning: doing it again is doing it once.
    fn finish(&self, name: &AgentName) -> Result<(), StoreError> {
        let pending = self.pending(name);
        if self.disk.identity(&pending).is_err() {
            return Ok(());
        }
        let (files, folder) = (self.unpack(&pending)?, self.agent(name));
        // A command beside the server may be at the same thing.
        let gone_is_fine = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        let stale: Vec<String> = match self.walk(name.as_str())? {
            Some(found) => found.into_iter().map(|(path, _)| path).filter(|path| is_known(path)).collect(),
            None => Vec::new(),
        };
        let mut touched = BTreeSet::from([self.root.join("agents"), folder.clone()]);
        let done = self.make_folder(name, &folder).and_then(|()| {
            for (path, bytes) in &files {
                let path = folder.join(path);
                let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&folder));
                touched.extend(above.map(Path::to_owned));
                self.disk.make_dir(path.parent().unwrap_or(&folder))?;
                replace(&*self.disk, &path, bytes)?;
            }
            for path in stale.iter().filter(|path| !files.contains_key(*path)) {
                let path = folder.join(path);
                gone_is_fine(self.disk.remove(&path))?;
                touched.extend(path.parent().map(Path::to_owned));
            }
            touched.iter().try_for_each(|folder| self.disk.sync_dir(folder))?;
            gone_is_fine(self.disk.remove(&pending))?;
            self.disk.sync_dir(&self.history(name))
        });
        done.map_err(|error| io_error("change", &folder, &error))
    }

    /// Makes the agent's folder; what it remembered before it was deleted comes back.
    fn make_folder(&self, name: &AgentName, folder: &Path) -> io::Result<()> {
        self.disk.make_dir(folder)?;
        let memory = folder.join("memory");
        let left =
            self.rests(name)?.into_iter().rev().map(|(_, rest)| rest.join("memory")).find(|left| is_folder(left));
        match left {
            Some(left) if !memory.exists() => self.disk.rename(&left, &memory),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns what was left of the agent each time that it was deleted, oldest first: `rest-N`, or `rest` of old.
    fn rests(&self, name: &AgentName) -> io::Result<Vec<(u64, PathBuf)>> {
        let history = self.history(name);
        let names = match self.disk.list(&history) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed?,
        };
        let number = |rest: &str| if rest == "rest" { Some(0) } else { rest.strip_prefix("rest-")?.parse().ok() };
        let mut rests: Vec<_> = names.iter().filter_map(|rest| Some((number(rest)?, history.join(rest)))).collect();
        rests.sort();
        Ok(rests)
    }

    /// Takes a deleted agent's folder out of sight, whole, beside those of earlier deletions.
    fn put_away(&self, name: &AgentName) -> Result<(), StoreError> {
        let folder = self.agent(name);
        let moved = (|| {
            let next = self.rests(name)?.last().map_or(1, |(last, _)| last + 1);
            self.disk.rename(&folder, &self.history(name).join(format!("rest-{next}")))?;
            self.disk.sync_dir(&self.history(name))?;
            self.disk.sync_dir(&self.root.join("agents"))
        })();
        moved.map_err(|error| io_error("remove", &folder, &error))
    }

    /// Keeps these files as a version, the newest; the oldest ones go.
    fn keep_version(&self, name: &AgentName, files: &Files) -> Result<(), StoreError> {
        let digest = files_digest(files);
        let mut kept = self.kept(name)?;
        let number = kept.last().map_or(1, |(_, version)| version.number + 1);
        let packed = AgentArchive { name: name.clone(), files: files.clone() }.write();
        let packed = packed.map_err(|error| refused(name.as_str(), error.to_string()))?;
        self.write(&self.history(name).join(format!("{number:06}-{digest}.tar")), &packed)?;
        let (twice, mut others): (Vec<_>, Vec<_>) = kept.drain(..).partition(|(_, version)| version.digest == digest);
        let many = (others.len() + 1).saturating_sub(VERSIONS);
        for (path, _) in twice.into_iter().chain(others.drain(..many)) {
            self.disk.remove(&path).map_err(|error| io_error("remove", &path, &error))?;
        }
        Ok(())
    }

    /// Returns what is kept, oldest first, and where.
    fn kept(&self, name: &AgentName) -> Result<Vec<(PathBuf, Version)>, StoreError> {
        let folder = self.history(name);
        let version = |file: String| {
            let (number, digest) = file.strip_suffix(".tar")?.split_once('-')?;
            let (number, digest) = (number.parse().ok()?, Digest::parse(digest)?);
            let path = folder.join(&file);
            let micros = |meta: std::fs::Metadata| meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1_000;
            let kept_at = std::fs::metadata(&path).ok().map(|meta| Timestamp::from_micros(micros(meta)));
            Some((path, Version { number, digest, kept_at }))
        };
        let mut kept: Vec<_> = self.listed(&folder)?.into_iter().filter_map(version).collect();
        kept.sort_by_key(|(_, version)| version.number);
        Ok(kept)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = path.parent().unwrap_or(&self.root);
        let written = self.disk.make_dir(folder).and_then(|()| replace(&*self.disk, path, bytes));
        let above = [self.root.join("agents"), self.root.join("agents").join(".versions")];
        let synced = written.and_then(|()| above.iter().try_for_each(|folder| self.disk.sync_dir(folder)));
        synced.map_err(|error| io_error("write", path, &error))
    }

    fn unpack(&self, path: &Path) -> Result<Files, StoreError> {
        let bytes = read_all(&*self.disk, path, VERSION_BYTES).map_err(|error| io_error("read", path, &error))?;
        let read = AgentArchive::read(&bytes).map(|archive| archive.files);
        read.map_err(|error| StoreError::Io { what: format!("read {}", path.display()), why: error.to_string() })
    }

    /// Returns an agent's files: path relative to its folder, and where it lies. Links are not followed. What an agent
    /// remembers is not what it is: `memory/` is left out.
    fn walk(&self, name: &str) -> Result<Option<Vec<(String, PathBuf)>>, StoreError> {
        let root = self.root.join("agents").join(name);
        if name.parse::<AgentName>().is_err() || !is_folder(&root) {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|error| io_error("read", &folder, &error))?;
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                let Ok(relative) = path.strip_prefix(&root).map(|path| path.to_string_lossy().into_owned()) else {
                    continue;
                };
                let kind = entry.file_type().map_err(|error| io_error("read", &path, &error))?;
                if kind.is_dir() && relative != "memory" && relative.split('/').count() < 8 {
                    folders.push(path);
                } else if kind.is_file() && found.len() < FILES {
                    found.push((relative, path));
                }
            }
        }
        let policy = self.root.join("policy.yaml");
        if policy.is_file() {
            found.push((WORKSPACE_POLICY.to_owned(), policy));
        }
        found.extend(shared(&self.root));
        found.sort();
        Ok(Some(found))
    }
}

/// Returns what a workspace gives to all its agents: `directives/*.md` and all below `skills/`, by their paths from an agent's
/// folder. Links are not followed; what is too large, too deep or too much is left out.
fn shared(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![(root.join("directives"), SHARED_DEPTH), (root.join("skills"), 0)];
    folders.retain(|(folder, _)| is_folder(folder));
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let Some(relative) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            if meta.is_dir() && depth < SHARED_DEPTH {
                folders.push((path, depth + 1));
            } else if meta.is_file() && meta.len() <= FILE_BYTES as u64 && found.len() < FILES {
                found.push((format!("{WORKSPACE}{relative}"), path));
            }
        }
    }
    found
}

fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}
