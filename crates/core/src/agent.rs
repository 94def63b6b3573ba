//! An agent's definition, read from its folder. No code: who it is, which model, tools, policy and limits it has.
//!
//! Invariant: what is not understood is refused with its place, never left out in silence; what is understood but not
//! there yet becomes a warning.

mod cli;
mod expand;
mod files;
mod front;
pub mod mcp;
mod skills;
mod spec;
mod starter;
mod tools;

pub use cli::CliTool;
pub use expand::Lookup;
pub use files::{
    AGENT_BYTES, AGENT_FILE_BYTES, AGENT_FILES, check_files, files_digest, folder_digest, is_known, own_files,
};
pub use mcp::{Expanded, McpAuth, McpGrant, McpProtocol, McpServer, McpWay};
pub use skills::Skill;
pub use spec::{
    ContextSpec, DIMENSIONS, EmbeddingSpec, MemorySpec, ModelSpec, NetworkSpec, SandboxMode, SandboxSpec, SearchSpec,
    WebSpec,
};
pub use starter::{starter, starter_in};
pub use tools::Tools;

use std::collections::BTreeMap;

use crate::budget::Budget;
use crate::digest::Digest;
use crate::event::OnDisconnect;
use crate::id::AgentName;
use crate::policy::{LOCAL_POLICY, Policy};
use crate::yaml::YamlError;
use spec::File;
pub(crate) use spec::VERSIONS;

/// Where what a workspace gives to all its agents stands among an agent's files.
pub const WORKSPACE: &str = "../../";

/// Path of the workspace's policy among an agent's files.
pub const WORKSPACE_POLICY: &str = "../../policy.yaml";

/// Bytes of one directive, and of all.
const DIRECTIVE_BYTES: usize = 64 << 10;
const DIRECTIVES_BYTES: usize = 256 << 10;

/// An agent that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its name: the folder's.
    pub name: AgentName,
    /// What it is for.
    pub description: String,
    /// Its version, in its author's words.
    pub version: Option<String>,
    /// SHA-256 over all its files and the workspace's policy.
    pub digest: Digest,
    /// The model it asks for; `None` leaves the choice to what is there.
    pub model: Option<ModelSpec>,
    /// System prompt, in ordered stable blocks.
    pub system: Vec<String>,
    /// Limits of its sessions.
    pub session: SessionSpec,
    /// What its sessions may use.
    pub budget: Budget,
    /// The tools that it has.
    pub tools: Tools,
    /// What its calls may do.
    pub policy: Policy,
    /// How its conversations are kept within the model's window, and what outlasts them.
    pub upkeep: Upkeep,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
}

/// What keeps an agent's conversations within bounds, and what is to outlast them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Upkeep {
    /// How they are kept within the model's window.
    pub context: ContextSpec,
    /// What outlasts them; none where nothing is said of it.
    pub memory: Option<MemorySpec>,
    /// How many blocks of the system prompt, its last ones, are directives.
    pub directives: usize,
}

/// Limits of an agent's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSpec {
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
    /// Milliseconds that a turn goes on after its last client has gone, where it is to be paused then.
    pub disconnect_grace_ms: u64,
    /// Steps of one turn.
    pub max_steps: u32,
    /// Milliseconds that one model request may take.
    pub step_timeout_ms: u64,
    /// Milliseconds without anything to do, after which a session leaves memory.
    pub idle_evict_ms: u64,
}

/// Why an agent's folder is not an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// A file that must be there is not.
    #[error("{file} is missing{why}")]
    Missing {
        /// Which, relative to the agent's folder.
        file: String,
        /// Who asks for it.
        why: String,
    },
    /// A file is not text.
    #[error("{0} is not UTF-8")]
    NotText(String),
    /// A directive is too long, or all of them together are.
    #[error(
        "{0}: a directive is at most {DIRECTIVE_BYTES} bytes long, and all together {DIRECTIVES_BYTES}: every request holds them"
    )]
    TooLong(String),
    /// A file does not fit.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

/// Providers of models that an agent may name.
pub const PROVIDERS: [&str; 7] =
    ["anthropic", "openai", "openai_responses", "gemini", "openrouter", "ollama", "rehearsal"];

/// A value that does not fit: the path of its key, and why.
struct Misfit(String, String);

impl Misfit {
    fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self(path.into(), why.into())
    }
}

/// An agent's files: path relative to its folder → bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

