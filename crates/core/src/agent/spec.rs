//! `agent.yaml`, typed.

mod context;
mod hooks;
mod keys;
mod mcp;
mod sandbox;
mod tooling;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::mcp::{Expanded, McpServer};
use super::{Misfit, PROVIDERS, SessionSpec};
use crate::budget::{Budget, BudgetSpec};
use crate::event::OnDisconnect;
use crate::id::AgentName;
use crate::limits::{FALLBACK_REST_MS, FALLBACKS};
use crate::session::ASK_USER;
use crate::time::milliseconds;
pub use context::{ContextSpec, DIMENSIONS, EmbeddingSpec, MemorySpec};
use mcp::McpEntry;
pub use sandbox::{NetworkSpec, SandboxMode, SandboxSpec};
pub(super) use tooling::{CliEntry, Tooling, check_secrets};
pub use tooling::{SearchSpec, WebSpec};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
}

/// Read key by key: see `keys`.
#[derive(Debug, Default)]
pub(super) struct Spec {
    pub(super) model: Option<ModelSpec>,
    pub(super) soul: Option<String>,
    pub(super) system_prompt: Option<String>,
    pub(super) instructions: Option<String>,
    pub(super) tooling: Tooling,
    pub(super) session: Session,
    pub(super) tools: Vec<ToolEntry>,
    pub(super) sandbox: Option<SandboxSpec>,
    budget: BudgetSpec,
    pub(super) memory: Option<MemorySpec>,
    pub(super) context: ContextSpec,
    /// Keys that are there and that nothing is made of yet.
    unused: BTreeSet<Unused>,
}

/// A key that is known and that nothing is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unused {
    /// Duragent's.
    Policy,
    /// Duragent's, too.
    Access,
}

/// Which model an agent asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// One of [`PROVIDERS`].
    pub provider: String,
    /// The model's name, as the provider knows it.
    #[serde(default)]
    pub name: String,
    /// Limit of a reply, in tokens.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Duragent's: not used here.
    #[serde(default)]
    pub max_input_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Another endpoint that speaks the provider's dialect.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The variable of the server's environment that holds the key for this endpoint.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// Tokens that a request and its reply may have together.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// How long a local server keeps the model loaded after a request: `10m`, seconds, or -1 for ever.
    #[serde(default)]
    pub keep_alive: Option<String>,
    /// Models to ask when this one is down, best first.
    #[serde(default)]
    pub fallback: Vec<ModelSpec>,
    /// Failures in a row, after which the next one stands in.
    #[serde(default)]
    pub fallback_after: Option<u32>,
    /// How long a model rests that gave way: `5m`.
    #[serde(default)]
    pub fallback_rest: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Session {
    on_disconnect: Option<OnDisconnect>,
    disconnect_grace: Option<String>,
    max_steps: Option<u32>,
    step_timeout: Option<String>,
    idle_evict: Option<String>,
    /// Duragent's name for `max_steps`; the others are its own, too.
    max_tool_iterations: Option<u32>,
    llm_timeout_seconds: Option<u64>,
    ttl_hours: Option<IgnoredAny>,
    compaction: Option<IgnoredAny>,
    context: Option<IgnoredAny>,
}

/// A tool as it is asked for: one of `builtin`, `cli` and `mcp`, or Duragent's `type` with the rest beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ToolEntry {
    builtin: Option<String>,
    cli: Option<CliEntry>,
    mcp: Option<McpEntry>,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    command: Option<String>,
    description: Option<String>,
    readme: Option<String>,
    /// Variables that it is given, beside `builtin: bash`.
    secrets: Vec<String>,
}

const DURAGENT: &str = "duragent/v1alpha1";
pub(crate) const VERSIONS: [&str; 2] = ["outlive/v1", DURAGENT];

/// Built-in tools.
const HERE: [&str; 8] = ["bash", "files", "web", "session", "schedule", "skill", "memory", ASK_USER];

impl File {
    fn is_duragent(&self) -> bool {
        self.api_version == DURAGENT
    }

