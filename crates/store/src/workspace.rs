//! A workspace on plain files, whole: who owns it, its journals, and all that lies beside them.
//!
//! Invariant: an append is announced to the list before it is written, so that no event stays outside the list because
//! its writer went away.

mod answers;
mod fresh;
mod owed;
mod scrub;
mod sweep;
mod trash;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use futures_util::FutureExt as _;
use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};

use crate::files::beside::Beside;
use crate::files::fs::{Disk, RealDisk};
use crate::files::lock::Lock;
use crate::files::schedules::ScheduleFiles;
use crate::files::{FileJournals, Recovery};
use crate::follow::Truth;
use crate::index::{Log, SqliteIndex};
use crate::memories::Memories;
use crate::search::Words;
use crate::{
    Append, Epoch, House, Index, Journals, ListQuery, Opened, Pending, Row, Snapshots, Stop, StopFile, Stops as _,
    Store, StoreError, WaitQuery, WaitRow,
};
use answers::Answered;
use fresh::{Fresh, Noted};
use trash::Bin;

pub use crate::files::{OpenError, Options};

const FOLDERS: [&str; 8] = ["agents", "artifacts", "audit", "commit", "run", "schedules", "sessions", "trash"];

/// Makes a workspace's folders where they are missing, for their owner alone.
///
/// # Errors
///
/// What the system says.
pub fn make(root: &Path) -> io::Result<()> {
    for folder in FOLDERS {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(folder))?;
    }
    Ok(())
}

