//! What the official conformance suite runs as a client of MCP: this program's own client, driven through one scenario.
//!
//! The suite gives the server's address as an argument, and the scenario, the protocol's version and what else a client needs
//! in its environment. A person's part is played: whoever is asked to log in opens the address and is let in at once, and
//! whoever is asked a question takes what the form proposes.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a program of the tests: what it is told is in its environment, and what cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::env::var;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{McpProtocol, McpServer, McpWay};
use outlive_core::event::Question;
use outlive_core::id::{AgentName, CallId, SessionId};
use outlive_core::policy::Closed;
use outlive_core::redact::Secrets;
use outlive_tools::exec::Exec;
use outlive_tools::mcp::oauth::file::TokenFile;
use outlive_tools::mcp::oauth::{Flow, Lent, Login, Settings};
use outlive_tools::mcp::{Bearer, Pool, Setup, Wanted};
use outlive_tools::{Asker, Finished, Invocation, Place, Tool};
use serde_json::{Map, Value, json};

/// What a person is told to do where a login is missing.
const WAY_OUT: &str = "outlive mcp login";
/// How often a person does it for one scenario.
const LOGINS: u32 = 3;
/// A client that has a metadata document: the suite serves none at this address, and asks only whether it is named.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

/// What the suite says.
struct Scenario {
    name: String,
    url: String,
    protocol: McpProtocol,
    context: Value,
}

impl Scenario {
    fn told() -> Self {
        let context = var("MCP_CONFORMANCE_CONTEXT").unwrap_or_else(|_| "{}".to_owned());
        Self {
            name: var("MCP_CONFORMANCE_SCENARIO").unwrap(),
            url: std::env::args().next_back().unwrap(),
            protocol: match var("MCP_CONFORMANCE_PROTOCOL_VERSION").as_deref() {
                Ok("2026-07-28") => McpProtocol::V2026,
                _older => McpProtocol::V2025,
            },
            context: serde_json::from_str(&context).unwrap(),
        }
    }

    fn given(&self, name: &str) -> Option<String> {
        self.context[name].as_str().map(str::to_owned)
    }

    fn login(&self, folder: &Path) -> Login {
        let flow = if self.name.starts_with("auth/client-credentials") { Flow::Program } else { Flow::Person };
        let client_id = self.given("client_id").or_else(|| Some(DOCUMENT.to_owned()));
        let settings = Settings { client_id, client_secret: self.given("client_secret"), flow, ..Settings::default() };
        Login::new(&self.url, TokenFile::new(folder, "agent", "suite"), settings).unwrap()
    }

    /// The calls that are to be made: those that the suite names, or one of each tool.
    fn calls(&self, tools: &[Arc<dyn Tool>]) -> Vec<(Arc<dyn Tool>, Value)> {
        let found = |name: &str| tools.iter().find(|tool| tool.spec().name == format!("mcp_suite_{name}")).cloned();
        match self.context["toolCalls"].as_array() {
            Some(named) => {
                let call = |call: &Value| Some((found(call["name"].as_str()?)?, call["arguments"].clone()));
                named.iter().filter_map(call).collect()
            }
            None => {
                let own = tools.iter().filter(|tool| tool.spec().name.starts_with("mcp_suite_"));
                own.map(|tool| (Arc::clone(tool), arguments(&tool.spec().input_schema))).collect()
            }
        }
    }
}

/// The simplest arguments that a schema takes.
fn arguments(schema: &Value) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let value = |name: &str| match schema["properties"][name]["type"].as_str() {
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("object") => json!({}),
        Some("array") => json!([]),
        _text => json!("text"),
    };
    Value::Object(required.map(|name| (name.to_owned(), value(name))).collect::<Map<_, _>>())
}

