//! Who tells this workspace something, and who is told: whether each has its secret, and whether the agents are there.

use std::sync::Arc;

use outlive_core::id::AgentName;
use outlive_core::webhook::{Scheme, sign};
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
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    // Folders that cannot be read are told of elsewhere.
    let there = folders.names().ok();
    let stranger = |what: &str, named: Vec<&AgentName>| {
        let is_there =
            |agent: &AgentName| there.as_ref().is_none_or(|all| all.iter().any(|name| name == agent.as_str()));
        let unknown = named.into_iter().find(|agent| !is_there(agent))?;
        let fix = "name one of `outlive agent list` in outlive.yaml";
        Some(Check::warning(what, format!("there is no agent `{unknown}`"), fix))
    };
    let hooks = config.webhooks.iter().map(|(name, hook)| {
        let what = format!("webhook {name}");
        let told = hook.routes.iter().filter_map(|route| Some(&route.message.as_ref()?.agent)).collect();
        let is_unfit = || hook.scheme == Scheme::Standard && !can_sign(&hook.secret);
        let missing = stranger(&what, told).or_else(|| secret(&what, &hook.secret));
        let missing = missing.or_else(|| is_unfit().then(|| unfit(&what, &hook.secret)));
        missing.unwrap_or_else(|| Check::ok(what, format!("signed by {}", hook.secret)))
    });
    let targets = config.notify.iter().map(|(name, target)| {
        let of = target.target(name).agents;
        stranger(&format!("notify {name}"), of.iter().collect()).unwrap_or_else(|| told(name, target))
    });
    hooks.chain(targets).collect()
}

fn told(name: &str, target: &Notify) -> Check {
    let (what, variable) = (format!("notify {name}"), target.secret());
    let missing = variable.and_then(|variable| secret(&what, variable));
    missing.unwrap_or_else(|| match (&target.to, variable) {
        (To::Webhook { .. }, Some(variable)) if !can_sign(variable) => unfit(&what, variable),
        _told => Check::ok(what, format!("`outlive notice test {name}` tries it")),
    })
}

fn unfit(what: &str, variable: &str) -> Check {
    let fix = "a secret of Standard Webhooks is base64, with or without `whsec_` before it";
    Check::wrong(what, format!("the value of {variable} signs nothing"), fix)
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
