//! Who may come in: the workspace's own token, and further ones with scopes, that can be listed and revoked.
//!
//! Invariants: of a further token only its SHA-256 is kept, in one file that is replaced whole; a token is believed only
//! once that file is durable, and gone for good once its revocation is; what is compared takes the same time wherever the
//! difference is; and whoever came in by a token that holds no more is told so at once, in the middle of a stream, too.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outlive_core::digest::Digest;
use outlive_core::id::AgentName;
use outlive_core::time::Timestamp;
use outlive_protocol::code;
use outlive_protocol::token::{PostToken, Scope, Scopes, TokenMade, TokenView};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::problem::{ApiError, ApiResult};

/// The name of whoever shows the workspace's own token; no further token has it.
pub const OWNER: &str = "workspace";
/// Names that the audit log gives to others.
const TAKEN: [&str; 5] = [OWNER, "agent", "local", "nobody", "outlive"];
/// Further tokens that a workspace has at most.
const MOST: usize = 1_000;
/// Ten years.
const MOST_SECONDS: u64 = 315_360_000;
/// What the text of a further token begins with: who finds one lying around sees what it is.
pub const PREFIX: &str = "olt_";

/// Where the list of further tokens is kept: read once, replaced whole, durable when `save` returns. For its owner alone.
pub trait Keep: Send + Sync {
    /// Returns what was kept last, if anything was.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;
    /// Keeps this instead.
    ///
    /// # Errors
    ///
    /// What the system says; then what was kept before still is.
    fn save(&self, text: &[u8]) -> io::Result<()>;
}

/// The API token. Does not print itself.
#[derive(Clone)]
pub struct Token(Digest);

impl Token {
    /// Takes a token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Digest::of(text.as_bytes()))
    }

    /// Compares without telling by its time where the first difference is.
    fn is(&self, shown: &Digest) -> bool {
        same(&self.0, shown)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

fn same(one: &Digest, other: &Digest) -> bool {
    one.as_str().as_bytes().ct_eq(other.as_str().as_bytes()).into()
}

/// Who asks: put beside each request that was let in.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The token's name; [`OWNER`] for the workspace's own.
    pub name: Arc<str>,
    /// What it is for.
    pub scopes: Scopes,
    expires_at: Option<Timestamp>,
    revoked: CancellationToken,
}

impl Identity {
    /// Says whether this is the workspace's own token.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        &*self.name == OWNER
    }

    /// Lets do what needs a scope.
    ///
    /// # Errors
    ///
    /// The token is not for that.
    pub(crate) fn needs(&self, scope: Scope) -> ApiResult<()> {
        if self.scopes.reach(scope) {
            return Ok(());
        }
        let has = &self.scopes;
        let what = format!(
            "this needs a token with the scope `{scope}`, and the one that was sent has `{has}`: \
             `outlive token create NAME --scope {scope}` makes one"
        );
        Err(ApiError::new(&code::FORBIDDEN_SCOPE, what).with("needs", serde_json::json!(scope)))
    }

    /// Ends when the token does not hold any more.
    pub(crate) fn over(&self, now: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let left = self.expires_at.map(|at| Duration::from_millis(at.ms_since(now) + 1));
        let revoked = self.revoked.clone();
        async move {
            match left {
                Some(left) => tokio::time::timeout(left, revoked.cancelled()).await.unwrap_or_default(),
                None => revoked.cancelled().await,
            }
        }
    }

    /// Waits for something as long as the token holds.
    ///
    /// # Errors
    ///
    /// It does not hold any more.
    pub(crate) async fn while_it_holds<T>(&self, now: Timestamp, awaited: impl Future<Output = T>) -> ApiResult<T> {
        tokio::select! {
            done = awaited => Ok(done),
            () = self.over(now) => Err(ApiError::new(&code::UNAUTHORIZED, "the token does not hold any more")),
        }
    }
}

/// A further token, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    name: String,
    sha256: Digest,
    scopes: Scopes,
    created_at: Timestamp,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

#[derive(Clone)]
struct Held {
    kept: Kept,
    revoked: CancellationToken,
}

impl Held {
    fn of(kept: Kept) -> Self {
        Self { kept, revoked: CancellationToken::new() }
    }

