//! Follow-ups: what waits for the running turn.

use outlive_core::event::Behavior as Wire;
use outlive_core::media::with_attachments;
use outlive_protocol::message::{MessageAccepted, PostMessage};
use outlive_protocol::queue::{PutQueue, PutQueued, QueueView, QueuedView};
use reqwest::Method;

use crate::cli::{Behavior, Queue};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Queue) -> Outcome {
    let client = connect(place).await?;
    match command {
        Queue::List { session, json: true } => show::json(&get(&client, &session).await?)?,
        Queue::List { session, json: false } => list(&client, &session).await?,
        Queue::Add { session, text, behavior } => {
            let behavior = if behavior == Behavior::Steer { Wire::Steer } else { Wire::FollowUp };
            let body = PostMessage { content: text, behavior, ..PostMessage::default() };
            let accepted: MessageAccepted =
                client.send(Method::POST, &format!("/sessions/{session}/messages"), &body).await?;
            say!("accepted as event {}", accepted.seq);
        }
        Queue::Edit { session, input, text } => {
            change(&client, &session, &input, |mut item| {
                item.content.clone_from(&text);
                Some(item)
            })
            .await?;
        }
        Queue::Remove { session, input } => change(&client, &session, &input, |_| None).await?,
    }
    ok()
}

async fn get(client: &Client, session: &str) -> Result<QueueView, Failure> {
    client.get(&format!("/sessions/{session}/queue")).await
}

/// Prints the queue.
///
/// # Errors
///
/// What the server says.
pub async fn list(client: &Client, session: &str) -> Result<(), Failure> {
    let queue = get(client, session).await?;
    if queue.items.is_empty() {
        say!("nothing waits");
    }
    let shown = |item: &QueuedView| with_attachments(&item.content, &item.attachments);
    queue.items.iter().for_each(|item| say!("{}  {}", item.id, shown(item)));
    Ok(())
}

async fn change(
    client: &Client,
    session: &str,
    input: &str,
    change: impl Fn(QueuedView) -> Option<QueuedView>,
) -> Result<(), Failure> {
    let queue = get(client, session).await?;
    if !queue.items.iter().any(|item| item.id.to_string() == input) {
        return Err(Failure::NotFound(format!("no follow-up {input} waits; it may have started")));
    }
    let changed = |item: QueuedView| if item.id.to_string() == input { change(item) } else { Some(item) };
    let items =
        queue.items.into_iter().filter_map(changed).map(|item| PutQueued { id: Some(item.id), content: item.content });
    let body = PutQueue { items: items.collect(), request_id: None };
    let _: QueueView = client.send(Method::PUT, &format!("/sessions/{session}/queue"), &body).await?;
    list(client, session).await
}
