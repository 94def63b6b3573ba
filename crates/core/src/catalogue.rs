//! What is known of models: windows, prices, capabilities. A list that comes with Outlive, and a person's own before it.
//!
//! Invariants: within a list an exact name goes before a pattern, a longer pattern before a shorter one; the person's list
//! goes before the built-in one, key by key, so that it says only what it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::agent::PROVIDERS;
use crate::cost::{Above, Prices};
use crate::yaml::{self, YamlError};

/// What is known of a model. All of it may be unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// Tokens that a request and its reply may have together.
    pub context_window: Option<u64>,
    /// Tokens that a reply may have.
    pub max_output_tokens: Option<u32>,
    /// What its tokens cost.
    pub prices: Option<Prices>,
    /// What it can do.
    pub capabilities: Option<Vec<Capability>>,
}

/// Something that not every model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// It sees images.
    Images,
    /// It reads PDF files.
    Pdf,
    /// It reasons before it answers.
    Thinking,
    /// It answers in a given JSON schema.
    Structured,
}

/// Everything that is known of models.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// By `provider/name`, the list that goes first in front.
    lists: Vec<BTreeMap<String, Entry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "as_of")]
    _as_of: Option<String>,
    #[serde(default)]
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    #[serde(default)]
    context_window: Option<u64>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
    #[serde(default)]
    price: Option<Price>,
    #[serde(default)]
    capabilities: Option<Vec<Capability>>,
}

/// US dollars for a million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    input: f64,
    output: f64,
    #[serde(default)]
    cache_read: Option<f64>,
    #[serde(default)]
    cache_write: Option<f64>,
    #[serde(default)]
    above: Option<PriceAbove>,
}

/// What a request costs that has more input than this.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceAbove {
    tokens: u64,
    input: f64,
    output: f64,
    #[serde(default)]
    cache_read: Option<f64>,
    #[serde(default)]
    cache_write: Option<f64>,
}

/// The dearest price that is believed, in dollars for a million tokens.
const DEAREST: f64 = 10_000.0;
/// The largest window that is believed, in tokens.
const WIDEST: u64 = 100_000_000;

static BUILT_IN: LazyLock<Arc<Catalogue>> = LazyLock::new(|| {
    // A test holds that it can be read.
    let list = read(include_str!("catalogue.yaml"), "catalogue.yaml").unwrap_or_default();
    Arc::new(Catalogue { lists: vec![list] })
});

impl Catalogue {
    /// Returns the list that comes with Outlive.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// Returns this catalogue with a person's own list before it.
    ///
    /// # Errors
    ///
    /// The first thing that does not fit, with its place.
    pub fn with(&self, text: &str, file: &str) -> Result<Self, YamlError> {
        let own = read(text, file)?;
        Ok(Self { lists: std::iter::once(own).chain(self.lists.iter().cloned()).collect() })
    }

    /// Returns what is known of `provider/name`. Another dialect of the same provider is the same model.
    #[must_use]
    pub fn entry(&self, model: &str) -> Entry {
        let alias = model.strip_prefix("openai_responses/").map(|name| format!("openai/{name}"));
        let mut known = Entry::default();
        for list in &self.lists {
            for name in std::iter::once(model).chain(alias.as_deref()) {
                if let Some(found) = find(list, name) {
                    known.fill(found);
                }
            }
        }
        known
    }

    /// Returns what a model's tokens cost, where that is known.
    #[must_use]
    pub fn prices(&self, model: &str) -> Option<Prices> {
        self.entry(model).prices
    }
}

impl Entry {
    fn fill(&mut self, other: &Self) {
        self.context_window = self.context_window.or(other.context_window);
        self.max_output_tokens = self.max_output_tokens.or(other.max_output_tokens);
        self.prices = self.prices.or(other.prices);
        if self.capabilities.is_none() {
            self.capabilities.clone_from(&other.capabilities);
        }
    }
}

