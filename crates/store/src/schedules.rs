//! The journals of schedules: small ones, each by itself, beside those of sessions.
//!
//! Invariant: what was appended is durable once that returns, and is in the order of its seqs.

use outlive_core::event::Line;
use outlive_core::id::{ScheduleId, Seq};
use outlive_core::schedule::Schedule;

use crate::StoreError;

/// The journals of schedules. One owner writes them.
pub trait Schedules: Send + Sync {
    /// Returns which there are, in order.
    fn schedules(&self) -> Result<Vec<ScheduleId>, StoreError>;

    /// Folds one; `None` where there is none. A torn end is cut.
    fn load(&self, schedule: ScheduleId) -> Result<Option<Schedule>, StoreError>;

    /// Returns up to `limit` lines after a position.
    fn read(&self, schedule: ScheduleId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError>;

    /// Appends the next lines; the first line of all makes the journal. `Ok` means durable; [`StoreError::Poisoned`] that it is
    /// not known whether they are there, and that no more of it is taken until a restart has looked.
    fn append(&self, schedule: ScheduleId, lines: &[Line]) -> Result<(), StoreError>;

    /// Keeps what a journal came to, so that the next start is faster.
    fn put_snapshot(&self, schedule: &Schedule) -> Result<(), StoreError>;

    /// Removes a journal for good.
    fn remove(&self, schedule: ScheduleId) -> Result<(), StoreError>;
}

/// Folds lines onto what earlier ones came to. The error has the line that does not go on from there.
pub(crate) fn fold(mut state: Option<Schedule>, lines: &[Line]) -> Result<Option<Schedule>, (Seq, String)> {
    for line in lines {
        let expected = state.as_ref().map_or(1, |state| state.head + 1);
        let entry = line.read().map_err(|error| (expected, error.to_string()))?;
        if entry.seq != expected {
            return Err((expected, format!("seq {} where {expected} belongs", entry.seq)));
        }
        match &mut state {
            Some(state) => state.apply(&entry),
            None => {
                let begun = Schedule::begin(&entry).ok_or_else(|| (1, "it does not begin a schedule".to_owned()))?;
                state = Some(begun);
            }
        }
    }
    Ok(state)
}
