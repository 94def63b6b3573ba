//! One word of a command, as far as it is known before the command runs.
//!
//! Invariant: a [`Word`] stands for every text that bash could make of it. What is not written out is a gap, which may become
//! any text at all; a word that `splits` may become any number of words, also none.

use std::fmt;

/// A word: text, and gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    bits: Vec<Bit>,
    splits: bool,
    /// Whether what it splits into begins with anything, where the names that a pattern finds all begin as it does.
    loose: bool,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Bit {
    /// Exactly this.
    Text(String),
    /// Whatever it will be.
    Gap,
}

impl Word {
    /// The word that is written out so.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut word = Self::default();
        word.push_text(text);
        word
    }

    /// Any number of any words.
    #[must_use]
    pub fn any() -> Self {
        Self { bits: vec![Bit::Gap], splits: true, loose: true }
    }

    pub(in crate::policy) fn push_text(&mut self, text: &str) {
        match self.bits.last_mut() {
            Some(Bit::Text(end)) => end.push_str(text),
            Some(Bit::Gap) if text.is_empty() => {}
            Some(Bit::Gap) | None => self.bits.push(Bit::Text(text.to_owned())),
        }
    }

    pub(in crate::policy) fn push_gap(&mut self) {
        if self.bits.last() != Some(&Bit::Gap) {
            self.bits.push(Bit::Gap);
        }
    }

    pub(in crate::policy) fn split(&mut self) {
        (self.splits, self.loose) = (true, true);
    }

    /// Makes it as many words as there are names like it.
    pub(in crate::policy) fn split_alike(&mut self) {
        self.splits = true;
    }

    pub(in crate::policy) fn append(&mut self, other: &Self) {
        for bit in &other.bits {
            match bit {
                Bit::Text(text) => self.push_text(text),
                Bit::Gap => self.push_gap(),
            }
        }
        self.splits |= other.splits;
        self.loose |= other.loose;
    }

    /// Whether bash may make another number of words of it than one.
    #[must_use]
    pub fn splits(&self) -> bool {
        self.splits
    }

    /// Returns the word, if all of it is written out.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.bits.as_slice() {
            [] if !self.splits => Some(""),
            [Bit::Text(text)] if !self.splits => Some(text),
            [] | [_] | [_, ..] => None,
        }
    }

    /// Returns what it begins with for certain.
    #[must_use]
    pub fn beginning(&self) -> &str {
        match self.bits.first() {
            Some(Bit::Text(text)) => text,
            Some(Bit::Gap) | None => "",
        }
    }

    /// Whether it, or one of the words that it becomes, could be an option that is not written out.
    pub(in crate::policy) fn may_be_option(&self) -> bool {
        let begin = self.beginning();
        self.literal().is_none() && (self.loose || begin.is_empty() || begin.starts_with('-'))
    }

    pub(in crate::policy) fn bits(&self) -> &[Bit] {
        &self.bits
    }

    /// Returns the word without `skip` bytes of its beginning, which is known.
    pub(in crate::policy) fn after(&self, skip: usize) -> Self {
        let mut bits = self.bits.clone();
        if let Some(Bit::Text(text)) = bits.first_mut() {
            *text = text.get(skip..).unwrap_or_default().to_owned();
        }
        Self { bits, splits: self.splits, loose: self.loose }
    }

    /// Returns the word up to where this first stands in its text.
    pub(in crate::policy) fn before(&self, end: char) -> Self {
        let mut word = Self::default();
        for bit in &self.bits {
            match bit {
                Bit::Gap => word.push_gap(),
                Bit::Text(text) => {
                    let piece = text.split(end).next().unwrap_or_default();
                    word.push_text(piece);
                    if piece.len() < text.len() {
                        break;
                    }
                }
            }
        }
        word
    }

    /// Returns the word with a gap wherever this stands in it.
    pub(in crate::policy) fn with_gaps(&self, at: &str) -> Self {
        let mut word = Self { bits: Vec::new(), splits: self.splits, loose: self.loose };
        for bit in &self.bits {
            let Bit::Text(text) = bit else {
                word.push_gap();
                continue;
            };
            for (n, piece) in text.split(at).enumerate() {
                if n > 0 {
                    word.push_gap();
                }
                word.push_text(piece);
            }
        }
        word
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
        if let Some(text) = self.literal() {
            if matches!(text, "[" | "]" | "{}") || (!text.is_empty() && text.chars().all(plain)) {
                return f.write_str(text);
            }
            return write!(f, "'{}'", text.replace('\'', r"'\''"));
        }
        for bit in &self.bits {
            match bit {
                Bit::Text(text) => f.write_str(text)?,
                Bit::Gap => f.write_str("…")?,
            }
        }
        Ok(())
    }
}

/// Writes an argument vector as one line that is read back as exactly these words.
#[must_use]
pub fn line(words: &[Word]) -> String {
    words.iter().map(Word::to_string).collect::<Vec<_>>().join(" ")
}
