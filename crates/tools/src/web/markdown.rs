//! Shows a page as Markdown: its text, headings, lists, tables and links.
//!
//! Invariants: what comes out is bounded ([`SHOWN`]), and so is what is remembered of what is open, however deep a page
//! nests. Links that are shown lead to the web, and are whole.

use reqwest::Url;

use super::html::{Piece, Pieces, Tag, decode};

/// Bytes of Markdown that one page may become.
const SHOWN: usize = 4 << 20;
/// Elements that may be open within each other; deeper ones are read as plain text.
const OPEN: usize = 48;
/// Lists and quotes within each other that are shown as such.
const INDENTS: usize = 6;
/// Columns of a table of which its head's rule is made.
const COLUMNS: usize = 64;

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// What it calls itself.
    pub(super) title: String,
    /// What it says.
    pub(super) text: String,
}

/// Reads a page that lies at `url`.
pub(super) fn markdown(page: &str, url: &Url) -> Shown {
    let mut writer = Writer::new(url.clone());
    for piece in Pieces::of(page) {
        match piece {
            Piece::Text(text) => writer.text(&decode(text)),
            Piece::Open(tag) => writer.open(&tag),
            Piece::Close(name) => writer.close(&name),
        }
        if writer.out.len() > SHOWN {
            break;
        }
    }
    writer.finish()
}

/// An element whose end means something.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    Title,
    Heading,
    /// A mark that stands on both sides.
    Mark(&'static str, usize),
    Link(Option<String>, usize),
    Fence,
    Quote,
    /// A list, with the number of its next item where they have numbers.
    List(Option<u32>),
    Item,
    Table {
        rows: usize,
    },
    Row {
        cells: usize,
    },
    Cell,
}

/// What is owed before the next text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    Paragraph,
}

struct Writer {
    out: String,
    title: String,
    base: Url,
    open: Vec<(String, Open)>,
    gap: Gap,
    /// What stands before the next text of a line: of an item.
    marker: String,
    /// The same, of a heading.
    hashes: String,
}

impl Writer {
    fn new(base: Url) -> Self {
        let (out, title, marker, hashes) = (String::new(), String::new(), String::new(), String::new());
        Self { out, title, base, open: Vec::new(), gap: Gap::None, marker, hashes }
    }

    fn finish(mut self) -> Shown {
        while let Some((_, open)) = self.open.pop() {
            self.ended(open);
        }
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        Shown { title, text: self.out.trim().to_owned() }
    }

    fn text(&mut self, text: &str) {
        if self.is_in(|open| *open == Open::Title) {
            // The longest that makes sense.
            self.title.extend(text.chars().take(500_usize.saturating_sub(self.title.len())));
            return;
        }
        if self.is_in(|open| *open == Open::Fence) {
            return self.verbatim(text);
        }
        for (n, word) in text.split(char::is_whitespace).enumerate() {
            if n > 0 {
                self.owe(Gap::Space);
            }
            if !word.is_empty() {
                self.fill();
                self.out.push_str(word);
            }
        }
    }

