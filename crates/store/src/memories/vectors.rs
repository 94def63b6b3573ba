//! What texts mean, in numbers: kept with their model and length, compared one by one.
//!
//! Invariants: only vectors of the same model and length are compared; one that is no vector is not kept: without a
//! length, or with what is no number.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::find::Narrow;
use super::table::Table;
use super::{Measured, Space};
use crate::sqlite::FileError;

/// Returns memories that have no vector of this model, newest first.
pub(super) fn missing(table: &Table, model: &str, limit: usize) -> Result<Vec<Measured<()>>, FileError> {
    let mut statement = table.connection.prepare(
        "SELECT r.memory, t.text FROM rows AS r JOIN texts AS t ON t.key = r.key
         WHERE NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.key = r.key AND v.model = ?1)
         ORDER BY r.at DESC, r.memory DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![model, limit], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    let one = |(id, text): (String, String)| Some(Measured { memory: id.parse().ok()?, text, vector: () });
    Ok(rows.into_iter().filter_map(one).collect())
}

/// Keeps vectors of texts that are as they were.
pub(super) fn keep(table: &mut Table, space: &Space, vectors: &[Measured<Vec<f32>>]) -> Result<(), FileError> {
    let transaction = table.connection.transaction()?;
    {
        let mut insert = transaction.prepare(
            "INSERT OR REPLACE INTO vectors (key, model, dimensions, vector)
             SELECT r.key, ?2, ?3, ?4 FROM rows AS r JOIN texts AS t ON t.key = r.key WHERE r.memory = ?1 AND t.text = ?5",
        )?;
        for one in vectors.iter().filter(|one| one.vector.len() == space.dimensions) {
            let Some(unit) = unit(&one.vector) else { continue };
            let bytes: Vec<u8> = unit.iter().flat_map(|number| number.to_le_bytes()).collect();
            let dimensions = i64::try_from(space.dimensions).unwrap_or(i64::MAX);
            insert.execute(params![one.memory.to_string(), space.model, dimensions, bytes, one.text])?;
        }
    }
    Ok(transaction.commit()?)
}

/// Returns the memories whose meaning is nearest, nearest first.
pub(super) fn nearest(
    file: &Connection,
    (space, vector): (&Space, &[f32]),
    narrow: &Narrow,
    limit: usize,
) -> Result<Vec<i64>, FileError> {
    let Some(asked) = unit(vector).filter(|asked| asked.len() == space.dimensions) else { return Ok(Vec::new()) };
    let mut values: Vec<Value> = narrow.values.clone();
    values.push(space.model.clone().into());
    let model = values.len();
    values.push(i64::try_from(space.dimensions).unwrap_or(i64::MAX).into());
    let sql = format!(
        "SELECT v.key, v.vector FROM vectors AS v CROSS JOIN rows AS r ON r.key = v.key
         CROSS JOIN sessions AS s ON s.key = r.session WHERE v.model = ?{model} AND v.dimensions = ?{} AND {}",
        values.len(),
        narrow.sql,
    );
    let mut statement = file.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut near: Vec<(f32, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let likeness = likeness(&asked, row.get_ref(1)?.as_blob().unwrap_or_default());
        near.push((likeness, row.get(0)?));
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    // What points the other way means something else.
    Ok(near.into_iter().take(limit).filter(|(likeness, _)| *likeness > 0.0).map(|(_, key)| key).collect())
}

/// Returns a vector of length one in the same direction; nothing where there is none.
fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
    let fits = length.is_finite() && length > 0.0 && !vector.is_empty();
    fits.then(|| vector.iter().map(|number| (f64::from(*number) / length) as f32).collect())
}

fn likeness(asked: &[f32], kept: &[u8]) -> f32 {
    let (numbers, _) = kept.as_chunks::<4>();
    asked.iter().zip(numbers).map(|(a, b)| a * f32::from_le_bytes(*b)).sum()
}
