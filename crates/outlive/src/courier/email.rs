//! Tells by e-mail.

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use outlive_core::command::{Then, Undelivered};
use outlive_core::notice::Letter;
use outlive_core::secret::Secret;

use super::smtp::Server;
use crate::config::notify;

/// Where letters are handed in, and for whom.
pub struct Email {
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// # Errors
    ///
    /// An address or the server cannot be one, or nobody is trusted who could vouch for the server.
    pub fn new(email: &notify::Email, password: Option<Secret>) -> Result<Self, String> {
        let (from, to) = email.mailboxes()?;
        Ok(Self { server: Server::new(email, from.email.domain(), password)?, from, to })
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
        self.server.hand_in(&message).await
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
