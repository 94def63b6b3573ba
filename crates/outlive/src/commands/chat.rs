//! Talks: in a terminal with keys, an input box and a status line; elsewhere line by line. Ctrl-C stops the turn, Ctrl-D
//! leaves it running.

mod errand;
mod live;
mod opening;
mod plain;
mod remember;
mod terminal;

use std::io::IsTerminal as _;

use outlive_protocol::agent::AgentView;
use outlive_protocol::session::SessionView;
use outlive_tui::{Style, Who};

use self::errand::Errands;
pub use self::opening::Opening;
use super::follow::Follow;
use super::run::session as open;
use crate::cli::Talk;
use crate::client::{Client, connect};
use crate::config::{self, Workspace};
use crate::exit::Outcome;
use crate::show;

pub async fn run(place: &Workspace, talk_to: &Talk) -> Outcome {
    let place = &place.clone().speaking_as(talk_to.sender.clone())?;
    let client = connect(place).await?;
    let (session, head) = open(&client, talk_to).await?;
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let agent: AgentView = client.get(&format!("/agents/{}", view.row.agent)).await?;
    let (name, model) = (agent.name.clone(), agent.model.clone());
    let who = Who { agent: name, model, back: back(place, &session), session, from: 1 };
    show::line(Style::Bold, &format!("{} · {} · {}", who.agent, who.model, who.session));
    let change = if agent.model.starts_with("rehearsal/") {
        "no model key was found, so an offline script answers; set ANTHROPIC_API_KEY or OPENAI_API_KEY and restart the server, or \
         name a model in the agent's agent.yaml"
    } else {
        "to take another model, name it in the agent's agent.yaml"
    };
    show::line(Style::Dim, change);
    let tools = format!(
        "tools work in {}; what policy.yaml does not allow, you are asked about. /help lists commands",
        agent.works_in
    );
    show::line(Style::Dim, &tools);
    for warning in &agent.warnings {
        show::line(Style::Notice, &format!("! {warning}"));
    }
    super::stop::tell(place);
    let me = place.sender.clone();
    let opening = match (&talk_to.session, std::io::stdout().is_terminal()) {
        (None, _) => Opening::after(head, me),
        (Some(_), true) => Opening::newest(&client, &view, me).await?,
        (Some(_), false) => Opening::after(0, me),
    };
    talk(place, &client, who, opening).await
}

/// Talks in a session, from where it is opened.
///
/// # Errors
///
/// The server does not come back.
pub async fn talk(place: &Workspace, client: &Client, mut who: Who, opening: Opening) -> Outcome {
    let Opening { before, came, from, after } = opening;
    let follow = Follow::begin(place, client, &who.session, after).await?.knowing(came);
    who.from = from;
    if let Some(hint) = outlive_tui::hint(from) {
        show::line(Style::Dim, &hint);
    }
    let errands = Errands::new(place, client, &who.session);
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if is_terminal && config::variable("TERM").is_some_and(|name| name != "dumb") {
        live::talk(follow, errands, (who, before)).await
    } else {
        plain::talk(follow, errands, (who, before)).await
    }
}

/// The command that comes back to a session from where this one was typed.
pub fn back(place: &Workspace, session: &str) -> String {
    let found = config::workspace(None).is_ok_and(|found| found.root == place.root);
    let quoted = place.root.display().to_string().replace('\'', "'\\''");
    let named = if found { String::new() } else { format!(" --workspace '{quoted}'") };
    format!("outlive{named} attach {session}")
}
