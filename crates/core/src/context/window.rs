//! How much a request may have, in tokens, and from which size on something is done about it.

use serde::{Deserialize, Serialize};

/// The room that a model has, and what its agent makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Tokens that a request and its reply may have together.
    pub tokens: u64,
    /// Tokens of the reply.
    pub output: u64,
    /// Tokens that stay free at least.
    pub buffer: u64,
    /// Tokens that a request may have, where the provider sets a limit of its own.
    pub input: Option<u64>,
    /// From where on people are warned, something is done beside the turn, and a request waits for it: in percent of what is
    /// usable.
    pub percent: Percent,
    /// Tokens from which on something is done beside the turn, whatever the percentage says; `None` leaves it to that.
    pub soft_cap: Option<u64>,
}

/// Parts of what is usable, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent {
    /// People are warned.
    pub warn: u64,
    /// Results are pruned, and a checkpoint is made beside the turn.
    pub soft: u64,
    /// The request waits for the checkpoint.
    pub hard: u64,
}

/// Tokens of a model of which nobody says how many it takes.
pub const WINDOW: u64 = 128_000;

impl Default for Window {
    fn default() -> Self {
        Self {
            tokens: WINDOW,
            output: 8_192,
            buffer: 4_096,
            input: None,
            percent: Percent { warn: 70, soft: 75, hard: 92 },
            soft_cap: Some(100_000),
        }
    }
}

impl Window {
    /// Returns the tokens that a request may have.
    #[must_use]
    pub fn usable(&self) -> u64 {
        let left = self.tokens.saturating_sub(self.output.max(self.buffer));
        self.input.map_or(left, |input| input.min(left))
    }

    /// Returns the tokens from which on people are warned.
    #[must_use]
    pub fn warn(&self) -> u64 {
        self.part(self.percent.warn)
    }

    /// Returns the tokens from which on something is done beside the turn.
    #[must_use]
    pub fn soft(&self) -> u64 {
        let part = self.part(self.percent.soft);
        self.soft_cap.map_or(part, |cap| cap.min(part))
    }

    /// Returns the tokens from which on a request waits.
    #[must_use]
    pub fn hard(&self) -> u64 {
        self.part(self.percent.hard)
    }

    /// Returns the same as what a step's event says of it.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { usable: self.usable(), warn: self.warn(), soft: self.soft(), hard: self.hard() }
    }

    fn part(&self, percent: u64) -> u64 {
        self.usable().saturating_mul(percent) / 100
    }
}

/// What a request may have, and from where on something is done about it, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Room {
    /// Tokens that a request may have.
    pub usable: u64,
    /// From here on people are warned.
    pub warn: u64,
    /// From here on something is done beside the turn.
    pub soft: u64,
    /// From here on a request waits for it.
    pub hard: u64,
}

/// How full a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// There is room.
    #[default]
    Ok,
    /// There is little.
    Warn,
    /// There is next to none.
    Hard,
}

impl Room {
    /// Returns how full it is with so many tokens.
    #[must_use]
    pub fn level(&self, tokens: u64) -> Level {
        match tokens {
            tokens if tokens >= self.hard => Level::Hard,
            tokens if tokens >= self.warn => Level::Warn,
            _little => Level::Ok,
        }
    }

    /// Returns how much of what is usable so many tokens are, in percent.
    #[must_use]
    pub fn percent(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(100).checked_div(self.usable).unwrap_or(100)
    }
}

impl Level {
    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Hard => "hard",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usable_leaves_room_for_the_reply_and_a_buffer() {
        let window = |tokens, output, buffer, input| Window { tokens, output, buffer, input, ..Window::default() };
        assert_eq!(window(200_000, 8_192, 4_096, None).usable(), 191_808);
        assert_eq!(window(200_000, 1_000, 4_096, None).usable(), 195_904);
        assert_eq!(window(200_000, 1_000, 4_096, Some(100_000)).usable(), 100_000);
        assert_eq!(window(4_000, 8_192, 4_096, None).usable(), 0);
    }

    #[test]
    fn the_soft_threshold_has_a_cap_that_can_be_lifted() {
        let large = Window { tokens: 1_000_000, ..Window::default() };
        assert_eq!((large.soft(), large.hard()), (100_000, 912_463));
        assert_eq!(Window { soft_cap: None, ..large }.soft(), 743_856);
        let small = Window { tokens: 32_000, ..Window::default() };
        assert_eq!((small.warn(), small.soft()), (16_665, 17_856));
    }
}
