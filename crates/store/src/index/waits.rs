//! What sessions leave to the clock, by when it is due: waits, and notices that are to be tried again. With the list, and as
//! derived as it is.

use outlive_core::id::{SessionId, WaitId};
use rusqlite::{Connection, Statement, params};
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
    /// Only this one; of those that forks have of it, too, the first is of the session that made it.
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
    if query.wait.is_some() {
        // Forks have it, too: ended, and later than the session that it is of.
        found.sort_by_key(|row| (row.ended, row.session));
    } else {
        found.sort_by_key(WaitRow::place);
    }
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

/// Returns the waits of a query, without those of sessions whose waits are others by now. No more is read than that takes.
pub(super) fn find(
    connection: &Connection,
    query: &WaitQuery,
    is_stale: impl Fn(SessionId) -> bool,
) -> Result<Vec<WaitRow>, FileError> {
    let (at, id) = query.after().map_or((i64::MIN, String::new()), |(at, wait)| (at, wait.to_string()));
    let is_fresh = |found: &rusqlite::Result<WaitRow>| found.as_ref().map_or(true, |row| !is_stale(row.session));
    let kind = query.kind.map(|kind| kind as i64);
    if let Some(wait) = query.wait {
        let sql = "SELECT id, session, over_at, terms, ended, kind FROM waits WHERE id = ?1";
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map([wait.to_string()], row)?;
        return Ok(found.filter(is_fresh).collect::<Result<_, _>>()?);
    }
    if let Some(session) = query.session {
        let sql = "SELECT id, session, over_at, terms, ended, kind FROM waits
             WHERE session = ?1 AND ended = 0 AND (kind = ?2 OR ?2 IS NULL)";
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map(params![session.to_string(), kind], row)?;
        return Ok(found.filter(is_fresh).collect::<Result<_, _>>()?);
    }
    // When they end is in the order itself: so many are read at each start.
    let (columns, until) = match (query.timed, kind.unwrap_or_default()) {
        (true, kind) => (format!("'', 0, {kind}"), NEVER - 1),
        (false, _) => ("terms, 0, kind".to_owned(), NEVER),
    };
    let of_kind = kind.map(|kind| format!("AND kind = {kind}")).unwrap_or_default();
    let sql = format!(
        "SELECT id, session, over_at, {columns} FROM waits INDEXED BY waits_by_time
         WHERE ended = 0 AND (over_at, id) > (?1, ?2) AND over_at <= ?3 {of_kind} ORDER BY over_at, id"
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params![at, id, until], row)?;
    Ok(found.filter(is_fresh).take(query.limit).collect::<Result<_, _>>()?)
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::table::{Notes, Table};
    use super::*;
    use crate::conformance::row;

    fn session(n: i64) -> SessionId {
        SessionId::from_bits(u128::from(n.unsigned_abs()))
    }

    #[test]
    fn of_very_many_waits_no_more_is_read_than_a_page_and_what_is_stale_before_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Table::open(&dir.path().join("index.db")).unwrap();
        let waits = |n: i64| {
            let (wait, terms) = (WaitId::from_bits(u128::from(n.unsigned_abs())), String::new());
            WaitRow { kind: Awaiting::Wait, wait, session: session(n), over_at: Some(n), terms, ended: false }
        };
        let notes: Notes = (1..=5_000)
            .map(|n| (session(n), Some(crate::Row { waits: vec![waits(n)], ..row(session(n), 1, 1) })))
            .collect();
        table.write(&notes, &[], &[]).unwrap();
        let looked = Cell::new(0);
        let is_stale = |of: SessionId| {
            looked.set(looked.get() + 1);
            of <= session(200)
        };
        for timed in [true, false] {
            looked.set(0);
            let found = table.waits(&WaitQuery { timed, limit: 100, ..WaitQuery::default() }, is_stale).unwrap();
            assert_eq!(
                found.iter().map(|row| row.session).collect::<Vec<_>>(),
                (201..=300).map(session).collect::<Vec<_>>()
            );
            assert_eq!(looked.get(), 300);
        }
    }
}
