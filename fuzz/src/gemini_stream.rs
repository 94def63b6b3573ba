//! A streamed reply in the gemini dialect: whatever bytes a server sends, it is a reply or a failure in words.

pub fn run(bytes: &[u8]) {
    if let Err(failure) = outlive_model::gemini::parse_stream(bytes) {
        assert!(!failure.message.is_empty());
    }
}
