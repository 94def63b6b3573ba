//! Output as whole lines: those that ended, and the one that has not.
//!
//! Whatever a model or a tool says, no control sequence gets through: colours and cursor movements are left out, a
//! carriage return begins its line afresh as a terminal would.

use crate::Style;
use crate::screen::Piece;

/// An unfinished line of more than this is ended: it would not fit under anything.
const LONGEST: usize = 8_192;

/// Splits pieces into lines.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<Piece>,
    length: usize,
    state: Sequence,
    returned: bool,
}

/// Where in an escape sequence the text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sequence {
    #[default]
    None,
    Escape,
    /// `ESC [` up to a letter.
    Control,
    /// `ESC ]` and its like, up to a bell or the next escape.
    Text,
}

impl Lines {
    /// Takes pieces and returns the lines that ended with them.
    pub fn push(&mut self, pieces: &[Piece]) -> Vec<Vec<Piece>> {
        let mut ended = Vec::new();
        for piece in pieces {
            piece.text.chars().for_each(|c| self.letter(piece.style, c, &mut ended));
        }
        ended
    }

    /// Returns the line that has not ended.
    #[must_use]
    pub fn open(&self) -> &[Piece] {
        &self.open
    }

    fn letter(&mut self, style: Style, c: char, ended: &mut Vec<Vec<Piece>>) {
        if !self.is_text(c) {
            return;
        }
        if std::mem::take(&mut self.returned) && c != '\n' {
            self.open.clear();
            self.length = 0;
        }
        match c {
            '\r' => self.returned = true,
            '\n' => self.end(ended),
            '\t' => self.add(style, "    "),
            c if c.is_control() => self.add(style, "\u{fffd}"),
            c => self.add(style, c.encode_utf8(&mut [0; 4])),
        }
        if self.length > LONGEST {
            self.end(ended);
        }
    }

    /// Says whether a character is part of the text and of no sequence.
    fn is_text(&mut self, c: char) -> bool {
        let (next, text) = match (self.state, c) {
            (_, '\x1b') => (Sequence::Escape, false),
            (Sequence::None, _) => (Sequence::None, true),
            (Sequence::Escape, '[') => (Sequence::Control, false),
            (Sequence::Escape, ']' | 'P' | '_' | '^' | 'X') => (Sequence::Text, false),
            (Sequence::Escape, _) => (Sequence::None, false),
            (Sequence::Control, '\x40'..='\x7e') => (Sequence::None, false),
            // A newline ends what was never a sequence.
            (Sequence::Control | Sequence::Text, '\n') => (Sequence::None, true),
            (Sequence::Control, _) => (Sequence::Control, false),
            (Sequence::Text, '\x07') => (Sequence::None, false),
            (Sequence::Text, _) => (Sequence::Text, false),
        };
        self.state = next;
        text
    }

    fn add(&mut self, style: Style, text: &str) {
        self.length += text.len();
        match self.open.last_mut().filter(|last| last.style == style) {
            Some(last) => last.text.push_str(text),
            None => self.open.push(Piece::new(style, text)),
        }
    }

    fn end(&mut self, ended: &mut Vec<Vec<Piece>>) {
        self.length = 0;
        ended.push(std::mem::take(&mut self.open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ended lines and the open one, from text that comes in these parts.
    fn check(parts: &[&str], ended: &[&str], open: &str) {
        let mut lines = Lines::default();
        let text = |line: &[Piece]| line.iter().map(|piece| piece.text.as_str()).collect::<String>();
        let pushed = parts.iter().flat_map(|part| lines.push(&[Piece::new(Style::Plain, part)]));
        let pushed: Vec<String> = pushed.map(|line| text(&line)).collect();
        assert_eq!(pushed, ended);
        assert_eq!(text(lines.open()), open);
    }

    #[test]
    fn lines_end_where_they_end_however_they_come() {
        check(&["one\ntw", "o\n\nth", "ree"], &["one", "two", ""], "three");
    }

    #[test]
    fn progress_overwrites_itself_and_windows_lines_are_lines() {
        check(&["10 %\r", "20 %\r50", " %\r\ndone\r", "\n"], &["50 %", "done"], "");
    }

    #[test]
    fn no_control_sequence_gets_through_however_it_is_cut() {
        check(&["a\x1b[31mred\x1b", "[0m b\x1b]0;title\x07c\x1bM\u{8}\x1b[2"], &[], "ared bc\u{fffd}");
        check(&["\x1b]never ended\nafter"], &[""], "after");
    }

    #[test]
    fn a_line_without_end_is_ended() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&[Piece::new(Style::Plain, &"x".repeat(LONGEST * 2 + 2))]).len(), 2);
    }
}
