//! The forms of a secret: what is looked for, byte by byte.
//!
//! In base64 a byte's place within its group of three decides what becomes of it, so there is a needle for each place; what
//! the neighbours decide of its first and last characters is left out. What is printed in base64 and in hexadecimal is often
//! broken into lines: these needles are found across line ends, too. All are looked for by some of their parts (anchors), and
//! whatever is around a part is compared then.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// One form of a secret.
pub(super) struct Needle {
    pub(super) bytes: Vec<u8>,
    /// The secret, by the place of its mark.
    pub(super) mark: usize,
    layout: Layout,
}

/// How a form is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// In one piece.
    Whole,
    /// Possibly broken into lines.
    Lines,
}

/// Bytes of an anchor. Lines that something is broken into have 60 characters at least: of three anchors in a row one is
/// unbroken.
const ANCHOR: usize = 24;
/// Anchors of a needle.
const ANCHORS: usize = 3;
/// A line of a secret that has several is looked for by itself from this length on.
const LINE: usize = 16;
/// Line ends: as they are, and as JSON writes them.
const BREAKS: [&[u8]; 4] = [b"\r\n", b"\n", b"\\r\\n", b"\\n"];

/// Returns all forms of a secret.
pub(super) fn of(secret: &str, mark: usize) -> Vec<Needle> {
    let mut needles = Vec::new();
    let mut add = |bytes: Vec<u8>, layout| needles.push(Needle { bytes, mark, layout });
    for text in plain(secret) {
        add(text.clone().into_bytes(), Layout::Whole);
        for escaped in in_json(&text) {
            add(escaped.into_bytes(), Layout::Whole);
        }
        for encoded in in_percent(text.as_bytes()) {
            add(encoded.into_bytes(), Layout::Whole);
        }
        for encoded in in_base64(text.as_bytes()) {
            add(encoded.into_bytes(), Layout::Lines);
        }
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        add(hex.to_uppercase().into_bytes(), Layout::Lines);
        add(hex.into_bytes(), Layout::Lines);
    }
    needles
}

/// The secret, and where it has several lines each of those that are long enough to tell: they are printed one by one.
fn plain(secret: &str) -> Vec<String> {
    let is_telling = |line: &&str| line.len() >= LINE && !line.starts_with("-----");
    let lines = secret.lines().map(str::trim).filter(is_telling).filter(|line| *line != secret);
    std::iter::once(secret).chain(lines).map(str::to_owned).collect()
}

/// As strings of JSON hold it: in the ways of several writers, and within a string that is in a string again.
fn in_json(text: &str) -> Vec<String> {
    let usual = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    let once = usual(text);
    let code = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let ascii = |text: &str| text.chars().map(|c| if c.is_ascii() { c.into() } else { code(c) }).collect::<String>();
    let html = |c: char| if matches!(c, '<' | '>' | '&' | '\'' | '+') { code(c) } else { c.into() };
    let web: String = once.chars().map(|c| if matches!(c, '<' | '>' | '&') { code(c) } else { c.into() }).collect();
    let wide: String = once.chars().map(html).collect();
    let twice = usual(&once);
    let thrice = usual(&twice);
    vec![once.replace('/', "\\/"), ascii(&once), web, ascii(&wide), once, twice, thrice]
}

/// In percent encoding, as several writers do it: what each leaves as it is differs.
fn in_percent(bytes: &[u8]) -> Vec<String> {
    const LEFT: [&[u8]; 9] = [
        b"",
        b"-_.",
        b"-_.*",
        b"-_.~",
        b"-_.~/",
        b"-_.~!'()*",
        b"-_.~!'()*;/?:@&=+$,#",
        b"-_.~!$&'()*+,;=:@",
        b"-_.~!$&'()*+,;=:@/",
    ];
    let encode = |left: &dyn Fn(u8) -> bool, space: &str, upper: bool| {
        let one = |byte: &u8| match *byte {
            b' ' if !space.is_empty() => space.to_owned(),
            byte if left(byte) => char::from(byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        bytes.iter().map(one).collect::<String>()
    };
    let mut all = Vec::new();
    for upper in [true, false] {
        all.push(encode(&|_| false, "", upper));
        for left in LEFT {
            let stays = |byte: u8| byte.is_ascii_alphanumeric() || left.contains(&byte);
            all.push(encode(&stays, "", upper));
            all.push(encode(&stays, "+", upper));
        }
    }
    all
}

/// In both alphabets, for each place that its first byte may have in a group of three.
fn in_base64(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3 {
        let shifted = [&[0; 3][..before], bytes].concat();
        let (from, to) = ((8 * before).div_ceil(6), 8 * shifted.len() / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&shifted).get(from..to).unwrap_or_default().to_owned());
        }
    }
    all
}

