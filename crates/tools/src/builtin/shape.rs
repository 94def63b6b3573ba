//! What the built-in tools have in common: arguments as types, paths that were ruled on, text that cannot lie.

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::path::{Resolved, Want, resolve};
use crate::{Assessment, Invocation, Place, Span};

pub(crate) fn spec<A: JsonSchema>(name: &str, description: &str) -> ToolSpec {
    let mut input_schema = schemars::schema_for!(A).to_value();
    if let Some(schema) = input_schema.as_object_mut() {
        schema.retain(|key, _| key != "$schema" && key != "title");
    }
    ToolSpec { name: name.to_owned(), description: description.to_owned(), input_schema }
}

pub(crate) fn read<A: DeserializeOwned>(arguments: &Value) -> Result<A, String> {
    A::deserialize(arguments).map_err(|error| format!("the arguments do not fit: {error}"))
}

/// Assesses a call that is about one path.
pub(super) fn assess_path(tool: &str, path: &str, effect: Effect, place: &Place) -> Result<Assessment, String> {
    let Resolved { name, reach, .. } = resolve(place, path, want(effect))?;
    let subject = Subject { tool: tool.to_owned(), target: name.clone(), reach };
    Ok(Assessment { effect, on_lost: OnLost::Report, subject, summary: format!("{tool} {name}"), span: Span::Call })
}

/// Resolves the path again, for use: it must still lead where it did when the call was ruled on.
pub(super) fn at_use(invocation: &Invocation, path: &str, effect: Effect) -> Result<Resolved, String> {
    let resolved = resolve(&invocation.place, path, want(effect))?;
    let ruled = invocation.ruled.as_ref();
    if let Some(ruled) = ruled.filter(|ruled| ruled.target != resolved.name) {
        return Err(format!(
            "`{path}` led to `{}` when this call was ruled on, and leads to `{}` now: nothing was done. Call again, so that \
             it can be ruled on",
            ruled.target, resolved.name
        ));
    }
    match resolved.reach {
        Reach::Within => Ok(resolved),
        Reach::Beyond if ruled.is_some_and(|ruled| ruled.reach == Reach::Beyond) => Ok(resolved),
        Reach::Beyond => {
            Err(format!("`{path}` leads out of the workspace, to `{}`, which nobody allowed", resolved.name))
        }
        Reach::Forbidden => Err(format!("`{path}` leads to `{}`, where no call may go", resolved.name)),
    }
}

fn want(effect: Effect) -> Want {
    if effect == Effect::Read { Want::Read } else { Want::Write }
}

/// Shows a name on one line, whatever is in it.
pub(super) fn shown(name: &std::ffi::OsStr) -> String {
    let text = name.to_string_lossy();
    let plain = name.to_str().is_some() && !text.chars().any(char::is_control);
    if plain { text.into_owned() } else { format!("{name:?} (not plain: use `bash` for it)") }
}
