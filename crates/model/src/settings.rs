//! What it takes to reach a model.

use std::sync::Arc;
use std::time::Duration;

use crate::anthropic::Anthropic;
use crate::gemini::Gemini;
use crate::ollama::Ollama;
use crate::openai::OpenAi;
use crate::rehearsal::Rehearsal;
use crate::responses::Responses;
use crate::{Description, Model};

/// Which model, where, with which key.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One of [`PROVIDERS`].
    pub provider: String,
    /// The model's name, as the provider knows it.
    pub name: String,
    /// Another endpoint that speaks the provider's dialect.
    pub base_url: Option<String>,
    /// The provider's key.
    pub key: Option<Key>,
    /// Tokens that a request and its reply may have together, where known.
    pub context_window: Option<u64>,
    /// How long a local server keeps the model loaded after a request: `10m`, seconds, or -1 for ever; its own default
    /// where none is given.
    pub keep_alive: Option<String>,
    /// Whether the model is known to keep to a schema: another endpoint of a dialect is sent one only then, since some refuse
    /// all requests with one.
    pub structured: bool,
}

pub use outlive_core::agent::PROVIDERS;
pub use outlive_core::secret::Secret as Key;

/// Where OpenRouter listens.
const OPENROUTER: &str = "https://openrouter.ai/api/v1";

/// Why a model cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no such provider.
    #[error("provider `{given}` is not known: the nearest is `{nearest}`")]
    Unknown {
        /// What was asked for.
        given: String,
        /// What may have been meant.
        nearest: String,
    },
    /// A key is needed.
    #[error("provider `{provider}` needs a key: set {variable} and restart the server, or give a base_url")]
    NoKey {
        /// Which.
        provider: String,
        /// Where it is looked for.
        variable: &'static str,
    },
    /// A name is needed.
    #[error("model.name is missing: name one of the provider's models")]
    NoName,
    /// The connection cannot be set up.
    #[error("no HTTP client: {0}")]
    Http(String),
}

impl Settings {
    /// Shows the key as most providers want to see it.
    pub(crate) fn bearer(&self, call: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.key {
            Some(key) => call.bearer_auth(key.reveal()),
            None => call,
        }
    }

    pub(crate) fn describe(&self) -> Description {
        Description { provider: self.provider.clone(), name: self.name.clone(), context_window: self.context_window }
    }
}

/// Returns the variable that holds a provider's key.
#[must_use]
pub fn key_variable(provider: &str) -> Option<&'static str> {
    match provider {
        "anthropic" => Some("ANTHROPIC_API_KEY"),
        "openai" | "openai_responses" => Some("OPENAI_API_KEY"),
        "gemini" => Some("GEMINI_API_KEY"),
        "openrouter" => Some("OPENROUTER_API_KEY"),
        _ => None,
    }
}

/// Says whether an endpoint is the provider's own, or on this machine: only there does the provider's key go unasked. An
/// agent's folder may come from anywhere, and must not lead a key away.
#[must_use]
pub fn is_trusted(provider: &str, base_url: Option<&str>) -> bool {
    let Some(base_url) = base_url else { return true };
    let Ok(url) = reqwest::Url::parse(base_url) else { return false };
    let own = match provider {
        "anthropic" => "api.anthropic.com",
        "openai" | "openai_responses" => "api.openai.com",
        "gemini" => "generativelanguage.googleapis.com",
        "openrouter" => "openrouter.ai",
        _ => "",
    };
    match url.host_str() {
        Some(host) if host == own => url.scheme() == "https",
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Makes a model. Nothing is asked yet.
///
/// # Errors
///
/// [`ConnectError`]
pub fn connect(mut settings: Settings) -> Result<Arc<dyn Model>, ConnectError> {
    if !PROVIDERS.contains(&settings.provider.as_str()) {
        let nearest = outlive_core::yaml::nearest(&settings.provider, PROVIDERS).unwrap_or("openai").to_owned();
        return Err(ConnectError::Unknown { given: settings.provider, nearest });
    }
    if settings.provider == "rehearsal" {
        return Ok(Arc::new(if settings.name == "instant" { Rehearsal::instant() } else { Rehearsal::default() }));
    }
    if settings.name.is_empty() {
        return Err(ConnectError::NoName);
    }
    if let Some(variable) = key_variable(&settings.provider)
        && settings.key.is_none()
        && settings.base_url.is_none()
    {
        return Err(ConnectError::NoKey { provider: settings.provider, variable });
    }
    let usual = if settings.provider == "ollama" { crate::ollama::BASE } else { "https:" };
    let http = client(settings.base_url.as_deref().unwrap_or(usual))?;
    if settings.provider == "openrouter" {
        settings.base_url.get_or_insert_with(|| OPENROUTER.to_owned());
    }
    Ok(match settings.provider.as_str() {
        "anthropic" => Arc::new(Anthropic::new(http, settings)),
        "openai_responses" => Arc::new(Responses::new(http, settings)),
        "gemini" => Arc::new(Gemini::new(http, settings)),
        "ollama" => Arc::new(Ollama::new(http, settings)),
        _chat_completions => Arc::new(OpenAi::new(http, settings)),
    })
}

/// Makes what asks this address over HTTP. Where nothing is encrypted, no authority needs to be trusted.
pub(crate) fn client(url: &str) -> Result<reqwest::Client, ConnectError> {
    let builder = || {
        // A redirect would carry the key to wherever it names.
        let redirect = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(20)).redirect(redirect);
        // A peer that is gone without a word is noticed long before its silence is.
        let http = http.tcp_keepalive(Duration::from_secs(30)).tcp_keepalive_interval(Duration::from_secs(15));
        http.tcp_keepalive_retries(4)
    };
    let untrusting = |error: reqwest::Error| match url.starts_with("http:") {
        true => builder().tls_certs_only([]).build(),
        false => Err(error),
    };
    builder().build().or_else(untrusting).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        ConnectError::Http(format!("{why}; install ca-certificates, or name a file of authorities in SSL_CERT_FILE"))
    })
}

/// A tool's name as every provider takes it: a model may have made one up that none would take back.
pub(crate) fn tool_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(safe).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_only_to_its_provider_or_to_this_machine() {
        let check = |provider: &str, base_url: &str, trusted: bool| {
            assert_eq!(is_trusted(provider, Some(base_url)), trusted, "{provider} {base_url}");
        };
        assert!(is_trusted("openai", None));
        check("openai", "https://api.openai.com/v1", true);
        check("openai", "http://api.openai.com/v1", false);
        check("openai", "https://api.openai.com.evil.example/v1", false);
        check("openai", "https://api.openai.com@evil.example/v1", false);
        check("openai", "https://openrouter.ai/api/v1", false);
        check("openai", "http://127.0.0.1:11434/v1", true);
        check("openai", "http://[::1]:11434/v1", true);
        check("openai", "http://localhost:11434/v1", true);
        check("anthropic", "http://10.0.0.1/", false);
        check("anthropic", "no address", false);
    }
}
