//! Tells by e-mail.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use outlive_core::command::Undelivered;
use outlive_core::notice::Letter;
use outlive_core::secret::Secret;

use crate::config::notify::{self, Door};

/// Time of each exchange with the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time of a whole delivery.
const WHOLE: Duration = Duration::from_secs(60);
/// Answers that are about who we are: someone may mend that.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

/// Where letters are handed in, and for whom.
pub struct Email {
    server: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// # Errors
    ///
    /// An address or the server cannot be one.
    pub fn new(email: &notify::Email, password: Option<Secret>) -> Result<Self, String> {
        let mailbox = |text: &String| text.parse().map_err(|error| format!("`{text}` is no e-mail address: {error}"));
        let (from, to) = (mailbox(&email.from)?, email.to.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?);
        let (door, host, port) = email.door()?;
        let builder = match door {
            Door::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&host).map_err(|error| error.to_string())?,
            Door::StartTls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host).map_err(|error| error.to_string())?
            }
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
        Ok(Self { server: builder.build(), from, to })
    }

    pub async fn deliver(&self, letter: &Letter) -> Result<(), Undelivered> {
        let message = self.message(letter).map_err(|error| Undelivered::for_good(error.to_string()))?;
        let sent = tokio::time::timeout(WHOLE, self.server.send(message)).await;
        match sent.map_err(|_late| Undelivered::for_now("the mail server took too long"))? {
            Ok(_) => Ok(()),
            Err(error) => {
                let is_about_us = error.status().is_some_and(|code| ABOUT_US.contains(&code.into()));
                let why = format!("the mail server: {error}");
                Err(Undelivered { why, for_good: error.is_permanent() && !is_about_us })
            }
        }
    }

    fn message(&self, letter: &Letter) -> Result<Message, lettre::error::Error> {
        let said = &letter.data;
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(format!("[Outlive] {}", said.summary))
            // The same at each try: whoever has it, has it.
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
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
