//! Talks in a terminal: what happens goes up, what is typed and how things stand stay at the bottom.
//!
//! One loop draws. Two tasks work for it, so that typing never waits for the network: one listens, one does what the
//! person wants, in order.

use std::collections::BTreeSet;
use std::time::Duration;

use crossterm::event::{Event as Happened, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use outlive_core::command::Verdict;
use outlive_core::event::{Behavior, Event};
use outlive_core::id::CallId;
use outlive_protocol::session::SessionView;
use outlive_runtime::tasks::Tasks;
use outlive_tui::area::{self, Area, Around};
use outlive_tui::{Edit, Editor, Lines, Piece, Screen, Style};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::follow::{Came, Ear};
use super::super::{queue, session};
use super::person::{Person, WORDS, Word, word};
use super::terminal::Terminal;
use crate::client::Client;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::history::History;
use crate::show;

/// What comes to the loop from its tasks.
enum Inward {
    Came(Box<Came>),
    /// Something to say to the person.
    Note(Failure),
    /// The server does not come back.
    Lost(Failure),
}

/// What the person wants done.
enum Act {
    Say(String, Behavior),
    Decide(CallId, Verdict, Option<String>),
    Interrupt,
}

/// Talks in a session from a position on.
///
/// # Errors
///
/// The server does not come back, or the terminal is gone.
pub async fn talk(place: &Workspace, client: &Client, session: &str, after: u64) -> Outcome {
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    let ear = Ear::begin(place, client, session, after).await?;
    let person = Person::new(place, client, session);
    let tasks = Tasks::default();
    let (tell, mut inward) = mpsc::channel(256);
    let (want, wants) = mpsc::channel(64);
    let listening = tasks.spawn("listen", listen(ear, tell.clone()));
    let doing = tasks.spawn("do", perform(person.clone(), wants, tell));
    let history = History::at(place.root.join("run").join("history"));
    let terminal = Terminal::take(show::colors())?;
    let mut live = Live {
        person,
        agent: view.row.agent,
        want,
        editor: Editor::new(history.read()),
        history,
        screen: Screen::default(),
        lines: Lines::default(),
        terminal,
        area: Area::default(),
        asking: Asking::default(),
        standing: Standing::default(),
    };
    let left = live.run(&mut inward).await;
    listening.abort();
    doing.abort();
    live.terminal.pause().ok();
    left?;
    let goes_on = if live.screen.running { "the turn goes on without you; " } else { "" };
    show::line(Style::Dim, &format!("{goes_on}come back with: outlive attach {session}"));
    ok()
}

async fn listen(mut ear: Ear, tell: mpsc::Sender<Inward>) {
    loop {
        let (inward, lost) = match ear.next().await {
            Ok(came) => (Inward::Came(Box::new(came)), false),
            Err(error) => (Inward::Lost(error), true),
        };
        if tell.send(inward).await.is_err() || lost {
            return;
        }
    }
}

async fn perform(mut person: Person, mut wants: mpsc::Receiver<Act>, tell: mpsc::Sender<Inward>) {
    while let Some(act) = wants.recv().await {
        let done = match act {
            Act::Say(text, behavior) => person.say(&text, behavior).await.map(drop),
            Act::Decide(call, verdict, reason) => person.decide(call, verdict, reason).await,
            Act::Interrupt => person.interrupt().await,
        };
        if let Err(error) = done
            && tell.send(Inward::Note(error)).await.is_err()
        {
            return;
        }
    }
}

/// What the person is asked.
#[derive(Default)]
struct Asking {
    call: Option<CallId>,
    /// Calls that are left for later.
    later: BTreeSet<CallId>,
}

/// What the status line says beside the fold.
#[derive(Default)]
struct Standing {
    /// Since when a turn runs, as far as was seen here.
    since: Option<Instant>,
    away: bool,
    live: bool,
    /// Whether the last key was Ctrl-C with nothing to stop.
    leaving: bool,
}

struct Live {
    person: Person,
    agent: String,
    want: mpsc::Sender<Act>,
    editor: Editor,
    history: History,
    screen: Screen,
    lines: Lines,
    terminal: Terminal,
    area: Area,
    asking: Asking,
    standing: Standing,
}

/// Whether the person stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Away,
}