/// Returns the sessions that are being deleted for good and not gone yet, of a workspace that need not be open.
///
/// # Errors
///
/// What the system says.
pub fn unfinished(root: &Path) -> io::Result<Vec<SessionId>> {
    let names = match RealDisk.list(&root.join("trash")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    Ok(names.iter().filter_map(|name| name.strip_suffix(".gone")?.parse().ok()).collect())
}

/// Stops a workspace that no process has open: it is stopped from its next start on. Returns its lock: while that is held,
/// nobody opens it.
///
/// # Errors
///
/// [`OpenError`]: a process has it open, or what the system says.
pub fn stop(root: &Path, stop: &Stop) -> Result<Lock, OpenError> {
    make(root)?;
    let lock = Lock::take(&root.join("run"))?;
    StopFile::of(root).stop(stop).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(lock)
}

/// An open workspace. Dropped, it closes.
pub struct Workspace {
    root: PathBuf,
    journals: Arc<FileJournals>,
    index: Arc<SqliteIndex>,
    words: Arc<Words>,
    memories: Arc<Memories>,
}

/// Opens a workspace, made where it is missing: takes its lock, and brings its journals up to what was acknowledged.
///
/// # Errors
///
/// [`OpenError`]
pub fn open(root: &Path, options: Options) -> Result<(Store, Workspace), OpenError> {
    open_on(Arc::new(RealDisk), root, options)
}

/// Opens a workspace on a disk of the caller's.
///
/// # Errors
///
/// [`OpenError`]
pub fn open_on(disk: Arc<dyn Disk>, root: &Path, options: Options) -> Result<(Store, Workspace), OpenError> {
    make(root)?;
    // The list comes after the journals, which tell it when the log lets go of what it held.
    let told: Arc<OnceLock<Weak<SqliteIndex>>> = Arc::default();
    let teller = Arc::clone(&told);
    let checkpointed = Box::new(move |position| {
        let index = teller.get().and_then(Weak::upgrade);
        if let Some(Err(error)) = index.map(|index| index.applied(position)) {
            tracing::warn!(%error, "list not brought up to date: the next start rebuilds it unless this succeeds later");
        }
    });
    let journals = FileJournals::open(root, Arc::clone(&disk), options, checkpointed)?;
    let recovery = journals.recovery();
    let log = Log { position: journals.position(), frames: recovery.frames, touched: recovery.touched.clone() };
    let index = SqliteIndex::open(&root.join("index.db"), Arc::clone(&journals), log);
    let index = index.map_err(|error| io::Error::other(error.to_string()))?;
    // What the log had is unsettled until a row covers it, however soon the log lets go of it.
    for session in &recovery.touched {
        if let Some(Ok(head)) = journals.head(*session).now_or_never() {
            index.announce(*session, head);
        }
    }
    told.set(Arc::downgrade(&index)).ok();
    let words = Words::open(&root.join("search.db"), truth(&journals, &index));
    let words = Arc::new(words.map_err(|error| io::Error::other(error.to_string()))?);
    let memories = Memories::open(&root.join("memory.db"), truth(&journals, &index));
    let memories = Arc::new(memories.map_err(|error| io::Error::other(error.to_string()))?);
    let listed =
        Arc::new(Followed { memories: Arc::clone(&memories), index: Arc::clone(&index), words: Arc::clone(&words) });
    let beside = Arc::new(Beside { root: root.to_owned(), disk: Arc::clone(&disk) });
    beside.go_on_with_all().map_err(|error| io::Error::other(error.to_string()))?;
    let fresh = Arc::<Fresh>::default();
    let stops = StopFile::on(Arc::clone(&disk), root);
    let schedules = ScheduleFiles::open(Arc::clone(&disk), root)?;
    let answered = Answered { root: root.to_owned(), disk: Arc::clone(&disk), busy: Mutex::default() };
    let bin = Arc::new(Bin {
        root: root.to_owned(),
        disk,
        journals: Arc::clone(&journals),
        listed: Arc::clone(&listed),
        fresh: Arc::clone(&fresh),
        busy: tokio::sync::Mutex::default(),
        owed: owed::Owed::default(),
    });
    if bin.is_owed() {
        bin.owed.failed();
    }
    let store = Store {
        journals: Arc::new(Announced {
            journals: Arc::clone(&journals),
            listed: Arc::clone(&listed),
            fresh: Arc::clone(&fresh),
            bin: Arc::clone(&bin),
        }),
        directory: journals.clone(),
        leases: journals.clone(),
        snapshots: Arc::new(Beheld { snapshots: beside.clone(), journals: Arc::clone(&journals) }),
        artifacts: Arc::new(Noted { artifacts: beside.clone(), fresh }),
        index: listed,
        search: words.clone(),
        memories: memories.clone(),
        trash: Arc::new(bin),
        house: House { answers: Arc::new(answered), stops: Arc::new(stops), schedules: Arc::new(schedules) },
        agents: beside,
    };
    Ok((store, Workspace { root: root.to_owned(), journals, index, words, memories }))
}

/// Returns what files that follow the journals are made of.
fn truth(journals: &Arc<FileJournals>, index: &Arc<SqliteIndex>) -> Truth {
    let (journals, index) = (Arc::downgrade(journals), Arc::downgrade(index));
    let closed = || StoreError::Poisoned("the store is closed".to_owned());
    Truth {
        read: Box::new(move |session, after, limit| journals.upgrade().ok_or_else(closed)?.look(session, after, limit)),
        listed: Box::new(move || index.upgrade().ok_or_else(closed)?.heads()),
    }
}

impl Workspace {
    /// Returns where it lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what the start found.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.journals.recovery()
    }

    /// Returns this process's epoch: every start has a higher one.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.journals.lock().epoch()
    }

    /// Writes into the lock where the owner listens, for whoever is refused.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set_address(&self, address: &str) -> io::Result<()> {
        self.journals.lock().set_address(address)
    }

    /// Brings everything to the files, so that the next start need not replay. Nothing is written or listed from here on;
    /// journals can still be read. Blocks. The lock is free once the store is dropped, too.
    pub fn close(&self) {
        self.words.close();
        self.memories.close();
        self.journals.close();
        self.index.close();
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.close();
    }
}

