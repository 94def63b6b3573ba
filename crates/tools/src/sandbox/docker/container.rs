//! What container a command line gets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use outlive_core::id::CallId;
use serde_json::{Value, json};

use super::{CALL, HOUSE};
use crate::sandbox::bubblewrap::{between, existing};
use crate::sandbox::{Wrapping, masks};

/// Says what container a command line gets: nothing of the machine but what is granted.
pub(crate) fn container(
    wrapping: &Wrapping<'_>,
    program: &[OsString],
    call: CallId,
    house: &Path,
) -> Result<Value, String> {
    let granted = wrapping.granted()?;
    let cwd = &wrapping.place.cwd;
    if !granted.iter().any(|folder| cwd.starts_with(folder)) {
        return Err(format!(
            "the working folder `{}` is not granted, and a container has nothing else: add `workspace` to `write`",
            cwd.display()
        ));
    }
    let mounts = mounts(wrapping, &granted)?;
    let limits = wrapping.sandbox.limits;
    let given = ["LANG", "TZ", "TERM"].iter().filter_map(|name| wrapping.environment.get_key_value(*name));
    let granted = wrapping.granted.iter().map(|(name, secret)| (name, secret.reveal()));
    let given = given.map(|(name, value)| (name, value.as_str())).chain(granted);
    let environment: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
    let program: Vec<&str> = program
        .iter()
        .map(|part| part.to_str().ok_or("the command is not UTF-8, which a container's must be"))
        .collect::<Result<_, _>>()?;
    let user = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    Ok(json!({
        "Image": wrapping.sandbox.image(),
        "Cmd": program,
        "Env": environment,
        "WorkingDir": text(cwd)?,
        "User": format!("{}:{}", user.0, user.1),
        "Labels": {HOUSE: house.display().to_string(), CALL: call.to_string()},
        "NetworkDisabled": true,
        "AttachStdout": true,
        "AttachStderr": true,
        "HostConfig": {
            "Init": true,
            "ReadonlyRootfs": true,
            "NetworkMode": "none",
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "PidsLimit": limits.processes,
            "Ulimits": [
                {"Name": "fsize", "Soft": limits.file_bytes, "Hard": limits.file_bytes},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            "Tmpfs": {"/tmp": format!("size={},mode=1777", limits.scratch_bytes)},
            "Mounts": mounts,
        },
    }))
}

/// What of the machine is in it, and how: what is granted, but for what is protected or hidden.
fn mounts(wrapping: &Wrapping<'_>, granted: &[PathBuf]) -> Result<Vec<Value>, String> {
    let within = |path: &PathBuf| granted.iter().any(|folder| path.starts_with(folder));
    let protected: Vec<PathBuf> = existing(&wrapping.place.protected).into_iter().filter(within).collect();
    let hidden: Vec<PathBuf> = masks::hidden(wrapping, granted).into_iter().filter(within).collect();
    let pins = between(granted, protected.iter().chain(&hidden));
    let shown: Vec<PathBuf> = existing(&wrapping.sandbox.shown).into_iter().filter(within).collect();
    let is_hidden = |path: &PathBuf| hidden.contains(path);
    let mut mounts: Vec<Value> = Vec::new();
    for path in granted.iter().chain(&pins) {
        mounts.push(bind(path, path, Access::Write)?);
    }
    for path in protected.iter().filter(|path| !is_hidden(path)).chain(&shown) {
        mounts.push(bind(path, path, Access::Read)?);
    }
    for path in &hidden {
        mounts.push(match path.is_dir() {
            true => json!({"Type": "tmpfs", "Target": text(path)?, "TmpfsOptions": {"SizeBytes": 65_536, "Mode": 320}}),
            false => bind(Path::new("/dev/null"), path, Access::Read)?,
        });
    }
    Ok(mounts)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn bind(source: &Path, target: &Path, access: Access) -> Result<Value, String> {
    let read_only = access == Access::Read;
    Ok(json!({"Type": "bind", "Source": text(source)?, "Target": text(target)?, "ReadOnly": read_only}))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("`{}` is not UTF-8, which a mount's name must be", path.display()))
}
