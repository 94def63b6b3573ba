//! Answers a question in bounded time: looks for candidates in each way, and has the core put them in order.
//!
//! The rarer a word, the more it says: words are looked for from the rarest on, until so many memories have them that the
//! rest would say nothing more.

use std::collections::{BTreeMap, HashMap};

use outlive_core::id::SessionId;
use outlive_core::memory::question::Question;
use outlive_core::memory::rank::{Candidate, Places, Ranked, rank};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::narrow::Narrow;
use super::read::{self, Found};
use super::table::Table;
use super::{RecallHit, RecallQuery, Recalled, Sight, Ways, vectors};
use crate::search::prepared;
use crate::sqlite::FileError;

/// Candidates that each way of looking brings.
const CANDIDATES: usize = 128;
/// Memories that are looked at for their words, about.
const LOOKED_AT: usize = 12_000;
/// Parts of words that are looked for.
const PARTS: usize = 24;

/// Finds memories, best first.
pub(super) fn recall(table: &Table, query: &RecallQuery) -> Result<Recalled, FileError> {
    let mut question = Question::read(&query.text);
    if query.ways == Ways::WithoutKin {
        question.kin.clear();
    }
    // What has no word that says something may mean something.
    if (question.is_empty() && query.vector.is_none()) || query.limit == 0 {
        return Ok(Recalled::default());
    }
    let file = &table.connection;
    let narrow = narrowed(file, query)?;
    let mut places: BTreeMap<i64, Places> = BTreeMap::new();
    let asked = counted(file, question.words.iter().map(String::as_str))?;
    let telling = affordable(&asked);
    note(&mut places, narrow.look(file, "words", &telling)?, |places| &mut places.words);
    if !question.kin.is_empty() {
        let mut kin = counted(file, question.kin.iter().copied())?;
        kin.extend(asked.iter().filter(|(term, _)| telling.contains(term)).cloned());
        note(&mut places, narrow.look(file, "words", &affordable(&kin))?, |places| &mut places.kin);
    }
    let unknown: Vec<&str> =
        question.words.iter().map(String::as_str).filter(|word| is_missing(&asked, word)).collect();
    let parts = parts(&unknown);
    if !parts.is_empty() {
        note(&mut places, narrow.look(file, "parts", &parts)?, |places| &mut places.parts);
    }
    let mut unmeasured = 0;
    if let Some((space, vector)) = &query.vector {
        let near = vectors::nearest(file, (space, vector), &narrow, CANDIDATES)?;
        note(&mut places, near.keys, |places| &mut places.meaning);
        unmeasured = near.without;
    }
    let rows = read::rows(file, places.keys().copied())?;
    Ok(Recalled { hits: hits(file, &question, (rows, places), query)?, unmeasured, ..Recalled::default() })
}

/// Has the candidates put in order, and makes hits of the best.
fn hits(
    file: &Connection,
    question: &Question,
    (rows, places): (Vec<Found>, BTreeMap<i64, Places>),
    query: &RecallQuery,
) -> Result<Vec<RecallHit>, FileError> {
    let mut rows = rows;
    // A memory that a fork has, too, is one: the one that is asked from, else the first.
    rows.sort_by_key(|found| (query.sight.session != Some(found.row.session), found.row.at, found.row.session));
    let mut seen = std::collections::HashSet::new();
    rows.retain(|found| seen.insert(found.row.memory.id));
    rows.sort_by_key(|found| found.row.memory.id);
    let candidates: Vec<Candidate<'_>> = rows
        .iter()
        .map(|found| Candidate {
            memory: found.row.memory.id,
            text: &found.row.memory.text,
            scope: found.row.memory.scope,
            priority: found.row.memory.priority,
            since: found.row.memory.since,
            holds: holds(found, query),
            places: places.get(&found.key).copied().unwrap_or_default(),
        })
        .collect();
    let best = rank(question, &candidates, query.limit);
    drop(candidates);
    let mut rows: HashMap<usize, Found> = rows.into_iter().enumerate().collect();
    let found = best.into_iter().filter_map(|best| Some((rows.remove(&best.index)?, best)));
    let hit = |(found, Ranked { score, parts, .. }): (Found, Ranked)| {
        Ok(RecallHit { row: read::told(file, found)?, score, explain: parts })
    };
    found.map(hit).collect()
}

