//! What may be used of tokens, dollars and steps, and whether the next step fits.
//!
//! Pure: what was used and what the next step may take come in as values. A step is granted only if its worst case fits in
//! every budget that holds for it; a reply is given less room before a step is refused.

mod spec;

pub use spec::{BudgetSpec, LimitsSpec};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Usage;
use crate::cost::{Prices, Usd};
use crate::event::TurnError;
use crate::limits::LEAST_OUTPUT_TOKENS;

/// What may be used. Each bound holds for itself; what is absent has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Tokens of input and output, cached or not.
    pub tokens: Option<u64>,
    /// Billionths of a US dollar.
    pub nano_usd: Option<u64>,
    /// Answered steps.
    pub steps: Option<u64>,
}

/// An agent's budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Of one turn.
    pub turn: Limits,
    /// Of one session.
    pub session: Limits,
    /// Of all the agent's sessions in one day, in UTC.
    pub day: Limits,
}

impl Limits {
    /// Says whether there is no bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Budget {
    /// Says whether there is no bound.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The turn's.
    Turn,
    /// The session's.
    Session,
    /// The agent's, for the day.
    Day,
    /// The workspace's, for the day.
    WorkspaceDay,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens.
    Tokens,
    /// Money.
    Usd,
    /// Steps.
    Steps,
}

/// That a reply was given less room than the agent asks for, and by which budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capped {
    /// The limit of the reply, in tokens.
    pub max_output_tokens: u32,
    /// Whose budget.
    pub scope: Scope,
    /// What is counted.
    pub unit: Unit,
}

/// A budget with what was used of it, and what is set aside for steps that run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purse {
    /// Whose.
    pub scope: Scope,
    /// What may be used.
    pub limits: Limits,
    /// What was.
    pub used: Usage,
}

/// What the next step may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need<'a> {
    /// The model, as `provider/name`.
    pub model: &'a str,
    /// Its prices.
    pub prices: Option<Prices>,
    /// Tokens of its request, estimated from above.
    pub input_tokens: u64,
    /// Limit of its reply, in tokens.
    pub output_tokens: u32,
}

/// A step that may be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    /// Set where the reply has less room than was asked for.
    pub capped: Option<Capped>,
    /// The most that it may use.
    pub most: Usage,
}

/// Returns the most tokens that a request of this estimate may have: code, JSON and other scripts than Latin have fewer
/// than four bytes a token.
#[must_use]
pub fn input_at_most(tokens_estimated: u64) -> u64 {
    tokens_estimated.saturating_mul(4).div_ceil(3)
}

/// Grants the next step as much of its reply as every purse can pay for.
///
/// # Errors
///
/// Which budget does not last for a useful reply, what was used of it, and the way on.
pub fn grant(purses: &[Purse], need: &Need<'_>) -> Result<Grant, TurnError> {
    let least = need.output_tokens.min(LEAST_OUTPUT_TOKENS);
    let (mut room, mut capped) = (need.output_tokens, None);
    for purse in purses {
        for unit in [Unit::Steps, Unit::Tokens, Unit::Usd] {
            let Some(fits) = purse.room(unit, need)? else { continue };
            if fits < u64::from(least) {
                return Err(purse.short(unit, need, least));
            }
            if fits < u64::from(room) {
                room = u32::try_from(fits).unwrap_or(room);
                capped = Some(Capped { max_output_tokens: room, scope: purse.scope, unit });
            }
        }
    }
    Ok(Grant { capped, most: need.most(room) })
}

impl Need<'_> {
    /// Returns the most that the step uses with a reply of this many tokens.
    fn most(&self, output_tokens: u32) -> Usage {
        let (input_tokens, output_tokens) = (self.input_tokens, u64::from(output_tokens));
        let output = Usage { output_tokens, ..Usage::default() };
        let prices = self.prices.map(|prices| prices.at(input_tokens));
        let cost = prices.map(|prices| prices.input_at_most(input_tokens).saturating_add(prices.of(output)));
        let priced_steps = u64::from(cost.is_some());
        Usage { input_tokens, cost_nano_usd: cost.unwrap_or(0), steps: 1, priced_steps, ..output }
    }
}

