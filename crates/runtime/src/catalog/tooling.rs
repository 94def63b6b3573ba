//! Makes the tools of an agent that its definition says more of than a name.

use std::sync::Arc;

use outlive_core::agent::{Agent, MemorySpec, SearchSpec, WebSpec};
use outlive_tools::Tool;
use outlive_tools::artifact::Artifact;
use outlive_tools::cli::Cli;
use outlive_tools::exec::Exec;
use outlive_tools::held::Held;
use outlive_tools::registry::{Builtin, Toolbox};
use outlive_tools::session::Sessions;
use outlive_tools::skill::Skills;
use outlive_tools::web::Web;
use outlive_tools::web::search::{Brave, Engine, Searxng, Tavily};

use super::{Catalog, Sources, granted};

/// Adds them, and holds all to the agent's hooks and skills.
pub(super) fn equip(
    toolbox: Toolbox,
    agent: &Agent,
    (catalog, exec): (&Catalog, &Arc<Exec>),
) -> Result<Toolbox, String> {
    let sources = &catalog.sources;
    let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
    let asks = |builtin| agent.tools.builtin.iter().any(|name| Builtin::named(name) == Some(builtin));
    if let Some(siblings) = catalog.siblings.as_ref().filter(|_| asks(Builtin::Session)) {
        tools.push(Arc::new(Sessions::new(Arc::clone(siblings), agent.name.clone())));
    }
    let remembers = agent.upkeep.memory.as_ref().is_some_and(MemorySpec::is_on);
    // Whoever has tools is told of results that are too long.
    if let Some(outputs) = catalog.outputs.as_ref().filter(|_| remembers || has_tools(agent)) {
        tools.push(Arc::new(Artifact::new(Arc::clone(outputs))));
    }
    if let Some(mind) = catalog.mind.as_ref().filter(|_| remembers || asks(Builtin::Memory)) {
        tools.extend(outlive_tools::memory::tools(mind, &agent.name));
    }
    if asks(Builtin::Schedule) {
        tools.extend(outlive_tools::schedule::tools(&catalog.plans, &agent.name));
    }
    if asks(Builtin::Web) {
        tools.extend(web(&agent.tools.web, sources)?.tools());
    }
    let folder = sources.workspace.join("agents").join(agent.name.as_str());
    for tool in &agent.tools.cli {
        let granted = granted(&*sources.credentials, &format!("cli_{}", tool.name), &tool.secrets)?;
        tools.push(Arc::new(Cli::new(Arc::new(exec.granting(granted)), tool.clone(), &folder)));
    }
    if !agent.tools.skills.is_empty() {
        tools.push(Arc::new(Skills::new(Arc::clone(&agent.tools.skills), &folder)));
    }
    tools.extend(catalog.servers.tools(&agent.name));
    let (hooks, skills) = (agent.tools.hooks.clone(), Arc::clone(&agent.tools.skills));
    Ok(toolbox.and(tools).held_to(Held { hooks, skills, exec: Some(Arc::clone(exec)), folder }))
}

fn has_tools(agent: &Agent) -> bool {
    let tools = &agent.tools;
    !(tools.builtin.is_empty() && tools.cli.is_empty() && tools.mcp.is_empty() && tools.skills.is_empty())
}

fn web(spec: &WebSpec, sources: &Sources) -> Result<Web, String> {
    let web = Web::reaching(&spec.allow).map_err(|why| format!("agent.yaml: spec.web.allow: {why}"))?;
    let wrong = |why: String| format!("agent.yaml: spec.web.search: {why}");
    let key = |variable: &String| {
        sources
            .credentials
            .get(variable)
            .map_err(wrong)?
            .ok_or_else(|| wrong(format!("variable `{variable}` has no value: put the key there")))
    };
    let engine: Arc<dyn Engine> = match &spec.search {
        None => return Ok(web),
        Some(SearchSpec::Searxng(url)) => Arc::new(Searxng::at(url).map_err(wrong)?),
        Some(SearchSpec::Brave(variable)) => Arc::new(Brave::with(key(variable)?).map_err(wrong)?),
        Some(SearchSpec::Tavily(variable)) => Arc::new(Tavily::with(key(variable)?).map_err(wrong)?),
    };
    Ok(web.searching(engine))
}
