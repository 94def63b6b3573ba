//! `web_search`, and the engines that it can ask.
//!
//! An engine is an address that a person wrote into the agent's definition: it is reached whatever its address is, and what
//! it answers is shown in one shape.

mod brave;
mod searxng;
mod tavily;

use std::sync::Arc;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use reqwest::{Method, Request, Url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub use brave::Brave;
pub use outlive_core::secret::Secret as Key;
pub use searxng::Searxng;
pub use tavily::Tavily;

use super::get::{Line, target};
use super::html::decode;
use super::{foreign, unless_stopped};
use crate::builtin::shape;
use crate::egress::Egress;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Results where a call does not say how many.
const USUAL: usize = 8;
/// Results of one call.
const MOST: usize = 20;
/// Characters of a query.
const QUERY: usize = 1_000;
/// Characters of a title, and of what is said of a page.
const TITLE: usize = 200;
const EXCERPT: usize = 600;

/// Returns an engine's key as a header's value.
fn header(key: &Key, before: &str) -> Result<reqwest::header::HeaderValue, String> {
    let value = reqwest::header::HeaderValue::from_str(&format!("{before}{}", key.reveal()));
    let mut value = value.map_err(|_| "the key has characters that no key has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// One page that an engine found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
    /// What is said of it.
    pub excerpt: String,
}

/// Asks a search engine, in its own words.
pub trait Engine: Send + Sync {
    /// Returns where it is.
    fn url(&self) -> &Url;

    /// Returns the request for so many results.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn request(&self, query: &str, count: usize) -> Result<Request, String>;

    /// Reads what it answers.
    ///
    /// # Errors
    ///
    /// What it is not.
    fn read(&self, answer: &Value) -> Result<Vec<Hit>, String>;

    /// Says what to do about a refusal with this status, where there is something special about it.
    fn way_out(&self, _status: u16) -> Option<&'static str> {
        None
    }
}

/// Searches.
pub(super) struct Search {
    engine: Arc<dyn Engine>,
    line: Line,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// What to look for, in a search engine's words.
    #[schemars(length(min = 1, max = 1000))]
    query: String,
    /// Results. 8 if left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 20))]
    count: Option<usize>,
}

impl Search {
    pub(super) fn new(engine: Arc<dyn Engine>, line: Line) -> Self {
        // Only the engine's own address is ever asked here, and a person wrote that.
        let anywhere = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|range| range.parse().ok());
        Self { engine, line: Line { egress: Egress::only(anywhere.collect()), ..line } }
    }

    async fn search(&self, invocation: &Invocation) -> Result<Finished, String> {
        let Arguments { query, count } = shape::read(&invocation.arguments)?;
        let count = count.unwrap_or(USUAL).min(MOST);
        let host = target(self.engine.url());
        let page = self.line.send(self.engine.request(&query, count)?).await.map_err(|why| format!("{host}: {why}"))?;
        if !page.status.is_success() {
            let way_out = self.engine.way_out(page.status.as_u16()).unwrap_or("try again later, or another engine");
            return Err(format!("{host} refused the search with {}: {way_out}", page.status));
        }
        if let Some(cut) = page.cut {
            return Err(format!("{host}: its answer is not whole: {cut}"));
        }
        let answer: Value =
            serde_json::from_slice(&page.bytes).map_err(|error| format!("{host}: its answer is no JSON: {error}"))?;
        let mut hits = self.engine.read(&answer).map_err(|why| format!("{host}: {why}"))?;
        hits.truncate(count);
        let said = if hits.is_empty() { "(nothing was found)".to_owned() } else { listed(&hits) };
        let details = json!({"engine": host, "results": hits.len()});
        let content = foreign("results of a search", invocation.call, &said);
        Ok(Finished { details: Some(details), ..Finished::ok(content) })
    }
}

impl Tool for Search {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            "web_search",
            "Asks a search engine, and lists what it found: titles, addresses and excerpts. `web_fetch` shows a page.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { query, .. } = shape::read(arguments)?;
        if query.trim().is_empty() || query.chars().count() > QUERY {
            return Err(format!("the query is empty, or longer than {QUERY} characters"));
        }
        let target = target(self.engine.url());
        let summary = format!("search {target} for: {query}");
        let subject = Subject { tool: "web".to_owned(), target, reach: Reach::Within };
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, span: Span::Call, subject, summary })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move { unless_stopped(&invocation.stop, self.search(&invocation)).await })
    }
}

/// Makes a request for JSON.
fn asking(method: Method, url: Url) -> Request {
    let mut request = Request::new(method, url);
    let json = reqwest::header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(reqwest::header::ACCEPT, json);
    request
}

/// Reads a list of objects, each with these keys for title, address and excerpt. What has no address of the web is left out.
fn hits(list: Option<&Value>, [title, url, excerpt]: [&str; 3]) -> Result<Vec<Hit>, String> {
    let list = list.and_then(Value::as_array).ok_or("its answer has no list of results")?;
    let hit = |entry: &Value| {
        let of = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let url = super::address(of(url)).ok()?;
        Some(Hit { title: line(of(title), TITLE), url: url.into(), excerpt: line(of(excerpt), EXCERPT) })
    };
    Ok(list.iter().filter_map(hit).take(MOST).collect())
}

/// One line of plain text, without the marks that some engines put around what was found.
fn line(text: &str, most: usize) -> String {
    let bare = text.replace("<strong>", "").replace("</strong>", "").replace("<b>", "").replace("</b>", "");
    let text = decode(&bare);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(most).collect()
}

fn listed(hits: &[Hit]) -> String {
    let one = |(n, hit): (usize, &Hit)| format!("{}. {}\n   {}\n   {}", n + 1, hit.title, hit.url, hit.excerpt);
    hits.iter().enumerate().map(one).collect::<Vec<_>>().join("\n")
}
