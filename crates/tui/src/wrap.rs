//! Styled lines broken into rows of a width, in the columns that a terminal gives each character.
//!
//! Invariant: no row is wider than the width that was asked for, so that the terminal itself never wraps.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::Style;
use crate::screen::Piece;

/// Columns that a text takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.graphemes(true).map(wide).sum()
}

/// Columns of one character as it is seen: terminals give none more than two.
fn wide(grapheme: &str) -> usize {
    grapheme.width().min(2)
}

/// What stands before each row of what a tool prints.
const GUTTER: &str = "  │ ";

#[derive(Clone, Copy)]
struct Cell<'a> {
    text: &'a str,
    style: Style,
    width: usize,
}

/// Breaks a line into rows: prose between words, what tools print and code anywhere.
#[must_use]
pub fn wrap(line: &[Piece], width: usize) -> Vec<Vec<Piece>> {
    let width = width.max(8);
    let is_output = line.first().is_some_and(|piece| piece.style == Style::Output);
    let exact = match line {
        [piece, ..] if matches!(piece.style, Style::Output | Style::Command) => true,
        [piece] => piece.style == Style::Code && piece.text.starts_with(' '),
        _ => false,
    };
    let cells: Vec<Cell<'_>> = line
        .iter()
        .flat_map(|piece| {
            let style = piece.style;
            piece.text.graphemes(true).map(move |text| Cell { text, style, width: wide(text) })
        })
        .collect();
    let hanging = if is_output { 0 } else { hanging(&cells).min(width / 2) };
    let mut rows = Vec::new();
    let mut rest = cells.as_slice();
    loop {
        let before = if is_output {
            GUTTER.to_owned()
        } else if rows.is_empty() {
            String::new()
        } else {
            " ".repeat(hanging)
        };
        let (now, next) = cut(rest, width - columns(&before), exact);
        rows.push(row(before, now));
        if next.is_empty() {
            return rows;
        }
        rest = next;
    }
}

/// Columns of a list mark and what stands before it.
fn hanging(cells: &[Cell<'_>]) -> usize {
    let indent = cells.iter().take_while(|cell| cell.text == " ").count();
    let after = cells.get(indent..).unwrap_or_default();
    let digits = after.iter().take_while(|cell| cell.text.chars().all(|c| c.is_ascii_digit())).count();
    let mark = match after.get(digits).map(|cell| cell.text) {
        Some(".") if digits > 0 && digits < 4 => digits + 2,
        Some("•" | "›" | "⚙" | "⟲" | "?") if digits == 0 => 2,
        _ => 0,
    };
    indent + mark
}

fn cut<'a, 'b>(cells: &'b [Cell<'a>], width: usize, exact: bool) -> (&'b [Cell<'a>], &'b [Cell<'a>]) {
    let mut used = 0;
    let fits = cells.iter().take_while(|cell| {
        used += cell.width;
        used <= width
    });
    let fits = fits.count().max(usize::from(!cells.is_empty()));
    if fits == cells.len() || exact {
        return cells.split_at(fits);
    }
    let is_space = |at: usize| cells.get(at).is_some_and(|cell| cell.text == " ");
    let end = if is_space(fits) { Some(fits) } else { (1..fits).rev().find(|at| is_space(*at)) };
    let Some(end) = end.filter(|end| cells.iter().take(*end).any(|cell| cell.text != " ")) else {
        return cells.split_at(fits);
    };
    let (now, next) = cells.split_at(end);
    let spaces = next.iter().take_while(|cell| cell.text == " ").count();
    (now, next.get(spaces..).unwrap_or_default())
}

fn row(before: String, cells: &[Cell<'_>]) -> Vec<Piece> {
    let mut row: Vec<Piece> = Vec::new();
    if !before.is_empty() {
        row.push(Piece { style: Style::Dim, text: before });
    }
    for cell in cells {
        match row.last_mut().filter(|last| last.style == cell.style) {
            Some(last) => last.text.push_str(cell.text),
            None => row.push(Piece::new(cell.style, cell.text)),
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(style: Style, text: &str, width: usize) -> Vec<String> {
        let wrapped = wrap(&[Piece::new(style, text)], width);
        wrapped.into_iter().map(|row| row.into_iter().map(|piece| piece.text).collect()).collect()
    }

    #[test]
    fn prose_breaks_between_words_and_lists_hang() {
        assert_eq!(rows(Style::Plain, "one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(rows(Style::Plain, "• one two three", 9), ["• one two", "  three"]);
        assert_eq!(rows(Style::Plain, "averyveryverylongword x", 10), ["averyveryv", "erylongwor", "d x"]);
        assert_eq!(rows(Style::Plain, "", 10), [""]);
    }

    #[test]
    fn commands_and_code_break_anywhere_and_what_only_begins_with_code_does_not() {
        assert_eq!(rows(Style::Command, "  ls  'a  b'", 9), ["  ls  'a ", "   b'"]);
        assert_eq!(rows(Style::Code, "  let x = 5;", 9), ["  let x =", "   5;"]);
        let line = [Piece::new(Style::Code, "`x`"), Piece::new(Style::Plain, " is here")];
        assert_eq!(wrap(&line, 9).len(), 2);
        assert_eq!(rows(Style::Bold, "A heading", 8), ["A", "heading"]);
    }

    #[test]
    fn what_tools_print_keeps_every_space_and_its_gutter() {
        assert_eq!(rows(Style::Output, "a  b  c d", 9), ["  │ a  b ", "  │  c d"]);
        assert_eq!(rows(Style::Output, "", 9), ["  │ "]);
    }

    proptest::proptest! {
        #[test]
        fn no_row_is_wider_than_asked(text in "([a-z ]|字|é|👩‍👩‍👧|🇩🇪|\\PC)*", width in 8_usize..40) {
            for row in rows(Style::Plain, &text, width).into_iter().chain(rows(Style::Output, &text, width)) {
                proptest::prop_assert!(columns(&row) <= width, "{row:?}");
            }
        }
    }
}
