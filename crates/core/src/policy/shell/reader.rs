//! Where the reading of one text stands.

use super::heredoc::Pending;
use super::{DEPTH, Dialect, Found, Strange};

/// What reading can come to.
pub(super) type Read<T> = Result<T, Strange>;

/// Reads one text, and tells what it finds.
pub(super) struct Reader<'a> {
    letters: Vec<char>,
    at: usize,
    pub(super) dialect: Dialect,
    pub(super) depth: usize,
    pub(super) found: &'a mut Found,
    /// Here-documents whose text begins after the next line end.
    pub(super) pending: Vec<Pending>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(found: &'a mut Found, text: &str, dialect: Dialect, depth: usize) -> Read<Self> {
        if depth > DEPTH {
            return Err(Strange("it is nested too deeply"));
        }
        // What no terminal types hides what it does from whoever reads it.
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(Strange("it has control characters"));
        }
        Ok(Self { letters: text.chars().collect(), at: 0, dialect, depth, found, pending: Vec::new() })
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> Option<char> {
        self.letters.get(self.at + by).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += usize::from(letter.is_some());
        letter
    }

    pub(super) fn skip(&mut self, letters: usize) {
        self.at = (self.at + letters).min(self.letters.len());
    }

    pub(super) fn sees(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(n, letter)| self.ahead(n) == Some(letter))
    }

    /// Takes this if it comes next.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let sees = self.sees(text);
        if sees {
            self.skip(text.chars().count());
        }
        sees
    }

    /// Takes what begins a name: letters, digits and `_`.
    pub(super) fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(letter) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(letter);
            self.skip(1);
        }
        name
    }

    /// Takes the rest of the line, without its end.
    pub(super) fn rest_of_line(&mut self) -> String {
        let line: String = self.letters.iter().skip(self.at).take_while(|c| **c != '\n').collect();
        self.skip(line.chars().count());
        line
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.letters.len()
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    /// Refuses what only bash reads, where another shell will.
    pub(super) fn bash_only(&self) -> Read<()> {
        match self.dialect {
            Dialect::Bash => Ok(()),
            Dialect::Posix => Err(Strange("it is bash, given to another shell")),
        }
    }

    /// Goes one level deeper with `read`.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= DEPTH {
            return Err(Strange("it is nested too deeply"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Takes a letter of a text that may run over line ends, which must not come while a here-document is owed.
    pub(super) fn within(&mut self) -> Read<char> {
        match self.next() {
            None => Err(Strange("a quote or an expansion is not closed")),
            Some('\n') if !self.pending.is_empty() => Err(Strange("a quote runs into a here-document")),
            Some(letter) => Ok(letter),
        }
    }
}
