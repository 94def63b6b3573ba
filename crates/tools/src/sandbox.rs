//! Decides in what a command runs: bubblewrap, Docker, or nothing where that was chosen by name.
//!
//! | Where | What |
//! |---|---|
//! | `bubblewrap` | the namespaces and mounts of one command |
//! | `docker` | the container of one command, and the engine that makes it |
//! | `masks` | what no command may see: secrets, and sockets that lead out |
//! | `confine` | run inside, before the command: limits, Landlock, seccomp |
//! | `filter` | the system calls that nothing inside may make |
//! | `cgroup` | memory and processes of all of a command together, where the machine lets us |
//! | `door`, `proxy` | the way to a network that is granted |
//! | `attempts` | tries to break out, for `doctor` and the tests |
//!
//! Invariant: a command runs in what its agent asks for, or not at all. Nothing less is ever taken in silence.

pub mod attempts;
mod bubblewrap;
pub(crate) mod cgroup;
pub mod confine;
pub(crate) mod docker;
pub(crate) mod door;
mod filter;
mod masks;
mod proxy;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use outlive_core::agent::{NetworkSpec, SandboxMode, SandboxSpec};
use outlive_core::id::CallId;
use outlive_core::secret::Secret;
use tokio::sync::OnceCell;

use crate::Place;
use crate::egress::{Egress, Grant};
use door::Door;

/// The word in `write` that stands for the folders that tools work in.
pub const WORKSPACE: &str = "workspace";

/// What confines the commands of an agent.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// In what they run.
    pub mode: SandboxMode,
    /// What they may reach; without it, nothing.
    pub network: Option<Egress>,
    /// Of what a container is made; the usual one if nothing is named.
    pub image: Option<String>,
    /// What they may write: [`WORKSPACE`], or folders, absolute or from the working folder.
    pub write: Vec<String>,
    /// What they may not even read, beside what is a secret on every machine.
    pub hidden: Vec<PathBuf>,
    /// What they may read all the same, within what is hidden.
    pub shown: Vec<PathBuf>,
    /// How much they may take.
    pub limits: Limits,
}

impl Sandbox {
    /// Makes what an agent asks for.
    ///
    /// # Errors
    ///
    /// A host that it names is none.
    pub fn of(spec: &SandboxSpec) -> Result<Self, String> {
        if let (SandboxMode::Trust, NetworkSpec::Hosts(_)) = (spec.mode, &spec.network) {
            let why = "names hosts, and `mode: trust` holds a command back from none: leave one of them out";
            return Err(format!("spec.sandbox.network: {why}"));
        }
        let grants = |hosts: &[String]| hosts.iter().map(|host| host.parse()).collect::<Result<Vec<Grant>, String>>();
        let network = match &spec.network {
            NetworkSpec::All(false) => None,
            NetworkSpec::All(true) => Some(Egress::public()),
            NetworkSpec::Hosts(hosts) => {
                Some(Egress::only(grants(hosts).map_err(|why| format!("spec.sandbox.network: {why}"))?))
            }
        };
        Ok(Self { mode: spec.mode, network, image: spec.image.clone(), write: spec.write.clone(), ..Self::default() })
    }

    /// Tells whoever writes commands what holds for them.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        if self.mode == SandboxMode::Trust {
            return None;
        }
        let written = match self.write.as_slice() {
            [] => "nothing can be written but a /tmp of its own".to_owned(),
            [only] if only == WORKSPACE => "only the workspace and a /tmp of its own can be written".to_owned(),
            some => format!("only these and a /tmp of its own can be written: {}", some.join(", ")),
        };
        let reached = match &self.network {
            None => "there is no network",
            Some(_) => {
                "the network is reached only through the HTTP proxy in its environment, which refuses some hosts"
            }
        };
        Some(format!("It runs in a sandbox: {written}, and {reached}."))
    }

    fn image(&self) -> &str {
        self.image.as_deref().unwrap_or(docker::IMAGE)
    }

    /// Hides these from commands, but for what is shown of them.
    #[must_use]
    pub fn hiding(self, hidden: Vec<PathBuf>, shown: Vec<PathBuf>) -> Self {
        Self { hidden, shown, ..self }
    }
}

/// How much one command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory: of each process, and of all together where the machine has cgroups for us.
    pub memory_bytes: u64,
    /// Processes at once.
    pub processes: u64,
    /// Size of a file that it writes.
    pub file_bytes: u64,
    /// Size of its own `/tmp`.
    pub scratch_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, processes: 1_024, file_bytes: 16 << 30, scratch_bytes: 2 << 30 }
    }
}

/// What a command runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// bubblewrap.
    Bubblewrap,
    /// A container of a Docker engine.
    Docker,
    /// Nothing: the agent's definition trusts its commands.
    Trust,
}

/// What is there on this machine, found out once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Set once bubblewrap has really started something. What does not work is tried again: somebody may install it.
    bubblewrap: Arc<OnceCell<()>>,
}

/// How a command line is started.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// All that it sees of an environment.
    pub environment: BTreeMap<String, String>,
    /// Its way to the granted network, to be served as long as it runs.
    pub door: Option<Door>,
}

/// What a command line is wrapped for.
pub(crate) struct Wrapping<'a> {
    pub sandbox: &'a Sandbox,
    pub place: &'a Place,
    /// The program that confines from within: this binary, or the one of the tests.
    pub confiner: Option<&'a Path>,
    pub environment: &'a BTreeMap<String, String>,
    pub found: &'a Found,
    /// Where a Docker engine listens.
    pub engine: &'a Path,
    /// Variables that the command is given beside, with their values: for a container; a process has them from its gate.
    pub granted: &'a [(String, Secret)],
}

