//! What an agent's tools are made of, as agent.yaml says it.

use serde::Deserialize;

use super::Misfit;
use super::hooks::HooksSpec;

/// What `web_fetch` and `web_search` may reach, and whom they ask.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSpec {
    /// What may be reached beside public addresses: `10.0.0.0/8`, `127.0.0.1:8080`.
    pub allow: Vec<String>,
    /// The engine of `web_search`; without one there is no such tool.
    pub search: Option<SearchSpec>,
}

/// A search engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchSpec {
    /// A SearXNG at this address.
    Searxng(String),
    /// Brave Search, with the key that this variable of the server's environment holds.
    Brave(String),
    /// Tavily, with the key that this variable of the server's environment holds.
    Tavily(String),
}

/// A program as a tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct CliEntry {
    pub(in crate::agent) name: String,
    pub(in crate::agent) command: String,
    #[serde(default)]
    pub(in crate::agent) readme: Option<String>,
    #[serde(default)]
    pub(in crate::agent) description: Option<String>,
    /// Variables of the server's environment that it is given.
    #[serde(default)]
    pub(in crate::agent) secrets: Vec<String>,
}

/// Checks the variables that a tool is to be given.
pub(in crate::agent) fn check_secrets(names: &[String]) -> Result<(), Misfit> {
    let unfit = |name: &&String| !crate::secret::may_be_granted(name);
    match names.iter().find(unfit) {
        None => Ok(()),
        Some(name) => {
            let why =
                format!("`{name}` cannot be granted: it is no variable's name, or changes how programs are started");
            Err(Misfit::new("spec.tools.secrets", why))
        }
    }
}

/// The keys of `spec` that speak of tools.
#[derive(Debug, Default)]
pub(in crate::agent) struct Tooling {
    pub(in crate::agent) skills_dir: Option<String>,
    pub(in crate::agent) web: WebSpec,
    pub(super) hooks: HooksSpec,
}

impl Tooling {
    /// Returns every text in which variables are expanded, with the path of its key.
    pub(super) fn texts(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let search = self.web.search.as_mut().map(|search| match search {
            SearchSpec::Searxng(text) | SearchSpec::Brave(text) | SearchSpec::Tavily(text) => text,
        });
        let allow = self.web.allow.iter_mut().map(|text| ("spec.web.allow", text));
        let search = search.map(|text| ("spec.web.search", text));
        self.skills_dir.as_mut().map(|text| ("spec.skills_dir", text)).into_iter().chain(allow).chain(search)
    }
}
