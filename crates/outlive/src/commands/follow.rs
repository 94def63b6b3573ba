//! Follows a session: says what happens, and comes back by itself when the server was away.

use std::time::Duration;

use outlive_core::content::Delta;
use outlive_core::event::{Entry, Line};
use outlive_protocol::event::{SSE_DELTA, SSE_EVENT, SSE_LIVE};
use outlive_tui::{Colors, Input, Screen};

use crate::client::{Client, Frame, Frames, connect};
use crate::config::Workspace;
use crate::exit::Failure;
use crate::show;

/// What came.
pub enum Came {
    /// An event.
    Event(Box<Entry>, Line),
    /// A fragment.
    Delta(Delta),
    /// The journal has been replayed.
    Live,
    /// The connection is gone; the next wait is for the server to come back.
    Away,
}

impl Came {
    /// Returns it as a screen takes it.
    pub fn input(&self) -> Input {
        match self {
            Self::Event(entry, _) => Input::Event(entry.clone()),
            Self::Delta(delta) => Input::Delta(delta.clone()),
            Self::Live => Input::Live,
            Self::Away => Input::Away,
        }
    }
}

/// One session, listened to.
pub struct Ear {
    place: Workspace,
    session: String,
    frames: Frames,
    cursor: u64,
    away: bool,
}

impl Ear {
    /// Begins after a position.
    ///
    /// # Errors
    ///
    /// There is no such session, or no server.
    pub async fn begin(place: &Workspace, client: &Client, session: &str, after: u64) -> Result<Self, Failure> {
        let frames = client.listen(session, after).await?;
        Ok(Self { place: place.clone(), session: session.to_owned(), frames, cursor: after, away: false })
    }

    /// Waits for what comes next. When the server goes away, it is started again and nothing is missed.
    ///
    /// # Errors
    ///
    /// The server does not come back.
    pub async fn next(&mut self) -> Result<Came, Failure> {
        loop {
            if self.away {
                self.come_back().await?;
            }
            let Some(frame) = self.frames.next().await else {
                self.away = true;
                return Ok(Came::Away);
            };
            if let Some(came) = self.read(&frame) {
                return Ok(came);
            }
        }
    }

    fn read(&mut self, frame: &Frame) -> Option<Came> {
        match frame.name.as_str() {
            SSE_EVENT => {
                let line = Line::check(frame.data.as_bytes()).ok()?;
                let entry = Box::new(line.read().ok()?);
                self.cursor = line.seq();
                Some(Came::Event(entry, line))
            }
            SSE_DELTA => serde_json::from_str(&frame.data).ok().map(Came::Delta),
            SSE_LIVE => Some(Came::Live),
            _ => None,
        }
    }

    async fn come_back(&mut self) -> Result<(), Failure> {
        // A server that is shutting down still holds the lock for a moment.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let client = connect(&self.place).await?;
        self.frames = client.listen(&self.session, self.cursor).await?;
        self.away = false;
        Ok(())
    }
}

/// One session, followed line by line.
pub struct Follow {
    ear: Ear,
    /// What is on the screen.
    pub screen: Screen,
    colors: Colors,
    /// Whether what comes is live.
    pub live: bool,
}

impl Follow {
    /// Begins after a position.
    ///
    /// # Errors
    ///
    /// There is no such session, or no server.
    pub async fn begin(place: &Workspace, client: &Client, session: &str, after: u64) -> Result<Self, Failure> {
        let ear = Ear::begin(place, client, session, after).await?;
        Ok(Self { ear, screen: Screen::default(), colors: show::colors(), live: false })
    }

    /// Waits for what comes next, and prints it.
    ///
    /// # Errors
    ///
    /// The server does not come back.
    pub async fn next(&mut self, print: Print) -> Result<Came, Failure> {
        let came = self.ear.next().await?;
        match &came {
            Came::Live => self.live = true,
            Came::Away => self.live = false,
            Came::Event(..) | Came::Delta(_) => {}
        }
        let pieces = self.screen.update(&came.input());
        if print == Print::Screen {
            show::pieces(self.colors, &pieces);
        }
        Ok(came)
    }
}

/// What is printed while following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// What a person reads.
    Screen,
    /// Nothing.
    Nothing,
}