impl Purse {
    /// Returns how many tokens of output this bound leaves room for; `None` where it does not bound them.
    fn room(&self, unit: Unit, need: &Need<'_>) -> Result<Option<u64>, TurnError> {
        Ok(match (unit, self.limits) {
            (Unit::Steps, Limits { steps: Some(limit), .. }) => (self.used.steps >= limit).then_some(0),
            (Unit::Tokens, Limits { tokens: Some(limit), .. }) => {
                Some(limit.saturating_sub(self.used.tokens()).saturating_sub(need.input_tokens))
            }
            (Unit::Usd, Limits { nano_usd: Some(limit), .. }) => {
                let prices = need.prices.ok_or_else(|| self.unpriced(need.model))?.at(need.input_tokens);
                let left = limit.saturating_sub(self.used.cost_nano_usd);
                let for_output = left.checked_sub(prices.input_at_most(need.input_tokens));
                Some(for_output.map_or(0, |left| prices.output_for(left)))
            }
            (Unit::Steps | Unit::Tokens | Unit::Usd, _) => None,
        })
    }

    fn short(&self, unit: Unit, need: &Need<'_>, least: u32) -> TurnError {
        let most = need.most(least);
        let (used, limit, step) = match unit {
            Unit::Steps => (self.used.steps, self.limits.steps, 1),
            Unit::Tokens => (self.used.tokens(), self.limits.tokens, most.tokens()),
            Unit::Usd => (self.used.cost_nano_usd, self.limits.nano_usd, most.cost_nano_usd),
        };
        let (used, step) = (unit.shown(used), unit.shown(step));
        let limit = unit.amount(limit.unwrap_or(0));
        let message = format!(
            "the budget of {} does not last for another step: {used} of {limit} used, and the next step may take {step}; {}",
            self.scope,
            way_on(self.scope, unit)
        );
        TurnError { code: EXCEEDED.to_owned(), message }
    }

    fn unpriced(&self, model: &str) -> TurnError {
        let message = format!(
            "the budget of {} is in dollars, and what `{model}` costs is not known: give its price in the workspace's \
             models.yaml, or the budget in tokens",
            self.scope
        );
        TurnError { code: "price_unknown".to_owned(), message }
    }
}

const EXCEEDED: &str = "budget_exceeded";

impl Capped {
    /// Returns the error of a turn whose last answer was cut where the budget ended.
    #[must_use]
    pub fn cut(self) -> TurnError {
        let Self { max_output_tokens, scope, unit } = self;
        let message = format!(
            "the answer was cut at {max_output_tokens} tokens, all that the budget of {scope} had left; {}",
            way_on(scope, unit)
        );
        TurnError { code: EXCEEDED.to_owned(), message }
    }
}

fn way_on(scope: Scope, unit: Unit) -> String {
    let key = match unit {
        Unit::Tokens => "tokens",
        Unit::Usd => "usd",
        Unit::Steps => "steps",
    };
    match scope {
        Scope::Turn => {
            format!("send a message to go on in a new turn, or raise `spec.budget.turn.{key}` in agent.yaml")
        }
        Scope::Session => format!("go on in a new session, or raise `spec.budget.session.{key}` in agent.yaml"),
        Scope::Day => format!("go on after midnight UTC, or raise `spec.budget.day.{key}` in agent.yaml"),
        Scope::WorkspaceDay => {
            format!("go on after midnight UTC, or raise `budget.day.{key}` in outlive.yaml and restart the server")
        }
    }
}

impl Unit {
    fn shown(self, count: u64) -> String {
        match self {
            Self::Usd => Usd(count).to_string(),
            Self::Tokens | Self::Steps => count.to_string(),
        }
    }

    fn amount(self, count: u64) -> String {
        match self {
            Self::Usd => Usd(count).to_string(),
            Self::Tokens => format!("{count} tokens"),
            Self::Steps => format!("{count} steps"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "the turn",
            Self::Session => "the session",
            Self::Day => "the agent's day",
            Self::WorkspaceDay => "the workspace's day",
        })
    }
}

#[cfg(test)]
mod tests;
