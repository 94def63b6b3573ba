//! Words: quotes of every kind, escapes, and where a word ends.

use super::braces::{Mark, begun, expand};
use super::reader::{Read, Reader};
use super::{Strange, Word};

/// Whether this ends a word that is not quoted.
pub(super) fn ends_word(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

/// Where an expansion stands: it decides how it splits, and which quotes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Plain,
    Quotes,
}

/// What a gap makes of its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    One,
    /// The names that a pattern finds.
    Names,
    /// Any number of words.
    Any,
}

/// A word as it was read, before braces make several of it.
#[derive(Debug, Default)]
pub(super) struct Raw {
    marks: Vec<Mark>,
    /// Whether nothing in it is quoted or expanded: only such a word is reserved.
    pub(super) is_plain: bool,
    /// An unquoted `[`: it makes a pattern if a `]` follows.
    bracket: Option<bool>,
}

impl Raw {
    fn text(&mut self, text: &str) {
        if let Some(Mark::Piece(word)) = self.marks.last_mut() {
            word.push_text(text);
        } else {
            self.marks.push(Mark::Piece(Word::of(text)));
        }
    }

    fn gap(&mut self, becomes: Becomes) {
        self.is_plain = false;
        self.text("");
        if let Some(Mark::Piece(word)) = self.marks.last_mut() {
            word.push_gap();
            match becomes {
                Becomes::One => {}
                Becomes::Names => word.split_alike(),
                Becomes::Any => word.split(),
            }
        }
    }

    /// Returns its text as written, if it is plain.
    pub(super) fn plain(&self) -> Option<String> {
        let text = |mark: &Mark| match mark {
            Mark::Piece(word) => word.literal().map(str::to_owned),
            Mark::Open => Some("{".to_owned()),
            Mark::Comma => Some(",".to_owned()),
            Mark::Close => Some("}".to_owned()),
        };
        self.marks.iter().map(text).collect::<Option<String>>().filter(|_| self.is_plain)
    }

    /// Returns the words that it is.
    pub(super) fn words(self) -> Read<Vec<Word>> {
        if self.bracket == Some(true) {
            return Ok(vec![begun(&self.marks)]);
        }
        expand(self.marks)
    }

    /// Returns it as the one word that it is where bash expands no braces.
    pub(super) fn single(self) -> Read<Word> {
        let mut words = self.words()?;
        match (words.pop(), words.is_empty()) {
            (Some(word), true) => Ok(word),
            (Some(_), false) | (None, _) => Ok(Word::any()),
        }
    }
}

