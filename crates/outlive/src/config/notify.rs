//! Who is told of what outside of any client, as `notify` in `outlive.yaml` says.

use std::collections::BTreeSet;

use lettre::message::Mailbox;
use outlive_core::id::AgentName;
use outlive_core::notice::{Target, Topic};
use serde::Deserialize;

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Notify {
    topics: BTreeSet<Topic>,
    agents: BTreeSet<AgentName>,
    /// How.
    pub to: To,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq)]
pub enum To {
    /// By a webhook that is signed as Standard Webhooks describes.
    Webhook {
        /// Where it goes.
        url: String,
        /// The variable that holds the secret.
        secret: String,
    },
    /// By e-mail.
    Email(Email),
    /// By a program and its arguments.
    Command(Vec<String>),
}

/// How e-mail is handed in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Who gets it.
    pub to: Vec<String>,
    /// Whom it is from.
    pub from: String,
    /// `smtps://HOST[:PORT]`, or `smtp://HOST[:PORT]`, which begins to encrypt before anything is said unless it is this machine.
    pub server: String,
    /// Who hands it in.
    pub user: Option<String>,
    /// The variable that holds the password.
    pub password: Option<String>,
}

/// How a server of mail is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Encrypted from the beginning.
    Tls,
    /// Encrypted before anything is said.
    StartTls,
    /// It is this machine.
    Loopback,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    on: Option<BTreeSet<Topic>>,
    #[serde(default)]
    agents: BTreeSet<AgentName>,
    webhook: Option<String>,
    secret: Option<String>,
    email: Option<Email>,
    command: Option<Vec<String>>,
}

impl TryFrom<Written> for Notify {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { on, agents, webhook, secret, email, command } = written;
        let to = match (webhook, secret, email, command) {
            (Some(url), Some(secret), None, None) => {
                let read = reqwest::Url::parse(&url).ok().filter(|url| ["https", "http"].contains(&url.scheme()));
                if read.is_none_or(|url| !url.has_host()) {
                    return Err("webhook: no address such as https://example.com/in".to_owned());
                }
                To::Webhook { url, secret: variable("secret", secret)? }
            }
            (Some(_), None, None, None) => {
                return Err("webhook: name in `secret` the variable that holds its secret, `whsec_…`".to_owned());
            }
            (None, None, Some(email), None) => {
                email.door()?;
                email.mailboxes()?;
                if email.to.is_empty() {
                    return Err("email: `to` names nobody".to_owned());
                }
                email.password.clone().map(|name| variable("email: password", name)).transpose()?;
                if email.user.is_some() != email.password.is_some() {
                    return Err("email: `user` and `password`, the variable that holds it, go together".to_owned());
                }
                To::Email(email)
            }
            (None, None, None, Some(argv))
                if argv.first().is_some_and(|program| !program.is_empty())
                    && !argv.iter().any(|it| it.contains('\0')) =>
            {
                To::Command(argv)
            }
            (None, None, None, Some(_)) => return Err("command: a program and its arguments".to_owned()),
            _other => return Err("give one of `webhook` with its `secret`, `email`, and `command`".to_owned()),
        };
        let topics = on.unwrap_or_else(|| Topic::ALL.into());
        if topics.is_empty() {
            return Err(
                "on: one of ask, approval, failure, ending at least; all of them where it is left out".to_owned()
            );
        }
        Ok(Self { topics, agents, to })
    }
}

impl Notify {
    /// Returns who is told of what.
    pub fn target(&self, name: &str) -> Target {
        Target { name: name.to_owned(), topics: self.topics.clone(), agents: self.agents.clone() }
    }

    /// Returns the variable that holds what nobody else may know.
    pub fn secret(&self) -> Option<&str> {
        match &self.to {
            To::Webhook { secret, .. } => Some(secret),
            To::Email(email) => email.password.as_deref(),
            To::Command(_) => None,
        }
    }
}

/// Holds what names a variable to what one is called. A secret in its place is not repeated.
fn variable(key: &str, name: String) -> Result<String, String> {
    let fits = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit();
    if !name.is_empty() && name.chars().enumerate().all(fits) {
        return Ok(name);
    }
    Err(format!("{key}: it names the variable that holds the secret, such as OPS_SECRET, and is not the secret itself"))
}

impl Email {
    /// Returns whom mail is from, and to whom it goes.
    ///
    /// # Errors
    ///
    /// What is no address.
    pub fn mailboxes(&self) -> Result<(Mailbox, Vec<Mailbox>), String> {
        let mailbox = |text: &String| {
            let read: Mailbox =
                text.parse().map_err(|error| format!("email: `{text}` is no e-mail address: {error}"))?;
            let is_plain = read.email.domain().is_ascii();
            is_plain.then_some(read).ok_or_else(|| format!("email: `{text}`: write its domain in ASCII, `xn--…`"))
        };
        Ok((mailbox(&self.from)?, self.to.iter().map(mailbox).collect::<Result<_, _>>()?))
    }

