//! What sort of evening a seed is: a plain one, one in a window that is nearly full, one with memory on, one with loops, one of relays; or several of
//! these at once.

use outlive_core::context::{Percent, Window};

use crate::rng::Rng;

#[derive(Debug, Clone, Copy)]
pub struct Evening {
    pub narrow: Option<Narrow>,
    pub remembers: bool,
    pub loops: bool,
    pub tours: bool,
}

/// A window that a few messages fill.
#[derive(Debug, Clone, Copy)]
pub struct Narrow {
    /// Tokens that a request may have, as the agent's files say.
    pub said: u64,
    /// Tokens that the model takes: what is longer it refuses.
    pub takes: u64,
    /// Whether what its refusals say counts more than what the files say.
    pub learns: bool,
}

/// Tokens of a reply.
const OUTPUT: u64 = 100;

impl Evening {
    /// A third is narrow, a quarter remembers, for that takes longer, of which a third is narrow, too; a fifth has loops, a sixth has relays.
    pub fn of(seed: u64) -> Self {
        let own = Rng::new(!seed);
        let said = [1_600, 2_200, 3_500, 6_000][usize::try_from(own.below(4)).unwrap()];
        let takes: u64 = if own.chance(60) { said } else { said * (60 + own.below(40)) / 100 };
        // What the files say has its place in it, and a few words.
        let takes = takes.max(1_200);
        let is_narrow = seed % 3 == 1;
        let (remembers, loops) = (seed % 6 == 2 || seed % 12 == 4, seed % 5 == 2 && seed % 6 != 5);
        let mut narrow = Narrow { said, takes, learns: own.chance(50) };
        // What is remembered has its part of what the files say: of less, and with more said than there is, too little may be left for
        // ever.
        if remembers && said < 3_500 {
            narrow = Narrow { said: said + 2_500, takes: takes + 2_500, ..narrow };
        }
        Self { narrow: is_narrow.then_some(narrow), remembers, loops, tours: seed % 6 == 5 }
    }

    /// Returns the model's window, as far as is known.
    pub fn window(&self, learned: Option<u64>) -> Window {
        let Some(Narrow { said, learns, .. }) = self.narrow else { return Window::default() };
        let usable = learned.filter(|_| learns).map_or(said, |learned| learned.saturating_sub(OUTPUT).min(said));
        let percent = Percent { warn: 60, soft: 70, hard: 90 };
        Window { tokens: usable + OUTPUT, output: OUTPUT, buffer: 0, input: None, percent, soft_cap: None }
    }
}
