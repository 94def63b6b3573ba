//! The environment and `outlive.yaml`: read here and nowhere else.
#![expect(clippy::disallowed_methods, reason = "configuration has one door, and this is it")]

mod clean;
mod credentials;
mod log;
pub mod models;
pub mod notify;
pub mod server;

pub use clean::Clean;
pub use credentials::{Environment, flaw, secret};
pub use log::{LogFile, LogReader};

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use outlive_core::budget::{Limits, LimitsSpec};
use outlive_core::secret::Secret;
use outlive_core::webhook::Webhook;
use outlive_core::yaml::{self, YamlError};
use outlive_runtime::catalog::Credentials;
use serde::Deserialize;

use crate::exit::Failure;
use log::LOG_BYTES;

/// Where everything lives.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The `.outlive` folder.
    pub root: PathBuf,
    /// Where tools work.
    pub cwd: PathBuf,
    /// The name under which a person speaks in it.
    pub sender: Option<String>,
}

/// `outlive.yaml`: every key optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the server listens.
    pub server: server::Server,
    /// What may be used.
    pub budget: WorkspaceBudget,
    /// What becomes of deleted sessions.
    pub trash: Trash,
    /// Webhooks that are taken, by their names.
    pub webhooks: BTreeMap<String, Webhook>,
    /// Who is told of what outside of any client, by their names.
    pub notify: BTreeMap<String, notify::Notify>,
    /// Variables whose values are secrets, beside those that are known to be.
    pub secrets: Vec<String>,
}

/// What all agents together may use.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceBudget {
    /// In one day, in UTC.
    pub day: LimitsSpec,
}

/// What becomes of deleted sessions.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trash {
    /// Days that they lie in the trash; 30 by default, 0 until it is emptied.
    pub keep_days: Option<u32>,
}

const FOLDER: &str = ".outlive";
/// What is sent to a collector with each request, as `name=value,name=value`.
const HEADERS: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];

/// Returns a variable of the environment, if it is set and not empty, else the credential of its name.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).or_else(|| credentials::credential(name))
}

/// Returns a variable, also from the file that its `_FILE` variant names. What is wrong with that is in the log.
pub fn value(name: &str) -> Option<String> {
    let found = secret(name).unwrap_or_else(|why| {
        tracing::warn!(%why, "a variable has no value");
        None
    });
    found.map(|secret| secret.reveal().to_owned())
}

/// Returns the secrets that the environment and the configuration name: providers' keys, what is sent to a collector with
/// each request, and what `secrets` in `outlive.yaml` lists.
///
/// # Errors
///
/// What is wrong with one that `outlive.yaml` lists.
pub fn known(config: &Config, credentials: &dyn Credentials) -> Result<Vec<(String, Secret)>, Failure> {
    let mut known = Vec::new();
    for name in outlive_model::PROVIDERS.into_iter().filter_map(outlive_model::key_variable) {
        // What is wrong with one is told by whoever needs it.
        known.extend(credentials.get(name).ok().flatten().map(|secret| (name.to_owned(), secret)));
    }
    for name in HEADERS {
        let headers = variable(name).unwrap_or_default();
        let values = headers.split(',').filter_map(|pair| Some(pair.split_once('=')?.1.trim().replace("%20", " ")));
        // `Bearer KEY`: the key alone is one, too.
        let words = values.flat_map(|value| [value.rsplit(' ').next().unwrap_or_default().to_owned(), value]);
        known.extend(words.map(|value| (name.to_owned(), Secret::new(value))));
    }
    for hook in config.webhooks.values() {
        let secret = credentials.get(&hook.secret).ok().flatten();
        known.extend(secret.map(|secret| (hook.secret.clone(), secret)));
    }
    for variable in config.notify.values().filter_map(notify::Notify::secret) {
        let secret = credentials.get(variable).ok().flatten();
        known.extend(secret.map(|secret| (variable.to_owned(), secret)));
    }
    for name in &config.secrets {
        match credentials.get(name).map_err(|why| Failure::Usage(format!("outlive.yaml: secrets: {why}")))? {
            Some(secret) => known.push((name.clone(), secret)),
            None => tracing::warn!(variable = name, "`secrets` in outlive.yaml names a variable that has no value"),
        }
    }
    Ok(known)
}

/// Returns the whole environment, for tools: what they are given of it is theirs to choose.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Finds the workspace: the one that is named, the nearest above, or the one at home.
///
/// # Errors
///
/// There is no home.
pub fn workspace(named: Option<&Path>) -> Result<Workspace, Failure> {
    let here = std::env::current_dir()?;
    if let Some(named) = named {
        // Without any `.` in it, as it is shown.
        let named: PathBuf = here.join(named).components().collect();
        let is_root = named.file_name().is_some_and(|name| name == FOLDER);
        let root = if is_root { named } else { named.join(FOLDER) };
        return Ok(holding(root));
    }
    let above = here.ancestors().map(|folder| folder.join(FOLDER)).find(|root| root.is_dir());
    let home = variable("HOME").map(PathBuf::from);
    match (above, home) {
        (Some(root), Some(home)) if root == home.join(FOLDER) => Ok(Workspace { root, cwd: here, sender: None }),
        (Some(root), _) => Ok(holding(root)),
        (None, Some(home)) => Ok(Workspace { root: home.join(FOLDER), cwd: here, sender: None }),
        (None, None) => Err(Failure::Usage("HOME is not set: name a folder with --workspace".to_owned())),
    }
}