    /// Checks what types cannot say, and returns warnings about what this version does not have.
    pub(super) fn check(&self, folder: &AgentName) -> Result<Vec<String>, Misfit> {
        if !VERSIONS.contains(&self.api_version.as_str()) {
            let versions = VERSIONS.join("` or `");
            return Err(Misfit::new("apiVersion", format!("`{}` is not `{versions}`", self.api_version)));
        }
        if self.kind != "Agent" {
            return Err(Misfit::new("kind", format!("`{}` is not `Agent`", self.kind)));
        }
        let name: AgentName = self
            .metadata
            .name
            .parse()
            .map_err(|error: crate::id::AgentNameError| Misfit::new("metadata.name", error.to_string()))?;
        if name != *folder {
            let why = format!("is `{name}`, but the folder is `{folder}`: make them the same");
            return Err(Misfit::new("metadata.name", why));
        }
        if let Some(model) = &self.spec.model {
            model.check("spec.model")?;
        }
        self.spec.context.check()?;
        self.spec.memory.iter().try_for_each(MemorySpec::check)?;
        Ok(self.spec.warnings())
    }

    /// Expands `${VAR}` in every string value. Returns what was expanded for servers of tools.
    pub(super) fn expand(&mut self, lookup: &super::Lookup<'_>) -> Result<Vec<Expanded>, Misfit> {
        let spec = &mut self.spec;
        let mut texts = vec![
            ("metadata.description", self.metadata.description.as_mut()),
            ("spec.soul", spec.soul.as_mut()),
            ("spec.system_prompt", spec.system_prompt.as_mut()),
            ("spec.instructions", spec.instructions.as_mut()),
            ("spec.session.step_timeout", spec.session.step_timeout.as_mut()),
            ("spec.session.disconnect_grace", spec.session.disconnect_grace.as_mut()),
            ("spec.session.idle_evict", spec.session.idle_evict.as_mut()),
        ];
        if let Some(model) = &mut spec.model {
            texts.push(("spec.model.provider", Some(&mut model.provider)));
            texts.push(("spec.model.name", Some(&mut model.name)));
            texts.push(("spec.model.base_url", model.base_url.as_mut()));
            texts.push(("spec.model.api_key_env", model.api_key_env.as_mut()));
            for other in &mut model.fallback {
                texts.push(("spec.model.fallback.provider", Some(&mut other.provider)));
                texts.push(("spec.model.fallback.name", Some(&mut other.name)));
                texts.push(("spec.model.fallback.base_url", other.base_url.as_mut()));
                texts.push(("spec.model.fallback.api_key_env", other.api_key_env.as_mut()));
            }
        }
        if let Some(helper) = &mut spec.context.helper_model {
            texts.push(("spec.context.helper_model.provider", Some(&mut helper.provider)));
            texts.push(("spec.context.helper_model.name", Some(&mut helper.name)));
            texts.push(("spec.context.helper_model.base_url", helper.base_url.as_mut()));
            texts.push(("spec.context.helper_model.api_key_env", helper.api_key_env.as_mut()));
        }
        if let Some(embedding) = spec.memory.as_mut().and_then(|memory| memory.embedding.as_mut()) {
            texts.push(("spec.memory.embedding.base_url", Some(&mut embedding.base_url)));
            texts.push(("spec.memory.embedding.model", Some(&mut embedding.model)));
            texts.push(("spec.memory.embedding.api_key_env", embedding.api_key_env.as_mut()));
        }
        let tooling = spec.tooling.texts().map(|(path, text)| (path, Some(text)));
        for (path, text) in texts.into_iter().chain(tooling) {
            if let Some(text) = text {
                *text = super::expand::expand(text, lookup).map_err(|why| Misfit::new(path, why))?;
            }
        }
        mcp::expand(spec.tools.iter_mut().filter_map(|tool| tool.mcp.as_mut()), lookup)
    }

    pub(super) fn limits(&self) -> Result<SessionSpec, Misfit> {
        let session = &self.spec.session;
        let time = |key: &str, text: &Option<String>, usual: u64| match text {
            Some(text) => milliseconds(text).ok_or_else(|| {
                Misfit::new(format!("spec.session.{key}"), format!("`{text}` is not a time such as 90s, 10m, 1h"))
            }),
            None => Ok(usual),
        };
        // What an agent of the other format leaves out means what it means there.
        let (steps, leaves, wait_ms) = match self.is_duragent() {
            true => (10, OnDisconnect::Pause, 300_000),
            false => (50, OnDisconnect::Continue, 600_000),
        };
        let seconds = session.llm_timeout_seconds.map(|seconds| seconds.saturating_mul(1_000));
        let max_steps = session.max_steps.or(session.max_tool_iterations).unwrap_or(steps);
        if max_steps == 0 {
            return Err(Misfit::new("spec.session.max_steps", "is at least 1"));
        }
        if seconds == Some(0) {
            return Err(Misfit::new("spec.session.llm_timeout_seconds", "is at least 1"));
        }
        Ok(SessionSpec {
            on_disconnect: session.on_disconnect.unwrap_or(leaves),
            max_steps,
            step_timeout_ms: time("step_timeout", &session.step_timeout, seconds.unwrap_or(wait_ms))?,
            disconnect_grace_ms: time("disconnect_grace", &session.disconnect_grace, 10_000)?,
            idle_evict_ms: time("idle_evict", &session.idle_evict, 60_000)?,
        })
    }

