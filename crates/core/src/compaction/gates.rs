//! What must be true of a summary before it counts.

use super::{Item, Section, Summary};

/// Why a summary does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// What the person asked last is not in it.
    #[error("the last request is not in what was made of it")]
    Request,
    /// An item that must stay is not in it.
    #[error("item `{0}`, which must stay, is not in what was made of it")]
    Item(String),
}

/// Words that what went wrong begins with, in lower case.
const ERRORS: [&str; 10] = [
    "error:",
    "error ",
    "internal server error",
    "rate limit",
    "i'm sorry",
    "i am sorry",
    "i cannot",
    "i can't",
    "as an ai",
    "{\"error",
];

/// Says whether a model's text tells what went wrong with a request. A person's words may begin so.
pub(super) fn is_error(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    ERRORS.iter().any(|words| text.starts_with(words))
}

/// Checks that what had to stay of the summary before is in the one after it.
///
/// # Errors
///
/// [`Unfit`]
pub fn kept(before: &Summary, after: &Summary) -> Result<(), Unfit> {
    if after.last_request.is_empty() && !before.last_request.is_empty() {
        return Err(Unfit::Request);
    }
    let stays = |item: &&Item| item.stays() && !is_moved(item, after);
    let is_there = |item: &Item| {
        after.items.iter().any(|now| now.id == item.id && now.section == item.section && now.pinned == item.pinned)
    };
    match before.items.iter().filter(stays).find(|item| !is_there(item)) {
        Some(lost) => Err(Unfit::Item(lost.id.clone())),
        None => Ok(()),
    }
}

/// Says whether a decision had to make room, and the summary says so.
fn is_moved(item: &Item, after: &Summary) -> bool {
    item.section == Section::Decisions && !item.pinned && item.sources.iter().any(|seq| after.moved.contains(seq))
}
