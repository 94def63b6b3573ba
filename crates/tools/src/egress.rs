//! Decides which addresses may be reached, and pins the ones that were judged.
//!
//! A name is judged by what it resolves to now: whoever connects uses the addresses of [`Egress::pin`] and never resolves the
//! name again, and asks again for each redirect. So no answer that comes later can lead elsewhere.
//!
//! Invariant: an address that is not public is reached only where its own range was granted; a granted name never opens one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::Pending;

/// Time for a name to resolve.
const RESOLVING: Duration = Duration::from_secs(10);

/// IPv4 that is nobody's on the open internet: network and bits of its prefix.
const CLOSED_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),        // this network; the unspecified address reaches the machine itself
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // shared by carriers (CGNAT); a cloud's metadata too
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // a cloud's own host, on an address that looks public
    ([169, 254, 0, 0], 16),   // link-local: where most clouds keep their metadata
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocol assignments; a cloud's metadata too
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // relays of 6to4
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarking
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 4),      // multicast
    ([240, 0, 0, 0], 4),      // reserved
    ([255, 255, 255, 255], 32),
];

/// Of IPv6 only this is given out to be reached from everywhere.
const OPEN_V6: ([u16; 8], u32) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Parts of that which are not, or which lead through a tunnel to an IPv4 address.
const CLOSED_V6: [([u16; 8], u32); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarking, ORCHID and others
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// The well-known prefix of NAT64: its last 32 bits are the IPv4 address that is reached.
const NAT64: ([u16; 8], u32) = ([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// Whether an address belongs to somebody on the open internet. What stands for an IPv4 address is judged as that one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !CLOSED_V4.iter().any(|(network, bits)| {
            Range { network: IpAddr::V4(Ipv4Addr::from(*network)), bits: *bits }.holds(IpAddr::V4(address))
        }),
        IpAddr::V6(address) => {
            let within = |(network, bits): &([u16; 8], u32)| {
                Range { network: IpAddr::V6(Ipv6Addr::from(*network)), bits: *bits }.holds(IpAddr::V6(address))
            };
            if within(&NAT64) {
                let [.., high, low] = address.segments();
                let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
                return is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
            }
            within(&OPEN_V6) && !CLOSED_V6.iter().any(within)
        }
    }
}

/// A network: all addresses that begin as this one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    network: IpAddr,
    bits: u32,
}

impl Range {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = u32::from(network) ^ u32::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = u128::from(network) ^ u128::from(address);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// One thing that may be reached: `*`, `example.org`, `*.example.org`, `10.0.0.0/8`, `127.0.0.1:8080`, `[::1]:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    what: What,
    /// Only this port, where one is named.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Every public address.
    Public,
    /// Public addresses of this name.
    Name(String),
    /// Public addresses of all names below this one.
    Below(String),
    /// These addresses, public or not.
    Range(Range),
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            let forms = "`*`, `example.org`, `*.example.org`, `10.0.0.0/8`, `127.0.0.1:8080` or `[::1]:8080`";
            format!("`{text}` is not a host that can be granted: write {forms}")
        };
        let (host, port) = split(text).ok_or_else(refuse)?;
        let what = if host == "*" {
            What::Public
        } else if let Some(range) = range(host) {
            What::Range(range)
        } else {
            let (below, name) = host.strip_prefix("*.").map_or((false, host), |rest| (true, rest));
            let name = tidy(name);
            if !is_name(&name) {
                return Err(refuse());
            }
            if below { What::Below(name) } else { What::Name(name) }
        };
        Ok(Self { what, port })
    }
}

/// Splits `host:port`. A bare IPv6 address has no port: with one it stands in brackets.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((_, after)) if after.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

fn range(text: &str) -> Option<Range> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let network: IpAddr = address.parse().ok()?;
    let most = if network.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some(Range { network, bits })
}

/// Names are compared without their case and their last dot.
fn tidy(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // A last part of digits is an address in one of its old forms, such as `127.1`.
    let is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !is_number && name.split('.').all(label)
}

