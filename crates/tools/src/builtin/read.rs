//! `read`: shows lines of a text file.

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use outlive_core::limits::RESULT_BYTES;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::blocking::look;
use crate::path::open;
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

/// Bytes of the largest file that is read.
const FILE_BYTES: u64 = 16 << 20;
/// Bytes of lines shown at once: a result with room for a note.
const SHOWN_BYTES: usize = RESULT_BYTES - 1024;
const LINES: usize = 2_000;
const LINE_CHARS: usize = 2_000;

/// Shows a file.
pub struct Read;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, absolute or from the workspace.
    path: String,
    /// First line to show, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    offset: Option<usize>,
    /// Lines to show. 2000 if left out.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<usize>,
}

impl Tool for Read {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>("read", "Shows a text file with line numbers. For long files name a range.")
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        let Arguments { path, .. } = shape::read(arguments)?;
        shape::assess_path("read", &path, Effect::Read, place)
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        look(invocation, show)
    }
}

fn show(invocation: &Invocation) -> Result<String, String> {
    let Arguments { path, offset, limit } = shape::read(&invocation.arguments)?;
    let resolved = shape::at_use(invocation, &path, Effect::Read)?;
    let bytes = open::read(&resolved.path, FILE_BYTES).map_err(|why| format!("`{path}`: {why}"))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| format!("`{path}` is no UTF-8 text: use `bash` with `file`, `xxd` or `iconv`"))?;
    if text.is_empty() {
        return Ok("(the file is empty)".to_owned());
    }
    lines(&text, offset.unwrap_or(1).max(1), limit.unwrap_or(LINES)).map_err(|why| format!("`{path}` {why}"))
}

fn lines(text: &str, first: usize, limit: usize) -> Result<String, String> {
    let total = text.lines().count();
    if first > total {
        return Err(format!("has {total} lines: there is no line {first}"));
    }
    let (mut out, mut last) = (String::new(), first - 1);
    for (index, line) in text.lines().enumerate().skip(first - 1).take(limit) {
        let mut shown: String = line.chars().take(LINE_CHARS).collect();
        if shown.len() < line.len() {
            shown.push_str(" [… line cut]");
        }
        if out.len() + shown.len() > SHOWN_BYTES {
            break;
        }
        out.push_str(&format!("{:>6}\t{shown}\n", index + 1));
        last = index + 1;
    }
    if last < total {
        out.push_str(&format!("[lines {first} to {last} of {total}; go on with offset {}]", last + 1));
    }
    Ok(out)
}
