//! Looks at what a session's model sees, and changes it.

use std::path::Path;

use outlive_core::compaction::{Item, Section, Summary};
use outlive_core::yaml;
use outlive_protocol::checkpoint::{ChangeCheckpoint, CheckpointRow, CheckpointView, Checkpoints, Compact, Compacting};
use outlive_protocol::message::{MessageAccepted, PostMessage};
use outlive_protocol::session::{CreateSession, Done, SessionView};
use reqwest::Method;
use serde_json::Value;

use crate::cli::checkpoint::{self, Checkpoint, Context};
use crate::client::Client;
use crate::exit::Failure;
use crate::show;

/// Bytes of a file that is to be a checkpoint.
const FILE_BYTES: usize = 1 << 20;
const NONE_TO_STOP: &str = "no compaction was under way";

/// Does it.
///
/// # Errors
///
/// What the server says.
pub async fn run(client: &Client, command: Context) -> Result<(), Failure> {
    match command {
        Context::Compact(compact) => self::compact(client, compact).await,
        Context::Checkpoint(command) => checkpoint(client, command).await,
        Context::Clear { session } => {
            change(client, &session, ChangeCheckpoint::Clear).await?;
            say!("{session}: the model sees the checkpoint, and nothing of the messages so far");
            Ok(())
        }
        Context::Reset { session } => {
            change(client, &session, ChangeCheckpoint::Reset).await?;
            say!("{session}: the model sees nothing of what was so far");
            Ok(())
        }
        Context::Handoff { session, goal } => handoff(client, &session, &goal).await,
    }
}

async fn compact(client: &Client, compact: checkpoint::Compact) -> Result<(), Failure> {
    let checkpoint::Compact { session, focus, model, preview, cancel, json } = compact;
    if cancel {
        let before: Checkpoints = client.get(&format!("/sessions/{session}/checkpoints")).await?;
        change(client, &session, ChangeCheckpoint::Cancel).await?;
        let said = if before.compacting { "the compaction is stopped: nothing has changed" } else { NONE_TO_STOP };
        say!("{session}: {said}");
        return Ok(());
    }
    let body = Compact { focus, model, preview, ..Compact::default() };
    let about: Compacting = client.send(Method::POST, &format!("/sessions/{session}/compact"), &body).await?;
    if json {
        return show::json(&about);
    }
    let Some(covers) = about.covers else {
        say!("{} tokens; nothing can be gained", about.tokens_before);
        return Ok(());
    };
    let (first, last) = (covers.first, covers.last);
    say!("events {first} to {last}: {} → about {} tokens", about.tokens_before, about.tokens_after);
    let who = about.model.as_deref().unwrap_or("events alone");
    let focus = about.focus.map(|focus| format!(", with the focus: {}", show::seen(&focus))).unwrap_or_default();
    match about.summary {
        Some(summary) => {
            say!("{who} would make it{focus}");
            say!("nobody was asked; without a model it would be:\n\n{}", show::seen(&summary.render(last, 0)));
        }
        None => {
            say!("{who} makes it beside the session{focus}");
            say!("`outlive session checkpoint list {session}` shows it once it is made");
        }
    }
    Ok(())
}

async fn checkpoint(client: &Client, command: Checkpoint) -> Result<(), Failure> {
    match command {
        Checkpoint::List { session, json } => {
            let all: Checkpoints = client.get(&format!("/sessions/{session}/checkpoints")).await?;
            if json {
                return show::json(&all);
            }
            all.items.iter().for_each(|row| say!("{}", line(row)));
            let doing = if all.compacting { "; another is being made" } else { "" };
            say!("the model sees events from {} on as they are{doing}", all.tail_from.max(1));
        }
        Checkpoint::Show { session, version, json } => {
            let view = view(client, &session, version).await?;
            if json {
                return show::json(&view);
            }
            say!("{}\n\n{}", line(&view.row), show::seen(&view.text));
        }
        Checkpoint::Diff { session, from, to } => {
            let (from, to) = (view(client, &session, Some(from)).await?, view(client, &session, Some(to)).await?);
            differ(&from.text, &to.text);
        }
        Checkpoint::Edit { session, version, file } => edit(client, &session, version, &file).await?,
        Checkpoint::Pin { session, item, undo } => {
            let named = item.clone();
            let what =
                if undo { ChangeCheckpoint::Unpin { item: named } } else { ChangeCheckpoint::Pin { item: named } };
            change(client, &session, what).await?;
            let said = if undo { "compactions may drop it again" } else { "no compaction drops it" };
            say!("{session}: `{item}`: {said}");
        }
        Checkpoint::Activate { session, version } => {
            let checkpoint = match version {
                Some(_) => Some(view(client, &session, version).await?.row.id),
                None => None,
            };
            change(client, &session, ChangeCheckpoint::Activate { checkpoint }).await?;
            match version {
                Some(version) => say!("{session}: the model sees checkpoint {version}, and what came after it"),
                None => say!("{session}: the model sees all of the conversation again"),
            }
        }
    }
    Ok(())
}

