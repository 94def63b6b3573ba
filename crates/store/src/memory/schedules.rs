//! Journals of schedules in memory.

use outlive_core::event::Line;
use outlive_core::id::{ScheduleId, Seq};
use outlive_core::schedule::Schedule;

use super::faults::Fault;
use super::{Memory, World};
use crate::schedules::fold;
use crate::{Schedules, StoreError};

impl Schedules for Memory {
    fn schedules(&self) -> Result<Vec<ScheduleId>, StoreError> {
        Ok(self.world().schedules.keys().copied().collect())
    }

    fn load(&self, schedule: ScheduleId) -> Result<Option<Schedule>, StoreError> {
        let world = self.world();
        let lines = world.schedules.get(&schedule).map(Vec::as_slice).unwrap_or_default();
        fold(None, lines).map_err(|(line, why)| StoreError::damaged(schedule, line, why))
    }

    fn read(&self, schedule: ScheduleId, after: Seq, limit: usize) -> Result<Vec<Line>, StoreError> {
        let world = self.world();
        let lines = world.schedules.get(&schedule).into_iter().flatten();
        Ok(lines.filter(|line| line.seq() > after).take(limit).cloned().collect())
    }

    fn append(&self, schedule: ScheduleId, lines: &[Line]) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        match world.plan.draw() {
            Some(Fault::NoSpace) => return Err(StoreError::NoSpace),
            Some(Fault::Io) => return Err(StoreError::Io { what: "append".to_owned(), why: "injected".to_owned() }),
            Some(Fault::PoisonedKept) => {
                world.take_lines(schedule, lines)?;
                return Err(world.plan.poison());
            }
            Some(Fault::PoisonedLost) => return Err(world.plan.poison()),
            // Nothing here waits for another.
            Some(Fault::HangBefore | Fault::HangAfter) | None => {}
        }
        world.take_lines(schedule, lines)?;
        world.plan.count_acknowledged();
        Ok(())
    }

    fn put_snapshot(&self, _schedule: &Schedule) -> Result<(), StoreError> {
        Ok(())
    }

    fn remove(&self, schedule: ScheduleId) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        world.schedules.remove(&schedule);
        Ok(())
    }
}

impl World {
    fn take_lines(&mut self, schedule: ScheduleId, lines: &[Line]) -> Result<(), StoreError> {
        let kept = self.schedules.entry(schedule).or_default();
        let head = kept.last().map_or(0, Line::seq);
        if lines.iter().zip(head + 1..).any(|(line, seq)| line.seq() != seq) {
            return Err(StoreError::Refused {
                what: format!("append to schedule {schedule}"),
                why: format!("it is at {head}"),
            });
        }
        kept.extend_from_slice(lines);
        Ok(())
    }
}
