//! The input box: a text of some lines, a cursor, and what each key does to them.
//!
//! Pure. Enter gives the text away; pasted text never does.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use crate::wrap::columns;

/// What a key asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// It was done.
    Done,
    /// The text is to be sent.
    Send,
    /// The cursor is on the first line and went up.
    Before,
    /// The cursor is on the last line and went down.
    After,
    /// The key means nothing here.
    Nothing,
}

/// A text and a cursor.
#[derive(Debug, Default)]
pub struct Editor {
    text: String,
    /// Bytes before the cursor: always between two characters as they are seen.
    at: usize,
    /// What was cut last.
    cut: String,
    /// The column to keep while going up and down.
    goal: Option<usize>,
}

/// Bytes of a text that can be typed: what the server takes.
const LONGEST: usize = 1 << 20;

impl Editor {
    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns bytes before the cursor.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Takes the text away.
    pub fn take(&mut self) -> String {
        (self.at, self.goal) = (0, None);
        std::mem::take(&mut self.text)
    }

    /// Puts another text there, with the cursor at its end.
    pub fn set(&mut self, text: &str) {
        (self.text, self.at, self.goal) = (text.to_owned(), text.len(), None);
    }

    /// Inserts text that was pasted, whatever is in it.
    pub fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let safe: String = text.chars().filter(|c| *c == '\n' || !crate::clean::drives(*c)).collect();
        self.insert(&safe);
    }

    /// Does what a key says.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    pub fn key(&mut self, key: KeyEvent) -> Edit {
        let goal = self.goal.take();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => return self.enter(key.modifiers),
            KeyCode::Up => return self.vertical(Way::Back, goal),
            KeyCode::Down => return self.vertical(Way::On, goal),
            KeyCode::Char('p') if control => return self.vertical(Way::Back, goal),
            KeyCode::Char('n') if control => return self.vertical(Way::On, goal),
            KeyCode::Char(c) if control => return self.control(c),
            KeyCode::Char(c) if alt => return self.alt(c),
            KeyCode::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Left if control || alt => self.at = self.word(Way::Back),
            KeyCode::Right if control || alt => self.at = self.word(Way::On),
            KeyCode::Left => self.at = self.step(Way::Back),
            KeyCode::Right => self.at = self.step(Way::On),
            KeyCode::Home => self.at = self.line().0,
            KeyCode::End => self.at = self.line().1,
            KeyCode::Backspace if control || alt => self.kill(self.word(Way::Back)),
            KeyCode::Backspace => self.erase(self.step(Way::Back)),
            KeyCode::Delete => self.erase(self.step(Way::On)),
            _ => return Edit::Nothing,
        }
        Edit::Done
    }

    /// Enter sends; with Alt or Shift, or after a backslash, it makes a new line.
    fn enter(&mut self, modifiers: KeyModifiers) -> Edit {
        if modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT) {
            self.insert("\n");
            return Edit::Done;
        }
        if self.at == self.text.len() && self.text.ends_with('\\') {
            self.erase(self.at - 1);
            self.insert("\n");
            return Edit::Done;
        }
        Edit::Send
    }

    fn control(&mut self, c: char) -> Edit {
        let (start, end) = self.line();
        match c {
            'a' => self.at = start,
            'e' => self.at = end,
            'b' => self.at = self.step(Way::Back),
            'f' => self.at = self.step(Way::On),
            'd' => self.erase(self.step(Way::On)),
            'h' => self.erase(self.step(Way::Back)),
            'j' => self.insert("\n"),
            'k' if end == self.at => self.kill(self.step(Way::On)),
            'k' => self.kill(end),
            'u' => self.kill(start),
            'w' => self.kill(self.word(Way::Back)),
            'y' => self.insert(&self.cut.clone()),
            _ => return Edit::Nothing,
        }
        Edit::Done
    }

    fn alt(&mut self, c: char) -> Edit {
        match c {
            'b' => self.at = self.word(Way::Back),
            'f' => self.at = self.word(Way::On),
            'd' => self.kill(self.word(Way::On)),
            '<' => self.at = 0,
            '>' => self.at = self.text.len(),
            _ => return Edit::Nothing,
        }
        Edit::Done
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() <= LONGEST {
            self.text.insert_str(self.at, text);
            self.at += text.len();
        }
    }

    /// Takes out what lies between the cursor and a place, and keeps it for Ctrl-Y.
    fn kill(&mut self, to: usize) {
        let cut = self.out(to);
        if !cut.is_empty() {
            self.cut = cut;
        }
    }

    fn erase(&mut self, to: usize) {
        self.out(to);
    }

    fn out(&mut self, to: usize) -> String {
        let (from, to) = (self.at.min(to), self.at.max(to));
        self.at = from;
        self.text.drain(from..to).collect()
    }

    fn step(&self, way: Way) -> usize {
        let mut cursor = GraphemeCursor::new(self.at, self.text.len(), true);
        let found = match way {
            Way::Back => cursor.prev_boundary(&self.text, 0),
            Way::On => cursor.next_boundary(&self.text, 0),
        };
        found.ok().flatten().unwrap_or(self.at)
    }

    /// The next start or end of a word.
    fn word(&self, way: Way) -> usize {
        let is_word = |word: &str| word.chars().any(char::is_alphanumeric);
        let words = self.text.split_word_bound_indices().filter(|(_, word)| is_word(word));
        match way {
            Way::Back => words.take_while(|(at, _)| *at < self.at).last().map_or(0, |(at, _)| at),
            Way::On => words.map(|(at, word)| at + word.len()).find(|end| *end > self.at).unwrap_or(self.text.len()),
        }
    }

    /// Start and end of the cursor's line.
    fn line(&self) -> (usize, usize) {
        let start = self.text[..self.at].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[self.at..].find('\n').map_or(self.text.len(), |at| self.at + at);
        (start, end)
    }

    fn vertical(&mut self, way: Way, goal: Option<usize>) -> Edit {
        let (start, end) = self.line();
        let goal = goal.unwrap_or_else(|| columns(&self.text[start..self.at]));
        let line = match way {
            Way::Back if start == 0 => return Edit::Before,
            Way::Back => self.text[..start - 1].rfind('\n').map_or(0, |at| at + 1)..start - 1,
            Way::On if end == self.text.len() => return Edit::After,
            Way::On => end + 1..self.text[end + 1..].find('\n').map_or(self.text.len(), |at| end + 1 + at),
        };
        let mut column = 0;
        let mut at = line.start;
        for grapheme in self.text[line].graphemes(true) {
            column += columns(grapheme);
            if column > goal {
                break;
            }
            at += grapheme.len();
        }
        (self.at, self.goal) = (at, Some(goal));
        Edit::Done
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Back,
    On,
}

#[cfg(test)]
mod tests;
