//! The files of relays: a definition each, as text; what it means is `core::relay`'s matter.

use outlive_core::relay::validate::is_name;

use crate::StoreError;

/// Relays that a workspace shows; more are not looked at.
const SHOWN: usize = 1_000;

/// The files under `relays/`.
pub trait RelayFiles: Send + Sync {
    /// Returns the names that are there, sorted; files that have no name of a relay are left out.
    fn relay_names(&self) -> Result<Vec<String>, StoreError>;

    /// Reads one; `None` where there is none of this name.
    fn relay(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Writes one, whole or not at all; `over` says whether in place of one that is there.
    fn put_relay(&self, name: &str, text: &str, over: Over) -> Result<(), StoreError>;
}

/// Whether something may take the place of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It may.
    Anything,
    /// Only where there is nothing.
    Nothing,
}

fn stem(file: &str) -> Option<&str> {
    file.strip_suffix(".yaml").filter(|stem| is_name(stem))
}

/// Says whether a file looks like a relay, and has no name of one.
pub(crate) fn is_misnamed(file: &str) -> bool {
    let is_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
    is_yaml && !file.starts_with('.') && stem(file).is_none()
}

pub(crate) fn names(files: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = files.into_iter().filter_map(|file| stem(&file).map(str::to_owned)).collect();
    names.sort();
    names.truncate(SHOWN);
    names
}

pub(crate) fn taken(name: &str) -> StoreError {
    let why = "it is there already: say that it is to be replaced, or choose another name".to_owned();
    StoreError::Refused { what: format!("relay `{name}`"), why }
}

pub(crate) fn check(name: &str) -> Result<(), StoreError> {
    let (what, why) = (format!("relay `{name}`"), "it is no name of a relay".to_owned());
    if is_name(name) { Ok(()) } else { Err(StoreError::Refused { what, why }) }
}
