//! Starts processes: the only place that does. Each has a session of its own, a record, a limit and an end.
//!
//! A child waits behind a gate until its record is written; if this process dies first, the child ends without having done
//! anything. It sees a short environment that the caller gives, no input, and no descriptor of ours; and it runs in the
//! sandbox that its agent asks for, or not at all.
//!
//! Invariant: when [`Exec::run`] returns, whether the command ended, ran out of time or was stopped, none of its processes
//! lives; if it is dropped, they are killed.

mod container;
pub mod lasting;
pub mod output;
mod probe;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::id::{CallId, SessionId};
use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::time::Instant;

use crate::orphans::Record;
use crate::proc::{MARK, Process};
use crate::sandbox::cgroup::Cage;
use crate::sandbox::door::Door;
use crate::sandbox::{Found, Kind, Launch, Plan, Sandbox, Wrapping, docker};
use crate::tasks::Tasks;
use crate::{Invocation, Place, Sink};
pub use output::Output;
use output::{Capture, Pipe};
pub(crate) use probe::try_out;
pub use tree::GRACE;
use tree::Tree;
pub(crate) use tree::{Gone, end};

/// Variables that a command may be given of the server's own.
pub const ENVIRONMENT: [&str; 8] = ["PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR"];

/// Whether a variable of the server's own may be given to commands: one of [`ENVIRONMENT`], or `LC_*`.
#[must_use]
pub fn may_be_given(name: &str) -> bool {
    ENVIRONMENT.contains(&name) || name.starts_with("LC_")
}

/// Waits for the gate, closes what it was not meant to have, then becomes the program that is named.
const GATE: &str = r#"IFS= read -r go && [ "$go" = go ] || exit 125
for fd in /proc/self/fd/*; do fd=${fd##*/}; [ "$fd" -gt 2 ] 2>/dev/null && eval "exec $fd>&-"; done
exec -- "$@" </dev/null"#;

/// Time for the last output after the command itself has ended, while something still holds its pipes.
const LINGER: Duration = Duration::from_millis(300);
/// The folder of what goes on in the background, beside the records.
const TASKS: &str = "tasks";
/// Bytes of output kept whole.
const KEPT: u64 = 64 << 20;

/// How processes are started here.
#[derive(Debug, Clone)]
pub struct Exec {
    environment: BTreeMap<String, String>,
    spill: PathBuf,
    children: PathBuf,
    kept: u64,
    /// None: nothing was asked for, and nothing is given. Only tests and what has no agent run so.
    sandbox: Option<Arc<Sandbox>>,
    confiner: Option<PathBuf>,
    found: Found,
    tasks: Arc<Tasks>,
    /// Where a Docker engine listens.
    engine: PathBuf,
    /// What is taken out of all that is printed.
    secrets: Secrets,
    /// Variables that every command gets and nobody else, with their values.
    granted: Vec<(String, Secret)>,
}

/// What to run.
pub struct Job<'a> {
    /// For whom.
    pub invocation: &'a Invocation,
    /// The command line, for bash.
    pub command: &'a str,
    /// When it is ended.
    pub limit: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, which was not ours.
    Signalled(i32),
    /// Its time ran out.
    TimedOut,
    /// It was to stop.
    Stopped,
}

/// A command that ran.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// What it said.
    pub output: Output,
    /// Processes that it left running, and that were ended.
    pub leftovers: usize,
    /// Processes that could not be ended.
    pub immortal: usize,
    /// From start to end.
    pub took: Duration,
}

impl Exec {
    /// Starts commands with these variables (those that [`may_be_given`]; others are dropped), keeps large outputs in files
    /// of `spill`, and records of running children in `children`.
    #[must_use]
    pub fn new(environment: impl IntoIterator<Item = (String, String)>, spill: &Path, children: &Path) -> Self {
        let mut environment: BTreeMap<_, _> = environment.into_iter().filter(|(name, _)| may_be_given(name)).collect();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        environment.entry("PATH".to_owned()).or_insert_with(|| path.to_owned());
        environment.insert("TERM".to_owned(), "dumb".to_owned());
        let (spill, children) = (spill.to_owned(), children.to_owned());
        let (found, tasks) = (Found::default(), Arc::new(Tasks::new(children.with_file_name(TASKS))));
        Self {
            environment,
            spill,
            children,
            kept: KEPT,
            sandbox: None,
            confiner: None,
            found,
            tasks,
            engine: docker::SOCKET.into(),
            secrets: Secrets::default(),
            granted: Vec::new(),
        }
    }

