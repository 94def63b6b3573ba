//! Patterns of words: what a rule says of a command or an argument vector.
//!
//! A pattern is anchored: it names the whole of one simple command. A `*` that is a word of its own stands for any number of
//! words, also none; a `*` within a word for any letters of that word. Quotes and `\` make a `*` or a blank plain.
//!
//! Invariants: [`Words::names`] holds only if the pattern fits whatever the gaps of the command become, [`Words::reaches`]
//! if it fits for any of it.

use super::shell::{Bit, Word, base};

/// A pattern of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// `*`
    Many,
    One(Letters),
}

/// Letters, and gaps (`None`) that any letters may fill.
type Letters = Vec<Option<char>>;

/// Which programs a pattern's first word speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// The one that is written exactly so.
    Exact,
    /// Any of that name, wherever it lies.
    ByName,
}

impl Words {
    /// Reads a pattern, or says why it is none.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut letters = text.trim().chars().peekable();
        while letters.peek().is_some() {
            pieces.push(piece(&mut letters)?);
            while letters.next_if(|c| c.is_whitespace()).is_some() {}
        }
        if pieces.is_empty() { Err("it is empty") } else { Ok(Self(pieces)) }
    }

    /// Whether it speaks of every command.
    pub(super) fn is_all(&self) -> bool {
        self.0.iter().all(|piece| *piece == Piece::Many)
    }

    /// Returns the name of the program that it speaks of, if it names one.
    pub(super) fn program(&self) -> Option<String> {
        let Some(Piece::One(letters)) = self.0.first() else { return None };
        let text: Option<String> = letters.iter().copied().collect();
        text.map(|text| base(&text).to_owned())
    }

    /// Whether it names this command, whatever its gaps become.
    pub(super) fn names(&self, words: &[Word], program: Program) -> bool {
        let words: Vec<Given> = given(words, program);
        let one = |pattern: &Letters, at: usize, word: &Given| {
            let pattern = self.program_pattern(pattern, at, program);
            let keeps = if at > 0 { leads_there } else { stays };
            !word.splits && fits(&pattern, &word.letters, Gaps::MustFit) && keeps(&pattern, &word.letters)
        };
        table(&self.0, &words, one, |_word| false)
    }

    /// Whether it could name this command.
    pub(super) fn reaches(&self, words: &[Word]) -> bool {
        let words: Vec<Given> = given(words, Program::ByName);
        let one = |pattern: &Letters, at: usize, word: &Given| {
            let pattern = self.program_pattern(pattern, at, Program::ByName);
            word.splits || fits(&pattern, &word.letters, Gaps::MayFit)
        };
        table(&self.0, &words, one, |word| word.splits)
    }

    fn program_pattern(&self, pattern: &Letters, at: usize, program: Program) -> Letters {
        if at > 0 || program == Program::Exact {
            return pattern.clone();
        }
        let begin = pattern.iter().rposition(|letter| *letter == Some('/')).map_or(0, |slash| slash + 1);
        pattern.get(begin..).unwrap_or_default().to_vec()
    }
}

/// A `*` in the name of a program leads into no other folder: neither below, nor by `.` and `..`.
fn stays(pattern: &Letters, program: &Letters) -> bool {
    let mut names = program.split(|letter| *letter == Some('/'));
    let stays = pattern.split(|letter| *letter == Some('/')).all(|piece| {
        let dots = |name: &[Option<char>]| !name.is_empty() && name.iter().all(|letter| *letter == Some('.'));
        names.next().is_some_and(|name| name == piece || !dots(name))
    });
    stays && names.next().is_none()
}

/// A `*` in an address never holds the `@` that makes what stands before it a name for another host.
fn leads_there(pattern: &Letters, word: &Letters) -> bool {
    let text: String = pattern.iter().map(|letter| letter.unwrap_or('*')).collect();
    let ats = |letters: &Letters| letters.iter().filter(|letter| **letter == Some('@')).count();
    !(text.contains("://") && pattern.contains(&None)) || (ats(pattern) == ats(word) && !word.contains(&None))
}

