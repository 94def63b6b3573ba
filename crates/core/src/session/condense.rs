//! How checkpoints are made and chosen: what is asked about what the model sees, and what hands report of it, becomes facts.

use super::State;
use super::decide::{Facts, Moment, Refusal};
use crate::command::ContextCommand;
use crate::compaction::Change;
use crate::content::{Failure, Usage};
use crate::event::Origin;
use crate::id::{CompactionId, Seq};

impl State {
    pub(super) fn decide_context(&self, _what: &ContextCommand, _by: &Origin, _moment: &mut Moment) -> Facts {
        Err(Refusal::Stale)
    }

    pub(super) fn condensed(
        &self,
        _compaction: CompactionId,
        _to: Seq,
        _answer: &Result<(Change, Usage), Failure>,
        _moment: &mut Moment,
    ) -> Facts {
        Err(Refusal::Stale)
    }
}
