//! Counts tokens with the vocabulary o200k, whichever model is asked: one count a text, that stays true.
//!
//! Invariants: nobody waits for the vocabulary, which is read on a thread of its own when it is first asked for; a text is
//! counted in pieces, since what is one word for the vocabulary's patterns may be a million bytes.

use std::sync::Arc;

use outlive_core::context::Counter;

/// Returns what counts tokens in this build.
#[must_use]
pub fn counter() -> Arc<dyn Counter> {
    #[cfg(feature = "tokens")]
    return Arc::new(vocabulary::Vocabulary::default());
    #[cfg(not(feature = "tokens"))]
    return Arc::new(outlive_core::context::Rough);
}

#[cfg(feature = "tokens")]
pub use vocabulary::Vocabulary;

#[cfg(feature = "tokens")]
mod vocabulary {
    use std::sync::{Arc, Once, OnceLock};

    use outlive_core::context::{Counter, Rough};
    use tiktoken_rs::CoreBPE;

    /// Bytes that are counted at once.
    const PIECE: usize = 16 << 10;

    /// The vocabulary, once it is read.
    pub struct Vocabulary {
        read: Arc<OnceLock<CoreBPE>>,
        begun: Once,
    }

    impl Default for Vocabulary {
        fn default() -> Self {
            Self { read: Arc::default(), begun: Once::new() }
        }
    }

    impl Vocabulary {
        /// Reads it now, and waits for it.
        #[must_use]
        pub fn read() -> Self {
            let vocabulary = Self::default();
            read(&vocabulary.read);
            vocabulary
        }

        /// Returns it if it is there, and has it read if nobody asked for it before.
        fn ready(&self) -> Option<&CoreBPE> {
            if self.read.get().is_none() {
                self.begun.call_once(|| {
                    let into = Arc::clone(&self.read);
                    // Where the system has no thread to spare, counts stay rough.
                    std::thread::Builder::new().name("vocabulary".to_owned()).spawn(move || read(&into)).ok();
                });
            }
            self.read.get()
        }
    }

    fn read(into: &OnceLock<CoreBPE>) {
        if let Ok(vocabulary) = tiktoken_rs::o200k_base() {
            into.set(vocabulary).ok();
        }
    }

    impl Counter for Vocabulary {
        fn count(&self, text: &str) -> u32 {
            let Some(vocabulary) = self.ready() else { return Rough.count(text) };
            let count = pieces(text).map(|piece| vocabulary.count_ordinary(piece)).sum::<usize>();
            u32::try_from(count).unwrap_or(u32::MAX)
        }

        fn is_exact(&self) -> bool {
            self.ready().is_some()
        }
    }

