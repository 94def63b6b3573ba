//! How a connection to a server is made: its program is started, or its address called, and a version of the protocol found.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{McpProtocol, McpServer, McpWay};
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, RunningService, serve_client_with_lifecycle_and_ct};
use rmcp::transport::IntoTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{Peer, RoleClient};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bearer::LetIn;
use super::bounded::{Bounded, Fault};
use super::call::words;
use super::client::Client;
use super::http::Carried;
use super::listing::{Choice, Listing, tools};
use super::{Bearer, FRAME_BYTES, valve};
use crate::Place;
use crate::cli;
use crate::exec::Exec;
use crate::exec::lasting::{Daemon, Said};

/// Time for a program to end whose connection was lost.
const AT_ONCE: Duration = Duration::from_millis(500);

/// All that a server is started with.
#[derive(Clone)]
pub struct Setup {
    /// What the agent says of it.
    pub server: McpServer,
    /// What starts its program.
    pub exec: Arc<Exec>,
    /// Where it works.
    pub place: Place,
    /// Where the agent's definition lies.
    pub folder: PathBuf,
    /// Variables that its program sees beside the usual ones: its own, and the secrets that were granted.
    pub environment: BTreeMap<String, String>,
    /// Who lets requests in.
    pub bearer: Option<Arc<dyn Bearer>>,
}

impl Setup {
    /// Says whether another one asks for the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.server, &self.folder, &self.environment) == (&other.server, &other.folder, &other.environment)
            && self.exec.confines_as(&other.exec)
            && self.place.cwd == other.place.cwd
    }
}

/// A connection.
pub(super) struct Up {
    pub service: RunningService<RoleClient, Client>,
    pub end: End,
    pub listing: Listing,
}

/// The end of what is behind a connection: it comes by itself, or is asked for.
pub(super) struct End {
    ended: Pin<Box<dyn Future<Output = String> + Send>>,
    /// How it was, once it has come.
    how: Option<String>,
    stop: CancellationToken,
    /// Whoever forgets it asks for it.
    _guard: DropGuard,
    said: Option<Said>,
    /// Why its messages are not read any more.
    pub fault: Fault,
}

impl End {
    /// A server at an address, which is not ours to end.
    fn never() -> Self {
        let ended = Box::pin(std::future::pending());
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        Self { ended, how: None, stop, _guard, said: None, fault: Fault::default() }
    }

    /// Waits until it is there, and says how it was.
    pub async fn come(&mut self) -> String {
        if let Some(how) = &self.how {
            return how.clone();
        }
        let how = (&mut self.ended).await;
        self.how.insert(how).clone()
    }

    /// Says how it was, if it comes at once: a connection is lost because of it. Otherwise this.
    pub async fn or(&mut self, why: String) -> String {
        tokio::time::timeout(AT_ONCE, self.come()).await.unwrap_or(why)
    }

    /// Asks for it, and waits.
    pub async fn make(mut self) {
        self.stop.cancel();
        if self.said.is_some() {
            self.come().await;
        }
    }

    /// Adds what is known beside it.
    pub fn told(&self, why: String) -> String {
        let fault = self.fault.told().map(|fault| format!("{why}: {fault}")).unwrap_or(why);
        let said = self.said.as_ref().map(Said::text).filter(|said| !said.is_empty());
        said.map_or(fault.clone(), |said| {
            let last: Vec<&str> = said.lines().rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            format!("{fault}; it said: {}", words(&last.join(" | ")))
        })
    }
}

/// Connects, and reads what is offered.
pub(super) async fn connect(setup: &Setup, client: &Client) -> Result<Up, String> {
    let mut modes = modes(setup.server.protocol);
    // A program that knows no other beginning than the old one may end at the new one: it is started again for that.
    if matches!((&setup.server.way, setup.server.protocol), (McpWay::Stdio { .. }, McpProtocol::Auto)) {
        modes.push(ClientLifecycleMode::Initialize);
    }
    let mut why = String::new();
    for mode in modes {
        match begin(setup, client.clone(), mode).await {
            Ok((service, end)) => return listed(setup, service, end).await,
            Err(Trouble::Final(why)) => return Err(why),
            Err(Trouble::Beginning(again)) => why = again,
        }
    }
    Err(why)
}

fn modes(protocol: McpProtocol) -> Vec<ClientLifecycleMode> {
    let new = vec![ProtocolVersion::V_2026_07_28];
    vec![match protocol {
        McpProtocol::Auto => {
            ClientLifecycleMode::Auto { preferred_versions: new, legacy_version: Some(ProtocolVersion::V_2025_11_25) }
        }
        McpProtocol::V2025 => ClientLifecycleMode::Initialize,
        McpProtocol::V2026 => ClientLifecycleMode::Discover { preferred_versions: new },
    }]
}

