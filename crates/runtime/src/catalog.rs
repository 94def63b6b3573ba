//! Agents ready to run: read from their folders, and read again when a file of theirs has changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outlive_core::agent::{Agent, ModelSpec};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::id::AgentName;
use outlive_model::Model;
use outlive_store::{AgentFolders, StoreError};
use outlive_tools::Place;
use outlive_tools::exec::Exec;
use outlive_tools::registry::{Builtin, Toolbox};

use crate::kit::{Card, Kit, KitError, Kits, Terms};

/// Connects to models. The binary names the concrete ones.
pub trait Models: Send + Sync {
    /// Returns the model that an agent asks for, or the best that is there when it asks for none.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    fn connect(&self, wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String>;
}

/// Gives a variable its value.
pub type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a catalog is made of.
pub struct Sources {
    /// Agents' files.
    pub folders: Arc<dyn AgentFolders>,
    /// Models.
    pub models: Arc<dyn Models>,
    /// What runs commands.
    pub exec: Arc<Exec>,
    /// Gives `${VAR}` in agents' files its value.
    pub variables: Variables,
    /// The workspace's own folder: what its tools must never write.
    pub workspace: PathBuf,
    /// Where tools work.
    pub cwd: PathBuf,
}

/// Tokens of a reply where an agent sets no limit.
const OUTPUT_TOKENS: u32 = 8_192;

/// All agents of a workspace.
pub struct Catalog {
    sources: Sources,
    kits: Mutex<HashMap<AgentName, Ready>>,
}

#[derive(Clone)]
struct Ready {
    stamp: u64,
    kit: Arc<Kit>,
    card: Card,
}

impl Catalog {
    /// Makes a catalog; nothing is read before somebody asks.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self { sources, kits: Mutex::default() }
    }

    fn ready(&self, name: &AgentName) -> Result<Ready, KitError> {
        let invalid = |why: String| KitError::Invalid { agent: name.clone(), why };
        let stamp = self.sources.folders.stamp(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let stamp = stamp.ok_or_else(|| KitError::Unknown(name.clone()))?;
        if let Some(ready) = self.lock().get(name).filter(|ready| ready.stamp == stamp) {
            return Ok(ready.clone());
        }
        let files = self.sources.folders.read(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let files = files.ok_or_else(|| KitError::Unknown(name.clone()))?;
        let agent = Agent::read(name, &files, &*self.sources.variables).map_err(|error| invalid(error.to_string()))?;
        let ready = self.make(agent, stamp).map_err(invalid)?;
        self.lock().insert(name.clone(), ready.clone());
        Ok(ready)
    }

    fn make(&self, agent: Agent, stamp: u64) -> Result<Ready, String> {
        let model = self.sources.models.connect(agent.model.as_ref())?;
        let described = model.describe();
        let shown = format!("{}/{}", described.provider, described.name);
        let chosen: Vec<Builtin> = agent.tools.iter().filter_map(|name| Builtin::named(name)).collect();
        let toolbox = Toolbox::builtin(&self.sources.exec, &chosen);
        let specs = toolbox.specs();
        let card = Card {
            name: agent.name.clone(),
            description: agent.description.clone(),
            version: agent.version.clone(),
            model: shown.clone(),
            digest: agent.digest.to_string(),
            tools: specs.iter().map(|spec| spec.name.clone()).collect(),
            works_in: self.sources.cwd.display().to_string(),
            warnings: agent.warnings.clone(),
            on_disconnect: agent.session.on_disconnect,
        };
        let parts = FrameParts {
            system: agent.system.clone(),
            tools: specs,
            max_output_tokens: agent.model.as_ref().and_then(|model| model.max_output_tokens).unwrap_or(OUTPUT_TOKENS),
            temperature: agent.model.as_ref().and_then(|model| model.temperature),
            model: shown,
            agent_digest: agent.digest.to_string(),
        };
        let terms = Terms {
            max_steps: agent.session.max_steps,
            step_timeout: Duration::from_millis(agent.session.step_timeout_ms),
            idle_evict: Duration::from_millis(agent.session.idle_evict_ms),
            on_disconnect: agent.session.on_disconnect,
            disconnect_grace: Duration::from_millis(agent.session.disconnect_grace_ms),
        };
        let place = self.place();
        let kit =
            Kit { frame: Frame::new(parts), model, toolbox: Arc::new(toolbox), policy: agent.policy, place, terms };
        Ok(Ready { stamp, kit: Arc::new(kit), card })
    }

    fn place(&self) -> Place {
        let cwd = self.sources.cwd.clone();
        Place { roots: vec![cwd.clone()], cwd, protected: protected(&self.sources.workspace) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentName, Ready>> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Definitions, policies, the token and the journals: a call that could write them could free itself.
fn protected(workspace: &Path) -> Vec<PathBuf> {
    vec![workspace.to_owned(), workspace.join("token")]
}

impl Kits for Catalog {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        self.ready(agent).map(|ready| ready.kit)
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        self.ready(agent).map(|ready| ready.card)
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(self.sources.folders.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }
}
