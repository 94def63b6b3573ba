//! What is remembered as a SQLite file: what is written to it. Every call blocks.
//!
//! Invariants: a session's rows and its position change together; what is forgotten leaves the file with the change that
//! says so, and stays out whatever else names it; in whichever order journals are followed, the file says the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use outlive_core::event::{Line, Origin};
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::{Kind as MemoryKind, Priority, Scope};
use outlive_core::redact::is_forgotten;
use outlive_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::Author;
use super::news::{Fact, New, News};
use crate::StoreError;
use crate::follow::Kept;
use crate::search::prepared;
use crate::sqlite::{self, AfterCrash, FileError, Kind, Writes};

const KIND: Kind = Kind {
    application: 0x6f75_746d,
    version: 2,
    schema: SCHEMA,
    cache_kib: 16_384,
    after_crash: AfterCrash::Trust,
    writes: Writes::Once,
};

/// What a question looks through is in `rows`, which is small; what is shown is in `texts`. `taken` of a row says since when
/// another has its place. Both indexes of words are without a copy of the text: whoever takes one out says what it was. What
/// is deleted leaves them at once, not when they are merged.
const SCHEMA: &str = "
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, project TEXT, position INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE rows (
        key INTEGER PRIMARY KEY, session INTEGER NOT NULL, scope INTEGER NOT NULL, priority INTEGER NOT NULL,
        since INTEGER NOT NULL, until INTEGER, taken INTEGER, at INTEGER NOT NULL, seq INTEGER NOT NULL,
        memory TEXT NOT NULL, UNIQUE (memory, session)
    ) STRICT;
    CREATE INDEX rows_newest ON rows (at, memory);
    CREATE INDEX rows_session ON rows (session);
    CREATE TABLE texts (key INTEGER PRIMARY KEY, text TEXT NOT NULL, rest TEXT NOT NULL) STRICT;
    CREATE TABLE taken (
        old TEXT NOT NULL, new TEXT NOT NULL, session INTEGER NOT NULL, since INTEGER NOT NULL, scope INTEGER NOT NULL,
        PRIMARY KEY (old, new, session)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE edits (
        memory TEXT NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        by TEXT NOT NULL, PRIMARY KEY (memory, session, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE forgotten (
        memory TEXT NOT NULL, session INTEGER NOT NULL, PRIMARY KEY (memory, session)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE asked (session INTEGER NOT NULL, call TEXT NOT NULL, PRIMARY KEY (session, call)) STRICT, WITHOUT ROWID;
    CREATE TABLE uses (
        memory TEXT NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, call TEXT NOT NULL,
        PRIMARY KEY (memory, session, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE vectors (
        key INTEGER NOT NULL, model TEXT NOT NULL, dimensions INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (key, model)
    ) STRICT;
    CREATE VIRTUAL TABLE words USING fts5 (text, content = '', tokenize = 'porter unicode61 remove_diacritics 2');
    CREATE VIRTUAL TABLE parts USING fts5 (text, content = '', detail = none, tokenize = 'trigram');
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    INSERT INTO parts (parts, rank) VALUES ('secure-delete', 1);
";

/// Makes new segments of the indexes, whose pages are found by no word that has gone. Only of two segments a new one is made.
const RENEW: &str = "
    INSERT INTO words (rowid, text) VALUES (0, 'a'); INSERT INTO words (words) VALUES ('optimize');
    INSERT INTO words (words, rowid, text) VALUES ('delete', 0, 'a');
    INSERT INTO parts (rowid, text) VALUES (0, 'aaa'); INSERT INTO parts (parts) VALUES ('optimize');
    INSERT INTO parts (parts, rowid, text) VALUES ('delete', 0, 'aaa');
";

/// What is shown of a row and never looked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rest {
    pub(super) kind: MemoryKind,
    #[serde(default)]
    pub(super) sources: Vec<Seq>,
    #[serde(default)]
    pub(super) supersedes: Vec<MemoryId>,
    pub(super) by: Author,
    #[serde(default)]
    pub(super) edited: Option<(Timestamp, Origin)>,
}

pub(crate) struct Table {
    pub(super) connection: Connection,
    /// None in memory.
    path: Option<PathBuf>,
}

impl Table {
    /// Makes an empty one in memory.
    pub(crate) fn in_memory() -> Result<Self, FileError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection, path: None })
    }

    /// Takes out what was set aside, which may have what is forgotten.
    fn drop_set_aside(&self) -> Result<(), FileError> {
        let dropped = self.path.as_deref().map_or(Ok(()), sqlite::drop_set_aside);
        dropped.map_err(|error: StoreError| FileError::Other(error.to_string()))
    }
}

impl Kept for Table {
    const FILE: &'static str = "memory.db";
    type News = News;

    fn open(path: &Path) -> Result<Self, FileError> {
        let opened = match sqlite::open(path, &KIND) {
            Err(FileError::Unfit(why)) => {
                tracing::warn!(%why, "memory.db set aside: begun anew");
                sqlite::set_aside(path);
                sqlite::open(path, &KIND)
            }
            other => other,
        };
        Ok(Self { connection: opened?, path: Some(path.to_owned()) })
    }

    fn restore(&mut self, path: &Path) -> Result<(), FileError> {
        if sqlite::is_there(path) { Ok(()) } else { sqlite::restore(&mut self.connection, path, &KIND) }
    }

    fn positions(&self) -> Result<Vec<(SessionId, Seq)>, FileError> {
        let mut statement = self.connection.prepare("SELECT id, position FROM sessions")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let rows: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().filter_map(|(id, at)| Some((id.parse().ok()?, u64::try_from(at).ok()?))).collect())
    }

    fn position(&self, session: SessionId) -> Result<Seq, FileError> {
        position(&self.connection, session)
    }

    fn news(session: SessionId, after: Seq, lines: &[Line]) -> News {
        News::read(session, after, lines)
    }

    fn add(&mut self, news: &[News]) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        let mut adding = Adding { file: &transaction, forgot: false };
        for one in news {
            if position(&transaction, one.session)? == one.after {
                adding.session(one)?;
            }
        }
        let forgot = adding.forgot;
        if forgot {
            transaction.execute_batch(RENEW)?;
        }
        transaction.commit()?;
        if forgot { self.drop_set_aside() } else { Ok(()) }
    }

    fn erase(&mut self, session: SessionId) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        let key = "SELECT key FROM sessions WHERE id = ?1";
        let key: Option<i64> = transaction.query_row(key, [session.to_string()], |row| row.get(0)).optional()?;
        let Some(key) = key else { return Ok(()) };
        let rows = keys(&transaction, "SELECT key FROM rows WHERE session = ?1", params![key])?;
        for row in &rows {
            take_out(&transaction, *row)?;
        }
        let olds: BTreeSet<String> = {
            let mut statement = transaction.prepare("SELECT old FROM taken WHERE session = ?1")?;
            statement.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for table in ["taken", "edits", "forgotten", "asked", "uses"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE session = ?1"), [key])?;
        }
        for old in olds {
            mark_taken(&transaction, &old)?;
        }
        transaction.execute("DELETE FROM sessions WHERE key = ?1", [key])?;
        if !rows.is_empty() {
            transaction.execute_batch(RENEW)?;
        }
        Ok(transaction.commit()?)
    }
}

