//! The older part of a long journal: segments `events-0001.jsonl.zst`, `events-0002.jsonl.zst` … beside `events.jsonl`, which
//! goes on where they end.
//!
//! A segment is two frames as zstd defines them: a skippable one, which says in JSON which events the segment holds, and its
//! lines, compressed, with a checksum. Every zstd tool skips the first and gives the lines.
//!
//! Invariants: segments are numbered from 1 in the order of their events and join without a gap; none is changed but by a scrub. An
//! event may be in a segment and in `events.jsonl`, if a process died in between: it is the same one.
//!
//! Damage is an [`io::ErrorKind::InvalidData`]; every other error is the system's.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::Seq;
use outlive_core::limits::LINE_BYTES;
use serde::{Deserialize, Serialize};

use super::fs::{Disk, Open, read_all};

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    /// Seq of its first event.
    pub(super) first: Seq,
    /// Seq of its last event.
    pub(super) last: Seq,
    /// Bytes of its lines, newlines included.
    pub(super) bytes: u64,
}

/// What marks a skippable frame, little endian; the frame's length follows in four bytes.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
const FRAME: usize = 8;
/// No range is longer in JSON.
const RANGE_BYTES: usize = 256;
/// Lines of a segment are at most so long together: what says more is damaged.
pub(super) const BYTES: u64 = 4 * LINE_BYTES as u64;
/// No seq is as high.
const SEQS: Seq = 1 << 62;
const LEVEL: i32 = 3;

pub(super) fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

pub(super) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Returns the number of the segment that has this name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("events-")?.strip_suffix(".jsonl.zst")?;
    digits.parse().ok().filter(|_| digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns where the segment with this number lies.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(name(number))
}

/// Returns the name of the segment with this number.
pub(super) fn name(number: u64) -> String {
    format!("events-{number:04}.jsonl.zst")
}

