//! One rule, `tool:pattern`, and what it names.
//!
//! Invariant: a rule that was read never names more than its text says. What cannot be said exactly is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Subject;
use super::shell::{Part, Role, Word, parts};
use super::words::{Program, Words};

/// The tools whose rules name paths.
const FILE_TOOLS: [&str; 6] = ["read", "write", "edit", "list", "glob", "grep"];

/// The tools whose rules name something else.
const OTHER_TOOLS: [&str; 7] = ["bash", "cli", "web", "mcp", "skill", "session", "schedule"];

/// The tools that show what is in files and folders, beside `read`: `edit` tells whether a piece is there.
const SHOWING: [&str; 4] = ["list", "glob", "grep", "edit"];

/// `tool:pattern`.
#[derive(Debug, Clone)]
pub struct Rule {
    tool: String,
    text: String,
    pattern: Pattern,
    place: Option<Place>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as people call it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// The whole path, byte for byte.
    Exact(String),
    /// A folder, and all below it; without a slash at the end (so the root is empty).
    Below(String),
    /// A simple command, or an argument vector.
    Words(Words),
    /// A host, with `*` for any letters, and the port where one is named.
    Host(String, Option<String>),
    /// A name, with `*` for any letters; for `mcp` one on each side of the slash.
    Name(Vec<String>),
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
    /// A pattern for a command that is none.
    #[error("`{rule}`: a rule names one simple command, with `*` for any words: {why}")]
    Words {
        /// What was written.
        rule: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A path that is relative, not clean, or has a `*` elsewhere than in a `/**` at its end.
    #[error("`{0}`: a file rule names one absolute path without `.` or `..`, or all below a folder as `DIR/**`")]
    Path(String),
    /// A host that is none.
    #[error(
        "`{0}`: a rule on `web` names a host, such as `web:example.org`, `web:*.example.org` or `web:example.org:8443`"
    )]
    Host(String),
    /// A name that is none.
    #[error("`{0}`: a rule on `mcp` names `SERVER/TOOL`, each with `*` for any letters, such as `mcp:files/read_*`")]
    Mcp(String),
}

impl PartialEq for Rule {
    /// Where it stands is no part of what it says.
    fn eq(&self, other: &Self) -> bool {
        (&self.tool, &self.pattern) == (&other.tool, &other.pattern)
    }
}

impl Eq for Rule {}

impl Rule {
    /// Returns the rule, with where it stands.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Returns where it stands, if it was read from a file.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether the rule speaks of exactly this call: for rules that allow.
    #[must_use]
    pub fn names(&self, subject: &Subject) -> bool {
        if self.tool != subject.tool {
            return false;
        }
        match &self.pattern {
            Pattern::Words(pattern) => {
                vector(&subject.target).is_some_and(|words| pattern.names(&words, Program::Exact))
            }
            Pattern::Host(host, port) => {
                let (given, at) = host_and_port(&subject.target);
                let usual = at.is_none_or(|at| matches!(at, "80" | "443"));
                is_like(host, &given) && port.as_deref().map_or(usual, |port| at == Some(port))
            }
            Pattern::Exact(_) | Pattern::Below(_) | Pattern::Name(_) => self.covers(&subject.target),
        }
    }

    /// Whether the rule reaches this call: for rules that forbid or ask. It reaches what it names; a program wherever it lies; a
    /// host at any port, where it names none; and what a rule on `read` or `write` names, whichever tool shows or writes it.
    #[must_use]
    pub fn binds(&self, subject: &Subject) -> bool {
        if !self.is_on(&subject.tool) {
            return false;
        }
        match &self.pattern {
            Pattern::Words(pattern) => {
                vector(&subject.target).is_none_or(|words| pattern.names(&words, Program::ByName))
            }
            Pattern::Host(host, port) => {
                let (given, at) = host_and_port(&subject.target);
                is_like(host, &given) && port.as_deref().is_none_or(|port| at == Some(port))
            }
            Pattern::Exact(_) | Pattern::Below(_) | Pattern::Name(_) => self.covers(&subject.target),
        }
    }

