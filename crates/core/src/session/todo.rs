//! The agent's list of what is to be done: a tool whose calls are never run, since the list is part of the session's state.

use serde_json::Value;

use crate::event::{Todo, TodoStatus};
use crate::limits::{TODO_CHARS, TODOS};

/// Name of the tool that writes the list.
pub const TODO: &str = "todo";

/// Reads the list that a call writes.
///
/// # Errors
///
/// What does not fit, for the model.
pub fn read_todos(arguments: &Value) -> Result<Vec<Todo>, String> {
    let items: Vec<Todo> =
        serde_json::from_value(arguments["items"].clone()).map_err(|error| format!("`items` does not fit: {error}"))?;
    if items.len() > TODOS {
        return Err(format!("a list has at most {TODOS} items, not {}", items.len()));
    }
    let fits = |item: &Todo| !item.text.trim().is_empty() && item.text.chars().count() <= TODO_CHARS;
    match items.iter().position(|item| !fits(item)) {
        Some(at) => Err(format!("item {} has 1 to {TODO_CHARS} characters", at + 1)),
        None => Ok(items),
    }
}

/// What the model is told of the list that it wrote.
pub(super) fn told(items: &[Todo]) -> String {
    let count = |status| items.iter().filter(|item| item.status == status).count();
    let [open, begun, done] = [TodoStatus::Pending, TodoStatus::InProgress, TodoStatus::Done].map(count);
    format!("The list is kept: {done} done, {begun} in progress, {open} pending.")
}