fn line(row: &CheckpointRow) -> String {
    let CheckpointRow { version, covers, tokens: (before, after), .. } = row;
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let mark = if row.active { '*' } else { ' ' };
    let model = row.model.as_deref().map(|model| format!(" ({model})")).unwrap_or_default();
    let (strategy, trigger) = (word(&row.strategy), word(&row.trigger));
    let (first, last, at) = (covers.first, covers.last, row.at);
    format!("{mark} {version:>3}  {at}  events {first}-{last}  {before} → {after} tokens  {strategy}{model}, {trigger}")
}

/// Returns one by its number; the one in use where there is none.
async fn view(client: &Client, session: &str, version: Option<u32>) -> Result<CheckpointView, Failure> {
    let all: Checkpoints = client.get(&format!("/sessions/{session}/checkpoints")).await?;
    let wanted = |row: &&CheckpointRow| version.map_or(row.active, |version| row.version == version);
    let Some(row) = all.items.iter().find(wanted) else {
        let which = version.map_or("no checkpoint in use".to_owned(), |version| format!("no checkpoint {version}"));
        return Err(Failure::NotFound(format!(
            "{session} has {which}; `session checkpoint list` shows those there are"
        )));
    };
    client.get(&format!("/sessions/{session}/checkpoints/{}", row.id)).await
}

async fn change(client: &Client, session: &str, what: ChangeCheckpoint) -> Result<Done, Failure> {
    client.send(Method::POST, &format!("/sessions/{session}/checkpoints"), &what).await
}

async fn edit(client: &Client, session: &str, version: u32, file: &Path) -> Result<(), Failure> {
    let summary = summary(file)?;
    let checkpoint = view(client, session, Some(version)).await?.row.id;
    change(client, session, ChangeCheckpoint::Edit { checkpoint, summary }).await?;
    say!("{session}: the model sees it from its next step on");
    Ok(())
}

/// Reads a summary as JSON or YAML, alone or as `show --json` prints it.
fn summary(file: &Path) -> Result<Value, Failure> {
    let name = file.display().to_string();
    let text = String::from_utf8(super::run::files::read(file, FILE_BYTES)?);
    let text = text.map_err(|_| Failure::Failed(format!("{name}: is no text")))?;
    let read: Result<Value, String> = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
    } else {
        yaml::read(&text, &name).map_err(|error| error.to_string())
    };
    let mut value = read.map_err(Failure::Failed)?;
    Ok(value.get_mut("summary").map(Value::take).unwrap_or(value))
}

/// Prints the lines that only one of two texts has.
fn differ(from: &str, to: &str) {
    for line in from.lines().filter(|line| !to.lines().any(|other| other == *line)) {
        say!("- {}", show::seen(line));
    }
    for line in to.lines().filter(|line| !from.lines().any(|other| other == *line)) {
        say!("+ {}", show::seen(line));
    }
}

/// Begins a session with what another has come to.
async fn handoff(client: &Client, session: &str, goal: &str) -> Result<(), Failure> {
    let parent: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let body = Compact { preview: true, all: true, ..Compact::default() };
    let about: Compacting = client.send(Method::POST, &format!("/sessions/{session}/compact"), &body).await?;
    let labels = [("handoff_from".to_owned(), session.to_owned())].into();
    let create = CreateSession { agent: parent.row.agent.to_string(), labels, ..CreateSession::default() };
    let made: SessionView = client.send(Method::POST, "/sessions", &create).await?;
    let next = made.row.id.to_string();
    let summary = serde_json::to_value(handed(about.summary.unwrap_or_default(), session));
    let summary = summary.map_err(|error| Failure::Failed(error.to_string()))?;
    change(client, &next, ChangeCheckpoint::Seed { summary }).await?;
    let post = PostMessage { content: goal.to_owned(), ..PostMessage::default() };
    let _accepted: MessageAccepted = client.send(Method::POST, &format!("/sessions/{next}/messages"), &post).await?;
    say!("{next} goes on from {session}; talk to it: outlive attach {next}");
    Ok(())
}

/// What another session has come to, as the one that goes on from it has it: events of the other's history are none of its own.
fn handed(mut summary: Summary, from: &str) -> Summary {
    summary.items.retain(|item| !item.is_own());
    summary.items.iter_mut().for_each(|item| item.sources.clear());
    summary.moved.clear();
    summary.last_id = summary.last_id.saturating_add(1);
    summary.items.push(Item {
        id: format!("f{}", summary.last_id),
        section: Section::Facts,
        text: format!("this goes on from session {from}, whose history has all that was said before"),
        sources: Vec::new(),
        pinned: true,
    });
    summary
}
