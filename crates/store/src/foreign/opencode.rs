//! OpenCode's sessions: in a file for each record, and since 2026 in a database, whose rows are the same records. What is in
//! both is read from the database, which goes on from the files.
//!
//! A database in use cannot be read without writing beside it, so a copy of it is read. It and its logs are read twice: what
//! was the same both times was so at one moment in between, as a crash at that moment would have left it.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::import::{Damage, Read, opencode};
use outlive_core::limits::RECORD_BYTES;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::walk::{self, shown};
use super::{Body, Found, Unit};

/// Bytes of a database, with its log, that is copied to be read.
const DATABASE_BYTES: u64 = 8 << 30;
/// The files of a database: itself, and its log of either kind.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];
/// How often it is copied at most until it did not change meanwhile.
const TRIES: usize = 50;
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// One session.
#[derive(Debug)]
pub(super) enum Session {
    Files { storage: PathBuf, about: PathBuf, id: String },
    Rows { database: Arc<Copied>, id: String },
}

/// A copy of a database; gone with its last session.
#[derive(Debug)]
pub(super) struct Copied {
    folder: tempfile::TempDir,
}

pub(super) fn find(path: &Path, scratch: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut known = BTreeSet::new();
    let database = if path.is_file() { path.to_owned() } else { path.join("opencode.db") };
    if database.is_file() {
        match rows(&database, scratch) {
            Ok((database, ids)) => {
                for id in ids {
                    let database = Arc::clone(&database);
                    let shown = format!("opencode.db, session {id}");
                    known.insert(id.clone());
                    found.units.push(Unit { shown, body: Body::Opencode(Session::Rows { database, id }) });
                }
            }
            Err(why) => found.skipped.push(Damage { file: "opencode.db".to_owned(), line: 0, reason: why }),
        }
    }
    let inner = path.join("storage");
    let storage = if walk::is_plain_folder(&inner) { inner } else { path.to_owned() };
    let sessions = storage.join("session");
    if !walk::is_plain_folder(&sessions) {
        return Ok(found);
    }
    let walked = walk::walk(&sessions)?;
    found.skipped.extend(walked.skipped);
    for file in walked.files {
        let id = file.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_json = file.path.extension().is_some_and(|extension| extension == "json");
        // What is in the database went there from the files, and goes on there.
        if is_json && known.insert(id.clone()) {
            let shown = shown(&storage, &file.path);
            let session = Session::Files { storage: storage.clone(), about: file.path, id };
            found.units.push(Unit { shown, body: Body::Opencode(session) });
        }
    }
    Ok(found)
}

impl Session {
    pub(super) fn read(&self) -> io::Result<Option<Read>> {
        match self {
            Self::Files { storage, about, id } => files(storage, about, id),
            Self::Rows { database, id } => database.read(id).map_err(|error| io::Error::other(error.to_string())),
        }
    }
}

fn files(storage: &Path, about: &Path, id: &str) -> io::Result<Option<Read>> {
    let mut reader = opencode::Reader::new(id);
    let mut messages = Vec::new();
    each(storage, about, &mut reader, |reader, file, bytes| reader.session(file, bytes));
    for path in listed(&storage.join("message").join(id))? {
        let message = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        each(storage, &path, &mut reader, |reader, file, bytes| reader.message(file, &message, bytes));
        messages.push(message);
    }
    for message in messages {
        for path in listed(&storage.join("part").join(&message))? {
            let part = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            each(storage, &path, &mut reader, |reader, file, bytes| reader.part(file, (&message, &part), bytes));
        }
    }
    Ok(reader.finish())
}

/// The JSON files of a folder, sorted; none where there is no such folder.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !walk::is_plain_folder(folder) {
        return Ok(Vec::new());
    }
    let walked = walk::walk(folder)?;
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    Ok(walked.files.into_iter().map(|file| file.path).filter(is_json).collect())
}

