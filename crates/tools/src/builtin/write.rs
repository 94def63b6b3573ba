//! `write`: makes or replaces a file as one step. Doing it twice is doing it once.

use outlive_core::content::ToolSpec;
use outlive_core::event::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::blocking::off_thread;
use crate::path::open::{self, Parents};
use crate::{Assessment, Finished, Invocation, Pending, Place, Tool};

/// Replaces a file.
pub struct Write;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, absolute or from the workspace. Folders on the way are made.
    path: String,
    /// All that the file will hold.
    content: String,
}

impl Tool for Write {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>("write", "Makes a file, or replaces all of it. To change a part of a file use `edit`.")
    }

    fn assess(&self, arguments: &Value, place: &Place) -> Result<Assessment, String> {
        let Arguments { path, content } = shape::read(arguments)?;
        let assessment = shape::assess_path("write", &path, Effect::Idempotent, place)?;
        let summary = format!("{} ({} bytes)\n{content}", assessment.summary, content.len());
        Ok(Assessment { summary, ..assessment })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(off_thread(move || replace(&invocation).map_or_else(Finished::error, Finished::ok)))
    }
}

fn replace(invocation: &Invocation) -> Result<String, String> {
    let Arguments { path, content } = shape::read(&invocation.arguments)?;
    let resolved = shape::at_use(invocation, &path, Effect::Idempotent)?;
    let key = invocation.call.to_string();
    open::replace(&resolved.path, content.as_bytes(), Parents::Make, &key).map_err(|why| format!("`{path}`: {why}"))?;
    Ok(format!("wrote {} bytes to {}", content.len(), resolved.name))
}
