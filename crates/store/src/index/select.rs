//! Makes a statement of a question for a page of the list.
//!
//! Invariant: what a caller says is only ever a value; the text has none of it.

use rusqlite::types::Value;

use super::query::{Key, ListQuery, Sort, Sought};
use super::table::COLUMNS;

/// Conditions with their values, in order.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Where {
    /// Adds a condition; `?` in it stands for the value.
    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        let name = self.name(value);
        self.conditions.push(condition.replace('?', &name));
    }

    fn name(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}

/// Returns the statement and its values.
pub(super) fn page(query: &ListQuery, limit: usize) -> (String, Vec<Value>) {
    let mut wanted = Where::default();
    narrow(&mut wanted, query);
    let (column, order) = (column(query.sort), if query.ascending { "ASC" } else { "DESC" });
    if let Some((key, session)) = &query.after {
        let key = match key {
            Key::At(at) => wanted.name(*at),
            Key::Title(title) => wanted.name(title.clone()),
        };
        let session = wanted.name(session.to_string());
        let beyond = if query.ascending { ">" } else { "<" };
        wanted.conditions.push(format!("({column}, id) {beyond} ({key}, {session})"));
    }
    let limit = wanted.name(i64::try_from(limit).unwrap_or(i64::MAX));
    let conditions = if wanted.conditions.is_empty() { "TRUE".to_owned() } else { wanted.conditions.join(" AND ") };
    // The ids by the index alone, then the rows of those few.
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions WHERE id IN (
             SELECT id FROM sessions INDEXED BY by_{column} WHERE {conditions} ORDER BY {column} {order}, id {order} LIMIT {limit}
         ) ORDER BY +{column} {order}, +id {order}"
    );
    (sql, wanted.values)
}

fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Updated => "updated_at",
        Sort::Created => "created_at",
        Sort::Title => "title_key",
    }
}

fn narrow(wanted: &mut Where, query: &ListQuery) {
    let filters = [(&query.agent, "agent = ?"), (&query.status, "status = ?"), (&query.project, "project = ?")];
    for (value, condition) in filters {
        if let Some(value) = value {
            wanted.add(condition, value.clone());
        }
    }
    if let Some(task) = &query.of_task {
        wanted.add("instr(tags, ?) > 0", task.tag());
    }
    for label in &query.labels {
        wanted.add("instr(tags, ?) > 0", label.tag());
    }
    match query.archived {
        Some(true) => wanted.conditions.push("status = 'archived'".to_owned()),
        Some(false) => wanted.conditions.push("status <> 'archived'".to_owned()),
        None => {}
    }
    if let Some(sought) = query.text.as_deref().map(Sought::new) {
        let title = wanted.name(sought.in_title);
        let id = sought.in_id.map(|part| format!(" OR instr(id, {}) > 0", wanted.name(part))).unwrap_or_default();
        wanted.conditions.push(format!("(instr(title_key, {title}) > 0{id})"));
    }
}
