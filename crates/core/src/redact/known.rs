//! The secrets that are known now, shared by all who write or show anything.
//!
//! Invariant: what was a secret once stays one as long as the process runs: an old key is a key, too. Only of tokens that are
//! renewed by themselves the last two count: they are many, and the older ones have run out.

use std::sync::{Arc, PoisonError, RwLock};

use super::Redactor;
use crate::secret::Secret;

/// A value that is not looked for: it would be found in too much, or costs too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{name}` cannot be redacted: {why}")]
pub struct Refused {
    /// Of which variable.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Bytes of a value.
const LEAST: usize = 8;
const MOST: usize = 16 << 10;
/// Values at once.
const COUNT: usize = 512;
/// Bytes of values that have only these many different characters or fewer are no secrets.
const VARIETY: usize = 3;

/// Words that are values of variables, and no secrets.
const COMMON: [&str; 24] = [
    "password",
    "passw0rd",
    "password1",
    "changeme",
    "undefined",
    "localhost",
    "redacted",
    "[redacted]",
    "disabled",
    "development",
    "production",
    "anonymous",
    "anything",
    "not-needed",
    "no-key-needed",
    "12345678",
    "123456789",
    "1234567890",
    "administrator",
    "rehearsal",
    "anthropic",
    "openrouter",
    "127.0.0.1",
    "sk-no-key-required",
];

#[derive(Debug, Default)]
struct Kept {
    secrets: Vec<(String, Secret)>,
    redactor: Arc<Redactor>,
}

/// The secrets that are known now. Cheap to clone: all clones know the same.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<RwLock<Kept>>);

impl Secrets {
    /// Knows these, too, from now on. Returns those that are not looked for, each once.
    pub fn learn(&self, fresh: impl IntoIterator<Item = (String, Secret)>) -> Vec<Refused> {
        let mut refused = Vec::new();
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = kept.secrets.len();
        for (name, secret) in fresh {
            if kept.secrets.iter().any(|(_, known)| known.reveal() == secret.reveal()) {
                continue;
            }
            match unfit(secret.reveal(), kept.secrets.len()) {
                Some(why) => refused.push(Refused { name, why }),
                None => kept.secrets.push((name, secret)),
            }
        }
        if kept.secrets.len() > before {
            let all = kept.secrets.iter().map(|(name, secret)| (name.as_str(), secret));
            kept.redactor = Arc::new(Redactor::new(all));
        }
        refused
    }

    /// Knows a token that has just been got in place of the one before it. Returns it where it is not looked for.
    pub fn renew(&self, name: &str, token: &str) -> Vec<Refused> {
        let known = |kept: &Kept| kept.secrets.iter().any(|(_, known)| known.reveal() == token);
        if known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return Vec::new();
        }
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut of_name = kept.secrets.iter().enumerate().filter(|(_, (of, _))| of == name).map(|(at, _)| at);
        let oldest = of_name.next().filter(|_| of_name.next().is_some());
        oldest.map(|at| kept.secrets.remove(at));
        drop(kept);
        self.learn([(name.to_owned(), Secret::new(token))])
    }

    /// Returns what finds those that are known now.
    #[must_use]
    pub fn now(&self) -> Arc<Redactor> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).redactor)
    }
}

fn unfit(value: &str, known: usize) -> Option<&'static str> {
    let mut seen = [false; 256];
    value.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    let variety = seen.iter().filter(|seen| **seen).count();
    let lower = value.trim().to_ascii_lowercase();
    if value.len() < LEAST {
        return Some("it has fewer than 8 bytes, and would be found in too much: use a longer one");
    }
    if value.len() > MOST {
        return Some("it has more than 16 KiB: give a file's path instead");
    }
    if variety <= VARIETY || COMMON.contains(&lower.as_str()) {
        return Some("it is a common word or pattern, and would be found in too much: use a random one");
    }
    (known >= COUNT).then_some("there are 512 others already")
}
