//! Real servers of tools, as people have them: those of reference, and one of the official SDK for Python.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "it starts servers, and kills one")]

mod servers;
mod stage;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{McpProtocol, McpServer};
use outlive_core::event::{Outcome, Question};
use outlive_tools::{Asker, Finished};
use serde_json::json;
use servers::{House, address, program, script, tools};

/// A part of the test environment.
fn part(name: &str) -> String {
    let part = tools().join(name);
    assert!(part.exists(), "{} is needed: ./test gets it", part.display());
    part.to_str().unwrap().to_owned()
}

fn node() -> String {
    part("bin/node")
}

fn reference(name: &str) -> String {
    part(&format!("mcp/node_modules/@modelcontextprotocol/{name}/dist/index.js"))
}

fn python() -> String {
    let python = part("bin/python");
    let has_sdk = Command::new(&python).args(["-c", "import mcp.server.mcpserver"]).output().unwrap().status.success();
    assert!(has_sdk, "the Python package `mcp` is needed: ./test gets it");
    python
}

/// Takes the first choice, and says a name where words are wanted.
fn person() -> Asker {
    let answer = |question: &Question| {
        let first = question.options.first().map(|choice| choice.label.clone());
        vec![first.filter(|label| !label.starts_with('(')).unwrap_or_else(|| "Ada".to_owned())]
    };
    Arc::new(move |questions| Box::pin(std::future::ready(Some(questions.iter().map(answer).collect()))))
}

async fn house(server: McpServer) -> House {
    let mut house = House::of(server).await;
    assert!(!house.names().is_empty(), "{}", house.told());
    house.stage.asker = person();
    house
}

/// A server at an address, ended with the test.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    async fn by(mut command: Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let served = Self { child, url: format!("http://127.0.0.1:{port}/mcp") };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// One that nobody has now.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn check(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.outcome, Outcome::Ok, "{finished:?}");
    for part in parts {
        assert!(finished.content.contains(part), "`{part}` is not in {finished:?}");
    }
}

/// What the reference server for everything has, seen through an agent's tools.
async fn everything(server: McpServer) {
    let house = house(server).await;
    check(&house.call("echo", json!({"message": "hä\u{1F600}"})).await, &["hä\u{1F600}"]);
    check(&house.call("get-sum", json!({"a": 19, "b": 23})).await, &["42"]);
    let structured = house.call("get-structured-content", json!({"location": "New York"})).await;
    check(&structured, &["temperature"]);
    assert!(structured.details.unwrap()["structured"]["temperature"].is_number());
    check(&house.call("get-tiny-image", json!({})).await, &["image/png"]);
    check(&house.call("get-resource-links", json!({"count": 2})).await, &["demo://resource/"]);
    let wrong = house.call("get-sum", json!({"a": "nineteen"})).await;
    assert_eq!(wrong.outcome, Outcome::Error, "{wrong:?}");
    // Its form has more fields than a person is asked at once.
    check(&house.call("trigger-elicitation-request", json!({})).await, &["declined"]);

    let listed = house.stage.run("mcp_resources", json!({"server": "s"})).await;
    check(&listed, &["demo://resource/static/document/features.md", "demo://resource/dynamic/text/{resourceId}"]);
    let read = house.stage.run("mcp_resources", json!({"server": "s", "uri": "demo://resource/dynamic/text/7"})).await;
    check(&read, &["Resource 7"]);
    let missing = house.stage.run("mcp_resources", json!({"server": "s", "uri": "demo://nothing"})).await;
    assert_eq!(missing.outcome, Outcome::Error, "{missing:?}");
    let prompts = house.stage.run("mcp_prompts", json!({"server": "s"})).await;
    check(&prompts, &["simple-prompt", "args-prompt"]);
    let got = json!({"server": "s", "name": "args-prompt", "arguments": {"city": "Oslo"}});
    check(&house.stage.run("mcp_prompts", got).await, &["Oslo"]);
    house.pool.end().await;
}

