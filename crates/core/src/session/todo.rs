//! The agent's list of what is to be done: a tool whose calls are never run, since the list is part of the session's state.

use serde_json::Value;

use crate::event::{Todo, TodoStatus};
use crate::limits::{LIST_ITEM_CHARS, LIST_ITEMS};

/// Name of the tool that writes the list.
pub const LIST_TOOL: &str = "todo";

/// Reads the list that a call writes.
///
/// # Errors
///
/// What does not fit, for the model.
pub fn read_todos(arguments: &Value) -> Result<Vec<Todo>, String> {
    let items: Vec<Todo> =
        serde_json::from_value(arguments["items"].clone()).map_err(|error| format!("`items` does not fit: {error}"))?;
    if items.len() > LIST_ITEMS {
        return Err(format!("a list has at most {LIST_ITEMS} items, not {}", items.len()));
    }
    let fits = |item: &Todo| !item.text.trim().is_empty() && item.text.chars().count() <= LIST_ITEM_CHARS;
    match items.iter().position(|item| !fits(item)) {
        Some(at) => Err(format!("item {} has 1 to {LIST_ITEM_CHARS} characters", at + 1)),
        None => Ok(items),
    }
}

/// What the model is told of the list that it wrote.
pub(super) fn told(items: &[Todo]) -> String {
    let count = |status| items.iter().filter(|item| item.status == status).count();
    let [open, begun, done] = [TodoStatus::Pending, TodoStatus::InProgress, TodoStatus::Done].map(count);
    format!("The list is kept: {done} done, {begun} in progress, {open} pending.")
}
