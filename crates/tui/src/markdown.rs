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
        let text = line.trim_start();
        if text.starts_with("```") {
            self.in_code = !self.in_code;
            return vec![Piece::new(Style::Dim, line)];
        }
        if self.in_code {
            return vec![Piece::new(Style::Code, &format!("  {line}"))];
        }
        if let Some(heading) = text.trim_start_matches('#').strip_prefix(' ')
            && text.starts_with('#')
        {
            return vec![Piece::new(Style::Bold, heading.trim_start())];
        }
        if text.starts_with("> ") {
            return vec![Piece::new(Style::Dim, line)];
        }
        match text.strip_prefix("- ").or_else(|| text.strip_prefix("* ")) {
            Some(rest) => {
                let indent = line.len() - text.len();
                let mut pieces = vec![Piece::new(Style::Plain, &format!("{}• ", " ".repeat(indent)))];
                pieces.extend(spans(rest));
                pieces
            }
            None => spans(line),
        }
    }
}

/// Styles `code` and **bold** within a line. A mark without its partner is what it says.
fn spans(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    let mut at = 0;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let marks = [("**", Style::Bold), ("`", Style::Code)];
        let found = marks.iter().find_map(|(mark, style)| Some((mark.len(), *style, within(rest, mark)?)));
        let Some((mark, style, inner)) = found else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        pieces.push(Piece::new(Style::Plain, &line[plain..at]));
        if style == Style::Bold && inner.contains('`') {
            let inner = spans(inner).into_iter();
            let bold = |piece: Piece| if piece.style == Style::Plain { Piece { style, ..piece } } else { piece };
            pieces.extend(inner.map(bold));
        } else {
            pieces.push(Piece::new(style, inner));
        }
        at += inner.len() + 2 * mark;
        plain = at;
    }
    pieces.push(Piece::new(Style::Plain, &line[plain..]));
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

/// What lies between a mark at the start of a text and its partner.
fn within<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(mark)?;
    let inner = rest.get(..rest.find(mark)?)?;
    let is_said = !inner.is_empty() && (mark == "`" || !inner.starts_with(' '));
    is_said.then_some(inner)
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
    fn a_mark_without_a_partner_is_what_it_says() {
        let plain = |text: &str| vec![(Style::Plain, text.to_owned())];
        for text in ["2 ** 3 and 4 ** 5", "a ` b", "**", "#include", "#12 is open", "``"] {
            assert_eq!(draw(text), plain(text), "{text}");
        }
        assert_eq!(draw("`2**3**4`"), [(Style::Code, "2**3**4".to_owned())]);
        assert_eq!(draw("**a `b`**"), [(Style::Bold, "a ".to_owned()), (Style::Code, "b".to_owned())]);
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
