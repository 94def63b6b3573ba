//! What all agents share about a topic: how a tool changes it, so that none loses another's lines.

use super::{PAGE_BYTES, WRITTEN_BYTES};
use crate::digest::Digest;

/// What becomes of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The lines.
    pub text: String,
    /// The version of the text that they take the place of; without one they are added at its end.
    pub version: Option<String>,
}

/// Returns the version of a text: another text has another one.
#[must_use]
pub fn version(text: &str) -> String {
    Digest::of(text.as_bytes()).short().to_owned()
}

impl Told {
    /// Makes a topic's text of what it was: nothing where it says that already, so that it may be told twice.
    ///
    /// # Errors
    ///
    /// Why not, and the way out.
    pub fn make(&self, before: &str) -> Result<Option<String>, String> {
        if self.text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err("`text` has control characters: write plain Markdown".to_owned());
        }
        let after = match &self.version {
            None => self.added(before)?,
            Some(_) if before.trim_end() == self.text.trim_end() => return Ok(None),
            Some(seen) if *seen == version(before) => format!("{}\n", self.text.trim_end()),
            Some(seen) => {
                return Err(format!(
                    "somebody changed it since version `{seen}`: look at it again with `recall`, and bring both together"
                ));
            }
        };
        if after.len() > PAGE_BYTES {
            return Err(format!(
                "it would have {} bytes, of {PAGE_BYTES} that are shown: condense it, with its `version`",
                after.len()
            ));
        }
        Ok((after != before).then_some(after))
    }

    /// Adds the lines that it does not have.
    fn added(&self, before: &str) -> Result<String, String> {
        if self.text.trim().is_empty() {
            return Err("`text` is empty: say what is to be known".to_owned());
        }
        let is_new =
            |line: &&str| !line.trim().is_empty() && !before.lines().any(|it| it.trim_end() == line.trim_end());
        let mut after = before.to_owned();
        if self.text.lines().any(|line| is_new(&line)) && !(after.is_empty() || after.ends_with('\n')) {
            after.push('\n');
        }
        for line in self.text.lines().filter(is_new) {
            after.push_str(line.trim_end());
            after.push('\n');
        }
        Ok(after)
    }
}

const _: () = assert!(PAGE_BYTES <= WRITTEN_BYTES, "what is told can be written");

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, version: Option<String>) -> Told {
        Told { text: text.to_owned(), version }
    }

    #[test]
    fn lines_are_added_once_however_often_they_are_told() {
        let after = told("- a\n- b\n", None).make("- z").unwrap().unwrap();
        assert_eq!(after, "- z\n- a\n- b\n");
        assert_eq!(told("- b\n- a", None).make(&after), Ok(None));
        assert_eq!(told("- b\n- c", None).make(&after).unwrap().unwrap(), "- z\n- a\n- b\n- c\n");
        assert!(told(" \n", None).make("x").is_err());
    }

    #[test]
    fn a_text_takes_the_place_only_of_the_one_that_was_seen() {
        let seen = Some(version("- a\n"));
        assert_eq!(told("- A", seen.clone()).make("- a\n").unwrap().unwrap(), "- A\n");
        assert_eq!(told("- A", seen.clone()).make("- A\n"), Ok(None), "told again, it is so already");
        let lost = told("- A", seen).make("- a\n- b\n").unwrap_err();
        assert!(lost.contains("recall"), "{lost}");
    }

    #[test]
    fn what_would_be_shown_cut_or_is_no_text_is_refused() {
        assert!(told(&"x".repeat(PAGE_BYTES), None).make("").is_err());
        assert!(told("a\0b", None).make("").is_err());
        assert!(told("\u{1b}[2J", None).make("").is_err());
    }
}
