//! What an agent's author puts before and behind its calls.
//!
//! Pure, but for programs: those are run by the shell. Whether a call may be made is read off the conversation, so it is the
//! same after a restart.
//!
//! Invariant: a hook only narrows. It is asked about calls that the policy did not deny, and it can deny them or say something
//! beside them; nothing that it says lets a call run.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::agent::Skill;
use crate::context::Did;

/// An agent's hooks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hooks {
    /// Before a call, in order; the first that denies counts.
    pub before: Vec<(On, Before)>,
    /// Behind it, in order.
    pub after: Vec<(On, After)>,
}

/// Which calls a hook is for: `bash`, `cli_*`, `*`; with `:ACTION` only those whose argument `action` is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct On {
    tool: String,
    action: Option<String>,
}

/// What is looked at before a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Before {
    /// Another call must have gone well before.
    DependsOn {
        /// Which.
        prior: On,
        /// An argument that both must have the same.
        same: Option<String>,
        /// How far back.
        within: Within,
    },
    /// The same call must not have been made before, unless it failed.
    SkipDuplicate {
        /// The arguments that make it the same; all of them where none is named.
        same: Vec<String>,
        /// How far back.
        within: Within,
    },
    /// Arguments must not look so.
    Guard {
        /// Which argument; every text within all of them where none is named.
        argument: Option<String>,
        /// What they must not hold.
        pattern: Shape,
        /// Why.
        reason: String,
    },
    /// A program decides.
    Program(Program),
}

/// What is done behind a call.
#[derive(Debug, Clone, PartialEq)]
pub enum After {
    /// A text goes with the result of a call that went well.
    Text {
        /// Which.
        message: String,
        /// Not where one of these arguments is so.
        unless: BTreeMap<String, Value>,
    },
    /// A program adds to the result.
    Program(Program),
}

/// How far back is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// In this turn.
    Turn,
    /// In this session.
    Session,
}

/// A program that is given the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// It and its arguments: never empty.
    pub words: Vec<String>,
    /// Milliseconds that it may take.
    pub limit_ms: u64,
}

/// What arguments must not hold.
#[derive(Debug, Clone)]
pub struct Shape(Regex);

impl Shape {
    /// Reads a regular expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map(Self).map_err(|error| error.to_string())
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl std::str::FromStr for On {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tool, action) = text.split_once(':').map_or((text, None), |(tool, action)| (tool, Some(action)));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*');
        if tool.is_empty() || !tool.chars().all(plain) || action.is_some_and(str::is_empty) {
            return Err(format!("`{text}` names no call: write a tool (`bash`, `cli_*`, `*`), or `TOOL:ACTION`"));
        }
        let action = action.filter(|action| *action != "*").map(str::to_owned);
        Ok(Self { tool: tool.to_owned(), action })
    }
}

impl std::fmt::Display for On {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.tool)?;
        self.action.as_ref().map_or(Ok(()), |action| write!(f, ":{action}"))
    }
}

impl On {
    /// Whether it is for this call.
    #[must_use]
    pub fn names(&self, tool: &str, input: &Value) -> bool {
        let acts =
            self.action.as_deref().is_none_or(|action| input.get("action").and_then(Value::as_str) == Some(action));
        acts && is_like(&self.tool, tool)
    }
}

/// Whether a name is like a pattern, in which `*` stands for any letters.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut pieces: Vec<&str> = pattern.split('*').collect();
    let Some(mut rest) = name.strip_prefix(pieces.remove(0)) else { return false };
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A call that is about to be ruled on, and those before it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The tool.
    pub tool: &'a str,
    /// What it is given.
    pub input: &'a Value,
    /// What was called before.
    pub past: &'a [Did<'a>],
}

impl Hooks {
    /// Whether anything depends on what was called before.
    #[must_use]
    pub fn look_back(&self) -> bool {
        let looks = |before: &Before| match before {
            Before::DependsOn { .. } | Before::SkipDuplicate { .. } => true,
            Before::Guard { .. } | Before::Program(_) => false,
        };
        self.before.iter().any(|(_, before)| looks(before))
    }

