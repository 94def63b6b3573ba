//! Keys, passwords and tokens: from a variable, from the file that its `_FILE` variant names, or from what systemd hands to
//! a service without showing it to anybody else: files in `CREDENTIALS_DIRECTORY`, named as the variables are that they stand
//! for.
//!
//! Invariant: what is said of one names its variable and its file, never its value.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use outlive_core::secret::Secret;
use outlive_runtime::catalog::Credentials;

/// A key is not longer.
const BYTES: u64 = 64 << 10;
/// Others than the owner may write it.
const WRITABLE: u32 = 0o022;
/// Others than the owner may read it.
const READABLE: u32 = 0o044;

/// The environment of this process, and the files that stand for a part of it.
#[derive(Default)]
pub struct Environment {
    /// Files that values were read from.
    read: Mutex<BTreeSet<PathBuf>>,
}

impl Credentials for Environment {
    fn get(&self, variable: &str) -> Result<Option<Secret>, String> {
        if let Some(path) = set(&file_variable(variable)) {
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.into());
        }
        secret(variable)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Returns a secret by the name of its variable.
///
/// # Errors
///
/// Two places have it, or its file cannot be taken.
pub fn secret(name: &str) -> Result<Option<Secret>, String> {
    match named(name, &set)? {
        Some(value) => Ok(Some(value)),
        None => Ok(credential(name).map(Secret::new)),
    }
}

/// Says what a person should know of the file in which a secret is.
pub fn flaw(name: &str) -> Option<String> {
    let path = set(&file_variable(name))?;
    let mode = std::fs::metadata(&path).ok()?.mode() & 0o777;
    let said = format!("{} names `{path}`, which others can read (mode {mode:o}): chmod 600 it", file_variable(name));
    (mode & READABLE != 0).then_some(said)
}

/// Returns a variable that is a credential, without the line end that an editor left.
pub fn credential(name: &str) -> Option<String> {
    from(Path::new(&set("CREDENTIALS_DIRECTORY")?), name)
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn file_variable(name: &str) -> String {
    format!("{name}_FILE")
}

fn named(name: &str, set: &dyn Fn(&str) -> Option<String>) -> Result<Option<Secret>, String> {
    let file = file_variable(name);
    match (set(name), set(&file)) {
        (Some(_), Some(_)) => Err(format!("{name} and {file} are both set: keep one of them")),
        (Some(value), None) => Ok(Some(Secret::new(value))),
        (None, Some(path)) => read(Path::new(&path)).map(Some).map_err(|why| format!("{file}: `{path}` {why}")),
        (None, None) => Ok(None),
    }
}

/// Reads a file that only its owner can change.
fn read(path: &Path) -> Result<Secret, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    // A pipe that nobody writes to would hold this up for ever.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() || found.len() > BYTES {
        return Err(format!("is no file of at most {BYTES} bytes"));
    }
    let mode = found.mode() & 0o777;
    if mode & WRITABLE != 0 {
        return Err(format!("can be written by others (mode {mode:o}): chmod 600 it"));
    }
    if mode & READABLE != 0 {
        tracing::warn!(path = %path.display(), "a file with a key can be read by others: chmod 600 it");
    }
    let text = text(file).ok_or("holds no text")?;
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Secret::new(text)) }
}

/// Reads a key, without the one line end that an editor left.
fn text(file: File) -> Option<String> {
    let mut text = String::new();
    file.take(BYTES).read_to_string(&mut text).ok()?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Some(text)
}

fn from(folder: &Path, name: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    text(File::open(folder.join(name)).ok()?).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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

    #[test]
    fn a_key_is_in_its_variable_or_in_the_file_that_its_variant_names_and_not_in_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let key = |plain: Option<&str>, path: Option<String>| {
            let set = |name: &str| match name {
                "KEY" => plain.map(str::to_owned),
                "KEY_FILE" => path.clone(),
                _ => None,
            };
            named("KEY", &set).map(|secret| secret.map(|secret| secret.reveal().to_owned()))
        };
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!((key(None, None), key(Some("v"), None)), (Ok(None), some("v")));
        assert_eq!(key(None, Some(file("a", "in a file\n", 0o600))), some("in a file"));
        assert_eq!(key(None, Some(file("b", " two \n\n", 0o400))), some(" two \n"), "one line end");
        assert_eq!(key(None, Some(file("c", "shared", 0o444))), some("shared"), "as Docker mounts them");
        let path = file("d", "loose", 0o620);
        let why = format!("KEY_FILE: `{path}` can be written by others (mode 620): chmod 600 it");
        assert_eq!(key(None, Some(path)), Err(why));
        assert_eq!(key(Some("v"), Some("/x".into())), Err("KEY and KEY_FILE are both set: keep one of them".into()));
        for (path, why) in [
            (file("e", "", 0o600), "is empty"),
            (folder.path().display().to_string(), "is no file of at most 65536 bytes"),
            (folder.path().join("missing").display().to_string(), "cannot be read: No such file or directory"),
        ] {
            let said = key(None, Some(path)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
