//! Carries what people are told outside of any client: to a webhook, by e-mail, or to a command.
//!
//! Invariants: each try ends within a bound; no secret and no address of a webhook is in what is said of a failure.

pub mod calls;
mod command;
mod email;
mod smtp;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use outlive_core::command::Undelivered;
use outlive_core::notice::{Letter, Target};
use outlive_runtime::Courier;
use outlive_runtime::catalog::Credentials;
use outlive_store::Pending;
use outlive_tools::exec::Exec;

use crate::config::Workspace;
use crate::config::notify::{Notify, To};

/// All targets of a workspace.
pub struct Post {
    targets: Vec<Target>,
    ways: BTreeMap<String, Way>,
}

/// How one of them is told.
enum Way {
    Webhook(webhook::Webhook),
    Email(Box<email::Email>),
    Command(Box<command::Program>),
    /// A variable has no value, or this machine trusts nobody: for now it cannot be.
    Unready(String),
}

impl Post {
    /// Returns how the targets of a configuration are told; nothing where there is none.
    pub fn of(
        notify: &BTreeMap<String, Notify>,
        credentials: &dyn Credentials,
        (exec, place): (&Exec, &Workspace),
    ) -> Option<Self> {
        let mut post = Self { targets: Vec::new(), ways: BTreeMap::new() };
        for (name, target) in notify {
            let way = match &target.to {
                To::Webhook { url, secret } => {
                    key(credentials, secret).and_then(|key| webhook::Webhook::new(url, key)).map(Way::Webhook)
                }
                To::Email(email) => {
                    let password = email.password.as_ref().map(|variable| key(credentials, variable)).transpose();
                    let email = password.and_then(|password| email::Email::new(email, password));
                    email.map(|email| Way::Email(Box::new(email)))
                }
                To::Command(argv) => Ok(Way::Command(Box::new(command::Program::new(argv, exec, place)))),
            };
            let way = way.unwrap_or_else(|why| {
                tracing::warn!(target_name = name, why, "nobody is told by this target of `notify` until it can be");
                Way::Unready(why)
            });
            post.targets.push(target.target(name));
            post.ways.insert(name.clone(), way);
        }
        (!post.targets.is_empty()).then_some(post)
    }
}

/// Makes what tells webhooks. Where no authority is trusted, it reaches those that are not encrypted.
fn client(patience: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = || {
        let agent = concat!("outlive/", env!("CARGO_PKG_VERSION"));
        reqwest::Client::builder().timeout(patience).redirect(reqwest::redirect::Policy::none()).user_agent(agent)
    };
    builder().build().or_else(|_untrusting| builder().tls_certs_only([]).build())
}

fn key(credentials: &dyn Credentials, variable: &str) -> Result<outlive_core::secret::Secret, String> {
    credentials.get(variable)?.ok_or_else(|| format!("the variable {variable} has no value where the server runs"))
}

impl Courier for Post {
    fn targets(&self) -> &[Target] {
        &self.targets
    }

    fn deliver<'a>(&'a self, target: &'a str, letter: &'a Letter) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let unknown = || Undelivered::for_now(format!("`notify` in outlive.yaml names no `{target}`"));
            match self.ways.get(target).ok_or_else(unknown)? {
                Way::Webhook(webhook) => webhook.deliver(letter).await,
                Way::Email(email) => email.deliver(letter).await,
                Way::Command(command) => command.deliver(letter).await,
                Way::Unready(why) => Err(Undelivered::for_now(why.as_str())),
            }
        })
    }
}
