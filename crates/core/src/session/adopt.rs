//! A conversation of another program becomes a session: checked, written as a journal, and refused where that is more
//! than is written at once.

use super::decide::{Moment, Refusal};
use crate::event::{Asked, Entry, Line};
use crate::id::SessionId;
use crate::import::{Adopted, check, journal};
use crate::limits::FORK_BYTES;

/// Returns what its journal is: a session at rest.
pub(super) fn adopt(
    session: SessionId,
    adopted: &Adopted,
    asked: Option<&Asked>,
    moment: &Moment,
) -> Result<Vec<Entry>, Refusal> {
    let refuse = |code, what| Refusal::Invalid { code, what };
    check(&adopted.talk).map_err(|why| refuse("import_invalid", why))?;
    let mut entries = journal(session, adopted, moment.at);
    if let Some(first) = entries.first_mut() {
        first.asked = asked.cloned();
    }
    let mut bytes = 0;
    for entry in &entries {
        let line =
            Line::write(entry).map_err(|error| refuse("import_too_large", format!("an event of it: {error}")))?;
        bytes += line.as_str().len();
        if bytes > FORK_BYTES {
            let what = format!("its events have more than the {FORK_BYTES} bytes that can be written at once");
            return Err(refuse("import_too_large", what));
        }
    }
    Ok(entries)
}