    /// Takes these out of all that commands print, before anything of it is shown, kept or written.
    #[must_use]
    pub fn redacting(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// Returns what is taken out of all that commands print.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Gives each command these variables, too: those of its tool's. They are known as secrets from now on.
    #[must_use]
    pub fn granting(&self, granted: Vec<(String, Secret)>) -> Self {
        self.secrets.learn(granted.iter().cloned());
        Self { granted, ..self.clone() }
    }

    /// Asks the Docker engine at this socket.
    #[must_use]
    pub fn with_engine(self, socket: PathBuf) -> Self {
        Self { engine: socket, ..self }
    }

    /// Returns what goes on in the background.
    #[must_use]
    pub fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// Confines from within by this program: one whose `main` begins with [`crate::sandbox::confine::entered`].
    #[must_use]
    pub fn confined_by(self, program: PathBuf) -> Self {
        Self { confiner: Some(program), ..self }
    }

    /// Runs commands in this sandbox.
    #[must_use]
    pub fn within(&self, sandbox: Sandbox) -> Self {
        Self { sandbox: Some(Arc::new(sandbox)), ..self.clone() }
    }

    /// Says whether commands run in the same sandbox there.
    #[must_use]
    pub fn confines_as(&self, other: &Self) -> bool {
        format!("{:?}", self.sandbox) == format!("{:?}", other.sandbox)
    }

    /// Returns what a command would run in here.
    ///
    /// # Errors
    ///
    /// What is asked for is not to be had: why, and the ways out.
    pub async fn kind(&self, place: &Place) -> Result<Kind, String> {
        match self.wrapping(place) {
            Some(wrapping) => wrapping.choose().await,
            None => Ok(Kind::Trust),
        }
    }

    /// Says what a person should know of the sandbox before a command runs, without starting anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let place = Place { cwd: PathBuf::new(), roots: Vec::new(), protected: Vec::new() };
        self.wrapping(&place).and_then(|wrapping| wrapping.warning())
    }

    /// Tells whoever writes commands what the sandbox holds back.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        self.sandbox.as_ref()?.told()
    }

    fn wrapping<'a>(&'a self, place: &'a Place) -> Option<Wrapping<'a>> {
        let (environment, found, confiner) = (&self.environment, &self.found, self.confiner.as_deref());
        let (engine, granted) = (self.engine.as_path(), self.granted.as_slice());
        Some(Wrapping { sandbox: self.sandbox.as_ref()?, place, confiner, environment, found, engine, granted })
    }

    /// Returns how the command line is run, once it is known that it may be.
    async fn plan(&self, job: &Job<'_>) -> Result<Plan, String> {
        let argv = [bash(), "-c", "--", job.command, "bash"].map(OsString::from).to_vec();
        match self.wrapping(&job.invocation.place) {
            Some(wrapping) => wrapping.plan(argv, job.invocation.call, &self.children).await,
            None => Ok(Plan::Process(Launch { argv, environment: self.environment.clone(), door: None })),
        }
    }

    /// Keeps at most this many bytes of an output whole.
    #[must_use]
    pub fn keeping(self, bytes: u64) -> Self {
        Self { kept: bytes, ..self }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// Why it was not started.
    pub async fn run(&self, job: Job<'_>) -> Result<Ran, String> {
        let place = &job.invocation.place;
        if !place.cwd.is_dir() {
            return Err(format!(
                "the working folder `{}` does not exist: make it, or start a new session",
                place.cwd.display()
            ));
        }
        match self.plan(&job).await? {
            Plan::Process(launch) => self.run_process(&job, launch).await,
            Plan::Container(engine, made) => container::run(&engine, &made, &job, self.capture()).await,
        }
    }

    async fn run_process(&self, job: &Job<'_>, mut launch: Launch) -> Result<Ran, String> {
        let began = Instant::now();
        let Invocation { session, call, ref place, ref stop, ref sink, .. } = *job.invocation;
        let door = launch.door.take();
        let mut child = self.spawn_behind(GATE, (call, &launch), &place.cwd)?;
        let record = self.record(session, call, child.tree.first)?;
        // Before it begins, so that nothing of it escapes them.
        let cage = self.sandbox.as_ref().map(|sandbox| Cage::around(child.tree.first, call, sandbox.limits));
        child.open_gate().await;

        let mut pipes = child.pipes(self.capture(), sink);
        let deadline = began + job.limit;
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Ending::Stopped),
            () = tokio::time::sleep_until(deadline) => Err(Ending::TimedOut),
            status = pipes.until(child.inner.wait()) => Ok(status),
            () = serve(door) => Err(Ending::Stopped),
        };
        if ended.is_ok() {
            pipes.drain().await;
        }
        let (ending, gone) = child.finish(ended, record).await;
        pipes.drain().await;
        pipes.close();
        drop(cage);
        let leftovers = if matches!(ending, Ending::Exited(_) | Ending::Signalled(_)) { gone.ended } else { 0 };
        Ok(Ran { ending, output: pipes.capture.finish(), leftovers, immortal: gone.left, took: began.elapsed() })
    }

    fn capture(&self) -> Capture {
        Capture::new(self.spill.clone(), self.kept, &self.secrets.now())
    }

    fn record(&self, session: SessionId, call: CallId, pid: i32) -> Result<Record, String> {
        let process = Process::of(pid).ok_or("the command ended before it began")?;
        let written = Record::write(&self.children, session, call, process);
        written.map_err(|error| {
            format!(
                "the command was not started, since no record of it could be written in `{}`: {error}",
                self.children.display()
            )
        })
    }

    fn spawn_behind(&self, gate: &str, (call, launch): (CallId, &Launch), cwd: &Path) -> Result<Child, String> {
        // In its environment, and so in that of all that it becomes: an argument could be read by others.
        let granted = self.granted.iter().map(|(name, secret)| (name, secret.reveal()));
        let mut wrapped = CommandWrap::with_new(bash(), |bash| {
            bash.args(["--noprofile", "--norc", "-c", gate, "gate"]).args(&launch.argv).current_dir(cwd);
            bash.env_clear().envs(&launch.environment).envs(granted).env(MARK, call.to_string());
            bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        });
        wrapped.wrap(ProcessSession);
        // Held while it starts, so that nobody takes the new child for a stray.
        let mut running = tree::running();
        let spawned = wrapped.spawn().map_err(|error| format!("bash cannot be started: {error}"))?;
        let inner = spawned.into_inner();
        let first = inner.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("bash ended before it began")?;
        running.insert(first);
        Ok(Child { inner, tree: Tree { first, mark: call.to_string() }, settled: false })
    }
}

