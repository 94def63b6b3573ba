//! Looks at the MCP servers that agents have, and logs in to them. Starts them as a turn does; needs no server of ours.

use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use outlive_core::agent::McpWay;
use outlive_core::id::AgentName;
use outlive_runtime::catalog::{Asked, Catalog};
use outlive_runtime::kit::KitError;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_store::{AgentFolders as _, StopFile, Stops as _};
use outlive_tools::mcp::oauth::redirect::Redirect;
use outlive_tools::mcp::oauth::{Flow, Refused, State};
use serde::Serialize;

use crate::cli::mcp::{Login, Mcp};
use crate::config::{self, Workspace};
use crate::exit::{Failure, Outcome, ok};
use crate::{show, wire};

/// Bytes of an address that a person pastes.
const PASTED: u64 = 16 << 10;

pub async fn run(place: &Workspace, command: Mcp) -> Outcome {
    match command {
        Mcp::List { agent, json } => list(place, agent.as_deref(), json).await,
        Mcp::Login(wanted) => login(place, &wanted).await,
        Mcp::Logout { agent, server } => {
            let asked = one(place, &agent, &server).await?;
            let Some(login) = asked.login else { return Err(no_login(&server)) };
            login.forget().map_err(failed)?;
            say!("forgot the login of `{agent}` to `{server}`");
            ok()
        }
    }
}

fn folders(place: &Workspace) -> Arc<Beside> {
    Arc::new(Beside { root: place.root.clone(), disk: Arc::new(RealDisk) })
}

fn failed(refused: Refused) -> Failure {
    if let Refused::Denied(why) = refused {
        return Failure::Denied(format!("the login was refused: {why}"));
    }
    Failure::Failed(format!("no login: {refused}"))
}

fn no_login(server: &str) -> Failure {
    let why = "it is a program, has an `authorization` header of its own, or no `https` address";
    Failure::Usage(format!("there is no login to `{server}`: {why}"))
}

/// Starts an agent's servers, and says how they are; they are ended again.
async fn look(place: &Workspace, agent: &str) -> Result<Vec<Asked>, Failure> {
    let name: AgentName =
        agent.parse().map_err(|error: outlive_core::id::AgentNameError| Failure::Usage(error.to_string()))?;
    if let Ok(Some(_)) = StopFile::of(&place.root).stopped() {
        let why =
            "everything is stopped, and this would start servers: `outlive stop --status` says why, `--lift` lifts it";
        return Err(Failure::Failed(why.to_owned()));
    }
    let exec = wire::exec(&place.root)?;
    let catalog = Catalog::new(wire::sources(place, folders(place), (exec, config::Environment::default())));
    let found = catalog.look(&name).await;
    catalog.leave().await;
    found.map_err(|error| match error {
        KitError::Unknown(_) => Failure::NotFound(format!("there is no agent `{agent}`")),
        KitError::Invalid { .. } | KitError::NoTurn => Failure::Failed(error.to_string()),
    })
}

async fn one(place: &Workspace, agent: &str, server: &str) -> Result<Asked, Failure> {
    let found = look(place, agent).await?;
    let names: Vec<String> = found.iter().map(|asked| format!("`{}`", asked.server.name)).collect();
    let missing = || match names.is_empty() {
        true => Failure::NotFound(format!("agent `{agent}` has no MCP servers")),
        false => Failure::NotFound(format!("agent `{agent}` has no MCP server `{server}`, but {}", names.join(", "))),
    };
    found.into_iter().find(|asked| asked.server.name == server).ok_or_else(missing)
}

/// A server, for programs.
#[derive(Debug, Serialize)]
struct ServerView {
    agent: String,
    server: String,
    /// Its program, or its address.
    at: String,
    state: String,
    tools: Vec<String>,
    /// `none` where no login is to be had, `missing`, `kept`, `narrow` where the server asks for more, or what is wrong.
    login: String,
}

