//! Pieces of text made whole lines: escape sequences taken out, tabs as spaces, and what a carriage return writes over
//! gone, as a terminal would show it in the end.

use unicode_width::UnicodeWidthChar as _;

use crate::Style;
use crate::clean::{Cleaner, drives, sign};
use crate::screen::Piece;

/// Characters in a line, after which it is broken: a program that never ends its line cannot fill the memory.
const LONGEST: usize = 8_192;
const TAB: usize = 4;

/// A line that is being written.
#[derive(Debug, Default)]
pub struct Lines {
    cleaner: Cleaner,
    open: Vec<Piece>,
    columns: usize,
    length: usize,
    returned: bool,
}

impl Lines {
    /// Takes the next pieces and returns the lines that ended with them, without their newlines.
    pub fn push(&mut self, pieces: &[Piece]) -> Vec<Vec<Piece>> {
        let mut ended = Vec::new();
        for piece in pieces {
            for c in piece.text.chars() {
                let Some(c) = self.cleaner.take(c) else { continue };
                if c == '\n' || self.length == LONGEST {
                    ended.push(self.end());
                }
                if c != '\n' {
                    self.put(piece.style, c);
                }
            }
        }
        ended
    }

    /// Returns the line that has not ended.
    #[must_use]
    pub fn open(&self) -> &[Piece] {
        &self.open
    }

    fn end(&mut self) -> Vec<Piece> {
        (self.columns, self.length, self.returned) = (0, 0, false);
        std::mem::take(&mut self.open)
    }

    fn put(&mut self, style: Style, c: char) {
        if c == '\r' {
            self.returned = true;
            return;
        }
        if std::mem::take(&mut self.returned) {
            self.end();
        }
        if c == '\x08' {
            self.rub();
            return;
        }
        let spaces = TAB - self.columns % TAB;
        self.columns += if c == '\t' { spaces } else { c.width().unwrap_or(1) };
        self.length += 1;
        let shown = if drives(c) { sign(c) } else { c };
        if !self.open.last().is_some_and(|last| last.style == style) {
            self.open.push(Piece::new(style, ""));
        }
        let Some(last) = self.open.last_mut() else { return };
        if c == '\t' {
            last.text.push_str(&" ".repeat(spaces));
        } else {
            last.text.push(shown);
        }
    }

    /// A backspace: the character before is written over.
    fn rub(&mut self) {
        if let Some(last) = self.open.last_mut()
            && let Some(c) = last.text.pop()
        {
            self.columns = self.columns.saturating_sub(c.width().unwrap_or(1));
            self.length = self.length.saturating_sub(1);
        }
        self.open.retain(|piece| !piece.text.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&str]) -> (Vec<String>, String) {
        let mut lines = Lines::default();
        let text = |line: &[Piece]| line.iter().map(|piece| piece.text.as_str()).collect::<String>();
        let ended = parts.iter().flat_map(|part| lines.push(&[Piece::new(Style::Output, part)])).collect::<Vec<_>>();
        (ended.iter().map(|line| text(line)).collect(), text(lines.open()))
    }

    #[test]
    fn output_reads_as_a_terminal_would_leave_it() {
        for (said, shown) in [
            ("10%\r20%\r100%\n", "100%"),
            ("dos\r\n", "dos"),
            ("a\tb\n", "a   b"),
            ("ab\x08c\n", "ac"),
            ("\x1b[32mok\x1b[0m\x07\n", "ok␇"),
        ] {
            assert_eq!(lines(&[said]), (vec![shown.to_owned()], String::new()), "{said:?}");
        }
    }

    #[test]
    fn any_cut_gives_the_same_lines() {
        let text = "one\r\n\x1b[31mtwo\x1b[0m\r2\tx\nthree\x1b]0;t\x07";
        let whole = lines(&[text]);
        assert_eq!(whole, (vec!["one".to_owned(), "2   x".to_owned()], "three".to_owned()));
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let (ended, open) = lines(&[&"x".repeat(LONGEST * 2 + 5)]);
        assert_eq!((ended.len(), open.len()), (2, 5));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_shown_drives_the_terminal(text in "([\\x00-\\x9f\\u{2028}-\\u{202e}]|.)*") {
            let (ended, open) = lines(&[&text]);
            let whole = ended.concat() + &open;
            proptest::prop_assert!(!whole.chars().any(drives));
        }
    }
}
