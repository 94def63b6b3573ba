//! What a command said: shown as it comes, kept head and tail in bounded memory, and whole in a file up to a limit.
//!
//! Characters that arrive in pieces are put together per pipe; what is no UTF-8 is shown as `U+FFFD` and kept as it was.
//!
//! Invariant: known secrets are taken out of each pipe before anything of it is shown, kept or written.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use outlive_core::redact::{Redactor, Stream};

/// Bytes of the beginning that the model sees.
const HEAD: usize = 12 << 10;
/// Bytes of the end that the model sees.
const TAIL: usize = 16 << 10;
/// Bytes that are kept in memory before a file is made.
const IN_MEMORY: usize = 64 << 10;

/// Which pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Gathers output.
pub(super) struct Capture {
    out: Incoming,
    err: Incoming,
    head: String,
    tail: String,
    /// Bytes of text that came, shown or not.
    text_bytes: usize,
    lossy: bool,
    whole: Whole,
}

/// What comes from one pipe.
struct Incoming {
    secrets: Stream,
    /// The beginning of a character whose rest is yet to come.
    pending: Vec<u8>,
}

impl Incoming {
    fn new(redactor: &Arc<Redactor>) -> Self {
        Self { secrets: Stream::new(Arc::clone(redactor)), pending: Vec::new() }
    }

    /// Returns the whole characters that a piece completes.
    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(&self.secrets.push(piece));
        let rest = self.pending.split_off(self.pending.len() - incomplete(&self.pending));
        std::mem::replace(&mut self.pending, rest)
    }

    /// Returns what is left.
    fn close(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.pending);
        rest.extend(self.secrets.finish());
        rest
    }
}

/// What was gathered.
#[derive(Debug)]
pub struct Output {
    /// What the model sees.
    pub text: String,
    /// Whether `text` is not all of it.
    pub truncated: bool,
    /// Bytes that came.
    pub bytes: u64,
    /// All that was kept, where `text` is not all of it.
    pub whole: Option<Vec<u8>>,
    /// Why `whole` is not whole.
    pub cut: Option<String>,
}

impl Capture {
    /// Starts empty; a file is made in `folder` when there is much, and holds at most `limit` bytes.
    pub fn new(folder: PathBuf, limit: u64, redactor: &Arc<Redactor>) -> Self {
        let whole = Whole { folder, limit, memory: Vec::new(), file: None, came: 0, kept: 0, lost: None };
        Self {
            out: Incoming::new(redactor),
            err: Incoming::new(redactor),
            head: String::new(),
            tail: String::new(),
            text_bytes: 0,
            lossy: false,
            whole,
        }
    }

    /// Takes a piece and returns the text that it completes.
    pub fn take(&mut self, pipe: Pipe, piece: &[u8]) -> String {
        let complete = match pipe {
            Pipe::Out => self.out.take(piece),
            Pipe::Err => self.err.take(piece),
        };
        self.keep(&complete)
    }

    /// Nothing comes any more: returns the text that was held back.
    pub fn close(&mut self) -> String {
        let (out, err) = (self.out.close(), self.err.close());
        self.keep(&out) + &self.keep(&err)
    }

    fn keep(&mut self, bytes: &[u8]) -> String {
        self.whole.keep(bytes);
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.lossy |= std::str::from_utf8(bytes).is_err();
        self.text_bytes += text.len();
        let room = floor(&text, HEAD.saturating_sub(self.head.len()));
        let room = if self.tail.is_empty() { room } else { 0 };
        self.head.push_str(&text[..room]);
        self.tail.push_str(&text[room..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..ceil(&self.tail, self.tail.len() - TAIL));
        }
        text
    }

    /// Returns what was gathered.
    pub fn finish(mut self) -> Output {
        self.close();
        let truncated = self.text_bytes > HEAD + TAIL;
        let text = if truncated {
            let tail = &self.tail[ceil(&self.tail, self.tail.len().saturating_sub(TAIL))..];
            let left_out = self.text_bytes - self.head.len() - tail.len();
            format!("{}\n[… {left_out} bytes left out …]\n{tail}", self.head)
        } else {
            self.head + &self.tail
        };
        let bytes = self.whole.came;
        let cut = self.whole.cut();
        let whole = (truncated || self.lossy).then(|| self.whole.read()).flatten();
        Output { text, truncated, bytes, whole, cut: cut.filter(|_| truncated) }
    }
}

