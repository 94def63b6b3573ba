//! The machine: programs, limits, clock, terminal.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use outlive_runtime::clock::{Clock as _, SystemClock};
use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::config::{self, Workspace};

pub(super) fn checks(place: &Workspace) -> Vec<Check> {
    let mut checks = vec![clock(&place.root), files(), systemd(), terminal(), locale()];
    checks.extend(PROGRAMS.iter().map(program));
    checks
}

/// Seconds since 1970 at which this was written: a clock before that is not set.
const WRITTEN: i64 = 1_767_225_600;
/// Seconds by which files may seem to be ahead of the clock.
const SLACK: i64 = 60;

fn clock(root: &Path) -> Check {
    let now = SystemClock.now().micros() / 1_000_000;
    let fix = "set the clock (`timedatectl set-ntp true`): schedules and waits go by it";
    let newest = ["commit", "run", "sessions"].iter().filter_map(|name| std::fs::metadata(root.join(name)).ok());
    let newest = newest.map(|found| found.mtime()).max().unwrap_or(0);
    if now < WRITTEN {
        return Check::wrong("clock", "it stands before this version was made", fix);
    }
    if newest > now + SLACK {
        return Check::warning("clock", format!("the workspace's files are {} s ahead of it", newest - now), fix);
    }
    Check::ok("clock", "plausible, and not behind the workspace's files")
}

fn files() -> Check {
    let limit = getrlimit(Resource::Nofile).current;
    let shown = limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
    let found = format!("{shown} files may be open at once");
    let fix = "ulimit -n 65536, or LimitNOFILE= in the unit: each connection and each running call takes some";
    match limit {
        Some(limit) if limit < 256 => Check::wrong("open files", found, fix),
        Some(limit) if limit < 1_024 => Check::warning("open files", found, fix),
        Some(_) | None => Check::ok("open files", found),
    }
}

fn systemd() -> Check {
    let found = if Path::new("/run/systemd/system").is_dir() {
        "there: `outlive serve --unit` prints a unit that keeps a server up"
    } else {
        "not there: something else must start the server again after a crash or a reboot"
    };
    Check::ok("systemd", found)
}

fn terminal() -> Check {
    match config::variable("TERM") {
        Some(term) if term != "dumb" => Check::ok("terminal", term),
        Some(_) | None => Check::ok("terminal", "plain: `chat` prints lines without drawing"),
    }
}

fn locale() -> Check {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| config::variable(name)).unwrap_or_default();
    let folded = named.to_ascii_lowercase().replace('-', "");
    if folded.contains("utf8") {
        return Check::ok("locale", named);
    }
    let named = if named.is_empty() { "none".to_owned() } else { named };
    Check::warning("locale", format!("{named}: programs that tools run may garble letters"), "export LANG=C.UTF-8")
}

/// A program, what is lost without it, and whether that is all.
struct Program {
    name: &'static str,
    without: &'static str,
    package: &'static str,
    is_needed: bool,
}

const PROGRAMS: [Program; 5] = [
    Program { name: "bash", without: "the tool `bash` runs nothing", package: "bash", is_needed: true },
    Program { name: "git", without: "agents cannot look at or make commits", package: "git", is_needed: false },
    Program {
        name: "bwrap",
        without: "no sandbox of this kind: agents whose mode asks for one run no command",
        package: "bubblewrap",
        is_needed: false,
    },
    Program { name: "docker", without: "agents cannot start containers", package: "docker.io", is_needed: false },
    Program {
        name: "tmux",
        without: "agents have no terminal for programs that want one",
        package: "tmux",
        is_needed: false,
    },
];

fn program(program: &Program) -> Check {
    let fix = format!("apt-get install {}", program.package);
    match find(program.name) {
        Some(path) => Check::ok(program.name, path.display().to_string()),
        None if program.is_needed => Check::wrong(program.name, format!("missing: {}", program.without), fix),
        None => Check::warning(program.name, format!("not there: {}", program.without), fix),
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = config::variable("PATH")?;
    let mut places = path.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join(name));
    places.find(|path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}
