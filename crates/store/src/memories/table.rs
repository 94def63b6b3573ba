//! What is remembered as a SQLite file: what is written to it. Every call blocks.
//!
//! Invariants: a session's rows and its position change together; what is forgotten leaves the file with the change that
//! says so, and stays out whatever else names it; in whichever order journals are followed, the file says the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use outlive_core::event::{Line, Origin};
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::{Kind as MemoryKind, Mode, Priority, Scope};
use outlive_core::redact::is_forgotten;
use outlive_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::Author;
use super::news::{Fact, New, News};
use super::words;
use crate::StoreError;
use crate::follow::Kept;
use crate::sqlite::{self, AfterCrash, FileError, Kind, Writes};

pub(super) const KIND: Kind = Kind {
    application: 0x6f75_746d,
    version: 3,
    schema: SCHEMA,
    cache_kib: 16_384,
    after_crash: AfterCrash::Trust,
    writes: Writes::Once,
};

/// What a question looks through is in `rows`, which is small; what is shown is in `texts`. `taken` of a row says since when
/// another has its place. What stands up to `taken_to` in a session's journal came from an archive: its rows are the session's
/// alone, and its marks, which are `own`, are for no other journal's. Both indexes of words are without a copy of the text: whoever
/// takes one out says what it was. What is deleted leaves them at once, not when they are merged.
const SCHEMA: &str = "
    CREATE TABLE sessions (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, project TEXT, position INTEGER NOT NULL,
        taken_to INTEGER NOT NULL, incognito INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE rows (
        key INTEGER PRIMARY KEY, session INTEGER NOT NULL, agent TEXT NOT NULL, scope INTEGER NOT NULL,
        priority INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER, taken INTEGER, at INTEGER NOT NULL,
        seq INTEGER NOT NULL, memory TEXT NOT NULL, UNIQUE (memory, session)
    ) STRICT;
    CREATE INDEX rows_newest ON rows (at, memory);
    CREATE INDEX rows_for_all ON rows (at, memory) WHERE scope = 3;
    CREATE INDEX rows_agent ON rows (agent, scope, at, memory);
    CREATE INDEX rows_session ON rows (session, at, memory);
    CREATE TABLE texts (key INTEGER PRIMARY KEY, text TEXT NOT NULL, rest TEXT NOT NULL) STRICT;
    CREATE TABLE taken (
        old TEXT NOT NULL, new TEXT NOT NULL, session INTEGER NOT NULL, since INTEGER NOT NULL, scope INTEGER NOT NULL,
        PRIMARY KEY (old, new, session)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE edits (
        memory TEXT NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        by TEXT NOT NULL, scope INTEGER, own INTEGER NOT NULL, PRIMARY KEY (memory, session, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE forgotten (
        memory TEXT NOT NULL, session INTEGER NOT NULL, own INTEGER NOT NULL, PRIMARY KEY (memory, session)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE asked (session INTEGER NOT NULL, call TEXT NOT NULL, PRIMARY KEY (session, call)) STRICT, WITHOUT ROWID;
    CREATE TABLE uses (
        memory TEXT NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, call TEXT NOT NULL,
        PRIMARY KEY (memory, session, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE vectors (
        key INTEGER NOT NULL, service TEXT NOT NULL, model TEXT NOT NULL, dimensions INTEGER NOT NULL, vector BLOB NOT NULL,
        UNIQUE (key, service)
    ) STRICT;
    CREATE VIRTUAL TABLE words USING fts5 (text, content = '', tokenize = 'porter unicode61 remove_diacritics 2');
    CREATE VIRTUAL TABLE parts USING fts5 (text, content = '', detail = none, tokenize = 'trigram');
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
    INSERT INTO parts (parts, rank) VALUES ('secure-delete', 1);
";

/// Whether memory `t.new` takes the place of row `r` in session `ours`, noted in session `theirs`. What fewer may know, or another
/// agent noted, takes it from nobody who knows it.
pub(super) const TAKES: &str =
    "t.scope >= r.scope AND (t.scope = 3 OR t.session = r.session OR (theirs.agent = ours.agent
    AND (t.scope = 2 OR (t.scope = 1 AND theirs.project IS ours.project))))";

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
        let mut adding = Adding { file: &transaction, gone: Vec::new() };
        for one in news {
            if position(&transaction, one.session)? == one.after {
                adding.session(one)?;
            }
        }
        let gone = adding.gone;
        words::settle(&transaction, &gone)?;
        transaction.commit()?;
        if gone.is_empty() { Ok(()) } else { self.drop_set_aside() }
    }

    fn erase(&mut self, session: SessionId) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        let key = "SELECT key FROM sessions WHERE id = ?1";
        let key: Option<i64> = transaction.query_row(key, [session.to_string()], |row| row.get(0)).optional()?;
        let Some(key) = key else { return Ok(()) };
        let mut gone = Vec::new();
        for row in keys(&transaction, "SELECT key FROM rows WHERE session = ?1", params![key])? {
            gone.extend(take_out(&transaction, row)?);
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
        words::settle(&transaction, &gone)?;
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

/// Takes a row out of everything, and returns what it said.
fn take_out(file: &Transaction<'_>, key: i64) -> Result<Option<String>, FileError> {
    let said = take_out_words(file, key)?;
    for table in ["vectors", "texts", "rows"] {
        file.execute(&format!("DELETE FROM {table} WHERE key = ?1"), [key])?;
    }
    Ok(said)
}

fn take_out_words(file: &Transaction<'_>, key: i64) -> Result<Option<String>, FileError> {
    let said: Option<String> =
        file.query_row("SELECT text FROM texts WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    said.iter().try_for_each(|said| words::take_out(file, key, said))?;
    Ok(said)
}

/// Notes at a row since when another has its place.
fn mark_taken(file: &Transaction<'_>, memory: &str) -> Result<(), FileError> {
    let sql = format!(
        "UPDATE rows AS r SET taken = (
            SELECT min(t.since) FROM taken AS t JOIN sessions AS theirs ON theirs.key = t.session
            JOIN sessions AS ours ON ours.key = r.session WHERE t.old = ?1 AND {TAKES}
        ) WHERE memory = ?1"
    );
    file.prepare(&sql)?.execute([memory])?;
    Ok(())
}

/// The session whose facts are added.
struct Place {
    key: i64,
    agent: String,
    /// The last event that came from an archive.
    taken_to: i64,
    is_incognito: bool,
}

impl Place {
    /// Says whether what stands there came from an archive, and is for no other journal.
    fn is_taken(&self, seq: Seq) -> bool {
        whole(seq) <= self.taken_to
    }
}

/// Adds what is new.
struct Adding<'a> {
    file: &'a Transaction<'a>,
    /// What was forgotten or changed: its words are to leave the file.
    gone: Vec<String>,
}

impl Adding<'_> {
    fn session(&mut self, news: &News) -> Result<(), FileError> {
        let begun = news.begun.as_ref();
        let mut statement = self.file.prepare(
            "INSERT INTO sessions (id, agent, project, position, taken_to, incognito)
             VALUES (?1, coalesce(?2, ''), ?3, ?4, coalesce(?5, 0), 0)
             ON CONFLICT (id) DO UPDATE SET agent = coalesce(?2, agent), project = coalesce(?3, project), position = ?4,
             taken_to = coalesce(?5, taken_to) RETURNING key, agent, taken_to, incognito",
        )?;
        let (agent, project) = begun.map(|begun| (&begun.agent, begun.project.as_ref())).unzip();
        let taken_to = begun.map(|begun| whole(begun.taken_to));
        let values = params![news.session.to_string(), agent, project.flatten(), whole(news.position), taken_to];
        let mut place = statement.query_row(values, |row| {
            let (key, agent) = (row.get(0)?, row.get(1)?);
            Ok(Place { key, agent, taken_to: row.get(2)?, is_incognito: row.get(3)? })
        })?;
        news.facts.iter().try_for_each(|fact| self.fact(&mut place, fact))
    }

    fn fact(&mut self, place: &mut Place, fact: &Fact) -> Result<(), FileError> {
        match fact {
            Fact::Row(new) => self.row(place, new),
            Fact::Edited(edit) => {
                let id = edit.memory.to_string();
                if self.is_forgotten(&id, place.key)? {
                    return Ok(());
                }
                let by = serde_json::to_string(&edit.by).unwrap_or_default();
                let (at, scope, own) = (edit.at.micros(), edit.scope.map(scope_number), place.is_taken(edit.seq));
                let values = params![id, place.key, whole(edit.seq), at, edit.text, by, scope, own];
                self.file.execute("INSERT OR REPLACE INTO edits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", values)?;
                self.rewrite(&id)
            }
            Fact::Forgotten(memories, seq) => {
                memories.iter().try_for_each(|memory| self.forget(place, &memory.to_string(), *seq))
            }
            Fact::Asked(call) => {
                let values = params![place.key, call.to_string()];
                self.file.execute("INSERT OR REPLACE INTO asked VALUES (?1, ?2)", values)?;
                Ok(())
            }
            Fact::Used { call, memories, seq, at } => self.used(place, (*call, memories), (*seq, *at)),
            Fact::Mode(mode) => {
                place.is_incognito = *mode == Mode::Incognito;
                let values = params![place.key, place.is_incognito];
                self.file.execute("UPDATE sessions SET incognito = ?2 WHERE key = ?1", values)?;
                Ok(())
            }
        }
    }

    fn row(&mut self, place: &Place, new: &New) -> Result<(), FileError> {
        let (memory, id) = (&new.memory, new.memory.id.to_string());
        if is_forgotten(&memory.text) || self.is_forgotten(&id, place.key)? {
            return Ok(());
        }
        let scope = if place.is_taken(new.seq) { Scope::Session } else { memory.scope };
        let (scope, priority) = (scope_number(scope), priority_number(memory.priority));
        for old in &memory.supersedes {
            let values = params![old.to_string(), id, place.key, memory.since.micros(), scope];
            self.file.prepare("INSERT OR REPLACE INTO taken VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(values)?;
            mark_taken(self.file, &old.to_string())?;
        }
        let mut insert = self.file.prepare(
            "INSERT INTO rows (session, agent, scope, priority, since, until, at, seq, memory)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (memory, session) DO NOTHING RETURNING key",
        )?;
        let until = memory.until.map(Timestamp::micros);
        let (since, at) = (memory.since.micros(), new.at.micros());
        let values = params![place.key, place.agent, scope, priority, since, until, at, whole(new.seq), id];
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
        words::add(self.file, key, &memory.text)?;
        mark_taken(self.file, &id)?;
        self.rewrite(&id)
    }

    /// Says whether it is forgotten for this journal.
    fn is_forgotten(&self, memory: &str, session: i64) -> Result<bool, FileError> {
        let sql = "SELECT 1 FROM forgotten WHERE memory = ?1 AND (own = 0 OR session = ?2)";
        Ok(self.file.prepare(sql)?.exists(params![memory, session])?)
    }

    /// Lets a memory say what its last edit says, in each journal that has it, and be known to whom the last edit that says so says.
    fn rewrite(&mut self, memory: &str) -> Result<(), FileError> {
        let rows: Vec<(i64, i64)> = {
            let mut statement = self.file.prepare("SELECT key, session FROM rows WHERE memory = ?1")?;
            statement.query_map([memory], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
        };
        for (key, session) in rows {
            let sql = "SELECT text, at, by FROM edits WHERE memory = ?1 AND (own = 0 OR session = ?2)
                ORDER BY at DESC, seq DESC LIMIT 1";
            let last = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let last: Option<(String, i64, String)> =
                self.file.prepare(sql)?.query_row(params![memory, session], last).optional()?;
            let Some((text, at, by)) = last else { continue };
            if is_forgotten(&text) {
                self.forget_text(memory, Some(session))?;
                continue;
            }
            let rest: String = self.file.query_row("SELECT rest FROM texts WHERE key = ?1", [key], |row| row.get(0))?;
            let mut rest = read_rest(&rest)?;
            rest.edited = serde_json::from_str(&by).ok().map(|by| (Timestamp::from_micros(at), by));
            self.gone.extend(take_out_words(self.file, key)?);
            let values = params![key, text, written(&rest)?];
            self.file.execute("UPDATE texts SET text = ?2, rest = ?3 WHERE key = ?1", values)?;
            self.file.execute("DELETE FROM vectors WHERE key = ?1", [key])?;
            words::add(self.file, key, &text)?;
            self.widen(memory, (key, session))?;
        }
        Ok(())
    }

    /// Lets those know it whom a person named last. What came from an archive says that of nobody else.
    fn widen(&mut self, memory: &str, (key, session): (i64, i64)) -> Result<(), FileError> {
        let sql =
            "SELECT scope FROM edits WHERE memory = ?1 AND own = 0 AND scope IS NOT NULL ORDER BY at DESC, seq DESC";
        let scope: Option<i64> = self.file.prepare(sql)?.query_row([memory], |row| row.get(0)).optional()?;
        let Some(scope) = scope else { return Ok(()) };
        self.file.execute("UPDATE rows SET scope = ?2 WHERE key = ?1", params![key, scope])?;
        let sql = "UPDATE taken SET scope = ?3 WHERE new = ?1 AND session = ?2";
        self.file.execute(sql, params![memory, session, scope])?;
        mark_taken(self.file, memory)?;
        let sql = "SELECT old FROM taken WHERE new = ?1 AND session = ?2";
        self.olds(sql, params![memory, session])
    }

    /// Notes anew who has the place of those that a statement names.
    fn olds(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), FileError> {
        let olds: Vec<String> = {
            let mut statement = self.file.prepare(sql)?;
            statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        olds.iter().try_for_each(|old| mark_taken(self.file, old))
    }

    fn forget(&mut self, place: &Place, memory: &str, seq: Seq) -> Result<(), FileError> {
        let is_own = place.is_taken(seq);
        let sql = "INSERT INTO forgotten VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET own = min(own, excluded.own)";
        self.file.execute(sql, params![memory, place.key, is_own])?;
        self.forget_text(memory, is_own.then_some(place.key))
    }

    /// Takes out all that a memory says, everywhere or in one journal. What it had replaced holds again.
    fn forget_text(&mut self, memory: &str, only: Option<i64>) -> Result<(), FileError> {
        let there = "memory = ?1 AND (?2 IS NULL OR session = ?2)";
        for key in keys(self.file, &format!("SELECT key FROM rows WHERE {there}"), params![memory, only])? {
            self.gone.extend(take_out(self.file, key)?);
        }
        for table in ["edits", "uses"] {
            self.file.execute(&format!("DELETE FROM {table} WHERE {there}"), params![memory, only])?;
        }
        let sql = "DELETE FROM taken WHERE new = ?1 AND (?2 IS NULL OR session = ?2) RETURNING old";
        self.olds(sql, params![memory, only])
    }

    fn used(
        &mut self,
        place: &Place,
        (call, memories): (CallId, &[MemoryId]),
        (seq, at): (Seq, Timestamp),
    ) -> Result<(), FileError> {
        let asked = params![place.key, call.to_string()];
        let was_asked = self.file.execute("DELETE FROM asked WHERE session = ?1 AND call = ?2", asked)? > 0;
        // Of what is incognito nothing is left, neither what it asked.
        if !was_asked || place.is_incognito {
            return Ok(());
        }
        for memory in memories {
            let id = memory.to_string();
            if !self.is_forgotten(&id, place.key)? {
                let values = params![id, place.key, whole(seq), at.micros(), call.to_string()];
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
