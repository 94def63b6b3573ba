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
    /// Bytes of letters, digits, spaces or signs in a row that no word, number, indentation or rule has.
    const LONG: usize = 80;
    /// Bytes of what is longer than that which are counted at once: merging takes the more for a byte the more there are.
    const PART: usize = 48;

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
            let parts = pieces(text).flat_map(parts);
            let count = parts.map(|part| vocabulary.count_ordinary(part)).sum::<usize>();
            u32::try_from(count).unwrap_or(u32::MAX)
        }

        fn is_exact(&self) -> bool {
            self.ready().is_some()
        }

        fn is_coming(&self) -> bool {
            self.ready().is_none()
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

    /// Cuts what is longer in a row than anything that is written; in any other text nothing.
    fn parts(mut text: &str) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            let mut at = 0;
            let cut = loop {
                let Some(run) = run(text.as_bytes().get(at..).unwrap_or_default()) else { break text.len() };
                match at {
                    0 if run > LONG => break PART,
                    at if run > LONG => break at,
                    _short => at += run,
                }
            };
            let (part, rest) = text.split_at(cut);
            text = rest;
            (!part.is_empty()).then_some(part)
        })
    }

    /// Returns how many bytes of one kind a text begins with, counted up to what is long; `None` where it has none.
    fn run(bytes: &[u8]) -> Option<usize> {
        let kind = kind(bytes.first()?);
        // What is not ASCII stays together: it is counted fast enough, and many of its words stand side by side.
        let most = if kind == Kind::Other { LONG } else { LONG + 1 };
        Some(bytes.iter().take(most).take_while(|byte| self::kind(byte) == kind).count())
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Letter,
        Digit,
        Space,
        Sign,
        Other,
    }

    fn kind(byte: &u8) -> Kind {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Kind::Letter,
            b'0'..=b'9' => Kind::Digit,
            b' ' | b'\t' | b'\r' | b'\n' => Kind::Space,
            0x80.. => Kind::Other,
            _sign => Kind::Sign,
        }
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
                [dice.prose(1_500), dice.code(2_500), "Il  était – “une fois”,\n\n  é!? 漢字 (x) /\r\n ".repeat(3_000)]
            {
                assert!(text.len() > 4 * PIECE);
                assert_eq!(vocabulary.count(&text) as usize, whole.count_ordinary(&text));
            }
        }

        #[test]
        fn what_no_word_is_as_long_as_is_counted_in_parts_that_are_the_text() {
            let long = |text: &str| text.repeat(1_000);
            for text in
                ["word ".repeat(99), long("a"), long(" "), long("=") + "é" + &long("漢"), long("x") + &long("\n")]
            {
                assert_eq!(parts(&text).collect::<String>(), text);
                assert!(parts(&text).all(|part| part.len() <= text.len().max(LONG)), "{text}");
            }
            let lengths = |text: &str| parts(text).map(str::len).collect::<Vec<_>>();
            assert_eq!(lengths(&format!("a {} b", "x".repeat(LONG))), [LONG + 4]);
            assert_eq!(lengths(&format!("a {} b", "x".repeat(LONG + 20))), [2, PART, 20 + LONG - PART + 2]);
        }

        /// Letters that nobody wrote, as long as a piece.
        fn drawn(letters: &str) -> String {
            let letters: Vec<char> = letters.chars().collect();
            let mut dice = outlive_core::context::sample::Dice::new(11);
            let bytes = |text: &String| text.len() < PIECE;
            let mut text = String::new();
            while bytes(&text) {
                text.push(letters[dice.throw(letters.len() as u64) as usize]);
            }
            text
        }

        const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const CHINESE: &str = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多";

        #[test]
        fn what_is_merged_at_once_is_bounded_and_so_is_how_often() {
            for letters in [BASE64, CHINESE, "0123456789abcdef", "a", " ", "\n", "=-", "aé"] {
                let text = drawn(letters).repeat(5);
                let parts: Vec<&str> = pieces(&text).flat_map(parts).collect();
                for part in &parts {
                    let runs = part.as_bytes().chunk_by(|a, b| kind(a) == kind(b));
                    let longest = runs.filter(|run| kind(&run[0]) != Kind::Other).map(<[u8]>::len).max();
                    assert!(part.len() <= PIECE && longest.unwrap_or(0) <= LONG, "{letters}: {longest:?}");
                }
                assert!(parts.len() <= text.len() / PART + text.len() / PIECE + 2, "{letters}: {} parts", parts.len());
            }
        }

        #[test]
        fn what_is_no_prose_is_counted_to_a_hundredth() {
            let vocabulary = Vocabulary::read();
            let whole = vocabulary.ready().unwrap();
            let lines =
                drawn(BASE64).as_bytes().chunks(76).map(|line| [line, b"\n"].concat()).collect::<Vec<_>>().concat();
            for text in [drawn(BASE64), String::from_utf8(lines).unwrap(), drawn(CHINESE), drawn("0123456789abcdef")] {
                let (counted, exact) = (vocabulary.count(&text) as usize, whole.count_ordinary(&text));
                assert!(counted.abs_diff(exact) * 100 <= exact, "{counted}, not {exact}: {:.40}", text);
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
