//! Keeps what models and tools say from driving the terminal.
//!
//! Two ways: [`Cleaner`] takes whole escape sequences out of output as it streams, so that colours do not litter it;
//! [`visible`] hides nothing and shows each such character as a sign, for what a person is asked to allow.
//!
//! Invariant: no character that comes out of either can move the cursor, change the terminal's state, or make text read in
//! another order than it is in.

/// Says whether a character drives the terminal or reorders what is read.
pub(crate) fn drives(c: char) -> bool {
    let reorders = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders
}

/// Says whether a character is there and cannot be seen.
fn hides(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns a sign for a character that drives the terminal.
pub(crate) fn sign(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        _ => '\u{fffd}',
    }
}

/// Returns a text in which every character can be seen; newlines stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('\n'),
            '\0'..='\x1f' | '\x7f' => shown.push(sign(c)),
            c if drives(c) || hides(c) => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Returns a text as [`visible`] does, on one line: it begins none that looks like somebody else's.
#[must_use]
pub fn label(text: &str) -> String {
    visible(text).replace('\n', " ")
}

/// Takes escape sequences out of text that comes in pieces. A newline ends any sequence: none can swallow what follows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleaner {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// Within `ESC [ … final`.
    Control,
    /// Within a title, a link or another string, up to BEL or `ESC \`.
    String,
    /// After an ESC within such a string.
    StringEscape,
}

impl Cleaner {
    /// Takes the next character; returns it if it is text.
    pub(crate) fn take(&mut self, c: char) -> Option<char> {
        if c == '\n' {
            *self = Self::Text;
            return Some(c);
        }
        let (next, said) = match (*self, c) {
            (Self::Text | Self::Control | Self::Escape, '\x1b') => (Self::Escape, None),
            (Self::Text, '\u{9b}') => (Self::Control, None),
            (Self::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => (Self::String, None),
            (Self::Text, c) => (Self::Text, Some(c)),
            (Self::Escape | Self::StringEscape, '[') => (Self::Control, None),
            (Self::Escape | Self::StringEscape, ']' | 'P' | 'X' | '^' | '_') => (Self::String, None),
            (Self::Escape | Self::StringEscape, ' '..='/') => (Self::Escape, None),
            (Self::Escape | Self::StringEscape, _) => (Self::Text, None),
            (Self::Control, ' '..='?') => (Self::Control, None),
            (Self::Control, '@'..='~') => (Self::Text, None),
            (Self::Control, c) => (Self::Text, Some(c)),
            (Self::String, '\x07' | '\u{9c}') => (Self::Text, None),
            (Self::String, '\x1b') => (Self::StringEscape, None),
            (Self::String, _) => (Self::String, None),
        };
        *self = next;
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        let mut cleaner = Cleaner::default();
        text.chars().filter_map(|c| cleaner.take(c)).collect()
    }

    #[test]
    fn sequences_are_taken_out_whole() {
        for (said, shown) in [
            ("\x1b[1;31mred\x1b[0m plain", "red plain"),
            ("\x1b[2J\x1b[H\x1b[?1049hgone", "gone"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\u{9b}31mred", "red"),
            ("\x1bcreset \x1b(Bset", "reset set"),
            ("\x1bPq#0\x1b\\after", "after"),
            ("ends within \x1b[3", "ends within "),
        ] {
            assert_eq!(clean(said), shown, "{said:?}");
        }
    }

    #[test]
    fn a_sequence_without_an_end_swallows_no_line_but_its_own() {
        assert_eq!(clean("\x1b]0;no end\nnext"), "\nnext");
    }

    #[test]
    fn what_is_to_be_allowed_hides_nothing() {
        assert_eq!(visible("a\x1b[2Kb\rc\n\td\u{202e}e\u{200b}"), "a␛[2Kb␍c\n␉d<U+202E>e<U+200B>");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_visible_drives_the_terminal(text in "\\PC*|[\\x00-\\x9f]*|.*") {
            proptest::prop_assert!(visible(&text).chars().all(|c| c == '\n' || !drives(c)));
        }
    }
}
