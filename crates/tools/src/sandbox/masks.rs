//! What no command in a sandbox may see: secrets of the machine and of its user, and sockets that lead out.
//!
//! A socket with a name is reached through the file system, whatever the network is: those of other processes are covered.
//! One that is made later in a place that commands see is not.

#![expect(clippy::disallowed_methods, reason = "`/proc` is no storage: it is how sockets are seen")]

use std::path::{Path, PathBuf};

use super::Wrapping;
use super::bubblewrap::PRIVATE;

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
    let named = wrapping.environment.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let homes: Vec<PathBuf> = named.into_iter().chain(own_home()).collect();
    let of_home = homes.iter().flat_map(|home| HOME.iter().map(|name| home.join(name)));
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
