//! The servers of all agents: made when an agent's definition names them, shared by its sessions, ended together.
//!
//! Invariants: an end waits for the servers that were there when it began, and for no others; a call through a server that was
//! replaced or ended reaches the one that stands in its place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::id::AgentName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::Setup;
use super::library::Library;
use super::names::names;
use super::server::{Server, Stamps};
use super::tool::Remote;
use crate::{Pending, Tool};

/// The servers of all agents.
#[derive(Default)]
pub struct Pool {
    now: Mutex<Generation>,
    stamps: Stamps,
}

/// The servers that end together.
#[derive(Default)]
struct Generation {
    agents: HashMap<AgentName, Asked>,
    /// The lives of all of them, also of those that were replaced and still finish their calls.
    lives: TaskTracker,
    stop: CancellationToken,
    /// When it began.
    version: u64,
    /// The lives of those before, as far as they have not ended.
    before: Vec<TaskTracker>,
}

/// What one agent asked for last.
struct Asked {
    servers: Vec<Arc<Server>>,
    /// When it was not the same as before.
    version: u64,
}

impl Generation {
    fn begin(&self, setup: Setup, stamps: &Stamps) -> Arc<Server> {
        let server = Arc::new(Server::new(setup, self.stop.child_token(), stamps.clone()));
        self.lives.spawn(Arc::clone(&server).live());
        server
    }
}

/// The servers that an agent's definition asks for now.
pub struct Wanted {
    /// Whose.
    pub agent: AgentName,
    /// Which.
    pub setups: Vec<Setup>,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// How it is, in words.
    pub state: String,
    /// Its tools, as it calls them.
    pub tools: Vec<String>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Generation> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, agent: &AgentName) -> Vec<Arc<Server>> {
        self.lock().agents.get(agent).map(|asked| asked.servers.clone()).unwrap_or_default()
    }

    /// Has these servers for an agent: those that are the same stay, the others take no more calls and end once those under
    /// way have ended, at most [`super::LEAVING`] later. None is started before it is needed.
    pub fn want(&self, wanted: Wanted) {
        let mut now = self.lock();
        let before = now.agents.remove(&wanted.agent);
        let mut asked = before.unwrap_or_else(|| Asked { servers: Vec::new(), version: now.version });
        let (mut gone, mut is_same) = (std::mem::take(&mut asked.servers), true);
        for setup in wanted.setups {
            let at = gone.iter().position(|server| server.setup.is_same(&setup));
            is_same &= at.is_some();
            let server = at.map_or_else(|| now.begin(setup, &self.stamps), |at| gone.remove(at));
            asked.servers.push(server);
        }
        for server in &gone {
            server.leave(asked.servers.iter().find(|other| other.name() == server.name()));
        }
        if !is_same || !gone.is_empty() {
            asked.version = self.stamps.next();
        }
        if !asked.servers.is_empty() || asked.version > now.version {
            now.agents.insert(wanted.agent, asked);
        }
    }

    /// Returns a number that is another one, and a higher one, once what an agent's servers offer has changed, or which they
    /// are.
    #[must_use]
    pub fn version(&self, agent: &AgentName) -> u64 {
        let now = self.lock();
        let Some(asked) = now.agents.get(agent) else { return now.version };
        asked.servers.iter().map(|server| server.version()).fold(asked.version.max(now.version), u64::max)
    }

    /// Returns what its servers offer now, as tools.
    #[must_use]
    pub fn tools(&self, agent: &AgentName) -> Vec<Arc<dyn Tool>> {
        let servers = self.of(agent);
        let listed: Vec<_> = servers.iter().filter_map(|server| Some((server, server.listing()?))).collect();
        let tools = || listed.iter().flat_map(|(server, list)| list.tools.iter().map(move |tool| (*server, tool)));
        let named: Vec<(&str, &str)> = tools().map(|(server, tool)| (server.name(), tool.name.as_str())).collect();
        let called = names(&named);
        let mut made: Vec<Arc<dyn Tool>> = Vec::new();
        for (server, tool) in tools() {
            let Some(name) = called.get(&(server.name(), tool.name.as_str())) else { continue };
            made.push(Arc::new(Remote::new(Arc::clone(server), tool.clone(), name.clone())));
        }
        let listed: Vec<_> = listed.iter().map(|(server, list)| (Arc::clone(server), Arc::clone(list))).collect();
        made.extend(Library::of(&listed));
        made
    }

    /// Says how an agent's servers are.
    #[must_use]
    pub fn seen(&self, agent: &AgentName) -> Vec<Seen> {
        let seen = |server: Arc<Server>| {
            let listing = server.listing();
            let tools = listing.iter().flat_map(|listing| listing.tools.iter().map(|tool| tool.name.clone()));
            Seen { name: server.name().to_owned(), state: server.told(), tools: tools.collect() }
        };
        self.of(agent).into_iter().map(seen).collect()
    }

    /// Says what a person should know of an agent's servers.
    #[must_use]
    pub fn warnings(&self, agent: &AgentName) -> Vec<String> {
        self.of(agent).iter().flat_map(|server| server.warnings()).collect()
    }

    /// Has an agent's servers started, and returns what to wait for where some have never said what they offer: at most
    /// [`super::PATIENCE`].
    #[must_use]
    pub fn expected(&self, agent: &AgentName) -> Option<Pending<'static, ()>> {
        let servers = self.of(agent);
        let late: Vec<(Arc<Server>, Instant)> =
            servers.into_iter().filter_map(|server| Some((Arc::clone(&server), server.expected()?))).collect();
        if late.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for (server, until) in late {
                // One that is not there by then is left out for now.
                drop(tokio::time::timeout_at(until, server.settled()).await);
            }
        }))
    }

    /// Ends all servers, and waits until their programs have ended. Others stand in their place, at rest until they are
    /// needed again.
    pub async fn end(&self) {
        let ending = self.replace();
        for lives in ending {
            lives.wait().await;
        }
    }

    /// Stops all servers, puts others in their place, and returns the lives that are ending: nothing is added to them.
    fn replace(&self) -> Vec<TaskTracker> {
        let mut now = self.lock();
        let version = self.stamps.next();
        let past = std::mem::replace(&mut *now, Generation { version, ..Generation::default() });
        for (agent, asked) in past.agents {
            let again = |server: Arc<Server>| {
                let other = now.begin(server.setup.clone(), &self.stamps);
                server.leave(Some(&other));
                other
            };
            let servers = asked.servers.into_iter().map(again).collect();
            now.agents.insert(agent, Asked { servers, version });
        }
        past.stop.cancel();
        past.lives.close();
        now.before = past.before.into_iter().chain([past.lives]).filter(|lives| !lives.is_empty()).collect();
        now.before.clone()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.lock().stop.cancel();
    }
}
