//! Brave Search, with a key.

use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::{Engine, Hit, Key, asking, header, hits};

/// Brave Search.
#[derive(Debug)]
pub struct Brave {
    url: Url,
    key: Key,
}

impl Brave {
    /// Asks with this key.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked.
    pub fn with(key: Key) -> Result<Self, String> {
        Self::at("https://api.search.brave.com/res/v1/web/search", key)
    }

    /// The one at this address.
    ///
    /// # Errors
    ///
    /// Why that is none.
    pub fn at(url: &str, key: Key) -> Result<Self, String> {
        Ok(Self { url: crate::web::address(url)?, key })
    }
}

impl Engine for Brave {
    fn url(&self) -> &Url {
        &self.url
    }

    fn request(&self, query: &str, count: usize) -> Result<Request, String> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("q", query).append_pair("count", &count.to_string());
        let mut request = asking(Method::GET, url);
        request.headers_mut().insert("x-subscription-token", header(&self.key, "")?);
        Ok(request)
    }

    fn read(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        match answer.get("web") {
            Some(web) => hits(web.get("results"), ["title", "url", "description"]),
            // What nothing was found for has no such part.
            None if answer.get("query").is_some() => Ok(Vec::new()),
            None => Err("its answer has no list of results".to_owned()),
        }
    }

    fn way_out(&self, status: u16) -> Option<&'static str> {
        matches!(status, 401 | 403 | 422).then_some("look whether the key is right")
    }
}
