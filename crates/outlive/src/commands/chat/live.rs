//! The conversation in a terminal: one loop that gives all that happens to [`Talk`], does what it wishes, and draws.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::{Event as Typed, EventStream, KeyEventKind};
use futures_util::{FutureExt as _, StreamExt as _};
use outlive_core::time::Timestamp;
use outlive_runtime::clock::{Clock as _, SystemClock};
use outlive_tui::{Before, Happened, History, Style, Talk, Who, Wish, view};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::errand::Errands;
use super::remember::Remembered;
use super::terminal::Terminal;
use crate::commands::follow::{Came, Follow};
use crate::exit::{Failure, Outcome};
use crate::show;

/// Time between two looks at the clock, while something on the screen counts.
const TICK: Duration = Duration::from_millis(250);
/// Wishes that may wait for the server.
const WISHES: usize = 64;
/// Things that happen before it is drawn again.
const AT_ONCE: usize = 256;

/// Talks until the person leaves.
///
/// # Errors
///
/// The session or the terminal is gone.
pub async fn talk(follow: Follow, errands: Errands, (who, before): (Who, Before)) -> Outcome {
    let mut room = Room::open(who, before)?;
    let ended = room.run(follow, errands).await;
    let Room { talk, terminal, .. } = room;
    drop(terminal);
    let code = ended?;
    show::line(Style::Dim, &talk.farewell());
    Ok(code)
}

struct Room {
    talk: Talk,
    terminal: Terminal,
    remembered: Remembered,
    signals: [Signal; 3],
}

/// What a wish comes to.
enum Then {
    Stay,
    Leave,
}

impl Room {
    fn open(who: Who, before: Before) -> Result<Self, Failure> {
        let remembered = Remembered::find();
        let history = History::of(remembered.read());
        let signals =
            [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
        let talk = Talk::new(who, history, now()).knowing(before);
        Ok(Self { talk, terminal: Terminal::hold()?, remembered, signals })
    }

    async fn run(&mut self, follow: Follow, errands: Errands) -> Outcome {
        let (wishes, queue) = mpsc::channel(WISHES);
        let mut came = pin!(follow.stream());
        let mut done = pin!(errands.stream(queue));
        let mut keys = EventStream::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.draw()?;
        loop {
            let [terminated, hung_up, interrupted] = &mut self.signals;
            let happened = tokio::select! {
                key = keys.next() => typed(key.ok_or_else(gone)??),
                came = came.next() => heard(came.ok_or_else(gone)?)?,
                done = done.next() => done,
                _ = ticks.tick(), if self.talk.ticks() => Some(Happened::Tick),
                _ = terminated.recv() => return Ok(ExitCode::SUCCESS),
                _ = hung_up.recv() => return Ok(ExitCode::SUCCESS),
                _ = interrupted.recv() => Some(Happened::Key(CTRL_C)),
            };
            self.terminal.resize();
            if let Then::Leave = self.happen(happened, &wishes)? {
                return Ok(ExitCode::SUCCESS);
            }
            // What has come already is drawn at once.
            for _ in 0..AT_ONCE {
                let Some(more) = came.next().now_or_never() else { break };
                self.happen(heard(more.ok_or_else(gone)?)?, &wishes)?;
            }
            self.draw()?;
        }
    }

    fn happen(&mut self, happened: Option<Happened>, wishes: &mpsc::Sender<Wish>) -> Result<Then, Failure> {
        let Some(happened) = happened else { return Ok(Then::Stay) };
        for wish in self.talk.update(now(), happened) {
            match wish {
                Wish::Leave => return Ok(Then::Leave),
                Wish::Keep(text) => self.remembered.keep(&text),
                Wish::Suspend => self.terminal.suspend()?,
                Wish::Redraw => self.terminal.clear()?,
                wish @ (Wish::Say(..)
                | Wish::Answer(..)
                | Wish::Decide(..)
                | Wish::Attach(_)
                | Wish::Earlier(_)
                | Wish::Interrupt
                | Wish::Pause
                | Wish::Resume) => {
                    if let Err(full) = wishes.try_send(wish) {
                        let why = "too much waits for the server; try again later".to_owned();
                        self.talk.update(now(), Happened::Done(full.into_inner(), Err(why)));
                    }
                }
            }
        }
        Ok(Then::Stay)
    }

    fn draw(&mut self) -> Result<(), Failure> {
        let above = self.talk.finished();
        let talk = &self.talk;
        Ok(self.terminal.draw(&above, |width, height| view(talk, width, height))?)
    }
}

const CTRL_C: crossterm::event::KeyEvent =
    crossterm::event::KeyEvent::new(crossterm::event::KeyCode::Char('c'), crossterm::event::KeyModifiers::CONTROL);

fn typed(typed: Typed) -> Option<Happened> {
    match typed {
        Typed::Key(key) if key.kind != KeyEventKind::Release => Some(Happened::Key(key)),
        Typed::Paste(text) => Some(Happened::Paste(text)),
        Typed::Key(_) | Typed::Mouse(_) | Typed::Resize(..) | Typed::FocusGained | Typed::FocusLost => None,
    }
}

fn heard(came: Result<Came, Failure>) -> Result<Option<Happened>, Failure> {
    match came {
        Ok(came) => Ok(Some(Happened::Session(came.input()))),
        // It was deleted, or is not for us any more: waiting does not help.
        Err(error @ (Failure::NotFound(_) | Failure::Denied(_))) => Err(error),
        Err(error) => Ok(Some(Happened::Away(error.to_string()))),
    }
}

fn gone() -> Failure {
    Failure::Failed("the terminal is gone".to_owned())
}

fn now() -> Timestamp {
    SystemClock.now()
}
