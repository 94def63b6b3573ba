//! A segment of the commit log: no bytes make the scanner panic, wherever it is told to begin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outlive_store::files::frame::scan;

fuzz_target!(|bytes: &[u8]| {
    scan(bytes, None);
    scan(bytes, Some(1));
});
