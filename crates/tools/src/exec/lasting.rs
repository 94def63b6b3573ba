//! A program that is spoken with over its pipes and lives longer than one call: a server of tools.
//!
//! It starts as a command does: behind the gate, in its agent's sandbox, with a short environment, a mark and a record. Its
//! owner ends it; dropped, it is killed with all that descends from it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::id::{CallId, SessionId};
use outlive_core::redact::Secrets;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

use super::{Child, Exec, LINGER, serve, tree};
use crate::Place;
use crate::exec::Ending;
use crate::orphans::Record;
use crate::sandbox::cgroup::Cage;
use crate::sandbox::door::Door;
use crate::sandbox::{Launch, Plan, Wrapping};

/// Bytes of what it said on its standard error that are kept: the last ones.
const SAID: usize = 8 << 10;
/// The gate of what is spoken with: it leaves the input as it is.
const GATE: &str = r#"IFS= read -r go && [ "$go" = go ] || exit 125
for fd in /proc/self/fd/*; do fd=${fd##*/}; [ "$fd" -gt 2 ] 2>/dev/null && eval "exec $fd>&-"; done
exec -- "$@""#;

/// What to start.
pub struct Daemon<'a> {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Variables that it sees beside the usual ones.
    pub environment: &'a BTreeMap<String, String>,
    /// Where it works.
    pub place: &'a Place,
}

/// The last of what a program said on its standard error; it is shown without known secrets.
#[derive(Clone)]
pub struct Said {
    kept: Arc<Mutex<Vec<u8>>>,
    secrets: Secrets,
}

/// A program that runs.
pub struct Lasting {
    /// Where it is spoken to.
    pub input: ChildStdin,
    /// Where it answers.
    pub output: ChildStdout,
    /// What it complains of.
    pub said: Said,
    /// Its life.
    pub life: Life,
}

/// The life of a program that runs.
pub struct Life {
    child: Child,
    record: Record,
    said: Said,
    door: Option<Door>,
    _cage: Option<Cage>,
}

impl Said {
    /// Returns it as text: at most some lines.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.secrets.now().text(String::from_utf8_lossy(&bytes).trim()).into_owned()
    }

    fn take(&self, piece: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(piece);
        let surplus = kept.len().saturating_sub(SAID);
        kept.drain(..surplus);
    }
}

impl Exec {
    /// Starts a program that goes on until its owner ends it.
    ///
    /// # Errors
    ///
    /// Why it was not started.
    pub async fn start(&self, program: Daemon<'_>) -> Result<Lasting, String> {
        let place = program.place;
        if !place.cwd.is_dir() {
            return Err(format!("the working folder `{}` does not exist", place.cwd.display()));
        }
        let call = fresh();
        let mut launch = self.launch(&program, call).await?;
        let door = launch.door.take();
        let mut child = self.spawn_behind(GATE, (call, &launch), &place.cwd)?;
        tree::lasting(child.tree.first, &child.tree.mark);
        let record = self.record(SessionId::from_bits(0), call, child.tree.first)?;
        let cage = self.sandbox.as_ref().map(|sandbox| Cage::around(child.tree.first, call, sandbox.limits));
        let missing = || "its pipes are missing".to_owned();
        let mut input = child.inner.stdin().take().ok_or_else(missing)?;
        let output = child.inner.stdout().take().ok_or_else(missing)?;
        open(&mut input).await;
        let said = Said { kept: Arc::default(), secrets: self.secrets.clone() };
        Ok(Lasting { input, output, said: said.clone(), life: Life { child, record, said, door, _cage: cage } })
    }

    async fn launch(&self, program: &Daemon<'_>, call: CallId) -> Result<Launch, String> {
        let mut environment = self.environment.clone();
        environment.extend(program.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
        // Where bubblewrap itself is found does not follow from what the program is given.
        let argv = program.argv.clone();
        let Some(wrapping) = self.wrapping(program.place) else {
            return Ok(Launch { argv, environment, door: None });
        };
        let wrapping = Wrapping { environment: &environment, ..wrapping };
        match wrapping.plan(argv, call, &self.children).await? {
            Plan::Process(launch) => Ok(launch),
            Plan::Container(..) => Err("a server of tools runs in bubblewrap, or trusted, and not in Docker: choose \
                                        `sandbox: {mode: bubblewrap}` in the agent's agent.yaml"
                .to_owned()),
        }
    }
}

impl Life {
    /// Lives until the program has ended by itself or is to stop, ends all its processes, and returns how it was.
    pub async fn live(self, stop: &CancellationToken) -> Ending {
        let Self { mut child, record, said, door, _cage } = self;
        let mut errors = Errors { pipe: child.inner.stderr().take(), said };
        let ended = {
            let door = serve(door);
            tokio::pin!(door);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break Err(Ending::Stopped),
                    status = child.inner.wait() => break Ok(status),
                    () = errors.piece() => {}
                    () = &mut door => break Err(Ending::Stopped),
                }
            }
        };
        errors.drain().await;
        child.finish(ended, record).await.0
    }
}

/// Where it complains.
struct Errors {
    pipe: Option<ChildStderr>,
    said: Said,
}

impl Errors {
    /// Takes a piece; once the pipe is closed none comes.
    async fn piece(&mut self) {
        let mut piece = [0; 4 << 10];
        match super::read(&mut self.pipe, &mut piece).await {
            0 => self.pipe = None,
            size => self.said.take(&piece[..size]),
        }
    }

    /// Takes what is left, as long as it comes soon.
    async fn drain(&mut self) {
        let all = async {
            while self.pipe.is_some() {
                self.piece().await;
            }
        };
        // Something else holds it open: what came until now is what there is.
        let _held = tokio::time::timeout(LINGER, all).await;
    }
}

/// Lets it begin.
async fn open(input: &mut ChildStdin) {
    // If it is gone already, its end says so.
    drop(input.write_all(b"go\n").await);
}

/// A name for what belongs to no call.
fn fresh() -> CallId {
    use std::hash::{BuildHasher as _, RandomState};
    let bits = || u128::from(RandomState::new().hash_one(0_u8));
    CallId::from_bits(bits() << 64 | bits())
}
