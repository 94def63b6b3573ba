//! Holds back what a program says while it does not listen: whatever it asks meanwhile would have to wait in memory.
//!
//! Invariant: while nothing more can be written to the program, at most [`LINES`] lines and [`BYTES`] bytes of it are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Lines that are read of a program that does not listen. Some are: one that answers at length before it listens is no foe.
const LINES: usize = 1_000;
/// Bytes of the same.
const BYTES: usize = 2 * super::FRAME_BYTES;

/// What both ends share.
#[derive(Default)]
struct Shared {
    is_shut: AtomicBool,
    lines: AtomicUsize,
    bytes: AtomicUsize,
    reader: AtomicWaker,
}

impl Shared {
    fn holds(&self) -> bool {
        let many = || self.lines.load(Ordering::Acquire) >= LINES || self.bytes.load(Ordering::Acquire) >= BYTES;
        self.is_shut.load(Ordering::Acquire) && many()
    }
}

/// Puts a valve between the two ends of a program.
pub(super) fn between<R, W>(output: R, input: W) -> (Output<R>, Input<W>) {
    let shared = Arc::new(Shared::default());
    (Output { inner: output, shared: Arc::clone(&shared) }, Input { inner: input, shared })
}

/// What a program says.
pub(super) struct Output<R> {
    inner: R,
    shared: Arc<Shared>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Output<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.shared.holds() {
            self.shared.reader.register(context.waker());
            // It may have opened between the look and the word to be woken.
            if self.shared.holds() {
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        let lines = new.iter().filter(|byte| **byte == b'\n').count();
        self.shared.lines.fetch_add(lines, Ordering::AcqRel);
        self.shared.bytes.fetch_add(new.len(), Ordering::AcqRel);
        polled
    }
}

/// What a program is told.
pub(super) struct Input<W> {
    inner: W,
    shared: Arc<Shared>,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Input<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        let was_shut = self.shared.is_shut.swap(polled.is_pending(), Ordering::AcqRel);
        if was_shut != polled.is_pending() {
            self.shared.lines.store(0, Ordering::Release);
            self.shared.bytes.store(0, Ordering::Release);
            self.shared.reader.wake();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_program_that_does_not_listen_is_heard_for_so_many_lines_and_again_once_it_does() {
        let (says, mut program) = tokio::io::duplex(1 << 20);
        let (mut program_hears, told) = tokio::io::duplex(8);
        let (mut output, mut input) = between(says, told);
        program.write_all(&b"line\n".repeat(LINES * 3)).await.unwrap();
        let mut chunk = vec![0; 5 * LINES];
        output.read_exact(&mut chunk).await.unwrap();
        // All that fits is written; the rest waits.
        let writing = input.write_all(b"more than eight bytes");
        tokio::pin!(writing);
        assert!(futures_util::poll!(&mut writing).is_pending());
        output.read_exact(&mut chunk).await.unwrap();
        let reading = output.read_exact(&mut chunk[..5]);
        tokio::pin!(reading);
        assert!(futures_util::poll!(&mut reading).is_pending());
        let mut heard = [0; 21];
        let (read, written, _) = tokio::join!(program_hears.read_exact(&mut heard), writing, reading);
        assert_eq!((read.unwrap(), written.is_ok(), &heard), (21, true, b"more than eight bytes"));
    }
}