    /// Cuts a text where no token crosses; where there is no such place for long, between characters.
    fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            let most = text.floor_char_boundary(PIECE.min(text.len()));
            let is_all = most == text.len();
            let cut = if is_all { None } else { seam(text.as_bytes().get(..most).unwrap_or_default()) };
            let (piece, rest) = text.split_at(cut.unwrap_or(most));
            text = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Returns where a space follows something that is none: tokens begin with spaces, and do not go on with them.
    fn seam(bytes: &[u8]) -> Option<usize> {
        let is_seam = |pair: &[u8]| matches!(pair, [before, b' '] if before.is_ascii_graphic());
        bytes.windows(2).rposition(is_seam).map(|at| at + 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pieces_are_the_text_and_end_between_characters() {
            for text in ["", "a", &"漢".repeat(20_000), &"é".repeat(PIECE), &" ".repeat(3 * PIECE)] {
                assert_eq!(pieces(text).collect::<String>(), text);
                assert!(
                    pieces(text).all(|piece| piece.len() <= PIECE && piece.len() > PIECE - 4 || text.ends_with(piece))
                );
            }
        }

        #[test]
        fn what_is_counted_in_pieces_is_what_all_of_it_has() {
            let vocabulary = Vocabulary::read();
            let whole = vocabulary.ready().unwrap();
            let mut dice = outlive_core::context::sample::Dice::new(7);
            for text in
                [dice.prose(1_500), dice.code(2_500), "Das  ist – so “gesagt”,\n\n  é!? 漢字 (x) /\r\n ".repeat(3_000)]
            {
                assert!(text.len() > 4 * PIECE);
                assert_eq!(vocabulary.count(&text) as usize, whole.count_ordinary(&text));
            }
        }

        #[test]
        fn zz_measure() {
            let vocabulary = Vocabulary::read();
            let mut dice = outlive_core::context::sample::Dice::new(7);
            let mut x = 88172645463325252_u64;
            let mut b64 = String::new();
            while b64.len() < 70_000 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                b64.push(
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".as_bytes()
                        [(x >> 20) as usize % 64] as char,
                );
            }
            let mut cjk = String::new();
            while cjk.len() < 70_000 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                cjk.push(char::from_u32(0x4e00 + ((x >> 20) % 3000) as u32).unwrap());
                if x % 17 == 0 {
                    cjk.push('，');
                }
            }
            let mut lower = String::new();
            while lower.len() < 70_000 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                lower.push((b'a' + ((x >> 20) % 26) as u8) as char);
            }
            let hex: String = b64.bytes().map(|b| format!("{b:02x}")).collect();
            for (name, text) in [
                ("code", dice.code(2_000)),
                ("prose", dice.prose(1_000)),
                ("b64", b64),
                ("cjk", cjk),
                ("a", "a".repeat(70_000)),
                ("lower", lower),
                ("hex", hex),
                ("spaces", " ".repeat(70_000)),
                ("newlines", "\n".repeat(70_000)),
                ("=", "=".repeat(70_000)),
                ("emoji", "🦀👩‍🚀".repeat(9_000)),
                ("punct", "!?.,;:".repeat(9_000)),
                ("cjk1", "漢".repeat(20_000)),
                ("mixed", "aB3$".repeat(20_000)),
            ] {
                let text = &text[..text.floor_char_boundary(16 << 10)];
                for cut in [16 << 10, 1024, 256, 96, 48] {
                    let mut best = f64::MAX;
                    let mut n = 0;
                    for _ in 0..7 {
                        let began = std::time::Instant::now();
                        n = 0;
                        let mut rest = text;
                        while !rest.is_empty() {
                            let (a, b) = rest.split_at(rest.floor_char_boundary(cut.min(rest.len())));
                            n += vocabulary.ready().unwrap().count_ordinary(a);
                            rest = b;
                        }
                        best = best.min(began.elapsed().as_secs_f64() * 1000.0);
                    }
                    println!("{name} cut {cut}: {n} tokens {best:.3} ms");
                }
            }
        }

        #[test]
        fn a_million_spaces_are_counted_like_any_text() {
            let vocabulary = Vocabulary::read();
            assert_eq!(vocabulary.count("hello world"), 2);
            assert_eq!(vocabulary.count(""), 0);
            for text in [" ", "a", "\n", "漢", "="] {
                let count = vocabulary.count(&text.repeat(1_000_000));
                assert!((1_000..=1_000_000).contains(&count), "{text:?}: {count}");
            }
        }

        #[test]
        fn nobody_waits_for_the_vocabulary() {
            let vocabulary = Vocabulary::default();
            let first = vocabulary.count("four bytes count as one");
            assert_eq!(first, 6);
            // It is read meanwhile; from then on the same text has one count for good.
            while !vocabulary.is_exact() {
                std::thread::yield_now();
            }
            assert_eq!(vocabulary.count("four bytes count as one"), 5);
        }
    }
}

#[cfg(all(test, not(feature = "tokens")))]
mod tests {
    #[test]
    fn a_build_without_a_vocabulary_counts_by_bytes_and_writes_no_count_down() {
        let counter = super::counter();
        assert_eq!((counter.count("four bytes count as one"), counter.is_exact()), (6, false));
    }
}
