//! What bash puts in place of a `$` or a backquote: all of it is a gap, and what runs in it is found.

use super::grammar::{self, End};
use super::quotes::Within;
use super::reader::{Read, Reader};
use super::{Strange, Word, names};

/// What begins the word of a `${…}`.
const WITH_WORD: [&str; 15] = [":-", ":=", ":?", ":+", "-", "=", "?", "+", "##", "#", "%%", "%", "^", ",", "/"];

fn gap(splits: bool) -> Word {
    let mut word = Word::of("");
    word.push_gap();
    if splits {
        word.split();
    }
    word
}

impl Reader<'_> {
    /// Reads what follows a `$`.
    pub(super) fn dollar(&mut self, within: Within) -> Read<Word> {
        let plain = within == Within::Plain;
        match self.peek() {
            // Bash takes a continued line out before it looks: this can be any expansion.
            Some('\\') if self.ahead(1) == Some('\n') => Err(Strange("a `$` stands at the end of a continued line")),
            Some('(') if self.ahead(1) == Some('(') => {
                self.skip(2);
                self.deeper(Self::arithmetic)?;
                Ok(gap(plain))
            }
            Some('(') => {
                self.skip(1);
                self.substitution()?;
                Ok(gap(plain))
            }
            Some('{') => {
                self.skip(1);
                let many = self.deeper(|reader| reader.parameter(within))?;
                Ok(gap(plain || many))
            }
            Some('[') => Err(Strange("`$[…]` is not understood")),
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                self.name();
                Ok(gap(plain))
            }
            Some(letter @ ('@' | '*' | '#' | '?' | '-' | '$' | '!' | '0'..='9')) => {
                self.skip(1);
                Ok(gap(plain || letter == '@'))
            }
            Some(_) | None => Ok(Word::of("$")),
        }
    }

    /// Reads a command substitution up to its closing parenthesis.
    pub(super) fn substitution(&mut self) -> Read<()> {
        let owed = std::mem::take(&mut self.pending);
        let begin = self.position();
        self.deeper(|reader| grammar::list(reader, &End::Parenthesis))?;
        if !self.pending.is_empty() {
            return Err(Strange("a here-document begins after its substitution has ended"));
        }
        let crossed = self.position();
        if !owed.is_empty() && self.has_line_end(begin, crossed) {
            return Err(Strange("a substitution runs into a here-document"));
        }
        self.pending = owed;
        if self.takes(")") { Ok(()) } else { Err(Strange("a substitution is not closed")) }
    }

    fn has_line_end(&mut self, begin: usize, end: usize) -> bool {
        self.back_to(begin);
        let found = (begin..end).any(|_| self.next() == Some('\n'));
        self.back_to(end);
        found
    }

    /// Reads up to the closing backquote, and what stands in it.
    pub(super) fn backquoted(&mut self, within: Within) -> Read<()> {
        let mut text = String::new();
        loop {
            match self.within()? {
                '`' => break,
                '\\' => match self.within()? {
                    letter @ ('`' | '\\' | '$') => text.push(letter),
                    '"' if within == Within::Quotes => text.push('"'),
                    letter => text.extend(['\\', letter]),
                },
                letter => text.push(letter),
            }
        }
        grammar::program(self.found, &text, self.dialect, self.depth + 1)
    }

    /// Reads `${…}` after its brace; says whether it can be any number of words even in quotes.
    fn parameter(&mut self, within: Within) -> Read<bool> {
        if self.sees("!") && !self.sees("!}") {
            self.found.unknown("`${!…}` expands what a variable holds");
        }
        if self.sees("!") || (self.sees("#") && !self.sees("#}")) {
            self.skip(1);
        }
        let mut many = self.sees("@");
        let name = self.name();
        if name.is_empty() && !["@", "*", "#", "?", "-", "$", "!"].iter().any(|special| self.takes(special)) {
            return Err(Strange("a `${…}` is not understood"));
        }
        if self.takes("[") {
            many |= self.subscript()?;
        }
        if (self.sees("=") || self.sees(":=")) && !names::keeps(&name) {
            self.found.unknown(format!("it sets `{name}`"));
        }
        self.operation(within)?;
        Ok(many)
    }

    /// Says whether it means all elements.
    fn subscript(&mut self) -> Read<bool> {
        if self.takes("@]") || self.takes("*]") {
            return Ok(true);
        }
        let digits = self.name();
        if !self.takes("]") {
            return Err(Strange("the subscript of an array is not a number"));
        }
        if !digits.chars().all(|c| c.is_ascii_digit()) {
            self.found.unknown("the subscript of an array is computed");
        }
        Ok(false)
    }

    fn operation(&mut self, within: Within) -> Read<()> {
        if self.takes("}") {
            return Ok(());
        }
        if self.takes("@") {
            let what = self.next();
            if !what.is_some_and(|c| "UuLQEAKak".contains(c)) {
                self.found.unknown("`${…@…}` can run what a variable holds");
            }
            return if self.takes("}") { Ok(()) } else { Err(Strange("a `${…}` is not understood")) };
        }
        if WITH_WORD.iter().any(|operator| self.takes(operator)) {
            return self.word_of_expansion(within);
        }
        if self.takes(":") {
            // An offset is arithmetic.
            while self.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, ' ' | ':' | '-')) {
                self.skip(1);
            }
            if self.takes("}") {
                return Ok(());
            }
        }
        Err(Strange("a `${…}` is not understood"))
    }

    fn word_of_expansion(&mut self, within: Within) -> Read<()> {
        loop {
            match self.within()? {
                '}' => return Ok(()),
                '\n' => return Err(Strange("a `${…}` runs over a line end")),
                '{' | '<' | '>' | '(' => return Err(Strange("a `${…}` is not plain")),
                '\\' if self.sees("\n") => return Err(Strange("a `${…}` runs over a line end")),
                '\\' => self.skip(1),
                '\'' | '"' if within == Within::Quotes => return Err(Strange("there are quotes in a quoted `${…}`")),
                '\'' => while self.within()? != '\'' {},
                '"' => {
                    self.deeper(Self::double_quoted)?;
                }
                '$' if self.peek() == Some('\'') || self.peek() == Some('"') => {
                    return Err(Strange("a `${…}` is not plain"));
                }
                '$' => {
                    self.dollar(within)?;
                }
                '`' => self.backquoted(within)?,
                _ => {}
            }
        }
    }
}
