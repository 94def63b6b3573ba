//! Puts a frame below the conversation, and the conversation's finished lines above it, on the terminal's normal screen.
//!
//! Invariants: what was printed above is never touched again, so it stays in the scrollback; nothing but styles and the
//! sequences here reaches the terminal; after [`Painter::clear`] the cursor is at the start of an empty line.

use std::fmt::Write as _;

use crate::view::Frame;
use crate::{Colors, Piece, columns, paint, wrap};

/// What is drawn now.
#[derive(Debug)]
pub struct Painter {
    colors: Colors,
    frame: Frame,
    /// The cursor's row within what is drawn.
    row: usize,
    is_fresh: bool,
}

/// Terminals that know them draw all at once; others ignore them.
const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
const END: &str = "\x1b[?2026l";
const SHOW_CURSOR: &str = "\x1b[?25h";

impl Painter {
    /// Begins at the start of an empty line.
    #[must_use]
    pub fn new(colors: Colors) -> Self {
        Self { colors, frame: Frame::default(), row: 0, is_fresh: true }
    }

    /// Returns what to write: finished lines, then the frame. Nothing, if it is drawn already.
    pub fn paint(&mut self, above: &[Vec<Piece>], frame: Frame, width: usize) -> String {
        if above.is_empty() && frame == self.frame && !self.is_fresh {
            return String::new();
        }
        let mut out = BEGIN.to_owned();
        self.up(&mut out);
        let above = above.iter().flat_map(|line| wrap(line, width.saturating_sub(1)));
        let rows: Vec<Vec<Piece>> = above.chain(frame.rows.iter().cloned()).collect();
        for (at, row) in rows.iter().enumerate() {
            // Written over, row by row: a screen that is cleared from its first row goes to the scrollback of some terminals.
            out.push_str(if at > 0 { "\x1b[K\r\n" } else { "" });
            self.put(row, &mut out);
        }
        out.push_str("\x1b[J");
        let last = frame.rows.len().saturating_sub(1);
        self.row = last;
        if let Some((row, column)) = frame.cursor {
            self.row = row;
            out.push('\r');
            // Writing to a String cannot fail.
            if last > row {
                write!(out, "\x1b[{}A", last - row).ok();
            }
            if column > 0 {
                write!(out, "\x1b[{column}C").ok();
            }
            out.push_str(SHOW_CURSOR);
        }
        out.push_str(END);
        (self.frame, self.is_fresh) = (frame, false);
        out
    }

    /// Returns what takes the frame away.
    pub fn clear(&mut self) -> String {
        let mut out = String::new();
        self.up(&mut out);
        out.push_str("\x1b[K");
        if self.frame.rows.len() > 1 {
            out.push_str("\x1b[1B\x1b[J\x1b[1A");
        }
        out.push_str(SHOW_CURSOR);
        *self = Self::new(self.colors);
        out
    }

    /// The terminal has another width: what is drawn has been broken into more rows, or joined to fewer.
    pub fn resize(&mut self, width: usize) {
        let width = width.max(1);
        let wide = |row: &Vec<Piece>| row.iter().map(|piece| columns(&piece.text)).sum::<usize>();
        let above = self.frame.rows.iter().take(self.row).map(|row| wide(row).div_ceil(width).max(1)).sum::<usize>();
        let within = self.frame.cursor.map_or_else(
            || self.frame.rows.last().map_or(0, |row| wide(row).saturating_sub(1) / width),
            |(_, column)| column / width,
        );
        self.row = above + within;
        self.is_fresh = true;
    }

    /// Draws all of it anew, at the start of an empty line or of an empty screen.
    pub fn forget(&mut self) {
        *self = Self::new(self.colors);
    }

    fn up(&self, out: &mut String) {
        out.push('\r');
        if self.row > 0 {
            write!(out, "\x1b[{}A", self.row).ok();
        }
    }

    fn put(&self, row: &[Piece], out: &mut String) {
        for piece in row {
            let flat = piece.text.replace(['\n', '\t'], " ");
            out.push_str(&paint(self.colors, piece.style, &flat));
        }
    }
}

#[cfg(test)]
mod tests;
