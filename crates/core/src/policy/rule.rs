//! One rule, `tool:pattern`, and what it names.
//!
//! Invariant: a rule that was read never names more than its text says. What cannot be said exactly is refused.

use std::fmt;
use std::str::FromStr;

use super::Subject;
use super::blanks::collapse;

/// The tools whose rules name paths.
const FILE_TOOLS: [&str; 6] = ["read", "write", "edit", "list", "glob", "grep"];

/// The tools that show what is in files and folders, beside `read`: `edit` tells whether a piece is there.
const SHOWING: [&str; 4] = ["list", "glob", "grep", "edit"];

/// `tool:pattern`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    tool: String,
    pattern: Pattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// The whole target, byte for byte.
    Exact(String),
    /// A folder, and all below it; without a slash at the end (so the root is empty).
    Below(String),
}

/// A rule that cannot be held to exactly what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No `tool:` in front.
    #[error("`{0}` is no rule: write `tool:pattern`, such as `bash:git status` or `write:/srv/site/**`")]
    Shape(String),
    /// No tool has such rules: the rule would never hold.
    #[error("no tool has rules as `{given}:…`: {way_out}")]
    Tool {
        /// What was written.
        given: String,
        /// What to write.
        way_out: String,
    },
    /// A pattern for a command.
    #[error(
        "`{0}`: a rule with `*` needs shell-aware patterns, which come with the full policy in the next release; until then name one whole command line, byte for byte"
    )]
    ShellPattern(String),
    /// A path that is relative, not clean, or has a `*` elsewhere than in a `/**` at its end.
    #[error("`{0}`: a file rule names one absolute path without `.` or `..`, or all below a folder as `DIR/**`")]
    Path(String),
}

impl Rule {
    /// Whether the rule speaks of exactly this call: for rules that allow.
    #[must_use]
    pub fn names(&self, subject: &Subject) -> bool {
        self.tool == subject.tool && self.pattern.matches(&subject.target)
    }

    /// Whether the rule reaches this call: for rules that forbid or ask. It reaches what it names; a command that is written
    /// with other blanks; and what a rule on `read` or `write` names, whichever tool shows or writes it.
    #[must_use]
    pub fn binds(&self, subject: &Subject) -> bool {
        match &self.pattern {
            Pattern::Exact(line) if self.tool == "bash" => {
                subject.tool == "bash" && collapse(line) == collapse(&subject.target)
            }
            Pattern::Exact(_) | Pattern::Below(_) => self.is_on(&subject.tool) && self.covers(&subject.target),
        }
    }

    /// Whether it is about this tool, or about `read` where this tool shows what is read, or about `write` where it writes.
    pub(super) fn is_on(&self, tool: &str) -> bool {
        match self.tool.as_str() {
            "read" => tool == "read" || SHOWING.contains(&tool),
            "write" => tool == "write" || tool == "edit",
            own => own == tool,
        }
    }

    /// Whether its pattern names this path.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.pattern.matches(path)
    }
}

/// Whether rules on this tool name paths.
pub(super) fn names_path(tool: &str) -> bool {
    FILE_TOOLS.contains(&tool)
}

impl Pattern {
    fn matches(&self, target: &str) -> bool {
        match self {
            Self::Exact(whole) => whole == target,
            Self::Below(folder) => {
                target.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let shape = || RuleError::Shape(text.to_owned());
        let (tool, pattern) = text.split_once(':').ok_or_else(shape)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if tool.is_empty() || !tool.chars().all(plain) || pattern.trim().is_empty() {
            return Err(shape());
        }
        if let Some(way_out) = no_tool(tool) {
            return Err(RuleError::Tool { given: tool.to_owned(), way_out });
        }
        let pattern = match names_path(tool) {
            true => path_pattern(text, pattern)?,
            false if pattern.contains('*') => return Err(RuleError::ShellPattern(text.to_owned())),
            false => Pattern::Exact(pattern.to_owned()),
        };
        Ok(Self { tool: tool.to_owned(), pattern })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pattern {
            Pattern::Exact(whole) => write!(f, "{}:{whole}", self.tool),
            Pattern::Below(folder) => write!(f, "{}:{folder}/**", self.tool),
        }
    }
}

fn path_pattern(text: &str, pattern: &str) -> Result<Pattern, RuleError> {
    let folder = pattern.strip_suffix("/**");
    let path = folder.unwrap_or(pattern);
    let rooted = path.starts_with('/') || (folder.is_some() && path.is_empty());
    let clean = path == "/" || path.split('/').skip(1).all(|name| !matches!(name, "" | "." | ".."));
    if !rooted || !clean || path.contains('*') {
        return Err(RuleError::Path(text.to_owned()));
    }
    Ok(folder.map_or_else(|| Pattern::Exact(path.to_owned()), |folder| Pattern::Below(folder.to_owned())))
}

/// Says what to write where no tool is called so: a slip in a deny rule must not leave it without effect.
fn no_tool(given: &str) -> Option<String> {
    let known = || FILE_TOOLS.into_iter().chain(["bash"]);
    if known().any(|tool| tool == given) {
        return None;
    }
    let names = known().collect::<Vec<_>>().join("`, `");
    let nearest = known().find(|tool| crate::yaml::distance(given, tool) <= 1);
    Some(nearest.map_or_else(|| format!("it is one of `{names}`"), |nearest| format!("did you mean `{nearest}`?")))
}
