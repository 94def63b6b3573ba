//! Talks line by line, where input or output is no terminal.

use std::io::BufRead as _;

use outlive_core::event::Behavior;
use outlive_core::id::CallId;
use outlive_tui::Style;
use tokio::sync::mpsc;

use super::super::follow::{Came, Follow, Print};
use super::super::{queue, session};
use super::person::{Person, WORDS, Word, word};
use crate::client::Client;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

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
    let follow = Follow::begin(place, client, session, after).await?;
    let person = Person::new(place, client, session);
    let mut chat = Chat { person, asking: None, follow, owed: 0, at_end: false };
    let mut typed = read_lines();
    loop {
        tokio::select! {
            came = chat.follow.next(Print::Screen) => chat.came(&came?),
            line = typed.recv(), if chat.wants_line() => match line {
                Some(Typed::Line(line)) => chat.typed(line.trim_end()).await?,
                Some(Typed::End) | None => chat.at_end = true,
            },
            _ = tokio::signal::ctrl_c() => {
                if !chat.follow.screen.running {
                    return chat.leave();
                }
                tell(chat.person.interrupt().await);
            }
        }
        if chat.at_end && chat.rests() {
            return chat.leave();
        }
    }
}

fn tell(done: Result<(), Failure>) {
    if let Err(error) = done {
        show::line(Style::Bad, &error.to_string());
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
    person: Person,
    follow: Follow,
    /// The call that the person was asked about.
    asking: Option<CallId>,
    /// Turns that were started from here and have not ended.
    owed: usize,
    at_end: bool,
}

impl Chat {
    /// One message at a time: the next line waits for the turn before, unless a decision is asked for.
    fn wants_line(&self) -> bool {
        !self.at_end && self.follow.live && (self.rests() || self.asking.is_some())
    }

    fn rests(&self) -> bool {
        self.follow.live && self.owed == 0 && !self.follow.screen.running || self.asking.is_some()
    }

    fn came(&mut self, came: &Came) {
        if let Came::Event(entry, _) = came
            && let outlive_core::event::Event::TurnEnded(_) = &entry.event
        {
            self.owed = self.owed.saturating_sub(1);
        }
        if self.asking.is_some_and(|call| !self.follow.screen.waiting.contains_key(&call)) {
            self.asking = None;
        }
        if self.follow.live && self.asking.is_none() {
            self.ask();
        }
    }

    /// Asks about the oldest call that waits.
    fn ask(&mut self) {
        let Some((call, waiting)) = self.follow.screen.waiting.first_key_value() else { return };
        show::pieces(show::colors(), &waiting.question());
        show::line(Style::Dim, &format!("  {WORDS}"));
        self.asking = Some(*call);
    }

    async fn typed(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(call) = self.asking.take() {
            self.decide(call, line).await;
            return Ok(());
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => {}
            ("/help", _) => show::line(Style::Dim, super::HELP),
            ("/steer", text) => self.say(text, Behavior::Steer).await,
            ("/queue", _) => drop(queue::list(&self.person.client, &self.person.session).await?),
            ("/session", _) => drop(session::show(&self.person.client, &self.person.session).await?),
            (word, _) if word.starts_with('/') && !word[1..].contains('/') => {
                show::line(Style::Bad, &format!("there is no {word}: /help lists what there is"));
            }
            _ => self.say(line, Behavior::FollowUp).await,
        }
        Ok(())
    }

    async fn say(&mut self, text: &str, behavior: Behavior) {
        match self.person.say(text, behavior).await {
            Ok(_) => self.owed += 1,
            Err(error) => tell(Err(error)),
        }
    }

    async fn decide(&mut self, call: CallId, line: &str) {
        match word(line) {
            Word::Decision(decision, reason) => tell(self.person.decide(call, decision, reason).await),
            Word::Later => {
                show::line(Style::Dim, &format!("it waits; later: outlive approve {call}"));
                self.follow.screen.waiting.remove(&call);
            }
            Word::Unclear => {
                show::line(Style::Bad, "y, a, n or s");
                self.ask();
            }
        }
    }

    fn leave(&self) -> Outcome {
        if self.follow.screen.running {
            let session = &self.person.session;
            show::line(Style::Dim, &format!("the turn goes on without you; come back with: outlive attach {session}"));
        }
        ok()
    }
}
