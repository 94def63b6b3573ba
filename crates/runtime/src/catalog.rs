//! Agents ready to run: read from their folders, and read again when a file of theirs has changed.

mod directive;
mod keys;
mod meanings;
mod servers;
mod tooling;
mod voices;

pub use keys::{Credentials, granted};

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outlive_core::agent::{Agent, EmbeddingSpec, Files, MemorySpec, ModelSpec, Upkeep};
use outlive_core::catalogue::Catalogue;
use outlive_core::cost::Prices;
use outlive_core::id::{AgentName, SessionId};
use outlive_core::redact::Secrets;
use outlive_model::Model;
use outlive_model::embeddings::Embedder;
use outlive_store::memory_files::MemoryFiles;
use outlive_store::{AgentFolders, Store, StoreError};
use outlive_tools::artifact::Outputs;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::Pool;
use outlive_tools::memory::Mind;
use outlive_tools::registry::{Builtin, Toolbox};
use outlive_tools::sandbox::Sandbox;
use outlive_tools::schedule::Plans;
use outlive_tools::session::Siblings;
use outlive_tools::{Pending, Place};

pub use servers::Asked;

use crate::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Offered, Terms, Voice};
use crate::meaning::Meaning;
use crate::scales::Scales;
use crate::schedules::Planner;
use crate::{Courier, Door};

/// Connects to models. The binary names the concrete ones.
pub trait Models: Send + Sync {
    /// Returns the model that an agent asks for, or the best that is there when it asks for none.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    fn connect(&self, wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String>;

    /// Returns the service that says in numbers what a text means.
    ///
    /// # Errors
    ///
    /// What is missing, and how to get it.
    fn embedder(&self, wanted: &EmbeddingSpec) -> Result<Embedder, String> {
        Embedder::new(wanted.clone(), None).map_err(|error| error.to_string())
    }

    /// Returns what is known of models now.
    fn known(&self) -> Known {
        Known::default()
    }
}

/// What is known of models.
#[derive(Debug, Clone)]
pub struct Known {
    /// The lists.
    pub catalogue: Arc<Catalogue>,
    /// Another number when they have changed.
    pub stamp: u64,
    /// Why they are not what the workspace's file says.
    pub warning: Option<String>,
}

impl Default for Known {
    fn default() -> Self {
        Self { catalogue: Catalogue::built_in(), stamp: 0, warning: None }
    }
}

/// Gives a variable its value.
pub type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a catalog is made of.
pub struct Sources {
    /// Agents' files.
    pub folders: Arc<dyn AgentFolders>,
    /// The files of what they remember that people may edit.
    pub memory: Arc<dyn MemoryFiles>,
    /// Models.
    pub models: Arc<dyn Models>,
    /// What runs commands.
    pub exec: Arc<Exec>,
    /// Gives `${VAR}` in agents' files its value.
    pub variables: Variables,
    /// Gives keys and what tools are granted.
    pub credentials: Arc<dyn Credentials>,
    /// The workspace's own folder: what its tools must never write.
    pub workspace: PathBuf,
    /// Where tools work.
    pub cwd: PathBuf,
}

/// All agents of a workspace.
pub struct Catalog {
    sources: Sources,
    kits: Mutex<HashMap<AgentName, Ready>>,
    siblings: Option<Arc<dyn Siblings>>,
    outputs: Option<Arc<dyn Outputs>>,
    mind: Option<Arc<dyn Mind>>,
    plans: Arc<dyn Plans>,
    door: Door,
    scales: Option<Arc<Scales>>,
    servers: Pool,
    meanings: Mutex<HashMap<AgentName, meanings::Named>>,
    courier: Option<Arc<dyn Courier>>,
}

#[derive(Clone)]
struct Ready {
    stamp: u64,
    /// Which lists of its servers of tools it is made of.
    listed: u64,
    kit: Arc<Kit>,
    card: Card,
}

