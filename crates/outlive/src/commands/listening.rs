//! Where a server listens: on loopback in plain, beyond it in TLS or for declared proxies alone.
//!
//! Invariants: nothing listens in plain for whoever comes from beyond this machine; and there is always a place on loopback
//! for the commands of this machine, which know no certificate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use outlive_server::{Entrance, Settings, Tokens};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;

use crate::cli::Serve;
use crate::config::server::{Server, TlsFiles};
use crate::exit::Failure;

const HOST: &str = "127.0.0.1";
/// Where it listens when nobody says where.
pub const PORT: u16 = 7711;

/// The places where a server listens.
pub struct Places {
    /// All of them.
    pub entrances: Vec<Entrance>,
    /// Where this machine's commands find it.
    pub local: SocketAddr,
    /// What people are told.
    pub shown: String,
}

/// What was typed counts before what stands in `outlive.yaml`.
pub fn meant(serve: &Serve, mut config: Server) -> Server {
    config.host = serve.host.clone().or(config.host);
    config.port = serve.port.or(config.port);
    if let (Some(cert), Some(key)) = (serve.tls_cert.clone(), serve.tls_key.clone()) {
        config.tls = Some(TlsFiles { cert, key });
    }
    if !serve.behind_proxy.is_empty() {
        config.behind_proxy.clone_from(&serve.behind_proxy);
    }
    config
}

/// Returns how a server behaves that listens there.
pub fn settings(config: &Server, tokens: Tokens) -> Settings {
    let mut settings = Settings::new(tokens);
    settings.hosts = config.hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
    // No foreign page can claim an address that it was not loaded from.
    let own = config.host.as_ref().and_then(|host| host.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified());
    settings.hosts.extend(own.map(|ip| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }));
    settings.proxies = config.behind_proxy.iter().map(IpAddr::to_canonical).collect();
    config.limits.set(&mut settings);
    // A third of the descriptors for other machines, one for this one, one for what the server itself opens.
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most / 3).ok());
    settings.limits.connections = settings.limits.connections.min(descriptors.unwrap_or(usize::MAX));
    settings
}

/// Listens.
///
/// # Errors
///
/// The address is none or beyond loopback in plain, the certificate cannot be used, or the port is taken.
pub async fn open(config: &Server) -> Result<Places, Failure> {
    let host = config.host.as_deref().unwrap_or(HOST);
    let ip: IpAddr = match host {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        other => other.parse().map_err(|_| Failure::Usage(format!("`{other}` is not an IP address")))?,
    };
    if !ip.is_loopback() && config.tls.is_none() && config.behind_proxy.is_empty() {
        return Err(Failure::Usage(format!(
            "listening on {ip}, beyond loopback, needs TLS (--tls-cert FILE --tls-key FILE) or a declared proxy that speaks \
             it (--behind-proxy ADDRESS): in plain everybody on the way reads the token"
        )));
    }
    let tls = config.tls.as_ref().map(TlsFiles::read).transpose()?;
    let listener = bound(SocketAddr::new(ip, config.port.unwrap_or(PORT))).await?;
    let address = listener.local_addr()?;
    let entrance = match tls {
        Some(tls) => Entrance::tls(listener, tls),
        None if ip.is_loopback() => {
            let shown = format!("http://{address}");
            return Ok(Places { entrances: vec![Entrance::plain(listener)], local: address, shown });
        }
        None => Entrance::behind(listener, &config.behind_proxy),
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let here = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let local = here.local_addr()?;
    let shown = format!("http://{local} and {scheme}://{address}");
    Ok(Places { entrances: vec![entrance, Entrance::plain(here)], local, shown })
}

async fn bound(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::Failed(format!("cannot listen on {address}: {error}; --port 0 picks a free port")))
}
