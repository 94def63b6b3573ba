//! Takes known secrets out of text, in the forms in which tools and models show them: plain, in JSON, base64, percent
//! encoding and hexadecimal.
//!
//! Pure. A [`Redactor`] is made from what is known; each secret becomes needles, one for each of its forms, and the text is
//! gone through once, whatever their number. What is found becomes `[redacted:NAME]`.
//!
//! Invariants: nothing is allocated where nothing is found. A secret that comes in pieces ([`Stream`]) is found as if it had
//! come at once, and no piece of it is let out before. What is only a part of a secret is not one.

mod known;
mod needles;
mod stream;

pub use known::{Refused, Secrets};
pub use stream::Stream;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;

use crate::secret::Secret;
use needles::Needle;

/// Bytes of needles' anchors up to which the fastest automaton is made, which takes the most memory.
const FAST: usize = 64 << 10;

/// What stands in the place of what is forgotten.
pub const FORGOTTEN: &str = "[forgotten]";

/// Says whether a text is one that was erased: nothing is left of it.
#[must_use]
pub fn is_forgotten(text: &str) -> bool {
    matches!(text.trim(), "" | FORGOTTEN)
}

/// Finds known secrets in text and takes them out.
#[derive(Default)]
pub struct Redactor {
    automaton: Option<AhoCorasick>,
    /// For each pattern of the automaton: of which needle it is a part, from which of its bytes on.
    anchors: Vec<(usize, usize)>,
    needles: Vec<Needle>,
    /// What takes the place of each secret.
    marks: Vec<String>,
    /// The needles that begin with each byte.
    begins: Vec<Vec<usize>>,
    /// Whether one of them begins with these two bytes: asked at each byte of what may be held back.
    pairs: Vec<bool>,
    /// Bytes that the longest needle takes at most.
    longest: usize,
    /// Whether only what stands by itself is found, no part of a word.
    is_worded: bool,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.marks.len()).finish_non_exhaustive()
    }
}

/// A secret that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    /// The place of its mark, and the length of the needle that named it.
    mark: usize,
    named_by: usize,
}

impl Redactor {
    /// Makes one that finds these, each under its name. Where two have the same value, the first names it.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let mut redactor = Self { begins: vec![Vec::new(); 256], pairs: vec![false; 1 << 16], ..Self::default() };
        let mut seen = std::collections::HashSet::new();
        for (name, secret) in secrets {
            let mark = redactor.marks.len();
            redactor.marks.push(mark_of(name));
            let fresh =
                needles::of(secret.reveal(), mark).into_iter().filter(|needle| seen.insert(needle.bytes.clone()));
            redactor.needles.extend(fresh);
        }
        let mut patterns: Vec<&[u8]> = Vec::new();
        for (at, needle) in redactor.needles.iter().enumerate() {
            for (from, anchor) in needle.anchors() {
                redactor.anchors.push((at, from));
                patterns.push(anchor);
            }
            if let Some(list) = needle.bytes.first().and_then(|first| redactor.begins.get_mut(usize::from(*first))) {
                list.push(at);
            }
            if let Some(told) = needle.bytes.get(..2).and_then(|pair| redactor.pairs.get_mut(place(pair))) {
                *told = true;
            }
            redactor.longest = redactor.longest.max(needle.most());
        }
        let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
        let kind = if bytes <= FAST { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let mut builder = AhoCorasick::builder();
        let builder = builder.match_kind(MatchKind::Standard).kind(Some(kind)).prefilter(false);
        // It is refused only beyond limits of its own that what is known never reaches: see `Secrets`.
        redactor.automaton = (!patterns.is_empty()).then(|| builder.build(&patterns).ok()).flatten();
        redactor
    }