fn holding(root: PathBuf) -> Workspace {
    let cwd = root.parent().unwrap_or(&root).to_owned();
    Workspace { root, cwd, sender: None }
}

fn checked(config: Config) -> Result<Config, Failure> {
    for (name, hook) in &config.webhooks {
        hook.check(name).map_err(|error| Failure::Usage(format!("outlive.yaml: {error}")))?;
    }
    for name in config.notify.keys() {
        notify::check_name(name).map_err(|why| Failure::Usage(format!("outlive.yaml: {why}")))?;
    }
    Ok(config)
}

/// Returns the webhooks that are taken, with their secrets. One without is refused to all until it has one.
pub fn webhooks(config: &Config, credentials: &dyn Credentials) -> outlive_server::Webhooks {
    let keyed = |(name, hook): (&String, &Webhook)| {
        let secret = credentials.get(&hook.secret).unwrap_or_else(|why| {
            tracing::warn!(webhook = name, why, "a webhook's secret cannot be read");
            None
        });
        if secret.is_none() {
            tracing::warn!(webhook = name, variable = hook.secret, "a webhook has no secret: nothing is taken by it");
        }
        (name.clone(), (hook.clone(), secret))
    };
    config.webhooks.iter().map(keyed).collect()
}

impl Workspace {
    /// Speaks under a name: this one, or the user's.
    ///
    /// # Errors
    ///
    /// It is no name.
    pub fn speaking_as(self, name: Option<String>) -> Result<Self, Failure> {
        if name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control)) {
            return Err(Failure::Usage("--as takes a name of one line".to_owned()));
        }
        let user =
            || variable("USER").or_else(|| variable("LOGNAME")).filter(|name| !name.chars().any(char::is_control));
        Ok(Self { sender: name.or_else(user).map(|name| name.trim().chars().take(128).collect()), ..self })
    }

    /// Reads `outlive.yaml`.
    ///
    /// # Errors
    ///
    /// File, line, and the nearest key.
    pub fn config(&self) -> Result<Config, Failure> {
        let path = self.root.join("outlive.yaml");
        match std::fs::read_to_string(&path) {
            Ok(text) if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) => {
                Ok(Config::default())
            }
            Ok(text) => checked(read_config(&text).map_err(|error| Failure::Usage(error.to_string()))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(Failure::Failed(format!("{}: {error}", path.display()))),
        }
    }

    /// Returns the token to show, if there is one.
    pub fn token(&self) -> Option<String> {
        value("OUTLIVE_TOKEN").or_else(|| self.token_of_file())
    }

    fn token_of_file(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join("token")).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// Returns the workspace's own token, making one where there is none: 256 bits, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn make_token(&self) -> Result<String, Failure> {
        let named = secret("OUTLIVE_TOKEN").map_err(Failure::Usage)?.map(|token| token.reveal().to_owned());
        // One that was made for somebody else is for less: a server that a command starts by it must not take it for its own.
        let named = named.filter(|token| !token.starts_with(outlive_server::PREFIX));
        if let Some(token) = named.or_else(|| self.token_of_file()) {
            return Ok(token);
        }
        let token: String = random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.root.join("token");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(token.as_bytes())?;
        file.sync_all()?;
        Ok(token)
    }

    /// Returns the server's log file.
    pub fn log(&self) -> PathBuf {
        self.root.join("run").join("server.log")
    }

    /// Opens the server's log to add to it; one that has grown large is put aside first.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open_log(&self) -> Result<LogFile, Failure> {
        Ok(LogFile::open(&self.log(), LOG_BYTES)?)
    }

    /// Returns the last lines of the server's log.
    pub fn log_tail(&self, lines: usize) -> String {
        LogReader::last(&self.log(), lines).1.join("\n")
    }
}

fn read_config(text: &str) -> Result<Config, YamlError> {
    let config: Config = yaml::read(text, "outlive.yaml")?;
    let misfit = |(key, why): (&str, String)| yaml::misfit(text, "outlive.yaml", &format!("budget.day.{key}"), &why);
    config.budget.day.limits().map_err(misfit)?;
    Ok(config)
}

impl WorkspaceBudget {
    /// Returns what is meant: it was checked when it was read.
    pub fn limits(&self) -> Limits {
        self.day.limits().unwrap_or_default()
    }
}

/// Returns bytes that nobody can guess.
///
/// # Errors
///
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
