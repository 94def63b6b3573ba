//! Coming to a session: how soon its end is on the screen, and what many listeners cost whoever is listened to.

use std::path::Path;

use futures_util::future::join_all;
use outlive_core::time::Timestamp;
use outlive_protocol::message::{PostMessage, TurnResult};
use outlive_protocol::session::{CreateSession, SessionView};
use outlive_tui::{Happened, History, Talk, Who, view};
use reqwest::Method;

use super::bare::ms;
use super::made::{SCRIPT, Server, workspace};
use super::{Bar, Figure, Scale, folder, median};
use crate::client::{Client, Frames};
use crate::commands::chat::Opening;
use crate::exit::Failure;

/// Listeners of one session, and those of them that take nothing.
const LISTENERS: usize = 100;
const STALLED: usize = 10;

/// Measures coming to a session.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let messages = scale.of(10_000);
    let place = workspace(home.path(), 1, messages).await?;
    let mut server = Server::start(&place).await?;
    let session = outlive_core::id::SessionId::from_bits(1).to_string();
    let cold = first_screen(&server.client, &session).await?;
    let mut warm = Vec::new();
    for _ in 0..20 {
        warm.push(first_screen(&server.client, &session).await?);
    }
    let name = |when: &str| format!("first screen of a session of {messages} messages, {when}");
    let mut figures = vec![
        Figure::new(name("just after a start"), cold, "ms").bar(Bar::AtMost(100.0)),
        Figure::new(name("then"), median(warm), "ms").bar(Bar::AtMost(100.0)),
    ];
    figures.push(crowd(&server.client, scale.of(100).min(10)).await?);
    server.stop();
    Ok(figures)
}

/// Does what `attach` does until there is something to look at; returns the milliseconds.
async fn first_screen(client: &Client, session: &str) -> Result<f64, Failure> {
    let began = ms();
    let shown: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let opening = Opening::newest(client, &shown, None).await?;
    let mut talk =
        Talk::new(Who::default(), History::of(Vec::new()), Timestamp::from_micros(0)).knowing(opening.before);
    for came in &opening.came {
        talk.update(Timestamp::from_micros(0), Happened::Session(came.input()));
    }
    let (above, frame) = (talk.finished(), view(&talk, 80, 24));
    let took = ms() - began;
    if above.is_empty() || frame.rows.is_empty() {
        return Err(Failure::failed("the screen is empty"));
    }
    Ok(took)
}

/// A turn that streams, heard by many of whom some do not listen, beside the same turn heard by one; by turns.
async fn crowd(client: &Client, turns: usize) -> Result<Figure, Failure> {
    let body = CreateSession { agent: SCRIPT.to_owned(), ..CreateSession::default() };
    let made: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    let session = made.row.id;
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        alone.push(heard(client, &session, (1, 0)).await?);
        crowded.push(heard(client, &session, (LISTENERS - STALLED, STALLED)).await?);
    }
    let name = format!("a turn that streams, {LISTENERS} listeners, {STALLED} of them stalled");
    Ok(Figure::new(name, median(crowded), "ms").against("ms: one listener", median(alone)).bar(Bar::AtMost(1.2)))
}

async fn heard(client: &Client, session: &str, (listening, stalled): (usize, usize)) -> Result<f64, Failure> {
    let mut frames = Vec::new();
    for _ in 0..listening + stalled {
        frames.push(client.listen(session, 0).await?);
    }
    // Held, and not looked at.
    let unheard: Vec<Frames> = frames.drain(listening..).collect();
    let listen = |mut frames: Frames| async move { while frames.next().await.is_some() {} };
    let took = tokio::select! {
        took = turn(client, session) => took?,
        _ends = join_all(frames.into_iter().map(listen)) => return Err(Failure::failed("the listeners were cut off")),
    };
    drop(unheard);
    Ok(took)
}

async fn turn(client: &Client, session: &str) -> Result<f64, Failure> {
    let body = PostMessage { content: "say something".to_owned(), ..PostMessage::default() };
    let began = ms();
    let _: TurnResult = client.send(Method::POST, &format!("/sessions/{session}/messages?wait=120"), &body).await?;
    Ok(ms() - began)
}
