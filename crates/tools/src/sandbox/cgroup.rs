//! Bounds the memory and the processes of all of one command together, where the machine lets us make cgroups.
//!
//! They are made beside our own one: below it, version 2 would not let us. Where that is not allowed the limits of each
//! process are what there is, and `doctor` says so.

#![expect(clippy::disallowed_methods, reason = "cgroups are files of the kernel")]

use std::fs;
use std::path::{Path, PathBuf};

use outlive_core::id::CallId;

use super::Limits;

const MOUNT: &str = "/sys/fs/cgroup";

/// The cgroups of one command. Dropped, they are removed, once all in them have ended.
#[derive(Debug)]
pub(crate) struct Cage(Vec<PathBuf>);

impl Cage {
    /// Puts a process that waits, and so all that descends from it, under limits.
    pub fn around(pid: i32, call: CallId, limits: Limits) -> Self {
        let memory = limits.memory_bytes.to_string();
        let processes = limits.processes.to_string();
        let mut made = Vec::new();
        for (folder, files) in places(&memory, &processes) {
            let folder = folder.join(name(call));
            let entered = fs::create_dir(&folder).and_then(|()| {
                files.iter().try_for_each(|(file, value)| fs::write(folder.join(file), value))?;
                // A kernel that counts no swap has no such file.
                drop(fs::write(folder.join("memory.swap.max"), "0"));
                fs::write(folder.join("cgroup.procs"), pid.to_string())
            });
            match entered {
                Ok(()) => made.push(folder),
                Err(_not_allowed) => drop(fs::remove_dir(&folder)),
            }
        }
        Self(made)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // One that still holds a process stays: the next start removes it.
        self.0.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Removes what a dead server's call left.
pub(crate) fn remove(call: CallId) {
    places("", "").iter().for_each(|(folder, _)| drop(fs::remove_dir(folder.join(name(call)))));
}

fn name(call: CallId) -> String {
    format!("outlive-{call}")
}

type Files<'a> = Vec<(&'static str, &'a str)>;

/// Where cgroups of ours would be, and what is written into each.
fn places<'a>(memory: &'a str, processes: &'a str) -> Vec<(PathBuf, Files<'a>)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = |controller: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            let path = parts.next()?;
            let is_it = controllers.split(',').any(|one| one == controller);
            is_it.then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let beside = |mount: &Path, own: &str| mount.join(Path::new(own).parent().unwrap_or(Path::new("")));
    let mount = Path::new(MOUNT);
    let (old_memory, old_processes) = (path("memory"), path("pids"));
    if old_memory.is_none() && old_processes.is_none() {
        let Some(own) = path("") else { return Vec::new() };
        let files = vec![("memory.max", memory), ("pids.max", processes)];
        return vec![(beside(mount, &own), files)];
    }
    let mut places = Vec::new();
    if let Some(own) = old_memory {
        places.push((beside(&mount.join("memory"), &own), vec![("memory.limit_in_bytes", memory)]));
    }
    if let Some(own) = old_processes {
        places.push((beside(&mount.join("pids"), &own), vec![("pids.max", processes)]));
    }
    places
}
