//! Durable turns over HTTP: the own binary as a server, an instant model, many clients.

use std::path::Path;

use futures_util::future::join_all;
use outlive_protocol::message::{PostMessage, TurnResult};
use outlive_protocol::session::{CreateSession, SessionView};
use reqwest::Method;

use super::bare::{BareFile, ms, used};
use super::made::{Server, workspace};
use super::{Bar, Figure, Scale, folder, median};
use crate::client::Client;
use crate::exit::Failure;

/// Durable writes of a turn with a tool call: what came, the answer with its call, the result, the last answer.
const WRITES: usize = 4;

/// Measures turns.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let place = workspace(home.path(), 0, 0).await?;
    let mut server = Server::start(&place).await?;
    let mut figures = Vec::new();
    for (clients, turns) in [(1, scale.of(400)), (16, scale.of(100)), (64, scale.of(40)), (256, scale.of(10))] {
        for (what, text) in [("no tool", "think"), ("one tool call", "list")] {
            figures.extend(rate(&server, home.path(), (clients, turns), (what, text)).await?);
        }
    }
    figures.extend(growth(&server, scale.of(400)).await?);
    server.stop();
    Ok(figures)
}

async fn session(client: &Client) -> Result<String, Failure> {
    let body = CreateSession { agent: "bench".to_owned(), ..CreateSession::default() };
    let view: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    Ok(view.row.id)
}

async fn turn(client: &Client, session: &str, text: &str) -> Result<f64, Failure> {
    let body = PostMessage { content: text.to_owned(), ..PostMessage::default() };
    let began = ms();
    let _: TurnResult = client.send(Method::POST, &format!("/sessions/{session}/messages?wait=120"), &body).await?;
    Ok(ms() - began)
}

async fn rate(
    server: &Server,
    dir: &Path,
    (clients, turns): (usize, usize),
    (what, text): (&str, &str),
) -> Result<Vec<Figure>, Failure> {
    let client = &server.client;
    let mut sessions = Vec::new();
    for _ in 0..clients {
        let session = session(client).await?;
        turn(client, &session, text).await?;
        sessions.push(session);
    }
    let (began, before) = (ms(), used(server.pid()));
    let person = async |session: &String| -> Result<Vec<f64>, Failure> {
        let mut each = Vec::with_capacity(turns);
        for _ in 0..turns {
            each.push(turn(client, session, text).await?);
        }
        Ok(each)
    };
    let mut each = Vec::new();
    for done in join_all(sessions.iter().map(person)).await {
        each.extend(done?);
    }
    let (took, after) = (ms() - began, used(server.pid()));
    let total = (clients * turns) as f64;
    let has_tool = text == "list";
    let writes = if has_tool { WRITES } else { 2 };
    let mut file = BareFile::make(dir)?;
    let bare = (0..writes * 200).map(|_| file.write(&[b'x'; 600])).sum::<std::io::Result<f64>>()?;
    let name = format!("turns/s, {clients} sessions, {what}");
    let mut rate = Figure::new(name, total * 1_000.0 / took, "/s");
    if clients == 1 {
        rate = rate.against("/s: its durable writes, bare, one after another", 200_000.0 / bare);
        rate = if has_tool { rate.bar(Bar::AtLeast(0.4)) } else { rate };
    }
    let cpu = Figure::new(
        format!("server CPU a turn, {clients} sessions, {what}"),
        (after.cpu_ms - before.cpu_ms) / total,
        "ms",
    );
    let cpu = cpu.bar(Bar::AtMost(if has_tool { 0.5 } else { 0.3 }));
    Ok(vec![rate, Figure::new(format!("p50 of a turn, {clients} sessions, {what}"), median(each), "ms"), cpu])
}

/// What a long session costs beside a new one.
async fn growth(server: &Server, turns: usize) -> Result<Vec<Figure>, Failure> {
    let session = session(&server.client).await?;
    let before = used(server.pid());
    let mut each = Vec::with_capacity(turns);
    for _ in 0..turns {
        each.push(turn(&server.client, &session, "list").await?);
    }
    let written = used(server.pid()).written - before.written;
    let events: outlive_protocol::event::Events =
        server.client.get(&format!("/sessions/{session}/events?limit=1000")).await?;
    let own: usize = events.items.iter().map(|line| line.get().len() + 1).sum();
    let own = own as f64 * events.head as f64 / events.items.len().max(1) as f64;
    let part = (turns / 10).max(1);
    let (first, last) = (each.get(..part).unwrap_or_default(), each.get(turns - part..).unwrap_or_default());
    Ok(vec![
        Figure::new(format!("p50 of the last of {turns} turns"), median(last.to_vec()), "ms")
            .against("ms of the first", median(first.to_vec()))
            .bar(Bar::AtMost(1.2)),
        Figure::new("bytes written a turn", written / turns as f64, "B")
            .against("B: its events' own size", own / turns as f64)
            .bar(Bar::AtMost(3.0)),
    ])
}