fn each(storage: &Path, path: &Path, to: &mut opencode::Reader, read: impl FnOnce(&mut opencode::Reader, &str, &[u8])) {
    let shown = shown(storage, path);
    match walk::whole(path, RECORD_BYTES) {
        Ok(Some(bytes)) => read(to, &shown, &bytes),
        Ok(None) => to.unread(&shown, &format!("is longer than the {RECORD_BYTES} bytes that a record may have")),
        Err(error) => to.unread(&shown, &error.to_string()),
    }
}

/// Copies a database, and lists its sessions.
fn rows(path: &Path, scratch: &Path) -> Result<(Arc<Copied>, Vec<String>), String> {
    let copied = copy(path, scratch, |_part| {}).map_err(|error| format!("cannot be copied to be read: {error}"))?;
    let listed = copied.sessions().map_err(|error| format!("is not a database of OpenCode: {error}"))?;
    Ok((Arc::new(copied), listed))
}

/// Copies a database as it was at one moment; `between` is told each part once it was copied.
fn copy(path: &Path, scratch: &Path, mut between: impl FnMut(&str)) -> io::Result<Copied> {
    std::fs::DirBuilder::new().recursive(true).create(scratch)?;
    for _ in 0..TRIES {
        let folder = tempfile::TempDir::with_prefix_in("import-", scratch)?;
        let mut room = DATABASE_BYTES;
        for part in PARTS {
            copy_part(&beside(path, part), &folder.path().join(format!("copy.db{part}")), &mut room)?;
            between(part);
        }
        let is_same = |part| is_unchanged(&beside(path, part), &folder.path().join(format!("copy.db{part}")), part);
        if PARTS.into_iter().map(is_same).collect::<io::Result<Vec<_>>>()?.into_iter().all(|same| same) {
            return Ok(Copied { folder });
        }
    }
    Err(io::Error::other("it is being written all the time; try again when its program rests"))
}

fn beside(path: &Path, part: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(part);
    PathBuf::from(name)
}

/// Copies what a file has now. One that is not there makes none; the database itself must be.
fn copy_part(from: &Path, to: &Path, room: &mut u64) -> io::Result<()> {
    let is_log = to.extension().is_some_and(|extension| extension != "db");
    let (file, bytes) = match walk::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_log => return Ok(()),
        opened => opened?,
    };
    *room =
        room.checked_sub(bytes).ok_or_else(|| io::Error::other(format!("it has more than {DATABASE_BYTES} bytes")))?;
    let mut copy = std::fs::OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(&mut file.take(bytes), &mut copy).map(drop)
}

/// Says whether a file still has what was copied of it. A log that is written ahead may have more by now.
fn is_unchanged(path: &Path, copy: &Path, part: &str) -> io::Result<bool> {
    let (copy, length) = match walk::open(copy) {
        // What is not there has no say, whatever came since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    let (file, now) = match walk::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    if now < length || now > length && part != "-wal" {
        return Ok(false);
    }
    let (mut here, mut there, mut at) = (vec![0; PIECE], vec![0; PIECE], 0);
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(PIECE).min(PIECE);
        let pieces = here.get_mut(..wanted).zip(there.get_mut(..wanted));
        let Some((here, there)) = pieces else { return Ok(false) };
        match copy.read_exact_at(here, at).and_then(|()| file.read_exact_at(there, at)) {
            // Cut meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if here != there {
            return Ok(false);
        }
        at += wanted as u64;
    }
    Ok(true)
}

