//! Speaks with a mail server.
//!
//! Invariants: to another machine nothing is said in the clear but a greeting and `STARTTLS`, and nothing that was answered in the
//! clear counts afterwards; what a server has taken it has, whatever becomes of the connection.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use outlive_core::command::Undelivered;
use outlive_core::secret::Secret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::config::notify::{Door, Email};

/// Time in which the server can be reached.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time of a whole delivery.
const WHOLE: Duration = Duration::from_secs(60);
/// Time for an answer that says nothing.
const FAREWELL: Duration = Duration::from_secs(2);
/// Answers that are about who we are, or about the whole: someone may mend that.
const ABOUT_US: [u16; 5] = [530, 534, 535, 538, 554];
/// The first byte of what begins TLS. No word of SMTP has it.
const HANDSHAKE: u8 = 0x16;

/// Where letters are handed in, and by whom.
pub struct Server {
    host: String,
    port: u16,
    sealing: Sealing,
    hello: ClientId,
    credentials: Option<Credentials>,
    /// The variable that holds the password.
    variable: Option<String>,
}

/// Whom it must be, and from when on it is encrypted.
enum Sealing {
    Never,
    Always(TlsParameters),
    First(TlsParameters),
}

impl Server {
    /// # Errors
    ///
    /// It cannot be one, or nobody is trusted who could vouch for it.
    pub fn new(email: &Email, named: &str, password: Option<Secret>) -> Result<Self, String> {
        let (door, host, port) = email.door()?;
        let tls = || TlsParameters::new(host.clone()).map_err(untrusting);
        let sealing = match door {
            Door::Tls => Sealing::Always(tls()?),
            Door::StartTls => Sealing::First(tls()?),
            Door::Loopback => Sealing::Never,
        };
        let credentials = email.user.as_ref().zip(password);
        let credentials = credentials.map(|(user, it)| Credentials::new(user.clone(), it.reveal().to_owned()));
        let hello = ClientId::Domain(named.to_owned());
        Ok(Self { host, port, sealing, hello, credentials, variable: email.password.clone() })
    }

    pub async fn hand_in(&self, letter: &Message) -> Result<(), Undelivered> {
        let late = |_late| Undelivered::for_now("the mail server took too long");
        let mut server = tokio::time::timeout(WHOLE, self.say(letter)).await.map_err(late)??;
        // It has the letter, whatever it says to this.
        drop(tokio::time::timeout(FAREWELL, server.quit()).await);
        Ok(())
    }

    async fn say(&self, letter: &Message) -> Result<AsyncSmtpConnection, Undelivered> {
        let refused = |error| self.refused(&error);
        let mut server = self.reach().await?;
        if let Some(credentials) = &self.credentials {
            server.auth(DEFAULT_MECHANISMS, credentials).await.map_err(refused)?;
        }
        server.send(letter.envelope(), &letter.formatted()).await.map_err(refused)?;
        Ok(server)
    }

    async fn reach(&self) -> Result<AsyncSmtpConnection, Undelivered> {
        let place = (self.host.as_str(), self.port);
        let tls = match &self.sealing {
            Sealing::Never => None,
            Sealing::Always(tls) => Some(tls.clone()),
            Sealing::First(tls) => return self.begin(place, tls).await,
        };
        let reached = AsyncSmtpConnection::connect_tokio1(place, Some(PATIENCE), &self.hello, tls, None);
        reached.await.map_err(|error| self.refused(&error))
    }

    async fn begin(&self, place: (&str, u16), tls: &TlsParameters) -> Result<AsyncSmtpConnection, Undelivered> {
        let away = |error: io::Error| Undelivered::for_now(format!("the mail server: {error}"));
        let refused = |error| self.refused(&error);
        let reached = tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await;
        let stream = reached.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into())).map_err(away)?;
        let stream = Box::new(Sparing { stream, is_sealed: false });
        let mut server = AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await.map_err(refused)?;
        server.starttls(tls.clone(), &self.hello).await.map_err(refused)?;
        Ok(server)
    }

    fn refused(&self, error: &smtp::Error) -> Undelivered {
        let why = format!("the mail server: {}", said(error)) + &self.way_out(error);
        // 5.7 is policy: whether we may, not whether it is there.
        let is_about_us = error.status().is_some_and(|code| ABOUT_US.contains(&code.into())) || why.contains("5.7.");
        let is_final = error.is_permanent() && !is_about_us;
        if is_final { Undelivered::for_good(why) } else { Undelivered::for_now(why) }
    }

    /// Returns what a person can do about it, where it does not say so itself.
    fn way_out(&self, error: &smtp::Error) -> String {
        let what = match (error.status().map(u16::from), &self.variable, said(error)) {
            (Some(534 | 535), Some(variable), _) => format!("look at `user` and at what {variable} holds"),
            (Some(_), ..) => return String::new(),
            (None, _, said) if said.contains("UnknownIssuer") => {
                "this machine must trust who made the certificate, such as by SSL_CERT_FILE".to_owned()
            }
            (None, _, said) if said.contains("certificate not valid for name") => {
                "`server` must have a name that the certificate has".to_owned()
            }
            (None, _, said) if said.contains("STARTTLS") || said.contains("InvalidContentType") => {
                "nothing was sent in the clear: take the port that encrypts, `smtp://` by STARTTLS, `smtps://` from the beginning"
                    .to_owned()
            }
            _says_it => return String::new(),
        };
        format!("; {what}")
    }
}

/// Says why nobody can be trusted.
fn untrusting(error: smtp::Error) -> String {
    format!("{}; install ca-certificates, or name a file of authorities in SSL_CERT_FILE", said(&error))
}

/// Returns what a server said, or what is wrong without the words of the library around it.
fn said(error: &smtp::Error) -> String {
    let inner = std::iter::successors(error.source(), |cause| cause.downcast_ref::<smtp::Error>()?.source()).last();
    match inner {
        Some(inner) if error.status().is_none() => inner.to_string(),
        _answer => error.to_string(),
    }
}

/// A connection of which byte for byte no more is taken than is waited for, until it is encrypted: what somebody slipped in behind
/// the answer to `STARTTLS` is then no answer of the server, but breaks the encryption.
#[derive(Debug)]
struct Sparing {
    stream: TcpStream,
    is_sealed: bool,
}

impl AsyncTokioStream for Sparing {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Sparing {
    fn poll_read(mut self: Pin<&mut Self>, on: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_sealed {
            return Pin::new(&mut self.stream).poll_read(on, into);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(on, &mut one))?;
        into.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sparing {
    fn poll_write(mut self: Pin<&mut Self>, on: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_sealed |= bytes.first() == Some(&HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(on, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, on: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(on)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, on: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(on)
    }
}
