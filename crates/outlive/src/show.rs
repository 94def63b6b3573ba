//! What commands print: text for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use outlive_core::cost::Usd;
use outlive_tui::{Colors, Piece, Style, paint};
use serde::Serialize;

use crate::exit::Failure;

/// Prints a line, as `println!` does.
macro_rules! say {
    ($($words:tt)*) => { $crate::show::out(&format!("{}\n", format_args!($($words)*))) };
}

/// Prints text. When nobody reads it any more, as in `outlive session list | head`, the program ends, quietly.
pub fn out(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints JSON, pretty.
///
/// # Errors
///
/// It cannot be JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Returns what a stranger wrote, on lines of its own or not, such that it drives no terminal and hides nothing.
pub fn seen(text: &str) -> String {
    outlive_tui::visible(text)
}

/// Returns what a stranger wrote, on one line.
pub fn label(text: &str) -> String {
    outlive_tui::label(text)
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

/// Shows what was paid, of which this many steps are not priced.
pub fn cost(dollars: Option<f64>, unpriced_steps: u64) -> String {
    let at_least = if unpriced_steps > 0 { "at least " } else { "" };
    let shown = |dollars: f64| format!("{at_least}{}", Usd((dollars * 1e9).round() as u64));
    dollars.map_or_else(|| "cost unknown".to_owned(), shown)
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
        say!("{}", draw(row.iter().map(String::as_str).collect()));
    }
}

/// A text of others, without what a terminal would obey.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