/// How a command runs.
pub(crate) enum Plan {
    /// As a process of ours, or of bubblewrap.
    Process(Launch),
    /// As a container that is yet to be made.
    Container(docker::Engine, serde_json::Value),
}

impl Wrapping<'_> {
    /// Returns what a command would run in.
    ///
    /// # Errors
    ///
    /// What is asked for is not to be had: why, and the ways out.
    pub async fn choose(&self) -> Result<Kind, String> {
        match self.sandbox.mode {
            SandboxMode::Trust => Ok(Kind::Trust),
            SandboxMode::Bubblewrap => match self.bubblewrap().await {
                Ok(()) => Ok(Kind::Bubblewrap),
                Err(why) => Err(refusal("bubblewrap is asked for and does not work here", &[why])),
            },
            SandboxMode::Docker => match self.docker().await {
                Ok(()) => Ok(Kind::Docker),
                Err(why) => Err(refusal("Docker is asked for and does not work here", &[why])),
            },
            SandboxMode::Auto => match (self.bubblewrap().await, self.docker()) {
                (Ok(()), _) => Ok(Kind::Bubblewrap),
                (Err(first), docker) => match docker.await {
                    Ok(()) => Ok(Kind::Docker),
                    Err(second) => Err(refusal("no sandbox works here", &[first, second])),
                },
            },
        }
    }

    /// Returns how this program is run for a call, in what is to be had.
    ///
    /// # Errors
    ///
    /// Why it cannot be.
    pub async fn plan(&self, program: Vec<OsString>, call: CallId, house: &Path) -> Result<Plan, String> {
        Ok(match self.choose().await? {
            Kind::Trust => Plan::Process(Launch { argv: program, environment: self.environment.clone(), door: None }),
            Kind::Bubblewrap => Plan::Process(bubblewrap::launch(self, program)?),
            Kind::Docker => {
                let container = docker::container(self, &program, call, house)?;
                Plan::Container(docker::Engine::at(self.engine.to_owned()), container)
            }
        })
    }

    /// Asks the engine, each time: it comes and goes by itself.
    async fn docker(&self) -> Result<(), String> {
        if self.sandbox.network.is_some() {
            return Err("a container cannot be given a part of the network: that needs bubblewrap".to_owned());
        }
        docker::Engine::at(self.engine.to_owned()).probe(self.sandbox.image()).await
    }

    /// Says what a person should know before a command runs, as far as it is seen without starting anything.
    pub fn warning(&self) -> Option<String> {
        match self.sandbox.mode {
            SandboxMode::Trust => Some(
                "`sandbox: {mode: trust}`: commands run without a sandbox and may do what the server may do".to_owned(),
            ),
            SandboxMode::Auto | SandboxMode::Bubblewrap => {
                let why = bubblewrap::find(self.environment).err()?;
                // What it listens on is there: whether it works is seen when it is needed.
                if self.sandbox.mode == SandboxMode::Auto && self.engine.exists() {
                    return None;
                }
                Some(format!("`sandbox: {{mode: {}}}`: commands will be refused: {why}", self.sandbox.mode.name()))
            }
            SandboxMode::Docker if self.engine.exists() => None,
            SandboxMode::Docker => Some(format!(
                "`sandbox: {{mode: docker}}`: commands will be refused: no Docker engine listens at `{}`",
                self.engine.display()
            )),
        }
    }

    /// Tries bubblewrap, with all that a command gets, unless it is known to work.
    async fn bubblewrap(&self) -> Result<(), String> {
        self.found.bubblewrap.get_or_try_init(|| bubblewrap::probe(self)).await.copied()
    }

    /// Returns the folders that may be written, as their real names.
    ///
    /// One that is named below another is granted with it, and its name is not followed: a command could put a link there,
    /// and be granted where that leads the next time.
    fn granted(&self) -> Result<Vec<PathBuf>, String> {
        let named = self.sandbox.write.iter().flat_map(|written| match written.as_str() {
            WORKSPACE => self.place.roots.clone(),
            other => vec![plain(&self.place.cwd.join(other))],
        });
        let named: Vec<PathBuf> = named.collect();
        let mut folders = Vec::new();
        for folder in named.iter().filter(|folder| !named.iter().any(|one| one != *folder && folder.starts_with(one))) {
            let real = folder.canonicalize().map_err(|error| {
                format!("`{}`, which the sandbox's `write` names, cannot be used: {error}", folder.display())
            })?;
            if real.parent().is_none() {
                let why = "the sandbox would let it write all of `/`: work in a folder below it";
                return Err(format!("{why}, or choose `sandbox: {{mode: trust}}` in the agent's agent.yaml"));
            }
            folders.push(real);
        }
        folders.sort();
        folders.dedup();
        Ok(folders)
    }
}

/// Takes `.` and `..` out of a path, by its words alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

fn refusal(what: &str, whys: &[String]) -> String {
    format!(
        "{what}: {}. Without it no command runs. `outlive doctor` says what is missing; to run commands without a \
         sandbox, as the user that the server runs as, choose it by name: `sandbox: {{mode: trust}}` in the agent's \
         agent.yaml",
        whys.join("; ")
    )
}
