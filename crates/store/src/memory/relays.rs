//! Relays, in memory.

use super::Memory;
use crate::StoreError;
use crate::relays::{Over, RelayFiles, check, names, taken};

impl RelayFiles for Memory {
    fn relay_names(&self) -> Result<Vec<String>, StoreError> {
        Ok(names(self.world().folders.relays.keys().map(|name| format!("{name}.yaml"))))
    }

    fn relay(&self, name: &str) -> Result<Option<String>, StoreError> {
        check(name)?;
        Ok(self.world().folders.relays.get(name).cloned())
    }

    fn put_relay(&self, name: &str, text: &str, over: Over) -> Result<(), StoreError> {
        check(name)?;
        let relays = &mut self.world().folders.relays;
        if over == Over::Nothing && relays.contains_key(name) {
            return Err(taken(name));
        }
        relays.insert(name.to_owned(), text.to_owned());
        Ok(())
    }
}