fn position(connection: &Connection, session: SessionId) -> Result<Seq, FileError> {
    let mut statement = connection.prepare("SELECT position FROM sessions WHERE id = ?1")?;
    let found: Option<i64> = statement.query_row([session.to_string()], |row| row.get(0)).optional()?;
    Ok(found.and_then(|at| u64::try_from(at).ok()).unwrap_or(0))
}

fn keys(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<i64>, FileError> {
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Takes a row out of everything.
fn take_out(file: &Transaction<'_>, key: i64) -> Result<(), FileError> {
    take_out_words(file, key)?;
    for table in ["vectors", "texts", "rows"] {
        file.execute(&format!("DELETE FROM {table} WHERE key = ?1"), [key])?;
    }
    Ok(())
}

/// Takes a row's words out of the indexes: they are told what it said.
fn take_out_words(file: &Transaction<'_>, key: i64) -> Result<(), FileError> {
    let said: Option<String> =
        file.query_row("SELECT text FROM texts WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    let Some(said) = said else { return Ok(()) };
    file.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?1, ?2)", params![key, prepared(&said)])?;
    file.execute("INSERT INTO parts (parts, rowid, text) VALUES ('delete', ?1, ?2)", params![key, said])?;
    Ok(())
}

fn add_words(file: &Transaction<'_>, key: i64, text: &str) -> Result<(), FileError> {
    file.prepare("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?.execute(params![key, prepared(text)])?;
    file.prepare("INSERT INTO parts (rowid, text) VALUES (?1, ?2)")?.execute(params![key, text])?;
    Ok(())
}

/// Notes at a row since when another has its place. What fewer may know, or another agent noted, takes it from nobody who knows it.
fn mark_taken(file: &Transaction<'_>, memory: &str) -> Result<(), FileError> {
    let sql = "UPDATE rows SET taken = (
            SELECT min(t.since) FROM taken AS t JOIN sessions AS theirs ON theirs.key = t.session
            JOIN sessions AS ours ON ours.key = rows.session
            WHERE t.old = ?1 AND t.scope >= rows.scope AND (t.scope = 3 OR theirs.agent = ours.agent)
        ) WHERE memory = ?1";
    file.prepare(sql)?.execute([memory])?;
    Ok(())
}

/// Adds what is new.
struct Adding<'a> {
    file: &'a Transaction<'a>,
    /// Whether something was forgotten or changed: its words are to leave the file.
    forgot: bool,
}

impl Adding<'_> {
    fn session(&mut self, news: &News) -> Result<(), FileError> {
        let (agent, project) = news.begun.clone().map_or((None, None), |(agent, project)| (Some(agent), project));
        let mut statement = self.file.prepare(
            "INSERT INTO sessions (id, agent, project, position) VALUES (?1, coalesce(?2, ''), ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET agent = coalesce(?2, agent), project = coalesce(?3, project), position = ?4
             RETURNING key",
        )?;
        let position = i64::try_from(news.position).unwrap_or(i64::MAX);
        let values = params![news.session.to_string(), agent, project, position];
        let session: i64 = statement.query_row(values, |row| row.get(0))?;
        news.facts.iter().try_for_each(|fact| self.fact(session, fact))
    }

    fn fact(&mut self, session: i64, fact: &Fact) -> Result<(), FileError> {
        match fact {
            Fact::Row(new) => self.row(session, new),
            Fact::Edited { memory, text, by, seq, at } => {
                let by = serde_json::to_string(by).unwrap_or_default();
                let values = params![memory.to_string(), session, whole(*seq), at.micros(), text, by];
                self.file.execute("INSERT OR REPLACE INTO edits VALUES (?1, ?2, ?3, ?4, ?5, ?6)", values)?;
                self.rewrite(*memory)
            }
            Fact::Forgotten(memories) => memories.iter().try_for_each(|memory| self.forget(session, *memory)),
            Fact::Asked(call) => {
                let values = params![session, call.to_string()];
                self.file.execute("INSERT OR REPLACE INTO asked VALUES (?1, ?2)", values)?;
                Ok(())
            }
            Fact::Used { call, memories, seq, at } => self.used(session, (*call, memories), (*seq, *at)),
        }
    }

    fn row(&mut self, session: i64, new: &New) -> Result<(), FileError> {
        let (memory, id) = (&new.memory, new.memory.id.to_string());
        if is_forgotten(&memory.text) || self.is_forgotten(&id)? {
            return Ok(());
        }
        for old in &memory.supersedes {
            let values = params![old.to_string(), id, session, memory.since.micros(), scope_number(memory.scope)];
            self.file.prepare("INSERT OR REPLACE INTO taken VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(values)?;
            mark_taken(self.file, &old.to_string())?;
        }
        let mut insert = self.file.prepare(
            "INSERT INTO rows (session, scope, priority, since, until, at, seq, memory) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (memory, session) DO NOTHING RETURNING key",
        )?;
        let until = memory.until.map(Timestamp::micros);
        let (scope, priority) = (scope_number(memory.scope), priority_number(memory.priority));
        let (since, at) = (memory.since.micros(), new.at.micros());
        let values = params![session, scope, priority, since, until, at, whole(new.seq), id];
        let key: Option<i64> = insert.query_row(values, |row| row.get(0)).optional()?;
        let Some(key) = key else { return Ok(()) };
        let rest = Rest {
            kind: memory.kind,
            sources: memory.sources.clone(),
            supersedes: memory.supersedes.clone(),
            by: new.by.clone(),
            edited: None,
        };
        let mut insert = self.file.prepare("INSERT INTO texts (key, text, rest) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![key, memory.text, written(&rest)?])?;
        add_words(self.file, key, &memory.text)?;
        mark_taken(self.file, &id)?;
        self.rewrite(memory.id)
    }

    fn is_forgotten(&self, memory: &str) -> Result<bool, FileError> {
        Ok(self.file.prepare("SELECT 1 FROM forgotten WHERE memory = ?1")?.exists([memory])?)
    }

    /// Lets a memory say what its last edit says, if there is one.
    fn rewrite(&mut self, memory: MemoryId) -> Result<(), FileError> {
        let id = memory.to_string();
        let sql = "SELECT text, at, by FROM edits WHERE memory = ?1 ORDER BY at DESC, seq DESC LIMIT 1";
        let mut statement = self.file.prepare(sql)?;
        let last = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let last: Option<(String, i64, String)> = statement.query_row([&id], last).optional()?;
        let Some((text, at, by)) = last else { return Ok(()) };
        if is_forgotten(&text) || self.is_forgotten(&id)? {
            return self.forget_text(&id);
        }
        for key in keys(self.file, "SELECT key FROM rows WHERE memory = ?1", params![id])? {
            let rest: String = self.file.query_row("SELECT rest FROM texts WHERE key = ?1", [key], |row| row.get(0))?;
            let mut rest = read_rest(&rest)?;
            rest.edited = serde_json::from_str(&by).ok().map(|by| (Timestamp::from_micros(at), by));
            take_out_words(self.file, key)?;
            let values = params![key, text, written(&rest)?];
            self.file.execute("UPDATE texts SET text = ?2, rest = ?3 WHERE key = ?1", values)?;
            self.file.execute("DELETE FROM vectors WHERE key = ?1", [key])?;
            add_words(self.file, key, &text)?;
            self.forgot = true;
        }
        Ok(())
    }

    fn forget(&mut self, session: i64, memory: MemoryId) -> Result<(), FileError> {
        let id = memory.to_string();
        self.file.execute("INSERT OR REPLACE INTO forgotten VALUES (?1, ?2)", params![id, session])?;
        self.forget_text(&id)
    }

    /// Takes out all that a memory says. What it had replaced holds again.
    fn forget_text(&mut self, memory: &str) -> Result<(), FileError> {
        for key in keys(self.file, "SELECT key FROM rows WHERE memory = ?1", params![memory])? {
            take_out(self.file, key)?;
            self.forgot = true;
        }
        self.file.execute("DELETE FROM edits WHERE memory = ?1", [memory])?;
        self.file.execute("DELETE FROM uses WHERE memory = ?1", [memory])?;
        let olds: Vec<String> = {
            let mut statement = self.file.prepare("DELETE FROM taken WHERE new = ?1 RETURNING old")?;
            statement.query_map([memory], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        olds.iter().try_for_each(|old| mark_taken(self.file, old))
    }

    fn used(
        &mut self,
        session: i64,
        (call, memories): (CallId, &[MemoryId]),
        (seq, at): (Seq, Timestamp),
    ) -> Result<(), FileError> {
        let asked = params![session, call.to_string()];
        if self.file.execute("DELETE FROM asked WHERE session = ?1 AND call = ?2", asked)? == 0 {
            return Ok(());
        }
        for memory in memories {
            let id = memory.to_string();
            if !self.is_forgotten(&id)? {
                let values = params![id, session, whole(seq), at.micros(), call.to_string()];
                self.file.execute("INSERT OR REPLACE INTO uses VALUES (?1, ?2, ?3, ?4, ?5)", values)?;
            }
        }
        Ok(())
    }
}

fn whole(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn written(rest: &Rest) -> Result<String, FileError> {
    serde_json::to_string(rest).map_err(|error| FileError::Other(error.to_string()))
}

pub(super) fn read_rest(text: &str) -> Result<Rest, FileError> {
    serde_json::from_str(text).map_err(|error| FileError::Unfit(error.to_string()))
}

/// A scope as the file has it.
pub(super) fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::Session => 0,
        Scope::Project => 1,
        Scope::Agent => 2,
        Scope::All => 3,
    }
}

/// A scope that the file has.
pub(super) fn scope_of(number: i64) -> Scope {
    match number {
        1 => Scope::Project,
        2 => Scope::Agent,
        3 => Scope::All,
        _ => Scope::Session,
    }
}

/// A priority as the file has it.
fn priority_number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Medium => 1,
        Priority::High => 2,
    }
}

/// A priority that the file has.
pub(super) fn priority_of(number: i64) -> Priority {
    match number {
        0 => Priority::Low,
        1 => Priority::Medium,
        _ => Priority::High,
    }
}