impl Agent {
    /// Reads an agent from its files: path relative to its folder → bytes. `lookup` gives `${VAR}` its value.
    ///
    /// # Errors
    ///
    /// The first [`AgentError`], which names the file, and the line where there is one.
    pub fn read(name: &AgentName, files: &Files, lookup: &Lookup<'_>) -> Result<Self, AgentError> {
        let yaml = text(files, "agent.yaml", "; an agent is a folder with an agent.yaml")?;
        let mut file: File = crate::yaml::read(yaml, "agent.yaml")?;
        let placed = |Misfit(path, why): Misfit| crate::yaml::misfit(yaml, "agent.yaml", &path, &why);
        let expanded = file.expand(lookup).map_err(placed)?;
        let mut warnings = file.check(name).map_err(placed)?;
        let session = file.limits().map_err(placed)?;
        let budget = file.budget().map_err(placed)?;
        let (builtin, programs) = file.tools(&mut warnings).map_err(placed)?;
        let cli = cli::read(&programs, files, &mut warnings);
        let skills = skills::read(file.spec.tooling.skills_dir.as_deref(), files, &mut warnings);
        let tools = Tools {
            builtin,
            secrets: file.secrets_of_bash().map_err(placed)?,
            web: file.spec.tooling.web.clone(),
            sandbox: file.spec.sandbox.clone().unwrap_or_default(),
            cli,
            mcp: file.servers().map_err(placed)?,
            expanded,
            skills: skills.into(),
            hooks: file.hooks().map_err(placed)?,
        };
        let (system, directives) = system(&file, files, yaml)?;
        Ok(Self {
            name: name.clone(),
            description: file.metadata.description.unwrap_or_default(),
            version: file.metadata.version,
            digest: digest(files),
            session,
            budget,
            policy: policy(files),
            upkeep: Upkeep { context: file.spec.context, memory: file.spec.memory, directives },
            model: file.spec.model,
            system,
            tools,
            warnings,
        })
    }
}

fn text<'a>(files: &'a Files, path: &str, why: &str) -> Result<&'a str, AgentError> {
    let missing = || AgentError::Missing { file: path.to_owned(), why: why.to_owned() };
    let bytes = files.get(path).ok_or_else(missing)?;
    std::str::from_utf8(bytes).map_err(|_| AgentError::NotText(path.to_owned()))
}

/// The blocks in their order: who it is, then how it works, then its standing instructions.
fn system(file: &File, files: &Files, yaml: &str) -> Result<(Vec<String>, usize), AgentError> {
    let mut blocks = Vec::new();
    if let Some(description) = &file.metadata.description {
        blocks.push(format!("You are {}. {description}", file.metadata.name));
    }
    let spec = &file.spec;
    for (key, named, usual) in [
        ("soul", &spec.soul, "SOUL.md"),
        ("system_prompt", &spec.system_prompt, "SYSTEM_PROMPT.md"),
        ("instructions", &spec.instructions, "INSTRUCTIONS.md"),
    ] {
        let path = match named {
            Some(path) => {
                let shown = path.trim_start_matches("./");
                if !files.contains_key(shown) {
                    let why = format!("`{path}` is missing in the agent's folder");
                    return Err(crate::yaml::misfit(yaml, "agent.yaml", &format!("spec.{key}"), &why).into());
                }
                shown.to_owned()
            }
            None if files.contains_key(usual) => usual.to_owned(),
            None => continue,
        };
        blocks.push(text(files, &path, "")?.to_owned());
    }
    let mut directives = directives(files)?;
    for blocks in [&mut blocks, &mut directives] {
        blocks.retain(|block| !block.trim().is_empty());
    }
    let count = directives.len();
    blocks.extend(directives);
    Ok((blocks, count))
}

/// The workspace's directives, then the agent's, each by name.
fn directives(files: &Files) -> Result<Vec<String>, AgentError> {
    let home = format!("{WORKSPACE}directives/");
    let named = |home: &str, path: &str| path.strip_prefix(home).is_some_and(is_directive);
    let shared = files.keys().filter(|path| named(&home, path));
    let own = files.keys().filter(|path| named("directives/", path));
    let mut total = 0;
    let read = |path: &String| {
        let block = text(files, path, "")?;
        total += block.len();
        if block.len() > DIRECTIVE_BYTES || total > DIRECTIVES_BYTES {
            return Err(AgentError::TooLong(path.trim_start_matches(WORKSPACE).to_owned()));
        }
        Ok(block.to_owned())
    };
    shared.chain(own).map(read).collect()
}

fn is_directive(name: &str) -> bool {
    name.ends_with(".md") && !name.contains('/')
}

/// Reads the policies of the workspace, of the agent, and of the agent here; one that cannot be read denies everything.
#[must_use]
pub fn policy(files: &Files) -> Policy {
    let read = |path: &str, shown: &str| match files.get(path) {
        None => Policy::default(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Policy::parse(text, shown).unwrap_or_else(|error| Policy::unreadable(error.to_string())),
            Err(_) => Policy::unreadable(format!("{shown} is not UTF-8")),
        },
    };
    // What a person granted on this machine does not travel with an agent.
    let without_grants = |policy: Policy| match policy.grants.first() {
        Some(grant) => Policy::unreadable(format!("{}: `grants` belong into {LOCAL_POLICY}", grant.place)),
        None => policy,
    };
    let workspace = without_grants(read(WORKSPACE_POLICY, "policy.yaml of the workspace"));
    let agent = without_grants(read("policy.yaml", "policy.yaml"));
    Policy::combine(Policy::combine(workspace, agent), read(LOCAL_POLICY, LOCAL_POLICY))
}

fn digest<'a>(files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Digest {
    let mut bytes = Vec::new();
    for (path, content) in files {
        bytes.extend_from_slice(format!("{path}\n{}\n", content.len()).as_bytes());
        bytes.extend_from_slice(content);
    }
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests;
