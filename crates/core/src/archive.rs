//! One file that holds others: a plain tar in one form, the same bytes for the same content, whoever writes it and when.
//!
//! | Where | What |
//! |---|---|
//! | [`Packer`], [`unpack`] | the tar itself |
//! | [`Manifest`] | its last entry: what the archive is, and the SHA-256 of every other entry |
//! | [`SessionArchive`] | a session: journal, artifacts, agent |
//! | [`AgentArchive`] | an agent's files |
//!
//! Invariants: entries are sorted, each once; owners, times and modes are fixed; an entry is a plain file with a path that
//! goes down. A header is read by writing it again: one that differs in a byte is refused, so that links, devices, folders,
//! long names and whatever else a tar can say need no rule of their own. Nothing is compressed: what is read is never larger
//! than what was given.

mod agent;
mod manifest;
mod session;
#[cfg(test)]
mod tests;

pub use agent::AgentArchive;
pub use manifest::{AgentPart, Kind, Manifest, Sum};
pub use session::SessionArchive;

use std::collections::BTreeMap;

/// Bytes of a block: headers are one, contents are filled up to whole ones.
const BLOCK: usize = 512;
/// Bytes of an archive.
pub const ARCHIVE_BYTES: usize = 256 << 20;
/// Entries of an archive.
pub const ENTRIES: usize = 20_000;
/// Folders deep.
const DEPTH: usize = 16;

/// Why an archive is none, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ArchiveError(String);

pub(crate) fn wrong(why: impl Into<String>) -> ArchiveError {
    ArchiveError(why.into())
}

/// Entries by their paths, where they lie in the archive.
pub type Entries<'a> = BTreeMap<String, &'a [u8]>;

/// Writes an archive, entry by entry, in the order of their paths.
#[derive(Debug, Default)]
pub struct Packer {
    bytes: Vec<u8>,
    last: String,
    sums: Vec<Sum>,
}

impl Packer {
    /// Adds a file.
    ///
    /// # Errors
    ///
    /// Its path does not go down, is too long or out of order; the archive would be too large.
    pub fn add(&mut self, path: &str, content: &[u8]) -> Result<(), ArchiveError> {
        self.put(path, content)?;
        self.sums.push(Sum::of(path, content));
        Ok(())
    }

    fn put(&mut self, path: &str, content: &[u8]) -> Result<(), ArchiveError> {
        check_path(path)?;
        if path <= self.last.as_str() {
            return Err(wrong(format!("`{}` comes before `{path}`: entries are sorted, each once", shown(&self.last))));
        }
        let room = ARCHIVE_BYTES.saturating_sub(self.bytes.len() + 3 * BLOCK);
        if content.len() > room || self.sums.len() >= ENTRIES {
            let what =
                format!("an archive has at most {ARCHIVE_BYTES} bytes and {ENTRIES} entries; `{path}` is too much");
            return Err(wrong(what));
        }
        self.bytes.extend_from_slice(&header(path, content.len())?);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        path.clone_into(&mut self.last);
        Ok(())
    }

    /// Ends it with its manifest, which names all entries.
    ///
    /// # Errors
    ///
    /// As for [`Packer::add`].
    pub fn finish(mut self, mut manifest: Manifest) -> Result<Vec<u8>, ArchiveError> {
        manifest.entries = std::mem::take(&mut self.sums);
        self.put(Manifest::PATH, manifest.write()?.as_bytes())?;
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        Ok(self.bytes)
    }
}

/// Reads an archive whole, and holds it against its manifest.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn unpack(bytes: &[u8]) -> Result<(Manifest, Entries<'_>), ArchiveError> {
    if bytes.len() > ARCHIVE_BYTES {
        return Err(wrong(format!("it is larger than {ARCHIVE_BYTES} bytes")));
    }
    is_packed_again(bytes)?;
    let mut entries = Entries::new();
    let mut at = 0;
    while let Some((path, content, end)) = entry(bytes, at)? {
        if entries.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(wrong(format!("at byte {at}: `{}` is out of order, or there twice", shown(&path))));
        }
        if entries.len() > ENTRIES {
            return Err(wrong(format!("it has more than {ENTRIES} entries")));
        }
        entries.insert(path, content);
        at = end;
    }
    let manifest = entries.remove(Manifest::PATH).ok_or_else(|| wrong("it has no manifest.json"))?;
    let manifest = Manifest::read(manifest)?;
    manifest.check(&entries)?;
    Ok((manifest, entries))
}

