//! Agents and their models: files that read, keys that are there, providers that answer. Only lists of models are asked for,
//! which costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{Agent, ModelSpec};
use outlive_core::id::AgentName;
use outlive_model::Model;
use outlive_runtime::catalog::Models as _;
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;

use super::Check;
use crate::config::models::ModelList;
use crate::config::{self, Workspace};
use crate::wire::Connector;

/// How long a provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Models that were found, each by what it is, with the agents that ask for it.
struct Wanted {
    connector: Connector,
    models: BTreeMap<String, (Arc<dyn Model>, Vec<String>)>,
}

pub(super) async fn checks(place: &Workspace) -> Vec<Check> {
    let mut checks = vec![keys()];
    let mut wanted = Wanted { connector: Connector(ModelList::of(&place.root)), models: BTreeMap::new() };
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    match folders.names() {
        Ok(names) if names.is_empty() => checks.push(Check::ok("agents", "none yet; the first start makes `default`")),
        Ok(names) => names.iter().for_each(|name| checks.extend(agent(&folders, name, &mut wanted))),
        Err(error) => checks.push(Check::wrong("agents", error.to_string(), "make the folder readable for this user")),
    }
    for (shown, (model, agents)) in wanted.models {
        checks.push(reach(&shown, &*model, &agents.join(", ")).await);
    }
    checks
}

fn keys() -> Check {
    let mut known: Vec<&str> =
        outlive_model::PROVIDERS.into_iter().filter_map(|provider| outlive_model::key_variable(provider)).collect();
    known.dedup();
    let there: Vec<&str> = known.iter().copied().filter(|name| matches!(config::secret(name), Ok(Some(_)))).collect();
    if let Some(why) = known.iter().find_map(|name| config::secret(name).err()) {
        return Check::wrong("keys", why, "until then that provider cannot be asked");
    }
    if let Some(flaw) = known.iter().find_map(|name| config::flaw(name)) {
        return Check::warning("keys", flaw, "chmod 600 it, where it is yours");
    }
    if there.is_empty() {
        let fix = format!("set one of {} where the server starts", known.join(", "));
        return Check::warning("keys", "none: without a local Ollama the offline rehearsal answers", fix);
    }
    Check::ok("keys", format!("there: {}", there.join(", ")))
}

fn agent(folders: &Beside, name: &str, wanted: &mut Wanted) -> Vec<Check> {
    let what = format!("agent {name}");
    let fix = format!("mend its files in agents/{name}; `outlive agent validate {name}` looks again");
    let Ok(parsed) = name.parse::<AgentName>() else { return Vec::new() };
    let files = match folders.read(name) {
        Ok(files) => files.unwrap_or_default(),
        Err(error) => return vec![Check::wrong(what, error.to_string(), fix)],
    };
    let agent = match Agent::read(&parsed, &files, &|variable| config::value(variable)) {
        Ok(agent) => agent,
        Err(error) => return vec![Check::wrong(what, error.to_string(), fix)],
    };
    let mut checks: Vec<Check> = Vec::new();
    if let Some(why) = &agent.policy.unreadable {
        checks.push(Check::wrong(
            format!("policy of {name}"),
            why.clone(),
            "mend it; until then every call is asked about",
        ));
    }
    checks.extend(agent.warnings.iter().map(|warning| {
        Check::warning(what.clone(), warning.clone(), "leave it out of agent.yaml, or wait for a version that has it")
    }));
    let specs = agent.model.iter().flat_map(|spec| &spec.fallback).map(Some);
    for (place, spec) in std::iter::once(agent.model.as_ref()).chain(specs).enumerate() {
        match (wanted.connector.connect(spec), place) {
            (Ok(model), _) => wanted.note(model, spec, name),
            (Err(why), 0) => checks.push(Check::wrong(
                what.clone(),
                format!("has no model: {why}"),
                "give it another model, or the key",
            )),
            (Err(why), _) => checks.push(Check::warning(
                what.clone(),
                format!("a model cannot stand in: {why}"),
                "give it another `fallback`, or the key",
            )),
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(what, "good"));
    }
    checks
}

impl Wanted {
    fn note(&mut self, model: Arc<dyn Model>, spec: Option<&ModelSpec>, agent: &str) {
        let described = model.describe();
        let at = spec.and_then(|spec| spec.base_url.as_ref()).map(|url| format!(" at {}", place_of(url)));
        let shown = format!("{}/{}{}", described.provider, described.name, at.unwrap_or_default());
        let (_, agents) = self.models.entry(shown).or_insert_with(|| (model, Vec::new()));
        agents.push(agent.to_owned());
    }
}

/// An address without what may be a secret in it: a user, a query.
fn place_of(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) =
                rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
            format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or_default())
        }
        None => "an address that is none".to_owned(),
    }
}

async fn reach(shown: &str, model: &dyn Model, agents: &str) -> Check {
    let what = "model".to_owned();
    let name = model.describe().name;
    if model.describe().provider == "rehearsal" {
        return Check::ok(what, format!("{shown} answers offline, and is no AI (for {agents})"));
    }
    match tokio::time::timeout(PATIENCE, model.offered()).await {
        Err(_elapsed) => {
            let said = format!("{shown}: no answer within {} s (for {agents})", PATIENCE.as_secs());
            Check::wrong(what, said, "look at the network, or give the agent a fallback; turns wait until it answers")
        }
        Ok(Err(failure)) => {
            let fix = "look at the key, the address and the network; turns wait or fail until then";
            Check::wrong(what, format!("{shown}: {} (for {agents})", failure.message), fix)
        }
        Ok(Ok(offered)) if offered.iter().any(|offered| is_it(offered, &name)) => {
            Check::ok(what, format!("{shown} is offered (for {agents})"))
        }
        Ok(Ok(offered)) => {
            let said =
                format!("the provider answers, and `{name}` is not among its {} models (for {agents})", offered.len());
            Check::warning(what, said, "`outlive model list` shows them; `outlive model test` tries one")
        }
    }
}

/// Says whether a name on a provider's list is this one: some put a folder before it, some a tag behind it.
fn is_it(offered: &str, name: &str) -> bool {
    let own = offered.rsplit_once('/').map_or(offered, |(_, own)| own);
    let untagged = |text: &str| text.strip_suffix(":latest").unwrap_or(text).to_owned();
    [offered, own].iter().any(|offered| untagged(offered) == untagged(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_whole_name() {
        let check = |offered: &str, name: &str, same: bool| assert_eq!(is_it(offered, name), same, "{offered} {name}");
        check("gpt-5", "gpt-5", true);
        check("models/gemini-flash-latest", "gemini-flash-latest", true);
        check("qwen3:latest", "qwen3", true);
        check("anthropic/claude", "anthropic/claude", true);
        check("x-gpt-5", "gpt-5", false);
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let check = |url: &str, shown: &str| assert_eq!(place_of(url), shown);
        check("https://user:word@host:1/v1?key=abc", "https://host:1/v1");
        check("http://127.0.0.1:8899", "http://127.0.0.1:8899");
        check("word", "an address that is none");
    }
}
