//! Reads HTML as a row of pieces: texts, and the beginnings and ends of elements.
//!
//! No tree is made: what pages hold is read once from its beginning to its end, in time and memory that its size bounds,
//! however deep it nests and wherever it breaks off. What is never shown (scripts, styles, drawings, what the page itself
//! hides) is left out here.

mod entities;

pub(super) use entities::decode;

/// One piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text as it stands, with its character references.
    Text(&'a str),
    /// An element begins.
    Open(Tag<'a>),
    /// An element ends.
    Close(String),
}

/// The beginning of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// Its name, in small letters.
    pub(super) name: String,
    attributes: Vec<(&'a str, &'a str)>,
}

/// Attributes that are kept of one element.
const ATTRIBUTES: usize = 32;
/// Bytes of a name that means something.
const NAME: usize = 32;

/// Elements whose content is no markup, and never shown.
const RAW: [&str; 7] = ["script", "style", "iframe", "noembed", "noframes", "textarea", "xmp"];
/// Elements that are left out with all within them.
const HIDDEN: [&str; 6] = ["svg", "template", "object", "canvas", "audio", "video"];
/// Elements without an end.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

impl<'a> Tag<'a> {
    /// Returns the value of an attribute; empty where it has none.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Whether the page says itself that it does not show this.
    fn is_hidden(&self) -> bool {
        let styled = |style: &str| {
            let style: String = style.chars().filter(|c| !c.is_whitespace()).take(2_000).collect();
            let style = style.to_ascii_lowercase();
            style.contains("display:none") || style.contains("visibility:hidden")
        };
        self.attribute("hidden").is_some() || self.attribute("style").is_some_and(styled)
    }
}

/// Reads a page.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// The element that is left out, and how many of its name are open within it.
    skipping: Option<(String, usize)>,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(page: &'a str) -> Self {
        Self { rest: page, skipping: None }
    }

    /// Returns what comes next, shown or not.
    fn piece(&mut self) -> Option<Piece<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(after) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                return Some(Piece::Text(self.take(end)));
            };
            if let Some(comment) = after.strip_prefix("!--") {
                self.rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            } else if after.starts_with(['!', '?']) {
                self.rest = after.find('>').map_or("", |end| &after[end + 1..]);
            } else if let Some(end) = after.strip_prefix('/').filter(|end| begins_name(end)) {
                let name = name(end);
                self.rest = end.find('>').map_or("", |at| &end[at + 1..]);
                return Some(Piece::Close(name));
            } else if begins_name(after) {
                let (tag, rest) = tag(after);
                self.rest = rest;
                if RAW.contains(&tag.name.as_str()) {
                    self.rest = past_end(rest, &tag.name);
                    continue;
                }
                return Some(Piece::Open(tag));
            } else {
                // No markup: it stands for itself.
                return Some(Piece::Text(self.take(1)));
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// Says whether this piece lies in what is left out.
    fn is_skipped(&mut self, piece: &Piece<'a>) -> bool {
        match (piece, &mut self.skipping) {
            (Piece::Open(tag), Some((name, depth))) => {
                *depth += usize::from(tag.name == *name);
                true
            }
            (Piece::Close(closed), Some((name, depth))) => {
                *depth -= usize::from(closed == name);
                if *depth == 0 {
                    self.skipping = None;
                }
                true
            }
            (Piece::Text(_), Some(_)) => true,
            (Piece::Open(tag), None) => {
                let is_void = VOID.contains(&tag.name.as_str());
                let skip = !is_void && (HIDDEN.contains(&tag.name.as_str()) || tag.is_hidden());
                if skip {
                    self.skipping = Some((tag.name.clone(), 1));
                }
                skip
            }
            (Piece::Close(_) | Piece::Text(_), None) => false,
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let piece = self.piece()?;
            if !self.is_skipped(&piece) {
                return Some(piece);
            }
        }
    }
}

fn begins_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn name(text: &str) -> String {
    let end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(text.len());
    text[..end].chars().take(NAME).collect::<String>().to_ascii_lowercase()
}

/// Reads the beginning of an element, behind its `<`; and returns what follows it.
fn tag(text: &str) -> (Tag<'_>, &str) {
    let blank = |c: char| c.is_ascii_whitespace() || c == '/';
    let mut tag = Tag { name: name(text), attributes: Vec::new() };
    let mut rest = text.trim_start_matches(|c: char| !c.is_ascii_whitespace() && !matches!(c, '/' | '>'));
    loop {
        rest = rest.trim_start_matches(blank);
        if rest.is_empty() {
            return (tag, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        // A name may begin with `=`, as the standard has it.
        let end = rest.char_indices().skip(1).find(|(_, c)| ends(*c)).map_or(rest.len(), |(at, _)| at);
        let (attribute, after) = rest.split_at(end);
        let (value, after) = value(after);
        rest = after;
        if tag.attributes.len() < ATTRIBUTES {
            tag.attributes.push((attribute, value));
        }
    }
}

fn value(text: &str) -> (&str, &str) {
    let Some(text) = text.trim_start().strip_prefix('=') else { return ("", text) };
    let text = text.trim_start();
    let quoted = |quote: char| text.strip_prefix(quote).map(|inner| inner.split_once(quote).unwrap_or((inner, "")));
    if let Some(parted) = quoted('"').or_else(|| quoted('\'')) {
        return parted;
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

/// Returns what follows `</name>`, or nothing where it has no end.
fn past_end<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let after = &rest[at + 2..];
        let is_end = after.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        let ends = after.get(name.len()..).is_some_and(|after| {
            after.is_empty() || after.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
        });
        if is_end && ends {
            return after.find('>').map_or("", |end| &after[end + 1..]);
        }
        rest = after;
    }
    ""
}

#[cfg(test)]
mod tests;