fn find<'a>(list: &'a BTreeMap<String, Entry>, model: &str) -> Option<&'a Entry> {
    let matches = |name: &str| name.strip_suffix('*').is_some_and(|begins| model.starts_with(begins));
    let pattern = || list.iter().filter(|(name, _)| matches(name)).max_by_key(|(name, _)| name.len());
    list.get(model).or_else(|| pattern().map(|(_, entry)| entry))
}

fn read(text: &str, file: &str) -> Result<BTreeMap<String, Entry>, YamlError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(BTreeMap::new());
    }
    let read: File = yaml::read(text, file)?;
    let entry = |(name, model): (String, Model)| {
        let fits = check_name(&name).map_err(|why| (Vec::new(), why));
        match fits.and_then(|()| model.entry()) {
            Ok(entry) => Ok((name, entry)),
            Err((at, why)) => {
                let keys: Vec<&str> = ["models", &name].into_iter().chain(at).collect();
                Err(yaml::misfit_at(text, file, &keys, &why))
            }
        }
    };
    read.models.into_iter().map(entry).collect()
}

fn check_name(name: &str) -> Result<(), String> {
    let way_out = "a model is named `PROVIDER/NAME`, with a `*` at the end for all names that begin so";
    let Some((provider, rest)) = name.split_once('/') else { return Err(way_out.to_owned()) };
    if !PROVIDERS.contains(&provider) {
        let nearest = yaml::nearest(provider, PROVIDERS).unwrap_or("openai");
        return Err(format!("provider `{provider}` is not known: the nearest is `{nearest}`"));
    }
    let begins = rest.strip_suffix('*').unwrap_or(rest);
    if rest.is_empty() || begins.contains('*') { Err(way_out.to_owned()) } else { Ok(()) }
}

/// Where in a model's entry, and why not.
type Misfit = (Vec<&'static str>, String);

impl Model {
    fn entry(self) -> Result<Entry, Misfit> {
        let counts =
            [("context_window", self.context_window), ("max_output_tokens", self.max_output_tokens.map(u64::from))];
        for (key, count) in counts {
            if count.is_some_and(|count| !(1..=WIDEST).contains(&count)) {
                return Err((vec![key], format!("is 1 to {WIDEST} tokens")));
            }
        }
        Ok(Entry {
            context_window: self.context_window,
            max_output_tokens: self.max_output_tokens,
            prices: self.price.map(|price| price.prices()).transpose()?,
            capabilities: self.capabilities,
        })
    }
}

impl Price {
    fn prices(&self) -> Result<Prices, Misfit> {
        let nano = |key, dollars| nano(dollars).map_err(|why| (vec!["price", key], why));
        Ok(Prices {
            input: nano("input", self.input)?,
            output: nano("output", self.output)?,
            cache_read: nano("cache_read", self.cache_read.unwrap_or(self.input))?,
            cache_write: nano("cache_write", self.cache_write.unwrap_or(self.input))?,
            above: self.above.as_ref().map(PriceAbove::above).transpose()?,
        })
    }
}

impl PriceAbove {
    fn above(&self) -> Result<Above, Misfit> {
        let nano = |key, dollars| nano(dollars).map_err(|why| (vec!["price", "above", key], why));
        if !(1..=WIDEST).contains(&self.tokens) {
            return Err((vec!["price", "above", "tokens"], format!("is 1 to {WIDEST} tokens")));
        }
        Ok(Above {
            tokens: self.tokens,
            input: nano("input", self.input)?,
            output: nano("output", self.output)?,
            cache_read: nano("cache_read", self.cache_read.unwrap_or(self.input))?,
            cache_write: nano("cache_write", self.cache_write.unwrap_or(self.input))?,
        })
    }
}

/// Reads a price.
fn nano(dollars: f64) -> Result<u64, String> {
    if (0.0..=DEAREST).contains(&dollars) {
        Ok((dollars * 1e9).round() as u64)
    } else {
        Err(format!("is 0 to {DEAREST} US dollars for a million tokens, not {dollars}"))
    }
}

#[cfg(test)]
mod tests;
