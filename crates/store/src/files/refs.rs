//! Which artifacts journals refer to: every run of 64 hex digits in their files that is the name of one.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use outlive_core::digest::Digest;
use outlive_core::event::Line;
use outlive_core::id::SessionId;

use super::fs::{Disk, Open};
use super::past;
use super::tails::Shared;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Digits of a name.
const DIGITS: usize = 64;

/// Finds names in bytes that come in pieces.
#[derive(Default)]
pub(super) struct Finder {
    run: Vec<u8>,
    found: BTreeSet<Digest>,
}

impl Finder {
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if byte.is_ascii_digit() || (b'a'..=b'f').contains(byte) {
                // What is longer is no name; how much longer does not matter.
                self.run.extend((self.run.len() <= DIGITS).then_some(*byte));
            } else if !self.run.is_empty() {
                self.end();
            }
        }
    }

    /// Nothing goes on from here.
    fn end(&mut self) {
        if self.run.len() == DIGITS {
            self.found.extend(std::str::from_utf8(&self.run).ok().and_then(Digest::parse));
        }
        self.run.clear();
    }

    /// Reads a file to its end.
    fn file(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let file = disk.open(path, Open::Read)?;
        let (mut at, mut piece) = (0, vec![0; PIECE]);
        loop {
            let read = file.read_at(at, &mut piece)?;
            if read == 0 {
                self.end();
                return Ok(());
            }
            self.read(piece.get(..read).unwrap_or_default());
            at += read as u64;
        }
    }

    /// Reads a file of a journal, whatever it is.
    fn one(&mut self, disk: &dyn Disk, (folder, name): (&Path, &str), torn: Torn) -> io::Result<()> {
        let path = folder.join(name);
        if !name.contains(".jsonl.zst") {
            return self.file(disk, &path);
        }
        let read = past::salvage(disk, &path, |piece| self.read(piece));
        self.end();
        match read {
            // What a repair put beside its journal is no part of that any more.
            Err(error) if past::is_damage(&error) && torn == Torn::Stops && past::number_of(name).is_some() => {
                let path = path.display();
                let why = format!("what {path} refers to is unknown ({error}); run `outlive verify --repair` first");
                Err(past::damaged(why))
            }
            Err(error) if past::is_damage(&error) => Ok(()),
            other => other,
        }
    }

    /// Reads what a folder has of a journal.
    fn folder(&mut self, disk: &dyn Disk, folder: &Path, torn: Torn) -> io::Result<()> {
        for name in disk.list(folder).or_else(none)? {
            if name.starts_with("events") {
                // Moved or removed meanwhile.
                self.one(disk, (folder, &name), torn).or_else(none)?;
            }
        }
        Ok(())
    }
}

/// Returns every name that is in these lines.
pub(crate) fn named_in(lines: &[Line]) -> BTreeSet<Digest> {
    let mut finder = Finder::default();
    lines.iter().for_each(|line| finder.read(line.as_str().as_bytes()));
    finder.end();
    finder.found
}

/// What becomes of a segment that cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    /// What can be read of it counts.
    IsRead,
    /// Nobody knows what it refers to: nothing is decided.
    Stops,
}

fn none<T: Default>(error: io::Error) -> io::Result<T> {
    if error.kind() == io::ErrorKind::NotFound { Ok(T::default()) } else { Err(error) }
}

/// Returns the artifacts that a journal refers to.
pub(super) fn of_journal(shared: &Shared, journal: SessionId) -> io::Result<BTreeSet<Digest>> {
    let mut finder = Finder::default();
    let pending = shared.board().tails.get(&journal).map(|tail| tail.pending.clone()).unwrap_or_default();
    pending.iter().for_each(|line| finder.read(line.as_str().as_bytes()));
    finder.folder(&*shared.disk, &shared.folder(journal), Torn::IsRead)?;
    finder.folder(&*shared.disk, &shared.discarded(journal), Torn::IsRead)?;
    let mut found = finder.found;
    found.retain(|hash| shared.disk.identity(&super::beside::artifact(&shared.root, hash)).is_ok());
    Ok(found)
}

/// Reads again what was read while lines moved from one file to another.
fn settled(shared: &Shared, mut read: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        let cuts = shared.board().older.cuts;
        read()?;
        if shared.board().older.cuts == cuts {
            return Ok(());
        }
    }
}

/// Returns those of these artifacts that no journal refers to. The newest sessions are read first: what is looked for was
/// stored lately.
pub(super) fn unreferred(shared: &Shared, wanted: &BTreeSet<Digest>) -> io::Result<BTreeSet<Digest>> {
    let mut left = wanted.clone();
    let mut finder = Finder::default();
    // What waits for its file now is read here; what is in it by then, there.
    for tail in shared.board().tails.values() {
        tail.pending.iter().for_each(|line| finder.read(line.as_str().as_bytes()));
    }
    left.retain(|hash| !finder.found.contains(hash));
    for place in [shared.root.join("sessions"), shared.trash()] {
        for name in shared.disk.list(&place).or_else(none)?.iter().rev() {
            if left.is_empty() {
                return Ok(left);
            }
            if name.parse::<SessionId>().is_ok() {
                settled(shared, || finder.folder(&*shared.disk, &place.join(name), Torn::Stops))?;
                left.retain(|hash| !finder.found.contains(hash));
                finder.found.clear();
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole_however_its_bytes_are_cut() {
        let name = Digest::of(b"x");
        let text =
            format!("{{\"hash\":\"{name}\",\"longer\":\"{name}0\",\"upper\":\"{}\"}}", name.as_str().to_uppercase());
        for cut in 0..=text.len() {
            let mut finder = Finder::default();
            finder.read(&text.as_bytes()[..cut]);
            finder.read(&text.as_bytes()[cut..]);
            assert_eq!(finder.found, BTreeSet::from([name.clone()]), "cut at {cut}");
        }
    }
}
