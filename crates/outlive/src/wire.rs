//! The only place that names concrete stores, models and tools, and puts them together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::agent::{EmbeddingSpec, ModelSpec, SandboxMode, SandboxSpec};
use outlive_core::catalogue::{Capability, Catalogue};
use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;
use outlive_model::Model;
use outlive_model::embeddings::Embedder;
use outlive_runtime::catalog::{Catalog, Known, Models, Sources};
use outlive_runtime::clock::{Clock as _, Moments, SystemClock};
use outlive_runtime::scales::Scales;
use outlive_runtime::{Courier, Runtime, Settings};
use outlive_server::{Token, Tokens};
use outlive_store::audit::AuditLog;
use outlive_store::files::fs::{Disk, RealDisk};
use outlive_store::files::kept::Kept;
use outlive_store::memory_files::PlainMemory;
use outlive_store::workspace::{self, OpenError};
use outlive_tools::exec::Exec;
use outlive_tools::sandbox::Sandbox;
use outlive_tools::{Place, orphans, tasks};

use crate::config::models::ModelList;
use crate::config::{self, Workspace};
use crate::courier::Post;
use crate::exit::Failure;

/// Days that the output of a background task is kept.
const TASKS_DAYS: u64 = 7;

/// Models that this binary can connect to, with keys from the environment, and what is known of them.
pub struct Connector(pub ModelList);

