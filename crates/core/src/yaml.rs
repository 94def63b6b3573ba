//! Reads what people write: YAML into typed targets; errors name file, line, column, the line itself and the nearest key.

use serde::de::DeserializeOwned;
use serde_saphyr::Error;

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
    let mut found = None;
    let mut from = 0;
    for key in path.split('.') {
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
    let location = error.location();
    let (line, column) = location.map_or((0, 0), |at| (at.line(), at.column()));
    let plain = error.without_snippet();
    let message = if let Error::SerdeUnknownField { field, expected, .. } = plain {
        unknown("key", field, expected)
    } else if let Error::SerdeUnknownVariant { variant, expected, .. } = plain {
        unknown("value", variant, expected)
    } else {
        plain.to_string().lines().next().unwrap_or("not understood").to_owned()
    };
    let message = with_line(text, usize::try_from(line).unwrap_or(0), message);
    YamlError { file: file.to_owned(), line, column, message }
}

fn unknown(kind: &str, given: &str, expected: &[&str]) -> String {
    match nearest(given, expected.iter().copied()) {
        Some(nearest) => format!("unknown {kind} `{given}`: the nearest is `{nearest}`"),
        None => format!("unknown {kind} `{given}`: expected one of {}", expected.join(", ")),
    }
}

/// Returns the candidate that is fewest edits away from a word, if it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    crate::policy::nearest(word, candidates)
}
