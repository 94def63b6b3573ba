//! Merges what a model says has changed into a summary.
//!
//! Invariants: constraints, decisions and pinned items outlast every change; an id that is not known changes nothing; no id is
//! given twice.

use super::{Added, Change, Item, Open, Section, Summary, Updated};
use crate::event::Aside;
use crate::id::Seq;

/// Characters of an item's text.
const TEXT_CHARS: usize = 1_200;
/// Items that one change may add.
const ADDED: usize = 100;
/// Sources of an item.
const SOURCES: usize = 20;
/// Letters of items that stand for what the session itself knows: they are made anew each time.
const OWN: [&str; 3] = ["todo", "call", "check"];

impl Summary {
    /// Returns it with a change that comes from these events.
    #[must_use]
    pub fn merged(mut self, change: &Change, from: Aside) -> Self {
        let said = |text: &Option<String>| text.as_deref().map(shortened).filter(|text| !text.is_empty());
        self.goal = said(&change.goal).unwrap_or(self.goal);
        self.next_step = said(&change.next_step).unwrap_or(self.next_step);
        self.items.retain(|item| !change.drop.contains(&item.id) || item.stays());
        for item in self.items.iter_mut().filter(|item| change.resolve.contains(&item.id)) {
            if !item.stays() {
                item.section = Section::Completed;
            }
        }
        for updated in &change.update {
            self.update(updated, from);
        }
        for added in change.add.iter().take(ADDED) {
            self.add(added, from);
        }
        self
    }

    fn update(&mut self, updated: &Updated, from: Aside) {
        let text = updated.text.as_deref().map(shortened).filter(|text| !text.is_empty());
        let Some(item) = self.items.iter_mut().find(|item| item.id == updated.id) else { return };
        if item.stays() {
            // It stays as it is, and what is said of it now stands beside it.
            let added = text.filter(|text| *text != item.text).map(|text| (item.section, text));
            if let Some((section, text)) = added {
                self.add(&Added { section, text, sources: vec![from.last] }, from);
            }
            return;
        }
        item.text = text.unwrap_or_else(|| std::mem::take(&mut item.text));
        item.section = updated.section.unwrap_or(item.section);
    }

    /// Adds an item under a fresh id, unless it is there already.
    pub(super) fn add(&mut self, added: &Added, from: Aside) {
        let text = shortened(&added.text);
        let known = |item: &Item| item.section == added.section && item.text == text;
        if text.is_empty() || self.items.iter().any(known) {
            return;
        }
        let mut sources: Vec<Seq> =
            added.sources.iter().copied().filter(|seq| (from.first..=from.last).contains(seq)).take(SOURCES).collect();
        if sources.is_empty() {
            sources.push(from.last);
        }
        self.last_id = self.last_id.saturating_add(1);
        let id = format!("{}{}", added.section.letter(), self.last_id);
        self.items.push(Item { id, section: added.section, text, sources, pinned: false });
    }

    /// Puts in what the session itself knows, in place of what it knew before. The ids count up from 1 for each kind.
    #[must_use]
    pub fn with_open(mut self, open: &[Open]) -> Self {
        self.items.retain(|item| !OWN.iter().any(|own| item.id.starts_with(own)));
        for Open { own, section, text } in open {
            let at = self.items.iter().filter(|item| item.id.starts_with(own)).count() + 1;
            let (id, sources) = (format!("{own}{at}"), Vec::new());
            self.items.push(Item { id, section: *section, text: text.clone(), sources, pinned: false });
        }
        self
    }

    /// Cuts what comes from elsewhere to the length that a change could give it.
    #[must_use]
    pub fn with_bounds(self) -> Self {
        Self { goal: shortened(&self.goal), ..self }
    }