/// Journals whose appends are announced to the list.
struct Announced {
    journals: Arc<FileJournals>,
    listed: Arc<Followed>,
    fresh: Arc<Fresh>,
    bin: Arc<Bin>,
}

impl Journals for Announced {
    fn append(&self, append: Append) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let journal = append.journal;
            let head = append.expected + append.lines.len() as Seq;
            let before = self.listed.index.announce(journal, head);
            let bytes = append.lines.iter().map(|line| line.as_str().len()).sum();
            let done = match self.fresh.naming(&append) {
                Ok(naming) => self.journals.append(append).await.map(|()| naming.settle()),
                Err(error) => Err(error),
            };
            if done.is_ok() {
                self.listed.words.grew(bytes);
                self.listed.memories.grew(bytes);
            }
            if done.is_ok() && self.bin.owed.is_due() {
                self.bin.go_on();
            }
            if done.as_ref().is_err_and(|error| error.class() != crate::Class::Lost) {
                self.listed.index.retract(journal, before);
            }
            done
        })
    }

    fn read(&self, journal: SessionId, after: Seq, limit: usize) -> Pending<'_, Result<Opened, StoreError>> {
        self.journals.read(journal, after, limit)
    }

    fn head(&self, journal: SessionId) -> Pending<'_, Result<Seq, StoreError>> {
        self.journals.head(journal)
    }

    fn health(&self) -> Result<(), StoreError> {
        self.journals.health()
    }

    fn syncs(&self) -> u64 {
        self.journals.syncs()
    }

    fn scrub(&self, journal: SessionId, epoch: Epoch, lines: Vec<Line>) -> Pending<'_, Result<(), StoreError>> {
        self.bin.whole(async move |bin| bin.scrub(journal, epoch, lines).await)
    }

    fn remove(&self, journal: SessionId) -> Pending<'_, Result<(), StoreError>> {
        self.bin.whole(async move |bin| bin.erase_all(vec![journal], None).await)
    }
}

/// Snapshots of journals that are there: none is written beside one that is gone.
struct Beheld {
    snapshots: Arc<Beside>,
    journals: Arc<FileJournals>,
}

impl Snapshots for Beheld {
    fn put(&self, journal: SessionId, text: String) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.journals.beside(journal, || self.snapshots.write_snapshot(journal, &text)) })
    }

    fn get(&self, journal: SessionId) -> Pending<'_, Result<Option<String>, StoreError>> {
        self.snapshots.get(journal)
    }
}

/// The list, whose rows say to what follows the journals how far these have come.
struct Followed {
    index: Arc<SqliteIndex>,
    words: Arc<Words>,
    memories: Arc<Memories>,
}

impl Followed {
    /// Says that a session's journal has come to this head.
    fn tell(&self, session: SessionId, head: Seq) {
        self.words.tell(session, head);
        self.memories.tell(session, head);
    }

    /// Takes a session out of what follows the journals: nothing of it is left there.
    async fn take_out(&self, session: SessionId) -> Result<(), StoreError> {
        self.words.erase(session).await.and(self.memories.erase(session).await)
    }
}

impl Index for Followed {
    fn note(&self, row: Row) {
        let (session, head) = (row.session, row.head);
        self.index.note(row);
        self.tell(session, head);
    }

    fn forget(&self, session: SessionId) {
        self.index.forget(session);
    }

    fn list(&self, query: ListQuery) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        self.index.list(query)
    }

    fn rows(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Row>, StoreError>> {
        self.index.rows(sessions)
    }

    fn waits(&self, query: WaitQuery) -> Pending<'_, Result<Vec<WaitRow>, StoreError>> {
        self.index.waits(query)
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<SessionId>, StoreError>> {
        self.index.unsettled()
    }

    fn needs_rebuild(&self) -> bool {
        self.index.needs_rebuild()
    }

    fn rebuild(&self, rows: Vec<Row>) -> Pending<'_, Result<(), StoreError>> {
        self.index.rebuild(rows)
    }
}