fn piece(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Piece, &'static str> {
    let mut word = Letters::new();
    let mut quote = None;
    let mut is_plain = true;
    while let Some(letter) = letters.next_if(|c| quote.is_some() || !c.is_whitespace()) {
        match (quote, letter) {
            (None, '\'' | '"') => (quote, is_plain) = (Some(letter), false),
            (Some(open), _) if open == letter => quote = None,
            (None | Some('"'), '\\') => {
                is_plain = false;
                word.push(Some(letters.next().ok_or("it ends in a backslash")?));
            }
            (None, '*') => word.push(None),
            (None, ';' | '&' | '|' | '<' | '>' | '(' | ')' | '`') => {
                return Err(
                    "it is more than one simple command: write a rule for each, redirections as `read:` or `write:`",
                );
            }
            (None | Some(_), letter) => word.push(Some(letter)),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    Ok(if is_plain && word == [None] { Piece::Many } else { Piece::One(word) })
}

/// A word of the command, as letters.
struct Given {
    letters: Letters,
    splits: bool,
}

fn given(words: &[Word], program: Program) -> Vec<Given> {
    let letters = |word: &Word| -> Letters {
        let bit = |bit: &Bit| match bit {
            Bit::Text(text) => text.chars().map(Some).collect::<Vec<_>>(),
            Bit::Gap => vec![None],
        };
        word.bits().iter().flat_map(bit).collect()
    };
    let mut all: Vec<Given> =
        words.iter().map(|word| Given { letters: letters(word), splits: word.splits() }).collect();
    if let (Program::ByName, Some(first)) = (program, all.first_mut()) {
        let begin = first.letters.iter().rposition(|letter| *letter == Some('/')).map_or(0, |slash| slash + 1);
        first.letters.drain(..begin);
    }
    all
}

/// Fits pieces to words, one row of possible positions after the other.
fn table(
    pieces: &[Piece],
    words: &[Given],
    one: impl Fn(&Letters, usize, &Given) -> bool,
    may_vanish: impl Fn(&Given) -> bool,
) -> bool {
    // `row[n]`: the pieces so far can be the first `n` words.
    let mut row = vec![false; words.len() + 1];
    row[0] = true;
    vanish(&mut row, words, &may_vanish);
    for (at, piece) in pieces.iter().enumerate() {
        let mut next = vec![false; words.len() + 1];
        for n in 0..=words.len() {
            next[n] = match piece {
                Piece::Many => row[n] || (n > 0 && next[n - 1]),
                Piece::One(letters) => {
                    // A word that may become several stays to be taken from.
                    let taken = n > 0 && row[n - 1] && one(letters, at, &words[n - 1]);
                    taken || (n > 0 && row[n] && may_vanish(&words[n - 1]))
                }
            };
        }
        vanish(&mut next, words, &may_vanish);
        row = next;
    }
    row[words.len()]
}

fn vanish(row: &mut [bool], words: &[Given], may_vanish: impl Fn(&Given) -> bool) {
    for (n, word) in words.iter().enumerate() {
        row[n + 1] |= row[n] && may_vanish(word);
    }
}

/// How gaps of a command are filled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    /// In every way: only a `*` takes them.
    MustFit,
    /// In any one way.
    MayFit,
}

fn fits(pattern: &[Option<char>], word: &[Option<char>], gaps: Gaps) -> bool {
    let mut row = vec![false; word.len() + 1];
    row[0] = true;
    let open = |letter: Option<char>| letter.is_none() && gaps == Gaps::MayFit;
    for n in 0..word.len() {
        row[n + 1] = row[n] && open(word[n]);
    }
    for letter in pattern {
        let mut next = vec![false; word.len() + 1];
        next[0] = letter.is_none() && row[0];
        for n in 0..word.len() {
            next[n + 1] = match letter {
                None => row[n + 1] || next[n],
                Some(_) if open(word[n]) => row[n] || row[n + 1] || next[n],
                Some(_) => row[n] && *letter == word[n],
            };
        }
        row = next;
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::super::shell::{Part, parts};
    use super::*;

    fn command(text: &str) -> Vec<Word> {
        let found = parts(text).into_iter().filter_map(|part| match part {
            Part::Program { words, .. } => Some(words),
            Part::Path { .. } | Part::Unknown { .. } => None,
        });
        found.fold(Vec::new(), |_, words| words)
    }

    #[test]
    fn a_star_is_any_words_or_any_letters_of_one() {
        for (pattern, named, other) in [
            (
                "git *",
                &["git", "git status", "git log $x", "git *", "git \"$x\""][..],
                &["gitk", "x git", "/bin/git a"][..],
            ),
            ("git", &["git", "'g'it"], &["git x", "git $x", "git \"\""]),
            ("git log", &["git  log"], &["git log -p", "git l*", "git \"$log\""]),
            ("git * --force", &["git --force", "git push -a --force"], &["git push", "git --force x", "git $x --forc"]),
            ("a b*", &["a b", "a bc", "a b\"$c\""], &["a", "a b c", "a b$c", "a \"$b\""]),
            ("a '*' \"b c\"", &["a '*' 'b c'"], &["a * 'b c'", "a x 'b c'", "a '*' b c"]),
            ("*", &["a", "a b"], &[]),
            ("./b/*", &["./b/a"], &["./b/../a", "./b", "./b/..", "./b/."]),
            ("./b/*/c", &["./b/a/c"], &["./b/../c", "./b/./c", "./b/../b/c"]),
            ("*/c", &["a/c", "/c"], &["../c", "./c"]),
            ("a http://h:*", &["a http://h:80/b"], &["a http://h:x@evil/", "a http://h:\"$x\"", "a -d@b http://h:80/"]),
        ] {
            let words = Words::read(pattern).unwrap();
            for text in named {
                assert!(words.names(&command(text), Program::Exact), "{pattern} {text}");
            }
            for text in other {
                assert!(!words.names(&command(text), Program::Exact), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_a_gap_may_become_is_reached() {
        for (pattern, reached, other) in [
            (
                "rm *",
                &["rm", "/bin/rm a", "$x", "r$x -f", "*", "$x rm", "$a $b c"][..],
                &["rmdir a", "x rm", "x\"$y\""][..],
            ),
            (
                "git push",
                &["git push", "git $x", "git p\"$x\"", "git $x push", "$x"],
                &["git log", "git push x", "git \"$x\" y"],
            ),
            ("/bin/rm *", &["rm a", "/usr/bin/rm a"], &["/rm/x"]),
            ("a b c", &["a $x", "a $x c", "a b c $x", "a ?"], &["a $x d", "a \"$x\""]),
        ] {
            let words = Words::read(pattern).unwrap();
            for text in reached {
                assert!(words.reaches(&command(text)), "{pattern} {text}");
            }
            for text in other {
                assert!(!words.reaches(&command(text)), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_pattern_of_more_than_one_command_is_refused() {
        for text in ["a; b", "a | b", "a > b", "$(a) (b)", "a 'b", "a \\", "", "  "] {
            assert!(Words::read(text).is_err(), "{text}");
        }
    }
}