#[tokio::test]
async fn the_reference_server_is_used_over_its_pipes() {
    everything(program(&node(), &[&reference("server-everything"), "stdio"])).await;
}

#[tokio::test]
async fn the_reference_server_is_used_at_an_address() {
    let port = port();
    let mut command = Command::new(node());
    command.arg(reference("server-everything")).arg("streamableHttp").env("PORT", port.to_string());
    let served = Served::by(command, port).await;
    everything(address(&served.url)).await;
}

#[tokio::test]
async fn the_reference_server_for_files_is_used_and_had_again_when_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let house = house(program(&node(), &[&reference("server-filesystem"), root.to_str().unwrap()])).await;
    // It asks for roots, and takes the agent's folder in place of its own.
    let file = house.stage.ws("a.txt");
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let own = at(&house.stage.place.cwd);
    while !house.call("list_allowed_directories", json!({})).await.content.contains(&own) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check(&house.call("write_file", json!({"path": at(&file), "content": "kept"})).await, &[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    check(&house.call("read_text_file", json!({"path": at(&file)})).await, &["kept"]);
    let beyond = house.call("read_text_file", json!({"path": "/etc/passwd"})).await;
    assert_eq!(beyond.outcome, Outcome::Error, "{beyond:?}");

    let works_here =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == house.stage.place.cwd);
    let names = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pid = names.filter_map(|name| name.to_str()?.parse().ok()).find(works_here).unwrap();
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    while stage::lives(pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let again = tokio::time::timeout(Duration::from_secs(60), house.until("list_allowed_directories", json!({}))).await;
    check(&again.unwrap(), &["Allowed directories"]);
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_of_the_python_sdk_is_used_in_both_versions() {
    for protocol in [McpProtocol::V2025, McpProtocol::V2026, McpProtocol::Auto] {
        let house = house(McpServer { protocol, ..program(&python(), &[&script("sdk.py")]) }).await;
        check(&house.call("add", json!({"a": 19, "b": 23})).await, &["42"]);
        check(&house.stage.run("mcp_resources", json!({"server": "s", "uri": "note://one"})).await, &["what is noted"]);
        let got = json!({"server": "s", "name": "review", "arguments": {"code": "1 + 1"}});
        check(&house.stage.run("mcp_prompts", got).await, &["Look at this: 1 + 1"]);
        if protocol == McpProtocol::V2025 {
            check(&house.call("greet", json!({})).await, &["accept Ada"]);
        }
        // To a session the SDK tells of changed lists in the older version alone.
        if protocol != McpProtocol::V2025 {
            house.pool.end().await;
            continue;
        }
        let before = house.pool.version(&house.agent);
        check(&house.call("grow", json!({})).await, &["grown"]);
        let changed = async {
            while house.pool.version(&house.agent) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), changed).await.unwrap();
        let house = house.ready().await;
        check(&house.call("subtract", json!({"a": 44, "b": 2})).await, &["42"]);
        let lost = house.call("die", json!({})).await;
        assert_eq!((lost.outcome, lost.details), (Outcome::Error, Some(json!({"outcome_unknown": true}))));
        let again = tokio::time::timeout(Duration::from_secs(60), house.until("add", json!({"a": 1, "b": 2}))).await;
        check(&again.unwrap(), &["3"]);
        house.pool.end().await;
    }
}

#[tokio::test]
async fn a_server_of_the_python_sdk_is_used_at_an_address() {
    let port = port();
    let mut command = Command::new(python());
    command.arg(PathBuf::from(script("sdk.py"))).arg(port.to_string());
    let served = Served::by(command, port).await;
    for protocol in [McpProtocol::V2025, McpProtocol::Auto] {
        let house = house(McpServer { protocol, ..address(&served.url) }).await;
        check(&house.call("add", json!({"a": 19, "b": 23})).await, &["42"]);
        check(&house.stage.run("mcp_resources", json!({"server": "s", "uri": "note://one"})).await, &["what is noted"]);
        house.pool.end().await;
    }
}