/// Returns the numbers of a journal's segments, sorted. A journal that is not there has none.
pub(super) fn segments(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<u64>> {
    match numbers(disk, folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn numbers(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = disk.list(folder)?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the last event that is in a segment; 0 if there is none.
pub(super) fn last(disk: &dyn Disk, folder: &Path) -> io::Result<Seq> {
    match segments(disk, folder)?.last() {
        Some(number) => Ok(range(disk, &path(folder, *number))?.last),
        None => Ok(0),
    }
}

/// Returns the bytes of a segment that holds these lines.
pub(super) fn encoded(range: Range, lines: &[u8]) -> io::Result<Vec<u8>> {
    let mut head = serde_json::to_vec(&range)?;
    head.push(b'\n');
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let compressed = compressor.compress(lines)?;
    let length = u32::try_from(head.len()).map_err(io::Error::other)?;
    Ok([&SKIPPABLE[..], &length.to_le_bytes(), &head, &compressed].concat())
}

/// Reads what a segment says of itself.
pub(super) fn range(disk: &dyn Disk, path: &Path) -> io::Result<Range> {
    let mut head = vec![0; FRAME + RANGE_BYTES];
    let read = disk.open(path, Open::Read)?.read_at(0, &mut head)?;
    head.truncate(read);
    range_in(&head)
}

fn range_in(bytes: &[u8]) -> io::Result<Range> {
    let none = || damaged("it does not say at its beginning which events it holds");
    let length = bytes.strip_prefix(&SKIPPABLE).and_then(|rest| rest.first_chunk()).ok_or_else(none)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let json = bytes.get(FRAME..FRAME + length.min(RANGE_BYTES)).ok_or_else(none)?;
    let range: Range = serde_json::from_slice(json).map_err(|_| none())?;
    let Range { first, last, bytes } = range;
    // No line is empty.
    let fits = first > 0 && last >= first && last < SEQS && last - first < bytes && bytes <= BYTES;
    if fits { Ok(range) } else { Err(none()) }
}

/// Reads a segment's lines, as bytes, and what it says of itself. That the one fits the other, and no more, is checked.
pub(super) fn whole(disk: &dyn Disk, path: &Path) -> io::Result<(Range, Vec<u8>)> {
    let bytes = read_all(disk, path, 2 * BYTES)?;
    let range = range_in(&bytes)?;
    let room = usize::try_from(range.bytes).unwrap_or(usize::MAX);
    let lines = zstd::bulk::decompress(&bytes, room).map_err(|error| damaged(format!("cannot be read: {error}")))?;
    let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    if lines.len() as u64 != range.bytes || count != range.last - range.first + 1 || lines.last() != Some(&b'\n') {
        let (bytes, Range { first, last, .. }) = (lines.len(), range);
        return Err(damaged(format!("holds {count} lines, {bytes} bytes, which are not events {first} to {last}")));
    }
    Ok((range, lines))
}

/// Reads what can be read of a segment, damaged or not, piece by piece. Says what is wrong with the rest.
pub(super) fn salvage(disk: &dyn Disk, path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let bytes = read_all(disk, path, u64::MAX)?;
    let mut lines = zstd::stream::read::Decoder::new(&bytes[..])?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match lines.read(&mut piece).map_err(|error| damaged(error.to_string()))? {
            0 => return Ok(()),
            read => take(piece.get(..read).unwrap_or_default()),
        }
    }
}

/// Returns the rest of these lines after so many of them.
pub(super) fn after_lines(lines: &[u8], count: u64) -> &[u8] {
    let mut rest = lines;
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        rest = rest.get(end..).unwrap_or_default();
    }
    rest
}

/// What a segment says of itself, and its lines.
pub(super) type Whole = (Range, Arc<Vec<u8>>);

/// Returns up to `limit` lines after `after`, as far as the segments go; `whole` reads one. The error says up to which event
/// they are good, and what is wrong with the next one. A journal that went away meanwhile is not found.
pub(super) fn read(
    disk: &dyn Disk,
    folder: &Path,
    (after, limit): (Seq, usize),
    whole: impl Fn(u64, &Path) -> io::Result<Whole>,
) -> io::Result<Result<Vec<Line>, (Seq, String)>> {
    let numbers = numbers(disk, folder)?;
    let mut found = Vec::new();
    let mut at = match first_above(disk, folder, (&numbers, after)) {
        Err(error) if is_damage(&error) => first_among(disk, folder, (&numbers, after))?,
        at => at?,
    };
    while found.len() < limit
        && let Some(number) = numbers.get(at)
    {
        let head = after + found.len() as Seq;
        let taken = |(range, lines): Whole| taken(range, &lines, (head, limit - found.len()));
        match whole(*number, &path(folder, *number)).and_then(taken) {
            Ok(lines) => found.extend(lines),
            Err(error) if is_damage(&error) => return Ok(Err((head, format!("{}: {error}", name(*number))))),
            Err(error) => return Err(error),
        }
        at += 1;
    }
    Ok(Ok(found))
}

/// Returns the place of the first segment that ends after this event, found by halving.
fn first_above(disk: &dyn Disk, folder: &Path, (numbers, after): (&[u64], Seq)) -> io::Result<usize> {
    let (mut low, mut high) = (0, numbers.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let number = numbers.get(middle).copied().unwrap_or_default();
        if range(disk, &path(folder, number))?.last > after { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

/// Returns the place of the segment that has the event after this one, where some are damaged; if none says that it has, the
/// place of the first damaged one.
fn first_among(disk: &dyn Disk, folder: &Path, (numbers, after): (&[u64], Seq)) -> io::Result<usize> {
    let mut broken = None;
    for (at, number) in numbers.iter().enumerate() {
        match range(disk, &path(folder, *number)) {
            Ok(range) if (range.first..=range.last).contains(&(after + 1)) => return Ok(at),
            Ok(_) => {}
            Err(error) if is_damage(&error) => broken = broken.or(Some(at)),
            Err(error) => return Err(error),
        }
    }
    Ok(broken.unwrap_or(numbers.len()))
}

/// Returns lines of a segment that follow this event.
fn taken(range: Range, lines: &[u8], (head, limit): (Seq, usize)) -> io::Result<Vec<Line>> {
    if range.first > head + 1 {
        return Err(damaged(format!("begins with event {}, and event {} is in none before it", range.first, head + 1)));
    }
    let rest = after_lines(lines, head + 1 - range.first);
    let lines = rest.split_inclusive(|byte| *byte == b'\n').take(limit);
    lines.zip(head + 1..).map(|(text, expected)| good(text, expected)).collect()
}

/// Checks a line with its newline.
pub(super) fn good(text: &[u8], expected: Seq) -> io::Result<Line> {
    let text = text.strip_suffix(b"\n").ok_or_else(|| damaged("line has no end"))?;
    let line = Line::check(text).map_err(|error| damaged(format!("event {expected}: {error}")))?;
    if line.seq() == expected { Ok(line) } else { Err(damaged(format!("event {expected} has seq {}", line.seq()))) }
}
