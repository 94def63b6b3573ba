//! Logs in to remote servers by OAuth 2.1, and keeps what came of it.
//!
//! The protocol is the SDK's: discovery (RFC 9728, RFC 8414), PKCE, registration, resource indicators, refresh. Here is what
//! this program adds to it, and refuses.
//!
//! Invariants: nothing goes to an address that is neither `https` nor this machine's own; a token is sent to the server that
//! it was got for and to no other; a login starts only where the authorization server says that it checks PKCE's S256; no
//! secret is in a message, in a log, or in what [`std::fmt::Debug`] shows.

pub mod file;
mod http;
mod lent;
pub mod redirect;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{McpGrant, McpServer, McpWay};
use outlive_core::id::AgentName;
use reqwest::Url;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationMetadata, AuthorizationMetadataSource, CredentialStore as _,
    InMemoryCredentialStore, OAuthClientConfig,
};

use crate::egress::Grant;
use file::{Kept, Registered, TokenFile};
use http::Wire;
pub use lent::Lent;

/// Time for all questions of one discovery, registration or exchange.
const PATIENCE: Duration = Duration::from_secs(60);
/// Under which name this program registers.
const NAME: &str = "Outlive";
/// Bytes of what a server says when it refuses a request, and scopes that it asks for, as far as they are kept.
const CHALLENGE: usize = 8 << 10;
const SCOPES: usize = 64;
/// Of what others say in an error, as much as is shown.
const SHOWN: usize = 300;

/// Who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// A person, with a browser: the authorization code.
    #[default]
    Person,
    /// This program, by its own id and secret: client credentials.
    Program,
}

/// What an agent's author says about logging in to a server.
#[derive(Clone, Default)]
pub struct Settings {
    /// How the authorization server knows this program. An `https` address is that of a client metadata document. Without it
    /// this program registers itself.
    pub client_id: Option<String>,
    /// What goes with an id that was given out beforehand.
    pub client_secret: Option<String>,
    /// The only authorization server that is taken.
    pub issuer: Option<String>,
    /// What is asked for, where it is not what the server names.
    pub scopes: Vec<String>,
    /// Who logs in.
    pub flow: Flow,
    /// Addresses beyond the public ones that an authorization server may have.
    pub network: Vec<Grant>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.client_secret.as_ref().map(|_| "…");
        f.debug_struct("Settings")
            .field("client_id", &self.client_id)
            .field("client_secret", &secret)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .field("flow", &self.flow)
            .field("network", &self.network)
            .finish()
    }
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The address is none that a token may go to.
    #[error("`{0}` is not an `https` address: tokens go to those, and to this machine")]
    Address(String),
    /// The server does not say where to log in.
    #[error("the server does not say where to log in: it publishes no OAuth metadata")]
    NoMetadata,
    /// The server names another authorization server than its agent's author does.
    #[error("the server sends to `{found}` to log in, and the agent's `auth.issuer` is `{wanted}`")]
    Issuer {
        /// Whom the server names.
        found: String,
        /// Whom the author names.
        wanted: String,
    },
    /// A stolen code could be used by others.
    #[error("the authorization server does not say that it checks PKCE with S256")]
    NoPkce,
    /// It cannot be known to this program.
    #[error("the authorization server takes no registrations: set the server's `client_id`")]
    NoRegistration,
    /// A program that logs in by itself needs to be known.
    #[error("client credentials need a `client_id` and a `client_secret`")]
    NoSecret,
    /// The person, or the authorization server, said no.
    #[error("it was refused: {0}")]
    Denied(String),
    /// What was kept cannot be read or written.
    #[error("the login's file {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// It takes too long.
    #[error("no answer came within {} s", PATIENCE.as_secs())]
    Late,
    /// Anything else that went wrong.
    #[error("{0}")]
    Failed(String),
}

impl From<AuthError> for Refused {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the SDK's list grows; whatever else it is is told in its words"
    )]
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::NoAuthorizationSupport => Self::NoMetadata,
            AuthError::PkceUnsupported => Self::NoPkce,
            AuthError::AuthorizationFailed(why) => Self::Denied(clean(&why)),
            other => Self::Failed(clean(&chain(&other))),
        }
    }
}

/// Names an error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// What others wrote, as one line that moves no cursor.
fn clean(text: &str) -> String {
    let line = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign });
    let mut shown: String = line.take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a token may go there: over TLS, or within this machine.
#[must_use]
pub fn is_safe(url: &Url) -> bool {
    let named = url.host_str().is_some_and(|host| !host.is_empty());
    named && (url.scheme() == "https" || (url.scheme() == "http" && is_own(url)))
}

/// Whether it is this machine's own address.
fn is_own(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn address(text: &str) -> Result<Url, Refused> {
    let url = Url::parse(text).ok().filter(is_safe).filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| Refused::Address(clean(text)))
}

