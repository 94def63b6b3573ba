//! Waits on this machine's own address for the browser to come back from a login.
//!
//! Invariants: only loopback is listened on; what does not carry the login's own state ends nothing; every visitor has a bound
//! in bytes and time.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// Visitors at once.
const VISITORS: usize = 16;
/// Time for one to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where the browser comes back to.
const PATH: &str = "/callback";

/// Where the browser comes back to.
#[derive(Debug)]
pub struct Redirect {
    listener: TcpListener,
    port: u16,
}

impl Redirect {
    /// Listens on a port: 0 picks a free one.
    ///
    /// # Errors
    ///
    /// The port cannot be had.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Returns the address that the authorization server is told.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for a visitor that carries this state, and returns the whole address that it asked for.
    ///
    /// # Errors
    ///
    /// The listener broke.
    pub async fn wait(&self, state: &str) -> io::Result<String> {
        let mut visitors = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if visitors.len() < VISITORS => {
                    visitors.push(tokio::time::timeout(PATIENCE, self.receive(accepted?.0, state)));
                }
                Some(visit) = visitors.next() => {
                    if let Ok(Some(callback)) = visit {
                        return Ok(callback);
                    }
                }
            }
        }
    }

    async fn receive(&self, mut stream: TcpStream, state: &str) -> Option<String> {
        let head = head(&mut stream).await?;
        let callback = self.asked(&head).filter(|url| super::query(url, "state").is_some_and(|given| given == state));
        let (status, text) = match &callback {
            Some(_) => ("200 OK", "This page can be closed: go back to the terminal."),
            None => ("404 Not Found", "Nothing is here."),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
        // Whoever asked may be gone by now; what it said holds.
        let _told = stream.write_all(answer.as_bytes()).await;
        let _closed = stream.shutdown().await;
        callback
    }

    /// Returns the address that a request asks for, if it is ours.
    fn asked(&self, head: &str) -> Option<String> {
        let target = head.strip_prefix("GET ")?.split(' ').next()?;
        let hosts = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut hosts = hosts.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.trim());
        let host = format!("127.0.0.1:{}", self.port);
        // A name that leads here is somebody else's page.
        let is_ours = hosts.next() == Some(&host) && hosts.next().is_none();
        let (path, _) = target.split_once('?')?;
        (is_ours && path == PATH).then(|| format!("http://{host}{target}"))
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut chunk) = (Vec::new(), [0; 2048]);
    while head.len() < HEAD {
        let read = stream.read(&mut chunk).await.ok()?;
        head.extend_from_slice(chunk.get(..read)?);
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            return String::from_utf8(head).ok();
        }
        if read == 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests;
