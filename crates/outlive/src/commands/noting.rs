//! Has things remembered, said otherwise, forgotten and condensed.

use outlive_core::memory::{Memory as Row, Priority, Scope};
use outlive_protocol::noting::{AddMemory, EditMemory, Edited, ForgottenView, Noted, Reflect, Reflected};
use reqwest::Method;

use super::backup::made;
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
        Note::Edit { memory, text, scope } => {
            let does = if text.is_some() { "says that" } else { "is known to these" };
            let body = EditMemory { text, scope: scope.map(reach), request_id: None };
            let edited: Edited = client.send(Method::PATCH, &format!("/memory/{memory}"), &body).await?;
            say!("{memory} {does} from now on, in session {}", edited.session);
        }
        Note::Forget { memory, sources, dry_run, json } => {
            let route = format!("/memory/{memory}?sources={sources}&dry_run={dry_run}");
            let forgotten: ForgottenView = client.send(Method::DELETE, &route, &serde_json::json!({})).await?;
            if json {
                show::json(&forgotten)?;
            } else if dry_run {
                let lines = forgotten.lines.unwrap_or_default();
                say!("{} would be forgotten, and {lines} lines of journals written anew", ids(&forgotten));
            } else {
                told(&memory, sources, &forgotten);
                for backup in made(&place.root) {
                    say!("backup {} may hold its words", backup.display());
                }
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

fn ids(forgotten: &ForgottenView) -> String {
    forgotten.memories.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn told(memory: &str, sources: bool, forgotten: &ForgottenView) {
    say!("{} forgotten", ids(forgotten));
    let Some(lines) = forgotten.lines else {
        say!("it is shown to nobody any more; its words are still being erased, also if the server ends meanwhile");
        say!("`outlive memory forget {memory}` waits for that once more, and says what is left");
        return;
    };
    say!("{lines} lines of journals were written anew without it");
    if forgotten.left.is_empty() {
        say!("no line of any journal holds its words");
        return;
    }
    for left in &forgotten.left {
        let (session, seq) = (left.session, left.seq);
        if left.damaged {
            say!(
                "session {session} cannot be read from event {seq} on: `outlive verify` says why, and something may be left in it"
            );
        } else {
            say!("session {session}, event {seq}, holds its words, or is where it comes from");
        }
    }
    if !sources {
        say!("that is what was said, and it stays: `outlive memory forget {memory} --sources` has it go, too");
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