/// Turns names into addresses.
pub trait Names: Send + Sync {
    /// Returns all addresses of a host.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Pending<'a, std::io::Result<Vec<SocketAddr>>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Pending<'a, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why an address may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name has no address, or none came in time.
    #[error("`{host}` cannot be resolved: {why}")]
    Unresolved {
        /// What was asked for.
        host: String,
        /// Why.
        why: String,
    },
    /// Nothing grants this host.
    #[error("`{host}:{port}` is not among the hosts that are granted")]
    NotGranted {
        /// What was asked for.
        host: String,
        /// At which port.
        port: u16,
    },
    /// It leads to addresses that are not public, and nothing grants them.
    #[error("`{host}` leads to {address}, which is not a public address: only a grant of that address opens it")]
    NotPublic {
        /// What was asked for.
        host: String,
        /// Where it leads.
        address: IpAddr,
    },
}

/// What may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Egress {
    grants: Vec<Grant>,
}

impl Egress {
    /// Every public address, and nothing else.
    #[must_use]
    pub fn public() -> Self {
        Self { grants: vec![Grant { what: What::Public, port: None }] }
    }

    /// Only what is granted here.
    #[must_use]
    pub fn only(grants: Vec<Grant>) -> Self {
        Self { grants }
    }

    /// Also what is granted here.
    #[must_use]
    pub fn and(mut self, grants: impl IntoIterator<Item = Grant>) -> Self {
        self.grants.extend(grants);
        self
    }

    /// Whether a connection to this address may be made in the name of this host.
    #[must_use]
    pub fn admits(&self, host: &str, address: SocketAddr) -> bool {
        let host = tidy(host);
        self.grants.iter().any(|grant| {
            let here = grant.port.is_none_or(|port| port == address.port());
            here && match &grant.what {
                What::Public => is_public(address.ip()),
                What::Name(name) => host == *name && is_public(address.ip()),
                What::Below(name) => is_below(&host, name) && is_public(address.ip()),
                What::Range(range) => range.holds(address.ip()),
            }
        })
    }

    /// Resolves a host (a name, or an address in any of its forms) and returns those of its addresses that may be reached:
    /// at least one. Connect to these and to nothing else.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub async fn pin(&self, names: &dyn Names, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let unresolved = |why: &str| Refused::Unresolved { host: host.to_owned(), why: why.to_owned() };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            // What nothing names is not even asked for: the question itself would tell somebody something.
            Err(_name) if !self.may_name(&tidy(bare), port) => {
                return Err(Refused::NotGranted { host: host.to_owned(), port });
            }
            Err(_name) => {
                let asked = tokio::time::timeout(RESOLVING, names.resolve(bare, port)).await;
                let asked = asked.map_err(|_late| unresolved("no answer came in time"))?;
                asked.map_err(|error| unresolved(&error.to_string()))?
            }
        };
        let first = found.first().ok_or_else(|| unresolved("it has no address"))?.ip();
        // The port is ours, whatever the resolver says.
        let found = found.into_iter().map(|address| SocketAddr::new(address.ip(), port));
        let admitted: Vec<SocketAddr> = found.filter(|address| self.admits(bare, *address)).collect();
        if !admitted.is_empty() {
            return Ok(admitted);
        }
        Err(match is_public(first) {
            true => Refused::NotGranted { host: host.to_owned(), port },
            false => Refused::NotPublic { host: host.to_owned(), address: first },
        })
    }

    /// Whether some grant could admit an address of this name.
    fn may_name(&self, host: &str, port: u16) -> bool {
        self.grants.iter().any(|grant| {
            let here = grant.port.is_none_or(|granted| granted == port);
            here && match &grant.what {
                What::Public => true,
                // A question for a name carries it out; to ask for this one asks nobody.
                What::Range(_) => host == "localhost",
                What::Name(name) => host == *name,
                What::Below(name) => is_below(host, name),
            }
        })
    }
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
