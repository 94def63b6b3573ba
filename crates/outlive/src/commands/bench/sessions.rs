//! What many sessions at rest cost: start-up, recovery, memory, idling.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use outlive_protocol::message::{PostMessage, TurnResult};
use outlive_protocol::session::{CreateSession, SessionView};
use reqwest::Method;

use super::bare::{ms, used};
use super::made::{Server, workspace};
use super::{Bar, Figure, Scale, folder, median};
use crate::client::Client;
use crate::config::Workspace;
use crate::exit::Failure;

const MEGABYTE: f64 = 1_048_576.0;

/// Measures sessions at rest.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let mut empty_ms = 0.0;
    for count in [0, scale.of(1_000), scale.of(10_000)] {
        let home = folder(dir)?;
        let place = workspace(home.path(), count, 20).await?;
        // The first start lists what is there; those after it are what is measured.
        let mut first = Server::start(&place).await?;
        settled(&first, count).await?;
        first.stop();
        let mut starts = Vec::new();
        for _ in 0..5 {
            let mut server = Server::start(&place).await?;
            starts.push(server.ready_ms);
            server.stop();
        }
        let ready = median(starts);
        let figure = Figure::new(format!("start to ready, {count} sessions"), ready, "ms");
        if count == 0 {
            empty_ms = ready;
            figures.push(figure);
        } else {
            figures
                .push(figure.against("ms: twice that with none, plus 50", 2.0 * empty_ms + 50.0).bar(Bar::AtMost(1.0)));
        }
        let mut server = Server::start(&place).await?;
        figures.extend(idle(&server, count).await);
        server.stop();
        if count > 0 {
            figures.push(recoveries(&place, (count, empty_ms)).await?);
        }
    }
    let size = std::fs::metadata(std::env::current_exe()?)?.len() as f64 / MEGABYTE;
    figures.push(Figure::new("this program", size, "MB").bar(Bar::AtMost(25.0)));
    Ok(figures)
}

/// Waits until the list shows every session.
async fn settled(server: &Server, count: usize) -> Result<(), Failure> {
    let oldest = "/sessions?limit=1&sort=updated&q=ses_";
    for _ in 0..3_000 {
        let page: outlive_protocol::Page<outlive_protocol::session::SessionRow> = server.client.get(oldest).await?;
        if count == 0 || !page.items.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Rebuilding a lost list reads each journal once, and so does the search.
    tokio::time::sleep(Duration::from_millis(500 + count as u64)).await;
    while server.client.get::<outlive_protocol::search::Indexed>("/reindex").await?.behind > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn idle(server: &Server, count: usize) -> Vec<Figure> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = used(server.pid());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = used(server.pid());
    vec![
        Figure::new(format!("memory at rest, {count} sessions"), after.memory / MEGABYTE, "MB").bar(Bar::AtMost(50.0)),
        Figure::new(format!("CPU in 5 s at rest, {count} sessions"), after.cpu_ms - before.cpu_ms, "ms")
            .bar(Bar::AtMost(10.0)),
    ]
}

/// Kills servers under load; the median time until the first new turn of the next one has ended.
async fn recoveries(place: &Workspace, (count, empty_ms): (usize, f64)) -> Result<Figure, Failure> {
    let mut took = Vec::new();
    for _ in 0..5 {
        took.push(recovery(place).await?);
    }
    let what = format!("SIGKILL under load to the first new turn, {count} sessions");
    let figure = Figure::new(what, median(took), "ms");
    let allowed = (3.0 * empty_ms).max(300.0);
    Ok(figure.against("ms: 300, or three clean empty starts", allowed).bar(Bar::AtMost(1.0)))
}

async fn recovery(place: &Workspace) -> Result<f64, Failure> {
    let mut server = Server::start(place).await?;
    let mut sessions = Vec::new();
    for _ in 0..16 {
        let body = CreateSession { agent: "bench".to_owned(), ..CreateSession::default() };
        let view: SessionView = server.client.send(Method::POST, "/sessions", &body).await?;
        sessions.push(view.row.id);
    }
    let load = join_all(sessions.iter().map(async |session| while say(&server.client, session).await.is_ok() {}));
    tokio::time::timeout(Duration::from_secs(2), load).await.ok();
    server.kill();
    let began = ms();
    let mut next = Server::start(place).await?;
    let session = sessions.first().ok_or_else(|| Failure::failed("no session"))?;
    say(&next.client, session).await?;
    let took = ms() - began;
    next.stop();
    Ok(took)
}

async fn say(client: &Client, session: &str) -> Result<TurnResult, Failure> {
    let body = PostMessage { content: "list".to_owned(), ..PostMessage::default() };
    client.send(Method::POST, &format!("/sessions/{session}/messages?wait=60"), &body).await
}
