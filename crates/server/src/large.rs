//! Archives as bodies: read piece by piece, each in time, all together within a bound; and of those that are large, one at a
//! time is in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use outlive_protocol::code;
use outlive_runtime::SubmitError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::App;
use crate::problem::{ApiError, ApiResult};

/// Bytes up to which a body needs no room of its own.
const SMALL: usize = 8 << 20;

/// The room for a large body.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Room {
    /// Waits until it is free; `None` when that takes too long.
    async fn take(&self, most: Duration) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(most, Arc::clone(&self.0).acquire_owned()).await.ok()?.ok()
    }
}

/// A body, and the room that it takes until it is dropped.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads a body whole.
pub(crate) async fn whole(app: &App, request: Request, most: usize) -> ApiResult<Whole> {
    let mut pieces = request.into_body().into_data_stream();
    let (mut bytes, mut room) = (BytesMut::new(), None);
    loop {
        let piece = tokio::time::timeout(app.settings.body_time, pieces.next()).await;
        let piece = piece.map_err(|_| ApiError::new(&code::TIMEOUT, "the body did not arrive in time"))?;
        let Some(piece) = piece else { return Ok(Whole { bytes: bytes.freeze(), _room: room }) };
        let piece = piece.map_err(|_| ApiError::new(&code::BAD_REQUEST, "the body did not arrive whole"))?;
        let length = bytes.len() + piece.len();
        if length > most {
            return Err(ApiError::new(&code::TOO_LARGE, format!("an archive has at most {most} bytes")));
        }
        if length > SMALL && room.is_none() {
            let busy = SubmitError::Busy { retry_after_ms: 5_000 };
            room = Some(app.room.take(app.settings.body_time).await.ok_or(busy)?);
        }
        bytes.extend_from_slice(&piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_large_body_has_the_room_and_the_next_one_waits_for_so_long() {
        let (room, most) = (Room::default(), Duration::from_secs(30));
        let first = room.take(most).await.expect("it is free");
        assert!(room.take(most).await.is_none(), "the first one has it");
        let (next, ()) = tokio::join!(room.take(most), async { drop(first) });
        assert!(next.is_some(), "the first one has gone");
    }
}
