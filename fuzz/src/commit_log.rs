//! A segment of the commit log: no bytes make the scanner panic.

use outlive_store::files::frame::scan;

const HEADER: usize = 64;

pub fn run(bytes: &[u8]) {
    drop(scan(bytes, 1));
    drop(scan(&sealed(bytes), 1));
}

/// Gives each frame a checksum that fits: that lets the fuzzer past it, to what it does not protect against.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(length) = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes) {
        let end = at + HEADER + length as usize;
        let Some(frame) = bytes.get_mut(at..end) else { break };
        let crc = crc32c::crc32c(&frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
    bytes
}
