//! What measuring needs: sessions made through the store, and the own binary as a server.
#![expect(clippy::disallowed_methods, reason = "a benchmark starts the program that it measures")]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use outlive_core::event::{
    Behavior, Entry, Event, Line, MessageReceived, Origin, OriginKind, SessionCreated, Trigger, TurnEnded, TurnStarted,
};
use outlive_core::id::{SessionId, TurnId};
use outlive_core::time::Timestamp;
use outlive_store::Append;
use outlive_store::workspace::{self, Options};

use super::bare::ms;
use crate::client::{Client, connect};
use crate::config::{self, Workspace};
use crate::exit::Failure;

/// An agent that answers word by word.
pub(super) const SCRIPT: &str = "script";
const SCRIPT_AGENT: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: script}\nspec:\n  model: {provider: rehearsal, name: script}\n  tools: [{builtin: files}]\n";
const AGENT: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: bench}\nspec:\n  model: {provider: rehearsal, name: instant}\n  tools: [{builtin: files}]\n";

/// Makes a workspace with one instant agent and so many sessions at rest, of so many messages each.
///
/// # Errors
///
/// What the store says.
pub(super) async fn workspace(dir: &Path, sessions: usize, messages: usize) -> Result<Workspace, Failure> {
    let place = config::workspace(Some(dir))?;
    let (store, files) = workspace::open(&place.root, Options::default()).map_err(Failure::failed)?;
    let agent = [("agent.yaml".to_owned(), AGENT.as_bytes().to_vec())].into();
    store.agents.create("bench", agent).map_err(Failure::failed)?;
    let script = [("agent.yaml".to_owned(), SCRIPT_AGENT.as_bytes().to_vec())].into();
    store.agents.create(SCRIPT, script).map_err(Failure::failed)?;
    for n in 0..sessions {
        let session = SessionId::from_bits(n as u128 + 1);
        let epoch = store.leases.take(session).await.map_err(Failure::failed)?;
        let lines = story(session, messages)?;
        let append = Append { journal: session, epoch, expected: 0, lines };
        store.journals.append(append).await.map_err(Failure::failed)?;
    }
    // Listing them is the runtime's matter: a first server does it, and leaves a list.
    files.close();
    drop((store, files));
    Ok(place)
}

fn story(session: SessionId, messages: usize) -> Result<Vec<Line>, Failure> {
    let by = Origin::of(OriginKind::Api);
    let mut events = vec![(
        None,
        Event::SessionCreated(SessionCreated {
            task: None,
            taken_to: None,
            memory: None,
            session,
            agent: "bench".parse().map_err(Failure::failed)?,
            agent_digest: "0".to_owned(),
            title: None,
            project: None,
            parent: None,
            on_disconnect: outlive_core::event::OnDisconnect::Continue,
            labels: std::collections::BTreeMap::new(),
            by: by.clone(),
        }),
    )];
    for n in 0..messages {
        let turn = Some(TurnId::from_bits((session.bits() << 32) | (n as u128 + 1)));
        let message = MessageReceived {
            content: "a message of a usual length, said a while ago".to_owned(),
            attachments: Vec::new(),
            output_schema: None,
            behavior: Behavior::FollowUp,
            origin: by.clone(),
            input: None,
        };
        events.push((turn, Event::MessageReceived(message)));
        events.push((turn, Event::TurnStarted(TurnStarted { trigger: Trigger::Message })));
        let ended = TurnEnded {
            ending: outlive_core::event::Ending::Complete,
            wake_at: None,
            error: None,
            usage: outlive_core::content::Usage::default(),
            cost: None,
        };
        events.push((turn, Event::TurnEnded(ended)));
    }
    let entry = |(at, (turn, event)): (usize, (Option<TurnId>, Event))| Entry {
        seq: at as u64 + 1,
        at: Timestamp::from_micros(1_700_000_000_000_000 + at as i64),
        turn,
        step: None,
        asked: None,
        tokens: None,
        event,
    };
    events.into_iter().enumerate().map(entry).map(|entry| Line::write(&entry).map_err(Failure::failed)).collect()
}

/// A running server of the own binary.
pub(super) struct Server {
    child: Child,
    /// Its door.
    pub(super) client: Client,
    /// From starting the process until it was ready.
    pub(super) ready_ms: f64,
}

impl Server {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub(super) async fn start(place: &Workspace) -> Result<Self, Failure> {
        Self::start_with(place, ("error", Stdio::null())).await
    }

    /// As [`Server::start`], with what the store says of itself in this file.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub(super) async fn start_logged(place: &Workspace, log: &Path) -> Result<Self, Failure> {
        Self::start_with(place, ("error,outlive_store=info", std::fs::File::create(log)?.into())).await
    }

    async fn start_with(place: &Workspace, (level, log): (&str, Stdio)) -> Result<Self, Failure> {
        let began = ms();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--workspace").arg(&place.root).args(["serve", "--port", "0"]).env("OUTLIVE_LOG", level);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut server = None;
        while server.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            let owner = outlive_store::files::lock::owner(&place.root.join("run"));
            let is_ours = owner.is_some_and(|owner| owner.pid == child.id() && owner.address.is_some());
            if is_ours {
                server = Some(connect(place).await?);
            } else if ms() - began > 120_000.0 {
                return Err(Failure::Unreachable("the server does not come up".to_owned()));
            }
        }
        let client = server.ok_or_else(|| Failure::Unreachable("no server".to_owned()))?;
        Ok(Self { child, client, ready_ms: ms() - began })
    }

    /// Returns its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would.
    pub(super) fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }

    /// Stops it as a person would.
    pub(super) fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads from the log of a server that was stopped how many syncs it made.
///
/// # Errors
///
/// It does not say.
pub(super) fn syncs(log: &Path) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(log)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let said = lines.filter_map(|line| line.pointer("/fields/syncs")?.as_f64()).next_back();
    said.ok_or_else(|| Failure::failed("the server's log does not say how many syncs it made"))
}
