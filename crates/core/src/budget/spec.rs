//! Budgets as people write them: in an agent's file and in the workspace's.

use serde::Deserialize;

use super::{Budget, Limits};

/// `budget` of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSpec {
    /// Of one turn.
    pub turn: LimitsSpec,
    /// Of one session.
    pub session: LimitsSpec,
    /// Of all its sessions in one day.
    pub day: LimitsSpec,
}

/// What may be used of one budget.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSpec {
    /// Tokens of input and output.
    pub tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
    /// Answered steps.
    pub steps: Option<u64>,
}

/// The most dollars that a budget may have.
const MOST_USD: f64 = 1e9;

impl BudgetSpec {
    /// Returns what is meant.
    ///
    /// # Errors
    ///
    /// The path of a value that does not fit, under `budget`, and why.
    pub fn budget(&self) -> Result<Budget, (String, String)> {
        let limits = |name: &str, spec: &LimitsSpec| spec.limits().map_err(|(key, why)| (format!("{name}.{key}"), why));
        Ok(Budget {
            turn: limits("turn", &self.turn)?,
            session: limits("session", &self.session)?,
            day: limits("day", &self.day)?,
        })
    }
}

impl LimitsSpec {
    /// Returns what is meant.
    ///
    /// # Errors
    ///
    /// The key of a value that does not fit, and why.
    pub fn limits(&self) -> Result<Limits, (&'static str, String)> {
        for (key, count) in [("tokens", self.tokens), ("steps", self.steps)] {
            if count == Some(0) {
                return Err((key, "is at least 1".to_owned()));
            }
        }
        let nano = |usd: f64| (usd * 1e9).round() as u64;
        match self.usd {
            Some(usd) if !(usd <= MOST_USD && nano(usd) > 0) => {
                Err(("usd", format!("is an amount in US dollars above 0 and up to {MOST_USD}, not {usd}")))
            }
            usd => Ok(Limits { tokens: self.tokens, nano_usd: usd.map(nano), steps: self.steps }),
        }
    }
}
