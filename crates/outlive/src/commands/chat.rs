//! Talks: prints what happens as it happens, takes what is typed, asks in place where a person is needed. Ctrl-C stops the
//! turn, Ctrl-D leaves it running. In a terminal there is an area at the bottom to type in; through a pipe, lines are lines.

mod live;
mod person;
mod plain;
mod terminal;

use std::io::IsTerminal as _;

use outlive_protocol::agent::AgentView;
use outlive_protocol::session::SessionView;
use outlive_tui::Style;

use super::run::session as open;
use crate::cli::Talk;
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::Outcome;
use crate::show;

pub async fn run(place: &Workspace, talk_to: &Talk) -> Outcome {
    let client = connect(place).await?;
    let (session, head) = open(&client, talk_to).await?;
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let agent: AgentView = client.get(&format!("/agents/{}", view.row.agent)).await?;
    show::line(Style::Bold, &format!("{} · {} · {session}", agent.name, agent.model));
    let change = if agent.model.starts_with("rehearsal/") {
        "no model key was found, so an offline script answers; set ANTHROPIC_API_KEY or OPENAI_API_KEY and restart the server, or \
         name a model in the agent's agent.yaml"
    } else {
        "to take another model, name it in the agent's agent.yaml"
    };
    show::line(Style::Dim, change);
    show::line(
        Style::Dim,
        "tools are not sandboxed in this version: you are asked before a command runs. /help lists commands",
    );
    for warning in &agent.warnings {
        show::line(Style::Notice, &format!("! {warning}"));
    }
    let after = if talk_to.session.is_some() { 0 } else { head };
    talk(place, &client, &session, after).await
}

/// Talks in a session from a position on.
///
/// # Errors
///
/// The server does not come back.
pub async fn talk(place: &Workspace, client: &Client, session: &str, after: u64) -> Outcome {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        live::talk(place, client, session, after).await
    } else {
        plain::talk(place, client, session, after).await
    }
}

/// What may be typed besides what is said.
const HELP: &str = "/steer TEXT reaches the running turn · /queue shows what waits · /session shows this session\n\
                    Alt-Enter or a \\ at the end goes on in the next line · Ctrl-C stops the turn · Ctrl-D leaves it running";
