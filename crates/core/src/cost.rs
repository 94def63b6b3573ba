//! What tokens cost: prices as whole numbers, so that the same tokens always cost the same.

use std::fmt;

use crate::content::Usage;

/// Prices of a model, in billionths of a US dollar for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// Input that was neither read from nor written to a cache.
    pub input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// What a request costs that has more input.
    pub above: Option<Above>,
}

/// Prices of a request whose input, cached or not, is larger than most: for all of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Above {
    /// Tokens of input that do not cost so much yet.
    pub tokens: u64,
    /// As in [`Prices`].
    pub input: u64,
    /// As in [`Prices`].
    pub output: u64,
    /// As in [`Prices`].
    pub cache_read: u64,
    /// As in [`Prices`].
    pub cache_write: u64,
}

/// Tokens that a price is for.
const PER: u128 = 1_000_000;

impl Prices {
    /// Returns what each token of a request with so much input costs.
    #[must_use]
    pub fn at(&self, input_tokens: u64) -> Self {
        match self.above {
            Some(Above { tokens, input, output, cache_read, cache_write }) if input_tokens > tokens => {
                Self { input, output, cache_read, cache_write, above: None }
            }
            Some(_) | None => Self { above: None, ..*self },
        }
    }

    /// Returns what these tokens cost, in billionths of a US dollar, rounded up.
    #[must_use]
    pub fn of(&self, usage: Usage) -> u64 {
        let each = self.at(usage.all_input());
        let priced = [
            (usage.input_tokens, each.input),
            (usage.output_tokens, each.output),
            (usage.cache_read_tokens, each.cache_read),
            (usage.cache_write_tokens, each.cache_write),
        ];
        whole(priced.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).sum())
    }

    /// Returns the most that this much input can cost: as if all of it were of the dearest kind.
    #[must_use]
    pub fn input_at_most(&self, tokens: u64) -> u64 {
        let each = self.at(tokens);
        let dearest = each.input.max(each.cache_read).max(each.cache_write);
        whole(u128::from(tokens) * u128::from(dearest))
    }

    /// Returns how many tokens of output this much pays for, where there is little input.
    #[must_use]
    pub fn output_for(&self, nano_usd: u64) -> u64 {
        let tokens = (u128::from(nano_usd) * PER).checked_div(u128::from(self.output));
        tokens.map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

fn whole(sum: u128) -> u64 {
    u64::try_from(sum.div_ceil(PER)).unwrap_or(u64::MAX)
}

impl Usage {
    /// Returns one step's tokens as they go into the journal: counted as a step, with what they cost if the provider or
    /// the catalogue says.
    #[must_use]
    pub fn counted(self, prices: Option<&Prices>) -> Self {
        let charged = Some(self.cost_nano_usd).filter(|nano| *nano > 0);
        let cost = charged.or_else(|| prices.map(|prices| prices.of(self)));
        Self { cost_nano_usd: cost.unwrap_or(0), steps: 1, priced_steps: u64::from(cost.is_some()), ..self }
    }

    /// Returns all tokens, of input and output.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.all_input().saturating_add(self.output_tokens)
    }

    /// Returns what it cost, for a person: `$0.0042`, `at least $0.0042` where the cost of some steps is not known, or
    /// nothing where that of none is.
    #[must_use]
    pub fn cost_shown(self) -> Option<String> {
        self.charged()?;
        let at_least = if self.priced_steps < self.steps { "at least " } else { "" };
        Some(format!("{at_least}{}", Usd(self.cost_nano_usd)))
    }
}

