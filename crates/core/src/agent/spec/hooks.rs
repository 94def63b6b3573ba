//! `hooks` of an agent, as agent.yaml says them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::hooks::{After, Before, Hooks, On, Program, Shape, Within};
use crate::time::milliseconds;

/// The hooks of an agent. What Duragent calls `before_tool` looks back over the session.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::agent) struct HooksSpec {
    before: Vec<Entry>,
    after: Vec<Entry>,
    before_tool: Vec<Entry>,
    after_tool: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "match")]
    on: String,
    #[serde(default, rename = "type")]
    kind: Option<Kind>,
    #[serde(default)]
    prior: Option<String>,
    #[serde(default)]
    match_arg: Option<String>,
    #[serde(default)]
    match_args: Vec<String>,
    #[serde(default)]
    within: Option<Reach>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    unless: BTreeMap<String, Value>,
    #[serde(default)]
    program: Vec<String>,
    #[serde(default)]
    timeout: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    DependsOn,
    SkipDuplicate,
    Guard,
    Text,
    Program,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Turn,
    Session,
}

/// Time of a program that does not say how long it takes, and the longest.
const USUAL_MS: u64 = 10_000;
const LONGEST_MS: u64 = 120_000;
/// Bytes of a text that goes with a result.
const MESSAGE: usize = 4_096;

impl HooksSpec {
    /// Returns the hooks.
    ///
    /// # Errors
    ///
    /// The key of the first that is none, and why.
    pub(in crate::agent) fn hooks(&self) -> Result<Hooks, (String, String)> {
        let mut hooks = Hooks::default();
        for (key, entries, usual) in
            [("before", &self.before, None), ("before_tool", &self.before_tool, Some(Within::Session))]
        {
            for entry in entries {
                let read = entry.on().and_then(|on| Ok((on, entry.before(usual)?)));
                hooks.before.push(read.map_err(|why| (format!("spec.hooks.{key}"), why))?);
            }
        }
        for (key, entries) in [("after", &self.after), ("after_tool", &self.after_tool)] {
            for entry in entries {
                let read = entry.on().and_then(|on| Ok((on, entry.after()?)));
                hooks.after.push(read.map_err(|why| (format!("spec.hooks.{key}"), why))?);
            }
        }
        Ok(hooks)
    }
}

impl Entry {
    fn on(&self) -> Result<On, String> {
        self.on.parse()
    }

    fn before(&self, usual: Option<Within>) -> Result<Before, String> {
        let within = |otherwise| match self.within {
            Some(Reach::Turn) => Within::Turn,
            Some(Reach::Session) => Within::Session,
            None => usual.unwrap_or(otherwise),
        };
        match self.kind {
            Some(Kind::DependsOn) => {
                let prior = self.prior.as_deref().ok_or("`depends_on` names the call that it needs as `prior`")?;
                Ok(Before::DependsOn {
                    prior: prior.parse()?,
                    same: self.match_arg.clone(),
                    within: within(Within::Session),
                })
            }
            Some(Kind::SkipDuplicate) => {
                Ok(Before::SkipDuplicate { same: self.match_args.clone(), within: within(Within::Turn) })
            }
            Some(Kind::Guard) => {
                let pattern = self.pattern.as_deref().ok_or("`guard` has a regular expression as `pattern`")?;
                let reason = match &self.message {
                    Some(message) => text(message)?,
                    None => format!("the arguments hold what `{pattern}` forbids"),
                };
                let pattern =
                    Shape::new(pattern).map_err(|why| format!("`{pattern}` is no regular expression: {why}"))?;
                Ok(Before::Guard { argument: self.match_arg.clone(), pattern, reason })
            }
            Some(Kind::Program) => self.program().map(Before::Program),
            Some(Kind::Text) | None => {
                Err("before a call a hook is a `depends_on`, `skip_duplicate`, `guard` or `program`".to_owned())
            }
        }
    }

    fn after(&self) -> Result<After, String> {
        match self.kind {
            Some(Kind::Program) => self.program().map(After::Program),
            Some(Kind::Text) | None => {
                let message = self.message.as_deref().ok_or("a `text` has a `message`")?;
                Ok(After::Text { message: text(message)?, unless: self.unless.clone() })
            }
            Some(Kind::DependsOn | Kind::SkipDuplicate | Kind::Guard) => {
                Err("behind a call a hook is a `text` or a `program`".to_owned())
            }
        }
    }

    fn program(&self) -> Result<Program, String> {
        if self.program.first().is_none_or(String::is_empty) {
            return Err("a `program` is a list: the program, then its arguments".to_owned());
        }
        let limit_ms = match &self.timeout {
            None => USUAL_MS,
            Some(time) => milliseconds(time)
                .filter(|ms| *ms <= LONGEST_MS)
                .ok_or_else(|| format!("`{time}` is not a time such as 10s, 1m, of 2m at most"))?,
        };
        Ok(Program { words: self.program.clone(), limit_ms })
    }
}

fn text(message: &str) -> Result<String, String> {
    match message.len() <= MESSAGE {
        true => Ok(message.to_owned()),
        false => Err(format!("a `message` is at most {MESSAGE} bytes long")),
    }
}