    fn view(&self, now: Timestamp) -> TokenView {
        let Kept { name, scopes, created_at, expires_at, .. } = self.kept.clone();
        TokenView { name, scopes, created_at, expires_at, expired: expires_at.is_some_and(|at| at <= now) }
    }
}

/// The tokens of a workspace.
#[derive(Clone)]
pub struct Tokens {
    own: Token,
    owner: Identity,
    keep: Option<Arc<dyn Keep>>,
    held: Arc<Mutex<Vec<Held>>>,
    /// Held by whoever changes the list.
    busy: Arc<Mutex<()>>,
}

impl From<Token> for Tokens {
    fn from(own: Token) -> Self {
        Self::only(own)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl Tokens {
    /// The workspace's own token and no place for others: those that are made last as long as this value.
    #[must_use]
    pub fn only(own: Token) -> Self {
        let owner = Identity {
            name: OWNER.into(),
            scopes: Scope::Admin.into(),
            expires_at: None,
            revoked: CancellationToken::new(),
        };
        Self { own, owner, keep: None, held: Arc::default(), busy: Arc::default() }
    }

    /// The workspace's own token, and those that were kept.
    ///
    /// # Errors
    ///
    /// What is kept cannot be read: then nobody can say who may come in.
    pub fn kept(own: Token, keep: Arc<dyn Keep>) -> io::Result<Self> {
        let kept: Vec<Kept> = match keep.load()? {
            Some(text) => serde_json::from_slice(&text)?,
            None => Vec::new(),
        };
        let held = kept.into_iter().map(Held::of).collect();
        Ok(Self { keep: Some(keep), held: Arc::new(Mutex::new(held)), ..Self::only(own) })
    }

    /// Says who shows this. Every token is compared, found or not.
    pub(crate) fn who(&self, shown: &[u8], now: Timestamp) -> Option<Identity> {
        let shown = Digest::of(shown);
        let own = self.own.is(&shown).then(|| self.owner.clone());
        let held = self.lock();
        let found = held.iter().filter(|held| same(&held.kept.sha256, &shown)).fold(None, |_, held| Some(held));
        let found = found.filter(|held| held.kept.expires_at.is_none_or(|at| now < at));
        own.or_else(|| {
            found.map(|Held { kept, revoked }| Identity {
                name: kept.name.as_str().into(),
                scopes: kept.scopes.clone(),
                expires_at: kept.expires_at,
                revoked: revoked.clone(),
            })
        })
    }

    /// Lists the further tokens, by name.
    pub(crate) fn list(&self, now: Timestamp) -> Vec<TokenView> {
        let mut all: Vec<TokenView> = self.lock().iter().map(|held| held.view(now)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Makes a token. Blocks while it is written.
    pub(crate) fn create(&self, wanted: PostToken, now: Timestamp) -> ApiResult<TokenMade> {
        let _alone = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.lock().clone();
        let name = fitting(&wanted)?;
        // One that has expired makes room for another of its name.
        all.retain(|held| held.kept.name != name || !held.view(now).expired);
        if all.iter().any(|held| held.kept.name == name) {
            let what = format!("there is a token `{name}`: revoke it first, or take another name");
            return Err(ApiError::new(&code::TOKEN_EXISTS, what));
        }
        if all.len() >= MOST {
            let what = format!("there are {MOST} tokens: revoke those that nobody uses");
            return Err(ApiError::new(&code::INVALID, what));
        }
        let token = secret()?;
        let held = Held::of(Kept {
            name,
            sha256: Digest::of(token.as_bytes()),
            scopes: wanted.scopes,
            created_at: now,
            expires_at: wanted.expires_in_s.map(|seconds| now.plus_ms(seconds.saturating_mul(1_000))),
        });
        let view = held.view(now);
        all.push(held);
        self.save(&all)?;
        *self.lock() = all;
        Ok(TokenMade { token, view })
    }

    /// Revokes a token: nobody comes in by it any more, and who did is let go. Blocks while it is written.
    pub(crate) fn revoke(&self, name: &str) -> ApiResult<()> {
        let _alone = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (gone, left): (Vec<Held>, Vec<Held>) = self.lock().iter().cloned().partition(|held| held.kept.name == name);
        if gone.is_empty() {
            let what = "there is no token of this name; the workspace's own is replaced by removing its file `token` \
                        and starting the server anew";
            return Err(ApiError::new(&code::TOKEN_NOT_FOUND, what));
        }
        self.save(&left)?;
        *self.lock() = left;
        gone.iter().for_each(|held| held.revoked.cancel());
        Ok(())
    }

    fn save(&self, all: &[Held]) -> ApiResult<()> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let kept: Vec<&Kept> = all.iter().map(|held| &held.kept).collect();
        // Strings and times always serialize.
        let text = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        keep.save(&text).map_err(|error| {
            // The system's words may hold a path: they go to the log.
            tracing::error!(%error, "tokens could not be written");
            if error.kind() == io::ErrorKind::StorageFull {
                return ApiError::new(&code::NO_SPACE, "no space is left for the list of tokens");
            }
            ApiError::new(&code::IO, "the list of tokens could not be written; the server's log says why")
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks what is wanted; returns the name.
fn fitting(wanted: &PostToken) -> ApiResult<String> {
    let refuse = |what: String| Err(ApiError::new(&code::INVALID, what));
    // Tokens are named as agents are.
    if wanted.name.parse::<AgentName>().is_err() {
        let form = "a lowercase letter, then letters, digits and `-`, at most 63 characters";
        return refuse(format!("name: {form}"));
    }
    if TAKEN.contains(&wanted.name.as_str()) {
        return refuse(format!("name: `{}` is taken: it names somebody else in the audit log", wanted.name));
    }
    if wanted.scopes.0.is_empty() {
        return refuse("scopes: name at least one of read, talk, approve, admin".to_owned());
    }
    if wanted.expires_in_s.is_some_and(|seconds| !(1..=MOST_SECONDS).contains(&seconds)) {
        return refuse(format!("expires_in_s: 1 to {MOST_SECONDS}"));
    }
    Ok(wanted.name.clone())
}

/// 256 bits that nobody can guess.
fn secret() -> ApiResult<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system has no randomness");
        ApiError::new(&code::INTERNAL, "the system has no randomness to make a token of")
    })?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, expires_in_s: Option<u64>) -> PostToken {
        PostToken { name: name.to_owned(), scopes: Scope::Talk.into(), expires_in_s }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_holds_until_it_expires_and_then_lets_go() {
        let tokens = Tokens::only(Token::new("own"));
        let noon = Timestamp::from_micros(1_800_000_000_000_000);
        let made = tokens.create(wanted("ci", Some(60)), noon).expect("it is made");
        let who = |at| tokens.who(made.token.as_bytes(), at);
        let name = |who: Option<Identity>| who.map(|who| who.name.to_string());
        assert_eq!(name(who(noon.plus_ms(59_999))), Some("ci".to_owned()));
        assert_eq!(name(who(noon.plus_ms(60_000))), None);
        // Time goes by itself while nothing else happens.
        let before = tokio::time::Instant::now();
        who(noon.plus_ms(50_000)).expect("it holds").over(noon.plus_ms(50_000)).await;
        assert_eq!(before.elapsed().as_secs(), 10);
        let again = tokens.create(wanted("ci", None), noon.plus_ms(60_000)).expect("its name is free");
        assert_eq!((again.view.expired, tokens.list(noon).len()), (false, 1));
    }

    #[test]
    fn nothing_but_the_very_text_is_a_token() {
        let tokens = Tokens::only(Token::new("own"));
        let noon = Timestamp::from_micros(0);
        let made = tokens.create(wanted("ci", None), noon).expect("it is made");
        for near in [
            made.token.to_uppercase(),
            made.token.get(1..).unwrap_or_default().to_owned(),
            format!("{}0", made.token),
            format!("{} ", made.token),
            format!("{}\0", made.token),
            Digest::of(made.token.as_bytes()).to_string(),
            String::new(),
            "own2".to_owned(),
        ] {
            assert!(tokens.who(near.as_bytes(), noon).is_none(), "{near}");
        }
        assert!(tokens.who(b"own", noon).is_some_and(|who| who.is_owner() && who.scopes.reach(Scope::Admin)));
    }
}
