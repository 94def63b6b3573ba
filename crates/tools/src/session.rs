//! `session`: looks at other sessions, and changes none.
//!
//! Invariants: without a rule it sees sessions of its own agent; those of another are asked about, by that agent's name, and
//! whoever runs the call holds it to that name. What it shows is bounded, and named as a record.

use std::sync::Arc;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::limits::RESULT_BYTES;
use outlive_core::policy::{Reach, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::builtin::shape;
use crate::web::foreign;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Bytes that are shown at once.
const SHOWN: usize = RESULT_BYTES - 4_096;
/// Sessions of one list, and messages of one look, where a call does not say how many; and the most.
const USUAL: usize = 20;
const MOST: usize = 100;
/// Characters of one message.
const MESSAGE: usize = 4_000;

/// A session, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Which.
    pub session: SessionId,
    /// What it is called.
    pub title: String,
    /// What it is doing.
    pub status: String,
    /// When something last happened in it.
    pub updated_at: String,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its place in the journal.
    pub seq: u64,
    /// `user`, `assistant` or `tool`.
    pub role: String,
    /// What, with the calls that were asked for.
    pub text: String,
}

/// Which part of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Behind this place.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
}

/// The sessions of a workspace.
pub trait Siblings: Send + Sync {
    /// Returns the sessions of an agent, the newest first, with this text in their titles.
    fn list(&self, agent: AgentName, text: Option<String>, limit: usize) -> Pending<'_, Result<Vec<Sibling>, String>>;

    /// Returns what was said in a session, if it is one of this agent.
    fn read(&self, agent: AgentName, session: SessionId, part: Part) -> Pending<'_, Result<Vec<Said>, String>>;
}

/// Looks at sessions.
pub struct Sessions {
    siblings: Arc<dyn Siblings>,
    own: AgentName,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The session to read; without one they are listed.
    #[serde(default)]
    id: Option<String>,
    /// The agent whose sessions are meant. Your own if left out.
    #[serde(default)]
    agent: Option<String>,
    /// Lists only those with this in their titles.
    #[serde(default)]
    query: Option<String>,
    /// Reads on behind this message.
    #[serde(default)]
    after: Option<u64>,
    /// Sessions or messages to show. 20 if left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<usize>,
}

impl Sessions {
    /// Looks at these, as an agent of this name.
    #[must_use]
    pub fn new(siblings: Arc<dyn Siblings>, own: AgentName) -> Self {
        Self { siblings, own }
    }

    fn asked(&self, arguments: &Value) -> Result<(Arguments, AgentName, Option<SessionId>), String> {
        let arguments: Arguments = shape::read(arguments)?;
        let agent = match &arguments.agent {
            Some(name) => name.parse().map_err(|error| format!("`agent`: {error}"))?,
            None => self.own.clone(),
        };
        let session = arguments.id.as_ref().map(|id| id.parse().map_err(|_| format!("`{id:.40}` is no session's id")));
        Ok((arguments, agent, session.transpose()?))
    }

    async fn show(&self, invocation: &Invocation) -> Result<String, String> {
        let (arguments, agent, session) = self.asked(&invocation.arguments)?;
        let limit = arguments.limit.unwrap_or(USUAL).min(MOST);
        match session {
            None => {
                let list = self.siblings.list(agent, arguments.query, limit).await?;
                let others = list.iter().filter(|sibling| sibling.session != invocation.session);
                let lines: Vec<String> = others.map(line).collect();
                Ok(if lines.is_empty() { "(there are no others)".to_owned() } else { lines.join("\n") })
            }
            Some(session) => {
                let part = Part { after: arguments.after.unwrap_or(0), limit };
                let said = self.siblings.read(agent, session, part).await?;
                Ok(foreign(&format!("what was said in session {session}"), invocation.call, &told(&said, limit)))
            }
        }
    }
}

fn line(sibling: &Sibling) -> String {
    let title: String = sibling.title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
    format!("{}  {}  {}  {title}", sibling.session, sibling.updated_at, sibling.status)
}

fn told(said: &[Said], limit: usize) -> String {
    let (mut out, mut last) = (String::new(), None);
    for one in said {
        let mut text: String = one.text.chars().take(MESSAGE).collect();
        if text.len() < one.text.len() {
            text.push_str(" [… cut]");
        }
        let shown = format!("--- {} {}\n{text}\n", one.seq, one.role);
        if out.len() + shown.len() > SHOWN {
            break;
        }
        out.push_str(&shown);
        last = Some(one.seq);
    }
    match last {
        None => "(nothing more was said)".to_owned(),
        Some(last) if said.last().is_some_and(|end| end.seq > last) || said.len() == limit => {
            format!("{out}[go on with after: {last}]")
        }
        Some(_) => out.trim_end().to_owned(),
    }
}

impl Tool for Sessions {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            "session",
            "Lists other sessions, the newest first, or with `id` shows what was said in one. It changes nothing.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let (_, agent, session) = self.asked(arguments)?;
        let reach = if agent == self.own { Reach::Within } else { Reach::Beyond };
        let target = session.map_or_else(|| agent.to_string(), |session| format!("{agent}/{session}"));
        let summary = format!("look at the sessions of {target}");
        let subject = Subject { tool: "session".to_owned(), target, reach };
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, span: Span::Call, subject, summary })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { self.show(&invocation).await.map_or_else(Finished::error, Finished::ok) })
    }
}
