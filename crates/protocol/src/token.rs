//! Tokens, on the wire: who may do what over the API.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use outlive_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a token is for. Each of `talk` and `approve` lets read, too; `admin` lets do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    /// See what was said and done.
    Read,
    /// Begin sessions, say something, answer questions, stop turns.
    Talk,
    /// Decide on calls that wait for a person.
    Approve,
    /// Everything: delete, change agents, bring in archives, make tokens.
    Admin,
}

impl Scope {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Talk, Self::Approve, Self::Admin];

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Talk => "talk",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is no scope: take read, talk, approve or admin"))
    }
}

/// The scopes of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scopes(pub BTreeSet<Scope>);

impl Scopes {
    /// Says whether what needs this scope may be done. Whoever may do anything may read.
    #[must_use]
    pub fn reach(&self, needed: Scope) -> bool {
        let reads = needed == Scope::Read && !self.0.is_empty();
        reads || self.0.contains(&needed) || self.0.contains(&Scope::Admin)
    }
}

impl From<Scope> for Scopes {
    fn from(one: Scope) -> Self {
        Self(BTreeSet::from([one]))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

/// The body of `POST /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostToken {
    /// Its name: a lowercase letter, then letters, digits and `-`, at most 63 characters.
    pub name: String,
    /// What it is for; at least one.
    pub scopes: Scopes,
    /// Seconds that it holds, 1 to 315360000 (ten years); for ever when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
}

/// A token, as it is shown: never its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub scopes: Scopes,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub created_at: Timestamp,
    /// From when on it does not hold; null where it holds until it is revoked.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub expires_at: Option<Timestamp>,
    /// Whether that time has come.
    pub expired: bool,
}

/// The answer to `POST /tokens`: the one time that its text is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenMade {
    /// What to send as `Authorization: Bearer`. Nobody can show it again.
    pub token: String,
    /// What it is.
    #[serde(flatten)]
    pub view: TokenView,
}