enum Trouble {
    /// Nothing else is worth trying now.
    Final(String),
    /// The conversation did not begin.
    Beginning(String),
}

#[expect(clippy::disallowed_methods, reason = "the life of a program is owned by the connection's end, which stops it")]
fn spawn<T: Send + 'static>(life: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(life)
}

type Begun = (RunningService<RoleClient, Client>, End);

async fn begin(setup: &Setup, client: Client, mode: ClientLifecycleMode) -> Result<Begun, Trouble> {
    match &setup.server.way {
        McpWay::Stdio { command, args, .. } => {
            let program = cli::program(command, &setup.folder).into_os_string();
            let argv = std::iter::once(program).chain(args.iter().map(OsString::from)).collect();
            let program = Daemon { argv, environment: &setup.environment, place: &setup.place };
            let lasting = setup.exec.start(program).await.map_err(Trouble::Final)?;
            let (stop, fault, life) = (CancellationToken::new(), Fault::default(), lasting.life);
            let until = stop.clone();
            // On its own, so that what it complains of is always heard.
            let ended = spawn(async move { how(life.live(&until).await) });
            let ended = Box::pin(async move { ended.await.unwrap_or_else(|_| "its program was given up".to_owned()) });
            let end = End {
                ended,
                how: None,
                _guard: stop.clone().drop_guard(),
                stop,
                said: Some(lasting.said),
                fault: fault.clone(),
            };
            let (output, input) = valve::between(lasting.output, lasting.input);
            let bounded = Bounded::new(output, fault);
            let transport = AsyncRwTransport::new(bounded, input).with_max_line_length(FRAME_BYTES);
            serve(client, transport, (mode, end)).await
        }
        McpWay::Http { url, headers, .. } => {
            let carried = Carried::of(headers).map_err(Trouble::Final)?;
            let http = carried.client().map_err(Trouble::Final)?;
            let http = LetIn::new(http, setup.bearer.clone());
            serve(client, carried.transport(url, http), (mode, End::never())).await
        }
    }
}

async fn serve<T, E, A>(
    client: Client,
    transport: T,
    (mode, mut end): (ClientLifecycleMode, End),
) -> Result<Begun, Trouble>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let begun = {
        let served = serve_client_with_lifecycle_and_ct(client, transport, mode, CancellationToken::new());
        tokio::select! {
            served = served => served.map_err(|error| (told(&error), error.is_authorization_required())),
            how = end.come() => return Err(Trouble::Beginning(end.told(how))),
        }
    };
    match begun {
        Ok(service) => Ok((service, end)),
        Err((why, true)) => Err(Trouble::Final(why)),
        Err((why, false)) => {
            let why = end.or(why).await;
            let why = end.told(why);
            end.make().await;
            Err(Trouble::Beginning(why))
        }
    }
}

async fn listed(setup: &Setup, service: RunningService<RoleClient, Client>, end: End) -> Result<Up, String> {
    match listing(setup, service.peer()).await {
        Ok(listing) => Ok(Up { service, end, listing }),
        Err(why) => {
            let why = end.told(why);
            drop(service);
            end.make().await;
            Err(why)
        }
    }
}

/// Reads what a server offers.
pub(super) async fn listing(setup: &Setup, peer: &Peer<RoleClient>) -> Result<Listing, String> {
    let about = peer.peer_info().ok_or("it did not say what it is")?;
    if !ProtocolVersion::KNOWN_VERSIONS.contains(&about.protocol_version) {
        return Err(format!("it speaks version `{}` of the protocol, which is not known here", about.protocol_version));
    }
    let has = &about.capabilities;
    let choice = Choice { allow: &setup.server.allow, deny: &setup.server.deny };
    let (tools, notes) = if has.tools.is_some() { tools(peer, &choice).await? } else { Default::default() };
    Ok(Listing {
        tools,
        notes,
        resources: has.resources.is_some(),
        prompts: has.prompts.is_some(),
        protocol: about.protocol_version.to_string(),
    })
}

fn how(ending: crate::exec::Ending) -> String {
    use crate::exec::Ending;
    match ending {
        Ending::Exited(code) => format!("its program ended with exit code {code}"),
        Ending::Signalled(signal) => format!("its program was ended by signal {signal}"),
        Ending::TimedOut | Ending::Stopped => "its program was stopped".to_owned(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what else the SDK says is told in its words")]
fn told(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::LegacyFallbackFailed { discover, fallback } => {
            format!("{}; and with the older handshake: {}", told(discover), told(fallback))
        }
        ClientInitializeError::JsonRpcError(said) => {
            format!("it says: {} (code {})", words(&said.message), said.code.0)
        }
        ClientInitializeError::TransportError { error, .. } => super::call::in_transport(error).0,
        other => words(&other.to_string()),
    }
}
