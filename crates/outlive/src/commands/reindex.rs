//! Makes the list and the search anew, and waits until they are.

use std::time::Duration;

use outlive_protocol::search::Indexed;
use reqwest::Method;

use crate::cli::Json;
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// Between two looks at how far it is, and looks at the same before it is given up.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 600;

pub async fn run(place: &Workspace, json: &Json) -> Outcome {
    let client = connect(place).await?;
    let mut indexed: Indexed = client.send(Method::POST, "/reindex", &serde_json::json!({})).await?;
    let mut looks = 0;
    while indexed.behind > 0 {
        tokio::time::sleep(LOOK).await;
        let now: Indexed = client.get("/reindex").await?;
        looks = if now == indexed { looks + 1 } else { 0 };
        if looks == LOOKS {
            let why =
                format!("{} sessions cannot be searched yet; the server's log says why, and it goes on", now.behind);
            return Err(Failure::Failed(why));
        }
        indexed = now;
    }
    if json.json {
        show::json(&indexed)?;
    } else {
        say!("{} sessions can be listed and searched", indexed.sessions);
    }
    ok()
}