    /// Returns what its sessions may use.
    pub(super) fn budget(&self) -> Result<Budget, Misfit> {
        self.spec.budget.budget().map_err(|(path, why)| Misfit::new(format!("spec.budget.{path}"), why))
    }

    /// Returns its hooks.
    pub(super) fn hooks(&self) -> Result<crate::hooks::Hooks, Misfit> {
        self.spec.tooling.hooks.hooks().map_err(|(path, why)| Misfit::new(path, why))
    }

    /// Returns the variables that the commands of bash are given.
    pub(super) fn secrets_of_bash(&self) -> Result<Vec<String>, Misfit> {
        let mut granted: Vec<String> = Vec::new();
        for tool in self.spec.tools.iter().filter(|tool| !tool.secrets.is_empty()) {
            if tool.builtin.as_deref() != Some("bash") {
                let why =
                    "stand beside `builtin: bash`, or within `cli: {…}` and `mcp: {…}`: nothing else runs programs";
                return Err(Misfit::new("spec.tools.secrets", why));
            }
            tooling::check_secrets(&tool.secrets)?;
            granted.extend(tool.secrets.iter().cloned());
        }
        Ok(granted)
    }

    /// Returns its servers of tools.
    pub(super) fn servers(&self) -> Result<Vec<McpServer>, Misfit> {
        let mut asked = Vec::new();
        for tool in &self.spec.tools {
            if let Asked::Mcp(entry) = tool.asked()? {
                asked.push(entry);
            }
        }
        mcp::servers(asked.iter().map(Box::as_ref))
    }

    /// Returns the tools that are here; the others are warned of, or refused where nothing has such a name.
    pub(super) fn tools(&self, warnings: &mut Vec<String>) -> Result<(Vec<String>, Vec<CliEntry>), Misfit> {
        let (mut names, mut programs): (Vec<String>, Vec<CliEntry>) = Default::default();
        for tool in &self.spec.tools {
            match tool.asked()? {
                // Every agent can ask.
                Asked::Builtin(ASK_USER) => {}
                Asked::Builtin(name) if HERE.contains(&name) => names.push(name.to_owned()),
                Asked::Builtin(name) if self.is_duragent() => {
                    warnings.push(format!("builtin tool `{name}` is not in this version"));
                }
                Asked::Builtin(name) => {
                    let nearest = crate::yaml::nearest(name, HERE).unwrap_or("bash");
                    let why = format!("there is no `{name}`: the nearest is `{nearest}`");
                    return Err(Misfit::new("spec.tools.builtin", why));
                }
                Asked::Cli(entry) => {
                    tooling::check_secrets(&entry.secrets)?;
                    if !super::cli::is_name(&entry.name) || programs.iter().any(|other| other.name == entry.name) {
                        let why =
                            format!("`{}` is there twice, or no name of letters, digits, `-` and `_`", entry.name);
                        return Err(Misfit::new("spec.tools.cli", why));
                    }
                    programs.push(entry);
                }
                Asked::Mcp(_) => {}
            }
        }
        Ok((names, programs))
    }
}

/// One tool that is asked for, by its kind.
enum Asked<'a> {
    Builtin(&'a str),
    Cli(CliEntry),
    Mcp(Box<McpEntry>),
}

impl ToolEntry {
    fn asked(&self) -> Result<Asked<'_>, Misfit> {
        let name = self.name.as_deref();
        match (&self.builtin, &self.cli, &self.mcp, self.kind.as_deref(), name) {
            (Some(name), None, None, None, None) => Ok(Asked::Builtin(name)),
            (None, Some(cli), None, None, None) => Ok(Asked::Cli(cli.clone())),
            (None, None, Some(mcp), None, None) => Ok(Asked::Mcp(Box::new(mcp.clone()))),
            (None, None, None, Some("builtin"), Some(name)) => Ok(Asked::Builtin(name)),
            (None, None, None, Some("cli"), Some(name)) => match self.command.clone() {
                Some(command) => {
                    let (readme, description, secrets) = (self.readme.clone(), self.description.clone(), Vec::new());
                    Ok(Asked::Cli(CliEntry { name: name.to_owned(), command, readme, description, secrets }))
                }
                None => Err(Misfit::new("spec.tools", format!("cli tool `{name}` has no `command`"))),
            },
            (None, None, None, Some("mcp"), Some(name)) => {
                Ok(Asked::Mcp(Box::new(McpEntry::of_program(name.to_owned(), self.command.clone()))))
            }
            _ => Err(Misfit::new("spec.tools", "a tool is one of `builtin: NAME`, `cli: {…}`, `mcp: {…}`")),
        }
    }
}