/// What is taken where an agent names no model: the first whose key is there.
const CHOICES: [(&str, &str); 4] = [
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-5"),
    ("gemini", "gemini-flash-latest"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
];

impl Models for Connector {
    fn connect(&self, wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String> {
        let mut settings = wanted.map_or_else(best, |spec| settings(&spec.provider, &spec.name, Some(spec)))?;
        learn(&mut settings, &self.0.now().catalogue);
        outlive_model::connect(settings).map_err(|error| error.to_string())
    }

    fn embedder(&self, wanted: &EmbeddingSpec) -> Result<Embedder, String> {
        let key = key("openai", Some(&wanted.base_url), wanted.api_key_env.as_deref())?;
        Embedder::new(wanted.clone(), key).map_err(|error| error.to_string())
    }

    fn known(&self) -> Known {
        self.0.now()
    }
}

/// Adds what is known of the model.
fn learn(settings: &mut outlive_model::Settings, catalogue: &Catalogue) {
    let entry = catalogue.entry(&format!("{}/{}", settings.provider, settings.name));
    settings.context_window = settings.context_window.or(entry.context_window);
    settings.structured = entry.capabilities.is_some_and(|known| known.contains(&Capability::Structured));
}

fn settings(provider: &str, name: &str, spec: Option<&ModelSpec>) -> Result<outlive_model::Settings, String> {
    let base_url = spec.and_then(|spec| spec.base_url.clone());
    Ok(outlive_model::Settings {
        provider: provider.to_owned(),
        name: name.to_owned(),
        key: key(provider, base_url.as_deref(), spec.and_then(|spec| spec.api_key_env.as_deref()))?,
        base_url,
        context_window: spec.and_then(|spec| spec.context_window),
        keep_alive: spec.and_then(|spec| spec.keep_alive.clone()),
        structured: false,
    })
}

/// Returns the key in the variable that is named, else the provider's usual one: that goes only to an endpoint that is
/// trusted with it.
fn key(provider: &str, base_url: Option<&str>, named: Option<&str>) -> Result<Option<outlive_model::Key>, String> {
    let usual = || outlive_model::key_variable(provider).filter(|_| outlive_model::is_trusted(provider, base_url));
    named.or_else(usual).map_or(Ok(None), config::secret)
}

/// Connects to `PROVIDER/NAME`, as an agent would.
pub fn model(
    name: &str,
    (base_url, key_env): (Option<String>, Option<&str>),
    catalogue: &Catalogue,
) -> Result<Arc<dyn Model>, String> {
    let (provider, name) = name.split_once('/').unwrap_or((name, ""));
    let key = key(provider, base_url.as_deref(), key_env)?;
    let mut settings = outlive_model::Settings { key, base_url, ..settings(provider, name, None)? };
    learn(&mut settings, catalogue);
    outlive_model::connect(settings).map_err(|error| error.to_string())
}

/// A key in the environment, else a local Ollama that answers, else the rehearsal.
fn best() -> Result<outlive_model::Settings, String> {
    // One that is there twice, or in a file that cannot be taken, is an error and no reason to ask somebody else.
    let is_there = |name: &str| !matches!(config::secret(name), Ok(None));
    let has_key = |(provider, _): &&(&str, &str)| outlive_model::key_variable(provider).is_some_and(is_there);
    if let Some((provider, name)) = CHOICES.iter().find(has_key) {
        return settings(provider, name, None);
    }
    match ollama() {
        Some(name) => settings("ollama", &name, None),
        None => settings("rehearsal", "script", None),
    }
}

/// Returns the first model of a local Ollama, if one answers at once.
fn ollama() -> Option<String> {
    use std::io::{Read as _, Write as _};
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 11_434));
    let moment = std::time::Duration::from_millis(300);
    let mut stream = std::net::TcpStream::connect_timeout(&address, moment).ok()?;
    stream.set_read_timeout(Some(moment)).ok()?;
    stream.write_all(b"GET /api/tags HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let tags: serde_json::Value = serde_json::from_str(body).ok()?;
    tags.pointer("/models/0/name")?.as_str().map(str::to_owned)
}

/// A workspace at work.
pub struct Engine {
    /// Runs its sessions.
    pub runtime: Arc<Runtime>,
    /// Its audit log.
    pub audit: Arc<AuditLog>,
    /// Its files; closed last.
    pub files: workspace::Workspace,
}

/// Opens a workspace and starts its engine: what a dead server's calls left running is ended first.
///
/// # Errors
///
/// Somebody else owns it, or the system says no.
pub async fn start(place: &Workspace, secrets: &Secrets) -> Result<Engine, Failure> {
    let opened = workspace::open_on(disk()?, &place.root, options());
    let (store, files) = opened.map_err(|error| match error {
        OpenError::Owned(_) => Failure::Busy(error.to_string()),
        OpenError::Io(_) => Failure::Failed(format!("{}: {error}", place.root.display())),
    })?;
    let run = place.root.join("run");
    end_left(&run.join("children")).await?;
    let audit = Arc::new(AuditLog::open(Arc::new(RealDisk), &place.root, SystemClock.now())?);
    for damage in &files.recovery().damage {
        tracing::error!(damage, "damage found; run `outlive verify`");
    }
    tasks::forget(&run.join("tasks"), TASKS_DAYS)?;
    make(&[&run.join("spill"), &run.join("children")])?;
    let (config, credentials) = (place.config()?, config::Environment::default());
    learn_known(secrets, config::known(&config, &credentials)?);
    let exec = exec(&place.root)?.redacting(secrets.clone());
    ensure_agent(&*store.agents, &exec, place).await?;
    let post = Post::of(&config.notify, &credentials, (&exec, place));
    let sources = sources(place, Arc::clone(&store.agents), (exec, credentials));
    let seed = u64::from_le_bytes(config::random::<8>()?);
    let moments = Moments::new(Arc::new(SystemClock), seed);
    let file = Kept::at(disk()?, place.root.join("calibration.json"));
    let scales = Scales::new(outlive_model::tokens::counter()).kept_in(file);
    let courier = post.map(|post| Arc::new(post) as Arc<dyn Courier>);
    let catalog = Catalog::new(sources).sharing(&store).weighing(scales).telling(courier);
    catalog.learn_all();
    let runtime = Runtime::start(store, Arc::new(catalog), moments, settled(&config)).await;
    Ok(Engine { runtime: runtime.map_err(Failure::failed)?, audit, files })
}

/// Ends what a dead server's calls left running: before anything that may keep this one from starting.
async fn end_left(children: &Path) -> Result<(), Failure> {
    for ended in orphans::sweep(children).await? {
        tracing::warn!(call = %ended.call, session = ?ended.session, "processes of a call of the server before were ended");
    }
    if let Err(why) = orphans::sweep_containers(&engine(), children).await {
        tracing::warn!(why, "containers of the server before, if there are any, were not looked for");
    }
    Ok(())
}

/// Knows these secrets, and says which of them cannot be looked for.
pub fn learn_known(secrets: &Secrets, known: Vec<(String, Secret)>) {
    for refused in secrets.learn(known) {
        tracing::warn!(variable = refused.name, why = refused.why, "a secret is not redacted");
    }
}

/// The tokens of a workspace: its own, and the list of the others beside it. Only whoever owns the workspace writes that.
///
/// # Errors
///
/// The list cannot be read: then nobody is let in.
pub fn tokens(place: &Workspace) -> Result<Tokens, Failure> {
    let path = place.root.join("tokens.json");
    let list = TokenList(Kept::at(disk()?, path.clone()));
    let why = |error| {
        Failure::Failed(format!("{}: {error}; it holds who may come in: mend it, or move it away", path.display()))
    };
    Tokens::kept(Token::new(&place.make_token()?), Arc::new(list)).map_err(why)
}

struct TokenList(Kept);

impl outlive_server::Keep for TokenList {
    fn load(&self) -> std::io::Result<Option<Vec<u8>>> {
        self.0.read()
    }

    fn save(&self, text: &[u8]) -> std::io::Result<()> {
        self.0.replace(text)
    }
}

/// Returns what a workspace's agents are made of.
#[must_use]
pub fn sources(
    place: &Workspace,
    folders: Arc<dyn outlive_store::AgentFolders>,
    (exec, credentials): (Exec, config::Environment),
) -> Sources {
    Sources {
        folders,
        memory: Arc::new(PlainMemory::of(place.root.clone())),
        models: Arc::new(Connector(ModelList::of(&place.root))),
        exec: Arc::new(exec),
        variables: Box::new(config::value),
        credentials: Arc::new(credentials),
        workspace: place.root.clone(),
        cwd: place.cwd.clone(),
    }
}

/// What `outlive.yaml` says of how sessions are run.
fn settled(config: &config::Config) -> Settings {
    let days = config.trash.keep_days.unwrap_or(30);
    let keep_deleted = (days > 0).then(|| std::time::Duration::from_secs(u64::from(days) * 86_400));
    Settings { keep_deleted, budget: config.budget.limits(), ..Settings::default() }
}

#[cfg(not(feature = "trap"))]
fn disk() -> Result<Arc<dyn Disk>, Failure> {
    Ok(Arc::new(RealDisk))
}

#[cfg(not(feature = "trap"))]
fn options() -> workspace::Options {
    workspace::Options::default()
}

/// Where a test has set a trap, a journal is long soon.
#[cfg(feature = "trap")]
fn options() -> workspace::Options {
    let options = workspace::Options::default();
    match config::variable("OUTLIVE_TRAP") {
        Some(_) => workspace::Options { live_bytes: 128 << 10, past_bytes: 32 << 10, ..options },
        None => options,
    }
}

/// The disk of a test: with the trap that it set, if it set one.
#[cfg(feature = "trap")]
fn disk() -> Result<Arc<dyn Disk>, Failure> {
    use outlive_store::files::trap::TrappedDisk;
    let Some(named) = config::variable("OUTLIVE_TRAP") else { return Ok(Arc::new(RealDisk)) };
    let trap = named.parse().map_err(|why| Failure::Usage(format!("OUTLIVE_TRAP: {why}")))?;
    Ok(Arc::new(TrappedDisk { disk: Arc::new(RealDisk), trap: Arc::new(trap) }))
}

#[expect(clippy::disallowed_methods, reason = "the server's own folders, beside the store's")]
fn make(folders: &[&Path]) -> Result<(), Failure> {
    folders.iter().try_for_each(std::fs::create_dir_all).map_err(Failure::from)
}

/// Returns what runs commands of a workspace, confined from within by this binary.
///
/// # Errors
///
/// The system does not say where this binary is.
pub fn exec(root: &Path) -> Result<Exec, Failure> {
    let run = root.join("run");
    let exec = Exec::new(config::environment(), &run.join("spill"), &run.join("children"));
    Ok(exec.confined_by(std::env::current_exe()?).with_engine(engine()))
}

/// Where a Docker engine listens: on this machine, since folders are granted to it.
pub fn engine() -> PathBuf {
    let named = config::variable("DOCKER_HOST").and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
    named.unwrap_or_else(|| "/var/run/docker.sock".into())
}

/// Returns in what a new agent's commands are to run: in a sandbox if one works here, by trying.
pub async fn starting_mode(exec: &Exec, place: &Workspace) -> SandboxMode {
    let anywhere = Place { cwd: place.cwd.clone(), roots: vec![place.cwd.clone()], protected: Vec::new() };
    let Ok(usual) = Sandbox::of(&SandboxSpec::default()) else { return SandboxMode::Auto };
    match exec.within(usual).kind(&anywhere).await {
        Ok(_kind) => SandboxMode::Auto,
        Err(why) => {
            tracing::warn!(%why, "a new agent runs commands without a sandbox");
            SandboxMode::Trust
        }
    }
}

/// A workspace without any agent gets the starter. Returns in what its commands run, if it was made.
///
/// # Errors
///
/// What the store says.
pub async fn ensure_agent(
    folders: &dyn outlive_store::AgentFolders,
    exec: &Exec,
    place: &Workspace,
) -> Result<Option<SandboxMode>, Failure> {
    if !folders.names().map_err(Failure::failed)?.is_empty() {
        return Ok(None);
    }
    let mode = starting_mode(exec, place).await;
    let name = "default".parse().map_err(Failure::failed)?;
    folders.create("default", outlive_core::agent::starter_in(&name, mode)).map_err(Failure::failed)?;
    Ok(Some(mode))
}