/// The login to one server.
#[derive(Debug, Clone)]
pub struct Login {
    server: Url,
    file: TokenFile,
    settings: Settings,
}

/// What is known of a login without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Missing,
    /// There is a token. Whether the server still takes it is for the server to say.
    Kept {
        /// What it was granted for.
        scopes: Vec<String>,
    },
    /// The server asked for more than was granted.
    Narrow {
        /// What it asked for.
        wanted: Vec<String>,
    },
}

impl Login {
    /// The login to the server at this address.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`]
    pub fn new(server: &str, file: TokenFile, settings: Settings) -> Result<Self, Refused> {
        let server = address(server)?;
        let file = file.of(server.as_str());
        Ok(Self { server, file, settings })
    }

    /// The login of an agent to one of its servers, in the workspace at `root`; none where no token would be sent: the server
    /// is a program, has an authorization of its own, or an address that is not safe.
    ///
    /// # Errors
    ///
    /// [`Refused::Address`]: it is to be logged in to, and may not be.
    pub fn of(
        root: &Path,
        agent: &AgentName,
        server: &McpServer,
        secret: Option<String>,
    ) -> Result<Option<Self>, Refused> {
        let McpWay::Http { url, headers, auth } = &server.way else { return Ok(None) };
        if headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
            return Ok(None);
        }
        let said = auth.clone().unwrap_or_default();
        let flow = match said.grant {
            McpGrant::AuthorizationCode => Flow::Person,
            McpGrant::ClientCredentials => Flow::Program,
        };
        let settings = Settings {
            client_id: said.client_id,
            client_secret: secret,
            issuer: said.issuer,
            scopes: said.scopes,
            flow,
            network: Vec::new(),
        };
        let file = TokenFile::new(root, agent.as_str(), &server.name);
        match Self::new(url, file, settings) {
            Ok(login) => Ok(Some(login)),
            Err(_) if auth.is_none() => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Says what is known of it here.
    ///
    /// # Errors
    ///
    /// [`Refused::File`]
    pub fn state(&self) -> Result<State, Refused> {
        let kept = self.file.read()?;
        Ok(match kept.credentials {
            None => State::Missing,
            Some(_) if !kept.wanted.is_empty() => State::Narrow { wanted: kept.wanted },
            Some(credentials) => State::Kept { scopes: credentials.granted_scopes },
        })
    }

    /// Returns who logs in.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.settings.flow
    }

    /// Forgets it. The authorization server is not told.
    ///
    /// # Errors
    ///
    /// [`Refused::File`]
    pub fn forget(&self) -> Result<(), Refused> {
        self.file.remove()
    }

    /// Notes what the server said when it refused a request, and what was missing: the next login goes by it.
    ///
    /// # Errors
    ///
    /// [`Refused::File`]
    fn note(&self, challenge: &str, scope: &str) -> Result<(), Refused> {
        let wanted = scope.split_whitespace().map(clean);
        self.file.change(|kept| {
            kept.challenge = Some(challenge.to_owned()).filter(|challenge| challenge.len() <= CHALLENGE);
            for scope in wanted {
                if !kept.wanted.contains(&scope) && kept.wanted.len() < SCOPES {
                    kept.wanted.push(scope);
                }
            }
        })
    }

    async fn manager(&self) -> Result<AuthorizationManager, Refused> {
        let wire = Wire::to(&self.server, &self.settings.network);
        Ok(AuthorizationManager::new_with_oauth_http_client(self.server.clone(), Arc::new(wire)).await?)
    }

