//! Reads what is remembered: rows, pages of the list, all that is known of one.

use outlive_core::event::Origin;
use outlive_core::id::{MemoryId, SessionId};
use outlive_core::memory::Memory;
use outlive_core::time::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::table::{Table, priority_of, read_rest, scope_number, scope_of};
use super::{Provenance, Remembered, RememberedPage, RememberedQuery, Use};
use crate::sqlite::FileError;

/// Uses that are shown.
const USES: usize = 20;
/// Memories of one kin that are shown.
const SHOWN: usize = 50;

const ROW: &str = "SELECT r.key, r.memory, r.scope, r.priority, r.since, r.until, r.taken, r.at, r.seq, s.id, s.agent,
    s.project, t.text, t.rest FROM rows AS r CROSS JOIN sessions AS s ON s.key = r.session CROSS JOIN texts AS t ON t.key = r.key";

/// A row, as it is looked for.
pub(super) struct Found {
    pub(super) key: i64,
    /// Since when another has its place.
    pub(super) taken: Option<Timestamp>,
    pub(super) row: Remembered,
}

/// Returns these rows, in no order.
pub(super) fn rows(file: &Connection, keys: impl Iterator<Item = i64>) -> Result<Vec<Found>, FileError> {
    let mut statement = file.prepare(&format!("{ROW} WHERE r.key = ?1"))?;
    let mut found = Vec::new();
    for key in keys {
        found.extend(statement.query_map([key], read)?.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

fn moment(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    let wrong = |at, error: String| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into());
    let rest = read_rest(row.get_ref(13)?.as_str()?).map_err(|error| wrong(13, error.to_string()))?;
    let session = row.get_ref(9)?.as_str()?.parse::<SessionId>().map_err(|error| wrong(9, error.to_string()))?;
    let memory = Memory {
        id: row.get_ref(1)?.as_str()?.parse().map_err(|error| wrong(1, format!("{error}")))?,
        kind: rest.kind,
        scope: scope_of(row.get(2)?),
        priority: priority_of(row.get(3)?),
        text: row.get(12)?,
        since: moment(row.get(4)?),
        until: row.get::<_, Option<i64>>(5)?.map(moment),
        sources: rest.sources,
        supersedes: rest.supersedes,
    };
    let remembered = Remembered {
        memory,
        session,
        seq: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
        at: moment(row.get(7)?),
        agent: row.get(10)?,
        project: row.get(11)?,
        by: rest.by,
        edited: rest.edited,
        superseded_by: Vec::new(),
    };
    Ok(Found { key: row.get(0)?, taken: row.get::<_, Option<i64>>(6)?.map(moment), row: remembered })
}

/// Returns those that took a memory's place, oldest first, whether they are there or not.
pub(super) fn superseders(file: &Connection, memory: MemoryId) -> Result<Vec<MemoryId>, FileError> {
    let sql = "SELECT DISTINCT new FROM taken WHERE old = ?1 ORDER BY since, new";
    let mut statement = file.prepare(sql)?;
    let found: Vec<String> = statement.query_map([memory.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Lists memories, newest first.
pub(super) fn list(table: &Table, query: &RememberedQuery) -> Result<RememberedPage, FileError> {
    let file = &table.connection;
    let mut values: Vec<Value> = Vec::new();
    let mut conditions = vec!["TRUE".to_owned()];
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(agent) = &query.agent {
        and("s.agent = ?", agent.clone().into());
    }
    if let Some(session) = query.session {
        and("s.id = ?", session.to_string().into());
    }
    if let Some(scope) = query.scope {
        and("r.scope = ?", scope_number(scope).into());
    }
    if let Some((at, memory)) = query.after {
        and("r.at <= ?", at.micros().into());
        let at = at.micros();
        and(&format!("(r.at < {at} OR r.memory < ?)"), memory.to_string().into());
    }
    if !query.superseded {
        conditions.push("r.taken IS NULL".to_owned());
    }
    values.push(i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX).into());
    let order = format!("ORDER BY r.at DESC, r.memory DESC LIMIT ?{}", values.len());
    let mut statement = file.prepare(&format!("{ROW} WHERE {} {order}", conditions.join(" AND ")))?;
    let found = statement.query_map(params_from_iter(values), read)?;
    let mut rows: Vec<Remembered> = found.map(|found| found.map(|found| found.row)).collect::<Result<_, _>>()?;
    let more = rows.len() > query.limit;
    rows.truncate(query.limit);
    for row in &mut rows {
        row.superseded_by = superseders(file, row.memory.id)?;
    }
    Ok(RememberedPage { rows, more, behind: 0 })
}

/// Returns one with all that is known of it.
pub(super) fn get(table: &Table, memory: MemoryId) -> Result<Option<Provenance>, FileError> {
    let file = &table.connection;
    let Some(mut row) = one(file, memory)? else { return Ok(None) };
    row.superseded_by = superseders(file, memory)?;
    let id = memory.to_string();
    let superseders = row.superseded_by.iter().take(SHOWN).filter_map(|id| one(file, *id).transpose());
    let superseders = superseders.collect::<Result<_, _>>()?;
    let superseded = row.memory.supersedes.iter().take(SHOWN).filter_map(|id| one(file, *id).transpose());
    let superseded = superseded.collect::<Result<_, _>>()?;
    let mut statement = file.prepare("SELECT at, by FROM edits WHERE memory = ?1 ORDER BY at, seq")?;
    let edits = statement.query_map([&id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let edits: Vec<(i64, String)> = edits.collect::<Result<_, _>>()?;
    let edit = |(at, by): (i64, String)| Some((moment(at), serde_json::from_str::<Origin>(&by).ok()?));
    let edits = edits.into_iter().filter_map(edit).collect();
    let used: i64 = file.query_row("SELECT count(*) FROM uses WHERE memory = ?1", [&id], |row| row.get(0))?;
    let uses = uses(file, &id)?;
    Ok(Some(Provenance { row, edits, superseded, superseders, uses, used: u64::try_from(used).unwrap_or(0) }))
}

/// Returns one memory; of those that forks share the first.
fn one(file: &Connection, memory: MemoryId) -> Result<Option<Remembered>, FileError> {
    let mut statement = file.prepare(&format!("{ROW} WHERE r.memory = ?1 ORDER BY r.at, s.id LIMIT 1"))?;
    let mut found = statement.query_map([memory.to_string()], read)?;
    Ok(found.next().transpose()?.map(|found| found.row))
}

fn uses(file: &Connection, memory: &str) -> Result<Vec<Use>, FileError> {
    let mut statement = file.prepare(
        "SELECT s.id, u.seq, u.call, u.at FROM uses AS u JOIN sessions AS s ON s.key = u.session WHERE u.memory = ?1
         ORDER BY u.at DESC, s.id, u.seq DESC LIMIT ?2",
    )?;
    let read = |row: &Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    };
    let rows: Vec<_> = statement.query_map(params![memory, USES as i64], read)?.collect::<Result<_, _>>()?;
    let one = |(session, seq, call, at): (String, i64, String, i64)| {
        let seq = u64::try_from(seq).ok()?;
        Some(Use { session: session.parse().ok()?, seq, call: call.parse().ok()?, at: moment(at) })
    };
    Ok(rows.into_iter().filter_map(one).collect())
}
