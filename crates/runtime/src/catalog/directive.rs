//! The directive that tells an agent how to use its memory: made where memory is on and none is there. A person may write it
//! anew, or leave it empty.

use outlive_core::agent::{Files, WORKSPACE, files_digest, own_files};
use outlive_core::id::AgentName;
use outlive_core::memory::{DIRECTIVE, DIRECTIVE_PATH};
use outlive_store::{AgentFolders, Changed, Expected};

/// Adds it to an agent's files, on disk too; says whether it was added. Where it cannot be written it holds all the same.
pub(super) fn add(folders: &dyn AgentFolders, name: &AgentName, files: &mut Files) -> bool {
    if files.contains_key(DIRECTIVE_PATH) || files.contains_key(&format!("{WORKSPACE}{DIRECTIVE_PATH}")) {
        return false;
    }
    let mut own = own_files(files.clone());
    let expected = Expected::Digest(files_digest(&own));
    own.insert(DIRECTIVE_PATH.to_owned(), DIRECTIVE.as_bytes().to_vec());
    files.insert(DIRECTIVE_PATH.to_owned(), DIRECTIVE.as_bytes().to_vec());
    match folders.change(name, Some(own), expected) {
        Ok(Changed::Done { .. }) => {}
        Ok(Changed::Stale) => tracing::warn!(agent = %name, "changed while its directive for the memory was made"),
        Err(error) => tracing::warn!(agent = %name, %error, "the directive for the memory cannot be written"),
    }
    true
}
