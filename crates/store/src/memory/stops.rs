//! The emergency stop in memory.

use super::Memory;
use crate::{Stop, Stops, StoreError};

impl Stops for Memory {
    fn stopped(&self) -> Result<Option<Stop>, StoreError> {
        Ok(self.world().stop.clone())
    }

    fn stop(&self, stop: &Stop) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        world.stop = Some(stop.clone());
        Ok(())
    }

    fn lift(&self) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        world.stop = None;
        Ok(())
    }
}