/// Says what to do with an archive that was packed again.
fn is_packed_again(bytes: &[u8]) -> Result<(), ArchiveError> {
    let packers = [
        (b"\x28\xb5\x2f\xfd".as_slice(), "zstd", "zstd -d"),
        (b"\x1f\x8b", "gzip", "gunzip"),
        (b"\xfd7zXZ", "xz", "unxz"),
        (b"PK\x03\x04", "zip", "unzip"),
    ];
    match packers.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        Some((_, name, undo)) => Err(wrong(format!("it is packed with {name}; unpack it first: {undo} FILE"))),
        None => Ok(()),
    }
}

/// An entry's path, its content, and where the next one begins.
type Found<'a> = (String, &'a [u8], usize);

/// Reads the entry at `at`; `None` at the end.
fn entry(bytes: &[u8], at: usize) -> Result<Option<Found<'_>>, ArchiveError> {
    let cut = || wrong(format!("it ends at byte {}, in the middle of an entry", bytes.len()));
    let head = bytes.get(at..at + BLOCK).ok_or_else(cut)?;
    if head.iter().all(|byte| *byte == 0) {
        let rest = bytes.get(at + BLOCK..).unwrap_or_default();
        let is_end = rest.len() == BLOCK && rest.iter().all(|byte| *byte == 0);
        return if is_end { Ok(None) } else { Err(wrong(format!("at byte {at}: it does not end as it must"))) };
    }
    let (path, size) = plain(head).map_err(|why| wrong(format!("at byte {at}: {why}")))?;
    let content = at + BLOCK..(at + BLOCK).checked_add(size).ok_or_else(cut)?;
    let end = content.end.checked_next_multiple_of(BLOCK).ok_or_else(cut)?;
    let filling = bytes.get(content.end..end).ok_or_else(cut)?;
    if filling.iter().any(|byte| *byte != 0) {
        return Err(wrong(format!("at byte {}: something hides behind `{}`", content.end, shown(&path))));
    }
    Ok(Some((path, bytes.get(content).ok_or_else(cut)?, end)))
}

/// Reads a header that is exactly as [`header`] writes it.
fn plain(head: &[u8]) -> Result<(String, usize), ArchiveError> {
    let kind = head.get(156).copied().unwrap_or_default();
    let kinds = [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'5', "a folder"),
        (b'6', "a pipe"),
    ];
    if let Some((_, what)) = kinds.iter().find(|(known, _)| *known == kind) {
        return Err(wrong(format!("the entry is {what}; an archive of Outlive holds plain files only")));
    }
    let foreign = || wrong("the header of the entry is not one that Outlive writes");
    let field = |at: usize, length: usize| head.get(at..at + length).and_then(text).ok_or_else(foreign);
    let (name, prefix) = (field(0, NAME_BYTES)?, field(345, PREFIX_BYTES)?);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    let digits = head.get(124..135).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(foreign)?;
    let size = usize::from_str_radix(digits, 8).map_err(|_| foreign())?;
    check_path(&path)?;
    if header(&path, size)?.as_slice() == head { Ok((path, size)) } else { Err(foreign()) }
}

/// Reads a text that a NUL ends, or its field.
fn text(bytes: &[u8]) -> Option<&str> {
    bytes.split(|byte| *byte == 0).next().and_then(|text| std::str::from_utf8(text).ok())
}

/// Bytes of a path's two fields in a header: a long path is parted at a slash, the first that leaves a name that fits.
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

fn parted(path: &str) -> Result<(&str, &str), ArchiveError> {
    if path.len() <= NAME_BYTES {
        return Ok(("", path));
    }
    let slashes = path.match_indices('/').filter_map(|(at, _)| Some((path.get(..at)?, path.get(at + 1..)?)));
    let mut fitting = slashes.filter(|(prefix, name)| prefix.len() <= PREFIX_BYTES && name.len() <= NAME_BYTES);
    fitting.next().ok_or_else(|| wrong(format!("`{}` is too long a path for an archive", shown(path))))
}

/// Returns the one header of a file: owner 0, time 0, mode 0644.
fn header(path: &str, size: usize) -> Result<[u8; BLOCK], ArchiveError> {
    let mut head = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        if let Some(room) = head.get_mut(at..at + text.len()) {
            room.copy_from_slice(text);
        }
    };
    let (prefix, name) = parted(path)?;
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(room) = head.get_mut(148..156) {
        room.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(head)
}

/// Refuses a path that would not stay below where it is unpacked.
fn check_path(path: &str) -> Result<(), ArchiveError> {
    let goes_down = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let is_plain = !path.contains('\\') && !path.chars().any(char::is_control);
    if goes_down && is_plain && path.split('/').count() <= DEPTH {
        Ok(())
    } else {
        Err(wrong(format!("`{}` is not a path that goes down into the archive", shown(path))))
    }
}

/// What an error repeats of a text from outside.
fn shown(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
