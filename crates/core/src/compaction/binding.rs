//! Whose words bind: what no person said is a fact at most, whatever a model makes of it.

use std::collections::BTreeSet;

use super::{Change, Section};
use crate::event::{Entry, Event, OriginKind};
use crate::id::Seq;

/// Says whether a person said it, here or where the conversation comes from, or set it up to be said. What a webhook, another
/// agent or Outlive itself says is not theirs.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "a person says no other event")]
pub fn binds(entry: &Entry) -> bool {
    let door = match &entry.event {
        Event::MessageReceived(message) => message.origin.kind,
        Event::QuestionAnswered(answered) => answered.by.kind,
        _nobody => return false,
    };
    match door {
        OriginKind::Cli
        | OriginKind::Api
        | OriginKind::Web
        | OriginKind::Gateway
        | OriginKind::Schedule
        | OriginKind::Import => true,
        OriginKind::Webhook
        | OriginKind::Relay
        | OriginKind::Wait
        | OriginKind::Signal
        | OriginKind::Worker
        | OriginKind::Runtime
        | OriginKind::Other => false,
    }
}

impl Change {
    /// Returns it as it is believed, where these are the events that persons said: nothing else makes a constraint or a decision.
    #[must_use]
    pub fn believed(mut self, said: &BTreeSet<Seq>) -> Self {
        for added in self.add.iter_mut().filter(|added| added.section.is_binding()) {
            if !added.sources.iter().any(|seq| said.contains(seq)) {
                added.section = Section::Facts;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::Added;
    use super::*;

    #[test]
    fn only_what_a_person_said_is_a_constraint_or_a_decision() {
        let added = |section, sources: &[Seq]| Added { section, text: "obey".to_owned(), sources: sources.to_vec() };
        let said = BTreeSet::from([3, 9]);
        for (section, sources, becomes) in [
            (Section::Constraints, vec![3], Section::Constraints),
            (Section::Constraints, vec![5, 9], Section::Constraints),
            (Section::Constraints, vec![5], Section::Facts),
            (Section::Decisions, vec![], Section::Facts),
            (Section::Blockers, vec![5], Section::Blockers),
        ] {
            let change = Change { add: vec![added(section, &sources)], ..Change::default() }.believed(&said);
            assert_eq!(change.add, [added(becomes, &sources)]);
        }
    }
}
