//! The workspace: its folder, disk, configuration, token, server and port.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use outlive_store::files::lock;

use super::Check;
use crate::client;
use crate::config::{self, Workspace};

pub(super) async fn checks(place: &Workspace) -> Vec<Check> {
    let mut checks = vec![folder(place)];
    checks.extend(disk(&place.root));
    checks.extend([kind(&place.root), configuration(place), prices(place), token(place)]);
    checks.extend(erasures(&place.root));
    checks.extend(server(place).await);
    checks
}

fn folder(place: &Workspace) -> Check {
    let root = place.root.display();
    if let Err(error) = outlive_store::workspace::make(&place.root) {
        let fix = "make it writable for this user, or name another folder with --workspace";
        return Check::wrong("workspace", format!("{root}: {error}"), fix);
    }
    let Ok(found) = std::fs::metadata(&place.root) else {
        return Check::wrong("workspace", format!("{root} cannot be read"), "make it readable for this user");
    };
    let user = rustix::process::getuid().as_raw();
    if found.uid() != user {
        let (owner, fix) = (found.uid(), format!("run as that user, or `chown -R {user} {root}`"));
        return Check::warning("workspace", format!("{root} belongs to user {owner}, and this is user {user}"), fix);
    }
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o777;
        let said = format!("{root} is open to other users (mode {mode:o}): they may read what was said");
        return Check::warning("workspace", said, format!("chmod 700 {root}"));
    }
    Check::ok("workspace", format!("{root}, for its owner alone; tools work in {}", place.cwd.display()))
}

/// Below the first it is wrong, below the second a warning.
const BYTES: (u64, u64) = (100 << 20, 1 << 30);
const INODES: (u64, u64) = (1_000, 10_000);

fn disk(root: &Path) -> Vec<Check> {
    let Ok(found) = rustix::fs::statvfs(root) else { return Vec::new() };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let space = format!("{} MiB free", free >> 20);
    let fix = "make room: until then appends are refused, reading goes on, and nothing is lost";
    let mut checks = vec![level("disk space", space, (free, BYTES), fix)];
    // Some file systems have no fixed number of them.
    if found.f_files > 0 {
        let inodes = format!("{} files can be made", found.f_favail);
        checks.push(level("disk inodes", inodes, (found.f_favail, INODES), "remove files: each session needs a few"));
    }
    checks
}

/// What was to be deleted for good, and is not gone yet.
fn erasures(root: &Path) -> Option<Check> {
    let left = outlive_store::workspace::unfinished(root).ok().filter(|left| !left.is_empty())?;
    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
    let said = format!("something is left in files of {}, deleted for good", left.join(", "));
    let fix = "make room, or see what the log says; it goes on at the next start, and with the next deletion for good";
    Some(Check::warning("erasure", said, fix))
}

fn level(what: &str, found: String, (free, (least, enough)): (u64, (u64, u64)), fix: &str) -> Check {
    match free {
        free if free < least => Check::wrong(what, found, fix),
        free if free < enough => Check::warning(what, found, fix),
        _ => Check::ok(what, found),
    }
}

/// File systems by their magic numbers, and what they do to a promise that something is on disk.
const RISKY: [(u64, &str, &str); 9] = [
    (0x0102_1994, "tmpfs", "is memory: all is gone when the machine stops"),
    (0x8584_58f6, "ramfs", "is memory: all is gone when the machine stops"),
    (0x794c_7630, "overlay", "is a container's own layer: it goes with the container; mount a volume"),
    (0x6969, "nfs", "may acknowledge a sync before it is done, and its locks are not to be relied on"),
    (0x517b, "smb", "may acknowledge a sync before it is done"),
    (0xff53_4d42, "cifs", "may acknowledge a sync before it is done"),
    (0xfe53_4d42, "smb2", "may acknowledge a sync before it is done"),
    (0x6573_5546, "fuse", "may acknowledge a sync before it is done: that is up to its program"),
    (0x0102_1997, "9p", "may acknowledge a sync before it is done: that is up to its host"),
];

