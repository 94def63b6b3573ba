//! An agent with one MCP server, and what it costs this process.

#![expect(dead_code, clippy::disallowed_methods, clippy::unwrap_used, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::agent::{McpProtocol, McpServer, McpWay};
use outlive_core::id::AgentName;
use outlive_tools::Finished;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::{Bearer, Pool, Setup, Wanted};
use outlive_tools::registry::Toolbox;
use serde_json::Value;

use crate::stage::Stage;

/// An agent with one server, `s`.
pub struct House {
    pub stage: Stage,
    pub pool: Pool,
    pub agent: AgentName,
}

/// A server that is a program.
pub fn program(command: &str, args: &[&str]) -> McpServer {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let way = McpWay::Stdio { command: command.to_owned(), args, env: BTreeMap::new(), secrets: Vec::new() };
    named(way)
}

/// A server at an address.
pub fn address(url: &str) -> McpServer {
    named(McpWay::Http { url: url.to_owned(), headers: BTreeMap::new(), auth: None })
}

fn named(way: McpWay) -> McpServer {
    let (allow, deny) = (Vec::new(), Vec::new());
    McpServer { name: "s".to_owned(), way, timeout_ms: 20_000, allow, deny, protocol: McpProtocol::Auto }
}

/// A program of `tests/mcp`.
pub fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp").join(name).to_str().unwrap().to_owned()
}

impl House {
    pub async fn of(server: McpServer) -> Self {
        Self::with(server, None).await
    }

    pub async fn with(server: McpServer, bearer: Option<Arc<dyn Bearer>>) -> Self {
        let stage = Stage::new();
        let run = stage.children().parent().unwrap().to_owned();
        let exec = Arc::new(Exec::new(std::env::vars().filter(|(name, _)| name == "PATH"), &run, &stage.children()));
        let (place, folder) = (stage.place.clone(), stage.place.cwd.clone());
        let setup = Setup { server, exec, place, folder, environment: BTreeMap::new(), bearer };
        let house = Self { stage, pool: Pool::default(), agent: "helper".parse().unwrap() };
        house.pool.want(Wanted { agent: house.agent.clone(), setups: vec![setup] });
        house.ready().await
    }

    /// With what is on offer now. A machine that has much to do starts a server in its own time.
    pub async fn ready(mut self) -> Self {
        if let Some(expected) = self.pool.expected(&self.agent) {
            expected.await;
        }
        while self.pool.seen(&self.agent).iter().any(|seen| seen.state.ends_with("is starting")) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.stage.tools = Toolbox::new(self.pool.tools(&self.agent));
        self
    }

    /// Calls a tool of the server.
    pub async fn call(&self, tool: &str, arguments: Value) -> Finished {
        self.stage.run(&format!("mcp_s_{tool}"), arguments).await
    }

    /// Calls it until it is answered: the server may be on its way back.
    pub async fn until(&self, tool: &str, arguments: Value) -> Finished {
        loop {
            let finished = self.call(tool, arguments.clone()).await;
            if !finished.content.starts_with("not called:") {
                return finished;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// What is wrong, in words.
    pub fn told(&self) -> String {
        self.pool.warnings(&self.agent).join("\n")
    }

    /// The server's tools, as the agent calls them.
    pub fn names(&self) -> Vec<String> {
        let specs = self.stage.tools.specs().into_iter().map(|spec| spec.name);
        specs.filter(|name| name.starts_with("mcp_s_")).collect()
    }
}

/// What `./test` gets, beside the build.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools")
}

/// Most memory that this process has had, in MiB.
pub fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}
