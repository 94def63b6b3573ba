//! The conversation where no terminal is at both ends: prints lines as they end, takes a message a line, asks in place.

use std::io::{BufRead as _, IsTerminal as _};
use std::pin::pin;

use futures_util::StreamExt as _;
use outlive_core::event::{Behavior, Event};
use outlive_core::id::CallId;
use outlive_core::media::Attachment;
use outlive_tui::{Before, Colors, Screen, Style, Who, Wish};
use tokio::sync::mpsc;

use super::errand::{Errands, verdict};
use super::opening::earlier;
use crate::commands::follow::{Came, Follow};
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// What was typed.
enum Typed {
    Line(String),
    End,
}

/// Talks until standard input ends and what was said is answered.
///
/// # Errors
///
/// The server does not come back.
pub async fn talk(follow: Follow, errands: Errands, (who, before): (Who, Before)) -> Outcome {
    let mut chat = Chat {
        errands,
        who,
        screen: Screen::knowing(before),
        colors: show::colors(),
        asking: None,
        stdin: if std::io::stdin().is_terminal() { Stdin::Terminal } else { Stdin::Pipe },
        owed: 0,
        heard: Heard::Before,
        at_end: false,
        files: Vec::new(),
    };
    let mut typed = read_lines();
    let mut follow = pin!(follow.stream());
    loop {
        tokio::select! {
            came = follow.next() => match came {
                Some(came) => chat.came(&came?),
                None => return chat.leave(),
            },
            line = typed.recv(), if chat.wants_line() => match line {
                Some(Typed::Line(line)) => chat.typed(line.trim_end()).await?,
                Some(Typed::End) | None => chat.at_end = true,
            },
            _ = tokio::signal::ctrl_c() => {
                if !chat.screen.runs() {
                    return chat.leave();
                }
                chat.wish(&Wish::Interrupt).await;
            }
        }
        if chat.at_end && (chat.stdin == Stdin::Terminal || chat.rests()) {
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

/// Where lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdin {
    Terminal,
    Pipe,
}

/// What is heard of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// What was said before.
    Before,
    /// What happens.
    Live,
}

struct Chat {
    errands: Errands,
    who: Who,
    screen: Screen,
    colors: Colors,
    /// The call that the person was asked about.
    asking: Option<CallId>,
    stdin: Stdin,
    /// Turns that were started from here and have not ended.
    owed: usize,
    heard: Heard,
    at_end: bool,
    /// Files that the next message takes along.
    files: Vec<Attachment>,
}

impl Chat {
    /// From a pipe, one message at a time: the next line waits for the turn before, unless a decision is asked for.
    fn wants_line(&self) -> bool {
        !self.at_end && self.heard == Heard::Live && (self.stdin == Stdin::Terminal || self.rests())
    }

    fn rests(&self) -> bool {
        self.asking.is_some() || self.heard == Heard::Live && self.owed == 0 && !self.screen.runs()
    }

    fn came(&mut self, came: &Came) {
        show::pieces(self.colors, &self.screen.update(&came.input()));
        match came {
            Came::Event(entry, _) => {
                if let Event::TurnEnded(_) = &entry.event {
                    self.owed = self.owed.saturating_sub(1);
                }
            }
            Came::Delta(_) => {}
            Came::Live => self.heard = Heard::Live,
            Came::Lost => self.heard = Heard::Before,
        }
        if self.asking.is_some_and(|call| !self.screen.waiting.contains_key(&call)) {
            self.asking = None;
        }
        if self.heard == Heard::Live && self.asking.is_none() {
            self.ask();
        }
    }

    /// Asks about the oldest call that waits.
    fn ask(&mut self) {
        let Some((call, waiting)) = self.screen.waiting.first_key_value() else { return };
        show::line(Style::Notice, &format!("{} wants to run:", waiting.tool));
        show::line(Style::Bold, &format!("  {}", show::seen(&waiting.summary).replace('\n', "\n  ")));
        for because in &waiting.because {
            show::line(Style::Dim, &format!("  asks: {}", show::label(because)));
        }
        show::line(Style::Dim, &format!("  always would store, for this session: {}", show::label(&waiting.rule)));
        show::line(
            Style::Dim,
            "  y = yes, once · a = always exactly this, in this session · g = for this agent · n [why] = no · s = later",
        );
        self.asking = Some(*call);
    }

    async fn typed(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(call) = self.asking.take() {
            self.decide(call, line).await;
            return Ok(());
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => {}
            ("/help", _) => {
                let help = "/attach PATH sends a file with the next message · /steer TEXT reaches the running turn · /queue shows what waits · /session shows this session\n\
                            /more shows what came before what is shown\n\
                            a line that ends with \\ goes on in the next · Ctrl-C stops the turn · Ctrl-D leaves it running";
                show::line(Style::Dim, help);
            }
            ("/steer", text) => self.say(text, Behavior::Steer).await,
            ("/attach", path) => self.attach(path.trim()).await,
            ("/more", _) => self.more().await?,
            ("/queue", _) => crate::commands::queue::list(self.errands.client(), &self.who.session).await?,
            ("/session", _) => crate::commands::session::show(self.errands.client(), &self.who.session).await?,
            (word, _) if word.starts_with('/') && !word[1..].contains('/') => {
                show::line(Style::Bad, &format!("there is no {word}: /help lists what there is"));
            }
            _ => self.say(line, Behavior::FollowUp).await,
        }
        Ok(())
    }

    /// Shows what came before what is shown.
    async fn more(&mut self) -> Result<(), Failure> {
        if self.who.from <= 1 {
            show::line(Style::Dim, "that is the beginning");
            return Ok(());
        }
        let page = earlier(self.errands.client(), &self.who.session, self.who.from).await?;
        for line in page.drawn(self.screen.me()) {
            show::pieces(self.colors, &line);
            show::line(Style::Plain, "");
        }
        self.who.from = page.first;
        Ok(())
    }

    async fn attach(&mut self, path: &str) {
        match self.errands.attach(path).await {
            Ok(file) => {
                show::line(Style::Dim, &format!("attached: {}", file.described()));
                self.files.push(file);
            }
            Err(error) => show::line(Style::Bad, &error.to_string()),
        }
    }

    async fn say(&mut self, text: &str, behavior: Behavior) {
        let text = text.to_owned();
        let wish = match self.screen.reply(&text) {
            Some((question, answer)) => Wish::Answer(question, answer, text),
            None => Wish::Say(text, behavior, self.files.clone()),
        };
        if self.wish(&wish).await {
            self.owed += 1;
            if let Wish::Say(..) = wish {
                self.files.clear();
            }
        } else if !self.files.is_empty() {
            // They may be why, and nothing else takes them back.
            self.files.clear();
            show::line(
                Style::Dim,
                "the files were taken off again: /attach those that are to go with the next message",
            );
        }
    }

    async fn decide(&mut self, call: CallId, line: &str) {
        let (word, why) = line.split_once(' ').unwrap_or((line, ""));
        if matches!(word, "s" | "") {
            show::line(Style::Dim, &format!("it waits; later: outlive approve {call}"));
            self.screen.waiting.remove(&call);
            return;
        }
        let Some(verdict) = verdict(word) else {
            show::line(Style::Bad, "y, a, n or s");
            return self.ask();
        };
        let reason = (!why.is_empty()).then(|| why.to_owned());
        let seq = self.screen.waiting.get(&call).map(|waiting| waiting.seq);
        self.wish(&Wish::Decide(call, seq, verdict, reason)).await;
    }

    /// Says whether it was done; otherwise the person is told why not.
    async fn wish(&mut self, wish: &Wish) -> bool {
        let done = self.errands.run(wish).await;
        if let Err(error) = &done {
            show::line(Style::Bad, &error.to_string());
        }
        done.is_ok()
    }

    fn leave(&self) -> Outcome {
        let state = if self.screen.runs() { "the turn goes on without you; " } else { "" };
        if self.stdin == Stdin::Terminal || self.screen.runs() {
            show::line(Style::Dim, &format!("{state}come back with: {}", self.who.back));
        }
        ok()
    }
}
