//! One append in the commit log: a header of 64 bytes, then the journal's exact lines, each with its newline.
//!
//! | bytes | what (little endian) |
//! |---|---|
//! | 0..4 | length of the body |
//! | 4..8 | CRC-32C over bytes 8.. of the header and the body |
//! | 8..16 | position: 1, 2, 3 … over all segments |
//! | 16..24 | batch: position of the first frame that was written and synced together with this one |
//! | 24..32 | generation: the epoch of the process that wrote it |
//! | 32..48 | journal |
//! | 48..56 | seq of the first line |
//! | 56..60 | number of lines |
//! | 60..64 | kind: 1 lines, 2 the journal was removed |

use outlive_core::id::{Seq, SessionId};

pub(super) const HEADER: usize = 64;
/// No frame is larger: what claims to be is garbage.
pub(super) const BODY_MAX: usize = 64 << 20;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Lines,
    Removed,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) position: u64,
    pub(super) batch: u64,
    pub(super) generation: u64,
    pub(super) journal: SessionId,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) kind: Kind,
}

/// Appends a frame to a buffer.
pub(super) fn write<'a>(buffer: &mut Vec<u8>, head: &Head, lines: impl Iterator<Item = &'a str>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    for number in [head.position, head.batch, head.generation] {
        buffer.extend_from_slice(&number.to_le_bytes());
    }
    buffer.extend_from_slice(&head.journal.bits().to_le_bytes());
    buffer.extend_from_slice(&head.first.to_le_bytes());
    buffer.extend_from_slice(&head.count.to_le_bytes());
    let kind: u32 = if head.kind == Kind::Lines { 1 } else { 2 };
    buffer.extend_from_slice(&kind.to_le_bytes());
    for line in lines {
        buffer.extend_from_slice(line.as_bytes());
        buffer.push(b'\n');
    }
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
        _ => return None,
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c(header.get(8..)?), body);
    if crc != u32_at(header, 4)? {
        return None;
    }
    let journal = u128::from_le_bytes(header.get(32..48)?.try_into().ok()?);
    let head = Head {
        position: u64_at(header, 8)?,
        batch: u64_at(header, 16)?,
        generation: u64_at(header, 24)?,
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

/// Reads a segment from its beginning. `expected` is the position that its first frame must have; `None` takes any.
///
/// Total: no bytes make it panic. What follows the last good frame is a torn tail, stale, or zero.
#[must_use]
pub fn scan(bytes: &[u8], expected: Option<u64>) -> Scan {
    let mut scan = Scan::default();
    let mut next = expected;
    loop {
        let at = if scan.damaged { find_later(bytes, scan.end, next) } else { Some(scan.end) };
        let Some(at) = at else { return scan };
        match read(bytes.get(at..).unwrap_or_default()) {
            Some((head, body)) if next.is_none_or(|next| head.position == next || scan.damaged) => {
                let start = at + HEADER;
                scan.end = start + body.len();
                next = Some(head.position + 1);
                scan.frames.push((head, start..scan.end));
            }
            Some(_) | None if scan.damaged => scan.end = at + 1,
            Some(_) | None => {
                if find_later(bytes, scan.end, next).is_none() {
                    return scan;
                }
                scan.damaged = true;
            }
        }
    }
}

/// Looks beyond a bad frame for a good one of a later batch: its batch was synced after the bad one's was.
fn find_later(bytes: &[u8], from: usize, next: Option<u64>) -> Option<usize> {
    let next = next?;
    let rest = bytes.get(from..)?;
    // A tail of zeros is the usual case, and quickly told.
    let used = from + rest.iter().rposition(|byte| *byte != 0)? + 1;
    (from..used).find(|at| {
        let near = bytes.get(at + 8..at + 16).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let plausible = near.is_some_and(|position| position > next && position - next < 1 << 20);
        plausible && read(bytes.get(*at..).unwrap_or_default()).is_some_and(|(head, _)| head.batch > next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(frames: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (position, batch) in frames {
            let journal = SessionId::from_bits(u128::from(*position));
            let head = Head { position: *position, batch: *batch, generation: 1, journal, first: 1, count: 1, kind: Kind::Lines };
            write(&mut bytes, &head, ["{\"seq\":1}"].into_iter());
        }
        bytes
    }

    fn positions(scan: &Scan) -> Vec<u64> {
        scan.frames.iter().map(|(head, _)| head.position).collect()
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_the_frames_before_it() {
        let bytes = log(&[(7, 7), (8, 8), (9, 9)]);
        let frame = bytes.len() / 3;
        for cut in 0..=bytes.len() {
            let found = scan(&bytes[..cut], Some(7));
            assert_eq!((found.frames.len(), found.damaged), (cut / frame, false), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_never_makes_a_frame_that_was_not_written() {
        let bytes = log(&[(7, 7), (8, 7), (9, 9)]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let found = scan(&flipped, Some(7));
            assert!(found.frames.iter().all(|(head, range)| read(&bytes[range.start - HEADER..]).unwrap().0 == *head));
            // Frame 8 is of the batch of 7: beyond a bad 7 only 9 is known to have been synced later.
            let expected = [vec![9], vec![7, 9], vec![7, 8]];
            assert_eq!(positions(&found), expected[bit / 8 / (bytes.len() / 3)], "bit {bit}");
        }
    }

    #[test]
    fn stale_frames_of_a_recycled_segment_are_not_live() {
        let mut bytes = log(&[(3, 3), (4, 4), (5, 5)]);
        let fresh = log(&[(9, 9)]);
        bytes[..fresh.len()].copy_from_slice(&fresh);
        assert_eq!(positions(&scan(&bytes, Some(9))), [9]);
    }

    #[test]
    fn a_torn_batch_is_no_damage_and_a_hole_before_a_later_batch_is() {
        let zero = |bytes: &mut Vec<u8>, frame: usize| {
            let size = bytes.len() / 3;
            bytes[frame * size..(frame + 1) * size].fill(0);
        };
        let mut torn = log(&[(1, 1), (2, 2), (3, 2)]);
        zero(&mut torn, 1);
        assert_eq!((positions(&scan(&torn, Some(1))), scan(&torn, Some(1)).damaged), (vec![1], false));
        let mut hole = log(&[(1, 1), (2, 2), (3, 3)]);
        zero(&mut hole, 1);
        assert_eq!((positions(&scan(&hole, Some(1))), scan(&hole, Some(1)).damaged), (vec![1, 3], true));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_scanner_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512)) {
            drop((scan(&bytes, None), scan(&bytes, Some(1))));
        }
    }
}
