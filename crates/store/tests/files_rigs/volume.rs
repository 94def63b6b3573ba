//! What a rig stands on: a file system of its own, and programs that may not be there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Says, past all capturing, that a rig proves nothing here.
pub fn not_run(why: &str) {
    writeln!(std::io::stderr(), "\n!!! RIG NOT RUN: {why}\n").ok();
}

/// Runs a program; the error is what it said.
pub fn run(words: &[&str]) -> Result<(), String> {
    let said = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    match said {
        Ok(said) if said.status.success() => Ok(()),
        Ok(said) => Err(format!("`{}`: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim())),
        Err(error) => Err(format!("`{}`: {error}", words.join(" "))),
    }
}

/// A file system of its own, unmounted and removed with the rig.
pub struct Volume {
    home: TempDir,
    /// Words of `mount` before the place.
    mount: Vec<String>,
}

impl Volume {
    /// Makes and mounts a file system; the error says why this machine cannot.
    fn make(mkfs: &[&str], mount: &[&str]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root".to_owned());
        }
        let home = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::create_dir_all(home.path().join("disk")).map_err(|error| error.to_string())?;
        let image = home.path().join("image").to_str().unwrap().to_owned();
        let words = |words: &[&str]| words.iter().map(|word| word.replace("IMAGE", &image)).collect::<Vec<_>>();
        if !mkfs.is_empty() {
            let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
            file.set_len(320 << 20).map_err(|error| error.to_string())?;
            let words = words(mkfs);
            run(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let volume = Self { mount: words(mount), home };
        volume.mount(&[])?;
        Ok(volume)
    }

    pub fn ext4() -> Result<Self, String> {
        Self::make(&["mkfs.ext4", "-q", "IMAGE"], &["-o", "loop,errors=remount-ro", "IMAGE"])
    }

    pub fn xfs() -> Result<Self, String> {
        Self::make(&["mkfs.xfs", "-q", "IMAGE"], &["-o", "loop", "IMAGE"])
    }

    pub fn tmpfs(size: &str) -> Result<Self, String> {
        Self::make(&[], &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
    }

    pub fn place(&self) -> PathBuf {
        self.home.path().join("disk")
    }

    /// Where the workspace is.
    pub fn root(&self) -> PathBuf {
        self.place().join("workspace")
    }

    pub fn mount(&self, more: &[&str]) -> Result<(), String> {
        let place = self.place();
        let mut words: Vec<&str> = ["mount"].into_iter().chain(more.iter().copied()).collect();
        words.extend(self.mount.iter().map(String::as_str));
        words.push(place.to_str().unwrap());
        run(&words)
    }

    /// Returns the name of the device that is mounted.
    pub fn device(&self) -> Option<String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let place = self.place();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = mounts.rfind(|words| words.get(1) == place.to_str().as_ref())?;
        Some(Path::new(found.first()?).file_name()?.to_str()?.to_owned())
    }

    pub fn unmount(&self) {
        run(&["umount", self.place().to_str().unwrap()]).unwrap();
    }

    /// What a power cut does to a file system that nobody holds any more: mounted again, it replays its log.
    pub fn remount(&self) {
        self.unmount();
        self.mount(&[]).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let place = self.place();
        if run(&["umount", place.to_str().unwrap()]).is_err() {
            // Out of sight at least: what is removed next must not be what is mounted here.
            run(&["umount", "-l", place.to_str().unwrap()]).ok();
        }
    }
}

/// Returns the volume, or says why there is none.
pub fn volume(made: Result<Volume, String>) -> Option<Volume> {
    made.map_err(|why| not_run(&why)).ok()
}

/// Says whether a program works here; says loudly if not.
pub fn works(words: &[&str]) -> bool {
    run(words).map_err(|why| not_run(&why)).is_ok()
}