/// An amount in billionths of a US dollar. Shown in cents from ten dollars up, and with more digits the less it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usd(pub u64);

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = self.0 as f64 / 1e9;
        match self.0 {
            0 => f.write_str("$0"),
            1..1_000 => f.write_str("$0.000001"),
            1_000..10_000_000 => write!(f, "${dollars:.6}"),
            10_000_000..10_000_000_000 => write!(f, "${dollars:.4}"),
            10_000_000_000.. => write!(f, "${dollars:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SONNET: Prices = Prices {
        input: 3_000_000_000,
        output: 15_000_000_000,
        cache_read: 300_000_000,
        cache_write: 3_750_000_000,
        above: None,
    };

    #[test]
    fn every_kind_of_token_has_its_price() {
        let usage = |input_tokens, output_tokens, cache_read_tokens, cache_write_tokens| Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            ..Usage::default()
        };
        let check = |usage: Usage, nano: u64| assert_eq!(SONNET.of(usage), nano, "{usage:?}");
        check(usage(1_000_000, 0, 0, 0), 3_000_000_000);
        check(usage(1, 0, 0, 0), 3_000);
        check(usage(0, 1, 0, 0), 15_000);
        check(usage(10, 10, 10, 10), 30_000 + 150_000 + 3_000 + 37_500);
        check(usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        let cheap = Prices { input: 1, ..Prices::default() };
        assert_eq!(cheap.of(usage(1, 0, 0, 0)), 1, "rounded up: what costs is never free");
    }

    #[test]
    fn the_most_that_input_can_cost_is_as_if_it_were_written_to_the_cache() {
        assert_eq!(SONNET.input_at_most(1_000), 3_750_000);
        assert_eq!(SONNET.output_for(15_000 * 7 + 14_999), 7);
        assert_eq!(Prices::default().output_for(0), u64::MAX, "what is free is never used up");
    }

    #[test]
    fn a_request_with_more_input_costs_more_with_all_of_its_tokens() {
        let above = Above { tokens: 100, input: 10_000_000, output: 20_000_000, cache_read: 1_000_000, cache_write: 0 };
        let prices = Prices { input: 1_000_000, output: 2_000_000, above: Some(above), ..Prices::default() };
        let usage = |input_tokens, cache_read_tokens| Usage {
            input_tokens,
            output_tokens: 10,
            cache_read_tokens,
            ..Usage::default()
        };
        assert_eq!(prices.of(usage(100, 0)), 100 + 20);
        assert_eq!(prices.of(usage(61, 40)), 610 + 40 + 200, "what was read from the cache is input, too");
        assert_eq!((prices.input_at_most(100), prices.input_at_most(101)), (100, 1_010));
        assert_eq!((prices.at(100).output_for(200), prices.at(101).output_for(200)), (100, 10));
    }

    #[test]
    fn what_the_provider_charged_counts_before_the_catalogue_and_unknown_is_not_zero() {
        let usage = Usage { input_tokens: 10, ..Usage::default() };
        let worked_out = usage.counted(Some(&SONNET));
        assert_eq!((worked_out.cost_nano_usd, worked_out.steps, worked_out.priced_steps), (30_000, 1, 1));
        let charged = Usage { cost_nano_usd: 7, ..usage }.counted(Some(&SONNET));
        assert_eq!((charged.cost_nano_usd, charged.priced_steps), (7, 1));
        let unknown = usage.counted(None);
        assert_eq!((unknown.charged(), unknown.cost_shown(), unknown.steps), (None, None, 1));
        let free = usage.counted(Some(&Prices::default()));
        assert_eq!((free.charged(), free.cost_shown()), (Some(0.0), Some("$0".to_owned())));
        let mut sum = worked_out;
        sum.add(unknown);
        assert_eq!(sum.cost_shown(), Some("at least $0.000030".to_owned()));
    }

    #[test]
    fn small_amounts_are_not_shown_as_nothing() {
        let check = |nano: u64, shown: &str| assert_eq!(Usd(nano).to_string(), shown);
        check(0, "$0");
        check(1, "$0.000001");
        check(12_600, "$0.000013");
        check(12_345_678, "$0.0123");
        check(1_234_567_890, "$1.2346");
        check(12_345_678_900, "$12.35");
    }
}
