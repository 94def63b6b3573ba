//! Answers a question in bounded time, however common its words are.
//!
//! A word that is in more than [`COMMON`] messages says next to nothing about which of them is meant, and counting them all
//! would take long: it narrows, and does not rank. Where all words are like that, the newest messages come first. What a
//! message is besides its words is looked up for those only that are shown, unless the question is about that.

use std::collections::HashMap;

use outlive_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::table::{number, role};
use super::text::{Asked, shown};
use super::{Found, Hit, SearchQuery};
use crate::sqlite::FileError;

/// Messages beyond which a word is common.
const COMMON: usize = 10_000;
/// Newest messages that are looked through where all words are common.
const NEWEST: usize = 20_000;
/// Hits of which so few can be that each is shown as it is met; of more only the best are.
const FEW: usize = 64;
/// A snippet: words in the column `text`, at most 24 of them. The marks are `text::OPEN` and `text::CLOSE`.
const SNIPPET: &str = "snippet(words, 0, char(2), char(3), '…', 24)";

/// A message that was found, as a row; shown already or not.
struct Row {
    key: i64,
    hit: Hit,
    snippet: Option<String>,
}

/// What is known of the words before they are looked for together.
struct Plan {
    /// All of them.
    all: String,
    /// Those that rank.
    telling: String,
    /// Whether there are others.
    has_common: bool,
    /// Whether there can be but few hits.
    is_small: bool,
}

/// Finds messages, best first; how many sessions are behind is for the caller to say.
pub(super) fn find(connection: &Connection, asked: &Asked, query: &SearchQuery) -> Result<Found, FileError> {
    if asked.0.is_empty() || query.limit == 0 {
        return Ok(Found::default());
    }
    let plan = plan(connection, asked)?;
    let (sql, values) = statement(query, &plan);
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), row)?;
    let mut rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    let more = rows.len() > query.limit;
    rows.truncate(query.limit);
    let mut snippets = snippets(connection, &plan.all, &rows)?;
    let mut hits: Vec<Hit> = Vec::with_capacity(rows.len());
    for Row { key, mut hit, snippet } in rows {
        // Two pieces of one message are one hit.
        if hits.iter().any(|other| (other.session, other.seq) == (hit.session, hit.seq)) {
            continue;
        }
        hit.snippet = shown(&snippet.or_else(|| snippets.remove(&key)).unwrap_or_default());
        hits.push(hit);
    }
    Ok(Found { hits, more, behind: 0 })
}

/// Returns the snippets of those rows that have none yet. One walk over what the words lead to is much less than to look
/// them up for each row.
fn snippets(connection: &Connection, all: &str, rows: &[Row]) -> Result<HashMap<i64, String>, FileError> {
    let keys: Vec<i64> = rows.iter().filter(|row| row.snippet.is_none()).map(|row| row.key).collect();
    let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else { return Ok(HashMap::new()) };
    let listed = keys.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let mut statement = connection.prepare(&format!(
        "SELECT rowid, {SNIPPET} FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 AND +rowid IN ({listed})"
    ))?;
    let found = statement.query_map(params![all, first, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn plan(connection: &Connection, asked: &Asked) -> Result<Plan, FileError> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ?1 LIMIT ?2)";
    let mut statement = connection.prepare(sql)?;
    let (mut telling, mut least) = (Vec::new(), usize::MAX);
    for term in &asked.0 {
        let found: i64 = statement.query_row(params![term, COMMON as i64 + 1], |row| row.get(0))?;
        let found = usize::try_from(found).unwrap_or(0);
        least = least.min(found);
        if found <= COMMON {
            telling.push(term.as_str());
        }
    }
    let has_common = telling.len() < asked.0.len();
    let is_small = !has_common && least <= FEW;
    Ok(Plan { all: asked.0.join(" "), telling: telling.join(" "), has_common, is_small })
}

/// Returns the statement for all words and for those that rank, and its values. Keys grow with time.
fn statement(query: &SearchQuery, plan: &Plan) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut name = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut narrows = Vec::new();
    if let Some(agent) = &query.agent {
        narrows.push(format!("s.agent = {}", name(agent.clone().into())));
    }
    if let Some(session) = query.session {
        narrows.push(format!("s.id = {}", name(session.to_string().into())));
    }
    if let Some(role) = query.role {
        narrows.push(format!("m.role = {}", name(number(role).into())));
    }
    let is_narrowed = !narrows.is_empty();
    let narrows = narrows.iter().map(|condition| format!(" AND {condition}")).collect::<String>();
    let range = query.session.map(|session| {
        let id = name(session.to_string().into());
        let one = format!("FROM sessions WHERE id = {id}");
        format!(" AND rowid BETWEEN (SELECT first {one}) AND (SELECT last {one})")
    });
    let range = range.unwrap_or_default();
    let most = if plan.telling.is_empty() { NEWEST.saturating_sub(query.skip) } else { usize::MAX };
    // One more says whether there are more.
    let limit = name(i64::try_from(query.limit.saturating_add(1).min(most)).unwrap_or(i64::MAX).into());
    let skip = name(i64::try_from(query.skip).unwrap_or(i64::MAX).into());
    let page = format!("LIMIT {limit} OFFSET {skip}");
    let (found, order) = if plan.telling.is_empty() {
        let every = name(plan.all.clone().into());
        let newest = if is_narrowed { format!("LIMIT {NEWEST}") } else { page.clone() };
        let found = format!(
            "SELECT rowid AS key, 0.0 AS score, NULL AS snippet FROM words WHERE words MATCH {every}{range}
             ORDER BY rowid DESC {newest}"
        );
        (found, "f.key DESC")
    } else {
        let ranked = name(plan.telling.clone().into());
        let whole = if plan.has_common {
            let every = name(plan.all.clone().into());
            format!(" AND rowid IN (SELECT rowid FROM words WHERE words MATCH {every}{range})")
        } else {
            range
        };
        let snippet = if plan.is_small { SNIPPET } else { "NULL" };
        let best = if is_narrowed { String::new() } else { format!(" ORDER BY score, rowid DESC {page}") };
        let found = format!(
            "SELECT rowid AS key, bm25(words) AS score, {snippet} AS snippet FROM words WHERE words MATCH {ranked}{whole}{best}"
        );
        (found, "f.score, m.at DESC, f.key DESC")
    };
    let page = if is_narrowed { page } else { String::new() };
    let sql = format!(
        "SELECT f.key, s.id, m.seq, m.at, m.role, f.snippet FROM ({found}) AS f CROSS JOIN messages AS m ON m.key = f.key
         CROSS JOIN sessions AS s ON s.key = m.session WHERE TRUE{narrows} ORDER BY {order} {page}"
    );
    (sql, values)
}

fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let id = found.get_ref(1)?.as_str()?;
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error));
    let hit = Hit {
        session: id.parse().map_err(wrong)?,
        seq: u64::try_from(found.get::<_, i64>(2)?).unwrap_or(0),
        at: Timestamp::from_micros(found.get(3)?),
        role: role(found.get(4)?),
        snippet: String::new(),
    };
    Ok(Row { key: found.get(0)?, hit, snippet: found.get(5)? })
}