    /// Text of which each blank counts.
    fn verbatim(&mut self, text: &str) {
        self.fill();
        let indent = self.indent();
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                self.out.push('\n');
                self.out.push_str(&indent);
            }
            self.out.push_str(line.trim_end_matches('\r'));
        }
    }

    fn owe(&mut self, gap: Gap) {
        // A cell is one line, and an item begins on the line of its marker.
        let most = match self.marker.is_empty() {
            _ if self.is_in(|open| *open == Open::Cell) => Gap::Space,
            true => Gap::Paragraph,
            false => Gap::Line,
        };
        self.gap = self.gap.max(gap.min(most));
    }

    /// Pays what is owed before text.
    fn fill(&mut self) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        let begins = self.out.is_empty();
        match gap {
            Gap::Space if !begins && !self.out.ends_with(['\n', ' ']) => self.out.push(' '),
            Gap::Line | Gap::Paragraph if !begins => {
                if gap == Gap::Paragraph {
                    self.out.push('\n');
                    let quote = self.indent();
                    self.out.push_str(quote.trim_end());
                }
                self.out.push('\n');
            }
            Gap::None | Gap::Space | Gap::Line | Gap::Paragraph => {}
        }
        if begins || gap >= Gap::Line {
            let (marker, hashes) = (std::mem::take(&mut self.marker), std::mem::take(&mut self.hashes));
            let indent = self.indent();
            // The marker stands where the item's text is indented to.
            let before = indent.len().saturating_sub(marker.len());
            self.out.push_str(indent.get(..before).unwrap_or_default());
            self.out.push_str(&marker);
            self.out.push_str(&hashes);
        }
    }

    /// What each line begins with, within lists and quotes.
    fn indent(&self) -> String {
        let mut indent = String::new();
        let mut shown = 0;
        let mut width = 2;
        for (_, open) in &self.open {
            match open {
                Open::List(number) => width = if number.is_some() { 3 } else { 2 },
                Open::Item if shown < INDENTS => indent.extend(std::iter::repeat_n(' ', width)),
                Open::Quote if shown < INDENTS => indent.push_str("> "),
                Open::Title | Open::Heading | Open::Mark(..) | Open::Link(..) | Open::Fence | Open::Quote => continue,
                Open::Item | Open::Table { .. } | Open::Row { .. } | Open::Cell => continue,
            }
            shown += usize::from(!matches!(open, Open::List(_)));
        }
        indent
    }

    fn is_in(&self, what: impl Fn(&Open) -> bool) -> bool {
        self.open.iter().rev().any(|(_, open)| what(open))
    }

    fn push(&mut self, name: &str, open: Open) {
        if self.open.len() < OPEN {
            self.open.push((name.to_owned(), open));
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        if self.is_in(|open| *open == Open::Title) && tag.name != "title" {
            self.close("title");
        }
        match tag.name.as_str() {
            "base" => self.rebase(tag),
            "title" => self.push("title", Open::Title),
            "br" => self.owe(Gap::Line),
            "hr" => self.rule(),
            "img" => self.image(tag),
            "a" => self.link(tag),
            "b" | "strong" => self.mark(tag, "**"),
            "i" | "em" => self.mark(tag, "*"),
            "s" | "del" => self.mark(tag, "~~"),
            "code" | "kbd" | "samp" | "tt" => self.mark(tag, "`"),
            "td" | "th" => self.cell(tag),
            _ => self.open_block(tag),
        }
    }

    fn open_block(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.owe(Gap::Paragraph);
                let level = name.bytes().last().map_or(1, |digit| usize::from(digit - b'0'));
                self.hashes = format!("{} ", "#".repeat(level));
                self.push(name, Open::Heading);
            }
            "pre" => self.fence(),
            "blockquote" => {
                self.owe(Gap::Paragraph);
                self.push(name, Open::Quote);
            }
            "ul" | "ol" | "menu" => {
                let within = self.is_in(|open| *open == Open::Item);
                self.owe(if within { Gap::Line } else { Gap::Paragraph });
                let first = tag.attribute("start").and_then(|start| start.parse().ok()).unwrap_or(1);
                self.push(name, Open::List((name == "ol").then_some(first)));
            }
            "li" => self.item(),
            "dt" | "dd" | "tr" | "option" | "summary" | "legend" => {
                self.owe(Gap::Line);
                if name == "tr" && self.is_in(|open| matches!(open, Open::Table { .. })) {
                    self.close_up_to("tr", "table");
                    self.push(name, Open::Row { cells: 0 });
                }
            }
            "table" if !self.is_in(|open| *open == Open::Cell) => {
                self.owe(Gap::Paragraph);
                self.push(name, Open::Table { rows: 0 });
            }
            _ if is_block(name) => self.owe(Gap::Paragraph),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        let limit = match name {
            // These end nothing beyond the list or the table that they stand in.
            "li" => ["ul", "ol", "menu"].as_slice(),
            "td" | "th" | "tr" => ["table"].as_slice(),
            _ => [].as_slice(),
        };
        let found = self.open.iter().rposition(|(open, _)| open == name || limit.contains(&open.as_str()));
        if let Some(at) = found.filter(|at| self.open.get(*at).is_some_and(|(open, _)| open == name)) {
            while self.open.len() > at {
                if let Some((_, open)) = self.open.pop() {
                    self.ended(open);
                }
            }
        }
        if is_block(name) {
            self.owe(Gap::Paragraph);
        }
    }

    /// Ends an element of this name that was left open, unless `bound` lies between.
    fn close_up_to(&mut self, name: &str, bound: &str) {
        let at = self.open.iter().rposition(|(open, _)| open == name || open == bound);
        if at.and_then(|at| self.open.get(at)).is_some_and(|(open, _)| open == name) {
            self.close(name);
        }
    }

    fn ended(&mut self, open: Open) {
        match open {
            Open::Mark(mark, from) => self.end_mark(mark, from),
            Open::Link(target, from) => self.end_link(target, from),
            Open::Fence => {
                let line = if self.out.ends_with('\n') { "" } else { "\n" };
                let indent = self.indent();
                self.out.push_str(&format!("{line}{indent}```"));
                self.owe(Gap::Paragraph);
            }
            Open::Heading => {
                self.hashes.clear();
                self.owe(Gap::Paragraph);
            }
            Open::Quote | Open::Table { .. } => self.owe(Gap::Paragraph),
            Open::List(_) => {
                let within = self.is_in(|open| *open == Open::Item);
                self.owe(if within { Gap::Line } else { Gap::Paragraph });
            }
            Open::Item => {
                self.marker.clear();
                self.owe(Gap::Line);
            }
            Open::Row { cells } => self.end_row(cells),
            Open::Title | Open::Cell => {}
        }
    }

    fn rebase(&mut self, tag: &Tag<'_>) {
        let base = tag.attribute("href").and_then(|href| self.base.join(&decode(href)).ok());
        if let Some(base) = base.filter(|base| base.as_str().len() < 2_048) {
            self.base = base;
        }
    }

    fn rule(&mut self) {
        self.owe(Gap::Paragraph);
        self.fill();
        self.out.push_str("---");
        self.owe(Gap::Paragraph);
    }

    fn image(&mut self, tag: &Tag<'_>) {
        let alt = tag.attribute("alt").map(|alt| decode(alt)).unwrap_or_default();
        let alt = alt.split_whitespace().collect::<Vec<_>>().join(" ");
        if alt.is_empty() {
            return;
        }
        self.fill();
        match tag.attribute("src").and_then(|src| self.target(src)) {
            Some(target) => self.out.push_str(&format!("![{alt}]({target})")),
            None => self.out.push_str(&format!("[image: {alt}]")),
        }
    }

    fn mark(&mut self, tag: &Tag<'_>, mark: &'static str) {
        if self.is_in(|open| matches!(open, Open::Fence) || matches!(open, Open::Mark(of, _) if *of == mark)) {
            return;
        }
        self.fill();
        self.out.push_str(mark);
        self.push(&tag.name, Open::Mark(mark, self.out.len()));
    }

    fn end_mark(&mut self, mark: &str, from: usize) {
        if self.out.len() == from {
            // It marks nothing.
            self.out.truncate(from.saturating_sub(mark.len()));
        } else {
            self.out.push_str(mark);
        }
    }

    fn link(&mut self, tag: &Tag<'_>) {
        self.close_up_to("a", "table");
        let target = tag.attribute("href").and_then(|href| self.target(href));
        let target = target.filter(|_| !self.is_in(|open| *open == Open::Fence));
        if target.is_some() {
            self.fill();
            self.out.push('[');
        }
        self.push("a", Open::Link(target, self.out.len()));
    }

    fn end_link(&mut self, target: Option<String>, from: usize) {
        let Some(target) = target else { return };
        if self.out.len() == from {
            self.out.truncate(from.saturating_sub(1));
        } else {
            self.out.push_str(&format!("]({target})"));
        }
    }

    /// Where a link leads, if that is the web or a mailbox.
    fn target(&self, href: &str) -> Option<String> {
        let href = decode(href);
        let href = href.trim();
        if href.starts_with('#') {
            return None;
        }
        let target = self.base.join(href).ok()?;
        let shown = matches!(target.scheme(), "http" | "https" | "mailto") && target.as_str().len() < 2_048;
        shown.then(|| target.as_str().replace('(', "%28").replace(')', "%29"))
    }

    fn fence(&mut self) {
        if self.is_in(|open| *open == Open::Fence) {
            return;
        }
        self.owe(Gap::Paragraph);
        self.fill();
        let indent = self.indent();
        self.out.push_str(&format!("```\n{indent}"));
        self.push("pre", Open::Fence);
    }

    fn item(&mut self) {
        let lists = |name: &str| matches!(name, "ul" | "ol" | "menu");
        let at = self.open.iter().rposition(|(open, _)| open == "li" || lists(open));
        if at.and_then(|at| self.open.get(at)).is_some_and(|(open, _)| open == "li") {
            self.close("li");
        }
        self.owe(Gap::Line);
        let list =
            self.open.iter_mut().rev().find_map(|(_, open)| if let Open::List(n) = open { Some(n) } else { None });
        self.marker = match list {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            Some(None) | None => "- ".to_owned(),
        };
        self.push("li", Open::Item);
    }

    fn cell(&mut self, tag: &Tag<'_>) {
        let Some(row) = self.open.iter().rposition(|(_, open)| matches!(open, Open::Row { .. })) else { return };
        if self.open.iter().skip(row).any(|(_, open)| *open == Open::Cell) {
            let name = self.open.iter().rfind(|(_, open)| *open == Open::Cell).map(|(name, _)| name.clone());
            self.close(&name.unwrap_or_default());
        }
        if self.gap == Gap::Space {
            self.gap = Gap::None;
        }
        self.fill();
        let Some((_, Open::Row { cells })) = self.open.get_mut(row) else { return };
        *cells += 1;
        self.out.push_str(if *cells == 1 { "| " } else { " | " });
        self.push(&tag.name, Open::Cell);
    }

    fn end_row(&mut self, cells: usize) {
        if cells == 0 {
            return;
        }
        self.gap = Gap::None;
        self.out.push_str(" |");
        let rows = self
            .open
            .iter_mut()
            .rev()
            .find_map(|(_, open)| if let Open::Table { rows } = open { Some(rows) } else { None });
        if let Some(rows) = rows {
            *rows += 1;
            if *rows == 1 {
                let indent = self.indent();
                self.out.push_str(&format!("\n{indent}|{}", " --- |".repeat(cells.min(COLUMNS))));
            }
        }
        self.owe(Gap::Line);
    }
}

fn is_block(name: &str) -> bool {
    const BLOCKS: [&str; 21] = [
        "address",
        "article",
        "aside",
        "body",
        "details",
        "dialog",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "main",
        "nav",
        "p",
        "section",
        "caption",
        "hgroup",
        "search",
    ];
    BLOCKS.contains(&name)
}

#[cfg(test)]
mod tests;
