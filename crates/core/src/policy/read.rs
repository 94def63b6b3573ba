//! Reads `policy.yaml`: what it does not know it refuses, with the place and the nearest key.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::{Mode, Place, Policy, Rule};
use crate::yaml::{self, YamlError};

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
    api_version: Option<Spanned<String>>,
    #[serde(default)]
    kind: Option<Spanned<String>>,
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(default)]
    spec: Rules,
}

fn unwrapped(text: &str, file: &str) -> Result<Rules, YamlError> {
    let wrapped: Wrapped = yaml::read(text, file)?;
    let fits = |said: Option<&Spanned<String>>, known: &[&str]| match said {
        Some(said) if !known.contains(&said.value.as_str()) => {
            let why = format!("`{}` is not `{}`", said.value, known.join("` or `"));
            Err(yaml::refuse(text, file, Some(said.referenced), &why))
        }
        Some(_) | None => Ok(()),
    };
    fits(wrapped.api_version.as_ref(), &crate::agent::VERSIONS)?;
    fits(wrapped.kind.as_ref(), &["Policy"])?;
    Ok(wrapped.spec)
}

pub(super) fn parse(text: &str, file: &str) -> Result<Policy, YamlError> {
    // A file of nothing but comments is a policy without rules.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Policy::default());
    }
    let is_wrapped = text.lines().any(|line| line.starts_with("spec:") || line.starts_with("apiVersion:"));
    let rules = if is_wrapped { unwrapped(text, file)? } else { yaml::read::<Rules>(text, file)? };
    let rule = |rule: &Spanned<String>| -> Result<Rule, YamlError> {
        let parsed = rule.value.parse();
        let place = || Place { file: file.into(), line: rule.referenced.line() };
        parsed
            .map(|parsed: Rule| parsed.at(place()))
            .map_err(|error: super::RuleError| yaml::refuse(text, file, Some(rule.referenced), &error.to_string()))
    };
    let read = |list: Vec<Spanned<String>>| -> Result<Vec<Rule>, YamlError> { list.iter().map(rule).collect() };
    Ok(Policy {
        mode: rules.mode,
        deny: read(rules.deny)?,
        ask: read(rules.ask)?,
        allow: read(rules.allow)?,
        unreadable: None,
    })
}