/// Returns how many bytes at the end are the beginning of a character.
fn incomplete(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needed = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x00..=0x7f | 0xc0..=0xc1 | 0xf5..=0xff => 1,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

struct Whole {
    folder: PathBuf,
    limit: u64,
    memory: Vec<u8>,
    file: Option<File>,
    came: u64,
    kept: u64,
    lost: Option<String>,
}

impl Whole {
    fn keep(&mut self, bytes: &[u8]) {
        self.came += bytes.len() as u64;
        let room = usize::try_from(self.limit - self.kept).unwrap_or(usize::MAX).min(bytes.len());
        if self.lost.is_some() || room == 0 {
            return;
        }
        if let Err(error) = self.store(&bytes[..room]) {
            self.lost = Some(error.to_string());
        }
        self.kept += room as u64;
    }

    fn store(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            // Without a name: it is gone with this process, however that ends.
            let mut file = tempfile::tempfile_in(&self.folder)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    fn cut(&self) -> Option<String> {
        if let Some(why) = &self.lost {
            return Some(format!("the whole output could not be kept: {why}"));
        }
        (self.kept < self.came).then(|| format!("only the first {} bytes of {} are kept", self.kept, self.came))
    }

    fn read(&mut self) -> Option<Vec<u8>> {
        if self.lost.is_some() {
            return None;
        }
        let Some(file) = &mut self.file else { return Some(std::mem::take(&mut self.memory)) };
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).ok().map(|_read| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(pieces: &[&[u8]], limit: u64) -> (Vec<String>, Output) {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(folder.path().to_owned(), limit, &Arc::default());
        let shown = pieces.iter().map(|piece| capture.take(Pipe::Out, piece)).collect();
        (shown, capture.finish())
    }

    #[test]
    fn a_character_that_comes_in_pieces_is_put_together() {
        let text = "aß€😀z";
        for at in 0..text.len() {
            let (shown, output) = gather(&[&text.as_bytes()[..at], &text.as_bytes()[at..]], 100);
            assert_eq!((shown.concat(), output.text, output.whole), (text.to_owned(), text.to_owned(), None));
        }
    }

    #[test]
    fn pieces_of_two_pipes_do_not_mix_inside_a_character() {
        let mut capture = Capture::new(PathBuf::from("/nonexistent"), 100, &Arc::default());
        let shown = [(Pipe::Out, &b"\xe2\x82"[..]), (Pipe::Err, b"\xc3"), (Pipe::Out, b"\xac"), (Pipe::Err, b"\x9f")]
            .map(|(pipe, piece)| capture.take(pipe, piece));
        assert_eq!(shown, ["", "", "€", "ß"]);
    }

    #[test]
    fn a_secret_is_neither_shown_nor_kept_whatever_pieces_and_pipes_it_comes_in() {
        let secrets = outlive_core::redact::Secrets::default();
        secrets.learn([("KEY".to_owned(), outlive_core::secret::Secret::new("s3cret-välue"))]);
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(folder.path().to_owned(), 1 << 20, &secrets.now());
        let mut shown = String::new();
        let line = "a s3cret-välue b\n".repeat(10_000);
        for piece in line.as_bytes().chunks(7) {
            shown += &capture.take(Pipe::Out, piece);
            shown += &capture.take(Pipe::Err, b"s3");
        }
        shown += &capture.close();
        let output = capture.finish();
        let whole = String::from_utf8(output.whole.unwrap()).unwrap();
        assert_eq!((shown.matches("s3cret").count(), output.text.matches("s3cret").count()), (0, 0));
        assert_eq!((whole.matches("s3cret").count(), whole.matches("[redacted:KEY]").count()), (0, 10_000));
        assert_eq!(shown, whole, "all that was kept was shown, at the end what was held back, too");
    }

    #[test]
    fn what_is_no_utf8_is_shown_replaced_and_kept_as_it_was() {
        let (_, output) = gather(&[b"a\xff\x00b", b"\xe2\x82"], 100);
        assert_eq!(output.text, "a\u{fffd}\0b\u{fffd}");
        assert_eq!(output.whole.as_deref(), Some(&b"a\xff\x00b\xe2\x82"[..]));
    }

    #[test]
    fn much_output_keeps_head_and_tail_and_the_whole_up_to_its_limit() {
        let line = b"0123456789abcde\n".repeat(64);
        let pieces = vec![line.as_slice(); 300];
        let (_, output) = gather(&pieces, 200_000);
        assert!(output.truncated && output.text.len() < outlive_core::limits::RESULT_BYTES);
        assert!(output.text.contains(&format!("[… {} bytes left out …]", 300 * 1024 - HEAD - TAIL)));
        assert_eq!((output.bytes, output.whole.map(|all| all.len())), (300 * 1024, Some(200_000)));
        assert_eq!(output.cut.as_deref(), Some("only the first 200000 bytes of 307200 are kept"));
    }

    #[test]
    fn output_that_just_fits_is_shown_whole() {
        let (_, output) = gather(&[&vec![b'x'; HEAD + TAIL]], 1 << 20);
        assert_eq!((output.truncated, output.text.len(), output.whole), (false, HEAD + TAIL, None));
        let (_, output) = gather(&[&vec![b'x'; HEAD + TAIL + 1]], 1 << 20);
        assert!(output.truncated && output.whole.is_some());
    }
}
