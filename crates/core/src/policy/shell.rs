//! A bash command line, taken apart: every program that it can start, every path that it redirects to or from, and what of
//! it is not understood.
//!
//! Pure and total: any text has an answer, in bounded time and depth. The grammar is bash's, read strictly: of a construct
//! that bash reads in more than one way, by its version, its options or what ran before, nothing is believed, and the line
//! has a part that is [`Part::Unknown`].
//!
//! Invariant: a program that bash would start is among the parts, written out or as a gap; or some part is unknown. It is held
//! by running generated lines with the real bash (`core/tests/policy`).

mod arithmetic;
mod braces;
mod compound;
mod expansion;
mod grammar;
mod heredoc;
mod inner;
mod names;
mod quotes;
mod reader;
mod scripts;
mod unwrap;
mod word;
mod wrappers;

pub(super) use unwrap::base;
pub(super) use word::Bit;
pub use word::{Word, line};

/// Levels of nesting that are followed: substitutions, groups, commands in words of commands.
const DEPTH: usize = 24;
/// Bytes of a command line that are read.
const LINE_BYTES: usize = 64 << 10;
/// Parts of one command line.
const PARTS: usize = 2_000;

/// One thing that a command line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It starts a program, a builtin or a function, with these words.
    Program {
        /// The program and its arguments: never empty.
        words: Vec<Word>,
        /// What that does.
        role: Role,
    },
    /// It opens a file.
    Path {
        /// For what.
        touch: Touch,
        /// Which; `None` where that is not written out.
        path: Option<String>,
    },
    /// It does something that cannot be told from its text.
    Unknown {
        /// What, in words.
        why: String,
    },
}

/// What a program does with the words after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is what runs: a rule must allow it.
    Runs,
    /// It only starts another program, which is a part of its own: no rule need allow it, one may deny it.
    Carries,
    /// Part of the shell, without any effect but on the command line itself: no rule need allow it.
    Steers,
}

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It is read.
    Read,
    /// It is written, made or emptied.
    Write,
}

/// Takes a command line apart.
#[must_use]
pub fn parts(command: &str) -> Vec<Part> {
    let mut found = Found::default();
    found.command(command, Dialect::Bash, 0);
    found.parts
}

/// Whether a name is in a list of names.
pub(super) fn listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// Which shell reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Bash,
    /// Any `sh`: what only bash has is not understood.
    Posix,
}

/// Why a text is no command line that could be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Strange(&'static str);

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    parts: Vec<Part>,
    /// Whether a `cd` moves what later relative paths mean.
    moved: bool,
}

impl Found {
    fn command(&mut self, text: &str, dialect: Dialect, depth: usize) {
        if text.len() > LINE_BYTES {
            return self.unknown("it is too long to be read");
        }
        let read = grammar::program(self, text, dialect, depth);
        if let Err(Strange(why)) = read {
            self.unknown(why);
        }
    }

    fn unknown(&mut self, why: impl Into<String>) {
        let part = Part::Unknown { why: why.into() };
        if !self.parts.contains(&part) {
            self.push(part);
        }
    }

    fn push(&mut self, part: Part) {
        match self.parts.len() {
            ..PARTS => self.parts.push(part),
            PARTS => self.parts.push(Part::Unknown { why: "it has too many parts".to_owned() }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
