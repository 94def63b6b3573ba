//! What a page of the list is: which rows, in which order, from where on.
//!
//! Invariant: [`page`] and the statement that a table makes of the same query give the same rows.

use std::collections::BTreeMap;

use outlive_core::id::SessionId;
use outlive_core::task::Task;

use super::Row;

/// What a list is ordered by; rows that are alike come by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// When the last event was.
    #[default]
    Updated,
    /// When the session was made.
    Created,
    /// The title, in lower case; none comes first.
    Title,
}

/// What a row is ordered by, as a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Microseconds since 1970.
    At(i64),
    /// A title in lower case.
    Title(String),
}

/// A label that a row must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub key: String,
    /// Its value; any, when it is left out.
    pub value: Option<String>,
}

/// A task that a row must have, in whatever state and role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfTask {
    /// Its feature; without, those of no feature.
    pub feature: Option<String>,
    /// Its name; without, those that have none.
    pub task: Option<String>,
}

/// What a list shows and in which order.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only with this status.
    pub status: Option<String>,
    /// Only of this project.
    pub project: Option<String>,
    /// Only of this task.
    pub of_task: Option<Box<OfTask>>,
    /// Only with all of these labels.
    pub labels: Vec<Label>,
    /// Only what is put away, or only what is not.
    pub archived: Option<bool>,
    /// Only with this text in title or id, case-insensitive.
    pub text: Option<String>,
    /// By what.
    pub sort: Sort,
    /// Smallest first instead of largest first.
    pub ascending: bool,
    /// After this row: key and id of the last one seen.
    pub after: Option<(Key, SessionId)>,
    /// At most this many.
    pub limit: usize,
}

const ARCHIVED: &str = "archived";
/// Before and after each label, and between its name and its value. What a row is for stands like a label among them.
const LABEL: char = '\u{1f}';
const VALUE: char = '\u{1e}';
/// Before each part of a task.
const TASK: char = '\u{1d}';

impl Row {
    /// Returns where the row stands in a list of this order.
    #[must_use]
    pub fn place(&self, sort: Sort) -> (Key, SessionId) {
        let key = match sort {
            Sort::Updated => Key::At(self.updated_at),
            Sort::Created => Key::At(self.created_at),
            Sort::Title => Key::Title(self.title_key()),
        };
        (key, self.session)
    }

    /// Returns what titles are ordered and looked through by.
    pub(super) fn title_key(&self) -> String {
        self.title.as_deref().unwrap_or_default().to_lowercase()
    }

    /// Returns the labels as one text that [`Label::tag`] is a piece of.
    pub(super) fn tags(&self) -> String {
        let labels: BTreeMap<String, String> = serde_json::from_str(&self.labels).unwrap_or_default();
        let end = if labels.is_empty() { String::new() } else { LABEL.to_string() };
        let of = |task: &Task| OfTask { feature: task.feature.clone(), task: task.task.clone() }.tag();
        let task = self.task.as_deref().map(of).unwrap_or_default();
        labels.iter().map(|(key, value)| format!("{LABEL}{key}{VALUE}{value}")).collect::<String>() + &end + &task
    }
}

impl Label {
    pub(super) fn tag(&self) -> String {
        let value = self.value.as_ref().map(|value| format!("{value}{LABEL}")).unwrap_or_default();
        format!("{LABEL}{}{VALUE}{value}", self.key)
    }
}

impl OfTask {
    /// What is not there is not the empty text.
    pub(super) fn tag(&self) -> String {
        let part = |text: &Option<String>| text.as_ref().map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
        format!("{LABEL}{TASK}{}{TASK}{}{LABEL}", part(&self.feature), part(&self.task))
    }
}

/// A text to look for, in the forms in which titles and ids have it.
pub(super) struct Sought {
    pub(super) in_title: String,
    /// Nothing, where no id can have it.
    pub(super) in_id: Option<String>,
}

impl Sought {
    pub(super) fn new(text: &str) -> Self {
        let in_title = text.to_lowercase();
        let (prefix, rest) = in_title.split_once('_').map_or((None, in_title.as_str()), |(p, rest)| (Some(p), rest));
        let fits = prefix.is_none_or(|prefix| "ses".ends_with(prefix))
            && rest.chars().all(|c| c.is_ascii_alphanumeric() && !"ilou".contains(c));
        let prefix = prefix.map(|prefix| format!("{prefix}_")).unwrap_or_default();
        let in_id = fits.then(|| prefix + &rest.to_ascii_uppercase());
        Self { in_title, in_id }
    }

    fn is_in(&self, row: &Row) -> bool {
        let id = || row.session.to_string();
        row.title_key().contains(&self.in_title) || self.in_id.as_ref().is_some_and(|part| id().contains(part))
    }
}

impl ListQuery {
    fn shows(&self, row: &Row) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        let place = row.place(self.sort);
        let tags = row.tags();
        fits(&self.agent, Some(&row.agent))
            && fits(&self.status, Some(&row.status))
            && fits(&self.project, row.project.as_deref())
            && self.of_task.as_ref().is_none_or(|task| tags.contains(&task.tag()))
            && self.labels.iter().all(|label| tags.contains(&label.tag()))
            && self.archived.is_none_or(|archived| archived == (row.status == ARCHIVED))
            && self.text.as_deref().is_none_or(|text| Sought::new(text).is_in(row))
            && self.after.as_ref().is_none_or(|seen| if self.ascending { place > *seen } else { place < *seen })
    }
}

/// Returns the page of these rows that the query asks for.
#[must_use]
pub fn page(rows: impl IntoIterator<Item = Row>, query: &ListQuery) -> Vec<Row> {
    let mut shown: Vec<Row> = rows.into_iter().filter(|row| query.shows(row)).collect();
    shown.sort_by_cached_key(|row| row.place(query.sort));
    if !query.ascending {
        shown.reverse();
    }
    shown.truncate(query.limit);
    shown
}
