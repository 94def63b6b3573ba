//! A streamed reply in the ollama dialect: whatever bytes a server sends, it is a reply or a failure in words.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(failure) = outlive_model::ollama::parse_stream(bytes) {
        assert!(!failure.message.is_empty());
    }
});
