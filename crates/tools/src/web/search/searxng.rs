//! SearXNG, at whatever address a person runs it.

use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::{Engine, Hit, asking, hits};

/// A SearXNG.
#[derive(Debug)]
pub struct Searxng {
    url: Url,
}

impl Searxng {
    /// The one at this address.
    ///
    /// # Errors
    ///
    /// Why that is none.
    pub fn at(url: &str) -> Result<Self, String> {
        let mut url = crate::web::address(url)?;
        let path = url.path().trim_end_matches('/').trim_end_matches("/search").to_owned();
        url.set_path(&format!("{path}/search"));
        Ok(Self { url })
    }
}

impl Engine for Searxng {
    fn url(&self) -> &Url {
        &self.url
    }

    fn request(&self, query: &str, _count: usize) -> Result<Request, String> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("q", query).append_pair("format", "json");
        Ok(asking(Method::GET, url))
    }

    fn read(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        hits(answer.get("results"), ["title", "url", "content"])
    }

    fn way_out(&self, status: u16) -> Option<&'static str> {
        (status == 403).then_some("its `settings.yml` must list `json` under `search.formats`")
    }
}