    /// Begins a login: finds the authorization server, makes this program known to it, and returns where the person goes.
    /// `redirect` is where the browser comes back to.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub async fn begin(&self, redirect: &str) -> Result<Begun, Refused> {
        let challenge = self.file.read()?.challenge;
        within(async {
            let mut manager = self.manager().await?;
            let taken = InMemoryCredentialStore::new();
            manager.set_credential_store(taken.clone());
            let metadata = self.discovered(&manager, challenge.as_deref()).await?;
            if !metadata.code_challenge_methods_supported.iter().flatten().any(|method| method == "S256") {
                return Err(Refused::NoPkce);
            }
            address(&metadata.authorization_endpoint)?;
            manager.set_metadata(metadata.clone());
            let scopes = self.scopes(&manager, &metadata).await?;
            let client = self.registered(&mut manager, &metadata, redirect, &scopes).await?;
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let url = manager.get_authorization_url(&scopes).await?;
            Ok(Begun { manager, metadata, client, url, taken, file: self.file.clone() })
        })
        .await
    }

    /// Finds the authorization server. One that only stands to reason, because old servers had it there, is not taken, and none
    /// but the author's where they name one.
    async fn discovered(
        &self,
        manager: &AuthorizationManager,
        challenge: Option<&str>,
    ) -> Result<AuthorizationMetadata, Refused> {
        let found = manager.resolve_metadata_from_challenge(challenge).await?;
        if matches!(found.source, AuthorizationMetadataSource::LegacyEndpointFallback) {
            return Err(Refused::NoMetadata);
        }
        let metadata = found.metadata;
        let plain = |issuer: &str| issuer.trim_end_matches('/').to_owned();
        match (&self.settings.issuer, metadata.issuer.as_deref().unwrap_or_default()) {
            (Some(wanted), found) if plain(wanted) != plain(found) => {
                Err(Refused::Issuer { found: clean(found), wanted: wanted.clone() })
            }
            (Some(_) | None, _) => Ok(metadata),
        }
    }

    /// What is asked for: the author's choice or what the server names, and all that this authorization server once granted or
    /// that was found lacking.
    async fn scopes(
        &self,
        manager: &AuthorizationManager,
        metadata: &AuthorizationMetadata,
    ) -> Result<Vec<String>, Refused> {
        let own: Vec<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        let mut scopes = match own.is_empty() {
            true => manager.select_initial_scopes(&[]).await,
            false => self.settings.scopes.clone(),
        };
        let kept = self.file.read()?;
        let granted = kept.credentials.filter(|credentials| credentials.issuer == metadata.issuer);
        let granted = granted.map(|credentials| credentials.granted_scopes).unwrap_or_default();
        for scope in granted.into_iter().chain(kept.wanted) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    /// Makes this program known: by what it was given, by its metadata document, or by registering.
    async fn registered(
        &self,
        manager: &mut AuthorizationManager,
        metadata: &AuthorizationMetadata,
        redirect: &str,
        scopes: &[String],
    ) -> Result<Registered, Refused> {
        let takes = metadata.additional_fields.get("client_id_metadata_document_supported");
        let takes = takes.and_then(serde_json::Value::as_bool).unwrap_or_default();
        let own = self.settings.client_id.as_ref().filter(|id| takes || !id.starts_with("https://"));
        if let Some(id) = own {
            let secret = self.settings.client_secret.clone();
            let client = Registered { id: id.clone(), secret, redirect: redirect.to_owned() };
            manager.configure_client(client.config())?;
            return Ok(client);
        }
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        if metadata.registration_endpoint.is_none() {
            return Err(Refused::NoRegistration);
        }
        let made = manager.register_client(NAME, redirect, &scopes).await?;
        Ok(Registered { id: made.client_id, secret: made.client_secret, redirect: redirect.to_owned() })
    }
}

/// A login that waits for its person.
pub struct Begun {
    manager: AuthorizationManager,
    metadata: AuthorizationMetadata,
    client: Registered,
    url: String,
    taken: InMemoryCredentialStore,
    file: TokenFile,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("issuer", &self.metadata.issuer).finish_non_exhaustive()
    }
}

impl Begun {
    /// Where the person goes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who will ask the person, in its own words.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.metadata.issuer.as_deref().unwrap_or(&self.metadata.authorization_endpoint)
    }

    /// What the answer must carry, so that it is the answer to this question.
    #[must_use]
    pub fn state(&self) -> String {
        query(&self.url, "state").unwrap_or_default()
    }

    /// Takes the address that the browser came back to, and keeps the token that it stands for. Returns what was granted.
    ///
    /// # Errors
    ///
    /// [`Refused`]: it is the answer to another question or of another authorization server, it is a no, or its code is not
    /// taken. What was kept before stays as it is.
    pub async fn finish(&self, callback: &str) -> Result<Vec<String>, Refused> {
        if query(callback, "state").is_none_or(|state| state != self.state()) {
            return Err(Refused::Denied("it does not belong to this login".to_owned()));
        }
        let issuer = query(callback, "iss");
        let Some(code) = query(callback, "code") else {
            let why = query(callback, "error_description").or_else(|| query(callback, "error"));
            return Err(Refused::Denied(why.map_or_else(|| "no code came".to_owned(), |why| clean(&why))));
        };
        let state = self.state();
        let exchanged = self.manager.exchange_code_for_token_with_issuer(&code, &state, issuer.as_deref());
        within(async { Ok(exchanged.await?) }).await?;
        let credentials = self.taken.load().await?.ok_or(Refused::NoMetadata)?;
        let scopes = credentials.granted_scopes.clone();
        self.file.change(|kept| {
            *kept = Kept {
                credentials: Some(credentials),
                client: Some(self.client.clone()),
                metadata: Some(self.metadata.clone()),
                ..Kept::default()
            };
        })?;
        Ok(scopes)
    }
}

impl Registered {
    fn config(&self) -> OAuthClientConfig {
        let config = OAuthClientConfig::new(&self.id, &self.redirect);
        match &self.secret {
            Some(secret) => config.with_client_secret(secret),
            None => config,
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(Refused::Late))
}

/// Returns the value under this name, where there is exactly one.
fn query(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    values.next().filter(|_| values.next().is_none())
}
