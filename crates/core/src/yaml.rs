//! Reads what people write: YAML into typed targets; errors name file, line, column, the line itself and the nearest key.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location};

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct YamlError {
    /// The file, as the reader was told.
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: u64,
    /// From 1; 0 where the whole file is meant.
    pub column: u64,
    /// What is wrong, with the way out and the line itself.
    pub message: String,
}

/// Reads a file's text.
///
/// # Errors
///
/// [`YamlError`] at the first thing that does not fit.
pub fn read<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str(text).map_err(|error| explain(text, file, &error))
}

/// Makes the error of a value that is of the right type and still does not fit, at the key that a dotted path leads to.
#[must_use]
pub fn misfit(text: &str, file: &str, path: &str, message: &str) -> YamlError {
    misfit_at(text, file, &path.split('.').collect::<Vec<_>>(), message)
}

/// As [`misfit`], at the key that these lead to: in them, dots are letters.
#[must_use]
pub fn misfit_at(text: &str, file: &str, keys: &[&str], message: &str) -> YamlError {
    let path = keys.join(".");
    let mut found = None;
    let mut from = 0;
    for key in keys {
        let Some(at) = text.get(from..).and_then(|rest| find_key(rest, key)) else { break };
        found = Some(from + at);
        from += at + key.len();
    }
    let before = found.and_then(|at| text.get(..at));
    let line = before.map_or(0, |before| before.matches('\n').count() + 1);
    let column = before.map_or(0, |before| before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    let message = with_line(text, line, format!("{path}: {message}"));
    YamlError { file: file.to_owned(), line: line as u64, column: column as u64, message }
}

/// Where a key stands, quoted or not: no part of another word, and with a colon after it.
fn find_key(text: &str, key: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let stands = |at: &usize| {
        let (before, after) = (text.get(..*at).unwrap_or_default(), text.get(*at + key.len()..).unwrap_or_default());
        !before.ends_with(is_word) && after.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
    };
    text.match_indices(key).map(|(at, _)| at).find(stands)
}

fn with_line(text: &str, line: usize, message: String) -> String {
    let shown = line.checked_sub(1).and_then(|index| text.lines().nth(index)).map(str::trim_end).unwrap_or_default();
    if shown.is_empty() { message } else { format!("{message}\n  {shown}") }
}

fn explain(text: &str, file: &str, error: &Error) -> YamlError {
    let plain = error.without_snippet();
    let message = if let Error::SerdeUnknownField { field, expected, .. } = plain {
        unknown("key", field, expected)
    } else if let Error::SerdeUnknownVariant { variant, expected, .. } = plain {
        unknown("value", variant, expected)
    } else {
        plain.to_string().lines().next().unwrap_or("not understood").to_owned()
    };
    refuse(text, file, error.location(), &message)
}

/// Makes the error of what stands at this place.
pub(crate) fn refuse(text: &str, file: &str, location: Option<Location>, message: &str) -> YamlError {
    let (line, column) = location.map_or((0, 0), |at| (at.line(), at.column()));
    let message = with_line(text, usize::try_from(line).unwrap_or(0), message.to_owned());
    YamlError { file: file.to_owned(), line, column, message }
}

fn unknown(kind: &str, given: &str, expected: &[&str]) -> String {
    match nearest(given, expected.iter().copied()) {
        Some(nearest) => format!("unknown {kind} `{given}`: the nearest is `{nearest}`"),
        None => format!("unknown {kind} `{given}`"),
    }
}

/// Returns the known word that may have been meant: the one that is fewest edits away. None only where none is known.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|word| distance(given, word))
}

/// Returns how many letters were added, dropped, changed or swapped with their neighbour.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            let best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            row.push(if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best });
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
