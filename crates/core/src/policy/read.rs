//! Reads `policy.yaml`: what it does not know it refuses, with the place and the nearest key.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::{Grant, Mode, Notify, Place, Policy, Rule, Unattended};
use crate::yaml::{self, YamlError};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    mode: Option<Mode>,
    deny: Vec<Spanned<String>>,
    ask: Vec<Spanned<String>>,
    allow: Vec<Spanned<String>>,
    grants: Vec<Spanned<String>>,
    notify: Vec<Told>,
    unattended: Option<Unattended>,
}

/// An entry of `notify`: a rule, or a rule with where to tell it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Log(Spanned<String>),
    Webhook(Webhook),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    rule: Spanned<String>,
    webhook: Spanned<String>,
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
    let place = |at: &Spanned<String>| Place { file: file.into(), line: at.referenced.line() };
    let rule = |rule: &Spanned<String>| -> Result<Rule, YamlError> {
        let parsed = rule.value.parse::<Rule>().map(|parsed| parsed.at(place(rule)));
        parsed.map_err(|error| yaml::refuse(text, file, Some(rule.referenced), &error.to_string()))
    };
    let read = |list: Vec<Spanned<String>>| -> Result<Vec<Rule>, YamlError> { list.iter().map(rule).collect() };
    let told = |told: &Told| match told {
        Told::Log(said) => Ok(Notify { rule: rule(said)?, webhook: None }),
        Told::Webhook(hook) if !is_address(&hook.webhook.value) => {
            let why = "a webhook is an address such as https://example.org/hook";
            Err(yaml::refuse(text, file, Some(hook.webhook.referenced), why))
        }
        Told::Webhook(hook) => Ok(Notify { rule: rule(&hook.rule)?, webhook: Some(hook.webhook.value.clone()) }),
    };
    Ok(Policy {
        mode: rules.mode,
        deny: read(rules.deny)?,
        ask: read(rules.ask)?,
        allow: read(rules.allow)?,
        grants: rules.grants.iter().map(|said| Grant { rule: said.value.clone(), place: place(said) }).collect(),
        notify: rules.notify.iter().map(told).collect::<Result<_, _>>()?,
        unattended: rules.unattended,
        unreadable: None,
    })
}

fn is_address(text: &str) -> bool {
    ["http://", "https://"].iter().any(|begin| text.strip_prefix(begin).is_some_and(|rest| !rest.is_empty()))
}