impl Catalog {
    /// Makes a catalog; nothing is read before somebody asks.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let (kits, meanings, door, servers) = (Mutex::default(), Mutex::default(), Door::default(), Pool::default());
        let plans = Arc::new(Planner(door.clone()));
        Self {
            sources,
            kits,
            siblings: None,
            outputs: None,
            mind: None,
            plans,
            door,
            scales: None,
            servers,
            meanings,
            courier: None,
        }
    }

    /// Lets agents that ask for it look at the sessions of this store, and remember in it.
    #[must_use]
    pub fn sharing(self, store: &Store) -> Self {
        let files = Arc::clone(&self.sources.memory);
        let mind = crate::mind::Kept { store: store.clone(), door: self.door.clone(), files };
        let siblings = Arc::new(crate::siblings::Kept(store.clone()));
        Self { siblings: Some(siblings.clone()), outputs: Some(siblings), mind: Some(Arc::new(mind)), ..self }
    }

    /// Weighs requests with these.
    #[must_use]
    pub fn weighing(self, scales: Scales) -> Self {
        Self { scales: Some(Arc::new(scales)), ..self }
    }

    /// Tells people outside of any client by this one.
    #[must_use]
    pub fn telling(self, courier: Option<Arc<dyn Courier>>) -> Self {
        Self { courier, ..self }
    }

    fn ready(&self, name: &AgentName) -> Result<Ready, KitError> {
        let invalid = |why: String| KitError::Invalid { agent: name.clone(), why };
        let stamp = self.sources.folders.stamp(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let known = self.sources.models.known();
        let stamp =
            stamp.ok_or_else(|| KitError::Unknown(name.clone()))? ^ known.stamp ^ self.scales().stamp().rotate_left(32);
        let listed = self.servers.version(name);
        if let Some(ready) = self.lock().get(name).filter(|ready| (ready.stamp, ready.listed) == (stamp, listed)) {
            return Ok(ready.clone());
        }
        let files = self.sources.folders.read(name.as_str()).map_err(|error| invalid(error.to_string()))?;
        let mut files = files.ok_or_else(|| KitError::Unknown(name.clone()))?;
        let read = |files: &Files| {
            Agent::read(name, files, &*self.sources.variables).map_err(|error| invalid(error.to_string()))
        };
        let mut agent = read(&files)?;
        let remembers = agent.upkeep.memory.as_ref().is_some_and(MemorySpec::is_on);
        if remembers && directive::add(&*self.sources.folders, name, &mut files) {
            agent = read(&files)?;
        }
        let ready = self.make(agent, stamp, &known).map_err(invalid)?;
        self.lock().insert(name.clone(), ready.clone());
        Ok(ready)
    }

    fn make(&self, agent: Agent, stamp: u64, known: &Known) -> Result<Ready, String> {
        let chosen: Vec<Builtin> = agent.tools.builtin.iter().filter_map(|name| Builtin::named(name)).collect();
        let unknown = self.learn(&agent);
        let exec = Arc::new(self.sources.exec.within(self.sandbox(&agent)?));
        let place = place(&self.sources.workspace, &self.sources.cwd);
        let unable = servers::want(self, &agent, (&exec, &place));
        // Before its tools are taken: what is listed meanwhile makes another kit.
        let listed = self.servers.version(&agent.name);
        let bash = Arc::new(exec.granting(granted(&*self.sources.credentials, "bash", &agent.tools.secrets)?));
        let toolbox = tooling::equip(Toolbox::builtin(&bash, &chosen), &agent, (self, &exec))?;
        let open = if chosen.contains(&Builtin::Bash) { exec.warning() } else { None };
        let specs = toolbox.specs();
        let (voices, left_out) = voices::of(self, &agent, (&specs, known))?;
        let mut lineup = voices.lineup().models.to_vec();
        let known_of = warnings(&agent, &lineup, known).into_iter().chain(left_out).chain(open);
        let warnings = known_of.chain(unknown).chain(unable).collect();
        let card = Card {
            name: agent.name.clone(),
            description: agent.description.clone(),
            version: agent.version.clone(),
            model: lineup.remove(0),
            fallback: lineup,
            digest: agent.digest.to_string(),
            tools: specs.iter().map(|spec| spec.name.clone()).collect(),
            skills: agent.tools.skills.iter().map(|skill| skill.name.clone()).collect(),
            works_in: self.sources.cwd.display().to_string(),
            warnings,
            on_disconnect: agent.session.on_disconnect,
        };
        let terms = Terms {
            max_steps: agent.session.max_steps,
            budget: agent.budget,
            step_timeout: Duration::from_millis(agent.session.step_timeout_ms),
            idle_evict: Duration::from_millis(agent.session.idle_evict_ms),
            on_disconnect: agent.session.on_disconnect,
            disconnect_grace: Duration::from_millis(agent.session.disconnect_grace_ms),
        };
        let keeper = self.keeper(&agent.upkeep, voices.at(0), known)?;
        let kit = Kit { voices, toolbox: Arc::new(toolbox), policy: agent.policy, place, terms, keeper };
        Ok(Ready { stamp, listed, kit: Arc::new(kit), card })
    }

    /// Who condenses and remembers: the agent's own model, or the one that it names for it.
    fn keeper(&self, upkeep: &Upkeep, voice: &Voice, known: &Known) -> Result<Keeper, String> {
        let plain = Keeper {
            compacts: upkeep.context.compacts(),
            memory: upkeep.memory.clone().filter(MemorySpec::is_on),
            files: Arc::clone(&self.sources.memory),
            ..Keeper::plain(voice)
        };
        let Some(spec) = &upkeep.context.helper_model else { return Ok(plain) };
        let model = self.sources.models.connect(Some(spec))?;
        let described = model.describe();
        let name = format!("{}/{}", described.provider, described.name);
        let window = voices::window((&upkeep.context, Some(spec)), (&described, &name), (known, self.scales()));
        Ok(Keeper { model, name, window, ..plain })
    }

    /// In what its commands run: the workspace's own folder is hidden from them, but for the agents' and skills' files.
    fn sandbox(&self, agent: &Agent) -> Result<Sandbox, String> {
        let workspace = &self.sources.workspace;
        let hidden = std::iter::once(workspace.clone()).chain(self.sources.credentials.files()).collect();
        Ok(Sandbox::of(&agent.tools.sandbox)?.hiding(hidden, vec![workspace.join("agents"), workspace.join("skills")]))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentName, Ready>> {
        self.kits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where an agent's tools work: in this folder, and never in the workspace's own.
#[must_use]
pub fn place(workspace: &Path, cwd: &Path) -> Place {
    Place { roots: vec![cwd.to_owned()], cwd: cwd.to_owned(), protected: protected(workspace) }
}

/// Definitions, policies, the token and the journals: a call that could write them could free itself.
fn protected(workspace: &Path) -> Vec<PathBuf> {
    vec![workspace.to_owned(), workspace.join("token"), workspace.join(outlive_tools::mcp::oauth::file::FOLDER)]
}

fn warnings(agent: &Agent, models: &[String], known: &Known) -> Vec<String> {
    let budget = &agent.budget;
    let in_dollars = [budget.turn, budget.session, budget.day].iter().any(|limits| limits.nano_usd.is_some());
    let unpriced = models.iter().filter(|model| in_dollars && known.catalogue.prices(model).is_none()).map(|model| {
        format!("`budget` is in dollars, and what `{model}` costs is not known: give its price in models.yaml")
    });
    agent.warnings.iter().cloned().chain(known.warning.clone()).chain(unpriced).collect()
}

impl Aftermath for Catalog {
    fn end(&self, of: Option<SessionId>) -> Pending<'_, ()> {
        Box::pin(async move {
            let servers = async {
                if of.is_none() {
                    self.servers.end().await;
                }
            };
            // One that takes long to end does not keep the other running.
            tokio::join!(self.sources.exec.tasks().end(of), servers);
        })
    }

    fn met(&self, door: &Door) {
        self.door.lead_to(door);
    }

    fn courier(&self) -> Option<&Arc<dyn Courier>> {
        self.courier.as_ref()
    }

    fn erased(&self, session: SessionId) {
        self.sources.exec.tasks().erase(session);
    }

    fn meanings(&self, agent: Option<&AgentName>) -> Result<Vec<(AgentName, Arc<Meaning>)>, StoreError> {
        self.meanings_of(agent)
    }
}

impl Kits for Catalog {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        self.ready(agent).map(|ready| ready.kit)
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        let Ready { mut card, kit, .. } = self.ready(agent)?;
        card.warnings.extend(self.servers.warnings(agent));
        if kit.keeper.memory.is_some() {
            card.warnings.extend(self.sources.memory.all(agent).1);
        }
        Ok(card)
    }

    fn check(&self, agent: &AgentName, files: &Files) -> Result<Vec<String>, KitError> {
        crate::check_agent(agent, files, &*self.sources.variables)
    }

    fn offered(&self, agent: &AgentName) -> Offered {
        Offered { expected: self.servers.expected(agent), version: self.servers.version(agent) }
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(self.sources.folders.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn secrets(&self) -> Secrets {
        self.sources.exec.secrets().clone()
    }

    fn scales(&self) -> &Scales {
        self.scales.as_deref().unwrap_or(Scales::plain())
    }

    fn prices(&self, model: &str) -> Option<Prices> {
        self.sources.models.known().catalogue.prices(model)
    }
}
