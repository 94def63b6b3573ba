//! Text to look in, and words to look for, in one form.
//!
//! Invariants: whatever a person types becomes words in quotes, so that no character of it has a meaning to SQLite; a text
//! is prepared the same way on both sides.

use crate::StoreError;

/// Characters of what is looked for.
pub(super) const ASKED_CHARS: usize = 1_024;
/// Words and phrases of what is looked for.
const TERMS: usize = 32;
/// Bytes of a piece of a long message: each is looked through and shown by itself.
const PIECE: usize = 64 << 10;
/// Stands around each hit of a snippet, until it is written for a page. No text has them.
pub(super) const OPEN: char = '\u{2}';
pub(super) const CLOSE: char = '\u{3}';
/// Stands between characters that are words without blanks between them.
const SEAM: char = '\u{200b}';

/// What is looked for: words, phrases, beginnings of words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asked(pub(crate) Vec<String>);

impl Asked {
    /// Reads what a person typed. What has neither letter nor digit is no word.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] for too much of it.
    pub(crate) fn read(text: &str) -> Result<Self, StoreError> {
        let refuse = |why: String| StoreError::Refused { what: "q".to_owned(), why };
        if text.chars().nth(ASKED_CHARS).is_some() {
            return Err(refuse(format!("at most {ASKED_CHARS} characters are looked for")));
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start_matches(is_blank);
        while !rest.is_empty() {
            let (term, after) = match rest.strip_prefix('"') {
                Some(open) => open.split_once('"').unwrap_or((open, "")),
                None => rest.split_at(rest.find(|c| c == '"' || is_blank(c)).unwrap_or(rest.len())),
            };
            let starred = after.strip_prefix('*').filter(|_| rest.starts_with('"'));
            terms.extend(quoted(term, starred.is_some()));
            rest = starred.unwrap_or(after).trim_start_matches(is_blank);
        }
        if terms.len() > TERMS {
            return Err(refuse(format!("at most {TERMS} words are looked for")));
        }
        Ok(Self(terms))
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Returns a word or phrase as SQLite takes it; nothing where it has no letter or digit.
fn quoted(term: &str, is_beginning: bool) -> Option<String> {
    let bare = term.trim_end_matches('*');
    let letters = bare.chars().filter(|c| c.is_alphanumeric()).count();
    // One letter begins too many words to say anything.
    let star = if letters > 1 && (is_beginning || bare.len() < term.len()) { " *" } else { "" };
    (letters > 0).then(|| format!("\"{}\"{star}", prepared(&bare.replace('"', " "))))
}

/// Returns a text as it is kept and looked through.
pub(crate) fn prepared(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        if (stands_alone(c) && before.is_alphanumeric()) || (stands_alone(before) && c.is_alphanumeric()) {
            out.push(SEAM);
        }
        let kept = if matches!(c, '\0' | OPEN | CLOSE) { ' ' } else { c };
        out.push(kept);
        before = kept;
    }
    out
}

/// Says whether a character is a word of its own: those scripts that put no blanks between words.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3fffd}')
}

/// Cuts a long text into pieces, between words where there are any.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let most = rest.floor_char_boundary(PIECE);
        let at = if most == rest.len() {
            most
        } else {
            let half = rest.floor_char_boundary(most / 2);
            let later = rest.get(half..most).unwrap_or_default();
            let blank = later.char_indices().rfind(|(_, c)| c.is_whitespace());
            blank.map_or(most, |(at, c)| half + at + c.len_utf8())
        };
        let (piece, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        rest = after;
        Some(piece)
    })
}

/// Returns a snippet fit for a page.
pub(super) fn shown(snippet: &str) -> String {
    let mut out = String::with_capacity(snippet.len() + 32);
    for c in snippet.chars() {
        match c {
            OPEN => out.push_str("<mark>"),
            CLOSE => out.push_str("</mark>"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            SEAM => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_becomes_words_in_quotes() {
        let cases: [(&str, &[&str]); 16] = [
            ("", &[]),
            ("  \t\n ", &[]),
            ("two words", &["\"two\"", "\"words\""]),
            ("\"a phrase\" more", &["\"a phrase\"", "\"more\""]),
            ("\"never closed", &["\"never closed\""]),
            ("\"\" \"", &[]),
            ("quo\"ted\"bits", &["\"quo\"", "\"ted\"", "\"bits\""]),
            ("begin* x* *", &["\"begin\" *", "\"x\""]),
            ("\"a begin\"*", &["\"a begin\" *"]),
            ("AND OR NOT NEAR(a, b)", &["\"AND\"", "\"OR\"", "\"NOT\"", "\"NEAR(a,\"", "\"b)\""]),
            ("text:x -y ^z {a b}:c", &["\"text:x\"", "\"-y\"", "\"^z\"", "\"{a\"", "\"b}:c\""]),
            ("nul\0here", &["\"nul\"", "\"here\""]),
            ("+++ 👋 — ;--", &[]),
            ("👋hi", &["\"👋hi\""]),
            ("漢字かな", &["\"漢\u{200b}字\u{200b}か\u{200b}な\""]),
            ("'; DROP TABLE words", &["\"DROP\"", "\"TABLE\"", "\"words\""]),
        ];
        for (typed, terms) in cases {
            let asked = Asked::read(typed).map(|asked| asked.0);
            assert_eq!(asked, Ok(terms.iter().map(|term| (*term).to_owned()).collect()), "{typed:?}");
        }
        assert!(Asked::read(&"x".repeat(1 << 20)).is_err());
        assert!(Asked::read(&"x ".repeat(100)).is_err());
    }

    #[test]
    fn a_long_text_is_cut_between_words_and_nothing_of_it_is_lost() {
        let blanks = "zwö wört ".repeat(40_000);
        let wide = "wört\u{3000}".repeat(40_000);
        let none = "ü".repeat(200_000);
        for text in [blanks.as_str(), wide.as_str(), none.as_str(), "short", ""] {
            assert_eq!(pieces(text).collect::<String>(), text);
            assert!(pieces(text).all(|piece| !piece.is_empty() && piece.len() <= PIECE));
        }
        assert!(pieces(&blanks).all(|piece| piece.ends_with(' ')));
    }

    #[test]
    fn a_snippet_is_fit_for_a_page() {
        let kept = prepared("<script>\u{2}漢字\0&");
        assert_eq!(shown(&kept), "&lt;script&gt; 漢字 &amp;");
        assert_eq!(shown("a \u{2}b\u{3} c"), "a <mark>b</mark> c");
    }
}
