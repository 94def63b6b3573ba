//! The list as a SQLite file: what is written to it and read from it. Every call blocks.
//!
//! Invariant: a file that is unfit is set aside beside itself, never read and never mended.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use outlive_core::id::SessionId;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::{Awaiting, ListQuery, Row, WaitQuery, WaitRow, select, waits};
use crate::StoreError;
use crate::sqlite::{self, AfterCrash, Checkpoint, FileError, Kind, Writes};

const KIND: Kind = Kind {
    application: 0x6f75_746c,
    version: 6,
    schema: SCHEMA,
    cache_kib: 1_024,
    after_crash: AfterCrash::Check,
    writes: Writes::Log,
};

/// Each order has an index that holds all that a list can be narrowed by, so that even a page of few among many rows reads
/// nothing else.
const SCHEMA: &str = "
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, head INTEGER NOT NULL, agent TEXT NOT NULL, title TEXT, project TEXT, status TEXT NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, owed INTEGER NOT NULL, labels TEXT NOT NULL,
        task TEXT, title_key TEXT NOT NULL, tags TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX by_updated_at ON sessions (updated_at, id, agent, status, project, tags, title_key);
    CREATE INDEX by_created_at ON sessions (created_at, id, agent, status, project, tags, title_key);
    CREATE INDEX by_title_key ON sessions (title_key, id, agent, status, project, tags);
    CREATE INDEX owing ON sessions (id) WHERE owed = 1;
    CREATE TABLE stale (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE waits (
        id TEXT NOT NULL, session TEXT NOT NULL, over_at INTEGER NOT NULL, terms TEXT NOT NULL,
        ended INTEGER NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY (id, session)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX waits_by_time ON waits (over_at, id, session) WHERE ended = 0;
    CREATE INDEX waits_of_session ON waits (session);
    CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

pub(super) const COLUMNS: &str = "id, head, agent, title, project, status, created_at, updated_at, owed, labels, task";

/// The status of a session that waits for something.
const SLEEPING: &str = "sleeping";

/// A number that the list keeps about itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// The commit position up to which every session's row was written.
    Applied,
    /// Whether every session has a row.
    Complete,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Complete => "complete",
        }
    }
}

/// Rows to write, and sessions to take off (`None`).
pub(super) type Notes = BTreeMap<SessionId, Option<Row>>;

pub(super) struct Table {
    connection: Connection,
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        error.of("index.db", "is rebuilt when the server starts again")
    }
}

impl Table {
    /// Sets the file aside and makes an empty one.
    pub(super) fn renew(path: &Path) -> Result<Self, FileError> {
        sqlite::set_aside(path);
        Self::open(path)
    }

