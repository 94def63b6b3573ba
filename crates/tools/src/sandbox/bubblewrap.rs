//! The namespaces and mounts of one command, as arguments for `bwrap`.
//!
//! Mounts are made in their order, and a later one covers an earlier one: the system, read-only; what is private; views of
//! home folders; what may be written; then what is protected; then what is hidden, but for what is shown of it. So no grant
//! uncovers anything.
//!
//! Invariants: `bwrap` itself is started with the command's short environment, since process 1 inside shows its own. The
//! network is never shared: abstract sockets and the server's port come with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::door::{self, Door};
use super::masks::{self, View};
use super::{Launch, Wrapping, confine};
use crate::exec;

/// Where the program that confines from within is seen.
const CONFINER: &str = "/run/outlive/confine";
/// Time for bubblewrap to show that it works.
const PROBE: Duration = Duration::from_secs(10);

/// Folders of which each command has its own, empty ones.
pub(super) const PRIVATE: [&str; 3] = ["/tmp", "/var/tmp", "/run"];

/// Returns how this program is started in a sandbox.
pub(super) fn launch(wrapping: &Wrapping<'_>, program: Vec<OsString>) -> Result<Launch, String> {
    let bwrap = find(wrapping.environment)?;
    let confiner = wrapping.confiner.ok_or("the program that confines from within is not known")?;
    if !confiner.is_file() {
        return Err(format!(
            "`{}` is not there any more, and the sandbox needs it: start the server again",
            confiner.display()
        ));
    }
    let granted = wrapping.granted()?;
    let mut walls = Walls(vec![bwrap.into()]);
    walls.namespaces();
    walls.system(wrapping, confiner);
    let views = masks::views(wrapping, &granted);
    views.iter().for_each(|view| walls.view(view));
    granted.iter().for_each(|folder| walls.bind("--bind", folder));
    let protected = existing(&wrapping.place.protected);
    let hidden = masks::hidden(wrapping, &granted);
    let cwd = &wrapping.place.cwd;
    let cwd = &cwd.canonicalize().map_err(|error| format!("`{}` cannot be worked in: {error}", cwd.display()))?;
    if let Some(folder) = hidden.iter().find(|folder| cwd.starts_with(folder)) {
        let (cwd, folder) = (cwd.display(), folder.display());
        return Err(format!("the working folder `{cwd}` lies in `{folder}`, which no command may see: work elsewhere"));
    }
    between(&granted, protected.iter().chain(&hidden)).iter().for_each(|folder| walls.bind("--bind", folder));
    protected.iter().for_each(|path| walls.bind("--ro-bind", path));
    hidden.iter().for_each(|path| walls.hide(path));
    existing(&wrapping.sandbox.shown).iter().for_each(|path| walls.bind("--ro-bind", path));
    // Not before: what is mounted in a view needs a place there.
    views.iter().for_each(|view| walls.add(["--remount-ro".as_ref(), view.folder.as_os_str()]));
    let door = wrapping.sandbox.network.clone().map(Door::to).transpose()?;
    if let Some(door) = &door {
        walls.add(["--ro-bind".as_ref(), door.path().as_os_str(), door::INSIDE.as_ref()]);
    }
    walls.add(["--chdir".as_ref(), cwd.as_os_str(), "--".as_ref(), CONFINER.as_ref()]);
    let limits = wrapping.sandbox.limits;
    walls.0.extend(confine::arguments(&confine::Confinement {
        write: granted,
        limits: limits.into(),
        door: door.is_some(),
    })?);
    walls.0.extend(program);
    let mut environment = wrapping.environment.clone();
    environment.insert("TMPDIR".to_owned(), "/tmp".to_owned());
    if door.is_some() {
        environment.extend(Door::environment());
    }
    Ok(Launch { argv: walls.0, environment, door })
}

/// Really starts something in it, as commands are started.
pub(super) async fn probe(wrapping: &Wrapping<'_>) -> Result<(), String> {
    let launch = launch(wrapping, vec!["true".into()])?;
    let ran = exec::try_out(&launch, PROBE).await.map_err(|why| format!("bubblewrap {why}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = said.trim().lines().last().unwrap_or("it says nothing").to_owned();
    Err(format!("bubblewrap does not work here ({said})"))
}

pub(super) fn find(environment: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let places = path.split(':').filter(|folder| folder.starts_with('/')).map(|folder| Path::new(folder).join("bwrap"));
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    let missing = || "`bwrap` is not installed (`apt-get install bubblewrap`)".to_owned();
    places.into_iter().find(is_program).ok_or_else(missing)
}

/// Real names of those that are there. What is not there needs no wall: its folder has one, or may be written.
pub(super) fn existing(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter_map(|path| path.canonicalize().ok()).collect()
}

/// Each folder between a granted one and what is kept from it. Made a mount of its own it cannot be renamed, and another put in
/// its place.
pub(super) fn between<'a>(granted: &[PathBuf], kept: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut between: Vec<PathBuf> = Vec::new();
    for path in kept {
        let above = path.ancestors().skip(1).map(Path::to_owned);
        between.extend(above.filter(|folder| granted.iter().any(|root| folder.starts_with(root) && folder != root)));
    }
    between.sort();
    between.dedup();
    between
}

struct Walls(Vec<OsString>);

impl Walls {
    fn add<'a>(&mut self, arguments: impl IntoIterator<Item = &'a std::ffi::OsStr>) {
        self.0.extend(arguments.into_iter().map(std::ffi::OsStr::to_owned));
    }

    fn words(&mut self, arguments: &[&str]) {
        self.0.extend(arguments.iter().map(OsString::from));
    }

    fn bind(&mut self, how: &str, path: &Path) {
        self.add([how.as_ref(), path.as_os_str(), path.as_os_str()]);
    }

    fn namespaces(&mut self) {
        self.words(&["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]);
        self.words(&["--unshare-cgroup-try", "--cap-drop", "ALL", "--hostname", "sandbox"]);
    }

    fn system(&mut self, wrapping: &Wrapping<'_>, confiner: &Path) {
        // Settings of the kernel belong to root there, who is root here too where the server runs as root.
        self.words(&["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--remount-ro", "/proc"]);
        let size = wrapping.sandbox.limits.scratch_bytes.to_string();
        for folder in PRIVATE.iter().filter(|folder| is_folder(Path::new(folder))) {
            self.words(&["--size", &size, "--tmpfs", folder]);
        }
        self.add(["--ro-bind".as_ref(), confiner.as_os_str(), CONFINER.as_ref()]);
    }

    fn view(&mut self, view: &View) {
        self.add(["--tmpfs".as_ref(), view.folder.as_os_str()]);
        for path in &view.shown {
            match path.read_link() {
                Ok(to) => self.add(["--symlink".as_ref(), to.as_os_str(), path.as_os_str()]),
                // Gone meanwhile: nothing is shown.
                Err(_no_link) => self.bind("--ro-bind-try", path),
            }
        }
    }

    fn hide(&mut self, path: &Path) {
        if is_folder(path) {
            self.add(["--perms".as_ref(), "0500".as_ref(), "--tmpfs".as_ref(), path.as_os_str()]);
        } else {
            self.add(["--ro-bind".as_ref(), "/dev/null".as_ref(), path.as_os_str()]);
        }
    }
}

/// A folder itself, no link to one: bubblewrap mounts nothing on a link.
pub(super) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}
