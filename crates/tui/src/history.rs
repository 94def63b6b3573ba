//! What was sent before: found again with Up and Down, bounded, without repeats in a row.

/// Texts kept.
pub const KEPT: usize = 1_000;

/// What was sent, oldest first, and where in it the person is.
#[derive(Debug, Default)]
pub struct History {
    sent: Vec<String>,
    at: Option<usize>,
    /// What was being typed before going back.
    draft: String,
}

impl History {
    /// Begins with what was sent before, oldest first.
    #[must_use]
    pub fn of(sent: Vec<String>) -> Self {
        let mut history = Self::default();
        for text in sent {
            history.push(text);
        }
        history
    }

    /// Adds what was sent; says whether it is new.
    pub fn push(&mut self, text: String) -> bool {
        self.at = None;
        if text.trim().is_empty() || self.sent.last() == Some(&text) {
            return false;
        }
        if self.sent.len() == KEPT {
            self.sent.remove(0);
        }
        self.sent.push(text);
        true
    }

    /// Goes back by one from what is in the box.
    pub fn before(&mut self, text: &str) -> Option<&str> {
        let at = self.at.unwrap_or(self.sent.len()).checked_sub(1)?;
        if self.at.is_none() {
            text.clone_into(&mut self.draft);
        }
        self.at = Some(at);
        self.sent.get(at).map(String::as_str)
    }

    /// Goes on by one; after the last comes what was being typed.
    pub fn after(&mut self) -> Option<&str> {
        let at = self.at? + 1;
        self.at = (at < self.sent.len()).then_some(at);
        Some(self.sent.get(at).map_or(self.draft.as_str(), String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_goes_back_and_down_returns_to_what_was_being_typed() {
        let mut history = History::of(["one", "two", "two", " ", "three"].map(String::from).into());
        assert_eq!(history.before("draft"), Some("three"));
        assert_eq!(history.before("three, changed"), Some("two"));
        assert_eq!(history.before("two"), Some("one"));
        assert_eq!(history.before("one"), None);
        assert_eq!(history.after(), Some("two"));
        assert_eq!(history.after(), Some("three"));
        assert_eq!(history.after(), Some("draft"));
        assert_eq!(history.after(), None);
    }

    #[test]
    fn it_is_bounded_and_begins_anew_after_a_send() {
        let mut history = History::of((0..KEPT + 10).map(|n| n.to_string()).collect());
        assert_eq!(history.sent.len(), KEPT);
        assert_eq!(history.sent[0], "10");
        history.before("");
        assert!(history.push("last".to_owned()));
        assert!(!history.push("last".to_owned()));
        assert_eq!(history.before(""), Some("last"));
    }
}
