//! Relays: those of the workspace, and those of sessions.

use std::path::Path;

use outlive_core::limits::RELAY_BYTES;
use outlive_core::relay::history::Row;
use outlive_core::relay::{Definition, draw, read_text};
use outlive_protocol::relay::{ChangeRelay, RelayRun, RelayStart, RelayView, StartRelay};
use outlive_protocol::session::Done;
use reqwest::Method;
use serde_json::Value;

use super::run::{agent, files};
use crate::cli::relay::{Relay, Start};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Relay) -> Outcome {
    match command {
        Relay::Validate { file } => {
            say!("{}", draw::definition(&read(&file)?));
            return ok();
        }
        Relay::List { json } => list(&connect(place).await?, json).await?,
        Relay::Show { name, json } => show_one(&connect(place).await?, &name, json).await?,
        Relay::Start(start) => begin(&connect(place).await?, start).await?,
        Relay::History { session, json } => history(&connect(place).await?, &session, json).await?,
        Relay::Select { session, state, input, reason } => {
            let change = ChangeRelay::Select { state, input: value(input.as_deref())?, reason, request_id: None };
            changed(place, &session, change).await?;
        }
        Relay::Redefine { session, file, reason } => {
            let definition = serde_json::to_value(read(&file)?)?;
            changed(place, &session, ChangeRelay::Redefine { definition, reason, request_id: None }).await?;
        }
        Relay::Reopen { session, reason, state } => {
            let change = ChangeRelay::Reopen { reason, state, input: Value::Null, request_id: None };
            changed(place, &session, change).await?;
        }
        Relay::Cancel { session, reason } => {
            changed(place, &session, ChangeRelay::Cancel { reason, request_id: None }).await?;
        }
    }
    ok()
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let page = client.all::<RelayView>("/relays").await?;
    if json {
        return show::json(&page);
    }
    if page.items.is_empty() {
        say!("no relays: write one as relays/NAME.yaml in the workspace's folder");
        return Ok(());
    }
    let row = |relay: RelayView| {
        let about = relay.error.or(relay.prompt).unwrap_or_default();
        let first = about.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
        vec![relay.name, relay.states.to_string(), show::label(&first)]
    };
    let rows: Vec<Vec<String>> = page.items.into_iter().map(row).collect();
    show::table(&["RELAY", "STATES", "WHAT FOR"], &rows);
    Ok(())
}

async fn show_one(client: &Client, name: &str, json: bool) -> Result<(), Failure> {
    if name.starts_with("ses_") {
        let run: RelayRun = client.get(&format!("/sessions/{name}/relay?limit=1")).await?;
        if json {
            return show::json(&run);
        }
        say!("{}\n\n{}", show::seen(&run.drawing), show::seen(&run.path));
        return Ok(());
    }
    let relay: RelayView = client.get(&format!("/relays/{name}")).await?;
    if json {
        return show::json(&relay);
    }
    match (relay.drawing, relay.error) {
        (Some(drawing), _) => say!("{}", show::seen(&drawing)),
        (None, error) => return Err(Failure::Failed(error.unwrap_or_default())),
    }
    Ok(())
}

async fn begin(client: &Client, start: Start) -> Result<(), Failure> {
    let Start { name, agent: named, session, state, input, json } = start;
    let named = match &session {
        Some(_) => None,
        None => Some(agent(client, named.as_deref()).await?),
    };
    let body = StartRelay { session, agent: named, state, input: value(input.as_deref())?, request_id: None };
    let started: RelayStart = client.send(Method::POST, &format!("/relays/{name}/start"), &body).await?;
    if json {
        return show::json(&started);
    }
    say!("{name} has begun in {}", started.session_id);
    Ok(())
}

async fn history(client: &Client, session: &str, json: bool) -> Result<(), Failure> {
    let (mut rows, mut cursor): (Vec<Row>, String) = (Vec::new(), String::new());
    loop {
        let run: RelayRun = client.get(&format!("/sessions/{session}/relay?limit=200{cursor}")).await?;
        rows.extend(run.items);
        match run.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if json {
        return show::json(&rows);
    }
    let row = |row: &Row| {
        let ended = row.ended.as_ref();
        let how = ended.map_or("", |end| end.outcome.as_str());
        let state = row.state.clone().unwrap_or_else(|| "-".to_owned());
        let attempt = row.attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
        let error = ended.and_then(|end| end.error.clone());
        let output = ended.map(|end| end.output.as_str().map_or_else(|| end.output.to_string(), str::to_owned));
        let output = output.filter(|output| output != "null" && !output.is_empty());
        let said = error.or(output).or_else(|| row.reason.clone()).unwrap_or_default();
        let said = show::label(&said.chars().take(80).collect::<String>());
        vec![row.at.to_string(), row.what.clone(), state, attempt, how.to_owned(), said]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    show::table(&["AT", "WHAT", "STATE", "ATTEMPT", "OUTCOME", "SAID"], &rows);
    Ok(())
}

async fn changed(place: &Workspace, session: &str, change: ChangeRelay) -> Result<(), Failure> {
    let client = connect(place).await?;
    let done: Done = client.send(Method::POST, &format!("/sessions/{session}/relay"), &change).await?;
    say!("done as event {}", done.seq);
    Ok(())
}

fn read(file: &Path) -> Result<Definition, Failure> {
    let shown = file.display().to_string();
    let text = String::from_utf8(files::read(file, 2 * RELAY_BYTES)?);
    let text = text.map_err(|_| Failure::Usage(format!("{shown} is no text")))?;
    read_text(&text, &shown).map_err(|faults| Failure::Failed(faults.to_string()))
}

fn value(text: Option<&str>) -> Result<Value, Failure> {
    let read =
        |text| serde_json::from_str(text).map_err(|error| Failure::Usage(format!("--input is not JSON: {error}")));
    text.map(read).transpose().map(Option::unwrap_or_default)
}