    /// Returns its pattern of words, if it is about commands.
    pub(super) fn commands(&self) -> Option<&Words> {
        match &self.pattern {
            Pattern::Words(words) if self.tool == "bash" => Some(words),
            Pattern::Words(_) | Pattern::Exact(_) | Pattern::Below(_) | Pattern::Host(..) | Pattern::Name(_) => None,
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

    /// Whether its pattern names this path, or this name.
    pub(super) fn covers(&self, target: &str) -> bool {
        match &self.pattern {
            Pattern::Exact(whole) => whole == target,
            Pattern::Below(folder) => {
                target.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Pattern::Name(names) => {
                let given: Vec<&str> = target.splitn(names.len(), '/').collect();
                given.len() == names.len() && names.iter().zip(given).all(|(name, given)| is_like(name, given))
            }
            Pattern::Words(_) | Pattern::Host(..) => false,
        }
    }
}

/// Whether rules on this tool name paths.
pub(super) fn names_path(tool: &str) -> bool {
    FILE_TOOLS.contains(&tool)
}

/// Writes an argument vector as the target of a subject, so that rules on its words can be held to it.
#[must_use]
pub fn argument_vector(words: &[&str]) -> String {
    super::shell::line(&words.iter().map(|word| Word::of(word)).collect::<Vec<_>>())
}

/// Reads what [`argument_vector`] wrote.
fn vector(target: &str) -> Option<Vec<Word>> {
    match <[Part; 1]>::try_from(parts(target)) {
        Ok([Part::Program { words, role: Role::Runs | Role::Carries | Role::Steers }]) => Some(words),
        Ok(_) | Err(_) => None,
    }
}

/// Says whether a pattern, with `*` for any letters, names the whole of this.
#[must_use]
pub fn is_like(pattern: &str, given: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| given.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Parts `HOST:PORT`; hosts are the same in small and capital letters, and with a dot at the end.
fn host_and_port(target: &str) -> (String, Option<&str>) {
    let digits = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let parted = target
        .rsplit_once(':')
        .filter(|(host, port)| digits(port) && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']'))));
    let (host, port) = parted.map_or((target, None), |(host, port)| (host, Some(port)));
    (host.trim_end_matches('.').to_ascii_lowercase(), port)
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
        let pattern = match tool {
            "bash" | "cli" => {
                Pattern::Words(Words::read(pattern).map_err(|why| RuleError::Words { rule: text.to_owned(), why })?)
            }
            "web" => host_pattern(text, pattern)?,
            "mcp" => {
                let (server, name) = pattern.split_once('/').ok_or_else(|| RuleError::Mcp(text.to_owned()))?;
                Pattern::Name(vec![server.to_owned(), name.to_owned()])
            }
            "skill" | "session" | "schedule" => Pattern::Name(vec![pattern.to_owned()]),
            _ => path_pattern(text, pattern)?,
        };
        Ok(Self { tool: tool.to_owned(), text: text.to_owned(), pattern, place: None })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

fn host_pattern(text: &str, pattern: &str) -> Result<Pattern, RuleError> {
    let (host, port) = host_and_port(pattern);
    let plain = |c: char| c.is_alphanumeric() || "-_.*:[]".contains(c);
    if host.is_empty() || !host.chars().all(plain) || pattern.contains("//") {
        return Err(RuleError::Host(text.to_owned()));
    }
    Ok(Pattern::Host(host, port.map(str::to_owned)))
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
    let known = || FILE_TOOLS.into_iter().chain(OTHER_TOOLS);
    if known().any(|tool| tool == given) {
        return None;
    }
    let names = known().collect::<Vec<_>>().join("`, `");
    let nearest = known().find(|tool| crate::yaml::distance(given, tool) <= 1);
    Some(nearest.map_or_else(|| format!("it is one of `{names}`"), |nearest| format!("did you mean `{nearest}`?")))
}
