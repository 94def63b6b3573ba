//! What must be true of a summary before it counts.

use super::{Item, Summary};

/// Why a summary does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It says less than it must.
    #[error("something that must stay is not in the summary")]
    Forgets,
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
    let same = |item: &Item| {
        after.items.iter().any(|now| now.id == item.id && now.section == item.section && now.pinned == item.pinned)
    };
    let forgets_request = after.last_request.is_empty() && !before.last_request.is_empty();
    if forgets_request || before.items.iter().any(|item| item.stays() && !same(item)) {
        return Err(Unfit::Forgets);
    }
    Ok(())
}