impl Live {
    async fn run(&mut self, inward: &mut mpsc::Receiver<Inward>) -> Result<(), Failure> {
        let mut keys = EventStream::new();
        let mut ends = [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
        let [term, hangup] = &mut ends;
        self.draw(&[])?;
        loop {
            let second = tokio::time::sleep(Duration::from_secs(1));
            let pieces = tokio::select! {
                Some(first) = inward.recv() => self.take(first, inward)?,
                happened = keys.next() => {
                    let Some(happened) = happened.transpose()? else { return Ok(()) };
                    let mut said = Vec::new();
                    if self.happened(happened, &mut said).await? == Go::Away {
                        return Ok(());
                    }
                    said
                }
                () = second, if self.screen.running => Vec::new(),
                _ = term.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            };
            self.draw(&pieces)?;
        }
    }

    /// Folds what came, and what else is there already: a long history is drawn in few strokes.
    fn take(&mut self, first: Inward, inward: &mut mpsc::Receiver<Inward>) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        let mut next = Some(first);
        while let Some(inward_now) = next {
            match inward_now {
                Inward::Came(came) => self.came(&came, &mut pieces),
                Inward::Note(error) => pieces.push(Piece::new(Style::Bad, &format!("{error}\n"))),
                Inward::Lost(error) => return Err(error),
            }
            next = if pieces.len() < 1_000 { inward.try_recv().ok() } else { None };
        }
        Ok(pieces)
    }

    fn came(&mut self, came: &Came, pieces: &mut Vec<Piece>) {
        pieces.extend(self.screen.update(&came.input()));
        match came {
            Came::Live => (self.standing.live, self.standing.away) = (true, false),
            Came::Away => (self.standing.live, self.standing.away) = (false, true),
            Came::Event(entry, _) if matches!(entry.event, Event::TurnStarted(_)) => {
                self.standing.since = Some(Instant::now());
            }
            Came::Event(..) | Came::Delta(_) => {}
        }
        if self.asking.call.is_some_and(|call| !self.screen.waiting.contains_key(&call)) {
            self.asking.call = None;
        }
        if self.standing.live && self.asking.call.is_none() {
            self.ask(pieces);
        }
    }

    /// Asks about the oldest call that waits and was not put off.
    fn ask(&mut self, pieces: &mut Vec<Piece>) {
        let mut waiting = self.screen.waiting.iter();
        let Some((call, waiting)) = waiting.find(|(call, _)| !self.asking.later.contains(call)) else { return };
        pieces.extend(waiting.question());
        self.asking.call = Some(*call);
    }

    async fn happened(&mut self, happened: Happened, said: &mut Vec<Piece>) -> Result<Go, Failure> {
        match happened {
            Happened::Key(key) if key.kind != KeyEventKind::Release => {
                let edit = self.editor.key(key);
                let was_leaving = std::mem::take(&mut self.standing.leaving);
                match edit {
                    Edit::Edited => {}
                    Edit::Send(text) => self.typed(&text, said).await?,
                    Edit::Interrupt if self.screen.running => {
                        said.push(Piece::new(Style::Notice, "(stopping the turn)\n"));
                        self.want(Act::Interrupt, said);
                    }
                    Edit::Interrupt if !self.editor.text().is_empty() => self.editor.clear(),
                    Edit::Interrupt if was_leaving => return Ok(Go::Away),
                    Edit::Interrupt => self.standing.leaving = true,
                    Edit::Leave => return Ok(Go::Away),
                    Edit::Redraw => self.terminal.clear()?,
                }
            }
            Happened::Paste(text) => self.editor.paste(&text),
            Happened::Resize(columns, _) => self.terminal.resized(&self.area, columns.into()),
            Happened::Key(_) | Happened::Mouse(_) | Happened::FocusGained | Happened::FocusLost => {}
        }
        Ok(Go::On)
    }

