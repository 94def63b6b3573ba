//! The servers of all agents: made when an agent's definition names them, shared by its sessions, ended together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlive_core::id::AgentName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connect::Setup;
use super::library::Library;
use super::names::names;
use super::server::Server;
use super::tool::Remote;
use crate::{Pending, Tool};

/// The servers of all agents.
#[derive(Default)]
pub struct Pool {
    agents: Mutex<HashMap<AgentName, Vec<Arc<Server>>>>,
    tasks: TaskTracker,
    /// How often all servers were ended.
    ended: AtomicU64,
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
    fn lock(&self) -> MutexGuard<'_, HashMap<AgentName, Vec<Arc<Server>>>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, agent: &AgentName) -> Vec<Arc<Server>> {
        self.lock().get(agent).cloned().unwrap_or_default()
    }

    /// Has these servers for an agent: those that are the same stay, the others end. None is started before it is needed.
    pub fn want(&self, wanted: Wanted) {
        let mut agents = self.lock();
        let before = agents.remove(&wanted.agent).unwrap_or_default();
        let (mut kept, mut now) = (Vec::new(), Vec::new());
        for setup in wanted.setups {
            match before.iter().position(|server| server.setup.is_same(&setup)) {
                Some(at) => {
                    kept.push(at);
                    now.extend(before.get(at).cloned());
                }
                None => now.push(self.begin(setup)),
            }
        }
        let gone = before.iter().enumerate().filter(|(at, _)| !kept.contains(at));
        gone.for_each(|(_, server)| server.stop.cancel());
        if !now.is_empty() {
            agents.insert(wanted.agent, now);
        }
    }

    fn begin(&self, setup: Setup) -> Arc<Server> {
        let server = Arc::new(Server::new(setup, CancellationToken::new()));
        self.tasks.spawn(Arc::clone(&server).live());
        server
    }

    /// Returns a number that is another one once what an agent's servers offer has changed.
    #[must_use]
    pub fn version(&self, agent: &AgentName) -> u64 {
        let listed: u64 = self.of(agent).iter().map(|server| server.version()).sum();
        listed | self.ended.load(Ordering::Relaxed) << 32
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

    /// Ends all servers, and waits until their programs have ended. An agent that needs its own again gets others.
    pub async fn end(&self) {
        self.stop();
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    fn stop(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let all: Vec<Arc<Server>> = self.lock().drain().flat_map(|(_, servers)| servers).collect();
        all.iter().for_each(|server| server.stop.cancel());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}
