//! The list of sessions: narrowed, ordered, page by page.

use axum::Json;
use axum::extract::State;
use outlive_core::id::SessionId;
use outlive_core::session::Status;
use outlive_core::time::Timestamp;
use outlive_protocol::session::{SessionRow, SleepView};
use outlive_protocol::{Page, Problem, code};
use outlive_runtime::{Key, Label, ListQuery, Row, Sort};
use serde::Deserialize;

use crate::App;
use crate::body::{Query, limit};
use crate::problem::{ApiError, ApiResult};

/// What a list shows.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only this agent's.
    agent: Option<String>,
    /// Only with this status.
    status: Option<String>,
    /// Only of this project.
    project: Option<String>,
    /// Only with this label: `KEY`, or `KEY=VALUE`; several are joined by commas, and a comma in one is written `\,`.
    label: Option<String>,
    /// Only what is put away (`true`), or only what is not (`false`).
    archived: Option<bool>,
    /// Only with this text in title or id, in upper or lower case.
    q: Option<String>,
    /// `updated`, `created` or `title`; with a `-` before it largest first. `-updated` by default.
    sort: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<usize>,
    /// From the page before.
    cursor: Option<String>,
}

/// What a list that names no order is ordered by.
const NEWEST: Order = Order { sort: Sort::Updated, ascending: false };

/// How a list is ordered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    sort: Sort,
    ascending: bool,
}

impl Order {
    fn read(word: Option<&str>) -> ApiResult<Self> {
        let Some(word) = word else { return Ok(NEWEST) };
        let (ascending, name) = word.strip_prefix('-').map_or((true, word), |name| (false, name));
        let sort = [Sort::Updated, Sort::Created, Sort::Title].into_iter().find(|sort| named(*sort) == name);
        let shown: String = word.chars().take(40).collect();
        let refuse = || ApiError::new(&code::INVALID, format!("sort is updated, created or title, not `{shown}`"));
        Ok(Self { sort: sort.ok_or_else(refuse)?, ascending })
    }

    fn word(self) -> String {
        format!("{}{}", if self.ascending { "" } else { "-" }, named(self.sort))
    }
}

fn named(sort: Sort) -> &'static str {
    match sort {
        Sort::Updated => "updated",
        Sort::Created => "created",
        Sort::Title => "title",
    }
}

/// Lists sessions, newest first unless another order is asked for.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(Filter),
    responses((status = 200, body = Page<SessionRow>), (status = 422, body = Problem)))]
pub(super) async fn list(State(app): State<App>, Query(filter): Query<Filter>) -> ApiResult<Json<Page<SessionRow>>> {
    let limit = limit(filter.limit, 50, 200)?;
    let order = Order::read(filter.sort.as_deref())?;
    if let Some(other) =
        filter.status.as_deref().filter(|status| Status::ALL.iter().all(|known| known.as_str() != *status))
    {
        let known: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        return Err(ApiError::new(&code::INVALID, format!("status is one of {}, not `{other}`", known.join(", "))));
    }
    let query = ListQuery {
        agent: filter.agent,
        status: filter.status,
        project: filter.project,
        of_task: None,
        labels: filter.label.as_deref().map(labels).transpose()?.unwrap_or_default(),
        archived: filter.archived,
        text: filter.q,
        sort: order.sort,
        ascending: order.ascending,
        after: filter.cursor.as_deref().map(|cursor| read_cursor(order, cursor)).transpose()?,
        limit,
    };
    let rows = app.runtime.list(query).await?;
    let next_cursor = next_cursor(order, &rows, limit);
    Ok(Json(Page { items: rows.into_iter().map(row).collect(), next_cursor }))
}

fn labels(text: &str) -> ApiResult<Vec<Label>> {
    let mut labels = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, labels.last_mut()) {
            ('\\', Some(label)) if matches!(chars.peek(), Some(',' | '\\')) => label.extend(chars.next()),
            (',', _) => labels.push(String::new()),
            (c, Some(label)) => label.push(c),
            (_, None) => {}
        }
    }
    let read = |label: String| {
        let (key, value) = label.split_once('=').map_or((label.as_str(), None), |(key, value)| (key, Some(value)));
        if key.is_empty() {
            return Err(ApiError::new(&code::INVALID, "label is KEY or KEY=VALUE; several are joined by commas"));
        }
        Ok(Label { key: key.to_owned(), value: value.map(str::to_owned) })
    };
    if labels.len() > outlive_core::limits::LABELS {
        let most = outlive_core::limits::LABELS;
        return Err(ApiError::new(&code::INVALID, format!("label: a session has at most {most}")));
    }
    labels.into_iter().map(read).collect()
}

/// Where the page of newest sessions after this one begins.
pub(super) fn newest_cursor(rows: &[Row], limit: usize) -> Option<String> {
    next_cursor(NEWEST, rows, limit)
}

/// Reads where a page of newest sessions begins.
pub(super) fn read_newest(text: &str) -> ApiResult<(Key, SessionId)> {
    read_cursor(NEWEST, text)
}

/// Where the page after this one begins; a page that is not full is the last.
fn next_cursor(order: Order, rows: &[Row], limit: usize) -> Option<String> {
    let (key, session) = rows.last().filter(|_| rows.len() == limit)?.place(order.sort);
    let key = match key {
        Key::At(at) => at.to_string(),
        // No character of a title has a meaning in an address.
        Key::Title(title) => title.bytes().map(|byte| format!("{byte:02x}")).collect(),
    };
    Some(format!("{}.{key}.{session}", order.word()))
}

fn read_cursor(order: Order, text: &str) -> ApiResult<(Key, SessionId)> {
    let read = || {
        let (key, session) = text.strip_prefix(&order.word())?.strip_prefix('.')?.split_once('.')?;
        let key = match order.sort {
            Sort::Updated | Sort::Created => Key::At(key.parse().ok()?),
            Sort::Title => Key::Title(from_hex(key)?),
        };
        Some((key, session.parse().ok()?))
    };
    read().ok_or_else(|| ApiError::new(&code::INVALID, "cursor is not one that this list gave out in this order"))
}

fn from_hex(text: &str) -> Option<String> {
    let nibbles: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|n| u8::try_from(n).ok())).collect();
    let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0)?;
    let bytes = nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect();
    String::from_utf8(bytes).ok()
}

pub(super) fn row(row: Row) -> SessionRow {
    let waits = row.waits.iter().filter(|wait| !wait.ended).filter_map(|wait| serde_json::from_str(&wait.terms).ok());
    let sleep = if row.status == "sleeping" { SleepView::first(waits) } else { None };
    SessionRow {
        id: row.session.to_string(),
        agent: row.agent,
        title: row.title,
        project: row.project,
        task: row.task.map(|task| *task),
        status: row.status,
        head: row.head,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
        labels: serde_json::from_str(&row.labels).unwrap_or_default(),
        sleep,
    }
}
