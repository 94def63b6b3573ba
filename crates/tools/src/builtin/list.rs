//! `list`: shows what is in a folder.

use std::path::Path;

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shown::Shown;
use super::walk::Go;
use super::{shape, walk};
use crate::blocking::look;
use crate::path::open::{self, Parents};
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

const SHOWN: usize = 500;

/// Shows a folder.
pub struct List;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The folder, absolute or from the workspace. The working folder if left out.
    #[serde(default)]
    path: Option<String>,
}

impl Arguments {
    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(".")
    }
}

impl Tool for List {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            "list",
            "Shows what is in a folder: folders end in `/`, links in `@`, files have their size.",
        )
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        shape::assess_path("list", shape::read::<Arguments>(arguments)?.path(), Effect::Read, place)
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        look(invocation, show)
    }
}

fn show(invocation: &Invocation) -> Result<String, String> {
    let arguments: Arguments = shape::read(&invocation.arguments)?;
    let path = arguments.path();
    let resolved = shape::at_use(invocation, path, Effect::Read)?;
    let listed = open::folder(&resolved.path, Parents::Need).and_then(|folder| walk::entries(&folder));
    let entries = listed.map_err(|why| format!("`{path}`: {why}"))?;
    let mut gate = walk::Gate::new(&invocation.closed, &resolved.path);
    let mut shown = Shown::new(SHOWN);
    for entry in entries.iter().filter(|entry| gate.lets(Path::new(&entry.name))) {
        if shown.line(&line(entry)) == Go::Enough {
            break;
        }
    }
    let more = format!("not all of {} entries: use `glob` to find the others", entries.len());
    Ok(shown.told("(the folder is empty)", &more, gate.note().into_iter().collect()))
}

fn line(entry: &walk::Entry) -> String {
    let name = shape::shown(&entry.name);
    match entry.kind {
        FileType::Directory => format!("{name}/"),
        FileType::Symlink => format!("{name}@"),
        FileType::RegularFile => format!("{name}  {}", entry.bytes),
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            format!("{name}  (no ordinary file)")
        }
    }
}
