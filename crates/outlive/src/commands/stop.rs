//! The emergency stop: through the server where it answers, else past it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::event::{Origin, OriginKind};
use outlive_protocol::stop::{StopAll, StopView};
use outlive_runtime::clock::{Clock as _, SystemClock};
use outlive_store::audit::{Act, Audit as _, AuditLog};
use outlive_store::files::fs::RealDisk;
use outlive_store::files::lock;
use outlive_store::{StopFile, Stops as _, workspace};
use outlive_tools::orphans;
use outlive_tui::Style;
use reqwest::Method;
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use crate::cli::Stop;
use crate::client::{self, Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::{show, wire};

/// Time for a server to say that it lives, and then to end everything: longer than it takes itself for that.
const ALIVE: Duration = Duration::from_secs(3);
const ENDING: Duration = Duration::from_secs(30);
/// Time for a killed server to be gone.
const GONE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(place: &Workspace, wanted: &Stop) -> Outcome {
    let view = if wanted.lift {
        let lifted: StopView = connect(place).await?.send(Method::DELETE, "/stop", &serde_json::json!({})).await?;
        lifted
    } else if wanted.state {
        view(place, Vec::new())
    } else {
        all(place, wanted.reason.as_ref()).await?
    };
    if wanted.json {
        show::json(&view)?;
        return ok();
    }
    match line(place) {
        Some(line) => say!("{line}"),
        None => say!("nothing is stopped"),
    }
    for session in &view.ending {
        say!("  still being ended: what runs in {session}");
    }
    ok()
}

/// Says in one line that everything is stopped, if it is.
pub fn line(place: &Workspace) -> Option<String> {
    let stop = StopFile::of(&place.root).stopped().ok()??;
    let by = stop.by.sender.map(|by| format!(" by {by}")).unwrap_or_default();
    let why = stop.reason.map(|why| format!(": {}", why.escape_debug())).unwrap_or_default();
    Some(format!("everything is stopped since {}{by}{why} (`outlive stop --lift` lifts it)", stop.at))
}

/// Prints that line, if there is one.
pub fn tell(place: &Workspace) {
    line(place).into_iter().for_each(|line| show::line(Style::Notice, &format!("! {line}")));
}

fn view(place: &Workspace, ending: Vec<outlive_core::id::SessionId>) -> StopView {
    match StopFile::of(&place.root).stopped() {
        Ok(Some(stop)) => StopView { stopped: true, at: Some(stop.at), by: Some(stop.by), reason: stop.reason, ending },
        Ok(None) | Err(_) => StopView { ending, ..StopView::default() },
    }
}

async fn all(place: &Workspace, reason: Option<&String>) -> Result<StopView, Failure> {
    if let Some(server) = client::holder(place) {
        match ask(place, &server, reason).await {
            Ok(view) => return Ok(view),
            Err(Failure::Usage(why)) => return Err(Failure::Usage(why)),
            Err(failure) => eprintln!("outlive: {failure}: it is stopped without the server"),
        }
    }
    by_hand(place, reason).await
}

async fn ask(place: &Workspace, server: &Client, reason: Option<&String>) -> Result<StopView, Failure> {
    let silent = |_elapsed| Failure::Unreachable("the server does not answer".to_owned());
    let address = client::running(place).unwrap_or_default();
    let alive = tokio::time::timeout(ALIVE, client::version(&address)).await.map_err(silent)?;
    alive.ok_or_else(|| Failure::Unreachable("the server does not answer".to_owned()))?;
    let body = StopAll { reason: reason.cloned() };
    tokio::time::timeout(ENDING, server.send(Method::POST, "/stop", &body)).await.map_err(silent)?
}

/// Writes the stop down, kills a server that does not answer, and ends what it leaves behind.
async fn by_hand(place: &Workspace, reason: Option<&String>) -> Result<StopView, Failure> {
    let (root, run) = (&place.root, place.root.join("run"));
    let stop = outlive_store::Stop {
        at: SystemClock.now(),
        by: Origin { kind: OriginKind::Cli, sender: place.sender.clone() },
        reason: reason.cloned(),
    };
    let file = StopFile::of(root);
    let stop = file.stopped().ok().flatten().unwrap_or(stop);
    // First, so that it holds for whoever starts the server again.
    let (written, gone) = match lock::is_owned(&run) {
        true => (file.stop(&stop), end_owner(&run).await),
        false => (Ok(()), Ok(())),
    };
    let held = workspace::stop(root, &stop);
    // Somebody may have started another one since: it has read the stop, and ends what was left.
    let is_known = written.is_ok() && gone.is_ok() && matches!(held, Err(workspace::OpenError::Owned(_)));
    // Whatever could not be written, and whoever could not be ended: what runs is.
    let swept = if is_known { Ok(()) } else { sweep(&run.join("children")).await };
    let ended = gone.and(swept);
    match (held, written) {
        (Ok(_lock), _) => enter(place).await,
        (Err(_), Ok(())) if is_known => {}
        (Err(error), written) => {
            let ended = ended.map_or_else(|why| format!("not all was ended ({why})"), |()| "all was ended".to_owned());
            let why = written.err().map_or_else(|| error.to_string(), |error| error.to_string());
            return Err(Failure::Failed(format!(
                "{ended}, but the stop could not be written down, so the next start does not know of it: {why}"
            )));
        }
    }
    ended?;
    Ok(view(place, Vec::new()))
}

/// Ends what a server that is gone has left running.
async fn sweep(children: &std::path::Path) -> Result<(), Failure> {
    let processes = orphans::sweep(children).await;
    if let Err(why) = orphans::sweep_containers(&wire::engine(), children).await {
        eprintln!("outlive: containers of the server, if there are any, were not looked for: {why}");
    }
    for left in processes?.iter().filter(|ended| ended.left > 0) {
        eprintln!("outlive: {} processes of {} could not be ended", left.left, left.call);
    }
    Ok(())
}

/// Enters the stop into the audit log of a workspace whose lock is held here. All is stopped, whether that can be done or not.
async fn enter(place: &Workspace) {
    if let Err(why) = entered(place).await {
        eprintln!("outlive: the stop is not in the audit log: {why}");
    }
}

async fn entered(place: &Workspace) -> Result<(), Failure> {
    let now = SystemClock.now();
    let log = AuditLog::open(Arc::new(RealDisk), &place.root, now)?;
    let (who, sender) = ("local".to_owned(), place.sender.clone());
    let (what, outcome) = ("stop".to_owned(), "ok".to_owned());
    let act = Act { at: now, who, sender, from: None, what, on: BTreeMap::new(), outcome };
    log.enter(act).await.map_err(Failure::failed)
}

/// Kills the process that holds the workspace, and its group where it leads one.
async fn end_owner(run: &std::path::Path) -> Result<(), Failure> {
    let owner = lock::owner(run).and_then(|owner| i32::try_from(owner.pid).ok()).and_then(Pid::from_raw);
    let pid = owner.ok_or_else(|| Failure::Failed("the workspace's lock names no process".to_owned()))?;
    let leads = getpgid(Some(pid)).is_ok_and(|group| group == pid);
    let killed = if leads { kill_process_group(pid, Signal::KILL) } else { kill_process(pid, Signal::KILL) };
    // One that has gone by itself meanwhile is gone.
    if let Err(error) = killed
        && lock::is_owned(run)
    {
        return Err(Failure::failed(format!("process {} cannot be ended: {error}", pid.as_raw_nonzero())));
    }
    let gone = async {
        while lock::is_owned(run) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_elapsed| Failure::Busy(format!("process {} does not end", pid.as_raw_nonzero()));
    tokio::time::timeout(GONE, gone).await.map_err(late)
}
