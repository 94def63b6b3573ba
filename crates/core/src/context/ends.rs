//! Beginning and end of a text that has more tokens than a request is to spend on it.
//!
//! Invariant: what is left has at most as many tokens as it may, whatever script it is in.

use super::Counter;

/// Returns a text without its middle where it has more than so many tokens; `None` where all of it fits.
#[must_use]
pub fn ends(text: &str, most: u32, counter: &dyn Counter) -> Option<String> {
    // No token has less than a byte.
    let tokens = if text.len() <= most as usize { 0 } else { counter.count(text) };
    if tokens <= most {
        return None;
    }
    let mut bytes = text.len() as u64 * u64::from(most) / u64::from(tokens);
    loop {
        let kept = without_middle(text, usize::try_from(bytes).unwrap_or(usize::MAX));
        if bytes == 0 || counter.count(&kept) <= most {
            return Some(kept);
        }
        bytes = bytes * 7 / 8;
    }
}

/// Three parts of it from the beginning, four from the end, where most commands say what came of them.
fn without_middle(text: &str, bytes: usize) -> String {
    let head = text.floor_char_boundary(bytes / 7 * 3);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(bytes / 7 * 4)).max(head);
    let (head, left_out, tail) =
        (text.get(..head).unwrap_or_default(), tail - head, text.get(tail..).unwrap_or_default());
    format!("{head}\n[… {left_out} bytes left out …]\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many characters make a token.
    struct Chars(u32);

    impl Counter for Chars {
        fn count(&self, text: &str) -> u32 {
            u32::try_from(text.chars().count()).unwrap().div_ceil(self.0)
        }
    }

    #[test]
    fn what_is_too_long_keeps_its_ends_within_its_tokens_in_any_script() {
        let lines: String = (0..4_000).map(|n| format!("line {n}\n")).collect();
        for text in [lines, "漢字".repeat(8_000), "é🦀".repeat(9_000), "QUJD".repeat(8_000)] {
            for chars in [1, 2, 4] {
                let kept = ends(&text, 2_000, &Chars(chars)).unwrap();
                let (head, tail) = kept.split_once("\n[… ").unwrap();
                let tail = tail.split_once(" …]\n").unwrap().1;
                assert!(text.starts_with(head) && text.ends_with(tail), "{kept}");
                let tokens = Chars(chars).count(&kept);
                assert!((1_500..=2_000).contains(&tokens), "{chars}: {tokens}");
            }
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        for text in ["", "short", &"x".repeat(2_000)] {
            assert_eq!(ends(text, 2_000, &Chars(1)), None);
        }
        assert_eq!(ends("abc", 0, &Chars(1)).unwrap(), "\n[… 3 bytes left out …]\n");
    }
}
