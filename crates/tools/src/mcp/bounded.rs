//! Reads the lines of a program: up to a length and a depth, and no faster than a rate.
//!
//! Each message costs memory until it is dealt with, and a program that asks without end and does not read the answers would
//! take all of it. So it is read slowly: its pipe fills, and it waits.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::FRAME_BYTES;
use super::depth::{Depth, LEVELS};

/// Lines that are read at once.
const BURST: f64 = 10_000.0;
/// Lines that are read in a second after that.
const RATE: f64 = 500.0;

/// Why a server's messages are not read any more.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<OnceLock<String>>);

impl Fault {
    /// Returns it, if there is one.
    pub fn told(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Reads lines.
pub(super) struct Bounded<R> {
    inner: R,
    /// Bytes of the line that is not ended yet.
    line: usize,
    depth: Depth,
    /// Lines that may be read now; below none, it waits.
    left: f64,
    counted: Instant,
    pause: Option<Pin<Box<Sleep>>>,
    fault: Fault,
}

impl<R> Bounded<R> {
    pub fn new(inner: R, fault: Fault) -> Self {
        Self { inner, line: 0, depth: Depth::default(), left: BURST, counted: Instant::now(), pause: None, fault }
    }

    fn count(&mut self, new: &[u8]) {
        let lines = new.iter().filter(|byte| **byte == b'\n').count();
        self.line = match new.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => new.len() - at - 1,
            None => self.line + new.len(),
        };
        let since = self.counted.elapsed();
        self.counted += since;
        // A read has far fewer lines than a float counts exactly.
        #[expect(clippy::cast_precision_loss, reason = "a read has some thousand lines at most")]
        let lines = lines as f64;
        self.left = (self.left + since.as_secs_f64() * RATE).min(BURST) - lines;
        if self.left < 0.0 {
            self.pause = Some(Box::pin(tokio::time::sleep(Duration::from_secs_f64(-self.left / RATE))));
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.count(new);
        let too_deep = self.depth.passes(new);
        if self.line > FRAME_BYTES || too_deep {
            let why = match too_deep {
                true => format!("it sent a message that is nested deeper than {LEVELS} levels"),
                false => format!("it sent a message of more than {FRAME_BYTES} bytes"),
            };
            self.fault.0.get_or_init(|| why.clone());
            // Nothing is given with an error.
            buffer.set_filled(before);
            return Poll::Ready(Err(std::io::Error::other(why)));
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Reads all of it, and returns how long that took.
    async fn check(text: &[u8]) -> (std::io::Result<usize>, Duration) {
        let began = Instant::now();
        let read = Bounded::new(text, Fault::default()).read_to_end(&mut Vec::new()).await;
        (read, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn lines_without_end_are_read_slowly() {
        let (read, took) = check(&b"\n".repeat(9_000)).await;
        assert_eq!((read.unwrap(), took.as_secs()), (9_000, 0));
        let (read, took) = check(&b"\n".repeat(30_000)).await;
        assert_eq!(read.unwrap(), 30_000);
        assert!((39..=41).contains(&took.as_secs()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_without_end_is_not_read_to_its_end() {
        let whole = vec![b'x'; FRAME_BYTES];
        assert!(check(&whole).await.0.is_ok());
        let (read, _) = check(&[&whole[..], b"y"].concat()).await;
        assert!(read.unwrap_err().to_string().contains("more than 16777216 bytes"));
    }
}
