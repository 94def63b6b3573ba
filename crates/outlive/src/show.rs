//! What commands print: text for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use outlive_tui::{Colors, Piece, Style, paint};
use serde::Serialize;

use crate::exit::Failure;

/// Prints JSON, pretty.
///
/// # Errors
///
/// It cannot be JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Says whether standard output takes colours.
pub fn colors() -> Colors {
    let plain = crate::config::variable("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain { Colors::Off } else { Colors::On }
}

/// Prints pieces, at once.
pub fn pieces(colors: Colors, pieces: &[Piece]) {
    let text: String = pieces.iter().map(|piece| paint(colors, piece.style, &piece.text)).collect();
    let mut out = std::io::stdout().lock();
    // Whoever reads this may be gone; the session goes on.
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

/// Prints one styled line.
pub fn line(style: Style, text: &str) {
    pieces(colors(), &[Piece::new(style, text), Piece::new(Style::Plain, "\n")]);
}

/// Prints a table with aligned columns.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([head.get(at).map_or(0, |name| name.len())]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let draw = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(Style::Dim, &draw(head.to_vec()));
    for row in rows {
        println!("{}", draw(row.iter().map(String::as_str).collect()));
    }
}