/// Says whether a memory holds at the moment that is asked for.
fn holds(found: &Found, query: &RecallQuery) -> bool {
    let moment = query.as_of.unwrap_or(query.now);
    let ended = found.row.memory.until.is_some_and(|until| until <= moment);
    let begun = query.as_of.is_none_or(|as_of| found.row.memory.since <= as_of);
    let taken = found.taken.is_some_and(|since| query.as_of.is_none_or(|as_of| since <= as_of));
    begun && !ended && !taken
}

fn note(places: &mut BTreeMap<i64, Places>, found: Vec<i64>, of: impl Fn(&mut Places) -> &mut Option<usize>) {
    for (n, key) in found.into_iter().enumerate() {
        *of(places.entry(key).or_default()) = Some(n + 1);
    }
}

/// Returns terms with how many memories have them, at most as many as are looked at.
fn counted<'a>(file: &Connection, words: impl Iterator<Item = &'a str>) -> Result<Vec<(String, usize)>, FileError> {
    let mut count = file.prepare("SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ?1 LIMIT ?2)")?;
    let mut counted = Vec::new();
    for word in words {
        let term = quoted(&prepared(word));
        let found: i64 = count.query_row(params![term, LOOKED_AT as i64], |row| row.get(0))?;
        counted.push((term, usize::try_from(found).unwrap_or(0)));
    }
    Ok(counted)
}

fn is_missing(counted: &[(String, usize)], word: &str) -> bool {
    let term = quoted(&prepared(word));
    counted.iter().any(|(other, found)| *other == term && *found == 0)
}

/// Returns the rarest of the terms that are there: at least one.
fn affordable(counted: &[(String, usize)]) -> Vec<String> {
    let mut there: Vec<&(String, usize)> = counted.iter().filter(|(_, found)| *found > 0).collect();
    there.sort_by_key(|(_, found)| *found);
    let mut sum = 0;
    let fits = |(n, (_, found)): &(usize, &(String, usize))| {
        sum += found;
        *n == 0 || sum <= LOOKED_AT
    };
    there.into_iter().enumerate().take_while(fits).map(|(_, (term, _))| term.clone()).collect()
}

/// Returns the parts of words that no memory has as a whole: three letters each.
fn parts(words: &[&str]) -> Vec<String> {
    let mut parts = Vec::new();
    for word in words {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.windows(3).map(|part| quoted(&part.iter().collect::<String>())) {
            if parts.len() < PARTS && !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    parts
}

/// Returns a word as SQLite takes it, whatever its characters are.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', " "))
}

/// What narrows this question: who asks, for which moment.
fn narrowed(file: &Connection, query: &RecallQuery) -> Result<Narrow, FileError> {
    let mut narrow = Narrow::by("TRUE");
    narrow.sight(&known(file, &query.sight)?);
    narrow.scope(query.scope);
    if !query.superseded {
        narrow.holding(query.now, query.as_of);
    }
    Ok(narrow)
}

impl Narrow {
    /// Looks for memories that have some of these terms, those first that have the most and rarest.
    fn look(&self, file: &Connection, index: &str, terms: &[String]) -> Result<Vec<i64>, FileError> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let mut values = self.values.clone();
        values.push(terms.join(" OR ").into());
        let sql = format!(
            "SELECT {index}.rowid FROM {index} CROSS JOIN rows AS r ON r.key = {index}.rowid
             CROSS JOIN sessions AS s ON s.key = r.session WHERE {index} MATCH ?{} AND {}
             ORDER BY bm25({index}), r.since DESC, r.memory LIMIT {CANDIDATES}",
            values.len(),
            self.sql,
        );
        let mut statement = file.prepare(&sql)?;
        Ok(statement.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?)
    }
}

/// Returns who asks, with the agent and the project of the session where only that is said.
fn known(file: &Connection, sight: &Sight) -> Result<Sight, FileError> {
    let mut sight = sight.clone();
    let session = |id: SessionId| {
        let sql = "SELECT agent, project FROM sessions WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        file.query_row(sql, [id.to_string()], read).optional()
    };
    if let Some(id) = sight.session
        && let Some((agent, project)) = session(id)?
    {
        sight.agent = sight.agent.or(Some(agent));
        sight.project = sight.project.or(project);
    }
    Ok(sight)
}
