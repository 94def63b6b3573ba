//! Lines for the model, never more than a result may hold.

use outlive_core::limits::RESULT_BYTES;

use super::walk::Go;

/// Bytes of lines: a result with room for what is said about it.
const BYTES: usize = RESULT_BYTES - 2048;

/// Gathers lines.
pub(super) struct Shown {
    out: String,
    lines: usize,
    most: usize,
    is_full: bool,
}

impl Shown {
    /// Holds at most this many lines.
    pub fn new(most: usize) -> Self {
        Self { out: String::new(), lines: 0, most, is_full: false }
    }

    /// Adds a line, if there is room for it.
    pub fn line(&mut self, line: &str) -> Go {
        self.is_full |= self.lines == self.most || self.out.len() + line.len() >= BYTES;
        if self.is_full {
            return Go::Enough;
        }
        self.out.push_str(line);
        self.out.push('\n');
        self.lines += 1;
        Go::On
    }

    /// Returns the lines, or `none` without any, and notes beneath; `more` is said where there were more lines.
    pub fn told(self, none: &str, more: &str, notes: Vec<String>) -> String {
        let mut out = if self.lines == 0 && !self.is_full { format!("{none}\n") } else { self.out };
        let more = self.is_full.then(|| more.to_owned());
        for note in more.into_iter().chain(notes) {
            out.push_str(&format!("[{note}]\n"));
        }
        out
    }
}
