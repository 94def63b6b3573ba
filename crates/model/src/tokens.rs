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

        fn is_coming(&self) -> bool {
            self.ready().is_none()
        }
    }

    /// Cuts a text between characters.
    fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE.min(text.len())));
            text = rest;
            (!piece.is_empty()).then_some(piece)
        })
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
