//! `grep`: finds lines in files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use outlive_core::policy::Reach;
use regex::{Regex, RegexBuilder};
use rustix::fs::Stat;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::find::Names;
use super::shape;
use super::shown::Shown;
use super::walk::{Go, Time, Walk};
use crate::blocking::look;
use crate::path::open::{self, Parents};
use crate::path::{Want, reach};
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

const LINES: usize = 200;
const LINE_CHARS: usize = 300;
/// Bytes of the largest file that is searched.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes of a line that are searched: with [`REGEX_BYTES`] the longest work between two looks at the clock.
const LINE_BYTES: usize = 64 << 10;
/// Bytes of the largest compiled expression.
const REGEX_BYTES: usize = 1 << 20;

/// Finds lines.
pub struct Grep;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// A regular expression, for each line.
    #[schemars(length(min = 1, max = 1_000))]
    pattern: String,
    /// The file or folder to look in. The working folder if left out.
    #[serde(default)]
    path: Option<String>,
    /// Only files of such names, as for `glob`.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    glob: Option<String>,
    /// Whether upper and lower case differ. They do if left out.
    #[serde(default)]
    case: Option<Case>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Case {
    /// They differ.
    Sensitive,
    /// They are the same.
    Ignore,
}

impl Arguments {
    fn regex(&self) -> Result<Regex, String> {
        let mut builder = RegexBuilder::new(&self.pattern);
        builder.case_insensitive(self.case == Some(Case::Ignore)).size_limit(REGEX_BYTES);
        builder.build().map_err(|error| format!("`{}` is no regular expression: {error}", self.pattern))
    }

    fn names(&self) -> Result<Option<Names>, String> {
        self.glob.as_deref().map(Names::new).transpose()
    }

    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(".")
    }
}

impl Tool for Grep {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            "grep",
            "Finds lines that match a regular expression in the text files below a folder. Leaves out `.git`.",
        )
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        let arguments: Arguments = shape::read(arguments)?;
        arguments.regex()?;
        arguments.names()?;
        let assessment = shape::assess_path("grep", arguments.path(), Effect::Read, place)?;
        Ok(Assessment { summary: format!("{} {}", assessment.summary, arguments.pattern), ..assessment })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        look(invocation, search)
    }
}

fn search(invocation: &Invocation) -> Result<String, String> {
    let arguments: Arguments = shape::read(&invocation.arguments)?;
    let (regex, names, path) = (arguments.regex()?, arguments.names()?, arguments.path());
    let resolved = shape::at_use(invocation, path, Effect::Read)?;
    let mut matches = Matches { regex, shown: Shown::new(LINES), skipped: 0, time: Time::of(invocation) };
    let notes = match open::folder(&resolved.path, Parents::Need) {
        Ok(folder) => {
            let mut walk = Walk::new(invocation, &resolved.path);
            walk.files(&folder, &mut |folder, entry, file| {
                let real = resolved.path.join(file);
                let is_forbidden = reach(&invocation.place, &real, Want::Read) == Reach::Forbidden;
                if is_forbidden || names.as_ref().is_some_and(|names| !names.match_path(file)) {
                    return Go::On;
                }
                let text = open::file_at(folder, &entry.name).and_then(|(file, found)| text(file, &found));
                match text {
                    Ok(text) => matches.file(&text, file),
                    Err(_why) => matches.skip(),
                }
            });
            walk.notes()
        }
        Err(_no_folder) => {
            let text = open::file(&resolved.path).and_then(|(file, found)| text(file, &found));
            let text = text.map_err(|why| format!("`{path}`: {why}"))?;
            matches.file(&text, Path::new(resolved.path.file_name().unwrap_or_default()));
            Vec::new()
        }
    };
    Ok(matches.told(notes))
}

struct Matches {
    regex: Regex,
    shown: Shown,
    skipped: usize,
    time: Time,
}

impl Matches {
    fn skip(&mut self) -> Go {
        self.skipped += 1;
        Go::On
    }

    fn file(&mut self, text: &str, path: &Path) -> Go {
        let shown = shape::shown(path.as_os_str());
        for (index, line) in text.lines().enumerate() {
            if self.time.is_up().is_some() {
                return Go::Enough;
            }
            let line = &line[..line.floor_char_boundary(LINE_BYTES)];
            if !self.regex.is_match(line) {
                continue;
            }
            let cut: String =
                line.chars().take(LINE_CHARS).map(|c| if c.is_control() && c != '\t' { '�' } else { c }).collect();
            if self.shown.line(&format!("{shown}:{}:{cut}", index + 1)) == Go::Enough {
                return Go::Enough;
            }
        }
        Go::On
    }

    fn told(self, mut notes: Vec<String>) -> String {
        if let Some(why) = self.time.is_up() {
            notes.insert(0, format!("not all: {why}"));
            notes.dedup();
        }
        if self.skipped > 0 {
            notes.push(format!(
                "{} files are binary, larger than {FILE_BYTES} bytes, have several names (hard links) or cannot be read, \
                 and were not searched",
                self.skipped
            ));
        }
        self.shown.told("(no line matches)", "not all: make the pattern narrower", notes)
    }
}

fn text(file: File, found: &Stat) -> Result<String, String> {
    if u64::try_from(found.st_size).unwrap_or(u64::MAX) > FILE_BYTES {
        return Err(format!("it is larger than {FILE_BYTES} bytes: use `bash` with `grep`"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.contains(&0) {
        return Err("it is no text: use `bash` with `grep -a`".to_owned());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
