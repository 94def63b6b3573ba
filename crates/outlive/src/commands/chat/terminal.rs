//! The terminal while a person talks: raw, with an area at the bottom that is drawn again, all above it printed once.
//!
//! Invariant: however this ends, the terminal is as it was.

use std::io::Write as _;

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::{Command, terminal};
use outlive_tui::area::Area;
use outlive_tui::{Colors, Piece, paint};

/// A terminal in raw mode. Dropped, it is given back.
pub struct Terminal {
    colors: Colors,
    /// The row of the area that the cursor is in, counted from the area's first.
    row: u16,
    raw: bool,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn take(colors: Colors) -> std::io::Result<Self> {
        let mut taken = Self { colors, row: 0, raw: false };
        taken.resume()?;
        Ok(taken)
    }

    /// Gives it back for a moment: the area is gone until the next [`Self::draw`].
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn pause(&mut self) -> std::io::Result<()> {
        let mut out = String::new();
        self.erase(&mut out);
        push(&mut out, DisableBracketedPaste);
        push(&mut out, Show);
        write(&out)?;
        self.raw = false;
        terminal::disable_raw_mode()
    }

    /// Takes it again.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn resume(&mut self) -> std::io::Result<()> {
        terminal::enable_raw_mode()?;
        self.raw = true;
        let mut out = String::new();
        push(&mut out, EnableBracketedPaste);
        write(&out)
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        terminal::size().map_or((80, 24), |(columns, rows)| (columns.into(), rows.into()))
    }

    /// Prints lines that ended, and draws the area under them.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn draw(&mut self, ended: &[Vec<Piece>], area: &Area) -> std::io::Result<()> {
        let mut out = String::new();
        push(&mut out, BeginSynchronizedUpdate);
        push(&mut out, Hide);
        self.erase(&mut out);
        for line in ended {
            self.paint(&mut out, line);
            out.push_str("\r\n");
        }
        for (at, row) in area.rows.iter().enumerate() {
            if at > 0 {
                out.push_str("\r\n");
            }
            self.paint(&mut out, row);
        }
        let (row, column) = area.cursor;
        let up = area.rows.len().saturating_sub(row + 1);
        if up > 0 {
            push(&mut out, MoveUp(narrow(up)));
        }
        push(&mut out, MoveToColumn(narrow(column)));
        push(&mut out, Show);
        push(&mut out, EndSynchronizedUpdate);
        self.row = narrow(row);
        write(&out)
    }

    /// Takes the whole screen: what was on it is in the scrollback where the terminal keeps one.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn clear(&mut self) -> std::io::Result<()> {
        let mut out = String::new();
        push(&mut out, Clear(ClearType::All));
        push(&mut out, crossterm::cursor::MoveTo(0, 0));
        self.row = 0;
        write(&out)
    }

    /// The width changed: the terminal has broken the area's rows anew, and those above the cursor count.
    pub fn resized(&mut self, area: &Area, columns: usize) {
        let width = |row: &[Piece]| row.iter().map(|piece| piece.text.chars().count()).sum::<usize>();
        let above = area.rows.iter().take(area.cursor.0).map(|row| width(row).div_ceil(columns.max(1)).max(1));
        self.row = narrow(above.sum::<usize>() + area.cursor.1 / columns.max(1));
    }

    fn erase(&mut self, out: &mut String) {
        if self.row > 0 {
            push(out, MoveUp(self.row));
        }
        out.push('\r');
        push(out, Clear(ClearType::FromCursorDown));
        self.row = 0;
    }

    fn paint(&self, out: &mut String, row: &[Piece]) {
        row.iter().for_each(|piece| out.push_str(&paint(self.colors, piece.style, &piece.text)));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.raw {
            self.pause().ok();
        }
    }
}

fn push(out: &mut String, command: impl Command) {
    // Writing into a string cannot fail.
    command.write_ansi(out).ok();
}

fn write(out: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()
}

fn narrow(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