    /// Makes one that takes these texts out as forgotten: `[forgotten]` stands in their place. They are found as whole words.
    #[must_use]
    pub fn forgetting<'a>(texts: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut redactor = Self::new(texts.into_iter().map(|text| ("forgotten", text)));
        redactor.marks.fill(FORGOTTEN.to_owned());
        redactor.is_worded = true;
        redactor
    }

    /// Says whether it knows of nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Says whether a secret is in it.
    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        self.found(text).next().is_some()
    }

    /// Returns the text without secrets.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Needles begin and end with whole characters.
            Cow::Owned(bytes) => Cow::Owned(into_text(bytes)),
        }
    }

    /// Takes secrets out of a text; says whether there were any.
    pub fn clean(&self, text: &mut String) -> bool {
        let Cow::Owned(clean) = self.text(text) else { return false };
        *text = clean;
        true
    }

    /// Returns the bytes without secrets.
    #[must_use]
    pub fn bytes<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(text);
        if spans.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(self.render(text, &spans)) }
    }

    /// Takes secrets out of every string of a value, keys included; says whether there were any.
    pub fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.value(item) | found),
            Value::Object(map) => {
                let mut found = map.values_mut().fold(false, |found, item| self.value(item) | found);
                if map.keys().any(|key| self.finds(key.as_bytes())) {
                    let renamed = std::mem::take(map).into_iter();
                    *map = renamed.map(|(key, item)| (self.text(&key).into_owned(), item)).collect();
                    found = true;
                }
                found
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn found<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Span> + 'a {
        let hits = self.automaton.as_ref().into_iter().flat_map(move |automaton| automaton.find_overlapping_iter(text));
        hits.filter_map(move |hit| {
            let (at, from) = self.anchors.get(hit.pattern().as_usize())?;
            let needle = self.needles.get(*at)?;
            let (start, end) = needle.around(text, *from, (hit.start(), hit.end()))?;
            if self.is_worded && !needle.stands_alone(text, (start, end)) {
                return None;
            }
            Some(Span { start, end, mark: needle.mark, named_by: needle.bytes.len() })
        })
    }

    /// Returns what is found, in order; what overlaps is one.
    fn spans(&self, text: &[u8]) -> Vec<Span> {
        let mut found: Vec<Span> = self.found(text).collect();
        found.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut spans: Vec<Span> = Vec::new();
        for span in found {
            match spans.last_mut() {
                Some(last) if span.start < last.end => {
                    last.end = last.end.max(span.end);
                    if span.named_by > last.named_by {
                        (last.mark, last.named_by) = (span.mark, span.named_by);
                    }
                }
                Some(_) | None => spans.push(span),
            }
        }
        spans
    }

    fn render(&self, text: &[u8], spans: &[Span]) -> Vec<u8> {
        let (mut rendered, mut at) = (Vec::with_capacity(text.len()), 0);
        for span in spans {
            rendered.extend_from_slice(&text[at..span.start]);
            rendered.extend_from_slice(self.marks.get(span.mark).map_or("", String::as_str).as_bytes());
            at = span.end;
        }
        rendered.extend_from_slice(&text[at..]);
        rendered
    }

    /// Returns from where on the text may be the beginning of a secret whose rest is yet to come.
    fn begun(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest);
        let is_begun = |at: &usize| {
            let rest = &text[*at..];
            // Behind its first byte a line may end.
            let goes_on = rest.get(..2).filter(|pair| !matches!(pair[1], b'\r' | b'\n' | b'\\'));
            if goes_on.is_some_and(|pair| self.pairs.get(place(pair)) == Some(&false)) {
                return false;
            }
            let begins = rest.first().and_then(|first| self.begins.get(usize::from(*first)));
            begins.is_some_and(|these| these.iter().any(|at| self.needles.get(*at).is_some_and(|it| it.is_begun(rest))))
        };
        (from..text.len()).find(is_begun).unwrap_or(text.len())
    }
}

/// Returns where two bytes are noted.
fn place(pair: &[u8]) -> usize {
    pair.iter().fold(0, |place, byte| place << 8 | usize::from(*byte))
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Returns what is put in a secret's place.
fn mark_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
    format!("[redacted:{}]", name.chars().take(64).map(plain).collect::<String>())
}

#[cfg(test)]
mod tests;
