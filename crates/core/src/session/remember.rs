//! What is asked about what is remembered, and what hands report of it, becomes facts.

use super::State;
use super::decide::{Facts, Moment, Refusal};
use crate::command::{MemoryCommand, Report};
use crate::event::Origin;

impl State {
    pub(super) fn decide_memory(&self, _what: &MemoryCommand, _by: &Origin, _moment: &mut Moment) -> Facts {
        Err(Refusal::Stale)
    }

    pub(super) fn remembered(&self, _report: &Report, _moment: &mut Moment) -> Facts {
        Err(Refusal::Stale)
    }
}
