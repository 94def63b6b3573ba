//! Tells by e-mail.

use std::error::Error as _;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use outlive_core::command::{Then, Undelivered};
use outlive_core::notice::Letter;
use outlive_core::secret::Secret;

use crate::config::notify::{self, Door};

/// Time in which the server can be reached.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time of a whole delivery.
const WHOLE: Duration = Duration::from_secs(60);
/// Answers that are about who we are, or about the whole: someone may mend that.
const ABOUT_US: [u16; 5] = [530, 534, 535, 538, 554];

/// Where letters are handed in, and for whom.
pub struct Email {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// The variable that holds the password.
    password: Option<String>,
}

impl Email {
    /// # Errors
    ///
    /// An address or the server cannot be one, or nobody is trusted who could vouch for the server.
    pub fn new(email: &notify::Email, password: Option<Secret>) -> Result<Self, String> {
        let (from, to) = email.mailboxes()?;
        let (door, host, port) = email.door()?;
        let builder = match door {
            Door::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&host).map_err(untrusting)?,
            Door::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host).map_err(untrusting)?,
            Door::Loopback => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host),
        };
        let named = Mailbox::clone(&from).email.domain().to_owned();
        let builder = builder.port(port).timeout(Some(PATIENCE)).hello_name(ClientId::Domain(named));
        let builder = match (&email.user, password) {
            (Some(user), Some(password)) => {
                builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()))
            }
            _nobody => builder,
        };
        Ok(Self { server: builder.build(), from, to, password: email.password.clone() })
    }

    /// Each has a letter of their own, so that one who cannot have it keeps it from nobody.
    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        let mut failed: Vec<Undelivered> = Vec::new();
        for to in &self.to {
            failed.extend(self.deliver_to(to, letter).await.err());
        }
        let (of, given_up) = (self.to.len(), failed.iter().filter(|failed| failed.then == Then::GiveUp).count());
        match failed.iter().position(|failed| failed.then != Then::GiveUp) {
            Some(first) => Err(failed.swap_remove(first)),
            None if given_up == 0 => Ok(()),
            None => {
                let why = failed.swap_remove(0).why;
                let has = if of > given_up { format!("{} of {of} have it; ", of - given_up) } else { String::new() };
                Err(Undelivered::for_good(has + &why))
            }
        }
    }

    async fn deliver_to(&self, to: &Mailbox, letter: &Letter) -> Result<(), Undelivered> {
        let message = self.message(to, letter).map_err(|error| Undelivered::for_good(error.to_string()))?;
        let sent = tokio::time::timeout(WHOLE, self.server.send(message)).await;
        let error = match sent.map_err(|_late| Undelivered::for_now("the mail server took too long"))? {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let why = format!("the mail server: {}", said(&error)) + &self.way_out(&error);
        // 5.7 is policy: whether we may, not whether it is there.
        let is_about_us = error.status().is_some_and(|code| ABOUT_US.contains(&code.into())) || why.contains("5.7.");
        let is_final = error.is_permanent() && !is_about_us;
        Err(if is_final { Undelivered::for_good(why) } else { Undelivered::for_now(why) })
    }

    /// Returns what a person can do about it, where it does not say so itself.
    fn way_out(&self, error: &smtp::Error) -> String {
        let what = match (error.status().map(u16::from), &self.password, said(error)) {
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

    fn message(&self, to: &Mailbox, letter: &Letter) -> Result<Message, lettre::error::Error> {
        let said = &letter.data;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(format!("[Outlive] {}", said.summary))
            // The same at each try: whoever has it, has it.
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        let about =
            |name: &str, value: Option<String>| value.map(|value| format!("{name}: {value}\n")).unwrap_or_default();
        let agent = Some(said.agent.clone()).filter(|agent| !agent.is_empty());
        let foot = about("agent", agent)
            + &about("title", said.title.clone())
            + &about("session", said.session_id.map(|id| id.to_string()))
            + &about("notice", Some(letter.id.to_string()));
        message.body(format!("{}\n\n--\n{foot}at: {}\n", said.text, letter.timestamp))
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
