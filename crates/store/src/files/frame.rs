//! One append in the commit log: a header of 64 bytes, then the journal's exact lines, each with its newline.
//!
//! | bytes | what (little endian) |
//! |---|---|
//! | 0..4 | length of the body |
//! | 4..8 | CRC-32C over bytes 8.. of the header and the body |
//! | 8..16 | position: 1, 2, 3 … over all segments |
//! | 16..20 | start: offset of the first frame that was written and synced together with this one |
//! | 20..24 | attempt: counts the writes to this segment, failed ones too |
//! | 24..32 | segment: the number in the name of its file; any other number is that of an earlier life of the file |
//! | 32..48 | journal |
//! | 48..56 | seq of the first line |
//! | 56..60 | number of lines |
//! | 60..64 | kind: 1 lines, 2 the journal was removed, 3 erased: the body is zeros, and counts for nothing |
//!
//! Invariants: one batch is synced before the next one is written, so a good frame whose batch starts beyond a bad frame
//! proves that the bad one was acknowledged. What a refused write left behind has an attempt that no good frame before it
//! has, and does not count.

use outlive_core::id::{Seq, SessionId};

pub(super) const HEADER: usize = 64;
/// No frame is larger: what claims to be is garbage.
pub(super) const BODY_MAX: usize = 64 << 20;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Lines,
    Removed,
    Erased,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Lines => 1,
            Self::Removed => 2,
            Self::Erased => 3,
        }
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) position: u64,
    pub(super) start: u32,
    pub(super) attempt: u32,
    pub(super) segment: u64,
    pub(super) journal: SessionId,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) kind: Kind,
}

/// Appends a frame to a buffer.
pub(super) fn write<'a>(buffer: &mut Vec<u8>, head: &Head, lines: impl Iterator<Item = &'a str>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&head.position.to_le_bytes());
    buffer.extend_from_slice(&head.start.to_le_bytes());
    buffer.extend_from_slice(&head.attempt.to_le_bytes());
    buffer.extend_from_slice(&head.segment.to_le_bytes());
    buffer.extend_from_slice(&head.journal.bits().to_le_bytes());
    buffer.extend_from_slice(&head.first.to_le_bytes());
    buffer.extend_from_slice(&head.count.to_le_bytes());
    buffer.extend_from_slice(&head.kind.number().to_le_bytes());
    for line in lines {
        buffer.extend_from_slice(line.as_bytes());
        buffer.push(b'\n');
    }
    seal(buffer, start);
}