/// Serves the way out, if there is one, and never ends.
async fn serve(door: Option<Door>) {
    match door {
        Some(door) => door.serve().await,
        None => std::future::pending().await,
    }
}

fn bash() -> &'static str {
    if Path::new("/bin/bash").exists() { "/bin/bash" } else { "bash" }
}

fn how(status: ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().map_or_else(|| Ending::Signalled(status.signal().unwrap_or(0)), Ending::Exited)
}

/// A started child. Dropped before it is settled, it is killed with all that descends from it.
struct Child {
    inner: Box<dyn ChildWrapper>,
    tree: Tree,
    settled: bool,
}

impl Child {
    /// Lets it begin.
    async fn open_gate(&mut self) {
        if let Some(mut gate) = self.inner.stdin().take() {
            // If it is gone already, its end says so.
            drop(gate.write_all(b"go\n").await);
        }
    }

    fn pipes<'a>(&mut self, capture: Capture, sink: &'a Sink) -> Pipes<'a> {
        Pipes { out: self.inner.stdout().take(), err: self.inner.stderr().take(), capture, sink }
    }

    /// Ends all of it that still lives, and returns how it ended itself and what became of the others. Its record stays as
    /// long as one of them lives.
    async fn finish(&mut self, ended: Result<std::io::Result<ExitStatus>, Ending>, record: Record) -> (Ending, Gone) {
        let gone = end(|| self.tree.members()).await;
        let status = match ended {
            Ok(Ok(status)) => Some(status),
            Ok(Err(_)) | Err(_) => self.collect().await,
        };
        self.settled = gone.left == 0;
        if self.settled {
            record.remove();
        }
        (ended.map_or_else(|ending| ending, |_| status.map_or(Ending::Signalled(0), how)), gone)
    }

    /// Takes it off the process table after it was ended.
    async fn collect(&mut self) -> Option<ExitStatus> {
        tokio::time::timeout(LINGER, self.inner.wait()).await.ok()?.ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.settled {
            tree::kill(&self.tree.members());
        }
        tree::running().remove(&self.tree.first);
        tree::no_longer_lasting(self.tree.first);
    }
}

/// Both outputs of a child.
struct Pipes<'a> {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    capture: Capture,
    sink: &'a Sink,
}

impl Pipes<'_> {
    /// Takes what comes until `done`.
    async fn until<T>(&mut self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            tokio::select! {
                biased;
                value = &mut done => return value,
                () = self.piece(), if self.open() => {}
            }
        }
    }

    /// Takes what is left, as long as it comes soon.
    async fn drain(&mut self) {
        let all = async {
            while self.open() {
                self.piece().await;
            }
        };
        // Something else holds a pipe open: what came until now is what there is.
        let _held = tokio::time::timeout(LINGER, all).await;
    }

    /// Shows what was held back.
    fn close(&mut self) {
        let text = self.capture.close();
        if !text.is_empty() {
            (self.sink)(text);
        }
    }

    fn open(&self) -> bool {
        self.out.is_some() || self.err.is_some()
    }

    async fn piece(&mut self) {
        let (mut out, mut err) = ([0; 16 << 10], [0; 16 << 10]);
        let (pipe, size) = tokio::select! {
            size = read(&mut self.out, &mut out) => (Pipe::Out, size),
            size = read(&mut self.err, &mut err) => (Pipe::Err, size),
        };
        let piece = match pipe {
            Pipe::Out => &out[..size],
            Pipe::Err => &err[..size],
        };
        match pipe {
            _ if size > 0 => {
                let text = self.capture.take(pipe, piece);
                if !text.is_empty() {
                    (self.sink)(text);
                }
            }
            Pipe::Out => self.out = None,
            Pipe::Err => self.err = None,
        }
    }
}

/// Reads a piece; 0 at the end. A closed pipe never gives one.
async fn read(pipe: &mut Option<impl tokio::io::AsyncRead + Unpin>, piece: &mut [u8]) -> usize {
    match pipe {
        Some(open) => open.read(piece).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}
