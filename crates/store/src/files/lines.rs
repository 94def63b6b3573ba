//! Finds lines in a journal's file without reading all of it: seqs only grow, so a position is found by halving.

use std::io;

use outlive_core::event::Line;
use outlive_core::id::Seq;
use outlive_core::limits::LINE_BYTES;

use super::fs::DiskFile;

const CHUNK: usize = 64 << 10;

/// The end of a file's good lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    /// Seq of the last good line; 0 if there is none.
    pub(super) seq: Seq,
    /// Where that line ends, newline included.
    pub(super) end: u64,
    /// Lines after it that are whole and not good: damage, for what a crash tears has no end.
    pub(super) bad_lines: usize,
}

/// Reads backwards until a good line is found.
pub(super) fn last(file: &dyn DiskFile, length: u64) -> io::Result<Last> {
    let mut size = CHUNK as u64;
    loop {
        let from = length.saturating_sub(size);
        let bytes = read(file, from, length)?;
        // Unless the chunk begins the file, its first piece may be half a line.
        let skipped = if from == 0 { 0 } else { newline(&bytes, 0).unwrap_or(bytes.len()) };
        let mut found = Last { seq: 0, end: 0, bad_lines: 0 };
        let mut at = skipped;
        while at < bytes.len() {
            let end = newline(&bytes, at).unwrap_or(bytes.len());
            let whole = bytes.get(end.saturating_sub(1)) == Some(&b'\n');
            let line = bytes.get(at..end.saturating_sub(usize::from(whole))).unwrap_or_default();
            match Line::check(line) {
                Ok(line) if whole => found = Last { seq: line.seq(), end: from + end as u64, bad_lines: 0 },
                Ok(_) | Err(_) => found.bad_lines += usize::from(whole),
            }
            at = end;
        }
        if found.end > 0 || from == 0 {
            return Ok(found);
        }
        size = size.saturating_mul(4);
    }
}

/// Returns the offset of the first line whose seq is above `after`, among good lines; `length` if there is none.
pub(super) fn find(file: &dyn DiskFile, length: u64, after: Seq) -> io::Result<u64> {
    let (mut low, mut high) = (0, length);
    // Below `low` every line is at most `after`; the line that begins at or after `high` is above it.
    while high - low > CHUNK as u64 {
        let middle = low + (high - low) / 2;
        match line_from(file, middle, high)? {
            Some((_, end, seq)) if seq <= after => low = end,
            Some(_) | None => high = middle,
        }
    }
    let mut at = low;
    while at < length {
        match line_from(file, at, length)? {
            Some((start, _, seq)) if seq > after => return Ok(start),
            Some((_, end, _)) => at = end,
            None => return Ok(at),
        }
    }
    Ok(length)
}

/// Returns the seq of a file's first line; `None` if there is none, or no good one.
pub(super) fn first(file: &dyn DiskFile, length: u64) -> io::Result<Option<Seq>> {
    Ok(line_from(file, 0, length)?.map(|(_, _, seq)| seq))
}

/// Returns start, end and seq of the first whole, good line that begins at `at` or after the next newline.
fn line_from(file: &dyn DiskFile, at: u64, until: u64) -> io::Result<Option<(u64, u64, Seq)>> {
    let mut size = CHUNK as u64;
    loop {
        let from = at.saturating_sub(1);
        let to = (at + size).min(until.max(at));
        let bytes = read(file, from, to)?;
        let start = if at == 0 { Some(0) } else { newline(&bytes, 0) };
        if let Some(start) = start
            && let Some(end) = newline(&bytes, start)
        {
            let line = bytes.get(start..end - 1).unwrap_or_default();
            let seq = Line::check(line).map(|line| line.seq()).ok();
            return Ok(seq.map(|seq| (from + start as u64, from + end as u64, seq)));
        }
        if to >= until || size > 2 * LINE_BYTES as u64 {
            return Ok(None);
        }
        size = size.saturating_mul(4);
    }
}

/// Reads whole lines from an offset, up to `limit` of them. The error has the seq of the last good one before the first bad
/// one (0 if there is none), and what is wrong with that.
pub(super) fn lines(
    file: &dyn DiskFile,
    from: u64,
    length: u64,
    limit: usize,
) -> io::Result<Result<Vec<Line>, (Seq, String)>> {
    let mut lines = Vec::new();
    let bad = |lines: &[Line], why: String| Ok(Err((lines.last().map_or(0, Line::seq), why)));
    let mut at = from;
    let mut size = CHUNK as u64;
    while at < length && lines.len() < limit {
        let bytes = read(file, at, (at + size).min(length))?;
        let mut used = 0;
        while lines.len() < limit
            && let Some(end) = newline(&bytes, used)
        {
            match Line::check(bytes.get(used..end - 1).unwrap_or_default()) {
                Ok(line) => lines.push(line),
                Err(error) => return bad(&lines, error.to_string()),
            }
            used = end;
        }
        if used == 0 && at + size >= length {
            return bad(&lines, "line has no end".to_owned());
        }
        size = if used == 0 { size * 4 } else { (CHUNK as u64) * 8 };
        at += used as u64;
    }
    Ok(Ok(lines))
}

fn newline(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().position(|byte| *byte == b'\n').map(|at| from + at + 1)
}

fn read(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
    let read = file.read_at(from, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
