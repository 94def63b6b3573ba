//! Looks for damage in a journal's compressed segments, and takes out of damaged ones what can be read.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use outlive_core::event::Line;
use outlive_core::id::Seq;

use super::super::fs::Disk;
use super::super::past::{self, Range};
use super::sound;

/// What a journal's segments are.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Good lines in them.
    pub(super) lines: u64,
    /// The last event of which a segment says that it has it.
    pub(super) last: Seq,
    pub(super) flaws: Vec<Flaw>,
}

/// What is wrong with a segment.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) name: String,
    /// Which of its lines, from 1; 0 if it cannot be said.
    pub(super) line: u64,
    pub(super) why: String,
}

/// Reads all segments of a journal.
pub(super) fn inspect(disk: &dyn Disk, folder: &Path) -> io::Result<Past> {
    let mut found = Past::default();
    for number in past::segments(disk, folder)? {
        let (name, path) = (past::name(number), past::path(folder, number));
        let flaw = match past::whole(disk, &path) {
            Ok((range, lines)) => {
                let (good, wrong) = inspect_lines(range, &lines, found.last);
                found.lines += good;
                found.last = range.last;
                wrong.map(|why| (good + 1, why))
            }
            Err(error) if past::is_damage(&error) => {
                // What it says of itself may still be right: what follows is measured by that.
                found.last = past::range(disk, &path).map_or(found.last, |range| range.last);
                Some((0, error.to_string()))
            }
            Err(error) => return Err(error),
        };
        found.flaws.extend(flaw.map(|(line, why)| Flaw { name, line, why }));
    }
    Ok(found)
}

/// Returns how many lines are good from the first one on, and what is wrong with the next one.
fn inspect_lines(range: Range, lines: &[u8], before: Seq) -> (u64, Option<String>) {
    if range.first != before + 1 {
        return (0, Some(format!("seq {} where {} belongs", range.first, before + 1)));
    }
    for (good, text) in (0..).zip(lines.split_inclusive(|byte| *byte == b'\n')) {
        match sound(text.strip_suffix(b"\n").unwrap_or(text)) {
            Ok(line) if line.seq() == range.first + good => {}
            Ok(line) => return (good, Some(format!("seq {} where {} belongs", line.seq(), range.first + good))),
            Err(error) => return (good, Some(error.to_string())),
        }
    }
    (range.last - range.first + 1, None)
}

/// Returns every good line that can be read in the segments.
pub(super) fn salvaged(disk: &dyn Disk, folder: &Path) -> io::Result<BTreeMap<Seq, Line>> {
    let mut found = BTreeMap::new();
    for number in past::segments(disk, folder)? {
        let mut bytes = Vec::new();
        match past::salvage(disk, &past::path(folder, number), |piece| bytes.extend_from_slice(piece)) {
            Err(error) if !past::is_damage(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        for line in bytes.split(|byte| *byte == b'\n').filter_map(|text| sound(text).ok()) {
            found.entry(line.seq()).or_insert(line);
        }
    }
    Ok(found)
}
