//! Run inside a sandbox before the command, and then becomes it: limits, Landlock, a filter of system calls.
//!
//! It does not start threads and reads nothing of an environment. What it sets holds for the command and all that descends
//! from it; nothing takes it back.

#![expect(clippy::disallowed_methods, reason = "it becomes the command that it confines")]

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Limits, door, filter};

/// The word that makes a program this one.
pub const WORD: &str = "sandbox-exec";
/// Exit code where the command was not started, since it could not be confined.
pub const UNCONFINED: u8 = 126;

/// What holds for a command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// Folders that may be written, beside the sandbox's own.
    pub write: Vec<PathBuf>,
    pub limits: Bounds,
    /// Whether a way to a granted network is to be opened.
    pub door: bool,
}

/// What one process may take.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bounds {
    memory_bytes: u64,
    processes: u64,
    file_bytes: u64,
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        let Limits { memory_bytes, processes, file_bytes, .. } = limits;
        Self { memory_bytes, processes, file_bytes }
    }
}

/// Returns what the program is given before the command.
pub(super) fn arguments(confinement: &Confinement) -> Result<[OsString; 3], String> {
    let text =
        serde_json::to_string(confinement).map_err(|error| format!("a granted folder has no UTF-8 name: {error}"))?;
    Ok([WORD.into(), text.into(), "--".into()])
}

/// Confines this process and becomes the command, if it was started for that. Call it first in `main`. Returns the exit
/// code if it was, and could not.
#[must_use]
pub fn entered(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.nth(1).is_none_or(|word| word != WORD) {
        return None;
    }
    let why = confined(arguments);
    // Without anybody who reads it, the exit code says it.
    drop(std::io::stderr().write_all(format!("sandbox: {why}\n").as_bytes()));
    Some(ExitCode::from(UNCONFINED))
}

/// Returns why there is no command.
fn confined(mut arguments: impl Iterator<Item = OsString>) -> String {
    let given = arguments.next().and_then(|text| text.into_string().ok()).unwrap_or_default();
    let (Ok(confinement), Some(_dashes), Some(program)) =
        (serde_json::from_str::<Confinement>(&given), arguments.next(), arguments.next())
    else {
        return format!("`{WORD}` is not for people");
    };
    let opened = if confinement.door { door::open(Path::new(door::INSIDE)) } else { Ok(()) };
    match opened
        .and_then(|()| limit(&confinement.limits))
        .and_then(|()| fence(&confinement.write))
        .and_then(|()| filter::apply())
    {
        Ok(()) => {
            let error = Command::new(&program).args(arguments).exec();
            format!("`{}` cannot be started: {error}", program.display())
        }
        Err(why) => why,
    }
}

fn limit(bounds: &Bounds) -> Result<(), String> {
    let limits = [
        (Resource::Data, bounds.memory_bytes),
        (Resource::Nproc, bounds.processes),
        (Resource::Fsize, bounds.file_bytes),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |already| most.min(already));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| format!("a limit cannot be set: {error}"))?;
    }
    Ok(())
}

/// What every sandbox has of its own, and may be written.
const OWN: [&str; 4] = ["/tmp", "/var/tmp", "/run", "/dev"];

/// Landlock as far as this kernel has it: the mounts say the same; it holds where a mount would not.
fn fence(write: &[PathBuf]) -> Result<(), String> {
    let abi = ABI::V9;
    let all = AccessFs::from_all(abi);
    let fenced = || -> Result<(), Box<dyn std::error::Error>> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::from_all(abi))?
            .create()?;
        rules = rules.add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(abi)))?;
        let own = OWN.iter().map(|folder| (PathBuf::from(folder), all));
        // Whoever listens in a granted folder may be somebody outside.
        let granted = write.iter().map(|folder| (folder.clone(), all & !AccessFs::ResolveUnix));
        for (folder, access) in own.chain(granted) {
            // What is not there can be given to nobody.
            let Ok(opened) = PathFd::new(&folder) else { continue };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
        rules.restrict_self()?;
        Ok(())
    };
    fenced().map_err(|error| format!("Landlock refuses: {error}"))
}
