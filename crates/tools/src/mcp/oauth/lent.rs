//! A login at work: yields its token for each request, renews it, and says what a person can do where there is none.

use outlive_core::redact::Secrets;
use rmcp::transport::auth::{AuthError, AuthorizationManager, ClientCredentialsConfig, WWWAuthenticateParams};
use tokio::sync::Mutex;

use super::super::Bearer;
use super::{Flow, Login, Refused, within};
use crate::Pending;

/// A login at work.
pub struct Lent {
    login: Login,
    way_out: String,
    /// What its tokens are known to be from the moment that there are any.
    secrets: Secrets,
    /// What renews it; none until it is needed.
    manager: Mutex<Option<AuthorizationManager>>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Lent {
    /// Lends a login, whose tokens are secrets. `way_out` is how a person logs in: a command.
    #[must_use]
    pub fn new(login: Login, way_out: impl Into<String>, secrets: Secrets) -> Self {
        Self { login, way_out: way_out.into(), secrets, manager: Mutex::new(None) }
    }

    async fn answer(&self, challenge: &str) -> Result<String, String> {
        let said = WWWAuthenticateParams::parse(challenge, &self.login.server);
        let narrow = said.is_insufficient_scope();
        let scope = said.scope.filter(|_| narrow).unwrap_or_default();
        if !narrow {
            let mut held = self.manager.lock().await;
            let renewed = within(self.renewed(&mut held)).await;
            if let Some(token) = renewed.map_err(|refused| self.told(&refused))? {
                self.know(&token);
                return Ok(token);
            }
        }
        let granted = self.login.file.read().map_err(|refused| self.told(&refused))?.credentials;
        let granted = granted.map(|credentials| credentials.granted_scopes).unwrap_or_default();
        let shown = super::clean(&scope);
        // Another login would bring the same: that it is asked for again and again is nobody's help.
        if narrow && scope.split_whitespace().all(|scope| granted.iter().any(|known| known == scope)) {
            return Err(format!("it refuses what was granted (`{shown}`): whoever runs it must say why"));
        }
        self.login.note(challenge, &scope).map_err(|refused| self.told(&refused))?;
        let more = format!("it asks for more than was granted (`{shown}`): run `{}`", self.way_out);
        Err(if narrow { more } else { self.missing() })
    }

    fn know(&self, token: &str) {
        for refused in self.secrets.renew(&self.way_out, token) {
            tracing::warn!(why = refused.why, "the token of a login is not redacted");
        }
    }

    fn missing(&self) -> String {
        format!("it asks who comes: run `{}`", self.way_out)
    }

    fn told(&self, refused: &Refused) -> String {
        match self.login.settings.flow {
            Flow::Person => format!("no login: {refused}; run `{}`", self.way_out),
            Flow::Program => format!("no login: {refused}"),
        }
    }

    async fn yielded(&self, held: &mut Option<AuthorizationManager>) -> Result<Option<String>, Refused> {
        let manager = match held {
            Some(manager) => manager,
            None => held.insert(self.fresh().await?),
        };
        match manager.get_access_token().await {
            Ok(token) => Ok(Some(token)),
            // It has run out, it was got anew by somebody whom this manager does not know, or this manager has asked so often
            // that it may not ask any more.
            Err(_lacking) => {
                *held = None;
                self.renewed(held).await
            }
        }
    }

    /// Gets another token in place of the one that is kept: with what was kept beside it, or as a program.
    async fn renewed(&self, held: &mut Option<AuthorizationManager>) -> Result<Option<String>, Refused> {
        let mut manager = self.fresh().await?;
        let token = match self.login.settings.flow {
            Flow::Program => {
                self.exchange(&mut manager).await?;
                manager.get_access_token().await
            }
            Flow::Person => match self.resume(&mut manager).await? {
                false => return Ok(None),
                true => match manager.refresh_token().await {
                    Ok(_kept) => manager.get_access_token().await,
                    Err(error) => Err(error),
                },
            },
        };
        *held = Some(manager);
        match token {
            Ok(token) => Ok(Some(token)),
            Err(AuthError::AuthorizationRequired | AuthError::TokenRefreshRejected(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn fresh(&self) -> Result<AuthorizationManager, Refused> {
        let mut manager = self.login.manager().await?;
        manager.set_credential_store(self.login.file.clone());
        Ok(manager)
    }

    /// Goes on with a login that was kept, if there is one. Tokens of an authorization server that is no longer the server's
    /// own are given up.
    async fn resume(&self, manager: &mut AuthorizationManager) -> Result<bool, Refused> {
        let kept = self.login.file.read()?;
        let Some(credentials) = kept.credentials else { return Ok(false) };
        manager.set_metadata(self.login.discovered(manager, None).await?);
        if !manager.initialize_from_store().await? {
            return Ok(false);
        }
        if let Some(client) = kept.client.filter(|client| client.id == credentials.client_id) {
            manager.configure_client(client.config())?;
        }
        Ok(true)
    }

    async fn exchange(&self, manager: &mut AuthorizationManager) -> Result<(), Refused> {
        let settings = &self.login.settings;
        let (Some(client_id), Some(client_secret)) = (&settings.client_id, &settings.client_secret) else {
            return Err(Refused::NoSecret);
        };
        manager.set_metadata(self.login.discovered(manager, None).await?);
        let credentials = ClientCredentialsConfig::ClientSecret {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            scopes: settings.scopes.clone(),
            resource: Some(self.login.server.to_string()),
        };
        manager.validate_client_credentials_metadata(&credentials)?;
        manager.configure_client_credentials(&credentials)?;
        manager.exchange_client_credentials(&credentials).await?;
        Ok(())
    }
}

impl Bearer for Lent {
    fn token(&self) -> Pending<'_, Result<Option<String>, String>> {
        Box::pin(async {
            let mut held = self.manager.lock().await;
            let token = within(self.yielded(&mut held)).await;
            let token = token.map_err(|refused| self.told(&refused))?;
            token.iter().for_each(|token| self.know(token));
            Ok(token)
        })
    }

    fn challenged<'a>(&'a self, challenge: &'a str) -> Pending<'a, Result<String, String>> {
        Box::pin(self.answer(challenge))
    }
}
