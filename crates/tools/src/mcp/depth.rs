//! Counts how deep a message is nested, as its bytes come: one that no reader takes is refused by its name, before it is read.

/// Levels of a message. The reader gives up a little above, without a word to whom the message belongs.
pub(super) const LEVELS: usize = 100;

/// Where in a message the last byte was.
#[derive(Debug, Default)]
pub(super) struct Depth {
    level: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Depth {
    /// Goes on with these bytes, and says whether a message in them is nested deeper than [`LEVELS`].
    pub fn passes(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.step(*byte) > LEVELS)
    }

    fn step(&mut self, byte: u8) -> usize {
        match byte {
            // A message ends with its line.
            b'\n' => *self = Self::default(),
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_text => self.is_escaped = true,
            b'"' => self.is_text = !self.is_text,
            b'{' | b'[' if !self.is_text => self.level += 1,
            b'}' | b']' if !self.is_text => self.level = self.level.saturating_sub(1),
            _other => {}
        }
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, passes: bool) {
        assert_eq!(Depth::default().passes(message.as_bytes()), passes, "{message:.40}");
        let mut depth = Depth::default();
        assert_eq!(message.bytes().any(|byte| depth.passes(&[byte])), passes, "byte by byte: {message:.40}");
    }

    #[test]
    fn only_what_is_nested_counts() {
        check(&"[".repeat(LEVELS), false);
        check(&"[".repeat(LEVELS + 1), true);
        check(&r#"{"a":"#.repeat(LEVELS + 1), true);
        check(&"[]".repeat(LEVELS * 2), false);
        check(&format!(r#"{{"a":"{}"}}"#, "[".repeat(LEVELS * 2)), false);
        check(&format!(r#"{{"a":"\"{}"}}"#, "[".repeat(LEVELS * 2)), false);
        check(&format!(r#"{{"a":"\\"}}{}"#, "[".repeat(LEVELS * 2)), true);
        check(&"[[[\n".repeat(LEVELS), false);
    }
}
