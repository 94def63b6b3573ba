//! An archive: whatever bytes a file holds, it is an archive, written again the same, or refused in words.

use outlive_core::archive::{AgentArchive, SessionArchive, unpack};

pub fn run(bytes: &[u8]) {
    match AgentArchive::read(bytes) {
        Ok(archive) => assert_eq!(archive.write().expect("it was written before"), bytes),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if SessionArchive::read(bytes).is_ok() {
        assert!(unpack(bytes).is_ok());
    }
}