impl Reader<'_> {
    /// Reads a word. It may be empty, where none begins here.
    pub(super) fn word(&mut self) -> Read<Raw> {
        let mut raw = Raw { is_plain: true, ..Raw::default() };
        let begin = self.position();
        loop {
            let Some(letter) = self.peek() else { return Ok(raw) };
            if (self.sees("<(") || self.sees(">(")) && self.position() == begin {
                self.bash_only()?;
                self.skip(2);
                self.substitution()?;
                raw.gap(Becomes::One);
                continue;
            }
            if ends_word(letter) {
                return Ok(raw);
            }
            self.skip(1);
            self.letter_of_word(letter, &mut raw)?;
        }
    }

    fn letter_of_word(&mut self, letter: char, raw: &mut Raw) -> Read<()> {
        match letter {
            '\'' => {
                raw.is_plain = false;
                let text = self.single_quoted()?;
                raw.text(&text);
            }
            '"' => {
                raw.is_plain = false;
                self.quoted_into(raw)?;
            }
            '\\' => match self.next() {
                None => return Err(Strange("it ends in a backslash")),
                Some('\n') => {}
                Some(next) => {
                    raw.is_plain = false;
                    raw.text(next.encode_utf8(&mut [0; 4]));
                }
            },
            '$' => self.dollar_into(raw, Within::Plain)?,
            '`' => {
                self.backquoted(Within::Plain)?;
                raw.gap(Becomes::Any);
            }
            '*' | '?' => raw.gap(Becomes::Names),
            '~' if raw.marks.is_empty() => {
                self.tilde();
                raw.gap(Becomes::One);
            }
            '{' => {
                if !self.peek().is_none_or(|next| next == '}' || ends_word(next)) {
                    self.bash_only()?;
                }
                raw.marks.push(Mark::Open);
            }
            ',' => raw.marks.push(Mark::Comma),
            '}' => raw.marks.push(Mark::Close),
            _ => {
                match letter {
                    '[' => raw.bracket = raw.bracket.or(Some(false)),
                    ']' => raw.bracket = raw.bracket.map(|_| true),
                    _ => {}
                }
                raw.text(letter.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(())
    }

    fn tilde(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.')) {
            self.skip(1);
        }
    }

    fn single_quoted(&mut self) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.within()? {
                '\'' => return Ok(text),
                letter => text.push(letter),
            }
        }
    }

    fn quoted_into(&mut self, raw: &mut Raw) -> Read<()> {
        let word = self.deeper(Self::double_quoted)?;
        raw.text("");
        if let Some(Mark::Piece(end)) = raw.marks.last_mut() {
            end.append(&word);
        }
        Ok(())
    }

    /// Reads up to the closing `"`.
    pub(super) fn double_quoted(&mut self) -> Read<Word> {
        let mut word = Word::of("");
        loop {
            match self.within()? {
                '"' => return Ok(word),
                '$' => {
                    let piece = self.dollar(Within::Quotes)?;
                    word.append(&piece);
                }
                '`' => {
                    self.backquoted(Within::Quotes)?;
                    word.push_gap();
                }
                '\\' => match self.within()? {
                    '\n' => {}
                    next @ ('$' | '`' | '"' | '\\') => word.push_text(next.encode_utf8(&mut [0; 4])),
                    next => word.push_text(&format!("\\{next}")),
                },
                letter => word.push_text(letter.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn dollar_into(&mut self, raw: &mut Raw, within: Within) -> Read<()> {
        raw.is_plain = false;
        let word = match self.peek() {
            Some('\'') => {
                self.bash_only()?;
                self.skip(1);
                Word::of(&self.ansi_quoted()?)
            }
            Some('"') => {
                self.bash_only()?;
                self.skip(1);
                self.deeper(Self::double_quoted)?
            }
            Some(_) | None => self.dollar(within)?,
        };
        raw.text("");
        if let Some(Mark::Piece(end)) = raw.marks.last_mut() {
            end.append(&word);
        }
        Ok(())
    }

    fn ansi_quoted(&mut self) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.within()? {
                '\'' => return Ok(text),
                '\\' => text.push(self.ansi_escape()?),
                letter => text.push(letter),
            }
        }
    }

    fn ansi_escape(&mut self) -> Read<char> {
        Ok(match self.within()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'e' | 'E' => '\u{1b}',
            letter @ ('\\' | '\'' | '"' | '?') => letter,
            'x' => self.code(16, 2)?,
            'u' => self.code(16, 4)?,
            'U' => self.code(16, 8)?,
            '0'..='7' => {
                self.back_to(self.position() - 1);
                self.code(8, 3)?
            }
            _ => return Err(Strange("a $'…' has an escape that is not understood")),
        })
    }

    /// Reads a character by its number. What is not ASCII depends on the locale.
    fn code(&mut self, base: u32, most: usize) -> Read<char> {
        let (mut value, mut digits) = (0_u32, 0);
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(base)).filter(|_| digits < most) {
            value = value.saturating_mul(base).saturating_add(digit);
            digits += 1;
            self.skip(1);
        }
        let letter = char::from_u32(value).filter(|c| digits > 0 && c.is_ascii() && *c != '\0');
        letter.ok_or(Strange("a $'…' has an escape that is not understood"))
    }
}