impl Needle {
    /// Returns the parts that it is looked for by, each with where it begins.
    pub(super) fn anchors(&self) -> Vec<(usize, &[u8])> {
        match self.layout {
            Layout::Whole => vec![(0, &self.bytes[..ANCHOR.min(self.bytes.len())])],
            Layout::Lines => {
                let size = ANCHOR.min(self.bytes.len().div_ceil(2)).max(1);
                let parts = self.bytes.chunks(size).enumerate().map(|(at, part)| (at * size, part));
                parts.filter(|(_, part)| 2 * part.len() >= size).take(ANCHORS).collect()
            }
        }
    }

    /// Says whether no word goes on at either end of where it was found. What is encoded stands in the middle of something.
    pub(super) fn stands_alone(&self, text: &[u8], (start, end): (usize, usize)) -> bool {
        let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let (first, last) = (character(&self.bytes), last_character(&self.bytes));
        let goes_on = |inner: Option<char>, outer: Option<char>| {
            let is_of_word = |c: char| c.is_alphanumeric() && c.len_utf8() < 3;
            inner.is_some_and(is_of_word) && outer.is_some_and(is_of_word)
        };
        let begins = is_escaped(before) || !goes_on(first, last_character(before));
        self.layout == Layout::Lines || (begins && !goes_on(last, character(after)))
    }

    /// Returns how many bytes of text it takes at most.
    pub(super) fn most(&self) -> usize {
        match self.layout {
            Layout::Whole => self.bytes.len(),
            Layout::Lines => self.bytes.len() + self.bytes.len() / 4 + 8,
        }
    }

    /// Returns where all of it is, if it is there around one of its anchors.
    pub(super) fn around(&self, text: &[u8], from: usize, (start, end): (usize, usize)) -> Option<(usize, usize)> {
        if self.layout == Layout::Whole {
            return text.get(start..)?.starts_with(&self.bytes).then_some((start, start + self.bytes.len()));
        }
        let mut begin = start;
        for byte in self.bytes.get(..from)?.iter().rev() {
            begin -= break_before(&text[..begin]);
            begin = begin.checked_sub(1).filter(|at| text[*at] == *byte)?;
        }
        let mut at = end;
        for byte in self.bytes.get(from + (end - start)..)? {
            at += break_at(&text[at..]);
            if text.get(at) != Some(byte) {
                return None;
            }
            at += 1;
        }
        Some((begin, at))
    }

    /// Says whether the text is a beginning of it, and all of the text is.
    pub(super) fn is_begun(&self, text: &[u8]) -> bool {
        if self.layout == Layout::Whole {
            return text.len() < self.bytes.len() && self.bytes.starts_with(text);
        }
        let mut at = 0;
        for byte in &self.bytes {
            at += break_at(&text[at..]);
            let rest = &text[at..];
            match rest.first() {
                None => return true,
                Some(found) if found == byte => at += 1,
                Some(_) => return at > 0 && BREAKS.iter().any(|line_end| line_end.starts_with(rest)),
            }
        }
        false
    }
}

/// The first character of what may begin or end within one.
fn character(text: &[u8]) -> Option<char> {
    let bytes = &text[..text.len().min(4)];
    (1..=bytes.len()).find_map(|end| std::str::from_utf8(&bytes[..end]).ok()?.chars().next())
}

fn last_character(text: &[u8]) -> Option<char> {
    let from = text.len().saturating_sub(4);
    (from..text.len()).rev().find_map(|at| std::str::from_utf8(&text[at..]).ok()?.chars().next())
}

/// Says whether the text ends with a character that is written as a letter or a number: `\n` in JSON, `%20` in an address.
fn is_escaped(text: &[u8]) -> bool {
    match text {
        [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [.., b'\\', b'n' | b't' | b'r' | b'f' | b'b'] => true,
        _plain => false,
    }
}

/// Returns the length of the line end that the text begins with, or 0.
fn break_at(text: &[u8]) -> usize {
    match text.first() {
        Some(b'\r' | b'\n' | b'\\') => {
            BREAKS.iter().find(|line_end| text.starts_with(line_end)).map_or(0, |line_end| line_end.len())
        }
        Some(_) | None => 0,
    }
}

/// Returns the length of the line end that the text ends with, or 0.
fn break_before(text: &[u8]) -> usize {
    match text.last() {
        Some(b'\n' | b'n') => {
            BREAKS.iter().find(|line_end| text.ends_with(line_end)).map_or(0, |line_end| line_end.len())
        }
        Some(_) | None => 0,
    }
}