/// Where everything happens.
struct Stage {
    folder: tempfile::TempDir,
    place: Place,
    exec: Arc<Exec>,
    agent: AgentName,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let place = Place { cwd: root.into(), roots: vec![root.into()], protected: Vec::new() };
        let exec = Arc::new(Exec::new([], &root.join("run"), &root.join("children")));
        Self { place, exec, agent: "agent".parse().unwrap(), folder }
    }

    fn pool(&self, scenario: &Scenario, bearer: Arc<dyn Bearer>) -> Pool {
        let server = McpServer {
            name: "suite".to_owned(),
            way: McpWay::Http { url: scenario.url.clone(), headers: BTreeMap::new(), auth: None },
            timeout_ms: 20_000,
            allow: Vec::new(),
            deny: Vec::new(),
            protocol: scenario.protocol,
        };
        let setup = Setup {
            server,
            exec: Arc::clone(&self.exec),
            place: self.place.clone(),
            folder: self.folder.path().into(),
            environment: BTreeMap::new(),
            bearer: Some(bearer),
        };
        let pool = Pool::default();
        pool.want(Wanted { agent: self.agent.clone(), setups: vec![setup] });
        pool
    }

    async fn run(&self, tool: &dyn Tool, arguments: Value) -> Finished {
        let call = CallId::from_bits(1);
        let invocation = Invocation {
            session: SessionId::from_bits(1),
            call,
            attempt: 1,
            idempotency_key: call.to_string(),
            arguments,
            place: self.place.clone(),
            ruled: None,
            closed: Closed::default(),
            sink: Arc::new(|_| {}),
            asker: person(),
            stop: tokio_util::sync::CancellationToken::new(),
        };
        tool.run(invocation).await
    }
}

/// Takes what a form proposes, and says something where it proposes nothing.
fn person() -> Asker {
    let answer = |question: &Question| {
        let labels = || question.options.iter().map(|choice| choice.label.clone());
        let proposed = labels().find(|label| label == "(leave out)").or_else(|| labels().next());
        vec![proposed.filter(|label| label != "(decline)").unwrap_or_else(|| "text".to_owned())]
    };
    Arc::new(move |questions| Box::pin(std::future::ready(Some(questions.iter().map(answer).collect()))))
}

/// Does what an agent does with a server: looks at what it offers, and calls it. Says what a person must do, if anything.
async fn visit(scenario: &Scenario, stage: &Stage, pool: &Pool) -> Option<String> {
    let needs_login = |text: &str| text.contains(WAY_OUT).then(|| text.to_owned());
    if let Some(expected) = pool.expected(&stage.agent) {
        expected.await;
    }
    let told = pool.warnings(&stage.agent);
    told.iter().for_each(|told| eprintln!("{told}"));
    if let Some(needed) = told.iter().find_map(|told| needs_login(told)) {
        return Some(needed);
    }
    for (tool, arguments) in scenario.calls(&pool.tools(&stage.agent)) {
        let finished = stage.run(&*tool, arguments).await;
        eprintln!("{}: {:?} {}", tool.spec().name, finished.outcome, finished.content);
        if let Some(needed) = needs_login(&finished.content) {
            return Some(needed);
        }
    }
    None
}

/// Plays the person: opens the address, and is sent back.
async fn log_in(login: &Login) -> Result<(), String> {
    let begun = login.begin("http://127.0.0.1:3999/callback").await.map_err(|refused| refused.to_string())?;
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sent = browser.get(begun.url()).send().await.map_err(|error| error.to_string())?;
    let back = sent.headers().get(reqwest::header::LOCATION).ok_or("the person is not sent back")?;
    let granted = begun.finish(back.to_str().unwrap()).await.map_err(|refused| refused.to_string())?;
    eprintln!("logged in for {granted:?}");
    Ok(())
}

async fn play(scenario: &Scenario, stage: &Stage) -> Result<(), String> {
    let login = scenario.login(stage.folder.path());
    for _ in 0..=LOGINS {
        let pool = stage.pool(scenario, Arc::new(Lent::new(login.clone(), WAY_OUT, Secrets::default())));
        let needed = visit(scenario, stage, &pool).await;
        pool.end().await;
        match needed {
            None => return Ok(()),
            Some(needed) => eprintln!("{needed}"),
        }
        log_in(&login).await?;
    }
    Err("the server asks for a login again and again".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let (scenario, stage) = (Scenario::told(), Stage::new());
    let played = tokio::time::timeout(Duration::from_secs(25), play(&scenario, &stage)).await;
    played.map_err(|_late| "it took too long".to_owned())?
}
