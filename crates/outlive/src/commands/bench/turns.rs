//! Durable turns over HTTP: the own binary as a server, an instant model, many clients.

use std::path::Path;

use futures_util::future::join_all;
use outlive_protocol::event::Events;
use outlive_protocol::message::{PostMessage, TurnResult};
use outlive_protocol::search::Indexed;
use outlive_protocol::session::{CreateSession, SessionView};
use reqwest::Method;

use super::bare::{BareFile, ms, used};
use super::made::{Server, syncs, workspace};
use super::{Bar, Figure, Scale, folder, median, percentile};
use crate::client::Client;
use crate::config::Workspace;
use crate::exit::Failure;

/// Durable writes of a turn with a tool call: what came, the answer with its call, the result, the last answer.
const WRITES: usize = 4;
/// Bytes of such a write.
const WRITE: usize = 600;

/// What a turn does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Tool,
}

impl Kind {
    /// What is said to the model.
    fn text(self) -> &'static str {
        match self {
            Self::Plain => "think",
            Self::Tool => "list",
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Self::Plain => "no tool",
            Self::Tool => "one tool call",
        }
    }

    /// Milliseconds of the server's processor that a turn may take.
    fn cpu(self) -> f64 {
        match self {
            Self::Plain => 0.3,
            Self::Tool => 0.5,
        }
    }
}

/// Measures turns.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let place = workspace(home.path(), 0, 0).await?;
    let mut server = Server::start(&place).await?;
    let mut figures = vec![alone(&server, home.path(), scale.of(800)).await?];
    for clients in [1, 16, 64, 256] {
        for kind in [Kind::Plain, Kind::Tool] {
            figures.extend(rate(&server, (clients, scale.of(4_000)), kind).await?);
        }
    }
    figures.push(age(&server, scale.of(400)).await?);
    figures.extend(growth(&server, scale.of(10_000)).await?);
    figures.push(searched(&server, scale.of(8_000)).await?);
    server.stop();
    figures.push(synced(&place, scale.of(100)).await?);
    Ok(figures)
}

async fn session(client: &Client) -> Result<String, Failure> {
    let body = CreateSession { agent: "bench".to_owned(), ..CreateSession::default() };
    let view: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    Ok(view.row.id)
}

/// Takes a turn; returns the milliseconds that it took.
///
/// # Errors
///
/// What the server says.
pub(super) async fn turn(client: &Client, session: &str, kind: Kind) -> Result<f64, Failure> {
    let body = PostMessage { content: kind.text().to_owned(), ..PostMessage::default() };
    let began = ms();
    let _: TurnResult = client.send(Method::POST, &format!("/sessions/{session}/messages?wait=120"), &body).await?;
    Ok(ms() - began)
}

/// New sessions that have had their first turn.
async fn sessions(client: &Client, count: usize, kind: Kind) -> Result<Vec<String>, Failure> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let session = session(client).await?;
        turn(client, &session, kind).await?;
        sessions.push(session);
    }
    Ok(sessions)
}

/// Lets each session take so many turns, all at the same time; returns the milliseconds of each turn.
async fn all(client: &Client, sessions: &[String], turns: usize, kind: Kind) -> Result<Vec<f64>, Failure> {
    let person = async |session: &String| -> Result<Vec<f64>, Failure> {
        let mut each = Vec::with_capacity(turns);
        for _ in 0..turns {
            each.push(turn(client, session, kind).await?);
        }
        Ok(each)
    };
    let mut each = Vec::new();
    for done in join_all(sessions.iter().map(person)).await {
        each.extend(done?);
    }
    Ok(each)
}

/// One client beside the durable writes of its turns, bare, one after another; by blocks, so that both are in their stride.
async fn alone(server: &Server, dir: &Path, turns: usize) -> Result<Figure, Failure> {
    const BLOCKS: usize = 10;
    let each = (turns / BLOCKS).max(1);
    let sessions = sessions(&server.client, BLOCKS, Kind::Tool).await?;
    let mut file = BareFile::make(dir)?;
    let (mut bare, mut served) = (Vec::new(), Vec::new());
    for session in sessions.chunks(1) {
        let took = (0..each * WRITES).map(|_| file.write(&[b'x'; WRITE])).sum::<std::io::Result<f64>>()?;
        bare.push(each as f64 * 1_000.0 / took);
        let took = all(&server.client, session, each, Kind::Tool).await?.iter().sum::<f64>();
        served.push(each as f64 * 1_000.0 / took);
    }
    Ok(Figure::new("turns/s, 1 session, one tool call, by blocks", median(served), "/s")
        .against("/s: its four durable writes, bare", median(bare))
        .bar(Bar::AtLeast(0.4)))
}

/// So many clients at the same time, each of which begins a new session after some turns.
async fn rate(server: &Server, (clients, turns): (usize, usize), kind: Kind) -> Result<Vec<Figure>, Failure> {
    const EACH: usize = 40;
    let rounds = (turns / EACH / clients).max(1);
    let sessions = sessions(&server.client, clients * rounds, kind).await?;
    let (began, before) = (ms(), used(server.pid()));
    let mut each = Vec::new();
    for sessions in sessions.chunks(clients) {
        each.extend(all(&server.client, sessions, EACH.min(turns), kind).await?);
    }
    let (took, after) = (ms() - began, used(server.pid()));
    let total = each.len() as f64;
    let name = |what: &str| format!("{what}, {clients} at a time, {}", kind.shown());
    Ok(vec![
        Figure::new(name("turns/s"), total * 1_000.0 / took, "/s"),
        Figure::new(name("p50 of a turn"), percentile(&each, 50), "ms"),
        Figure::new(name("p99 of a turn"), percentile(&each, 99), "ms"),
        Figure::new(name("server CPU a turn"), (after.cpu_ms - before.cpu_ms) / total, "ms")
            .bar(Bar::AtMost(kind.cpu())),
    ])
}

