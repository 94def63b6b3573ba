//! Runs the server until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;
use outlive_runtime::Runtime;
use outlive_server::Trail;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::listening::{self, Places};
use crate::cli::Serve;
use crate::client;
use crate::config::{self, Clean, Workspace};
use crate::courier::calls;
use crate::exit::{Failure, Outcome, ok};
use crate::supervisor::Supervisor;
use crate::telemetry::Telemetry;
use crate::wire;

pub async fn run(mut place: Workspace, serve: &Serve) -> Outcome {
    if let Some(folder) = &serve.works_in {
        place.cwd.clone_from(folder);
    }
    let place = &place;
    if serve.unit {
        return unit();
    }
    if serve.status {
        return super::status(place, serve.json);
    }
    if serve.stop {
        return stop(place).await;
    }
    let secrets = Secrets::default();
    logs(place, &serve.log, &secrets)?;
    let config = place.config()?;
    // Said first: who starts a second one mostly asks for the same port.
    if let Some(first) = client::running(place) {
        return Err(Failure::Busy(format!(
            "the server at {first} owns this workspace: use it, or `outlive serve --stop`"
        )));
    }
    // From here on a signal ends it cleanly: also one that comes while it starts.
    let stopped = stopped()?;
    let config = listening::meant(serve, config.server);
    let Places { entrances, local: address, shown } = listening::open(&config).await?;
    let token = place.make_token()?;
    wire::learn_known(&secrets, vec![("OUTLIVE_TOKEN".to_owned(), Secret::new(token.as_str()))]);
    let engine = wire::start(place, &secrets).await?;
    let mut settings = listening::settings(&config, wire::tokens(place)?);
    settings.audit = audited(&engine);
    settings.webhooks = config::webhooks(&place.config()?, &config::Environment::default());
    engine.files.set_address(&address.to_string())?;
    say!("outlive listens on {shown} for {}", place.root.display());
    let telemetry = Telemetry::begin(&engine.runtime);
    calls::begin(&engine.runtime);
    let supervisor = Supervisor::of_this_process();
    supervisor.ready(&address.to_string());
    tracing::info!(%address, workspace = %place.root.display(), version = env!("CARGO_PKG_VERSION"), "server started");
    let stop = CancellationToken::new();
    let idle = idle(Arc::clone(&engine.runtime), serve.idle_exit.map(Duration::from_secs));
    let api = outlive_server::serve(entrances, Arc::clone(&engine.runtime), settings, stop.clone());
    tokio::pin!(api);
    let address = address.to_string();
    tokio::select! {
        () = &mut api => {}
        () = stopped => {}
        () = idle => tracing::info!("nothing to do: stopping"),
        () = feed(&supervisor, &address) => {}
    }
    supervisor.stopping();
    tracing::info!("shutting down");
    engine.runtime.shutdown().await;
    stop.cancel();
    // Requests under way have had their answers or their streams' ends by now.
    tokio::time::timeout(Duration::from_secs(2), api).await.ok();
    engine.audit.close();
    engine.files.close();
    telemetry.end(&engine.runtime);
    ok()
}

/// Enters into the audit log what is asked of the server, and what is refused to agents.
fn audited(engine: &wire::Engine) -> Trail {
    let trail = Trail::new(engine.audit.clone());
    let ear = trail.clone();
    engine.runtime.hear_of_refusals(Arc::new(move |refused| ear.refused(refused)));
    trail
}

/// Ends at the first signal to stop. The signals are caught at once, not when it is first waited for.
fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends when the runtime has had nothing to do for this long; never without a limit.
async fn idle(runtime: Arc<Runtime>, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    let (mut seen, mut quiet) = (runtime.activity(), 0);
    while quiet < LOOKS {
        tokio::time::sleep(limit / LOOKS).await;
        let now = runtime.activity();
        quiet = if now == seen && runtime.is_quiet() { quiet + 1 } else { 0 };
        seen = now;
    }
}

/// How often within its limit an idle server looks whether it still is.
const LOOKS: u32 = 10;

async fn stop(place: &Workspace) -> Outcome {
    let run = place.root.join("run");
    let owner = outlive_store::files::lock::owner(&run).filter(|_| outlive_store::files::lock::is_owned(&run));
    let Some(owner) = owner else { return Err(Failure::Unreachable("no server runs".to_owned())) };
    let pid = i32::try_from(owner.pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::Failed("the lock names no process".to_owned()))?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(Failure::failed)?;
    for _ in 0..500 {
        if !outlive_store::files::lock::is_owned(&run) {
            say!("stopped");
            return ok();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let address = client::running(place).unwrap_or_default();
    Err(Failure::Busy(format!("the server at {address} (process {}) is still shutting down", owner.pid)))
}

/// Libraries that tell what servers are sent and send: that is conversation, and keys, which no log holds.
const SILENT: [&str; 2] = ["rmcp=off", "oauth2=off"];

/// JSON lines in the workspace's log, where `outlive logs` finds them, and on standard error unless that is the log: for
/// whoever supervises this process, and for people where it is a terminal.
fn logs(place: &Workspace, filter: &str, secrets: &Secrets) -> Result<(), Failure> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::filter::Directive;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _};
    let filter = if filter.trim().is_empty() { "info" } else { filter };
    let read = |text: &str| EnvFilter::builder().parse(text);
    let wrong = |why| Failure::Usage(format!("--log `{filter}`: {why}; try `info` or `info,outlive_runtime=debug`"));
    read(filter).map_err(wrong)?;
    let silent: Result<Vec<Directive>, _> = SILENT.iter().map(|silent| silent.parse()).collect();
    let silent = silent.map_err(|why| Failure::Failed(format!("log: {why}")))?;
    let add = |filter: EnvFilter, silent: &Directive| filter.add_directive(silent.clone());
    let filter = || silent.iter().fold(read(filter).unwrap_or_default(), add);
    let log = place.open_log()?;
    let (own, shown) = (rustix::fs::fstat(log.handle()?), rustix::fs::fstat(std::io::stderr()));
    let is_log = own.is_ok_and(|own| shown.is_ok_and(|shown| (own.st_dev, own.st_ino) == (shown.st_dev, shown.st_ino)));
    let terminal = std::io::stderr().is_terminal();
    let shown = || Clean::new(std::io::stderr, secrets);
    let people = terminal.then(|| layer().with_writer(shown()).with_filter(filter()));
    let program = (!terminal && !is_log).then(|| layer().json().with_writer(shown()).with_filter(filter()));
    let file = layer().json().with_writer(Clean::new(log, secrets)).with_filter(filter());
    tracing_subscriber::registry().with(file).with(people).with(program).init();
    Ok(())
}

/// Tells the supervisor that the server is alive, at half of the time within which it wants to hear so, each time that the
/// server itself was asked and said so. One whose store is closed by a failed sync says no: a restart reads what is there.
async fn feed(supervisor: &Supervisor, address: &str) {
    let Some(within) = supervisor.within() else { return std::future::pending().await };
    loop {
        tokio::time::sleep(within / 2).await;
        match tokio::time::timeout(within / 4, client::is_ready(address)).await {
            Ok(true) => supervisor.alive(),
            Ok(false) | Err(_) => tracing::error!("the server does not answer: the watchdog is not fed"),
        }
    }
}

/// The unit, as it lies in `packaging/`.
const UNIT: &str = include_str!("../../../../packaging/outlive.service");

/// Prints the unit for the binary that runs.
fn unit() -> Outcome {
    let binary = std::env::current_exe()?;
    crate::show::out(&UNIT.replace("/usr/bin/outlive", &binary.display().to_string()));
    ok()
}
