//! Follows a session: prints what happens, and comes back by itself when the server was away.

use std::time::Duration;

use outlive_core::content::Delta;
use outlive_core::event::{Entry, Line};
use outlive_protocol::event::{SSE_DELTA, SSE_EVENT, SSE_LIVE};
use outlive_tui::{Colors, Input, Screen};

use crate::client::{Client, Frame, Frames, connect};
use crate::config::Workspace;
use crate::exit::Failure;
use crate::show;

/// One session, followed.
pub struct Follow {
    place: Workspace,
    session: String,
    frames: Frames,
    cursor: u64,
    /// What is on the screen.
    pub screen: Screen,
    colors: Colors,
    /// Whether what comes is live.
    pub live: bool,
}

/// What came.
pub enum Came {
    /// An event, printed.
    Event(Box<Entry>, Line),
    /// A fragment, printed.
    Delta,
    /// The journal has been replayed.
    Live,
}

impl Follow {
    /// Begins after a position.
    ///
    /// # Errors
    ///
    /// There is no such session, or no server.
    pub async fn begin(place: &Workspace, client: &Client, session: &str, after: u64) -> Result<Self, Failure> {
        let frames = client.listen(session, after).await?;
        Ok(Self {
            place: place.clone(),
            session: session.to_owned(),
            frames,
            cursor: after,
            screen: Screen::default(),
            colors: show::colors(),
            live: false,
        })
    }

    /// Waits for what comes next, and prints it. When the server goes away, it is started again and nothing is missed.
    ///
    /// # Errors
    ///
    /// The server does not come back.
    pub async fn next(&mut self, print: Print) -> Result<Came, Failure> {
        loop {
            let Some(frame) = self.frames.next().await else {
                self.come_back().await?;
                continue;
            };
            if let Some(came) = self.take(&frame, print) {
                return Ok(came);
            }
        }
    }

    fn take(&mut self, frame: &Frame, print: Print) -> Option<Came> {
        match frame.name.as_str() {
            SSE_EVENT => {
                let line = Line::check(frame.data.as_bytes()).ok()?;
                let entry = Box::new(line.read().ok()?);
                self.cursor = line.seq();
                self.print(&Input::Event(entry.clone()), print);
                Some(Came::Event(entry, line))
            }
            SSE_DELTA => {
                let delta: Delta = serde_json::from_str(&frame.data).ok()?;
                self.print(&Input::Delta(delta), print);
                Some(Came::Delta)
            }
            SSE_LIVE => {
                self.live = true;
                Some(Came::Live)
            }
            _ => None,
        }
    }

    fn print(&mut self, input: &Input, print: Print) {
        let pieces = self.screen.update(input);
        if print == Print::Screen {
            show::pieces(self.colors, &pieces);
        }
    }

    async fn come_back(&mut self) -> Result<(), Failure> {
        self.live = false;
        // A server that is shutting down still holds the lock for a moment.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let client = connect(&self.place).await?;
        self.frames = client.listen(&self.session, self.cursor).await?;
        Ok(())
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
