//! What sessions leave to the clock, by when it is due: waits, and notices that are to be tried again. With the list, and as
//! derived as it is.

use outlive_core::id::{SessionId, WaitId};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use serde::{Deserialize, Serialize};

use super::Row;
use crate::sqlite::FileError;

/// Where a wait stands that no time ends: behind all others.
const NEVER: i64 = i64::MAX;

/// What is left to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Awaiting {
    /// A wait: its session is told when it is over.
    #[default]
    Wait,
    /// A notice: somebody outside is told.
    Notice,
}

/// A wait that is armed, or that ended lately; or a notice that nobody has yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitRow {
    /// What of it.
    #[serde(default)]
    pub kind: Awaiting,
    /// Which: of a notice, the bits of its id.
    pub wait: WaitId,
    /// Whose.
    pub session: SessionId,
    /// When the clock ends it, in microseconds since 1970. Nothing, once it has ended.
    pub over_at: Option<i64>,
    /// What it is, as JSON; once it has ended, how.
    pub terms: String,
    /// Whether it has ended.
    #[serde(default)]
    pub ended: bool,
}

/// Which waits, the first to end first. One that ended is only found by its id.
#[derive(Debug, Clone, Default)]
pub struct WaitQuery {
    /// Only of this kind.
    pub kind: Option<Awaiting>,
    /// Only this one.
    pub wait: Option<WaitId>,
    /// Only of this session.
    pub session: Option<SessionId>,
    /// Only those that a time ends, and of these only when: without their terms.
    pub timed: bool,
    /// Behind this one.
    pub after: Option<(Option<i64>, WaitId)>,
    /// At most this many.
    pub limit: usize,
}

impl WaitRow {
    fn place(&self) -> (i64, WaitId) {
        (self.over_at.unwrap_or(NEVER), self.wait)
    }
}

impl WaitQuery {
    fn after(&self) -> Option<(i64, WaitId)> {
        self.after.map(|(at, wait)| (at.unwrap_or(NEVER), wait))
    }
}

/// Returns those of these waits that a query is for, in its order.
pub(crate) fn page_of_waits(waits: impl Iterator<Item = WaitRow>, query: &WaitQuery) -> Vec<WaitRow> {
    let mut found: Vec<WaitRow> = waits
        .filter(|row| query.wait.map_or(!row.ended, |wait| row.wait == wait))
        .filter(|row| query.kind.is_none_or(|kind| row.kind == kind))
        .filter(|row| query.session.is_none_or(|session| row.session == session))
        .filter(|row| !query.timed || row.over_at.is_some())
        .filter(|row| query.after().is_none_or(|after| row.place() > after))
        .collect();
    found.sort_by_key(WaitRow::place);
    found.truncate(query.limit);
    found.iter_mut().filter(|_| query.timed).for_each(|row| row.terms.clear());
    found
}

/// Writes what sessions wait for.
pub(super) struct Putting<'c> {
    clear: Statement<'c>,
    insert: Statement<'c>,
}

impl<'c> Putting<'c> {
    pub(super) fn on(connection: &'c Connection) -> Result<Self, FileError> {
        let clear = connection.prepare("DELETE FROM waits WHERE session = ?1")?;
        let insert = connection.prepare(
            "INSERT OR REPLACE INTO waits (id, session, over_at, terms, ended, kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        Ok(Self { clear, insert })
    }

    /// Puts the waits of a row in the place of those that its session had.
    pub(super) fn put(&mut self, session: &str, row: Option<&Row>) -> Result<(), FileError> {
        self.clear.execute([session])?;
        for wait in row.iter().flat_map(|row| &row.waits) {
            let kind = wait.kind as i64;
            self.insert.execute(params![
                wait.wait.to_string(),
                session,
                wait.place().0,
                wait.terms,
                wait.ended,
                kind
            ])?;
        }
        Ok(())
    }
}

/// Returns up to `limit` waits of a query.
pub(super) fn find(connection: &Connection, query: &WaitQuery, limit: usize) -> Result<Vec<WaitRow>, FileError> {
    let (at, id) = query.after().map_or((i64::MIN, String::new()), |(at, wait)| (at, wait.to_string()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let kind = query.kind.map(|kind| kind as i64);
    if let Some(wait) = query.wait {
        let sql = "SELECT id, session, over_at, terms, ended, kind FROM waits WHERE id = ?1";
        let found = connection.prepare(sql)?.query_row([wait.to_string()], row).optional()?;
        return Ok(found.into_iter().collect());
    }
    if let Some(session) = query.session {
        let sql = "SELECT id, session, over_at, terms, ended, kind FROM waits
             WHERE session = ?1 AND ended = 0 AND (kind = ?2 OR ?2 IS NULL)";
        let mut statement = connection.prepare(sql)?;
        return Ok(statement.query_map(params![session.to_string(), kind], row)?.collect::<Result<_, _>>()?);
    }
    // When they end is in the order itself: so many are read at each start.
    let (columns, until) = match (query.timed, kind.unwrap_or_default()) {
        (true, kind) => (format!("'', 0, {kind}"), NEVER - 1),
        (false, _) => ("terms, 0, kind".to_owned(), NEVER),
    };
    let of_kind = kind.map(|kind| format!("AND kind = {kind}")).unwrap_or_default();
    let sql = format!(
        "SELECT id, session, over_at, {columns} FROM waits
         WHERE ended = 0 AND (over_at, id) > (?1, ?2) AND over_at <= ?3 {of_kind} ORDER BY over_at, id LIMIT ?4"
    );
    let mut statement = connection.prepare(&sql)?;
    Ok(statement.query_map(params![at, id, until, limit], row)?.collect::<Result<_, _>>()?)
}

fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<WaitRow> {
    let read = |column: usize| -> rusqlite::Result<String> { found.get(column) };
    let unfit = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
    };
    let over_at: i64 = found.get(2)?;
    Ok(WaitRow {
        kind: if found.get::<_, i64>(5)? == 0 { Awaiting::Wait } else { Awaiting::Notice },
        wait: read(0)?.parse().map_err(|error| unfit(Box::new(error)))?,
        session: read(1)?.parse().map_err(|error| unfit(Box::new(error)))?,
        over_at: Some(over_at).filter(|at| *at != NEVER),
        terms: read(3)?,
        ended: found.get(4)?,
    })
}
