//! What texts mean, in numbers: kept with what made them and their length, compared one by one.
//!
//! Invariants: only vectors of the same space are compared; a memory has at most one of each service; one that is no
//! vector is not kept: without a length, or with what is no number.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::narrow::Narrow;
use super::table::Table;
use super::{Measured, Space, Unmeasured};
use crate::sqlite::FileError;

/// Numbers that are multiplied at once.
const LANES: usize = 8;

/// What was compared.
#[derive(Default)]
pub(super) struct Near {
    /// The memories whose meaning is nearest, nearest first.
    pub(super) keys: Vec<i64>,
    /// Memories without a vector that could be compared.
    pub(super) without: usize,
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns memories that have no vector of this service, or of this space, newest first.
pub(super) fn missing(table: &Table, query: &Unmeasured) -> Result<Vec<Measured<()>>, FileError> {
    let mut statement = table.connection.prepare(
        "SELECT DISTINCT r.memory, t.text, r.at FROM rows AS r JOIN texts AS t ON t.key = r.key
         WHERE (?2 IS NULL OR r.scope = 3 OR r.agent = ?2) AND NOT EXISTS (
             SELECT 1 FROM vectors AS v WHERE v.key = r.key AND v.service = ?1
             AND (?3 IS NULL OR (v.model = ?3 AND v.dimensions = ?4)))
         ORDER BY r.at DESC, r.memory DESC LIMIT ?5",
    )?;
    let (model, dimensions) = query.space.as_ref().map(|space| (&space.model, whole(space.dimensions))).unzip();
    let values = params![query.service, query.agent, model, dimensions, whole(query.limit)];
    let rows = statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    let one = |(id, text): (String, String)| Some(Measured { memory: id.parse().ok()?, text, vector: () });
    Ok(rows.into_iter().filter_map(one).collect())
}

/// Keeps vectors of texts that are as they were, in the place of those that the service made before.
pub(super) fn keep(table: &mut Table, space: &Space, vectors: &[Measured<Vec<f32>>]) -> Result<(), FileError> {
    let transaction = table.connection.transaction()?;
    {
        let mut insert = transaction.prepare(
            "INSERT OR REPLACE INTO vectors (key, service, model, dimensions, vector)
             SELECT r.key, ?2, ?3, ?4, ?5 FROM rows AS r JOIN texts AS t ON t.key = r.key
             WHERE r.memory = ?1 AND t.text = ?6",
        )?;
        for one in vectors.iter().filter(|one| one.vector.len() == space.dimensions) {
            let Some(unit) = unit(&one.vector) else { continue };
            let bytes: Vec<u8> = unit.iter().flat_map(|number| number.to_le_bytes()).collect();
            let of = (&space.service, &space.model, whole(space.dimensions));
            insert.execute(params![one.memory.to_string(), of.0, of.1, of.2, bytes, one.text])?;
        }
    }
    Ok(transaction.commit()?)
}

/// Takes out the vectors of all services but these.
pub(super) fn retain(table: &mut Table, services: &BTreeSet<String>) -> Result<(), FileError> {
    let there: Vec<String> = {
        let mut statement = table.connection.prepare("SELECT DISTINCT service FROM vectors")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for gone in there.iter().filter(|service| !services.contains(*service)) {
        table.connection.execute("DELETE FROM vectors WHERE service = ?1", [gone])?;
    }
    Ok(())
}

/// Compares the vectors of all memories that are seen with this one.
pub(super) fn nearest(
    file: &Connection,
    (space, vector): (&Space, &[f32]),
    narrow: &Narrow,
    limit: usize,
) -> Result<Near, FileError> {
    let Some(asked) = unit(vector).filter(|asked| asked.len() == space.dimensions) else { return Ok(Near::default()) };
    let mut values: Vec<Value> = narrow.values.clone();
    let at = values.len();
    values.extend([space.service.clone().into(), space.model.clone().into(), whole(space.dimensions).into()]);
    let sql = format!(
        "SELECT v.key, v.vector FROM rows AS r CROSS JOIN sessions AS s ON s.key = r.session
         LEFT JOIN vectors AS v ON v.key = r.key AND v.service = ?{} AND v.model = ?{} AND v.dimensions = ?{} WHERE {}",
        at + 1,
        at + 2,
        at + 3,
        narrow.sql,
    );
    let mut statement = file.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut near, mut without): (Vec<(f32, i64)>, usize) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        match row.get::<_, Option<i64>>(0)? {
            Some(key) => near.push((likeness(&asked, row.get_ref(1)?.as_blob().unwrap_or_default()), key)),
            None => without += 1,
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // What points the other way means something else.
    let keys = near.into_iter().take(limit).filter(|(likeness, _)| *likeness > 0.0).map(|(_, key)| key).collect();
    Ok(Near { keys, without })
}

/// Returns a vector of length one in the same direction; nothing where there is none.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
    let fits = length.is_finite() && length > 0.0 && !vector.is_empty();
    fits.then(|| vector.iter().map(|number| (f64::from(*number) / length) as f32).collect())
}

fn likeness(asked: &[f32], kept: &[u8]) -> f32 {
    let (numbers, _) = kept.as_chunks::<4>();
    let mut lanes = [0.0_f32; LANES];
    for (asked, numbers) in asked.chunks(LANES).zip(numbers.chunks(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(asked).zip(numbers) {
            *lane += a * f32::from_le_bytes(*b);
        }
    }
    lanes.iter().sum()
}
