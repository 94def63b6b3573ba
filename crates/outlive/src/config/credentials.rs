//! What systemd hands to a service without showing it to anybody else: files in `CREDENTIALS_DIRECTORY`, named as the
//! variables are that they stand for.

use std::io::Read as _;
use std::path::Path;

/// A key is not longer.
const BYTES: u64 = 64 << 10;

/// Returns a variable that is a credential, without the line end that an editor left.
pub fn credential(name: &str) -> Option<String> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    from(Path::new(&folder), name)
}

fn from(folder: &Path, name: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(folder.join(name)).ok()?.take(BYTES).read_to_string(&mut text).ok()?;
    let text = text.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_named_as_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("SOME_KEY"), "abc\n").unwrap();
        std::fs::write(folder.path().join("NONE"), "\n").unwrap();
        let check = |name: &str, value: Option<&str>| assert_eq!(from(folder.path(), name).as_deref(), value, "{name}");
        check("SOME_KEY", Some("abc"));
        check("NONE", None);
        check("OTHER", None);
        check("../SOME_KEY", None);
        check("", None);
    }
}
