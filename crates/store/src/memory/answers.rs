//! Answers in memory.

use outlive_core::digest::Digest;

use super::Memory;
use crate::answers::add;
use crate::{Answer, Answers, StoreError};

impl Answers for Memory {
    fn answered(&self, name: &Digest) -> Result<Option<Answer>, StoreError> {
        Ok(self.world().answers.iter().find(|answer| answer.name == *name).cloned())
    }

    fn keep(&self, answer: Answer) -> Result<(), StoreError> {
        let mut world = self.world();
        world.plan.check()?;
        add(&mut world.answers, answer)
    }
}
