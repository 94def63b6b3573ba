//! `edit`: replaces an exact piece of a file. What an attempt of a dead process did can be seen in the file.

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::blocking::off_thread;
use crate::path::open::{self, Parents};
use crate::{Assessment, Finished, Found, Invocation, Pending, Place, Tool};

/// Bytes of the largest file that is edited.
const FILE_BYTES: u64 = 16 << 20;

/// Replaces a piece.
pub struct Edit;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, absolute or from the workspace.
    path: String,
    /// The piece to replace, exactly as it is in the file. It must be there once, unless `replace_all`.
    #[schemars(length(min = 1))]
    old: String,
    /// What comes in its place.
    new: String,
    /// Replace every one of them.
    #[serde(default)]
    replace_all: bool,
}

impl Tool for Edit {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>("edit", "Replaces an exact piece of a text file by another.")
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        let Arguments { path, old, new, replace_all } = shape::read(arguments)?;
        if old == new {
            return Err("`old` and `new` are the same: nothing would change".to_owned());
        }
        let assessment = shape::assess_path("edit", &path, Effect::Verifiable, place)?;
        let every = if replace_all { " (every one)" } else { "" };
        let summary = format!("{}{every}\n--- old\n{old}\n--- new\n{new}", assessment.summary);
        Ok(Assessment { summary, ..assessment })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(off_thread(move || replace(&invocation).map_or_else(Finished::error, Finished::ok)))
    }

    fn find(&self, invocation: Invocation) -> Pending<'_, Found> {
        Box::pin(async move {
            // Looking is quick: one file of a bounded size.
            look(&invocation).unwrap_or(Found::Unknown)
        })
    }
}

fn text(invocation: &Invocation, arguments: &Arguments) -> Result<(std::path::PathBuf, String), String> {
    let path = &arguments.path;
    let resolved = shape::at_use(invocation, path, Effect::Verifiable)?;
    let bytes = open::read(&resolved.path, FILE_BYTES).map_err(|why| format!("`{path}`: {why}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("`{path}` is no UTF-8 text: use `bash`"))?;
    Ok((resolved.path, text))
}

fn replace(invocation: &Invocation) -> Result<String, String> {
    let arguments: Arguments = shape::read(&invocation.arguments)?;
    let (real, before) = text(invocation, &arguments)?;
    let Arguments { path, old, new, replace_all } = arguments;
    let count = occurrences(&before, &old);
    match count {
        0 => return Err(format!("`{path}` does not hold `old`: read it again, and copy the piece exactly")),
        2.. if !replace_all => {
            return Err(format!(
                "`{path}` holds `old` more than once: give more of what is around it, or set `replace_all`"
            ));
        }
        1.. => {}
    }
    let after = before.replace(&old, &new);
    let key = invocation.call.to_string();
    open::replace(&real, after.as_bytes(), Parents::Need, &key).map_err(|why| format!("`{path}`: {why}"))?;
    Ok(format!("replaced {} in {path}", if replace_all { before.matches(&old).count() } else { count }))
}

/// Counts up to two, pieces that overlap included: then it is not plain which one is meant.
fn occurrences(text: &str, piece: &str) -> usize {
    let Some(first) = text.find(piece) else { return 0 };
    let next = first + text[first..].chars().next().map_or(1, char::len_utf8);
    if text[next..].contains(piece) { 2 } else { 1 }
}

fn look(invocation: &Invocation) -> Result<Found, String> {
    let arguments: Arguments = shape::read(&invocation.arguments)?;
    let (_, now) = text(invocation, &arguments)?;
    let Arguments { path, old, new, replace_all } = arguments;
    // Where one piece is part of the other, their being there tells nothing.
    if old.contains(&new) || new.contains(&old) {
        return Ok(Found::Unknown);
    }
    Ok(match (occurrences(&now, &old), now.contains(&new)) {
        (0, true) => Found::Done(Finished::ok(format!("replaced in {path} (seen in the file after a restart)"))),
        (1, false) => Found::NotDone,
        (2.., false) if replace_all => Found::NotDone,
        (0.., _) => Found::Unknown,
    })
}