fn kind(root: &Path) -> Check {
    let Ok(found) = rustix::fs::statfs(root) else { return Check::ok("file system", "cannot be told") };
    let magic = found.f_type as u64 & 0xffff_ffff;
    match RISKY.iter().find(|(risky, ..)| *risky == magic) {
        Some((_, name, why)) => {
            Check::warning("file system", format!("{name}: it {why}"), "keep the workspace on a local disk")
        }
        None => Check::ok("file system", format!("local (type {magic:#x})")),
    }
}

fn prices(place: &Workspace) -> Check {
    match config::models::ModelList::of(&place.root).now().warning {
        None => Check::ok("models.yaml", "good, or not there"),
        Some(warning) => Check::wrong("models.yaml", warning, "mend the line that it names"),
    }
}

fn configuration(place: &Workspace) -> Check {
    match place.config() {
        Ok(_) => Check::ok("outlive.yaml", "good, or not there"),
        Err(error) => Check::wrong("outlive.yaml", error.to_string(), "mend that line; no server starts before"),
    }
}

fn token(place: &Workspace) -> Check {
    let others = place.root.join("tokens.json");
    if std::fs::metadata(&others).is_ok_and(|found| found.mode() & 0o022 != 0) {
        let said = format!("{} can be written by other users: they could let themselves in", others.display());
        return Check::wrong("token", said, format!("look at it, then chmod 600 {}", others.display()));
    }
    if config::variable("OUTLIVE_TOKEN").is_some() {
        return Check::ok("token", "from OUTLIVE_TOKEN");
    }
    let path = place.root.join("token");
    if let Err(error) = place.make_token() {
        return Check::wrong("token", format!("{}: {error}", path.display()), "make the file readable for this user");
    }
    match std::fs::metadata(&path) {
        Ok(found) if found.mode() & 0o077 != 0 => {
            let said = format!("{} can be read by other users (mode {:o})", path.display(), found.mode() & 0o777);
            let fix = format!("remove it and restart the server, which makes another; or chmod 600 {}", path.display());
            Check::wrong("token", said, fix)
        }
        Ok(_) => Check::ok("token", "there, for its owner alone"),
        Err(error) => Check::wrong("token", error.to_string(), "make the workspace readable for this user"),
    }
}

/// Who owns the workspace, and where nobody does, whether a server could start.
async fn server(place: &Workspace) -> Vec<Check> {
    let run = place.root.join("run");
    let owner = lock::owner(&run);
    if !lock::is_owned(&run) {
        let found = match owner {
            Some(owner) => format!("does not run; the last one was process {}; commands start one", owner.pid),
            None => "does not run; commands start one".to_owned(),
        };
        return vec![Check::ok("server", found), port(place)];
    }
    let pid = owner.as_ref().map_or(0, |owner| owner.pid);
    let Some(address) = owner.and_then(|owner| owner.address) else {
        let fix = "wait a moment; `outlive logs` shows what it does";
        return vec![Check::warning("server", format!("process {pid} starts, or is stuck at it"), fix)];
    };
    let restart = "outlive serve --stop; the next command starts another";
    vec![match client::version(&address).await {
        None => Check::wrong(
            "server",
            format!("process {pid} owns the workspace and does not answer at {address}"),
            restart,
        ),
        Some(version) if version != env!("CARGO_PKG_VERSION") => {
            let said = format!("version {version} runs at http://{address}, and this is {}", env!("CARGO_PKG_VERSION"));
            Check::warning("server", said, restart)
        }
        Some(version) => Check::ok("server", format!("version {version} runs at http://{address}")),
    }]
}

fn port(place: &Workspace) -> Check {
    let Ok(config) = place.config() else { return Check::ok("port", "not tried: outlive.yaml is wrong") };
    let port = config.server.port.unwrap_or(super::super::listening::PORT);
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(_) => Check::ok("port", format!("{port} is free for `outlive serve`")),
        Err(error) => {
            let fix = "choose another: `outlive serve --port 0`, or server.port in outlive.yaml";
            Check::warning("port", format!("{port}: {error}"), fix)
        }
    }
}
