//! What sessions wait for, and the signals that end it.

use outlive_core::event::Overdue;
use outlive_core::time::Timestamp;
use outlive_protocol::Page;
use outlive_protocol::session::Done;
use outlive_protocol::wait::{ArmWait, MoveWait, PostSignal, WaitArmed, WaitView};
use outlive_runtime::clock::{Clock as _, SystemClock};
use outlive_tui::Sleep;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::wait::{Arm, Signal, Wait};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Wait) -> Outcome {
    let client = connect(place).await?;
    match command {
        Wait::List { session, json } => list(&client, session, json).await?,
        Wait::Arm(arm) => {
            let (span, until) = time(arm.until.as_deref())?;
            let Arm { session, reason, signal, fits, .. } = arm;
            let fits = fits.as_deref().map(|text| read("--match", text)).transpose()?;
            let overdue = Overdue::Fire;
            let body = ArmWait { reason, span, until, signal, fits, overdue, request_id: None };
            let armed: WaitArmed = client.send(Method::POST, &format!("/sessions/{session}/waits"), &body).await?;
            say!("armed {} as event {}", armed.wait_id, armed.done.seq);
        }
        Wait::Fire { wait } => {
            let _: Done = client.send(Method::POST, &format!("/waits/{wait}/fire"), &json!({})).await?;
            say!("it is over: its session goes on");
        }
        Wait::Move { wait, to } => {
            let (span, until) = time(Some(&to))?;
            let body = MoveWait { span, until, request_id: None };
            let _: Done = client.send(Method::POST, &format!("/waits/{wait}/move"), &body).await?;
            say!("moved");
        }
        Wait::Cancel { wait } => {
            let _: Done = client.send(Method::POST, &format!("/waits/{wait}/cancel"), &json!({})).await?;
            say!("cancelled: the agent is not told; a relay goes on as after a failure");
        }
    }
    ok()
}

pub async fn signal(place: &Workspace, signal: Signal) -> Outcome {
    let client = connect(place).await?;
    let Signal { session, name, payload, id } = signal;
    let payload = payload.as_deref().map(|text| read("the payload", text)).transpose()?.unwrap_or_default();
    let body = PostSignal { name, payload, request_id: id };
    let done: Done = client.send(Method::POST, &format!("/sessions/{session}/signals"), &body).await?;
    say!("{} as event {}", if done.duplicate { "received before" } else { "received" }, done.seq);
    ok()
}

async fn list(client: &Client, session: Option<String>, json: bool) -> Result<(), Failure> {
    let page = all(client, session.as_deref()).await?;
    if json {
        return show::json(&page);
    }
    if page.items.is_empty() {
        say!("nothing is waited for");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = page.items.into_iter().map(row).collect();
    show::table(&["WAIT", "SESSION", "OVER AT", "SIGNAL", "OWNER", "REASON"], &rows);
    Ok(())
}

/// Returns what is waited for by itself, by all sessions or by one.
///
/// # Errors
///
/// What the server says.
pub async fn all(client: &Client, session: Option<&str>) -> Result<Page<WaitView>, Failure> {
    let session = session.map(|session| format!("?session={session}")).unwrap_or_default();
    client.all(&format!("/waits{session}")).await
}

/// Prints what sessions wait for by themselves: nothing that a person must do.
pub fn asleep(waits: Vec<WaitView>) {
    let now = SystemClock.now();
    for wait in waits {
        let session = wait.session_id.clone();
        say!("{session}  asleep {}", slept(wait).shown(now));
    }
}

/// Prints what one session waits for.
///
/// # Errors
///
/// What the server says.
pub async fn of(client: &Client, session: &str) -> Result<(), Failure> {
    let now = SystemClock.now();
    for wait in all(client, Some(session)).await?.items {
        let id = wait.id;
        say!("waits     {id} {}", slept(wait).shown(now));
    }
    Ok(())
}

/// Returns a wait as it is shown.
pub fn slept(wait: WaitView) -> Sleep {
    Sleep { until: wait.due_at.or(wait.deadline), signal: wait.signal, reason: wait.reason }
}

fn row(wait: WaitView) -> Vec<String> {
    let over_at = wait.due_at.or(wait.deadline).map(|at| at.to_string()).unwrap_or_else(|| "-".to_owned());
    let owner = serde_json::to_value(wait.owner).ok().and_then(|word| word.as_str().map(str::to_owned));
    let (signal, reason) = (show::label(wait.signal.as_deref().unwrap_or("-")), show::label(&wait.reason));
    vec![wait.id.to_string(), wait.session_id, over_at, signal, owner.unwrap_or_default(), reason]
}

/// Reads a span from now, or a time.
fn time(text: Option<&str>) -> Result<(Option<String>, Option<Timestamp>), Failure> {
    let Some(text) = text else { return Ok((None, None)) };
    if outlive_core::time::milliseconds(text).is_some() {
        return Ok((Some(text.to_owned()), None));
    }
    let at = text
        .parse()
        .map_err(|error| Failure::Usage(format!("{error}; or give a span from now such as 90s, 10m, 2h or 14d")))?;
    Ok((None, Some(at)))
}

fn read(what: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{what} is not JSON: {error}")))
}