    /// Says why this call may not be made, and which hook says so.
    #[must_use]
    pub fn refuse(&self, about: &About<'_>) -> Option<(String, String)> {
        let mut named = self.before.iter().filter(|(on, _)| on.names(about.tool, about.input));
        named.find_map(|(on, before)| Some((format!("hook: {} on {on}", before.name()), before.refuse(about)?)))
    }

    /// Returns the programs to ask before this call.
    pub fn programs_before(&self, tool: &str, input: &Value) -> impl Iterator<Item = &Program> {
        self.before.iter().filter(move |(on, _)| on.names(tool, input)).filter_map(|(_, before)| match before {
            Before::Program(program) => Some(program),
            Before::DependsOn { .. } | Before::SkipDuplicate { .. } | Before::Guard { .. } => None,
        })
    }

    /// Returns what is done behind this call.
    pub fn behind(&self, tool: &str, input: &Value) -> impl Iterator<Item = &After> {
        self.after.iter().filter(move |(on, _)| on.names(tool, input)).map(|(_, after)| after)
    }
}

impl Before {
    fn name(&self) -> &'static str {
        match self {
            Self::DependsOn { .. } => "depends_on",
            Self::SkipDuplicate { .. } => "skip_duplicate",
            Self::Guard { .. } => "guard",
            Self::Program(_) => "program",
        }
    }

    fn refuse(&self, about: &About<'_>) -> Option<String> {
        let reaches = |did: &Did<'_>, within: Within| within == Within::Session || did.this_turn;
        match self {
            Self::DependsOn { prior, same, within } => {
                let equal = |did: &Did<'_>| same.as_ref().is_none_or(|key| did.input.get(key) == about.input.get(key));
                let met = about.past.iter().any(|did| {
                    did.went_well == Some(true)
                        && reaches(did, *within)
                        && prior.names(did.tool, did.input)
                        && equal(did)
                });
                let with = same.as_ref().map(|key| format!(", with the same `{key}`")).unwrap_or_default();
                (!met).then(|| {
                    format!("this call needs one to `{prior}` that went well before it{with}: make that first")
                })
            }
            Self::SkipDuplicate { same, within } => {
                let equal = |did: &Did<'_>| match same.is_empty() {
                    true => did.input == about.input,
                    false => same.iter().all(|key| did.input.get(key) == about.input.get(key)),
                };
                let done = |did: &&Did<'_>| {
                    did.tool == about.tool && did.went_well != Some(false) && reaches(did, *within) && equal(did)
                };
                let place = if *within == Within::Turn { "turn" } else { "session" };
                let said = "was made before, and its result is above: it is not made again";
                about.past.iter().find(done).map(|_| format!("the same call {said} in this {place}"))
            }
            Self::Guard { argument, pattern, reason } => {
                let value = argument.as_ref().map_or(Some(about.input), |key| about.input.get(key));
                value.is_some_and(|value| holds(value, pattern)).then(|| reason.clone())
            }
            Self::Program(_) => None,
        }
    }
}

/// Whether a text within a value, or a number, looks so.
fn holds(value: &Value, pattern: &Shape) -> bool {
    match value {
        Value::String(text) => pattern.0.is_match(text),
        Value::Array(values) => values.iter().any(|value| holds(value, pattern)),
        Value::Object(values) => values.values().any(|value| holds(value, pattern)),
        Value::Number(number) => pattern.0.is_match(&number.to_string()),
        Value::Bool(_) | Value::Null => false,
    }
}

/// The tool that takes up a skill.
pub const SKILL: &str = "skill";

/// Says which skill that was taken up in this turn does not allow this call. What touches nothing but the session is never
/// asked about.
#[must_use]
pub fn outside_skill<'a>(skills: &'a [Skill], about: &About<'_>) -> Option<&'a Skill> {
    let free = [SKILL, crate::session::ASK_USER, crate::session::LIST_TOOL];
    if free.contains(&about.tool) {
        return None;
    }
    let taken = about.past.iter().filter(|did| did.this_turn && did.tool == SKILL && did.went_well == Some(true));
    let mut taken = taken.filter_map(|did| did.input.get("name").and_then(Value::as_str));
    taken.find_map(|name| skills.iter().find(|skill| skill.name == name && !skill.allows(about.tool)))
}

#[cfg(test)]
mod tests;
