//! Does what is wished at the server, one thing after the other.
//!
//! Invariant: each wish carries a name, so that a server that died before it answered does it once, however often it is
//! asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::Stream;
use outlive_core::command::Verdict;
use outlive_core::media::Attachment;
use outlive_protocol::approval::Decide;
use outlive_protocol::message::PostMessage;
use outlive_protocol::question::{AnswerBody, PostAnswer};
use outlive_protocol::session::Control;
use outlive_tui::{Happened, Wish};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::opening::earlier;
use crate::client::{Client, connect};
use crate::commands::run::files;
use crate::config::{self, Workspace};
use crate::exit::Failure;

/// Where wishes are brought.
pub struct Errands {
    place: Workspace,
    client: Client,
    session: String,
}

/// Time between two tries.
const AGAIN: Duration = Duration::from_secs(2);

impl Errands {
    pub fn new(place: &Workspace, client: &Client, session: &str) -> Self {
        Self { place: place.clone(), client: client.clone(), session: session.to_owned() }
    }

    /// Returns the connection, for questions.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Does one thing. A server that is away is started once.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn run(&mut self, wish: &Wish) -> Result<(), Failure> {
        let Some((route, body)) = letter(wish)? else { return Ok(()) };
        match self.send(&route, &body).await {
            Err(Failure::Unreachable(_)) => {
                self.client = connect(&self.place).await?;
                self.send(&route, &body).await
            }
            sent => sent,
        }
    }

    /// Does all that comes, and waits for a server that is away as long as it takes.
    pub fn stream(self, wishes: mpsc::Receiver<Wish>) -> impl Stream<Item = Happened> {
        futures_util::stream::unfold((self, wishes), |(mut errands, mut wishes)| async move {
            let wish = wishes.recv().await?;
            if let Wish::Earlier(before) = wish {
                let page = earlier(&errands.client, &errands.session, before).await;
                let page = page.map_err(|error| error.to_string());
                return Some((Happened::Earlier(before, page), (errands, wishes)));
            }
            if let Wish::Attach(path) = wish {
                let kept = errands.attach(&path).await.map_err(|error| error.to_string());
                return Some((Happened::Attached(path, kept), (errands, wishes)));
            }
            let done = errands.insist(&wish).await.map_err(|error| error.to_string());
            Some((Happened::Done(wish, done), (errands, wishes)))
        })
    }

    /// Sends a file to the server, and waits for one that is away as long as it takes.
    ///
    /// # Errors
    ///
    /// The file cannot be read or shown to models, or what the server says.
    pub async fn attach(&mut self, path: &str) -> Result<Attachment, Failure> {
        let path = at_home(path);
        loop {
            match files::attach(&self.client, &path).await {
                Err(Failure::Unreachable(_)) => self.reconnect().await,
                kept => return kept,
            }
        }
    }

    async fn reconnect(&mut self) {
        match connect(&self.place).await {
            Ok(client) => self.client = client,
            Err(_away) => tokio::time::sleep(AGAIN).await,
        }
    }

    async fn insist(&mut self, wish: &Wish) -> Result<(), Failure> {
        let Some((route, body)) = letter(wish)? else { return Ok(()) };
        loop {
            match self.send(&route, &body).await {
                Err(Failure::Unreachable(_)) => self.reconnect().await,
                sent => return sent,
            }
        }
    }

    async fn send(&self, route: &str, body: &Value) -> Result<(), Failure> {
        let route = format!("/sessions/{}{route}", self.session);
        let _: BTreeMap<String, Value> = self.client.send(Method::POST, &route, body).await?;
        Ok(())
    }
}

/// A path as a shell would read it: in quotes, or from home on.
fn at_home(path: &str) -> PathBuf {
    let quoted = ["'", "\""].iter().find_map(|quote| path.strip_prefix(quote)?.strip_suffix(quote));
    let path = quoted.unwrap_or(path);
    let below = path.strip_prefix("~/").and_then(|rest| Some(PathBuf::from(config::variable("HOME")?).join(rest)));
    below.unwrap_or_else(|| path.into())
}

/// The route and the body of a wish, if the server has a part in it.
fn letter(wish: &Wish) -> Result<Option<(String, Value)>, Failure> {
    let name = crate::config::random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let request_id = Some(name);
    let control = |request_id| serde_json::to_value(Control { reason: None, request_id });
    Ok(Some(match wish {
        Wish::Say(text, behavior, attached) => {
            let (content, attachments) = (text.clone(), attached.iter().map(files::named).collect());
            let body = PostMessage { content, behavior: *behavior, attachments, request_id, ..PostMessage::default() };
            ("/messages".to_owned(), json!(body))
        }
        Wish::Answer(question, answer, _) => {
            let body = PostAnswer { answers: vec![AnswerBody::Several(answer.clone())], request_id };
            (format!("/questions/{question}"), json!(body))
        }
        Wish::Decide(call, seq, decision, reason) => {
            let body = Decide { decision: *decision, seq: *seq, reason: reason.clone(), request_id };
            (format!("/approvals/{call}"), json!(body))
        }
        Wish::Interrupt => ("/interrupt".to_owned(), control(request_id)?),
        Wish::Pause => ("/pause".to_owned(), control(request_id)?),
        Wish::Resume => ("/resume".to_owned(), control(request_id)?),
        Wish::Attach(_) | Wish::Earlier(_) | Wish::Keep(_) | Wish::Leave | Wish::Suspend | Wish::Redraw => {
            return Ok(None);
        }
    }))
}

/// The verdict of a word that was typed.
pub fn verdict(word: &str) -> Option<Verdict> {
    match word {
        "y" | "yes" => Some(Verdict::Allow),
        "a" | "always" => Some(Verdict::AllowAlways),
        "n" | "no" => Some(Verdict::Deny),
        _ => None,
    }
}
