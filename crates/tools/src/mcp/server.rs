//! One server's life: at rest until it is wanted, starting, up, down for a while, and started again.
//!
//! Invariants: nobody waits for it without a bound; what it offered last stays on offer while it is down, and its calls say why
//! they cannot be made; its program does not outlive it; a connection that is lent stands until it is given back, but for an
//! end of all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rmcp::model::{ProtocolVersion, SubscriptionFilter};
use rmcp::service::Subscription;
use rmcp::{Peer, RoleClient};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::call::words;
use super::client::Client;
use super::connect::{Setup, Up, connect, listing};
use super::listing::Listing;
use super::{BACK_OFF, CLOSING, IDLE, LEAVING, PATIENCE, STARTING};

/// A server that was up for so long has not just failed again.
const STEADY: Duration = Duration::from_secs(60);

/// One server of one agent, shared by its sessions.
pub(crate) struct Server {
    pub setup: Setup,
    state: watch::Sender<State>,
    wanted: Notify,
    offer: Mutex<Offer>,
    stamps: Stamps,
    /// It ends at once.
    stop: CancellationToken,
    /// It ends once nobody has its connection.
    leaving: CancellationToken,
    /// What stands in its place.
    next: OnceLock<Arc<Server>>,
}

/// Counts what happens to servers, so that two states of them never have the same number.
#[derive(Clone, Default)]
pub(crate) struct Stamps(Arc<AtomicU64>);

impl Stamps {
    /// Returns a number above all before.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// What is on offer, and since when it was used.
struct Offer {
    listing: Option<Arc<Listing>>,
    /// When that was not the same as before.
    version: u64,
    used: Instant,
    /// Descriptions and schemas as they were first: which tool has changed since.
    first: std::collections::BTreeMap<String, String>,
}

/// How a server is.
#[derive(Clone)]
pub(crate) enum State {
    /// Nobody wants it.
    Resting,
    /// It is being started.
    Starting { since: Instant },
    /// It answers.
    Up(Connection),
    /// It does not, for this reason; it is started again then.
    Down { why: Arc<str>, until: Instant, failures: u32 },
    /// Its agent, or all of this, has ended.
    Ended,
}

/// A connection that stands.
#[derive(Clone)]
pub(crate) struct Connection {
    pub peer: Peer<RoleClient>,
    pub client: Client,
    /// Whoever has it keeps the connection.
    _lent: TaskTrackerToken,
}

impl Server {
    pub fn new(setup: Setup, stop: CancellationToken, stamps: Stamps) -> Self {
        let (used, first) = (Instant::now(), std::collections::BTreeMap::new());
        let offer = Offer { listing: None, version: 0, used, first };
        Self {
            setup,
            state: watch::Sender::new(State::Resting),
            wanted: Notify::new(),
            offer: Mutex::new(offer),
            stamps,
            stop,
            leaving: CancellationToken::new(),
            next: OnceLock::new(),
        }
    }

    /// Takes no more calls, and ends once those under way have ended: they come to this one, where there is one.
    pub fn leave(&self, next: Option<&Arc<Server>>) {
        if let Some(next) = next {
            // The first stands: it leads to the others.
            drop(self.next.set(Arc::clone(next)));
        }
        self.leaving.cancel();
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.leaving.is_cancelled()
    }

    async fn over(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.leaving.cancelled() => {}
        }
    }

    /// Returns what it is called.
    pub fn name(&self) -> &str {
        &self.setup.server.name
    }

    fn offer(&self) -> MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it offered last.
    pub fn listing(&self) -> Option<Arc<Listing>> {
        self.offer().listing.clone()
    }

    /// Returns a number that is a higher one once what it offers has changed.
    pub fn version(&self) -> u64 {
        self.offer().version
    }

    /// Says whether a tool has another description or schema than when it was seen first.
    pub fn has_changed(&self, tool: &str, digest: &str) -> bool {
        self.offer().first.get(tool).is_some_and(|first| first != digest)
    }

