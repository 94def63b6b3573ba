//! Tells systemd, where it started this process, that the server is ready, still answers, or stops: one datagram each.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::config;

/// Whoever supervises this process.
#[derive(Debug)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    within: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names; nobody where it names none.
    pub fn of_this_process() -> Self {
        let address = config::variable("NOTIFY_SOCKET").and_then(|name| address(&name));
        let is_ours = config::variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let micros = config::variable("WATCHDOG_USEC").filter(|_| is_ours).and_then(|text| text.parse().ok());
        let within = micros.filter(|micros| *micros > 0).map(Duration::from_micros);
        Self { within: within.filter(|_| address.is_some()), address }
    }

    /// Returns within which time it wants to hear that the server still answers.
    pub fn within(&self) -> Option<Duration> {
        self.within
    }

    /// The server takes requests.
    pub fn ready(&self, address: &str) {
        self.say(&format!("READY=1\nSTATUS=listens on http://{address}"));
    }

    /// The server still answers.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// The server stops.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping");
    }

    fn say(&self, words: &str) {
        let Some(address) = &self.address else { return };
        let said = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(words.as_bytes(), address));
        if let Err(error) = said {
            tracing::warn!(%error, "the supervisor cannot be told");
        }
    }
}

/// A path, or with `@` a name that is in no folder.
fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(name).ok(),
    }
}