    /// Returns how the server is spoken with, and where it is.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn door(&self) -> Result<(Door, String, u16), String> {
        let wrong = || format!("email: server: `{}` is none: smtps://HOST[:PORT] or smtp://HOST[:PORT]", self.server);
        let (scheme, place) = self.server.split_once("://").ok_or_else(wrong)?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _no_port => (place, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wrong());
        }
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        let (door, usual) = match scheme {
            "smtps" => (Door::Tls, 465),
            "smtp" if is_here => (Door::Loopback, 25),
            "smtp" => (Door::StartTls, 587),
            _other => return Err(wrong()),
        };
        Ok((door, host.to_owned(), port.unwrap_or(usual)))
    }
}

/// Says whether a target may be called so.
///
/// # Errors
///
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!("notify.{name}: a name has 1 to 63 of a-z, 0-9 and -"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Notify, String> {
        outlive_core::yaml::read(text, "notify").map_err(|error: outlive_core::yaml::YamlError| error.to_string())
    }

    #[test]
    fn a_target_is_told_in_one_way_and_of_all_where_nothing_is_said() {
        let told = check("{webhook: 'https://example.com', secret: OPS}").unwrap();
        assert_eq!(told.target("ops").topics, Topic::ALL.into());
        assert_eq!(told.secret(), Some("OPS"));
        let some = check("{on: [ask], agents: [writer], command: [notify-send, Outlive]}").unwrap().target("desk");
        assert!(some.wants(Topic::Ask, &"writer".parse().unwrap()));
        assert!(
            !some.wants(Topic::Ask, &"reader".parse().unwrap())
                && !some.wants(Topic::Ending, &"writer".parse().unwrap())
        );
    }

    #[test]
    fn what_is_written_wrong_is_named() {
        let email = |rest: &str| format!("{{email: {{to: [a@example.com], from: b@example.com, {rest}}}}}");
        for (text, why) in [
            ("{}".to_owned(), "give one of"),
            ("{webhook: 'https://example.com'}".to_owned(), "`secret`"),
            ("{webhook: 'ftp://example.com', secret: S}".to_owned(), "https://"),
            ("{webhook: 'https://', secret: S}".to_owned(), "https://"),
            ("{webhook: 'https://x y/', secret: S}".to_owned(), "https://"),
            ("{webhook: 'https://example.com', secret: 'whsec_not+a+name'}".to_owned(), "names the variable"),
            ("{webhook: 'https://example.com', secret: ''}".to_owned(), "names the variable"),
            ("{command: ['']}".to_owned(), "a program"),
            (email("server: 'smtps://example.com', user: me, password: 'pass word'"), "names the variable"),
            (
                "{email: {to: [nobody], from: a@example.com, server: 'smtps://m.example.com'}}".to_owned(),
                "no e-mail address",
            ),
            (
                "{email: {to: [a@example.com], from: 'a@bücher.example', server: 'smtps://m.example.com'}}".to_owned(),
                "ASCII",
            ),
            ("{webhook: 'https://example.com', secret: S, command: [x]}".to_owned(), "give one of"),
            ("{command: []}".to_owned(), "a program"),
            ("{command: [x], on: []}".to_owned(), "on:"),
            ("{command: [x], on: [sometimes]}".to_owned(), "sometimes"),
            ("{command: [x], every: day}".to_owned(), "every"),
            (email("server: example.com"), "smtps://"),
            (email("server: 'imap://example.com'"), "smtps://"),
            (email("server: 'smtp://example.com:many'"), "smtps://"),
            (email("server: 'smtps://a@example.com'"), "smtps://"),
            (email("server: 'smtps://example.com', user: me"), "go together"),
        ] {
            let refused = check(&text).map(drop).unwrap_err();
            assert!(
                !refused.contains("whsec_not") && !refused.contains("pass word"),
                "a secret is repeated: {refused}"
            );
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn mail_is_said_in_the_clear_to_this_machine_alone() {
        let door = |server: &str| {
            let email =
                Email { to: Vec::new(), from: String::new(), server: server.to_owned(), user: None, password: None };
            email.door().unwrap()
        };
        assert_eq!(door("smtps://mail.example.com"), (Door::Tls, "mail.example.com".to_owned(), 465));
        assert_eq!(door("smtp://mail.example.com:2525"), (Door::StartTls, "mail.example.com".to_owned(), 2525));
        assert_eq!(door("smtp://127.0.0.1:2525"), (Door::Loopback, "127.0.0.1".to_owned(), 2525));
        assert_eq!(door("smtp://[::1]:2525"), (Door::Loopback, "::1".to_owned(), 2525));
        assert_eq!(door("smtp://localhost"), (Door::Loopback, "localhost".to_owned(), 25));
    }
}
