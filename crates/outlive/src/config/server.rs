//! `server:` of `outlive.yaml`: where it listens, for whom, and how much of each is taken.

use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outlive_server::{Limits, Rate, Settings, Tls};
use serde::Deserialize;

use crate::exit::Failure;

/// How the server listens.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address; 127.0.0.1 by default.
    pub host: Option<String>,
    /// Port; 7711 by default.
    pub port: Option<u16>,
    /// Names besides the loopback ones that the Host header may carry.
    pub hosts: Vec<String>,
    /// Certificate and key; without them it is plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Addresses of the proxies that stand before it.
    pub behind_proxy: Vec<IpAddr>,
    /// How much is taken.
    pub limits: ServerLimits,
}

/// Where certificate and key lie.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain of certificates as PEM, the server's own first.
    pub cert: PathBuf,
    /// The key as PEM; nobody but its owner and group may reach it.
    pub key: PathBuf,
}

/// How much is taken; what is left out is as the guide says.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerLimits {
    /// Connections at the same time.
    pub connections: Option<NonZeroUsize>,
    /// Of these, from one address beyond this machine.
    pub connections_per_address: Option<NonZeroUsize>,
    /// Headers of a request.
    pub headers: Option<NonZeroUsize>,
    /// Bytes of a request's address and headers.
    pub head_bytes: Option<NonZeroUsize>,
    /// Bytes of a request's body, where its route has no limit of its own.
    pub body_bytes: Option<NonZeroUsize>,
    /// Seconds for a body to arrive.
    pub body_s: Option<NonZeroU64>,
    /// Requests a second with one token; 0 is without a limit.
    pub token_requests_per_s: Option<u32>,
    /// Requests a second from one address beyond this machine; 0 is without a limit.
    pub address_requests_per_s: Option<u32>,
    /// Wrong tokens a minute from one address; 0 is without a limit.
    pub wrong_tokens_per_minute: Option<u32>,
    /// Seconds that an event stream or a WebSocket lasts.
    pub stream_s: Option<NonZeroU64>,
    /// Seconds that a client may take nothing of what it is sent.
    pub take_s: Option<NonZeroU64>,
}

impl ServerLimits {
    /// Changes what is said here.
    pub fn set(&self, settings: &mut Settings) {
        let bodies = (count(self.body_bytes, settings.body_bytes), seconds(self.body_s, settings.body_time));
        (settings.body_bytes, settings.body_time) = bodies;
        let usual = settings.limits.clone();
        settings.limits = Limits {
            connections: count(self.connections, usual.connections),
            connections_per_address: count(self.connections_per_address, usual.connections_per_address),
            headers: count(self.headers, usual.headers),
            head_bytes: count(self.head_bytes, usual.head_bytes),
            of_token: rate(self.token_requests_per_s, usual.of_token),
            of_address: rate(self.address_requests_per_s, usual.of_address),
            failures: self.wrong_tokens_per_minute.map_or(usual.failures, |most| {
                let most = f64::from(most);
                Rate { per_s: most / 60.0, burst: most }
            }),
            stream: seconds(self.stream_s, usual.stream),
            take: seconds(self.take_s, usual.take),
        };
    }
}

fn count(said: Option<NonZeroUsize>, usual: usize) -> usize {
    said.map_or(usual, NonZeroUsize::get)
}

fn seconds(said: Option<NonZeroU64>, usual: Duration) -> Duration {
    said.map_or(usual, |said| Duration::from_secs(said.get()))
}

/// Five seconds' worth may come at once.
fn rate(said: Option<u32>, usual: Rate) -> Rate {
    said.map_or(usual, |per_s| Rate { per_s: f64::from(per_s), burst: f64::from(per_s) * 5.0 })
}

impl TlsFiles {
    /// Reads both.
    ///
    /// # Errors
    ///
    /// What is wrong with which.
    pub fn read(&self) -> Result<Tls, Failure> {
        let chain = file(&self.cert)?;
        let mode = std::fs::metadata(&self.key).map_err(|error| named(&self.key, &error))?.permissions().mode();
        if mode & 0o007 != 0 {
            let key = self.key.display();
            return Err(Failure::Usage(format!("{key} can be reached by everybody here: chmod o= {key}")));
        }
        let tls = Tls::from_pem(&chain, &file(&self.key)?);
        tls.map_err(|why| Failure::Usage(format!("{}, {}: {why}", self.cert.display(), self.key.display())))
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use outlive_server::{Settings, Token};

    use super::super::read_config;
    use super::*;

    fn settings(limits: &str) -> Settings {
        let config = read_config(&format!("server: {{limits: {{{limits}}}}}\n")).expect("it is one");
        let mut settings = Settings::new(Token::new("x"));
        config.server.limits.set(&mut settings);
        settings
    }

    #[test]
    fn what_is_left_out_stays_as_it_is() {
        assert_eq!(settings("").limits, Limits::default());
        let said =
            settings("token_requests_per_s: 7, wrong_tokens_per_minute: 30, stream_s: 5, body_bytes: 10, headers: 9");
        let expected = Limits {
            of_token: Rate { per_s: 7.0, burst: 35.0 },
            failures: Rate { per_s: 0.5, burst: 30.0 },
            stream: Duration::from_secs(5),
            headers: 9,
            ..Limits::default()
        };
        assert_eq!((said.limits, said.body_bytes), (expected, 10));
    }

    #[test]
    fn what_would_let_nobody_in_or_means_nothing_is_refused() {
        for (text, says) in [
            ("limits: {connections: 0}", "zero"),
            ("limits: {stream_s: 0}", "zero"),
            ("limits: {headers: -1}", "headers"),
            ("limits: {conections: 9}", "connections"),
            ("tls: {cert: a.pem}", "key"),
            ("behind_proxy: [proxy.example]", "IP"),
            ("behind_proxy: 10.0.0.1", "sequence"),
        ] {
            let error = read_config(&format!("server:\n  {text}\n")).expect_err(text).to_string();
            assert!(error.contains("outlive.yaml:2") && error.contains(says), "{text}: {error}");
        }
    }
}
