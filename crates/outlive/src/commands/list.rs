//! Lists sessions.

use outlive_protocol::Page;
use outlive_protocol::session::{SessionRow, SleepView};
use outlive_runtime::clock::{Clock as _, SystemClock};
use outlive_tui::Sleep;

use crate::cli::List;
use crate::client::{Client, encoded};
use crate::exit::Failure;
use crate::show;

/// Sessions in one answer of the server.
const PAGE: usize = 200;

pub async fn run(client: &Client, filter: List) -> Result<(), Failure> {
    let List { agent, status, project, label, archived, q, sort, limit: most, json, trash: _ } = filter;
    // In one value, a comma stands between labels.
    let label: Vec<String> = label.iter().map(|label| label.replace('\\', "\\\\").replace(',', "\\,")).collect();
    let label = (!label.is_empty()).then(|| label.join(","));
    let archived = archived.map(|archived| archived.to_string());
    let filter = [
        ("agent", agent),
        ("status", status),
        ("project", project),
        ("label", label),
        ("archived", archived),
        ("q", q),
        ("sort", sort),
    ];
    let query = query(&filter);
    let mut all = Page { items: Vec::new(), next_cursor: None };
    while all.items.len() < most {
        let limit = (most - all.items.len()).min(PAGE);
        let cursor = all.next_cursor.map(|cursor: String| format!("&cursor={}", encoded(&cursor))).unwrap_or_default();
        let page: Page<SessionRow> = client.get(&format!("/sessions?{query}limit={limit}{cursor}")).await?;
        all.items.extend(page.items);
        all.next_cursor = page.next_cursor;
        if all.next_cursor.is_none() {
            break;
        }
    }
    if json {
        return show::json(&all);
    }
    let rows: Vec<Vec<String>> = all
        .items
        .into_iter()
        .map(|row| {
            let title = show::label(&row.title.unwrap_or_default()).chars().take(40).collect();
            let status = row.sleep.map(|sleep| asleep(&row.status, sleep)).unwrap_or(row.status);
            vec![row.id, row.agent, status, row.updated_at.to_string(), title]
        })
        .collect();
    show::table(&["SESSION", "AGENT", "STATUS", "UPDATED", "TITLE"], &rows);
    Ok(())
}

/// Until when it sleeps, and why.
fn asleep(status: &str, sleep: SleepView) -> String {
    let SleepView { until, signal, reason } = sleep;
    let sleep = Sleep { until, signal, reason: show::label(&reason).chars().take(40).collect() };
    format!("{status} {}", sleep.shown(SystemClock.now()))
}

/// Returns what is given as the beginning of a query string.
pub fn query(filter: &[(&str, Option<String>)]) -> String {
    filter.iter().filter_map(|(key, value)| Some(format!("{key}={}&", encoded(value.as_ref()?)))).collect()
}
