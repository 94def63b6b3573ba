//! Deletes sessions, brings them back, empties the trash.

use std::io::IsTerminal as _;

use outlive_protocol::Page;
use outlive_protocol::session::SessionView;
use outlive_protocol::trash::{Emptied, TrashRow};
use reqwest::Method;

use crate::cli::Trash;
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Trash) -> Outcome {
    let client = connect(place).await?;
    match command {
        Trash::List(json) => list(&client, usize::MAX, json.json).await?,
        Trash::Empty { yes } => empty(&client, yes).await?,
    }
    ok()
}

/// Lists what is in the trash.
///
/// # Errors
///
/// What the server says.
pub async fn list(client: &Client, most: usize, json: bool) -> Result<(), Failure> {
    let mut all: Page<TrashRow> = client.all("/trash").await?;
    all.items.truncate(most);
    if json {
        return show::json(&all);
    }
    let line = |row: TrashRow| {
        let title = row.row.title.unwrap_or_default().chars().take(40).collect();
        vec![row.row.id, row.row.agent, row.row.head.to_string(), row.deleted_at.to_string(), title]
    };
    let rows: Vec<Vec<String>> = all.items.into_iter().map(line).collect();
    show::table(&["SESSION", "AGENT", "EVENTS", "DELETED", "TITLE"], &rows);
    Ok(())
}

async fn empty(client: &Client, yes: bool) -> Result<(), Failure> {
    let there: Page<TrashRow> = client.all("/trash").await?;
    let sessions = counted(there.items.len());
    if !there.items.is_empty() {
        ask(yes, &format!("delete {sessions} for good? Nothing can bring them back. Type yes:"))?;
    }
    // Asked for also where nothing lies there: what an earlier erasure could not finish goes on.
    let emptied: Emptied = client.send(Method::DELETE, "/trash", &serde_json::json!({})).await?;
    match emptied.erased {
        0 => say!("the trash is empty"),
        erased => say!("deleted {} for good", counted(erased)),
    }
    Ok(())
}

fn counted(sessions: usize) -> String {
    if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") }
}

/// Moves a session to the trash.
///
/// # Errors
///
/// What the server says.
pub async fn delete(client: &Client, session: &str) -> Result<(), Failure> {
    client.delete(&format!("/sessions/{session}")).await?;
    say!("{session} is in the trash; outlive session restore {session} brings it back");
    Ok(())
}

/// Deletes a session for good.
///
/// # Errors
///
/// The person does not want it, or what the server says.
pub async fn delete_for_good(client: &Client, session: &str, yes: bool) -> Result<(), Failure> {
    ask(yes, &format!("delete {session} for good, journal and all? Nothing can bring it back. Type yes:"))?;
    client.delete(&format!("/sessions/{session}?for_good=true")).await?;
    say!("deleted {session} for good");
    Ok(())
}

/// Brings a session back.
///
/// # Errors
///
/// What the server says.
pub async fn restore(client: &Client, session: &str) -> Result<(), Failure> {
    let route = format!("/sessions/{session}/restore");
    let view: SessionView = client.send(Method::POST, &route, &serde_json::json!({})).await?;
    say!("{} is back: {}, titled {}", view.row.id, view.row.status, view.row.title.as_deref().unwrap_or("-"));
    Ok(())
}

/// Asks a person at a terminal; anything else must say `--yes`.
fn ask(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("say --yes to delete for good without being asked".to_owned()));
    }
    say!("{question}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() == "yes" { Ok(()) } else { Err(Failure::Denied("not deleted".to_owned())) }
}
