//! Has things remembered, said otherwise, forgotten and condensed.

use outlive_core::memory::{Memory as Row, Priority, Scope};
use outlive_protocol::noting::{AddMemory, EditMemory, Edited, ForgottenView, Noted, Reflect, Reflected};
use reqwest::Method;

use super::run::agent;
use crate::cli::memory::{Note, Reach, Weight};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, note: Note) -> Outcome {
    let client = connect(place).await?;
    match note {
        Note::Add { text, agent, session, scope, priority, json } => {
            let (scope, priority) = (scope.map(reach), weight(priority));
            let agent = named(&client, agent, session.as_ref()).await?;
            let body = AddMemory { text, agent, session, scope, priority, ..AddMemory::default() };
            let noted: Noted = client.send(Method::POST, "/memory", &body).await?;
            if json {
                show::json(&noted)?;
            } else {
                say!("{}  {}", noted.memory.id, show::seen(&noted.memory.text));
            }
        }
        Note::Edit { memory, text } => {
            let body = EditMemory { text, request_id: None };
            let edited: Edited = client.send(Method::PATCH, &format!("/memory/{memory}"), &body).await?;
            say!("{memory} says that from now on, in session {}", edited.session);
        }
        Note::Forget { memory, sources, json } => {
            let route = format!("/memory/{memory}?sources={sources}");
            let forgotten: ForgottenView = client.send(Method::DELETE, &route, &serde_json::json!({})).await?;
            if json {
                show::json(&forgotten)?;
            } else {
                told(sources, &forgotten);
            }
        }
        Note::Reflect { agent, session, dry_run, json } => {
            let agent = named(&client, agent, session.as_ref()).await?;
            let body = Reflect { agent, session, dry_run, request_id: None };
            let reflected: Reflected = client.send(Method::POST, "/memory/reflect", &body).await?;
            if json {
                show::json(&reflected)?;
            } else {
                condensed(&reflected.memories, dry_run);
            }
        }
    }
    ok()
}

/// The agent that is meant, where no session is.
async fn named(client: &Client, asked: Option<String>, session: Option<&String>) -> Result<Option<String>, Failure> {
    if session.is_some() {
        return Ok(None);
    }
    agent(client, asked.as_deref()).await.map(Some)
}

fn told(sources: bool, forgotten: &ForgottenView) {
    say!("{} forgotten", forgotten.memories.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    match forgotten.lines {
        Some(lines) => say!("{lines} lines of journals were written anew without it"),
        None => say!("its words are still being erased; ask again in a moment"),
    }
    if !forgotten.trash.is_empty() {
        let count = forgotten.trash.len();
        say!("{count} sessions in the trash were not looked through: `outlive trash empty` erases them");
    }
    say!("backups that were made before have its words still");
    if forgotten.left.is_empty() {
        say!("no line of any journal holds its words");
        return;
    }
    for left in &forgotten.left {
        say!("its words are left in session {}, event {}", left.session, left.seq);
    }
    if !sources {
        say!("that is what was said, and it stays; `--sources`, when something is forgotten, has it go, too");
    }
}

fn condensed(memories: &[Row], is_dry: bool) {
    if memories.is_empty() {
        say!("nothing belongs together");
    }
    for memory in memories {
        let replaced: Vec<String> = memory.supersedes.iter().map(ToString::to_string).collect();
        let verb = if is_dry { "would replace" } else { "replaces" };
        say!("{}\n  {verb} {}", show::seen(&memory.text), replaced.join(", "));
    }
}

fn reach(reach: Reach) -> Scope {
    match reach {
        Reach::Session => Scope::Session,
        Reach::Project => Scope::Project,
        Reach::Agent => Scope::Agent,
        Reach::All => Scope::All,
    }
}

fn weight(weight: Weight) -> Priority {
    match weight {
        Weight::Low => Priority::Low,
        Weight::Medium => Priority::Medium,
        Weight::High => Priority::High,
    }
}