impl ServerView {
    fn of(agent: &str, asked: Asked) -> Self {
        let at = match &asked.server.way {
            McpWay::Stdio { command, .. } => command.clone(),
            McpWay::Http { url, .. } => url.clone(),
        };
        let (state, tools) = match asked.seen {
            Ok(seen) => (seen.state, seen.tools),
            Err(why) => (why, Vec::new()),
        };
        let own = format!("mcp server `{}` ", asked.server.name);
        let state = state.strip_prefix(&own).unwrap_or(&state).to_owned();
        let login = match asked.login.map(|login| login.state()) {
            None => "none".to_owned(),
            Some(Ok(State::Missing)) => "missing".to_owned(),
            Some(Ok(State::Kept { .. })) => "kept".to_owned(),
            Some(Ok(State::Narrow { .. })) => "narrow".to_owned(),
            Some(Err(refused)) => refused.to_string(),
        };
        Self { agent: agent.to_owned(), server: asked.server.name, at, state, tools, login }
    }
}

async fn list(place: &Workspace, agent: Option<&str>, json: bool) -> Outcome {
    let agents = match agent {
        Some(agent) => vec![agent.to_owned()],
        None => folders(place).names().map_err(Failure::failed)?,
    };
    let mut views = Vec::new();
    for name in agents {
        match look(place, &name).await {
            Ok(found) => views.extend(found.into_iter().map(|asked| ServerView::of(&name, asked))),
            // Of all agents, one that is broken does not hide the others.
            Err(failure) if agent.is_none() => eprintln!("outlive: {failure}"),
            Err(failure) => return Err(failure),
        }
    }
    if json {
        show::json(&views)?;
        return ok();
    }
    let row = |view: ServerView| {
        let tools = match view.tools.len() {
            0..=5 => view.tools.join(", "),
            many => format!("{many} tools"),
        };
        vec![view.agent, view.server, view.state, view.login, tools]
    };
    let rows: Vec<Vec<String>> = views.into_iter().map(row).collect();
    show::table(&["AGENT", "SERVER", "STATE", "LOGIN", "TOOLS"], &rows);
    ok()
}

async fn login(place: &Workspace, wanted: &Login) -> Outcome {
    let (agent, server) = (&wanted.agent, &wanted.server);
    // What it says when it is asked without a login is what a login begins with.
    let asked = one(place, agent, server).await?;
    let Some(login) = asked.login else { return Err(no_login(server)) };
    if login.flow() == Flow::Program {
        return Err(Failure::Usage(format!("`{server}` takes client credentials: nobody logs in to it by hand")));
    }
    let redirect = Redirect::bind(wanted.port).await;
    let redirect = redirect.map_err(|error| Failure::Failed(format!("port {}: {error}", wanted.port)))?;
    let back = redirect.address();
    let begun = login.begin(&back).await.map_err(failed)?;
    say!("open this address in a browser, and allow `{agent}` to use `{server}`:\n\n  {}\n", begun.url());
    say!("it is {} that asks there. If the browser runs on another machine, paste the address that it", begun.issuer());
    say!("comes back to here; it begins with {back}");
    let state = begun.state();
    let callback = tokio::select! {
        callback = redirect.wait(&state) => callback?,
        pasted = pasted(&back) => pasted,
    };
    let scopes = begun.finish(&callback).await.map_err(failed)?;
    let granted = if scopes.is_empty() { String::new() } else { format!(", for {}", show::plain(&scopes.join(" "))) };
    say!("`{agent}` is logged in to `{server}`{granted}");
    ok()
}

/// Waits for an address that a person pastes; for ever where nothing more comes. Its thread ends with the process.
async fn pasted(begins: &str) -> String {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().take(PASTED).lines();
        lines.map_while(Result::ok).try_for_each(|line| told.blocking_send(line))
    });
    while let Some(line) = heard.recv().await {
        if line.trim().starts_with(begins) {
            return line.trim().to_owned();
        }
    }
    std::future::pending().await
}
