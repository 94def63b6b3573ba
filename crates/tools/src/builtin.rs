//! The tools that come with Outlive.

mod ask;
mod bash;
mod edit;
mod find;
mod grep;
mod list;
mod read;
mod relay;
pub(crate) mod shape;
mod shown;
mod task;
mod todo;
mod wait;
mod walk;
mod write;

use std::sync::Arc;

pub use ask::AskUser;
pub use bash::Bash;
pub(crate) use bash::{DEFAULT_MS, finished};
pub use edit::Edit;
pub use find::Glob;
pub use grep::Grep;
pub use list::List;
pub use read::Read;
pub use relay::Relays;
pub use task::{TaskOutput, TaskStop};
pub use todo::TodoList;
pub use wait::WaitFor;
pub use write::Write;

use crate::Tool;

/// Returns the file tools.
#[must_use]
pub fn files() -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(Read), Arc::new(Write), Arc::new(Edit), Arc::new(List), Arc::new(Glob), Arc::new(Grep)]
}
