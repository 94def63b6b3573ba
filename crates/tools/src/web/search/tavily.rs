//! Tavily, with a key.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};

use super::{Engine, Hit, Key, asking, header, hits};

/// Tavily.
#[derive(Debug)]
pub struct Tavily {
    url: Url,
    key: Key,
}

impl Tavily {
    /// Asks with this key.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked.
    pub fn with(key: Key) -> Result<Self, String> {
        Self::at("https://api.tavily.com/search", key)
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

impl Engine for Tavily {
    fn url(&self) -> &Url {
        &self.url
    }

    fn request(&self, query: &str, count: usize) -> Result<Request, String> {
        let mut request = asking(Method::POST, self.url.clone());
        request.headers_mut().insert(AUTHORIZATION, header(&self.key, "Bearer ")?);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(json!({"query": query, "max_results": count}).to_string().into());
        Ok(request)
    }

    fn read(&self, answer: &Value) -> Result<Vec<Hit>, String> {
        hits(answer.get("results"), ["title", "url", "content"])
    }

    fn way_out(&self, status: u16) -> Option<&'static str> {
        matches!(status, 401 | 403).then_some("look whether the key is right")
    }
}
