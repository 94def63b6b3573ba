//! Reads `policy.yaml`: what it does not know it refuses, with the place and the nearest key.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Error, Location, Spanned};

use super::{Mode, Policy, Rule, nearest};

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// The file, as the reader was told.
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: u64,
    /// From 1; 0 where the whole file is meant.
    pub column: u64,
    /// What is wrong, with the way out and the line itself.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    mode: Option<Mode>,
    deny: Vec<Spanned<String>>,
    ask: Vec<Spanned<String>>,
    allow: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(default, rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(default)]
    spec: Rules,
}

pub(super) fn parse(text: &str, file: &str) -> Result<Policy, PolicyError> {
    let source = Source { text, file };
    // A file of nothing but comments is a policy without rules.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Policy::default());
    }
    let is_wrapped = text.lines().any(|line| line.starts_with("spec:") || line.starts_with("apiVersion:"));
    let rules = if is_wrapped {
        serde_saphyr::from_str::<Wrapped>(text).map(|file| file.spec)
    } else {
        serde_saphyr::from_str::<Rules>(text)
    };
    let rules = rules.map_err(|error| source.refuse_yaml(&error))?;
    let read = |list: Vec<Spanned<String>>| -> Result<Vec<Rule>, PolicyError> {
        list.iter().map(|rule| source.rule(rule)).collect()
    };
    Ok(Policy {
        mode: rules.mode,
        deny: read(rules.deny)?,
        ask: read(rules.ask)?,
        allow: read(rules.allow)?,
        unreadable: None,
    })
}

struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn rule(&self, rule: &Spanned<String>) -> Result<Rule, PolicyError> {
        rule.value.parse().map_err(|error: super::RuleError| self.refuse(Some(rule.referenced), &error.to_string()))
    }

    fn refuse_yaml(&self, error: &Error) -> PolicyError {
        let location = error.location();
        let plain = error.without_snippet();
        if let Error::SerdeUnknownField { field, expected, .. } = plain {
            return self.refuse(location, &unknown("key", field, expected));
        }
        if let Error::SerdeUnknownVariant { variant, expected, .. } = plain {
            return self.refuse(location, &unknown("mode", variant, expected));
        }
        let said = plain.to_string();
        self.refuse(location, said.lines().next().unwrap_or("not a policy"))
    }

    fn refuse(&self, location: Option<Location>, message: &str) -> PolicyError {
        let (line, column) = location.map_or((0, 0), |at| (at.line(), at.column()));
        let index = usize::try_from(line).ok().and_then(|line| line.checked_sub(1));
        let shown = index.and_then(|index| self.text.lines().nth(index)).map(str::trim_end).unwrap_or_default();
        let message = if shown.is_empty() { message.to_owned() } else { format!("{message}\n  {shown}") };
        PolicyError { file: self.file.to_owned(), line, column, message }
    }
}

fn unknown(kind: &str, given: &str, expected: &[&str]) -> String {
    match nearest(given, expected.iter().copied()) {
        Some(nearest) => format!("unknown {kind} `{given}`: the nearest is `{nearest}`"),
        None => format!("unknown {kind} `{given}`"),
    }
}
