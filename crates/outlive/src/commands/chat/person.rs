//! What a person does to a session: talks, decides, stops it. Each is safe to send again when the server was away.

use outlive_core::command::Verdict;
use outlive_core::event::Behavior;
use outlive_core::id::CallId;
use outlive_protocol::approval::Decide;
use outlive_protocol::message::{MessageAccepted, PostMessage};
use outlive_protocol::session::Done;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::Failure;

/// Somebody in a session.
#[derive(Clone)]
pub struct Person {
    place: Workspace,
    /// How the server is reached.
    pub client: Client,
    /// The session.
    pub session: String,
}

/// What was decided on a call, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// This, for this reason.
    Decision(Verdict, Option<String>),
    /// Not now.
    Later,
    /// None of these.
    Unclear,
}

/// The keys of a decision.
pub const WORDS: &str = "y = yes, once · a = always exactly this, in this session · n [why] = no · s = later";

/// Reads a decision.
pub fn word(line: &str) -> Word {
    let (word, why) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let why = (!why.trim().is_empty()).then(|| why.trim().to_owned());
    match word {
        "y" | "yes" => Word::Decision(Verdict::Allow, why),
        "a" | "always" => Word::Decision(Verdict::AllowAlways, why),
        "n" | "no" => Word::Decision(Verdict::Deny, why),
        "s" | "" => Word::Later,
        _ => Word::Unclear,
    }
}

impl Person {
    pub fn new(place: &Workspace, client: &Client, session: &str) -> Self {
        Self { place: place.clone(), client: client.clone(), session: session.to_owned() }
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// The server refuses, or does not come back.
    pub async fn say(&mut self, text: &str, behavior: Behavior) -> Result<MessageAccepted, Failure> {
        let request_id = Some(request_id()?);
        self.send("messages", &PostMessage { content: text.to_owned(), behavior, request_id }).await
    }

    /// Decides on a call.
    ///
    /// # Errors
    ///
    /// As [`Self::say`]
    pub async fn decide(&mut self, call: CallId, decision: Verdict, reason: Option<String>) -> Result<(), Failure> {
        let body = Decide { decision, reason, request_id: Some(request_id()?) };
        let _: Done = self.send(&format!("approvals/{call}"), &body).await?;
        Ok(())
    }

    /// Stops the running turn.
    ///
    /// # Errors
    ///
    /// As [`Self::say`]
    pub async fn interrupt(&mut self) -> Result<(), Failure> {
        let _: Done = self.send("interrupt", &serde_json::json!({ "request_id": request_id()? })).await?;
        Ok(())
    }

    /// Finds the server as it is now: it may have come back elsewhere.
    ///
    /// # Errors
    ///
    /// It does not come back.
    pub async fn find(&mut self) -> Result<(), Failure> {
        self.client = connect(&self.place).await?;
        Ok(())
    }

    async fn send<T: DeserializeOwned>(&mut self, what: &str, body: &impl Serialize) -> Result<T, Failure> {
        let route = format!("/sessions/{}/{what}", self.session);
        match self.client.send(Method::POST, &route, body).await {
            // The server went away: the same request to the next one is done once.
            Err(Failure::Unreachable(_)) => {
                self.find().await?;
                self.client.send(Method::POST, &route, body).await
            }
            said => said,
        }
    }
}

fn request_id() -> Result<String, Failure> {
    Ok(crate::config::random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_with_their_reasons() {
        assert_eq!(word("y"), Word::Decision(Verdict::Allow, None));
        assert_eq!(word(" always "), Word::Decision(Verdict::AllowAlways, None));
        assert_eq!(word("n not on this machine"), Word::Decision(Verdict::Deny, Some("not on this machine".into())));
        assert_eq!(word(""), Word::Later);
        assert_eq!(word("yess"), Word::Unclear);
    }
}