    /// Opens the file, made where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self { connection: sqlite::open(path, &KIND)? })
    }

    /// Writes the file anew.
    pub(super) fn restore(&mut self, path: &Path) -> Result<(), FileError> {
        sqlite::restore(&mut self.connection, path, &KIND)
    }

    pub(super) fn mark(&self, mark: Mark) -> Result<u64, FileError> {
        let mut statement = self.connection.prepare("SELECT value FROM marks WHERE name = ?1")?;
        let found: Option<i64> = statement.query_row([mark.name()], |row| row.get(0)).optional()?;
        Ok(found.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
    }

    /// Writes in one transaction: rows, then the sessions whose row is known to be too old, then marks.
    pub(super) fn write(&mut self, notes: &Notes, stale: &[SessionId], marks: &[(Mark, u64)]) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        put(&transaction, notes, marks)?;
        let mut insert = transaction.prepare("INSERT OR IGNORE INTO stale (id) VALUES (?1)")?;
        for session in stale {
            insert.execute([session.to_string()])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    /// Replaces all rows by these.
    pub(super) fn replace(&mut self, notes: &Notes, marks: &[(Mark, u64)]) -> Result<(), FileError> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("DELETE FROM sessions; DELETE FROM stale; DELETE FROM waits;")?;
        put(&transaction, notes, marks)?;
        Ok(transaction.commit()?)
    }

    /// Brings everything to the file itself.
    pub(super) fn checkpoint(&self, how: Checkpoint) -> Result<(), FileError> {
        sqlite::checkpoint(&self.connection, how)
    }

    /// Returns up to `limit` rows that the query shows, in its order.
    pub(super) fn page(&self, query: &ListQuery, limit: usize) -> Result<Vec<Row>, FileError> {
        let (sql, values) = select::page(query, limit);
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), row)?;
        self.waiting(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the rows of these sessions.
    pub(super) fn rows(&self, sessions: &[SessionId]) -> Result<Vec<Row>, FileError> {
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1");
        let mut statement = self.connection.prepare(&sql)?;
        let mut find = |session: &SessionId| statement.query_row([session.to_string()], row).optional();
        self.waiting(sessions.iter().filter_map(|session| find(session).transpose()).collect::<Result<_, _>>()?)
    }

    /// Returns rows with what those that sleep wait for.
    fn waiting(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, FileError> {
        for row in rows.iter_mut().filter(|row| row.status == SLEEPING) {
            let kind = Some(Awaiting::Wait);
            let query = WaitQuery { session: Some(row.session), kind, ..WaitQuery::default() };
            row.waits = self.waits(&query, |_| false)?;
        }
        Ok(rows)
    }

    /// Returns the sessions that a restart owes something, and those whose row is too old to say.
    pub(super) fn owing(&self) -> Result<Vec<SessionId>, FileError> {
        let mut statement =
            self.connection.prepare("SELECT id FROM sessions WHERE owed = 1 UNION SELECT id FROM stale")?;
        let rows = statement.query_map([], |found| session(found, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns which head each row covers.
    pub(super) fn heads(&self) -> Result<HashMap<SessionId, u64>, FileError> {
        let mut statement = self.connection.prepare("SELECT id, head FROM sessions")?;
        let rows = statement.query_map([], |found| Ok((session(found, 0)?, number(found.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the waits that the query is for, without those of sessions whose row here is stale.
    pub(super) fn waits(
        &self,
        query: &WaitQuery,
        is_stale: impl Fn(SessionId) -> bool,
    ) -> Result<Vec<WaitRow>, FileError> {
        waits::find(&self.connection, query, is_stale)
    }
}

fn put(connection: &Connection, notes: &Notes, marks: &[(Mark, u64)]) -> Result<(), FileError> {
    // In place, so that an index whose columns stay as they are is not written.
    let mut insert = connection.prepare(&format!(
        "INSERT INTO sessions ({COLUMNS}, title_key, tags) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET head = ?2, agent = ?3, title = ?4, project = ?5, status = ?6, created_at = ?7,
         updated_at = ?8, owed = ?9, labels = ?10, task = ?11, title_key = ?12, tags = ?13"
    ))?;
    let mut remove = connection.prepare("DELETE FROM sessions WHERE id = ?1")?;
    let mut waits = waits::Putting::on(connection)?;
    let mut settle = connection.prepare("DELETE FROM stale WHERE id = ?1")?;
    for (session, note) in notes {
        let id = session.to_string();
        settle.execute([&id])?;
        waits.put(&id, note.as_ref())?;
        match note {
            None => remove.execute([id])?,
            Some(row) => insert.execute(params![
                id,
                i64::try_from(row.head).unwrap_or(i64::MAX),
                row.agent,
                row.title,
                row.project,
                row.status,
                row.created_at,
                row.updated_at,
                row.owed,
                row.labels,
                row.task.as_ref().and_then(|task| serde_json::to_string(task).ok()),
                row.title_key(),
                row.tags()
            ])?,
        };
    }
    let mut mark = connection.prepare("INSERT OR REPLACE INTO marks (name, value) VALUES (?1, ?2)")?;
    for (name, value) in marks {
        mark.execute(params![name.name(), i64::try_from(*value).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        session: session(found, 0)?,
        head: number(found.get(1)?),
        agent: found.get(2)?,
        title: found.get(3)?,
        project: found.get(4)?,
        status: found.get(5)?,
        created_at: found.get(6)?,
        updated_at: found.get(7)?,
        owed: found.get(8)?,
        labels: found.get(9)?,
        // Written here, it can be read here.
        task: found.get::<_, Option<String>>(10)?.and_then(|text| serde_json::from_str(&text).ok()),
        waits: Vec::new(),
    })
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn session(found: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<SessionId> {
    let text = found.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}
