//! Moving through history: fork and rewind a session.

use outlive_protocol::session::{Done, ForkSession, RewindSession, SessionView};
use reqwest::Method;

use crate::client::Client;
use crate::exit::Failure;

/// Makes a session that begins as this one did.
///
/// # Errors
///
/// What the server says.
pub async fn fork(client: &Client, session: &str, fork: ForkSession) -> Result<(), Failure> {
    let view: SessionView = client.send(Method::POST, &format!("/sessions/{session}/fork"), &fork).await?;
    let seq = view.parent.as_ref().map_or(view.row.head, |parent| parent.seq);
    say!("{} begins as {session} did, up to event {seq}; talk to it: outlive attach {}", view.row.id, view.row.id);
    Ok(())
}

/// Goes on from an earlier event.
///
/// # Errors
///
/// What the server says.
pub async fn rewind(client: &Client, session: &str, to_seq: u64) -> Result<(), Failure> {
    let body = RewindSession { to_seq, request_id: None };
    let done: Done = client.send(Method::POST, &format!("/sessions/{session}/rewind"), &body).await?;
    say!("{session} goes on from event {to_seq}; events {} to {} are set aside", to_seq + 1, done.seq - 1);
    Ok(())
}
