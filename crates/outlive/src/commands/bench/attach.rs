//! Coming to a session: how soon its end is on the screen, and what many listeners cost whoever is listened to.

use std::path::Path;

use futures_util::future::join_all;
use outlive_core::time::Timestamp;
use outlive_protocol::event::SSE_LIVE;
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
/// Turns that make a session long, and bytes of what is said and answered in each.
const LONG_TURNS: usize = 5;
const LONG: usize = 400_000;

/// Measures coming to a session.
///
/// # Errors
///
/// What the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let messages = scale.of(10_000);
    let place = workspace(home.path(), 1, messages).await?;
    let session = outlive_core::id::SessionId::from_bits(1).to_string();
    // The first start lists what is there; those after it are what is measured.
    let mut first = Server::start(&place).await?;
    first_screen(&first.client, &session).await?;
    first.stop();
    let mut server = Server::start(&place).await?;
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

/// A turn that streams, heard by many of whom some take nothing, beside the same turn heard by one; by turns. The model
/// takes its time as models do, and listeners take bytes without looking at them: it is the turn that is measured, not what
/// a hundred programs on one machine do with what they hear.
async fn crowd(client: &Client, turns: usize) -> Result<Figure, Failure> {
    let body = CreateSession { agent: SCRIPT.to_owned(), ..CreateSession::default() };
    let made: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    let session = made.row.id;
    // More than a connection holds that nobody reads from.
    for _ in 0..LONG_TURNS {
        say(client, &session, &format!("json {}", "long".repeat(LONG / 4))).await?;
    }
    let (mut alone, mut crowded) = (Vec::new(), Vec::new());
    for round in 0..turns {
        // Whoever is second has a longer session.
        for is_alone in [round % 2 == 0, round % 2 == 1] {
            let (took, crowd) =
                if is_alone { (&mut alone, (1, 0)) } else { (&mut crowded, (LISTENERS - STALLED, STALLED)) };
            took.push(heard(client, &session, crowd).await?);
        }
    }
    let name = format!("a turn that streams, {LISTENERS} listeners, {STALLED} of them stalled");
    Ok(Figure::new(name, median(crowded), "ms").against("ms: one listener", median(alone)).bar(Bar::AtMost(1.05)))
}

/// Takes a turn that so many listen to from now on, while others have asked for everything and take nothing.
async fn heard(client: &Client, session: &str, (listening, stalled): (usize, usize)) -> Result<f64, Failure> {
    let shown: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let (mut heard, mut unheard) = (Vec::new(), Vec::new());
    for _ in 0..stalled {
        unheard.push(client.listen(session, 0).await?);
    }
    for _ in 0..listening {
        let mut frames = client.listen(session, shown.row.head).await?;
        while frames.next().await.ok_or_else(cut)?.name != SSE_LIVE {}
        heard.push(frames);
    }
    let listen = |frames: Frames| frames.swallow();
    let took = tokio::select! {
        took = say(client, session, "say something") => took?,
        _ends = join_all(heard.into_iter().map(listen)) => return Err(cut()),
    };
    drop(unheard);
    Ok(took)
}

fn cut() -> Failure {
    Failure::failed("the listeners were cut off")
}

/// Takes a turn; returns the milliseconds that it took.
async fn say(client: &Client, session: &str, text: &str) -> Result<f64, Failure> {
    let body = PostMessage { content: text.to_owned(), ..PostMessage::default() };
    let began = ms();
    let _: TurnResult = client.send(Method::POST, &format!("/sessions/{session}/messages?wait=120"), &body).await?;
    Ok(ms() - began)
}