    async fn typed(&mut self, text: &str, said: &mut Vec<Piece>) -> Result<(), Failure> {
        if let Some(call) = self.asking.call.take() {
            self.decide(call, text, said);
            return Ok(());
        }
        let text = text.trim();
        if !text.is_empty() {
            self.history.add(text);
            self.editor.remember(text);
        }
        match text.split_once(char::is_whitespace).unwrap_or((text, "")) {
            ("", _) => {}
            ("/help", _) => said.push(Piece::new(Style::Dim, &format!("{}\n", super::HELP))),
            ("/steer", text) => self.want(Act::Say(text.to_owned(), Behavior::Steer), said),
            ("/queue" | "/session", _) => self.aside(text).await?,
            (word, _) if word.starts_with('/') && !word[1..].contains('/') => {
                said.push(Piece::new(Style::Bad, &format!("there is no {word}: /help lists what there is\n")));
            }
            _ => self.want(Act::Say(text.to_owned(), Behavior::FollowUp), said),
        }
        Ok(())
    }

    /// Prints what another command prints.
    async fn aside(&mut self, word: &str) -> Result<(), Failure> {
        self.terminal.pause()?;
        self.person.find().await?;
        let (client, session) = (&self.person.client, &self.person.session);
        let shown = match word {
            "/queue" => queue::list(client, session).await,
            _ => session::show(client, session).await,
        };
        if let Err(error) = shown {
            show::line(Style::Bad, &error.to_string());
        }
        Ok(self.terminal.resume()?)
    }

    fn decide(&mut self, call: CallId, text: &str, said: &mut Vec<Piece>) {
        match word(text) {
            Word::Decision(verdict, reason) => self.want(Act::Decide(call, verdict, reason), said),
            Word::Later => {
                self.asking.later.insert(call);
                said.push(Piece::new(Style::Dim, &format!("it waits; later: outlive approve {call}\n")));
                self.ask(said);
            }
            Word::Unclear => {
                said.push(Piece::new(Style::Bad, &format!("{WORDS}\n")));
                self.asking.call = Some(call);
            }
        }
    }

    fn want(&mut self, act: Act, said: &mut Vec<Piece>) {
        if self.want.try_send(act).is_err() {
            said.push(Piece::new(Style::Bad, "too much waits for the server: try again in a moment\n"));
        }
    }

    fn draw(&mut self, pieces: &[Piece]) -> Result<(), Failure> {
        let (columns, _) = self.terminal.size();
        let ended = self.lines.push(pieces).into_iter().flat_map(|line| area::prose(line, columns));
        let ended: Vec<_> = ended.collect();
        let mut open = self.lines.open().to_vec();
        if !self.screen.unfinished().is_empty() {
            open.push(Piece::new(Style::Plain, self.screen.unfinished()));
        }
        let status = self.status();
        let prompt = if self.asking.call.is_some() { "? " } else { "› " };
        let around = Around { open: &open, status: &status, prompt };
        self.area = area::draw(&around, &self.editor, self.terminal.size());
        Ok(self.terminal.draw(&ended, &self.area)?)
    }

    fn status(&self) -> String {
        if self.standing.leaving {
            return "Ctrl-C again leaves; the session stays".to_owned();
        }
        if self.asking.call.is_some() {
            return WORDS.to_owned();
        }
        let mut state = if self.standing.away { "reconnecting" } else { self.screen.state() }.to_owned();
        let since = self.standing.since.filter(|_| self.screen.running && state == "working");
        if let Some(since) = since {
            state.push_str(&format!(" {} s", since.elapsed().as_secs()));
        }
        if !self.screen.queue.is_empty() {
            state.push_str(&format!(" · {} queued", self.screen.queue.len()));
        }
        let tokens = self.screen.usage.all_input() + self.screen.usage.output_tokens;
        let model = if self.screen.model.is_empty() { "no model asked yet" } else { &self.screen.model };
        format!("{} · {model} · {tokens} tokens · {state}", self.agent)
    }
}
