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

/// Programs that make no link and move none, whatever they are told.
const LINKLESS: &str = "\
    [ awk basename cat cd chmod cmp column comm cut date df diff dirname du echo egrep env false fgrep file find fold \
    grep head hostname id jq join ls md5sum mkdir nl od paste printf ps pwd readlink realpath rev rg rmdir sed seq \
    sha256sum sleep sort stat tac tail tee test touch tr true type uname uniq wc which whoami xxd";

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
    found.settle();
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
    /// Whether a `cd` moves what relative paths mean: also of those before it, in loops and traps.
    moved: bool,
    /// Whether something of it may run again, or later than it stands.
    loops: bool,
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

    /// Takes back what paths cannot be told once all is read.
    fn settle(&mut self) {
        let paths = |part: &Part| matches!(part, Part::Path { path: Some(_), .. });
        if !self.parts.iter().any(paths) {
            return;
        }
        if self.may_link() {
            self.unknown("a redirection may lead through a link that the line makes itself");
        }
        for part in self.parts.iter_mut().filter(|_| self.moved) {
            if let Part::Path { path, .. } = part {
                *path = path.take().filter(|path| path.starts_with('/'));
            }
        }
    }

    /// Whether a link could be made before a path of the line is opened. One program alone starts after its redirections.
    fn may_link(&self) -> bool {
        let runs = |part: &&Part| matches!(part, Part::Program { role: Role::Runs, .. });
        let links = |part: &Part| match part {
            Part::Program { words, role: Role::Runs } => {
                !words.first().and_then(Word::literal).is_some_and(|program| listed(LINKLESS, program))
            }
            Part::Program { .. } | Part::Path { .. } | Part::Unknown { .. } => false,
        };
        (self.loops || self.parts.iter().filter(runs).count() > 1) && self.parts.iter().any(links)
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