impl ModelSpec {
    /// A model of a provider, of which nothing else is said.
    #[must_use]
    pub fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            name: String::new(),
            max_output_tokens: None,
            max_input_tokens: None,
            temperature: None,
            base_url: None,
            api_key_env: None,
            context_window: None,
            keep_alive: None,
            fallback: Vec::new(),
            fallback_after: None,
            fallback_rest: None,
        }
    }

    /// Checks the model at this path, and those that stand in for it.
    fn check(&self, path: &str) -> Result<(), Misfit> {
        if !PROVIDERS.contains(&self.provider.as_str()) {
            let nearest = crate::yaml::nearest(&self.provider, PROVIDERS);
            let way_out = nearest.map_or_else(
                || format!("it is one of {}", PROVIDERS.join(", ")),
                |nearest| format!("the nearest is `{nearest}`"),
            );
            let why = format!("`{}` is not known: {way_out}", self.provider);
            return Err(Misfit::new(format!("{path}.provider"), why));
        }
        if self.name.is_empty() && self.provider != "rehearsal" {
            return Err(Misfit::new(path, "name is missing: name one of the provider's models"));
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(Misfit::new(format!("{path}.temperature"), "is a number from 0 to 2"));
        }
        let counts =
            [("max_output_tokens", self.max_output_tokens.map(u64::from)), ("context_window", self.context_window)];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(Misfit::new(format!("{path}.{key}"), "is at least 1"));
        }
        if self.fallback.len() > FALLBACKS {
            return Err(Misfit::new(
                format!("{path}.fallback"),
                format!("has {} models, of at most {FALLBACKS}", self.fallback.len()),
            ));
        }
        if self.fallback_after == Some(0) {
            return Err(Misfit::new(format!("{path}.fallback_after"), "is at least 1"));
        }
        if let Some(text) = self.fallback_rest.as_ref().filter(|text| milliseconds(text).is_none()) {
            return Err(Misfit::new(
                format!("{path}.fallback_rest"),
                format!("`{text}` is not a time such as 90s, 10m, 1h"),
            ));
        }
        let names: Vec<String> = std::iter::once(self).chain(&self.fallback).map(Self::shown).collect();
        if let Some((_, twice)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(Misfit::new(format!("{path}.fallback"), format!("`{twice}` is there twice")));
        }
        self.fallback.iter().try_for_each(|model| model.check_fallback(&format!("{path}.fallback")))
    }

    fn check_fallback(&self, path: &str) -> Result<(), Misfit> {
        if !self.fallback.is_empty() || self.fallback_after.is_some() || self.fallback_rest.is_some() {
            return Err(Misfit::new(
                path,
                "a model that stands in has no `fallback` of its own: list them side by side",
            ));
        }
        self.check(path)
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }

    /// Returns how long a model rests that gave way to another, in milliseconds.
    #[must_use]
    pub fn fallback_rest_ms(&self) -> u64 {
        self.fallback_rest.as_deref().and_then(milliseconds).unwrap_or(FALLBACK_REST_MS)
    }
}

impl Spec {
    fn warnings(&self) -> Vec<String> {
        let unused = |key| self.unused.contains(&key);
        let asked = [
            (unused(Unused::Policy), "`policy` in agent.yaml is not read: write a policy.yaml beside it"),
            (unused(Unused::Access), "`access` is not in this version"),
            (self.session.ttl_hours.is_some(), "`session.ttl_hours`: sessions stay until they are deleted"),
            (
                self.session.compaction.is_some() || self.session.context.is_some(),
                "`session.compaction` and `session.context` are not in this version",
            ),
            (
                self.model.as_ref().is_some_and(|model| model.max_input_tokens.is_some()),
                "`model.max_input_tokens` is not in this version",
            ),
        ];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, warning)| warning.to_owned()).collect()
    }
}
