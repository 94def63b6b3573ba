//! Who tells this workspace something, and who is told: whether each has its secret, and whether the agents are there.

use std::sync::Arc;

use outlive_core::id::AgentName;
use outlive_core::webhook::sign;
use outlive_runtime::catalog::Credentials as _;
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;

use super::Check;
use crate::config::notify::{Notify, To};
use crate::config::{Environment, Workspace};

/// What is signed to see whether a secret can be one.
const TRIED: (&str, i64) = ("msg", 0);

/// Looks at a configuration that can be read; one that cannot is the workspace's matter.
pub(super) fn checks(place: &Workspace) -> Vec<Check> {
    let Ok(config) = place.config() else { return Vec::new() };
    let hooks = config.webhooks.iter().map(|(name, hook)| {
        let what = format!("webhook {name}");
        secret(&what, &hook.secret).unwrap_or_else(|| Check::ok(what, format!("signed by {}", hook.secret)))
    });
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    // Folders that cannot be read are told of elsewhere.
    let agents = folders.names().ok();
    let is_unknown =
        |agent: &AgentName| agents.as_ref().is_some_and(|all| all.iter().all(|name| name != agent.as_str()));
    let targets = config.notify.iter().map(|(name, target)| {
        let told_of = target.target(name).agents;
        match told_of.iter().find(|agent| is_unknown(agent)) {
            Some(agent) => {
                let fix =
                    "name one of `outlive agent list` in outlive.yaml, or leave `agents` out: then it is told of all";
                Check::warning(format!("notify {name}"), format!("there is no agent `{agent}`"), fix)
            }
            None => told(name, target),
        }
    });
    hooks.chain(targets).collect()
}

fn told(name: &str, target: &Notify) -> Check {
    let (what, variable) = (format!("notify {name}"), target.secret());
    let missing = variable.and_then(|variable| secret(&what, variable));
    missing.unwrap_or_else(|| match (&target.to, variable) {
        (To::Webhook { .. }, Some(variable)) if !can_sign(variable) => {
            let fix = "a secret of Standard Webhooks is base64, with or without `whsec_` before it";
            Check::wrong(what, format!("the value of {variable} signs nothing"), fix)
        }
        _told => Check::ok(what, format!("`outlive notice test {name}` tries it")),
    })
}

fn can_sign(variable: &str) -> bool {
    let secret = Environment::default().get(variable).ok().flatten();
    secret.is_some_and(|secret| sign(secret.reveal(), TRIED, b"").is_ok())
}

/// Says what is wrong with a secret.
fn secret(what: &str, variable: &str) -> Option<Check> {
    let fix = || format!("set {variable}, or {variable}_FILE, where the server is started");
    match Environment::default().get(variable) {
        Ok(Some(_)) => None,
        Ok(None) => Some(Check::warning(what, format!("{variable} has no value here"), fix())),
        Err(why) => Some(Check::warning(what, why, fix())),
    }
}
