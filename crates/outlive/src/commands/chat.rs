//! Talks: prints what happens as it happens, takes what is typed, asks in place where a person is needed. Ctrl-C stops the
//! turn, Ctrl-D leaves it running.

use std::io::{BufRead as _, IsTerminal as _};

use outlive_core::command::Verdict;
use outlive_core::event::Behavior;
use outlive_core::id::CallId;
use outlive_protocol::agent::AgentView;
use outlive_protocol::approval::Decide;
use outlive_protocol::message::{MessageAccepted, PostMessage};
use outlive_protocol::session::{Done, SessionView};
use outlive_tui::Style;
use reqwest::Method;
use tokio::sync::mpsc;

use super::follow::{Came, Follow, Print};
use super::run::session as open;
use crate::cli::Talk;
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, talk_to: &Talk) -> Outcome {
    let client = connect(place).await?;
    let (session, head) = open(&client, talk_to).await?;
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let agent: AgentView = client.get(&format!("/agents/{}", view.row.agent)).await?;
    show::line(Style::Bold, &format!("{} · {} · {session}", agent.name, agent.model));
    let change = if agent.model.starts_with("rehearsal/") {
        "no model key was found, so an offline script answers; set ANTHROPIC_API_KEY or OPENAI_API_KEY and restart the server, or \
         name a model in the agent's agent.yaml"
    } else {
        "to take another model, name it in the agent's agent.yaml"
    };
    show::line(Style::Dim, change);
    show::line(
        Style::Dim,
        "tools are not sandboxed in this version: you are asked before a command runs. /help lists commands",
    );
    for warning in &agent.warnings {
        show::line(Style::Notice, &format!("! {warning}"));
    }
    let after = if talk_to.session.is_some() { 0 } else { head };
    talk(place, &client, &session, after).await
}

/// What was typed.
enum Typed {
    Line(String),
    End,
}

/// Talks in a session from a position on.
///
/// # Errors
///
/// The server does not come back.
pub async fn talk(place: &Workspace, client: &Client, session: &str, after: u64) -> Outcome {
    let mut chat = Chat {
        place: place.clone(),
        client: client.clone(),
        session: session.to_owned(),
        asking: None,
        follow: Follow::begin(place, client, session, after).await?,
        is_terminal: std::io::stdin().is_terminal(),
        owed: 0,
        at_end: false,
    };
    let mut typed = read_lines();
    loop {
        tokio::select! {
            came = chat.follow.next(Print::Screen) => chat.came(&came?).await?,
            line = typed.recv(), if chat.wants_line() => match line {
                Some(Typed::Line(line)) => chat.typed(line.trim_end()).await?,
                Some(Typed::End) | None => chat.at_end = true,
            },
            _ = tokio::signal::ctrl_c() => {
                if !chat.interrupt().await? {
                    return chat.leave();
                }
            }
        }
        if chat.at_end && (chat.is_terminal || chat.rests()) {
            return chat.leave();
        }
    }
}

/// Reads standard input on a thread of its own: a blocking read must not hold the rest.
fn read_lines() -> mpsc::Receiver<Typed> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut whole = String::new();
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            // A backslash at the end goes on in the next line.
            if let Some(part) = line.strip_suffix('\\') {
                whole.push_str(part);
                whole.push('\n');
                continue;
            }
            whole.push_str(&line);
            if sender.blocking_send(Typed::Line(std::mem::take(&mut whole))).is_err() {
                return;
            }
        }
        sender.blocking_send(Typed::End).ok();
    });
    receiver
}

struct Chat {
    place: Workspace,
    client: Client,
    session: String,
    follow: Follow,
    /// The call that the person was asked about.
    asking: Option<CallId>,
    is_terminal: bool,
    /// Turns that were started from here and have not ended, when input is not a terminal.
    owed: usize,
    at_end: bool,
}

impl Chat {
    /// From a pipe, one message at a time: the next line waits for the turn before, unless a decision is asked for.
    fn wants_line(&self) -> bool {
        !self.at_end && self.follow.live && (self.is_terminal || self.rests() || self.asking.is_some())
    }

    fn rests(&self) -> bool {
        self.follow.live && self.owed == 0 && (!self.follow.screen.running || self.is_terminal)
            || self.asking.is_some() && !self.is_terminal
    }

