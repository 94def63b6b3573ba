//! Shows a session from its beginning, then live, and talks in it.

use outlive_protocol::Page;
use outlive_protocol::session::SessionRow;

use super::chat;
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome};

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
    chat::talk(place, &client, &session, 0).await
}
