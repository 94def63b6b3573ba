//! The files of what is remembered that a person may edit: read in bounds, written whole, never outside their folders.
//!
//! Invariants: no link is followed, neither as a file nor as a folder on the way to one; what is no plain file is not read; of
//! a file no more than [`PAGE_BYTES`] is read to be shown; whoever reads sees a file as it was before a change or after it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use outlive_core::id::AgentName;
use outlive_core::memory::{DAYS, PAGE_BYTES, Page, TOPICS, WRITTEN_BYTES, Written};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::StoreError;

/// The files of what is remembered.
pub trait MemoryFiles: Send + Sync {
    /// Returns which files an agent may see: its curated one, its newest days, newest first, and the topics that all share.
    fn pages(&self, agent: &AgentName) -> Result<Vec<Page>, StoreError>;

    /// Reads a file's beginning; `None` where there is none.
    fn read(&self, agent: &AgentName, page: &Page) -> Result<Option<Written>, StoreError>;

    /// Reads a piece of a file from this byte on, and how long the whole is; `None` where there is none.
    fn piece(&self, agent: &AgentName, page: &Page, from: u64) -> Result<Option<(Vec<u8>, u64)>, StoreError>;

    /// Puts what is made of a file's text in its place, all of it or nothing, while nobody else changes it; says whether
    /// anything was to be put there. A file that is not there has no text.
    fn change(&self, agent: &AgentName, page: &Page, make: &Making<'_>) -> Result<bool, StoreError>;

    /// Adds lines at the end of a file, which is made where there is none.
    fn append(&self, agent: &AgentName, page: &Page, text: &str) -> Result<(), StoreError> {
        self.change(agent, page, &|before| Ok(Some(added(before, text)))).map(drop)
    }

    /// Adds lines as [`MemoryFiles::append`] does, unless the file has the mark in it already: `marked` is the
    /// mark and the text. Says whether they were added.
    fn append_once(&self, agent: &AgentName, page: &Page, (mark, text): (&str, &str)) -> Result<bool, StoreError> {
        self.change(agent, page, &|before| Ok((!before.contains(mark)).then(|| added(before, text))))
    }

    /// Puts a text in the place of a file's.
    fn replace(&self, agent: &AgentName, page: &Page, text: &str) -> Result<(), StoreError> {
        self.change(agent, page, &|_| Ok(Some(text.to_owned()))).map(drop)
    }

    /// Reads all that an agent may see. What cannot be read now is left out, and said.
    fn all(&self, agent: &AgentName) -> (Vec<Written>, Vec<String>) {
        let (mut found, mut warnings) = (Vec::new(), Vec::new());
        let pages = self.pages(agent).unwrap_or_else(|error| {
            warnings.push(format!("days and topics of the memory are not shown: {error}"));
            vec![Page::Curated]
        });
        for page in pages {
            match self.read(agent, &page) {
                Ok(written) => found.extend(written),
                Err(error) => warnings.push(format!("`{page}` of the memory is not shown: {error}")),
            }
        }
        warnings.extend(found.iter().filter_map(Written::warning));
        (found, warnings)
    }
}

fn refused(page: &Page, why: impl Into<String>) -> StoreError {
    StoreError::Refused { what: format!("memory file `{page}`"), why: why.into() }
}

/// Makes a file's text of what it was; nothing where it is to stay so, or why it cannot be.
pub type Making<'a> = dyn Fn(&str) -> Result<Option<String>, String> + 'a;

/// Returns what a file is after something was added to it.
fn added(before: &str, text: &str) -> String {
    let join = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{before}{join}{text}{end}")
}

/// Returns what a file of these bytes is to be; `None` where it is to stay.
fn made(page: &Page, before: Vec<u8>, make: &Making<'_>) -> Result<Option<String>, StoreError> {
    if before.len() > WRITTEN_BYTES {
        return Err(refused(page, format!("it has more than {WRITTEN_BYTES} bytes; make it shorter first")));
    }
    let before = String::from_utf8(before).map_err(|_| refused(page, "it is not UTF-8: it is not changed"))?;
    let made = make(&before).map_err(|why| refused(page, why))?;
    made.filter(|text| *text != before).map(|text| fitting(page, text)).transpose()
}

fn fitting(page: &Page, text: String) -> Result<String, StoreError> {
    if text.len() <= WRITTEN_BYTES {
        return Ok(text);
    }
    Err(refused(page, format!("it would have {} bytes, of {WRITTEN_BYTES}; make it shorter first", text.len())))
}

/// Picks the files that are looked at, of those that are there.
fn looked_at(mut days: Vec<Page>, mut topics: Vec<Page>) -> Vec<Page> {
    days.sort_by(|one, next| next.cmp(one));
    days.truncate(DAYS);
    topics.sort();
    topics.truncate(TOPICS);
    [vec![Page::Curated], days, topics].concat()
}

/// Files below a workspace.
pub struct PlainMemory {
    root: PathBuf,
    /// Held by whoever changes a file.
    changing: Mutex<()>,
}

/// Times that a file is looked at again which somebody else changes meanwhile.
const TRIES: usize = 3;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe that somebody put there is not waited for.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const BESIDE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::TRUNC).union(OFlags::NOFOLLOW);

