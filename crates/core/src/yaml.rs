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
    let index = usize::try_from(line).ok().and_then(|line| line.checked_sub(1));
    let shown = index.and_then(|index| text.lines().nth(index)).map(str::trim_end).unwrap_or_default();
    let message = if shown.is_empty() { message } else { format!("{message}\n  {shown}") };
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
