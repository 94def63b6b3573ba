//! Shows a session from its beginning, then live, and talks in it.

use std::io::IsTerminal as _;

use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_protocol::session::{SessionRow, SessionView};
use outlive_tui::{Style, Who};

use super::chat;
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome};
use crate::show;

pub async fn run(place: &Workspace, session: Option<String>) -> Outcome {
    let client = connect(place).await?;
    let session = match session {
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
    let who = Who { agent: view.row.agent, model, back: chat::back(place, &session), session };
    if std::io::stdout().is_terminal() {
        show::line(Style::Bold, &format!("{} · {} · {}", who.agent, who.model, who.session));
    }
    chat::talk(place, &client, who, 0).await
}
