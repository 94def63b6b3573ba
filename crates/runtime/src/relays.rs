//! Relays that can be begun, and what those that were did.

use outlive_core::event::Entry;
use outlive_core::id::{Seq, SessionId};
use outlive_core::relay::history::{Row, add};
use outlive_core::relay::{Definition, Fault, Faults, read_text};
use outlive_store::{Over, StoreError};

use crate::{Runtime, SubmitError, load};

/// Lines read at once to find rows among them.
const PAGE: usize = 512;

/// A relay of the workspace: its definition, or what keeps its file from being one.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayFile {
    /// Its name.
    pub name: String,
    /// What it is.
    pub definition: Result<Definition, Faults>,
}

impl Runtime {
    /// Returns the relays of the workspace, by their names.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn relays(&self) -> Result<Vec<RelayFile>, StoreError> {
        let names = self.shell.store.agents.relay_names()?;
        // A file that cannot be read hides no other.
        let broken = |name: String, error: &StoreError| {
            // It names the file.
            let fault = Fault { path: String::new(), place: None, what: error.to_string() };
            RelayFile { name, definition: Err(Faults { file: None, all: vec![fault] }) }
        };
        let read = |name: String| self.relay(&name).unwrap_or_else(|error| Some(broken(name, &error)));
        Ok(names.into_iter().filter_map(read).collect())
    }

    /// Returns a relay of the workspace, as its file stands now.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn relay(&self, name: &str) -> Result<Option<RelayFile>, StoreError> {
        let Some(text) = self.shell.store.agents.relay(name)? else { return Ok(None) };
        let definition = read_text(&text, &format!("relays/{name}.yaml"));
        Ok(Some(RelayFile { name: name.to_owned(), definition }))
    }

    /// Keeps a relay in the workspace.
    ///
    /// # Errors
    ///
    /// What the store says: also that there is one of this name.
    pub fn keep_relay(&self, definition: &Definition, over: Over) -> Result<(), StoreError> {
        self.shell.store.agents.put_relay(&definition.name, &definition.to_yaml(), over)
    }

    /// Returns what the relays of a session did after an event, oldest first: so many rows, and whether more follow.
    ///
    /// # Errors
    ///
    /// As for [`Runtime::entries`].
    pub async fn relay_rows(
        &self,
        session: SessionId,
        after: Seq,
        limit: usize,
    ) -> Result<(Vec<Row>, bool), SubmitError> {
        let (mut rows, mut from): (Vec<Row>, Seq) = (Vec::new(), after);
        loop {
            let lines = self.entries(session, from, PAGE).await?;
            let Some(last) = lines.last() else { break };
            from = last.seq();
            let is_whole = lines.len() < PAGE;
            let entries: Result<Vec<Entry>, StoreError> = lines.iter().map(|line| load::read(session, line)).collect();
            entries.map_err(SubmitError::Store)?.iter().for_each(|entry| add(&mut rows, entry));
            let is_page = rows.len() > limit && rows.iter().take(limit).all(Row::is_whole);
            if is_whole || is_page {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}
