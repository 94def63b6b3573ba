//! A line of a journal: no bytes make the reader panic, and what it reads writes back to the same bytes' meaning.

use outlive_core::event::Line;
use outlive_core::session::State;

pub fn run(bytes: &[u8]) {
    // A seal that fits lets the fuzzer past the checksum, to what a checksum does not protect against.
    let sealed = [bytes, format!(",\"crc\":\"{:08x}\"}}", crc32c::crc32c(bytes)).as_bytes()].concat();
    for bytes in [bytes, &sealed] {
        let Ok(line) = Line::check(bytes) else { continue };
        let Ok(entry) = line.read() else { continue };
        let again = Line::write(&entry).expect("what was read can be written");
        assert_eq!(again.read().expect("what was written can be read"), entry);
        State::default().apply(&entry);
    }
}
