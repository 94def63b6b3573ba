//! Follows a session: gives out what happens, and comes back by itself when the server was away.
//!
//! Invariant: events come in order, each once, whatever happens to the connection.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::Stream;
use outlive_core::content::Delta;
use outlive_core::event::{Entry, Line};
use outlive_protocol::event::{SSE_DELTA, SSE_EVENT, SSE_LIVE};
use outlive_tui::Input;

use crate::client::{Client, Frame, Frames, connect};
use crate::config::Workspace;
use crate::exit::Failure;

/// One session, followed.
pub struct Follow {
    place: Workspace,
    session: String,
    /// Absent while the server is away.
    frames: Option<Frames>,
    cursor: u64,
    /// What is known already.
    known: VecDeque<Came>,
}

/// What came.
pub enum Came {
    /// An event.
    Event(Box<Entry>, Line),
    /// A fragment.
    Delta(Delta),
    /// The journal has been replayed.
    Live,
    /// The connection is gone; it is made again next.
    Lost,
}

impl Came {
    /// Returns what a screen makes of it.
    pub fn input(&self) -> Input {
        match self {
            Self::Event(entry, _) => Input::Event(entry.clone()),
            Self::Delta(delta) => Input::Delta(delta.clone()),
            Self::Live => Input::Live,
            Self::Lost => Input::Lost,
        }
    }
}

impl Follow {
    /// Begins after a position.
    ///
    /// # Errors
    ///
    /// There is no such session, or no server.
    pub async fn begin(place: &Workspace, client: &Client, session: &str, after: u64) -> Result<Self, Failure> {
        let frames = Some(client.listen(session, after).await?);
        Ok(Self { place: place.clone(), session: session.to_owned(), frames, cursor: after, known: VecDeque::new() })
    }

    /// Gives out first what is known already of the time before.
    pub fn knowing(self, known: VecDeque<Came>) -> Self {
        Self { known, ..self }
    }

    /// Waits for what comes next. When the server goes away, it is started again and nothing is missed.
    ///
    /// # Errors
    ///
    /// The server does not come back; it may be tried again.
    pub async fn next(&mut self) -> Result<Came, Failure> {
        if let Some(came) = self.known.pop_front() {
            return Ok(came);
        }
        loop {
            let Some(frames) = &mut self.frames else {
                self.come_back().await?;
                continue;
            };
            let Some(frame) = frames.next().await else {
                self.frames = None;
                return Ok(Came::Lost);
            };
            if let Some(came) = self.take(&frame) {
                return Ok(came);
            }
        }
    }

    /// Gives out all that comes, without an end. A failure to come back is told of, and tried again.
    pub fn stream(self) -> impl Stream<Item = Result<Came, Failure>> {
        futures_util::stream::unfold((self, None), |(mut follow, pause)| async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let came = follow.next().await;
            let pause = came.is_err().then_some(AGAIN);
            Some((came, (follow, pause)))
        })
    }

    fn take(&mut self, frame: &Frame) -> Option<Came> {
        match frame.name.as_str() {
            SSE_EVENT => {
                let line = Line::check(frame.data.as_bytes()).ok()?;
                let entry = Box::new(line.read().ok()?);
                self.cursor = line.seq();
                Some(Came::Event(entry, line))
            }
            SSE_DELTA => Some(Came::Delta(serde_json::from_str(&frame.data).ok()?)),
            SSE_LIVE => Some(Came::Live),
            _ => None,
        }
    }

    async fn come_back(&mut self) -> Result<(), Failure> {
        // A server that is shutting down still holds the lock for a moment.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let client = connect(&self.place).await?;
        self.frames = Some(client.listen(&self.session, self.cursor).await?);
        Ok(())
    }
}

/// Time between two tries to come back.
const AGAIN: Duration = Duration::from_secs(2);