    /// Wants it to be up.
    pub fn want(&self) {
        self.offer().used = Instant::now();
        self.wanted.notify_one();
    }

    /// Wants what it offers, if that was never read: returns until when it is worth waiting for.
    pub fn expected(&self) -> Option<Instant> {
        if self.listing().is_some() {
            return None;
        }
        self.want();
        match &*self.state.borrow() {
            State::Resting => Some(Instant::now() + PATIENCE),
            State::Starting { since } => Some(*since + PATIENCE).filter(|until| *until > Instant::now()),
            State::Up(_) | State::Down { .. } | State::Ended => None,
        }
    }

    /// Waits until it is known what it offers, or that this is not known.
    pub async fn settled(&self) {
        let mut state = self.state.subscribe();
        let settled = |state: &State| !matches!(state, State::Resting | State::Starting { .. });
        // Its sender lives as long as this does.
        drop(state.wait_for(settled).await);
    }

    /// Returns the connection, once there is one, of this server or of the one that stands in its place now.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn reach(self: &Arc<Self>, stop: &CancellationToken) -> Result<(Arc<Self>, Connection), String> {
        let mut server = self;
        loop {
            let why = match server.connection(stop).await {
                Ok(connection) => return Ok((Arc::clone(server), connection)),
                Err(why) => why,
            };
            match server.next.get().filter(|_| !stop.is_cancelled()) {
                Some(next) => server = next,
                None => return Err(why),
            }
        }
    }

    async fn connection(&self, stop: &CancellationToken) -> Result<Connection, String> {
        if self.is_over() {
            return Err(format!("mcp server `{}` has ended", self.name()));
        }
        self.want();
        let mut state = self.state.subscribe();
        let wait = async {
            loop {
                let now = state.borrow_and_update().clone();
                match now {
                    State::Up(connection) if !connection.peer.is_transport_closed() => return Ok(connection),
                    State::Down { .. } | State::Ended => return Err(self.told()),
                    State::Up(_) | State::Resting | State::Starting { .. } => {}
                }
                if state.changed().await.is_err() {
                    return Err(self.told());
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Err("it was stopped before the server was there".to_owned()),
            found = tokio::time::timeout(STARTING + CLOSING, wait) => found.unwrap_or_else(|_late| Err(self.told())),
        }
    }

    /// Says how it is, in words.
    pub fn told(&self) -> String {
        let name = self.name();
        match &*self.state.borrow() {
            State::Resting => format!("mcp server `{name}` is not running: it is started when it is needed"),
            State::Starting { .. } => format!("mcp server `{name}` is starting"),
            State::Up(_) => format!("mcp server `{name}` is up"),
            State::Down { why, until, failures } => {
                let pause = until.saturating_duration_since(Instant::now()).as_secs() + 1;
                let times = if *failures > 1 { format!(", {failures} times in a row") } else { String::new() };
                format!("mcp server `{name}` is down{times}: {why}; it is started again in {pause} s")
            }
            State::Ended => format!("mcp server `{name}` has ended"),
        }
    }

    /// Says what is wrong with it, if anything is.
    pub fn warnings(&self) -> Vec<String> {
        let is_well = matches!(&*self.state.borrow(), State::Up(_) | State::Ended);
        let state = (!is_well).then(|| self.told());
        let notes = self.listing().map(|listing| listing.notes.clone()).unwrap_or_default();
        let noted = notes.into_iter().map(|note| format!("mcp server `{}`: {note}", self.name()));
        state.into_iter().chain(noted).collect()
    }

    /// Takes what it offers now.
    fn take(&self, listing: Listing) {
        let mut offer = self.offer();
        for tool in &listing.tools {
            offer.first.entry(tool.name.clone()).or_insert_with(|| tool.digest.clone());
        }
        if offer.listing.as_deref() != Some(&listing) {
            offer.listing = Some(Arc::new(listing));
            offer.version = self.stamps.next();
        }
    }

    /// Lives until it is to stop.
    pub async fn live(self: Arc<Self>) {
        let mut failures = 0;
        while !self.is_over() {
            if failures == 0 {
                self.state.send_replace(State::Resting);
                tokio::select! {
                    () = self.over() => break,
                    () = self.wanted.notified() => {}
                }
            }
            let why = match self.stand().await {
                Ok(()) => {
                    failures = 0;
                    continue;
                }
                Err((why, was_steady)) => {
                    failures = if was_steady { 1 } else { failures + 1 };
                    why
                }
            };
            let pause = (BACK_OFF.0 * 2_u32.saturating_pow(failures.min(16) - 1)).min(BACK_OFF.1);
            tracing::warn!(server = self.name(), failures, "mcp server is down");
            let why = Arc::from(words(&why));
            self.state.send_replace(State::Down { why, until: Instant::now() + pause, failures });
            tokio::select! {
                () = self.over() => break,
                () = tokio::time::sleep(pause) => {}
            }
            if self.offer().used.elapsed() > IDLE {
                failures = 0;
            }
        }
        self.state.send_replace(State::Ended);
    }

    /// Starts it and serves until it is not needed any more; or says why it is down, and whether it stood for long.
    async fn stand(&self) -> Result<(), (String, bool)> {
        self.state.send_replace(State::Starting { since: Instant::now() });
        let client = Client::new(self.name(), &self.setup.place.roots);
        let connected = tokio::select! {
            biased;
            () = self.over() => return Ok(()),
            connected = tokio::time::timeout(STARTING, connect(&self.setup, &client)) => connected,
        };
        let late = || format!("it was not ready within {} s", STARTING.as_secs());
        let up = connected.unwrap_or_else(|_late| Err(late())).map_err(|why| (why, false))?;
        let began = Instant::now();
        self.serve(up, client).await.map_err(|why| (why, began.elapsed() > STEADY))
    }

    async fn serve(&self, up: Up, client: Client) -> Result<(), String> {
        let Up { service, mut end, listing } = up;
        let peer = service.peer().clone();
        let closing = service.cancellation_token();
        let mut closed = Box::pin(futures_util::FutureExt::fuse(service.waiting()));
        self.take(listing);
        let lent = TaskTracker::new();
        let connection = Connection { peer, client, _lent: lent.token() };
        let lost = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            how = end.come() => Some(how),
            _quit = &mut closed => Some("the connection was lost".to_owned()),
            () = self.lend(connection, &lent) => None,
        };
        let why = match lost {
            Some(why) => {
                let why = end.or(why).await;
                Some(end.told(why))
            }
            None => None,
        };
        if self.is_over() {
            self.state.send_replace(State::Ended);
        }
        closing.cancel();
        if !futures_util::future::FusedFuture::is_terminated(&closed) {
            drop(tokio::time::timeout(CLOSING, closed).await);
        }
        end.make().await;
        why.map_or(Ok(()), Err)
    }

    /// Lends the connection to whoever needs it, until nobody does, and hears of changed lists meanwhile.
    async fn lend(&self, connection: Connection, lent: &TaskTracker) {
        let (peer, client) = (connection.peer.clone(), connection.client.clone());
        self.state.send_replace(State::Up(connection));
        let mut heard = self.hear(&peer).await;
        loop {
            let rest = self.offer().used + IDLE;
            tokio::select! {
                biased;
                () = self.leaving.cancelled() => break,
                () = client.changed.notified() => self.look_again(&peer).await,
                changed = next(&mut heard) => match changed {
                    true => self.look_again(&peer).await,
                    false => heard = None,
                },
                () = tokio::time::sleep_until(rest) => if self.rests(lent) { return },
            }
        }
        // What comes now goes to another one.
        self.state.send_replace(State::Ended);
        lent.close();
        if tokio::time::timeout(LEAVING, lent.wait()).await.is_err() {
            tracing::warn!(server = self.name(), "mcp server was replaced, and its last calls did not end in time");
        }
    }

    /// Goes to rest, unless somebody has the connection or has just asked for it; says whether it did.
    fn rests(&self, lent: &TaskTracker) -> bool {
        // Who wanted it while it was up is no reason to start it again.
        let _was_wanted = futures_util::FutureExt::now_or_never(self.wanted.notified());
        let State::Up(connection) = self.state.send_replace(State::Resting) else { return true };
        // From here on nobody gets it. One token is our own.
        let mut offer = self.offer();
        if lent.len() <= 1 && offer.used.elapsed() >= IDLE {
            return true;
        }
        if lent.len() > 1 {
            offer.used = Instant::now();
        }
        drop(offer);
        self.state.send_replace(State::Up(connection));
        false
    }

    /// Servers of the newest version tell of changed lists only where that was asked for.
    async fn hear(&self, peer: &Peer<RoleClient>) -> Option<Subscription> {
        let about = peer.peer_info()?;
        let tells = about.capabilities.tools.as_ref().and_then(|tools| tools.list_changed) == Some(true);
        if !tells || about.protocol_version != ProtocolVersion::V_2026_07_28 {
            return None;
        }
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let heard = tokio::time::timeout(PATIENCE, peer.listen(filter)).await;
        heard.ok()?.ok()
    }

    /// Reads what it offers again. Where that fails, what was read before stands.
    async fn look_again(&self, peer: &Peer<RoleClient>) {
        let listed = tokio::select! {
            biased;
            // One that changes it without end does not hold up its own end.
            () = self.over() => return,
            listed = tokio::time::timeout(STARTING, listing(&self.setup, peer)) => listed,
        };
        match listed {
            Ok(Ok(listing)) => self.take(listing),
            Ok(Err(why)) => tracing::warn!(server = self.name(), %why, "changed list of an mcp server cannot be read"),
            Err(_late) => tracing::warn!(server = self.name(), "changed list of an mcp server did not come in time"),
        }
    }
}

