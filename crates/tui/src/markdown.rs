//! Markdown as it streams: whole lines are styled when they end, so that nothing that was printed changes.

use crate::Style;
use crate::screen::Piece;

/// Styles text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Markdown {
    line: String,
    in_code: bool,
}

impl Markdown {
    /// Takes the next piece and returns the lines that ended with it.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                pieces.extend(self.draw(line.trim_end_matches('\n')));
                pieces.push(Piece::new(Style::Plain, "\n"));
            }
        }
        pieces
    }

    /// Returns the last line, which has no end, and starts afresh.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let line = std::mem::take(&mut self.line);
        let pieces = if line.is_empty() { Vec::new() } else { self.draw(&line) };
        self.in_code = false;
        pieces
    }

    /// Returns the line that has not ended, as it would be drawn now.
    pub(crate) fn open(&self) -> Vec<Piece> {
        let mut now = Self { line: String::new(), in_code: self.in_code };
        if self.line.is_empty() { Vec::new() } else { now.draw(&self.line) }
    }

    fn draw(&mut self, line: &str) -> Vec<Piece> {
        if line.trim_start().starts_with("```") {
            self.in_code = !self.in_code;
            return vec![Piece::new(Style::Dim, line)];
        }
        if self.in_code {
            return vec![Piece::new(Style::Code, &format!("  {line}"))];
        }
        if line.starts_with('#') {
            return vec![Piece::new(Style::Bold, line.trim_start_matches('#').trim_start())];
        }
        if line.starts_with("> ") {
            return vec![Piece::new(Style::Dim, line)];
        }
        let bullet = line.trim_start().strip_prefix("- ").or_else(|| line.trim_start().strip_prefix("* "));
        match bullet {
            Some(rest) => {
                let indent = line.len() - line.trim_start().len();
                let mut pieces = vec![Piece::new(Style::Plain, &format!("{}• ", " ".repeat(indent)))];
                pieces.extend(spans(rest));
                pieces
            }
            None => spans(line),
        }
    }
}

/// Styles `code` and **bold** within a line.
fn spans(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, part) in line.split('`').enumerate() {
        let is_code = at % 2 == 1;
        for (at, part) in part.split("**").enumerate() {
            let style = if is_code {
                Style::Code
            } else if at % 2 == 1 {
                Style::Bold
            } else {
                Style::Plain
            };
            if !part.is_empty() {
                pieces.push(Piece::new(style, part));
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(text: &str) -> Vec<(Style, String)> {
        let mut markdown = Markdown::default();
        let mut pieces = markdown.push(text);
        pieces.extend(markdown.finish());
        pieces.into_iter().map(|piece| (piece.style, piece.text)).filter(|(_, text)| text != "\n").collect()
    }

    #[test]
    fn markdown_is_styled_line_by_line() {
        let own = |list: &[(Style, &str)]| list.iter().map(|(s, t)| (*s, (*t).to_owned())).collect::<Vec<_>>();
        assert_eq!(draw("# Title"), own(&[(Style::Bold, "Title")]));
        assert_eq!(
            draw("a `b` **c**"),
            own(&[(Style::Plain, "a "), (Style::Code, "b"), (Style::Plain, " "), (Style::Bold, "c")])
        );
        assert_eq!(draw("- x"), own(&[(Style::Plain, "• "), (Style::Plain, "x")]));
        assert_eq!(
            draw("```\nlet x;\n```"),
            own(&[(Style::Dim, "```"), (Style::Code, "  let x;"), (Style::Dim, "```")])
        );
    }

    #[test]
    fn the_same_text_in_any_pieces_looks_the_same() {
        let text = "a **b** c\n- `d`\n";
        let whole = draw(text);
        for cut in 1..text.len() {
            let mut markdown = Markdown::default();
            let mut pieces = markdown.push(&text[..cut]);
            pieces.extend(markdown.push(&text[cut..]));
            pieces.extend(markdown.finish());
            let drawn: Vec<_> =
                pieces.into_iter().map(|p| (p.style, p.text)).filter(|(_, text)| text != "\n").collect();
            assert_eq!(drawn, whole, "cut at {cut}");
        }
    }
}
