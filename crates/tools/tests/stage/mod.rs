//! A workspace in a temporary folder, with the built-in tools at work in it.

#![expect(dead_code, clippy::disallowed_methods, clippy::unwrap_used, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use outlive_core::id::{CallId, SessionId};
use outlive_core::policy::{Closed, Reach};
use outlive_tools::exec::Exec;
use outlive_tools::registry::{Builtin, Toolbox};
use outlive_tools::{Finished, Found, Invocation, Place};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Bytes of what was said that are remembered.
const SAID: usize = 1 << 20;

pub struct Stage {
    pub folder: TempDir,
    pub place: Place,
    pub tools: Toolbox,
    pub stop: CancellationToken,
    pub said: Arc<Mutex<String>>,
    pub call: CallId,
    /// What rules close to its calls.
    pub closed: Closed,
    /// Stops the call when it says this.
    pub stop_at: Option<&'static str>,
    /// Who answers what a running call asks.
    pub asker: outlive_tools::Asker,
}

impl Stage {
    /// `ws` is the root, `out` lies beside it; `ws/own/` is protected, and so is the file `token`.
    pub fn new() -> Self {
        Self::with(tempfile::tempdir().unwrap(), |exec| exec)
    }

    /// In this folder, with commands run as it is made of the usual way.
    pub fn with(folder: TempDir, how: impl FnOnce(Exec) -> Exec) -> Self {
        let base = folder.path().canonicalize().unwrap();
        for name in ["ws/own", "out", "run"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let ws = base.join("ws");
        let protected = vec![ws.join("own"), ws.join("token")];
        let place = Place { cwd: ws.clone(), roots: vec![ws], protected };
        let exec =
            Exec::new([("HOME".to_owned(), "/nonexistent".to_owned())], &base.join("run"), &base.join("run/children"));
        let exec = how(exec.keeping(8 << 20));
        let tools = Toolbox::builtin(&Arc::new(exec), &[Builtin::Bash, Builtin::Files]);
        let call = CallId::from_bits(rand_bits(&base));
        Self {
            folder,
            place,
            tools,
            stop: CancellationToken::new(),
            said: Arc::default(),
            call,
            closed: Closed::default(),
            stop_at: None,
            asker: outlive_tools::unheard(),
        }
    }

    pub fn ws(&self, name: &str) -> PathBuf {
        self.place.cwd.join(name)
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.place.cwd.parent().unwrap().join("out").join(name)
    }

    pub fn children(&self) -> PathBuf {
        self.place.cwd.parent().unwrap().join("run/children")
    }

    pub fn reach(&self, tool: &str, arguments: &Value) -> Result<Reach, String> {
        let prepared = self.tools.prepare(tool, arguments, &self.place);
        prepared.map(|(_, assessment)| assessment.subject.reach).map_err(|refusal| refusal.to_string())
    }

    pub fn invocation(&self, arguments: Value) -> Invocation {
        let (said, stop, stop_at) = (Arc::clone(&self.said), self.stop.clone(), self.stop_at);
        Invocation {
            session: SessionId::from_bits(7),
            call: self.call,
            attempt: 1,
            idempotency_key: self.call.to_string(),
            arguments,
            place: self.place.clone(),
            ruled: None,
            closed: self.closed.clone(),
            sink: Arc::new(move |text| {
                let mut said = said.lock().unwrap();
                if said.len() < SAID {
                    said.push_str(&text);
                }
                if stop_at.is_some_and(|word| text.contains(word)) {
                    stop.cancel();
                }
            }),
            asker: self.asker.clone(),
            stop: self.stop.clone(),
        }
    }

    /// Runs a call as the runtime does, but for the verdict.
    pub async fn run(&self, tool: &str, arguments: Value) -> Finished {
        match self.tools.prepare(tool, &arguments, &self.place) {
            Ok((tool, _)) => tool.run(self.invocation(arguments)).await,
            Err(refusal) => Finished::error(refusal.to_string()),
        }
    }

    pub async fn find(&self, tool: &str, arguments: Value) -> Found {
        let (tool, _) = self.tools.prepare(tool, &arguments, &self.place).unwrap();
        tool.find(self.invocation(arguments)).await
    }

    /// The numbers of processes that the call printed as `pid N`.
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.said.lock().unwrap())
    }
}

/// What confines commands of tests from within: `examples/confine.rs`, which is built with them. No program of the package,
/// so that `cargo run` has only one to run.
pub fn confiner() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().with_file_name("examples").join("confine");
    assert!(built.is_file(), "{} is needed: cargo build -p outlive-tools --examples", built.display());
    built
}

pub fn pids(said: &str) -> Vec<u32> {
    said.lines().filter_map(|line| line.strip_prefix("pid ")?.trim().parse().ok()).collect()
}

/// Whether a process lives: one that is dead and not collected does not.
pub fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The folder's name is new each time, and so are the bits made of it.
fn rand_bits(base: &Path) -> u128 {
    base.to_string_lossy().bytes().fold(u128::from(std::process::id()), |bits, byte| {
        bits.wrapping_mul(0x0100_0000_01b3).wrapping_add(u128::from(byte))
    })
}