impl PlainMemory {
    /// Names those of a workspace.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self { root, changing: Mutex::default() }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the folder at these names, made where it is missing if so many of the last ones may be.
    fn folder(&self, names: &[String], made: usize) -> io::Result<OwnedFd> {
        // The workspace itself may be a link: whoever started it chose that.
        let root = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let mut folder = rustix::fs::open(&self.root, root, Mode::empty())?;
        let old = names.len().saturating_sub(made);
        for (name, place) in names.iter().zip(0..) {
            if place >= old {
                match rustix::fs::mkdirat(&folder, name.as_str(), Mode::RWXU) {
                    Ok(()) => rustix::fs::fsync(&folder)?,
                    Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            folder = rustix::fs::openat(&folder, name.as_str(), FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Reads the beginning of a file, and how long it is.
    fn head(&self, names: &[String], most: usize) -> io::Result<Option<(Vec<u8>, u64)>> {
        self.part(names, (0, most))
    }

    /// Reads at most so many bytes of a file from this one on, and how long it is.
    fn part(&self, names: &[String], (from, most): (u64, usize)) -> io::Result<Option<(Vec<u8>, u64)>> {
        let (name, folders) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let opened = self
            .folder(folders, 0)
            .and_then(|folder| Ok(rustix::fs::openat(&folder, name.as_str(), FILE, Mode::empty())?));
        let mut file = match opened {
            Ok(file) => File::from(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(io::Error::other("it is a link, and links are not followed"));
            }
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(most as u64).read_to_end(&mut part)?;
        let bytes = if part.is_empty() { found.len() } else { found.len().max(from + part.len() as u64) };
        Ok(Some((part, bytes)))
    }

    /// Says whether it is there: not where it is something else by now than what it was made of.
    fn put(&self, agent: &AgentName, page: &Page, (text, is_same): (&str, &dyn Fn() -> bool)) -> io::Result<bool> {
        let names = page.place(agent);
        let (name, folders) = names.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        // Agents are made elsewhere.
        let made = folders.len() - if matches!(page, Page::World(_)) { 0 } else { 2 };
        let folder = self.folder(folders, made)?;
        let beside = format!(".{name}.new");
        let mut file = File::from(rustix::fs::openat(&folder, beside.as_str(), BESIDE, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let put = written.and_then(|()| {
            let is_same = is_same();
            if is_same {
                rustix::fs::renameat(&folder, beside.as_str(), &folder, name.as_str())?;
            }
            Ok(is_same)
        });
        if !matches!(put, Ok(true)) {
            // On a full disk it is in the way.
            rustix::fs::unlinkat(&folder, beside.as_str(), AtFlags::empty()).ok();
        }
        put.and_then(|put| rustix::fs::fsync(&folder).map(|()| put).map_err(io::Error::from))
    }

    /// Returns the names of the pages in a folder.
    fn listed(&self, names: &[&str], page: impl Fn(&str) -> Option<Page>) -> io::Result<Vec<Page>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let folder = match self.folder(&names, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            found.extend(entry.file_name().to_str().ok().and_then(|name| page(name.strip_suffix(".md")?)));
        }
        Ok(found)
    }
}

fn failed(page: &Page, error: &io::Error) -> StoreError {
    if crate::files::fs::is_full(error) {
        return StoreError::NoSpace;
    }
    StoreError::Io { what: format!("memory file `{page}`"), why: error.to_string() }
}

impl MemoryFiles for PlainMemory {
    fn pages(&self, agent: &AgentName) -> Result<Vec<Page>, StoreError> {
        let days = self.listed(&["agents", agent.as_str(), "memory", "daily"], |name| name.parse().ok().map(Page::Day));
        let topics = self.listed(&["memory", "world"], |name| name.parse().ok().map(Page::World));
        let broken = |error: io::Error| StoreError::Io { what: "list memory files".to_owned(), why: error.to_string() };
        Ok(looked_at(days.map_err(broken)?, topics.map_err(broken)?))
    }

    fn read(&self, agent: &AgentName, page: &Page) -> Result<Option<Written>, StoreError> {
        let head = self.head(&page.place(agent), PAGE_BYTES).map_err(|error| failed(page, &error))?;
        Ok(head.map(|(head, bytes)| Written::of(page.clone(), head, bytes)))
    }

    fn piece(&self, agent: &AgentName, page: &Page, from: u64) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        self.part(&page.place(agent), (from, PAGE_BYTES)).map_err(|error| failed(page, &error))
    }

    fn change(&self, agent: &AgentName, page: &Page, make: &Making<'_>) -> Result<bool, StoreError> {
        let _alone = self.changing();
        let read = || self.head(&page.place(agent), WRITTEN_BYTES + 1).map_err(|error| failed(page, &error));
        for _ in 0..TRIES {
            let before = read()?;
            let Some(text) = made(page, before.clone().unwrap_or_default().0, make)? else { return Ok(false) };
            // A person may have saved it meanwhile.
            let is_same = || read().is_ok_and(|now| now == before);
            if self.put(agent, page, (&text, &is_same)).map_err(|error| failed(page, &error))? {
                return Ok(true);
            }
        }
        Err(refused(page, "somebody else changes it all the time; try again"))
    }
}

/// Files that are only held in memory, for tests.
#[derive(Default)]
pub struct HeldMemory(Mutex<BTreeMap<Vec<String>, (Page, String)>>);

impl HeldMemory {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, (Page, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryFiles for HeldMemory {
    fn pages(&self, agent: &AgentName) -> Result<Vec<Page>, StoreError> {
        let held = self.held();
        let seen =
            held.iter().filter(|(place, (page, _))| **place == page.place(agent)).map(|(_, (page, _))| page.clone());
        let (days, others): (Vec<Page>, Vec<Page>) = seen.partition(|page| matches!(page, Page::Day(_)));
        Ok(looked_at(days, others.into_iter().filter(|page| *page != Page::Curated).collect()))
    }

    fn read(&self, agent: &AgentName, page: &Page) -> Result<Option<Written>, StoreError> {
        let held = self.held();
        let text = held.get(&page.place(agent)).map(|(_, text)| text.as_bytes());
        let head = |text: &[u8]| text.get(..text.len().min(PAGE_BYTES)).unwrap_or_default().to_vec();
        Ok(text.map(|text| Written::of(page.clone(), head(text), text.len() as u64)))
    }

    fn piece(&self, agent: &AgentName, page: &Page, from: u64) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let held = self.held();
        let Some((_, text)) = held.get(&page.place(agent)) else { return Ok(None) };
        let rest = text.as_bytes().get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(Some((rest.get(..rest.len().min(PAGE_BYTES)).unwrap_or_default().to_vec(), text.len() as u64)))
    }

    fn change(&self, agent: &AgentName, page: &Page, make: &Making<'_>) -> Result<bool, StoreError> {
        let mut held = self.held();
        let before = held.get(&page.place(agent)).map(|(_, text)| text.clone().into_bytes()).unwrap_or_default();
        let Some(text) = made(page, before, make)? else { return Ok(false) };
        held.insert(page.place(agent), (page.clone(), text));
        Ok(true)
    }
}
