//! The real bash, in a folder where the only program of interest leaves a trace.
#![expect(clippy::disallowed_methods, reason = "the real bash is what the parser is compared with")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const TOOLS: [&str; 20] = [
    "cat", "env", "find", "xargs", "sh", "bash", "timeout", "nice", "nohup", "setsid", "stdbuf", "awk", "sed", "git",
    "python3", "ls", "true", "false", "sleep", "flock",
];

/// A place to run commands in.
pub(super) struct Ground {
    root: tempfile::TempDir,
    bin: PathBuf,
}

impl Ground {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (bin, work) = (root.path().join("bin"), root.path().join("work"));
        for folder in [&bin, &work] {
            std::fs::create_dir_all(folder).unwrap();
        }
        for tool in TOOLS {
            if let Some(path) =
                ["/usr/bin", "/bin"].map(|dir| PathBuf::from(dir).join(tool)).iter().find(|p| p.exists())
            {
                symlink(path, bin.join(tool)).unwrap();
            }
        }
        let marker = bin.join("x");
        std::fs::write(&marker, format!("#!/bin/sh\n: > '{}'\n", root.path().join("ran").display())).unwrap();
        std::fs::set_permissions(&marker, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A pattern in the place of a program finds it.
        std::fs::write(work.join("x"), "").unwrap();
        Self { root, bin }
    }

    /// A place where `touch` and `./evil/ls` are the program too, with an archive and a repository to work on.
    pub(super) fn with_evil() -> Self {
        let ground = Self::new();
        let work = ground.root.path().join("work");
        for tool in ["tar", "sort", "mkdir", "cp", "rm"] {
            symlink(PathBuf::from("/bin").join(tool), ground.bin.join(tool)).unwrap();
        }
        std::fs::create_dir(work.join("evil")).unwrap();
        for evil in [ground.bin.join("touch"), work.join("evil/ls")] {
            std::fs::copy(ground.bin.join("x"), evil).unwrap();
        }
        let script = "echo a > f; tar cf a.tar f; git init -q .; git config user.name a; \
            git config user.email a@b; git add f; git commit -qm a";
        let mut made = Command::new("/bin/bash");
        made.args(["-c", script]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", ground.root.path());
        made.current_dir(&work).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        ground
    }

    /// Runs the line with `bash -c`, and says whether `x` ran.
    pub(super) fn runs_x(&self, command: &str) -> bool {
        let trace = self.root.path().join("ran");
        if trace.exists() {
            std::fs::remove_file(&trace).unwrap();
        }
        let command = command.replace("/BIN/", &format!("{}/", self.bin.display()));
        let mut child = Command::new("/usr/bin/timeout");
        child.args(["-s", "KILL", "5", "/bin/bash", "-c", &command]).env_clear();
        child.env("PATH", &self.bin).env("HOME", self.root.path()).current_dir(self.root.path().join("work"));
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        child.status().unwrap();
        trace.exists()
    }
}