/// What a turn of a long session takes beside the first one of a new session, by turns.
async fn age(server: &Server, turns: usize) -> Result<Figure, Failure> {
    let client = &server.client;
    let old = sessions(client, 1, Kind::Tool).await?;
    all(client, &old, turns - 1, Kind::Tool).await?;
    let (mut first, mut late) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let new = [session(client).await?];
        first.extend(all(client, &new, 1, Kind::Tool).await?);
        late.extend(all(client, &old, 1, Kind::Tool).await?);
    }
    Ok(Figure::new(format!("p50 of turn {turns} and the 99 after it"), median(late), "ms")
        .against("ms of the first turn of new sessions", median(first))
        .bar(Bar::AtMost(1.2)))
}

/// What is written for a turn as a session grows.
async fn growth(server: &Server, most: usize) -> Result<Vec<Figure>, Failure> {
    const TURNS: usize = 20;
    let client = &server.client;
    let session = [session(client).await?];
    let mut figures = Vec::new();
    let mut messages = 0;
    for size in [10, 100, 1_000, 10_000].into_iter().filter(|size| *size <= most) {
        // A turn of this kind is two messages.
        all(client, &session, (size - messages) / 2, Kind::Plain).await?;
        let [one] = &session;
        let answer = answer(client, one).await?;
        followed(client).await?;
        let head = events(client, one, u64::MAX).await?.head;
        let before = used(server.pid());
        all(client, &session, TURNS, Kind::Plain).await?;
        settled().await;
        let written = used(server.pid()).written - before.written;
        let own = own_size(client, one, head).await?;
        let name = format!("bytes written a turn, session of {size} messages");
        let figure = Figure::new(name, written / TURNS as f64 - answer, "B");
        figures.push(figure.against("B: its events' own size", own as f64 / TURNS as f64).bar(Bar::AtMost(3.0)));
        messages = size + 2 * (TURNS + 1);
    }
    Ok(figures)
}

/// What is written for each of many turns, the words of the search with them: those gather until somebody asks.
async fn searched(server: &Server, turns: usize) -> Result<Figure, Failure> {
    const SESSIONS: usize = 16;
    let client = &server.client;
    let sessions = sessions(client, SESSIONS, Kind::Plain).await?;
    let answer = match sessions.first() {
        Some(session) => answer(client, session).await?,
        None => 0.0,
    };
    followed(client).await?;
    let mut heads = Vec::new();
    for session in &sessions {
        heads.push(events(client, session, u64::MAX).await?.head);
    }
    let before = used(server.pid());
    all(client, &sessions, turns / SESSIONS, Kind::Plain).await?;
    followed(client).await?;
    let written = used(server.pid()).written - before.written;
    let mut own = 0;
    for (session, head) in sessions.iter().zip(heads) {
        own += own_size(client, session, head).await?;
    }
    let total = (turns / SESSIONS * SESSIONS) as f64;
    let name = format!("bytes written a turn, {total} turns of {SESSIONS} sessions, with the words of the search");
    let figure = Figure::new(name, written / total - answer, "B");
    Ok(figure.against("B: their events' own size", own as f64 / total).bar(Bar::AtMost(3.0)))
}

/// Takes a turn; returns the bytes of its answer, which are given to a write call as well, and no file has them.
async fn answer(client: &Client, session: &str) -> Result<f64, Failure> {
    let body = PostMessage { content: Kind::Plain.text().to_owned(), ..PostMessage::default() };
    let body = serde_json::to_vec(&body).map_err(Failure::failed)?;
    let route = format!("/sessions/{session}/messages?wait=120");
    Ok(client.bytes(Method::POST, &route, Some(("application/json", body))).await?.len() as f64)
}

/// Waits until all words are where they are looked for, and everything else that gathered is written.
///
/// # Errors
///
/// What the server says.
pub(super) async fn followed(client: &Client) -> Result<(), Failure> {
    while client.get::<Indexed>("/reindex").await?.behind > 0 {}
    settled().await;
    Ok(())
}

/// Bytes of the events of a session after this one.
async fn own_size(client: &Client, session: &str, mut after: u64) -> Result<usize, Failure> {
    let mut bytes = 0;
    loop {
        let page = events(client, session, after).await?;
        bytes += page.items.iter().map(|line| line.get().len() + 1).sum::<usize>();
        after += page.items.len() as u64;
        if page.items.is_empty() || after >= page.head {
            return Ok(bytes);
        }
    }
}

/// Waits until lines and rows that gathered are written.
async fn settled() {
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
}

async fn events(client: &Client, session: &str, after: u64) -> Result<Events, Failure> {
    client.get(&format!("/sessions/{session}/events?after={after}&limit=1000")).await
}

/// How many syncs a turn costs with 64 clients; those of making the sessions, of checkpoints, and of the server's start and
/// end are counted, too.
async fn synced(place: &Workspace, turns: usize) -> Result<Figure, Failure> {
    let log = place.root.join("run").join("bench.log");
    let mut server = Server::start_logged(place, &log).await?;
    let mut sessions = Vec::new();
    for _ in 0..64 {
        sessions.push(session(&server.client).await?);
    }
    let taken = all(&server.client, &sessions, turns, Kind::Tool).await?.len();
    server.stop();
    let figure = Figure::new("syncs a turn, 64 sessions, one tool call", syncs(&log)? / taken as f64, "");
    Ok(figure.bar(Bar::AtMost(0.3)))
}
