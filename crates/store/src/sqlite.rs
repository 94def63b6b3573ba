//! A SQLite file that may be lost: opened, made where it is missing, or found unfit and set aside.
//!
//! Invariants: a file that is not ours, of another version, or damaged is never mended; what is deleted from one is
//! overwritten. A crash of the process loses nothing written; a power cut may, where the file has a log, back to the last
//! checkpoint.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::StoreError;
use crate::files::fs::{Disk as _, RealDisk};

/// What a file of one kind is known by, and made of.
pub(crate) struct Kind {
    /// Four letters, so that a file that is not ours is known as such.
    pub(crate) application: i64,
    /// Of the schema.
    pub(crate) version: i64,
    pub(crate) schema: &'static str,
    pub(crate) cache_kib: u32,
    pub(crate) after_crash: AfterCrash,
    pub(crate) writes: Writes,
}

/// How changes come to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Through a log beside it: small changes that come often are quick, and each page is written twice.
    Log,
    /// At once, with the earlier state of changed pages beside it until all is there: large changes that come seldom add
    /// pages more than they change them.
    Once,
}

impl Writes {
    fn mode(self) -> &'static str {
        match self {
            Self::Log => "WAL",
            // Pages stay in memory until the change is whole: one that is written before may be written again.
            Self::Once => "DELETE; PRAGMA cache_spill = OFF",
        }
    }
}

/// What is done with a file whose last writer died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCrash {
    /// It is read through, for damage.
    Check,
    /// Damage is found where it is met: the file is large, and what it says can be made again at any time.
    Trust,
}

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not ours, or damaged.
    #[error("not usable: {0}")]
    Unfit(String),
    /// The disk is full.
    #[error("no space left")]
    NoSpace,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            Self::Unfit(error.to_string())
        } else if matches!(code, Some(ErrorCode::DiskFull)) {
            Self::NoSpace
        } else {
            Self::Other(error.to_string())
        }
    }
}

impl FileError {
    /// Says of which file it is, and what becomes of an unfit one.
    pub(crate) fn of(self, what: &str, then: &str) -> StoreError {
        let what = what.to_owned();
        match self {
            Self::NoSpace => StoreError::NoSpace,
            Self::Unfit(why) => StoreError::Io { what, why: format!("{why}; it was set aside, and {then}") },
            Self::Other(why) => StoreError::Io { what, why },
        }
    }
}

/// How much a checkpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// Makes everything written durable.
    Full,
    /// Leaves the log empty, too, so that it holds no earlier state of the file.
    Truncate,
}

/// Opens the file, made where it is missing.
pub(crate) fn open(path: &Path, kind: &Kind) -> Result<Connection, FileError> {
    // A log that is still there was not closed: whoever wrote it may have died at anything.
    let unclean = RealDisk.identity(&beside(path, "-wal")).is_ok();
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let fresh = application == 0 && version == 0 && tables == 0;
    if !fresh && (application, version) != (kind.application, kind.version) {
        return Err(FileError::Unfit(format!("application {application:#x}, version {version}")));
    }
    if !fresh && unclean && kind.after_crash == AfterCrash::Check {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(FileError::Unfit(verdict));
        }
    }
    let (cache, mode) = (kind.cache_kib, kind.writes.mode());
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = {mode}; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{cache}; PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 4194304; PRAGMA secure_delete = ON;"
    ))?;
    if fresh {
        let Kind { application, version, schema, .. } = kind;
        connection.execute_batch(&format!(
            "BEGIN; PRAGMA application_id = {application}; PRAGMA user_version = {version}; {schema} COMMIT;"
        ))?;
    }
    Ok(connection)
}

/// Brings what the log has to the file.
pub(crate) fn checkpoint(connection: &Connection, how: Checkpoint) -> Result<(), FileError> {
    let sql = match how {
        Checkpoint::Full => "PRAGMA wal_checkpoint(FULL)",
        Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let busy: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err(FileError::Other("another program reads it: not synced".to_owned())) }
}

/// Says whether the file is still where it was opened.
pub(crate) fn is_there(path: &Path) -> bool {
    RealDisk.identity(path).is_ok()
}

/// Writes an open file anew whose name was taken away, and opens that.
pub(crate) fn restore(connection: &mut Connection, path: &Path, kind: &Kind) -> Result<(), FileError> {
    let new = beside(path, NEW);
    RealDisk.remove(&new).ok();
    let name = new.to_str().ok_or_else(|| FileError::Other("its path is not UTF-8".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    // Closed before the new one is there: it removes its logs by their names.
    drop(std::mem::replace(connection, Connection::open_in_memory()?));
    drop_logs(path);
    RealDisk.rename(&new, path).map_err(|error| FileError::Unfit(error.to_string()))?;
    *connection = open(path, kind).map_err(|error| FileError::Unfit(error.to_string()))?;
    Ok(())
}

/// Returns where a file is that was moved out of the way.
pub(crate) fn set_aside_at(path: &Path) -> PathBuf {
    beside(path, DAMAGED)
}

/// Moves the file out of the way, over what was moved there before.
pub(crate) fn set_aside(path: &Path) {
    drop_logs(path);
    let moved = RealDisk.rename(path, &beside(path, DAMAGED));
    if moved.is_err() {
        RealDisk.remove(path).ok();
    }
}

/// Removes the file, for good.
pub(crate) fn remove(path: &Path) {
    drop_logs(path);
    RealDisk.remove(path).ok();
}

/// Removes a file that was set aside, and one that was to be written anew when the process died.
pub(crate) fn drop_set_aside(path: &Path) -> Result<(), StoreError> {
    for suffix in [DAMAGED, NEW] {
        let path = beside(path, suffix);
        match RealDisk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::Io { what: format!("remove {}", path.display()), why: error.to_string() });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// What a file's name ends with that is being written anew.
const NEW: &str = ".new";
/// What a file's name ends with that was set aside.
const DAMAGED: &str = ".damaged";

/// Without their file they are nothing.
fn drop_logs(path: &Path) {
    for suffix in ["-wal", "-shm", "-journal"] {
        RealDisk.remove(&beside(path, suffix)).ok();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
