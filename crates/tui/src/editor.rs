//! What a person types before it is sent: several lines, a cursor, a history.
//!
//! Pure. Invariant: the cursor stands between two graphemes; control characters never get into the text.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation as _;

/// What a key asks for beyond editing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Nothing more.
    Edited,
    /// This is to be sent.
    Send(String),
    /// What runs is to stop; with nothing running, what was typed is gone.
    Interrupt,
    /// The person leaves.
    Leave,
    /// The screen is to be drawn afresh.
    Redraw,
}

/// The text, and where the cursor is in it.
#[derive(Debug, Default)]
pub struct Editor {
    text: String,
    cursor: usize,
    history: Vec<String>,
    /// Which line of the history is shown; the draft waits meanwhile.
    shown: Option<usize>,
    draft: String,
    killed: String,
}

impl Editor {
    /// Begins with what was sent before, oldest first.
    #[must_use]
    pub fn new(history: Vec<String>) -> Self {
        Self { history, ..Self::default() }
    }

    /// Returns what was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the cursor's place, in bytes.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.put(String::new());
        self.shown = None;
    }

    /// Takes what was sent into the history.
    pub fn remember(&mut self, text: &str) {
        if self.history.last().is_none_or(|last| last != text) {
            self.history.push(text.to_owned());
        }
    }

    /// Takes what was pasted, whole: a paste never sends.
    pub fn paste(&mut self, text: &str) {
        self.insert(&text.replace("\r\n", "\n").replace('\r', "\n"));
    }

    /// Does what a key asks for.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other key does nothing")]
    pub fn key(&mut self, key: KeyEvent) -> Edit {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let shift = key.modifiers.contains(KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Enter if alt || shift || control => self.insert("\n"),
            KeyCode::Enter => return self.enter(),
            KeyCode::Backspace if alt || control => self.kill(self.word_before(), self.cursor),
            KeyCode::Backspace => self.cut(self.before(), self.cursor),
            KeyCode::Delete => self.cut(self.cursor, self.after()),
            KeyCode::Left if alt || control => self.cursor = self.word_before(),
            KeyCode::Right if alt || control => self.cursor = self.word_after(),
            KeyCode::Left => self.cursor = self.before(),
            KeyCode::Right => self.cursor = self.after(),
            KeyCode::Home => self.cursor = self.line_start(),
            KeyCode::End => self.cursor = self.line_end(),
            KeyCode::Up => self.up(),
            KeyCode::Down => self.down(),
            KeyCode::Tab => self.insert("    "),
            KeyCode::Char(letter) if control => return self.control(letter),
            KeyCode::Char(letter) if alt => self.alt(letter),
            KeyCode::Char(letter) => self.insert(letter.encode_utf8(&mut [0; 4])),
            _nothing => {}
        }
        Edit::Edited
    }

    fn control(&mut self, letter: char) -> Edit {
        match letter.to_ascii_lowercase() {
            'a' => self.cursor = self.line_start(),
            'b' => self.cursor = self.before(),
            'c' => return Edit::Interrupt,
            'd' if self.text.is_empty() => return Edit::Leave,
            'd' => self.cut(self.cursor, self.after()),
            'e' => self.cursor = self.line_end(),
            'f' => self.cursor = self.after(),
            'h' => self.cut(self.before(), self.cursor),
            'j' => self.insert("\n"),
            'k' => self.kill(self.cursor, self.line_end()),
            'l' => return Edit::Redraw,
            'n' => self.down(),
            'p' => self.up(),
            'u' => self.kill(self.line_start(), self.cursor),
            'w' => self.kill(self.word_before(), self.cursor),
            'y' => self.insert(&self.killed.clone()),
            _nothing => {}
        }
        Edit::Edited
    }

    fn alt(&mut self, letter: char) {
        match letter.to_ascii_lowercase() {
            'b' => self.cursor = self.word_before(),
            'f' => self.cursor = self.word_after(),
            'd' => self.kill(self.cursor, self.word_after()),
            '\r' | '\n' => self.insert("\n"),
            _nothing => {}
        }
    }

    /// Sends, unless a backslash at the end asks for one more line.
    fn enter(&mut self) -> Edit {
        if self.cursor == self.text.len() && self.text.ends_with('\\') {
            self.cut(self.before(), self.cursor);
            self.insert("\n");
            return Edit::Edited;
        }
        let text = std::mem::take(&mut self.text);
        self.clear();
        Edit::Send(text)
    }

    fn insert(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    fn put(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn kill(&mut self, from: usize, to: usize) {
        if from < to {
            self.killed = self.text[from..to].to_owned();
            self.cut(from, to);
        }
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.cursor + self.text[self.cursor..].graphemes(true).next().map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let mut words = self.text[..self.cursor].unicode_word_indices();
        words.next_back().map_or_else(|| self.line_start().min(self.before()), |(at, _)| at)
    }

    fn word_after(&self) -> usize {
        let mut words = self.text[self.cursor..].unicode_word_indices();
        words.next().map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    /// To the line above, or from the first one to what was sent before.
    fn up(&mut self) {
        let start = self.line_start();
        if start > 0 {
            let column = self.text[start..self.cursor].graphemes(true).count();
            let above = self.text[..start - 1].rfind('\n').map_or(0, |at| at + 1);
            self.cursor = self.column(above, column);
            return;
        }
        let next = self.shown.unwrap_or(self.history.len()).checked_sub(1);
        let Some(line) = next.and_then(|at| self.history.get(at)).cloned() else { return };
        if self.shown.is_none() {
            self.draft = std::mem::take(&mut self.text);
        }
        self.shown = next;
        self.put(line);
    }

    /// To the line below, or from the last one to what was sent after; last to the draft.
    fn down(&mut self) {
        let end = self.line_end();
        if end < self.text.len() {
            let column = self.text[self.line_start()..self.cursor].graphemes(true).count();
            self.cursor = self.column(end + 1, column);
            return;
        }
        let Some(at) = self.shown else { return };
        self.shown = Some(at + 1).filter(|at| *at < self.history.len());
        let line = self.shown.and_then(|at| self.history.get(at)).cloned();
        let line = line.unwrap_or_else(|| std::mem::take(&mut self.draft));
        self.put(line);
    }

    /// The place of a column in the line that starts here.
    fn column(&self, start: usize, column: usize) -> usize {
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        start + line.graphemes(true).take(column).map(str::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types: `<name>` is a key, `^x` with Control, `~x` with Alt, all else itself.
    fn type_in(editor: &mut Editor, keys: &[&str]) -> Edit {
        let mut last = Edit::Edited;
        for key in keys {
            let one = |code, modifiers| KeyEvent::new(code, modifiers);
            let letter = |text: &str| KeyCode::Char(text.chars().next().unwrap());
            last = match key.strip_prefix('<') {
                Some("enter>") => editor.key(one(KeyCode::Enter, KeyModifiers::NONE)),
                Some("alt-enter>") => editor.key(one(KeyCode::Enter, KeyModifiers::ALT)),
                Some("up>") => editor.key(one(KeyCode::Up, KeyModifiers::NONE)),
                Some("down>") => editor.key(one(KeyCode::Down, KeyModifiers::NONE)),
                Some("left>") => editor.key(one(KeyCode::Left, KeyModifiers::NONE)),
                Some("back>") => editor.key(one(KeyCode::Backspace, KeyModifiers::NONE)),
                Some(other) => panic!("{other}"),
                None if key.len() == 2 && key.starts_with('^') => {
                    editor.key(one(letter(&key[1..]), KeyModifiers::CONTROL))
                }
                None if key.len() == 2 && key.starts_with('~') => editor.key(one(letter(&key[1..]), KeyModifiers::ALT)),
                None => {
                    key.chars().for_each(|c| drop(editor.key(one(KeyCode::Char(c), KeyModifiers::NONE))));
                    Edit::Edited
                }
            };
        }
        last
    }

    fn check(keys: &[&str], text: &str, cursor: usize) {
        let mut editor = Editor::default();
        type_in(&mut editor, keys);
        assert_eq!((editor.text(), editor.cursor()), (text, cursor), "{keys:?}");
    }

    #[test]
    fn keys_edit_as_in_every_other_program() {
        check(&["one two", "^a", "X"], "Xone two", 1);
        check(&["one two", "^w"], "one ", 4);
        check(&["one two", "^w", "^y", "^y"], "one twotwo", 10);
        check(&["one two", "^a", "~f", "^k"], "one", 3);
        check(&["one two", "~b", "^u"], "two", 0);
        check(&["one two", "~b", "~b", "~d"], " two", 0);
        check(&["añ", "<back>"], "a", 1);
        check(&["a👩‍👩‍👧b", "<left>", "<back>"], "ab", 1);
        check(&["abc", "<left>", "^d"], "ab", 2);
    }

    #[test]
    fn enter_sends_and_its_variants_make_lines() {
        let mut editor = Editor::default();
        assert_eq!(
            type_in(&mut editor, &["one", "<alt-enter>", "two", "^j", "three\\", "<enter>", "four"]),
            Edit::Edited
        );
        assert_eq!(editor.text(), "one\ntwo\nthree\nfour");
        assert_eq!(type_in(&mut editor, &["<enter>"]), Edit::Send("one\ntwo\nthree\nfour".into()));
        assert_eq!((editor.text(), editor.cursor()), ("", 0));
    }

    #[test]
    fn a_paste_never_sends_and_brings_no_control_characters() {
        let mut editor = Editor::default();
        editor.paste("one\r\ntwo\rthree\x1b[2J\u{7}");
        assert_eq!(editor.text(), "one\ntwo\nthree[2J");
    }

    #[test]
    fn up_and_down_move_in_the_text_first_and_in_the_history_then() {
        let mut editor = Editor::new(vec!["first".into(), "second\nof two".into()]);
        type_in(&mut editor, &["draft", "<up>"]);
        assert_eq!(editor.text(), "second\nof two");
        type_in(&mut editor, &["<up>"]);
        assert_eq!((editor.text(), editor.cursor()), ("second\nof two", 6));
        type_in(&mut editor, &["<up>"]);
        assert_eq!(editor.text(), "first");
        type_in(&mut editor, &["<up>", "<down>", "<down>"]);
        assert_eq!(editor.text(), "draft");
        type_in(&mut editor, &["<down>"]);
        assert_eq!(editor.text(), "draft");
    }

    #[test]
    fn control_d_leaves_only_when_nothing_was_typed_and_control_c_interrupts() {
        let mut editor = Editor::default();
        assert_eq!(type_in(&mut editor, &["^d"]), Edit::Leave);
        assert_eq!(type_in(&mut editor, &["x", "^d"]), Edit::Edited);
        assert_eq!(type_in(&mut editor, &["^c"]), Edit::Interrupt);
    }
}
