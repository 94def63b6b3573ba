//! Makes the list and the search anew, and waits until they are.

use std::time::Duration;

use outlive_protocol::search::Indexed;
use reqwest::Method;

use crate::cli::Json;
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, json: &Json) -> Outcome {
    let client = connect(place).await?;
    let mut indexed: Indexed = client.send(Method::POST, "/reindex", &serde_json::json!({})).await?;
    while indexed.behind > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        indexed = client.get("/reindex").await?;
    }
    if json.json {
        show::json(&indexed)?;
    } else {
        say!("{} sessions can be listed and searched", indexed.sessions);
    }
    ok()
}
