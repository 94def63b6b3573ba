//! What no command in a sandbox may see: secrets of the machine and of its user, and sockets that lead out.
//!
//! A mask on a file comes off when somebody outside puts another file in its place, and what is not there yet cannot be masked.
//! So of a home folder, and of each folder in it that holds a secret, a command gets a view of its own: what was there when it
//! started, but for secrets.
//!
//! A socket with a name is reached through the file system, whatever the network is: those of other processes are covered.
//! One that is made later in a place that commands see is not.

#![expect(clippy::disallowed_methods, reason = "`/proc` is no storage: it is how sockets are seen")]

use std::path::{Path, PathBuf};

use super::Wrapping;
use super::bubblewrap::{PRIVATE, is_folder};

/// Secrets of a machine: root reads them without any capability.
const MACHINE: [&str; 9] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/krb5.keytab",
    "/etc/wireguard",
];

/// Secrets of a user, from the home folder.
const HOME: [&str; 28] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".password-store",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/op",
    ".config/rclone",
    ".config/containers/auth.json",
    ".config/git/credentials",
    ".config/google-chrome",
    ".config/chromium",
    ".local/share/keyrings",
    ".mozilla",
    ".vault-token",
    ".terraform.d/credentials.tfrc.json",
];

/// Real names of all that is there and must not be seen.
pub(super) fn hidden(wrapping: &Wrapping<'_>, granted: &[PathBuf]) -> Vec<PathBuf> {
    let of_home = homes(wrapping).into_iter().flat_map(|home| HOME.iter().map(move |name| home.join(name)));
    let named = MACHINE.iter().map(PathBuf::from).chain(host_keys()).chain(of_home);
    let named = named.chain(wrapping.sandbox.hidden.iter().cloned()).chain(sockets(granted));
    let mut hidden: Vec<PathBuf> =
        named.filter_map(|path| path.canonicalize().ok()).filter(|path| is_seen(path)).collect();
    hidden.sort();
    hidden.dedup();
    // What lies in a folder that is hidden is hidden with it.
    let folders = hidden.clone();
    hidden.retain(|path| !path.ancestors().skip(1).any(|above| folders.iter().any(|folder| folder == above)));
    hidden
}

/// A folder of which a command sees its own view.
pub(super) struct View {
    pub folder: PathBuf,
    /// What is in it.
    pub shown: Vec<PathBuf>,
}

/// Returns the views of home folders, the outer ones first. Where one may be written there is none: what is written in a view
/// would be gone with the command.
pub(super) fn views(wrapping: &Wrapping<'_>, granted: &[PathBuf]) -> Vec<View> {
    let homes: Vec<PathBuf> = homes(wrapping).iter().filter_map(|home| home.canonicalize().ok()).collect();
    let of_home = |home: &PathBuf| HOME.iter().map(|name| home.join(name)).collect::<Vec<_>>();
    let secrets: Vec<PathBuf> = homes.iter().flat_map(of_home).collect();
    let above = secrets.iter().flat_map(|secret| secret.ancestors().skip(1));
    let is_private =
        |folder: &Path| PRIVATE.iter().chain(&["/dev", "/proc", "/sys"]).any(|own| folder.starts_with(own));
    let has_view = |folder: &&Path| {
        folder.parent().is_some()
            && homes.iter().any(|home| folder.starts_with(home))
            && !is_private(folder)
            && !granted.iter().any(|written| folder.starts_with(written))
            && is_folder(folder)
    };
    let mut folders: Vec<PathBuf> = above.filter(has_view).map(Path::to_owned).collect();
    folders.sort();
    folders.dedup();
    let is_shown = |path: &PathBuf| !secrets.contains(path) && !folders.contains(path);
    let view = |folder: &PathBuf| {
        // What we cannot list, a command cannot either.
        let listed = std::fs::read_dir(folder).ok()?;
        let shown = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(is_shown).collect();
        Some(View { folder: folder.clone(), shown })
    };
    folders.iter().filter_map(view).collect()
}

/// The home folder that a command is told, and that of our user.
fn homes(wrapping: &Wrapping<'_>) -> Vec<PathBuf> {
    let named = wrapping.environment.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    named.into_iter().chain(own_home()).collect()
}

/// Whether it can be reached at all in a sandbox.
fn is_seen(path: &Path) -> bool {
    !["/proc", "/dev", "/sys"].iter().any(|own| path.starts_with(own))
}

/// The home folder of our user, whatever the environment says or leaves out.
fn own_home() -> Option<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = rustix::process::getuid().as_raw().to_string();
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(&own))?;
    line.split(':').nth(5).map(PathBuf::from).filter(|home| home.is_absolute())
}

fn host_keys() -> Vec<PathBuf> {
    let Ok(listed) = std::fs::read_dir("/etc/ssh") else { return Vec::new() };
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.to_string_lossy().ends_with("_key")).collect()
}

/// Sockets with a name, but those in folders of which each command has its own.
fn sockets(granted: &[PathBuf]) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let named = table.lines().skip(1).filter_map(|line| line.find(" /").map(|at| PathBuf::from(&line[at + 1..])));
    let is_covered = |path: &Path| PRIVATE.iter().any(|own| path.starts_with(own));
    named.filter(|path| !is_covered(path) || granted.iter().any(|folder| path.starts_with(folder))).collect()
}