    /// Leaves out what matters least, oldest first, until it has at most so many tokens. What must stay stays.
    #[must_use]
    pub fn within(mut self, tokens: u64) -> Self {
        for section in [Section::Completed, Section::Facts, Section::Files, Section::Blockers] {
            while self.tokens() > tokens {
                let oldest = self.items.iter().position(|item| item.section == section && !item.stays());
                let Some(oldest) = oldest else { break };
                self.items.remove(oldest);
            }
        }
        let mut longest = TEXT_CHARS;
        while self.tokens() > tokens && longest > 40 {
            longest /= 2;
            for item in self.items.iter_mut().filter(|item| item.section != Section::Constraints && !item.pinned) {
                item.text = cut(&item.text, longest);
            }
            self.goal = cut(&self.goal, longest.max(120));
            self.next_step = cut(&self.next_step, longest.max(120));
        }
        self
    }

    /// Returns about the tokens that it takes in a request.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.render(Aside { first: 1, last: 1 }, 1).len() as u64 / 4 + 1
    }
}

impl Item {
    /// Says whether no reply of a model takes it away.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.pinned || self.section.is_binding()
    }
}

fn shortened(text: &str) -> String {
    cut(text.trim(), TEXT_CHARS)
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Aside = Aside { first: 10, last: 20 };

    fn added(section: Section, text: &str) -> Added {
        Added { section, text: text.to_owned(), sources: vec![12, 99] }
    }

    fn known() -> Summary {
        let add = vec![
            added(Section::Constraints, "never push"),
            added(Section::Decisions, "use sqlite"),
            added(Section::Facts, "it is slow"),
            added(Section::Pending, "write the docs"),
        ];
        Summary::default().merged(&Change { add, ..Change::default() }, HERE)
    }

    fn shown(summary: &Summary) -> Vec<String> {
        summary.items.iter().map(|item| format!("{} {} {}", item.id, item.section.as_str(), item.text)).collect()
    }

    #[test]
    fn a_change_adds_updates_resolves_and_drops() {
        let change = Change {
            update: vec![Updated { id: "f3".into(), text: Some("it is fast".into()), section: None }],
            resolve: vec!["p4".into()],
            add: vec![added(Section::Facts, "new")],
            ..Change::default()
        };
        let after = known().merged(&change, HERE);
        assert_eq!(
            shown(&after),
            [
                "k1 constraints never push",
                "d2 decisions use sqlite",
                "f3 facts it is fast",
                "p4 completed write the docs",
                "f5 facts new"
            ]
        );
        assert_eq!(after.items[0].sources, [12]);
        let dropped = after.merged(&Change { drop: vec!["f5".into()], ..Change::default() }, HERE);
        let again = dropped.merged(&Change { add: vec![added(Section::Facts, "newer")], ..Change::default() }, HERE);
        assert_eq!(shown(&again).last().map(String::as_str), Some("f6 facts newer"));
    }

    #[test]
    fn no_change_takes_away_a_constraint_a_decision_or_what_is_pinned() {
        let mut before = known();
        before.items[2].pinned = true;
        let ids: Vec<String> = before.items.iter().map(|item| item.id.clone()).collect();
        let (text, section) = (Some("nonsense".to_owned()), Some(Section::Completed));
        let update = ids.iter().map(|id| Updated { id: id.clone(), text: text.clone(), section }).collect();
        let change = Change { update, drop: ids.clone(), resolve: ids, ..Change::default() };
        let after = before.clone().merged(&change, HERE);
        for item in before.items.iter().filter(|item| item.stays()) {
            assert!(after.items.contains(item), "{item:?} is gone: {:?}", shown(&after));
        }
        assert!(!after.items.iter().any(|item| item.id == "p4"));
    }

    #[test]
    fn a_summary_that_is_too_long_loses_what_matters_least_first() {
        let many = (0..200).map(|n| added(Section::Completed, &format!("did {n} {}", "x".repeat(40)))).take(100);
        let full = known().merged(&Change { add: many.collect(), ..Change::default() }, HERE);
        let less = full.clone().within(400);
        assert!(full.tokens() > 400 && less.tokens() <= 400, "{}", less.tokens());
        assert_eq!(shown(&less)[..2], ["k1 constraints never push", "d2 decisions use sqlite"]);
        assert_eq!(shown(&less).last(), shown(&full).last());
    }
}
