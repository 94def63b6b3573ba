//! Reads what is remembered: rows, pages of the list, all that is known of one.

use std::cmp::Reverse;

use outlive_core::event::Origin;
use outlive_core::id::{MemoryId, SessionId};
use outlive_core::memory::Memory;
use outlive_core::time::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::narrow::{self, Narrow};
use super::table::{TAKES, Table, priority_of, read_rest, scope_of};
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

/// Returns a row with those that took its place, oldest first, whether they are there or not.
pub(super) fn told(file: &Connection, mut found: Found) -> Result<Remembered, FileError> {
    // Most have theirs.
    if found.taken.is_some() {
        let sql = format!(
            "SELECT DISTINCT t.new FROM rows AS r JOIN taken AS t ON t.old = r.memory
             JOIN sessions AS theirs ON theirs.key = t.session JOIN sessions AS ours ON ours.key = r.session
             WHERE r.key = ?1 AND {TAKES} ORDER BY t.since, t.new"
        );
        let mut statement = file.prepare(&sql)?;
        let new: Vec<String> = statement.query_map([found.key], |row| row.get(0))?.collect::<Result<_, _>>()?;
        found.row.superseded_by = new.iter().filter_map(|id| id.parse().ok()).collect();
    }
    Ok(found.row)
}

/// Lists memories, newest first.
pub(super) fn list(table: &Table, query: &RememberedQuery) -> Result<RememberedPage, FileError> {
    let file = &table.connection;
    let mut found: Vec<Found> = Vec::new();
    for (sql, values) in statements(query) {
        let mut statement = file.prepare(&sql)?;
        found.extend(statement.query_map(params_from_iter(values), read)?.collect::<Result<Vec<_>, _>>()?);
    }
    found.sort_by_key(|one| Reverse((one.row.at, one.row.memory.id, one.key)));
    // Some are known in more than one way.
    found.dedup_by_key(|one| one.key);
    let more = found.len() > query.limit;
    found.truncate(query.limit);
    let rows = found.into_iter().map(|one| told(file, one)).collect::<Result<_, _>>()?;
    Ok(RememberedPage { rows, more, behind: 0 })
}

/// Returns what finds them, in so many statements that an index has each in its order.
fn statements(query: &RememberedQuery) -> Vec<(String, Vec<Value>)> {
    let ways = match (&query.known_to, &query.agent) {
        (Some(sight), _) => narrow::of_others(sight),
        (None, Some(agent)) => narrow::of_agent(agent, query.scope),
        (None, None) => vec![Narrow::by("TRUE")],
    };
    let statement = |mut narrow: Narrow| {
        if let Some(session) = query.session {
            let session = narrow.name(session.to_string());
            narrow.and(&format!("r.session = (SELECT key FROM sessions WHERE id = {session})"));
        }
        narrow.scope(query.scope);
        if let Some((at, memory)) = query.after {
            let (at, memory) = (narrow.name(at.micros()), narrow.name(memory.to_string()));
            narrow.and(&format!("r.at <= {at} AND (r.at < {at} OR r.memory < {memory})"));
        }
        if !query.superseded {
            narrow.and("r.taken IS NULL");
        }
        let limit = narrow.name(i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX));
        let sql = format!("{ROW} WHERE {} ORDER BY r.at DESC, r.memory DESC LIMIT {limit}", narrow.sql);
        (sql, narrow.values)
    };
    ways.into_iter().map(statement).collect()
}

/// Returns one with all that is known of it.
pub(super) fn get(table: &Table, memory: MemoryId) -> Result<Option<Provenance>, FileError> {
    let file = &table.connection;
    let Some(row) = one(file, memory)? else { return Ok(None) };
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
    let found = statement.query_map([memory.to_string()], read)?.next().transpose()?;
    found.map(|found| told(file, found)).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sight;

    #[test]
    fn every_list_is_read_in_the_order_of_an_index() {
        let table = Table::in_memory().unwrap();
        let agent = Some("one".to_owned());
        let known_to =
            Some(Sight { agent: agent.clone(), session: Some(SessionId::from_bits(1)), project: Some("p".into()) });
        let after = Some((moment(9), MemoryId::from_bits(9)));
        let usual = RememberedQuery { limit: 20, ..RememberedQuery::default() };
        for query in [
            RememberedQuery { agent, ..usual.clone() },
            RememberedQuery { known_to, ..usual.clone() },
            RememberedQuery { session: Some(SessionId::from_bits(1)), ..usual.clone() },
            RememberedQuery { after, superseded: true, ..usual.clone() },
            usual,
        ] {
            for (sql, values) in statements(&query) {
                let mut plan = table.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let steps = plan.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
                let steps: Vec<String> = steps.map(Result::unwrap).collect();
                assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
            }
        }
    }
}