/// Waits for a word of a changed list; false once none will come.
async fn next(heard: &mut Option<Subscription>) -> bool {
    match heard {
        Some(subscription) => matches!(subscription.next().await, Ok(Some(_changed))),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use outlive_core::agent::{McpProtocol, McpServer, McpWay};

    use super::*;
    use crate::Place;
    use crate::exec::Exec;

    fn setup(folder: &Path) -> Setup {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/server.py");
        let args = ["-u", script, "old"].map(str::to_owned).to_vec();
        let way = McpWay::Stdio { command: "python3".to_owned(), args, env: Default::default(), secrets: Vec::new() };
        let (name, protocol) = ("s".to_owned(), McpProtocol::V2025);
        let server = McpServer { name, way, timeout_ms: 20_000, allow: Vec::new(), deny: Vec::new(), protocol };
        let exec = Arc::new(Exec::new([], folder, &folder.join("children")));
        let place = Place { cwd: folder.to_owned(), roots: vec![folder.to_owned()], protected: Vec::new() };
        Setup { server, exec, place, folder: folder.to_owned(), environment: Default::default(), bearer: None }
    }

    /// Nobody does anything meanwhile.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
    }

    #[tokio::test]
    async fn a_server_does_not_rest_while_somebody_has_its_connection_and_has_sent_nothing_yet() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let (lives, stop) = (TaskTracker::new(), CancellationToken::new());
        let server = Arc::new(Server::new(setup(&folder), stop.clone(), Stamps::default()));
        lives.spawn(Arc::clone(&server).live());
        let connection = server.connection(&CancellationToken::new()).await.unwrap();
        pass(IDLE).await;
        assert_eq!(server.told(), "mcp server `s` is up");
        assert_eq!(connection.peer.list_all_prompts().await.unwrap().len(), 1);
        drop(connection);
        pass(IDLE).await;
        assert_eq!(server.told(), "mcp server `s` is not running: it is started when it is needed");
        stop.cancel();
        lives.close();
        lives.wait().await;
    }
}
