//! Text that comes in pieces. What may be the beginning of a secret is held back until it is known to be one or not.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Redactor, into_text};

/// Takes secrets out of text that comes in pieces.
#[derive(Debug)]
pub struct Stream {
    redactor: Arc<Redactor>,
    held: Vec<u8>,
}

impl Stream {
    /// Begins.
    #[must_use]
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, held: Vec::new() }
    }

    /// Takes the next piece, and returns what can be shown now.
    pub fn push<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        if self.held.is_empty() {
            let (shown, rest) = self.split(piece);
            self.held.extend_from_slice(rest);
            return shown;
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let (shown, rest) = self.split(&text);
        let (shown, rest) = (shown.into_owned(), rest.to_vec());
        self.held = rest;
        Cow::Owned(shown)
    }

    /// As [`Stream::push`], for text: whole characters come, and go.
    pub fn text(&mut self, piece: String) -> String {
        match self.push(piece.as_bytes()) {
            Cow::Borrowed(shown) if shown.len() == piece.len() => piece,
            shown @ (Cow::Borrowed(_) | Cow::Owned(_)) => into_text(shown.into_owned()),
        }
    }

    /// Nothing comes any more: returns what is left.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = std::mem::take(&mut self.held);
        match self.redactor.bytes(&rest) {
            Cow::Borrowed(_) => rest,
            Cow::Owned(clean) => clean,
        }
    }

    /// As [`Stream::finish`], for text.
    pub fn finish_text(&mut self) -> String {
        into_text(self.finish())
    }

    /// Returns what can be shown, and what is to be held back.
    fn split<'a>(&self, text: &'a [u8]) -> (Cow<'a, [u8]>, &'a [u8]) {
        if self.redactor.is_empty() {
            return (Cow::Borrowed(text), &[]);
        }
        let mut spans = self.redactor.spans(text);
        let mut hold = self.redactor.begun(text);
        // One that is whole may still turn out to be a part of a longer one.
        while let Some(span) = spans.pop_if(|span| span.end > hold) {
            hold = hold.min(span.start);
        }
        let (shown, rest) = text.split_at(hold);
        let shown =
            if spans.is_empty() { Cow::Borrowed(shown) } else { Cow::Owned(self.redactor.render(shown, &spans)) };
        (shown, rest)
    }
}