impl Copied {
    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.folder.path().join("copy.db"), flags)?;
        // What the file says of itself does nothing but be read.
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON")?;
        let plain = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('session', 'message', 'part') \
                     AND sql NOT LIKE 'CREATE VIRTUAL%'";
        let tables: i64 = connection.query_row(plain, [], |row| row.get(0))?;
        if tables == 3 { Ok(connection) } else { Err(rusqlite::Error::InvalidQuery) }
    }

    fn sessions(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.open()?;
        let mut query = connection.prepare("SELECT id FROM session ORDER BY id")?;
        query.query_map([], |row| row.get(0))?.collect()
    }

    fn read(&self, id: &str) -> rusqlite::Result<Option<Read>> {
        let connection = self.open()?;
        let mut reader = opencode::Reader::new(id);
        let about = connection.query_row("SELECT * FROM session WHERE id = ?1", [id], |row| Ok(about(row)))?;
        reader.session(&format!("opencode.db, session {id}"), about.to_string().as_bytes());
        let mut query = connection.prepare("SELECT id, id, data FROM message WHERE session_id = ?1 ORDER BY id")?;
        let mut found = query.query([id])?;
        while let Some(row) = found.next()? {
            tell(row, &mut reader, |reader, (_, id), file, data| reader.message(file, id, data))?;
        }
        let mut query =
            connection.prepare("SELECT message_id, id, data FROM part WHERE session_id = ?1 ORDER BY id")?;
        let mut found = query.query([id])?;
        while let Some(row) = found.next()? {
            tell(row, &mut reader, |reader, place, file, data| reader.part(file, place, data))?;
        }
        Ok(reader.finish())
    }
}

/// Hands a row's record to the reader.
fn tell(
    row: &Row<'_>,
    to: &mut opencode::Reader,
    read: impl FnOnce(&mut opencode::Reader, (&str, &str), &str, &[u8]),
) -> rusqlite::Result<()> {
    let (of, id): (String, String) = (row.get(0)?, row.get(1)?);
    let file = format!("opencode.db, record {id}");
    match row.get_ref(2)? {
        ValueRef::Text(data) | ValueRef::Blob(data) => read(to, (&of, &id), &file, data),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => to.unread(&file, "is not a text"),
    }
    Ok(())
}

/// The record about a session, as it would be in a file. A column that is not there is not known.
fn about(row: &Row<'_>) -> serde_json::Value {
    let text = |name: &str| row.get::<_, Option<String>>(name).ok().flatten();
    let number = |name: &str| row.get::<_, Option<i64>>(name).ok().flatten();
    let revert: Option<serde_json::Value> = text("revert").and_then(|revert| serde_json::from_str(&revert).ok());
    serde_json::json!({
        "title": text("title"),
        "directory": text("directory"),
        "parentID": text("parent_id"),
        "time": {"created": number("time_created")},
        "revert": revert,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(path: &Path) -> Connection {
        let database = Connection::open(path).unwrap();
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE session (id TEXT PRIMARY KEY, title TEXT);
                 CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, data TEXT);
                 CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT, session_id TEXT, data TEXT);
                 PRAGMA wal_checkpoint(TRUNCATE)",
            )
            .unwrap();
        database
    }

    fn insert(database: &Connection, id: &str) {
        database.execute("INSERT INTO session VALUES (?1, 't')", [id]).unwrap();
    }

    #[test]
    fn a_database_that_goes_on_while_it_is_copied_is_copied_as_it_was_at_one_moment() {
        let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = home.path().join("opencode.db");
        let writer = database(&path);
        insert(&writer, "a");
        let mut rounds = 0;
        let copied = copy(&path, scratch.path(), |part| {
            // What was in its log goes into the database that was copied already, and the log begins anew.
            if part.is_empty() && rounds < 3 {
                rounds += 1;
                insert(&writer, &format!("b{rounds}"));
                writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
                insert(&writer, &format!("c{rounds}"));
            }
        });
        let found = copied.unwrap().sessions().unwrap();
        assert_eq!(found, ["a", "b1", "b2", "b3", "c1", "c2", "c3"]);
        let mut n = 0;
        let never = copy(&path, scratch.path(), |_| {
            n += 1;
            insert(&writer, &format!("d{n}"));
            writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        });
        assert!(never.unwrap_err().to_string().contains("being written all the time"));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "copies are left");
    }

    #[test]
    fn what_comes_to_the_log_while_it_is_copied_keeps_no_copy_from_being_made() {
        let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = home.path().join("opencode.db");
        let writer = database(&path);
        insert(&writer, "a");
        let mut n = 0;
        let copied = copy(&path, scratch.path(), |_| {
            n += 1;
            insert(&writer, &format!("b{n}"));
        });
        let found = copied.unwrap().sessions().unwrap();
        assert_eq!((n, found), (3, vec!["a".to_owned(), "b1".to_owned()]));
    }
}
