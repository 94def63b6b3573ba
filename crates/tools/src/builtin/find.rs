//! `glob`: finds files by their names.

use std::path::Path;

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use super::shown::Shown;
use super::walk::{Go, Walk};
use crate::blocking::look;
use crate::path::open::{self, Parents};
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

const SHOWN: usize = 500;

/// Finds files.
pub struct Glob;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// What the names look like: `*` and `?` within a name, `**` over folders, `[a-z]`, `{a,b}`. Without a `/` it speaks of
    /// the last name alone.
    #[schemars(length(min = 1, max = 1_000))]
    pattern: String,
    /// The folder to look in. The working folder if left out.
    #[serde(default)]
    path: Option<String>,
}

impl Tool for Glob {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>("glob", "Finds files by name below a folder. Leaves out `.git`, follows no links.")
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        let Arguments { pattern, path } = shape::read(arguments)?;
        Names::new(&pattern)?;
        let assessment = shape::assess_path("glob", path.as_deref().unwrap_or("."), Effect::Read, place)?;
        Ok(Assessment { summary: format!("{} {pattern}", assessment.summary), ..assessment })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        look(invocation, find)
    }
}

fn find(invocation: &Invocation) -> Result<String, String> {
    let Arguments { pattern, path } = shape::read(&invocation.arguments)?;
    let path = path.as_deref().unwrap_or(".");
    let names = Names::new(&pattern)?;
    let resolved = shape::at_use(invocation, path, Effect::Read)?;
    let folder = open::folder(&resolved.path, Parents::Need).map_err(|why| format!("`{path}`: {why}"))?;
    let mut shown = Shown::new(SHOWN);
    let mut walk = Walk::new(invocation, &resolved.path);
    walk.files(&folder, &mut |_, _, file| {
        if names.match_path(file) { shown.line(&shape::shown(file.as_os_str())) } else { Go::On }
    });
    Ok(shown.told("(no file matches)", "not all: make the pattern narrower", walk.notes()))
}

/// What names look like.
pub(super) struct Names {
    pattern: Regex,
    last_only: bool,
}

impl Names {
    pub fn new(pattern: &str) -> Result<Self, String> {
        let last_only = !pattern.contains('/');
        let pattern = Regex::new(&translate(pattern)).map_err(|_| format!("`{pattern}` is no pattern for names"))?;
        Ok(Self { pattern, last_only })
    }

    pub fn match_path(&self, path: &Path) -> bool {
        let shown = if self.last_only { path.file_name() } else { Some(path.as_os_str()) };
        shown.and_then(|name| name.to_str()).is_some_and(|name| self.pattern.is_match(name))
    }
}

fn translate(pattern: &str) -> String {
    let mut out = String::from("^(?s:");
    let mut rest = pattern.strip_prefix("./").unwrap_or(pattern).chars().peekable();
    let (mut in_set, mut in_choice) = (false, 0_usize);
    while let Some(letter) = rest.next() {
        match letter {
            ']' if in_set => (in_set, _) = (false, out.push(']')),
            '!' if in_set && out.ends_with('[') => out.push('^'),
            '-' if in_set => out.push('-'),
            '[' if !in_set => (in_set, _) = (true, out.push('[')),
            '*' if !in_set && rest.next_if_eq(&'*').is_some() => {
                out.push_str(if rest.next_if_eq(&'/').is_some() { "(?:.*/)?" } else { ".*" });
            }
            '*' if !in_set => out.push_str("[^/]*"),
            '?' if !in_set => out.push_str("[^/]"),
            '{' if !in_set => (in_choice, _) = (in_choice + 1, out.push_str("(?:")),
            '}' if !in_set && in_choice > 0 => (in_choice, _) = (in_choice - 1, out.push(')')),
            ',' if !in_set && in_choice > 0 => out.push('|'),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out + ")$"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, path, expected) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "src/a.rs", true),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/b/a.rs", false),
            ("src/**/*.rs", "src/a.rs", true),
            ("src/**/*.rs", "src/b/c/a.rs", true),
            ("**/x", "x", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("*.{rs,toml}", "x.toml", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a.b", "axb", false),
            ("a+(b)", "a+(b)", true),
        ] {
            assert_eq!(Names::new(pattern).unwrap().match_path(Path::new(path)), expected, "{pattern} {path}");
        }
        assert!(Names::new("[").is_err() && Names::new("{a").is_err());
    }
}
