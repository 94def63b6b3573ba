//! `agent.yaml`, typed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{AgentError, SessionSpec};
use crate::event::OnDisconnect;
use crate::id::AgentName;

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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) model: Option<ModelSpec>,
    pub(super) soul: Option<String>,
    pub(super) system_prompt: Option<String>,
    pub(super) instructions: Option<String>,
    skills_dir: Option<String>,
    pub(super) session: Session,
    pub(super) tools: Vec<ToolEntry>,
    sandbox: Option<Sandbox>,
    memory: Option<IgnoredAny>,
    context: Option<IgnoredAny>,
    /// Duragent's.
    policy: Option<IgnoredAny>,
    /// Duragent's, too.
    #[serde(alias = "hooks")]
    access: Option<IgnoredAny>,
}

/// Which model an agent asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// `anthropic`, `openai`, `openrouter`, `ollama`, `rehearsal`.
    pub provider: String,
    /// The model's name, as the provider knows it.
    #[serde(default)]
    pub name: String,
    /// Limit of a reply, in tokens.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
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
    /// Models to ask when this one is down.
    #[serde(default)]
    pub fallback: Vec<ModelSpec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Session {
    on_disconnect: OnDisconnect,
    max_steps: Option<u32>,
    /// Duragent's name for it.
    max_tool_iterations: Option<u32>,
    step_timeout: Option<String>,
    idle_evict: Option<String>,
    llm_timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToolEntry {
    Builtin(String),
    Cli(IgnoredAny),
    Mcp(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sandbox {
    #[serde(default)]
    mode: SandboxMode,
    #[serde(default, rename = "network")]
    _network: Option<IgnoredAny>,
    #[serde(default, rename = "write")]
    _write: Option<IgnoredAny>,
}

/// How an agent's calls are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// The best that is there.
    #[default]
    Auto,
    /// bubblewrap.
    Bubblewrap,
    /// Docker.
    Docker,
    /// None.
    Trust,
}

const VERSIONS: [&str; 2] = ["outlive/v1", "duragent/v1alpha1"];

impl File {
    /// Checks what types cannot say, and returns warnings about what this version does not have.
    pub(super) fn check(&self, folder: &AgentName) -> Result<Vec<String>, AgentError> {
        if !VERSIONS.contains(&self.api_version.as_str()) {
            let versions = VERSIONS.join("` or `");
            return Err(AgentError::Value(format!("apiVersion `{}` is not `{versions}`", self.api_version)));
        }
        if self.kind != "Agent" {
            return Err(AgentError::Value(format!("kind `{}` is not `Agent`", self.kind)));
        }
        let name: AgentName =
            self.metadata.name.parse().map_err(|error| AgentError::Value(format!("metadata.name: {error}")))?;
        if name != *folder {
            return Err(AgentError::Value(format!(
                "metadata.name is `{name}`, but the folder is `{folder}`: make them the same"
            )));
        }
        if let Some(model) = &self.spec.model {
            model.check()?;
        }
        Ok(self.spec.warnings())
    }
}

impl ModelSpec {
    fn check(&self) -> Result<(), AgentError> {
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(AgentError::Value("spec.model.temperature is a number from 0 to 2".to_owned()));
        }
        if self.max_output_tokens == Some(0) {
            return Err(AgentError::Value("spec.model.max_output_tokens is at least 1".to_owned()));
        }
        Ok(())
    }
}

impl Spec {
    fn warnings(&self) -> Vec<String> {
        let sandboxed = self.sandbox.as_ref().is_some_and(|sandbox| sandbox.mode != SandboxMode::Trust);
        let asked = [
            (sandboxed, "`sandbox`: calls are not sandboxed in this version"),
            (self.skills_dir.is_some(), "`skills_dir`: skills are not in this version"),
            (self.memory.is_some(), "`memory` is not in this version"),
            (self.context.is_some(), "`context` is not in this version"),
            (self.policy.is_some(), "`policy` in agent.yaml is not read: write a policy.yaml beside it"),
            (self.access.is_some(), "`access` and `hooks` are not in this version"),
            (
                self.model.as_ref().is_some_and(|model| !model.fallback.is_empty()),
                "`fallback` models are not in this version",
            ),
        ];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, warning)| warning.to_owned()).collect()
    }

    /// Expands `${VAR}` in every string value.
    pub(super) fn expand(&mut self, lookup: &super::Lookup<'_>) -> Result<(), String> {
        let files = [&mut self.soul, &mut self.system_prompt, &mut self.instructions, &mut self.skills_dir];
        let session = [&mut self.session.step_timeout, &mut self.session.idle_evict];
        for text in files.into_iter().chain(session).flatten() {
            *text = super::expand::expand(text, lookup)?;
        }
        if let Some(model) = &mut self.model {
            for text in [&mut model.provider, &mut model.name].into_iter().chain(model.base_url.as_mut()) {
                *text = super::expand::expand(text, lookup)?;
            }
        }
        Ok(())
    }
}

impl Session {
    pub(super) fn limits(&self) -> Result<SessionSpec, String> {
        let time = |key: &str, text: &Option<String>, usual: u64| match text {
            Some(text) => milliseconds(text)
                .ok_or_else(|| format!("spec.session.{key} `{text}` is not a time such as 90s, 10m, 1h")),
            None => Ok(usual),
        };
        let seconds = self.llm_timeout_seconds.map(|seconds| seconds.saturating_mul(1_000));
        let max_steps = self.max_steps.or(self.max_tool_iterations).unwrap_or(50);
        if max_steps == 0 {
            return Err("spec.session.max_steps is at least 1".to_owned());
        }
        Ok(SessionSpec {
            on_disconnect: self.on_disconnect,
            max_steps,
            step_timeout_ms: time("step_timeout", &self.step_timeout, seconds.unwrap_or(600_000))?,
            idle_evict_ms: time("idle_evict", &self.idle_evict, 60_000)?,
        })
    }
}

/// Reads `500ms`, `90s`, `10m`, `1h`, `2d`; at least a millisecond.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.trim().find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.trim().split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale).filter(|ms| *ms > 0)
}