    async fn came(&mut self, came: &Came) -> Result<(), Failure> {
        if let Came::Event(entry, _) = came
            && let outlive_core::event::Event::TurnEnded(ended) = &entry.event
        {
            self.owed = self.owed.saturating_sub(1);
            if self.follow.live || self.is_terminal {
                self.status(ended.usage.all_input() + ended.usage.output_tokens);
            }
        }
        if self.asking.is_some_and(|call| !self.follow.screen.waiting.contains_key(&call)) {
            self.asking = None;
        }
        if self.follow.live && self.asking.is_none() {
            self.ask();
        }
        Ok(())
    }

    fn status(&self, tokens: u64) {
        if self.is_terminal {
            show::line(Style::Dim, &format!("  {} · {tokens} tokens · idle", self.follow.screen.model));
        }
    }

    /// Asks about the oldest call that waits.
    fn ask(&mut self) {
        let Some((call, waiting)) = self.follow.screen.waiting.first_key_value() else { return };
        show::line(Style::Notice, &format!("{} wants to run:", waiting.tool));
        show::line(Style::Bold, &format!("  {}", waiting.summary.replace('\n', "\n  ")));
        show::line(Style::Dim, "  y = yes, once · a = always exactly this, in this session · n [why] = no · s = later");
        self.asking = Some(*call);
    }

    async fn typed(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(call) = self.asking.take() {
            return self.decide(call, line).await;
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => Ok(()),
            ("/help", _) => {
                let help = "/steer TEXT reaches the running turn · /queue shows what waits · /session shows this session\n\
                            a line that ends with \\ goes on in the next · Ctrl-C stops the turn · Ctrl-D leaves it running";
                show::line(Style::Dim, help);
                Ok(())
            }
            ("/steer", text) => self.say(text, Behavior::Steer).await,
            ("/queue", _) => super::queue::list(&self.client, &self.session).await,
            ("/session", _) => super::session::show(&self.client, &self.session).await,
            (word, _) if word.starts_with('/') && !word[1..].contains('/') => {
                show::line(Style::Bad, &format!("there is no {word}: /help lists what there is"));
                Ok(())
            }
            _ => self.say(line, Behavior::FollowUp).await,
        }
    }

    async fn say(&mut self, text: &str, behavior: Behavior) -> Result<(), Failure> {
        let request_id = crate::config::random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = PostMessage { content: text.to_owned(), behavior, request_id: Some(request_id) };
        let route = format!("/sessions/{}/messages", self.session);
        let said: Result<MessageAccepted, Failure> = self.client.send(Method::POST, &route, &body).await;
        let said = match said {
            // The server went away: the same request to the next one is accepted once.
            Err(Failure::Unreachable(_)) => {
                self.client = connect(&self.place).await?;
                self.client.send(Method::POST, &route, &body).await
            }
            said => said,
        };
        match said {
            Ok(_) => self.owed += 1,
            Err(error) => show::line(Style::Bad, &error.to_string()),
        }
        Ok(())
    }

    async fn decide(&mut self, call: CallId, line: &str) -> Result<(), Failure> {
        let (word, why) = line.split_once(' ').unwrap_or((line, ""));
        let decision = match word {
            "y" | "yes" => Verdict::Allow,
            "a" | "always" => Verdict::AllowAlways,
            "n" | "no" => Verdict::Deny,
            "s" | "" => {
                show::line(Style::Dim, &format!("it waits; later: outlive approve {call}"));
                self.follow.screen.waiting.remove(&call);
                return Ok(());
            }
            _ => {
                show::line(Style::Bad, "y, a, n or s");
                self.asking = None;
                self.ask();
                return Ok(());
            }
        };
        let reason = (!why.is_empty()).then(|| why.to_owned());
        let route = format!("/sessions/{}/approvals/{call}", self.session);
        let done: Result<Done, Failure> =
            self.client.send(Method::POST, &route, &Decide { decision, reason, request_id: None }).await;
        if let Err(error) = done {
            show::line(Style::Bad, &error.to_string());
        }
        Ok(())
    }

    /// Stops the running turn; says whether there was one.
    async fn interrupt(&mut self) -> Result<bool, Failure> {
        if !self.follow.screen.running {
            return Ok(false);
        }
        let route = format!("/sessions/{}/interrupt", self.session);
        let done: Result<Done, Failure> = self.client.send(Method::POST, &route, &serde_json::json!({})).await;
        if let Err(error) = done {
            show::line(Style::Bad, &error.to_string());
        }
        Ok(true)
    }

    fn leave(&self) -> Outcome {
        let state = if self.follow.screen.running { "the turn goes on without you; " } else { "" };
        if self.is_terminal || self.follow.screen.running {
            show::line(Style::Dim, &format!("{state}come back with: outlive attach {}", self.session));
        }
        ok()
    }
}
