//! Shows a session, its end first where a terminal can page back, then live, and talks in it.

use std::io::IsTerminal as _;

use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_protocol::session::{SessionRow, SessionView};
use outlive_tui::{Style, Who};

use super::chat::{self, Opening};
use crate::cli::Attach;
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome};
use crate::show;

pub async fn run(place: &Workspace, attach: Attach) -> Outcome {
    let place = &place.clone().speaking_as(attach.sender)?;
    let client = connect(place).await?;
    let session = match attach.session {
        Some(session) => session,
        None => {
            let newest: Page<SessionRow> = client.get("/sessions?limit=1").await?;
            let newest = newest.items.into_iter().next().map(|row| row.id);
            newest.ok_or_else(|| Failure::NotFound("there is no session yet; `outlive chat` starts one".to_owned()))?
        }
    };
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    // The agent may be gone by now; its sessions are still there.
    let agent: Option<AgentView> = client.get(&format!("/agents/{}", view.row.agent)).await.ok();
    let model = agent.map(|agent| agent.model).unwrap_or_default();
    let who = Who { agent: view.row.agent.clone(), model, back: chat::back(place, &session), session, from: 1 };
    if std::io::stdout().is_terminal() {
        show::line(Style::Bold, &format!("{} · {} · {}", who.agent, who.model, who.session));
    }
    // What is no terminal cannot ask for what came before.
    let opening = match std::io::stdout().is_terminal() && !attach.all {
        true => Opening::newest(&client, &view, place.sender.clone()).await?,
        false => Opening::after(0, place.sender.clone()),
    };
    chat::talk(place, &client, who, opening).await
}
