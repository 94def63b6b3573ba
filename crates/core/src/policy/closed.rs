//! What stays closed to a call that was allowed as a whole: a walk that starts above a denied folder passes by it.

use super::Rule;

/// Paths that a walk leaves out. Empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed(Vec<Rule>);

impl Closed {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether a rule closes this path: absolute, and its real name.
    #[must_use]
    pub fn is_closed(&self, path: &str) -> bool {
        self.0.iter().any(|rule| rule.covers(path))
    }
}
