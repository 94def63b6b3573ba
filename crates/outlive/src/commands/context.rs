//! Shows what the next request of a session would be, and what its parts weigh.

use outlive_protocol::Page;
use outlive_protocol::context::ContextView;
use outlive_protocol::session::SessionRow;

use crate::client::{Client, encoded};
use crate::exit::Failure;
use crate::show;

/// Which session, and how to show it.
#[derive(Debug, clap::Args)]
pub struct Context {
    /// The session; the newest when it is left out
    session: Option<String>,
    /// As if this were said now
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Print exactly what would be sent
    #[arg(long, conflicts_with = "json")]
    request: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Columns of a full bar.
const BAR: u64 = 40;

/// Shows it.
///
/// # Errors
///
/// What the server says.
pub async fn run(client: &Client, context: Context) -> Result<(), Failure> {
    let session = match context.session {
        Some(session) => session,
        None => newest(client).await?,
    };
    let said = context.message.map(|message| format!("?message={}", encoded(&message))).unwrap_or_default();
    let view: ContextView = client.get(&format!("/sessions/{session}/context{said}")).await?;
    if context.json {
        return show::json(&view);
    }
    if context.request {
        return show::json(&view.request);
    }
    let part = |part: &outlive_protocol::context::ContextPart| {
        vec![part.name.clone(), part.tokens.to_string(), bar(part.tokens, view.total)]
    };
    let mut rows: Vec<Vec<String>> = view.parts.iter().map(part).collect();
    rows.push(vec!["total".to_owned(), view.total.to_string(), String::new()]);
    show::table(&["PART", "TOKENS", ""], &rows);
    let thresholds = view.thresholds;
    say!("");
    say!("model   {}", view.model);
    say!("request {} of {} usable tokens, {} % ({})", view.tokens, view.usable, view.percent, view.level);
    say!("warns at {}, compacts from {}, waits at {}", thresholds.warn, thresholds.soft, thresholds.hard);
    Ok(())
}

async fn newest(client: &Client) -> Result<String, Failure> {
    let page: Page<SessionRow> = client.get("/sessions?limit=1").await?;
    let row = page.items.into_iter().next();
    row.map(|row| row.id).ok_or_else(|| Failure::NotFound("there is no session yet".to_owned()))
}

/// A part of a whole, drawn.
fn bar(tokens: u64, total: u64) -> String {
    let columns = (tokens * BAR).checked_div(total).unwrap_or(0).max(u64::from(tokens > 0));
    "▪".repeat(usize::try_from(columns).unwrap_or(0))
}
