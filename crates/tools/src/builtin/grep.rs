//! `grep`: finds lines in files.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use regex::{Regex, RegexBuilder};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::find::Names;
use super::shape;
use super::walk::{Entry, Go, Walk};
use crate::blocking::off_thread;
use crate::path::open::{self, Parents};
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

const LINES: usize = 200;
const LINE_CHARS: usize = 300;
const SHOWN_BYTES: usize = 30 << 10;
const FILE_BYTES: u64 = 4 << 20;

/// Finds lines.
pub struct Grep;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// A regular expression, for each line.
    #[schemars(length(min = 1))]
    pattern: String,
    /// The file or folder to look in. The working folder if left out.
    #[serde(default)]
    path: Option<String>,
    /// Only files of such names, as for `glob`.
    #[serde(default)]
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
        builder.case_insensitive(self.case == Some(Case::Ignore)).size_limit(4 << 20);
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
        Box::pin(off_thread(move || search(&invocation).map_or_else(Finished::error, Finished::ok)))
    }
}

fn search(invocation: &Invocation) -> Result<String, String> {
    let arguments: Arguments = shape::read(&invocation.arguments)?;
    let (regex, names, path) = (arguments.regex()?, arguments.names()?, arguments.path());
    let resolved = shape::at_use(invocation, path, Effect::Read)?;
    let place = &invocation.place;
    let mut matches = Matches { regex, out: String::new(), lines: 0, skipped: 0 };
    let mut walk = Walk::new(&invocation.stop);
    let refuse = |why: String| format!("`{path}`: {why}");
    match open::folder(&resolved.path, Parents::Need) {
        Ok(folder) => walk.files(&folder, &mut |folder, entry, file| {
            let real = resolved.path.join(file);
            let forbidden =
                crate::path::reach(place, &real, crate::path::Want::Read) == outlive_core::policy::Reach::Forbidden;
            if forbidden || names.as_ref().is_some_and(|names| !names.match_path(file)) {
                return Go::On;
            }
            matches.file(folder, entry, file)
        }),
        Err(_no_folder) => {
            let (parent, name) = resolved.path.parent().zip(resolved.path.file_name()).ok_or("it has no parent")?;
            let folder = open::folder(parent, Parents::Need).map_err(refuse)?;
            let (_, found) = open::file_at(&folder, name).map_err(refuse)?;
            let bytes = u64::try_from(found.st_size).unwrap_or(u64::MAX);
            let entry = Entry { name: name.to_owned(), kind: FileType::RegularFile, bytes };
            matches.file(&folder, &entry, Path::new(name));
        }
    }
    Ok(matches.told(walk.cut))
}

struct Matches {
    regex: Regex,
    out: String,
    lines: usize,
    skipped: usize,
}

impl Matches {
    fn file(&mut self, folder: &OwnedFd, entry: &Entry, path: &Path) -> Go {
        let Some(text) = readable(folder, entry) else {
            self.skipped += 1;
            return Go::On;
        };
        let shown = shape::shown(path.as_os_str());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| self.regex.is_match(line)) {
            if self.lines == LINES || self.out.len() > SHOWN_BYTES - 2 * LINE_CHARS {
                self.lines += 1;
                return Go::Enough;
            }
            let cut: String =
                line.chars().take(LINE_CHARS).map(|c| if c.is_control() && c != '\t' { '�' } else { c }).collect();
            self.out.push_str(&format!("{shown}:{}:{cut}\n", index + 1));
            self.lines += 1;
        }
        Go::On
    }

    fn told(mut self, cut: Option<&str>) -> String {
        let many = self.out.lines().count() < self.lines;
        if self.lines == 0 {
            self.out.push_str("(no line matches)\n");
        }
        if let Some(why) = cut.or(many.then_some("there are more: make the pattern narrower")) {
            self.out.push_str(&format!("[not all: {why}]\n"));
        }
        if self.skipped > 0 {
            self.out
                .push_str(&format!("[{} files are binary, large or not plain, and were not searched]\n", self.skipped));
        }
        self.out
    }
}

fn readable(folder: &OwnedFd, entry: &Entry) -> Option<String> {
    if entry.bytes > FILE_BYTES {
        return None;
    }
    let (file, _) = open::file_at(folder, &entry.name).ok()?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
    if bytes.contains(&0) { None } else { Some(String::from_utf8_lossy(&bytes).into_owned()) }
}
