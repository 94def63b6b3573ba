//! The memory store keeps every promise of a store.

use outlive_store::conformance::Subject;
use outlive_store::{Store, memory};

struct Memory(memory::Faults);

impl Default for Memory {
    fn default() -> Self {
        Self(memory::store().1)
    }
}

impl Subject for Memory {
    fn open(&mut self) -> Store {
        self.0.reopen()
    }
}

outlive_store::conformance!(Memory);
