//! The few rows at the bottom that are drawn again and again: what is not finished, what is typed, how things stand.
//! All above them was printed once and belongs to the terminal.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::Style;
use crate::editor::Editor;
use crate::screen::Piece;

/// One row.
pub type Row = Vec<Piece>;

/// Rows, and where the cursor is in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Area {
    /// From top to bottom, none wider than the terminal.
    pub rows: Vec<Row>,
    /// Row and column of the cursor.
    pub cursor: (usize, usize),
}

/// What stands in the area besides what is typed.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    /// Lines that have not ended.
    pub open: &'a [Piece],
    /// How things stand.
    pub status: &'a str,
    /// What stands before the first typed line.
    pub prompt: &'a str,
}

/// Draws the area for a terminal of so many columns and rows.
#[must_use]
pub fn draw(around: &Around<'_>, editor: &Editor, (columns, rows): (usize, usize)) -> Area {
    let width = columns.saturating_sub(1).max(8);
    let most = (rows / 2).max(2);
    let mut area = Area::default();
    let open = wrap(around.open, width);
    area.rows.extend(open.into_iter().rev().take(most).rev());
    let (typed, at) = typed(around.prompt, editor, width);
    // As many as fit, around the cursor.
    let first = at.0.saturating_sub(most - 1);
    area.cursor = (area.rows.len() + at.0 - first, at.1);
    area.rows.extend(typed.into_iter().skip(first).take(most));
    area.rows.push(vec![Piece::new(Style::Dim, &cut(around.status, width))]);
    area
}

/// Breaks a line of prose between its words, so that it fits. Other lines are the terminal's to break: who copies a
/// command or its output from the screen gets it as it was.
#[must_use]
pub fn prose(line: Row, columns: usize) -> Vec<Row> {
    let is_prose = |piece: &Piece| matches!(piece.style, Style::Plain | Style::Bold | Style::Notice | Style::Code);
    let width: usize = line.iter().map(|piece| piece.text.width()).sum();
    if width < columns || !line.iter().all(is_prose) || line.iter().all(|piece| piece.style == Style::Code) {
        return vec![line];
    }
    let (mut rows, mut row, mut filled) = (Vec::new(), Row::new(), 0);
    for piece in line {
        for word in piece.text.split_inclusive(' ') {
            if filled > 0 && filled + word.trim_end().width() >= columns {
                rows.push(std::mem::take(&mut row));
                filled = 0;
            }
            filled += word.width();
            match row.last_mut().filter(|last: &&mut Piece| last.style == piece.style) {
                Some(last) => last.text.push_str(word),
                None => row.push(Piece::new(piece.style, word)),
            }
        }
    }
    rows.push(row);
    rows
}

/// Cuts pieces into rows.
fn wrap(pieces: &[Piece], width: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut row, mut filled) = (Row::new(), 0);
    for piece in pieces {
        let mut part = String::new();
        for grapheme in piece.text.graphemes(true) {
            if filled + grapheme.width() > width {
                row.push(Piece::new(piece.style, &std::mem::take(&mut part)));
                rows.push(std::mem::take(&mut row));
                filled = 0;
            }
            part.push_str(grapheme);
            filled += grapheme.width();
        }
        row.push(Piece { style: piece.style, text: part });
    }
    if filled > 0 {
        rows.push(row);
    }
    rows
}

/// The typed lines as rows, and where the cursor is among them.
fn typed(prompt: &str, editor: &Editor, width: usize) -> (Vec<Row>, (usize, usize)) {
    let indent = prompt.width();
    let (mut rows, mut row) = (Vec::new(), String::new());
    let (mut column, mut at) = (indent, 0);
    let mut cursor = (0, indent);
    let mut push = |row: &mut String| {
        let lead = if rows.is_empty() { prompt.to_owned() } else { " ".repeat(indent) };
        rows.push(vec![Piece::new(Style::Person, &lead), Piece::new(Style::Plain, &std::mem::take(row))]);
        rows.len()
    };
    let mut count = 0;
    for grapheme in editor.text().graphemes(true) {
        if grapheme != "\n" && column + grapheme.width() > width {
            count = push(&mut row);
            column = indent;
        }
        if at == editor.cursor() {
            cursor = (count, column);
        }
        at += grapheme.len();
        if grapheme == "\n" {
            count = push(&mut row);
            column = indent;
        } else {
            row.push_str(grapheme);
            column += grapheme.width();
        }
    }
    if at == editor.cursor() {
        cursor = (count, column);
    }
    push(&mut row);
    (rows, cursor)
}

fn cut(text: &str, width: usize) -> String {
    let mut filled = 0;
    let fits = |grapheme: &&str| {
        filled += grapheme.width();
        filled <= width
    };
    text.graphemes(true).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(open: &str, typed: &str, size: (usize, usize), rows: &[&str], cursor: (usize, usize)) {
        let mut editor = Editor::default();
        editor.paste(typed);
        let open = [Piece::new(Style::Plain, open)];
        let around = Around { open: &open, status: "agent · idle", prompt: "› " };
        let area = draw(&around, &editor, size);
        let text = |row: &Row| row.iter().map(|piece| piece.text.as_str()).collect::<String>();
        assert_eq!(area.rows.iter().map(text).collect::<Vec<_>>(), rows);
        assert_eq!(area.cursor, cursor);
    }

    #[test]
    fn what_is_open_stands_above_what_is_typed_and_the_status_below() {
        check("", "", (40, 24), &["› ", "agent · idle"], (0, 2));
        check("half a li", "hello", (40, 24), &["half a li", "› hello", "agent · idle"], (1, 7));
        check("", "one\ntwo", (40, 24), &["› one", "  two", "agent · idle"], (1, 5));
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        check(
            "0123456789ab",
            "0123456789",
            (11, 24),
            &["0123456789", "ab", "› 01234567", "  89", "agent · id"],
            (3, 4),
        );
        check("", "日本語日本語", (11, 24), &["› 日本語日", "  本語", "agent · id"], (1, 6));
    }

    #[test]
    fn prose_breaks_between_words_and_output_is_left_to_the_terminal() {
        let row = |style, text| vec![Piece::new(style, text)];
        let mixed = vec![Piece::new(Style::Plain, "one two "), Piece::new(Style::Bold, "three four")];
        let broken = [vec![Piece::new(Style::Plain, "one two ")], row(Style::Bold, "three four")];
        assert_eq!(prose(mixed, 12), broken);
        let output = row(Style::Dim, "one two three four");
        assert_eq!(prose(output.clone(), 12), [output]);
        let long = row(Style::Plain, "0123456789012345");
        assert_eq!(prose(long.clone(), 12), [long]);
    }

    #[test]
    fn what_is_too_tall_shows_what_is_at_the_cursor() {
        check("", "1\n2\n3\n4\n5", (40, 6), &["  3", "  4", "  5", "agent · idle"], (2, 3));
    }
}
