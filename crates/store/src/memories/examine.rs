//! Looks at the file without changing it: whether it can be used, and how far it follows the journals.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::Table;
use super::table::KIND;
use crate::files::fs::{Disk as _, RealDisk};
use crate::follow::Kept as _;
use crate::sqlite;

/// How the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// It is not there yet.
    Missing,
    /// It can be used.
    Good {
        /// Memories in it.
        memories: u64,
        /// Events of journals that it does not follow yet, as far as the list knows of them.
        behind: u64,
    },
    /// It cannot be used.
    Unfit(String),
}

/// Looks at the memory index of a workspace, and says whether an unfit one lies beside it.
#[must_use]
pub fn examine(root: &Path) -> (Examined, bool) {
    let path = root.join(Table::FILE);
    let is_there = |path: &Path| RealDisk.identity(path).is_ok();
    let aside = is_there(&sqlite::set_aside_at(&path));
    if !is_there(&path) {
        return (Examined::Missing, aside);
    }
    (look(root, &path).unwrap_or_else(|error| Examined::Unfit(error.to_string())), aside)
}

fn opened(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn look(root: &Path, path: &Path) -> rusqlite::Result<Examined> {
    let file = opened(path)?;
    let number = |name: &str| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = (number("application_id")?, number("user_version")?);
    if found != (KIND.application, KIND.version) {
        return Ok(Examined::Unfit("it is of another version, or not of Outlive".to_owned()));
    }
    let verdict: String = file.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Examined::Unfit(verdict));
    }
    let memories: i64 = file.query_row("SELECT count(*) FROM rows", [], |row| row.get(0))?;
    let mut position = file.prepare("SELECT position FROM sessions WHERE id = ?1")?;
    let mut behind = 0;
    for (session, head) in heads(root).unwrap_or_default() {
        let position: i64 = position.query_row([session], |row| row.get(0)).unwrap_or(0);
        behind += head.saturating_sub(position).max(0);
    }
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Examined::Good { memories: whole(memories), behind: whole(behind) })
}

/// Returns how far the list says that each journal goes.
fn heads(root: &Path) -> rusqlite::Result<Vec<(String, i64)>> {
    let list = opened(&root.join("index.db"))?;
    let mut heads = list.prepare("SELECT id, head FROM sessions")?;
    heads.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
