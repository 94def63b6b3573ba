//! Where a path really leads, and whether a call may go there.
//!
//! A path is resolved to the one real name of what it means: absolute, no symbolic link, no `.` or `..`, also where the end
//! does not exist yet. What was resolved is opened without following any link ([`open`]), so that a link put in its place
//! between the check and the use is met as an error.
//!
//! Invariants: a path that leads beyond the roots is refused unless it is written as its real name, so that what a person
//! approved is what is opened. What is protected is recognized by its identity too, not by its spelling alone.

pub mod open;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use outlive_core::policy::Reach;

use crate::Place;

/// What no call may read either, where it is protected: the server's token, and logins to servers of tools.
const SECRET: [&str; 2] = ["token", crate::mcp::oauth::file::FOLDER];

/// What a call wants with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// To look.
    Read,
    /// To change.
    Write,
}

/// A path that was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The one real name.
    pub path: PathBuf,
    /// The same, as text.
    pub name: String,
    /// Where it lies.
    pub reach: Reach,
}

/// Symbolic links that one path may go through.
const LINKS: usize = 40;

/// Resolves `given` from the place's working folder.
///
/// # Errors
///
/// Why no call may use that path, for the model: it names the path and the way out.
pub fn resolve(place: &Place, given: &str, want: Want) -> Result<Resolved, String> {
    if given.is_empty() {
        return Err("the path is empty: name a file".to_owned());
    }
    if given.chars().any(char::is_control) {
        return Err(format!(
            "{given:?} has control characters, which no path here may have: use `bash` for such a file"
        ));
    }
    let asked = place.cwd.join(given);
    let path = follow(&asked).map_err(|why| format!("`{given}` cannot be resolved: {why}"))?;
    let name = path.to_str().filter(|name| !name.chars().any(char::is_control)).map(str::to_owned);
    let name =
        name.ok_or_else(|| format!("`{given}` leads to a name that is not plain text: use `bash` for such a file"))?;
    let reach = reach(place, &path, want);
    if reach == Reach::Beyond && plain(&asked) != path {
        return Err(format!(
            "`{given}` leads out of the workspace, to `{name}`: give that path itself, so that it can be ruled on"
        ));
    }
    Ok(Resolved { path, name, reach })
}

/// Drops `.` and doubled slashes; `..` stays, since it may cross a link.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

fn follow(path: &Path) -> Result<PathBuf, String> {
    let mut todo: Vec<OsString> = Vec::new();
    let push = |todo: &mut Vec<OsString>, path: &Path| {
        todo.extend(path.components().rev().map(|part| part.as_os_str().to_owned()));
    };
    push(&mut todo, path);
    let mut real = PathBuf::from("/");
    let (mut links, mut missing) = (0, false);
    while let Some(part) = todo.pop() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(name)) => {
                let next = real.join(name);
                match std::fs::symlink_metadata(&next) {
                    Ok(found) if found.is_symlink() => {
                        links += 1;
                        if links > LINKS {
                            return Err("it goes through too many symbolic links".to_owned());
                        }
                        let target = std::fs::read_link(&next).map_err(|error| error.to_string())?;
                        push(&mut todo, &target);
                        continue;
                    }
                    Ok(_found) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing = true,
                    Err(error) => return Err(error.to_string()),
                }
                real = next;
            }
            Some(Component::ParentDir) if missing => return Err("`..` follows a folder that does not exist".to_owned()),
            Some(Component::ParentDir) => {
                real.pop();
            }
            Some(Component::RootDir) => (real, missing) = (PathBuf::from("/"), false),
            Some(Component::CurDir | Component::Prefix(_)) | None => {}
        }
    }
    Ok(real)
}

/// Says where a resolved path lies.
#[must_use]
pub fn reach(place: &Place, path: &Path, want: Want) -> Reach {
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|folder| path.starts_with(folder));
    if (kernel && !path.starts_with("/dev/shm")) || is_protected(place, path, want) {
        return Reach::Forbidden;
    }
    let within = place.roots.iter().any(|root| follow(root).is_ok_and(|root| path.starts_with(root)));
    if within { Reach::Within } else { Reach::Beyond }
}

fn is_protected(place: &Place, path: &Path, want: Want) -> bool {
    let is_token = |item: &&PathBuf| item.file_name().is_some_and(|name| SECRET.iter().any(|secret| name == *secret));
    let items = place.protected.iter().filter(|item| want == Want::Write || is_token(item));
    let identities: Vec<(u64, u64)> = path.ancestors().filter_map(identity).collect();
    items.into_iter().any(|item| {
        let real = follow(item).unwrap_or_else(|_| item.clone());
        // On a file system that folds case another spelling is the same file, also before it exists.
        folded(path).starts_with(folded(&real)) || identity(&real).is_some_and(|it| identities.contains(&it))
    })
}

fn folded(path: &Path) -> PathBuf {
    PathBuf::from(path.to_string_lossy().to_lowercase())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
