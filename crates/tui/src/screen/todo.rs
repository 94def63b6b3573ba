//! The agent's list of what is to be done.

use outlive_core::event::{TodoChanged, TodoStatus};

use super::{Piece, Screen};
use crate::Style;

/// Returns the mark before an item of a list.
#[must_use]
pub fn mark(status: TodoStatus) -> &'static str {
    match status {
        TodoStatus::Pending => "☐",
        TodoStatus::InProgress => "◐",
        TodoStatus::Done => "☑",
    }
}

impl Screen {
    pub(super) fn list(&mut self, changed: &TodoChanged, pieces: &mut Vec<Piece>) {
        let done = changed.items.iter().filter(|item| item.status == TodoStatus::Done).count();
        self.note(Style::Call, &format!("☰ {done} of {} done", changed.items.len()), pieces);
        pieces.extend(changed.items.iter().map(|item| {
            let style = if item.status == TodoStatus::Done { Style::Dim } else { Style::Plain };
            Piece::line(style, &format!("  {} {}", mark(item.status), item.text.replace('\n', " ")))
        }));
    }
}