/// Writes length and checksum of the frame that begins at `start` and ends the buffer.
fn seal(buffer: &mut [u8], start: usize) {
    let body = u32::try_from(buffer.len() - start - HEADER).unwrap_or(u32::MAX);
    let crc = crc32c::crc32c(buffer.get(start + 8..).unwrap_or_default());
    if let Some(slot) = buffer.get_mut(start..start + 4) {
        slot.copy_from_slice(&body.to_le_bytes());
    }
    if let Some(slot) = buffer.get_mut(start + 4..start + 8) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Reads the frame at the beginning of these bytes: its header, its body. `None` where there is no whole, good frame.
pub(super) fn read(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let header = bytes.get(..HEADER)?;
    let length = usize::try_from(u32_at(header, 0)?).ok().filter(|length| *length <= BODY_MAX)?;
    let body = bytes.get(HEADER..HEADER + length)?;
    let kind = match u32_at(header, 60)? {
        1 => Kind::Lines,
        2 => Kind::Removed,
        3 => Kind::Erased,
        _ => return None,
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c(header.get(8..)?), body);
    if crc != u32_at(header, 4)? {
        return None;
    }
    let journal = u128::from_le_bytes(header.get(32..48)?.try_into().ok()?);
    let head = Head {
        position: u64_at(header, 8)?,
        start: u32_at(header, 16)?,
        attempt: u32_at(header, 20)?,
        segment: u64_at(header, 24)?,
        journal: SessionId::from_bits(journal),
        first: u64_at(header, 48)?,
        count: u32_at(header, 56)?,
        kind,
    };
    Some((head, body))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Returns a segment in which these frames are erased, and in which nothing is left that is no frame of its
/// life: not a torn tail, not what an earlier life of the file left.
pub(super) fn erased(bytes: &[u8], segment: u64, is_doomed: impl Fn(&Head) -> bool) -> Vec<u8> {
    let mut clean = vec![0; bytes.len()];
    for (head, body) in scan(bytes, segment).frames {
        let whole = body.start - HEADER..body.end;
        let mut frame = bytes.get(whole.clone()).unwrap_or_default().to_vec();
        if is_doomed(&head) {
            frame.truncate(HEADER - 4);
            frame.extend_from_slice(&Kind::Erased.number().to_le_bytes());
            frame.resize(whole.len(), 0);
            seal(&mut frame, 0);
        }
        if let Some(room) = clean.get_mut(whole) {
            room.copy_from_slice(&frame);
        }
    }
    clean
}

/// What the live part of a segment holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Good frames in order, as offset and length of each.
    pub(super) frames: Vec<(Head, std::ops::Range<usize>)>,
    /// Where the good frames end.
    pub(super) end: usize,
    /// Whether a later batch's frame lies beyond a bad one: acknowledged frames were damaged.
    pub damaged: bool,
}

/// Reads the segment with this number from its beginning.
///
/// Total: no bytes make it panic. What follows the last good frame is a torn tail, stale, or zero.
#[must_use]
pub fn scan(bytes: &[u8], segment: u64) -> Scan {
    let mut scan = Scan::default();
    let mut resumed = false;
    loop {
        let live = read(bytes.get(scan.end..).unwrap_or_default()).filter(|(head, _)| head.segment == segment);
        match live {
            Some((head, body)) if resumed || scan.continues(&head) => {
                let start = scan.end + HEADER;
                scan.end = start + body.len();
                scan.frames.push((head, start..scan.end));
                resumed = false;
            }
            Some(_) | None => match scan.resume(bytes, segment) {
                Some(at) => (scan.end, scan.damaged, resumed) = (at, true, true),
                None => return scan,
            },
        }
    }
}

impl Scan {
    /// Says whether a frame at the end of the good ones goes on from them.
    fn continues(&self, head: &Head) -> bool {
        let begins = usize::try_from(head.start).ok() == Some(self.end);
        match self.frames.last() {
            None => begins,
            Some((last, _)) => {
                let joins = begins || (head.start, head.attempt) == (last.start, last.attempt);
                joins && last.position.checked_add(1) == Some(head.position)
            }
        }
    }

    /// Looks beyond a bad frame for where good ones go on: only if one of them proves that the bad one was acknowledged.
    fn resume(&self, bytes: &[u8], segment: u64) -> Option<usize> {
        // A tail of zeros is the usual case, and quickly told.
        let used = self.end + bytes.get(self.end..)?.iter().rposition(|byte| *byte != 0)? + 1;
        let after = self.frames.last().map_or(0, |(last, _)| last.position);
        let number = segment.to_le_bytes();
        let mut first = None;
        for at in self.end + 1..used {
            if bytes.get(at + 24..at + 32) != Some(number.as_slice()) {
                continue;
            }
            let good = read(bytes.get(at..).unwrap_or_default());
            if let Some((head, _)) = good.filter(|(head, _)| head.segment == segment && head.position > after) {
                first = first.or(Some(at));
                if usize::try_from(head.start).is_ok_and(|start| start > self.end) {
                    return first;
                }
            }
        }
        None
    }

    /// Returns where the last batch begins: it may be written and not synced.
    pub(super) fn last_batch(&self) -> usize {
        let last = self.frames.last().map(|(head, _)| (head.start, head.attempt));
        let first = self.frames.iter().find(|(head, _)| Some((head.start, head.attempt)) == last);
        first.map_or(self.end, |(_, range)| range.start - HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(bytes: &mut Vec<u8>, position: u64, (start, attempt, segment): (u32, u32, u64)) {
        let journal = SessionId::from_bits(u128::from(position));
        let head = Head { position, start, attempt, segment, journal, first: 1, count: 1, kind: Kind::Lines };
        write(bytes, &head, ["{\"seq\":1}"].into_iter());
    }

    /// Frames in a segment, as positions and the position that their batch begins with.
    fn segment(segment: u64, frames: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut start = 0;
        for (position, batch) in frames {
            if position == batch {
                start = u32::try_from(bytes.len()).unwrap();
            }
            add(&mut bytes, *position, (start, 1, segment));
        }
        bytes
    }

    fn found(bytes: &[u8], segment: u64) -> (Vec<u64>, bool) {
        let scan = scan(bytes, segment);
        (scan.frames.iter().map(|(head, _)| head.position).collect(), scan.damaged)
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_the_frames_before_it() {
        let bytes = segment(1, &[(7, 7), (8, 8), (9, 9)]);
        let frame = bytes.len() / 3;
        for cut in 0..=bytes.len() {
            let (positions, damaged) = found(&bytes[..cut], 1);
            assert_eq!((positions.len(), damaged), (cut / frame, false), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_only_its_own_frame() {
        let bytes = segment(1, &[(7, 7), (8, 8), (9, 9)]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The last batch is a torn tail; any other frame is a hole, and the frames around it count.
            let frame = 7 + (bit / 8 / (bytes.len() / 3)) as u64;
            let expected = [7, 8, 9].into_iter().filter(|position| *position != frame).collect();
            assert_eq!(found(&flipped, 1), (expected, frame != 9), "bit {bit}");
        }
    }

    #[test]
    fn stale_frames_of_a_recycled_segment_are_not_live() {
        let mut bytes = segment(1, &[(3, 3), (4, 4), (5, 5)]);
        assert_eq!(found(&bytes, 2), (vec![], false));
        let fresh = segment(2, &[(6, 6)]);
        bytes[..fresh.len()].copy_from_slice(&fresh);
        assert_eq!(found(&bytes, 2), (vec![6], false));
    }

    #[test]
    fn what_a_refused_batch_left_behind_never_counts() {
        let mut bytes = segment(1, &[(1, 1), (2, 1), (3, 1)]);
        let mut again = Vec::new();
        add(&mut again, 1, (0, 2, 1));
        bytes[..again.len()].copy_from_slice(&again);
        assert_eq!(found(&bytes, 1), (vec![1], false));
        bytes[..again.len()].fill(0);
        assert_eq!(found(&bytes, 1), (vec![], false));
    }

    #[test]
    fn a_torn_batch_is_no_damage_and_a_hole_before_a_later_batch_is() {
        let zero = |mut bytes: Vec<u8>, frame: usize| {
            let size = bytes.len() / 3;
            bytes[frame * size..(frame + 1) * size].fill(0);
            bytes
        };
        assert_eq!(found(&zero(segment(1, &[(1, 1), (2, 2), (3, 2)]), 1), 1), (vec![1], false));
        assert_eq!(found(&zero(segment(1, &[(1, 1), (2, 2), (3, 3)]), 1), 1), (vec![1, 3], true));
        assert_eq!(found(&zero(segment(1, &[(1, 1), (2, 1), (3, 3)]), 0), 1), (vec![2, 3], true));
    }

    #[test]
    fn erasing_leaves_all_frames_in_their_places_and_of_the_doomed_only_zeros() {
        let mut bytes = segment(2, &[(7, 7), (8, 8), (9, 8), (10, 10)]);
        let frame = bytes.len() / 4;
        bytes.extend_from_slice(&segment(1, &[(3, 3)]));
        let clean = erased(&bytes, 2, |head| [8, 10].contains(&head.journal.bits()));
        assert_eq!((found(&clean, 2), clean.len()), ((vec![7, 8, 9, 10], false), bytes.len()));
        let kinds: Vec<Kind> = scan(&clean, 2).frames.iter().map(|(head, _)| head.kind).collect();
        assert_eq!(kinds, [Kind::Lines, Kind::Erased, Kind::Lines, Kind::Erased]);
        assert_eq!(clean.windows(5).filter(|window| window == b"\"seq\"").count(), 2);
        for kept in [0, 2] {
            assert_eq!(clean[kept * frame..(kept + 1) * frame], bytes[kept * frame..(kept + 1) * frame]);
        }
        assert_eq!(erased(&clean, 2, |_| false), clean);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_scanner_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512)) {
            drop((scan(&bytes, 0), scan(&bytes, 1)));
        }
    }
}
