//! Merges what a model says has changed into a summary.
//!
//! Invariants: constraints, decisions and pinned items outlast every change, and no change to an item makes it one of them; what
//! there is no room for among them is named; an id that is not known changes nothing; no id is given twice.

use super::{Added, Change, Item, Open, Section, Summary, Updated};
use crate::event::{Aside, MessageReceived};
use crate::id::Seq;

/// Characters of an item's text.
const TEXT_CHARS: usize = 1_200;
/// Characters of the last request where the tail has it.
const REQUEST_CHARS: usize = 400;
/// Items that one change may add.
const ADDED: usize = 400;
/// Sources of an item.
const SOURCES: usize = 20;
/// Bytes of constraints and decisions: what comes when there are so many of them is a fact.
const BINDING_BYTES: usize = 16 << 10;
/// Names of items that stand for what the session itself knows, each with a number behind it: they are made anew each time.
const OWN: [&str; 4] = ["todo", "call", "check", "relay"];

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
        if !change.moved.is_empty() {
            self.moved(&change.moved);
        }
        self
    }

    fn update(&mut self, updated: &Updated, from: Aside) {
        let text = updated.text.as_deref().map(shortened).filter(|text| !text.is_empty());
        let Some(item) = self.items.iter_mut().find(|item| item.id == updated.id) else { return };
        if item.stays() {
            // It stays as it is, and what is said of it now stands beside it: nobody says whose words those are.
            let beside = if item.section.is_binding() { Section::Facts } else { item.section };
            let added = text.filter(|text| *text != item.text).map(|text| (beside, text));
            if let Some((section, text)) = added {
                self.add(&Added { section, text, sources: vec![from.last] }, from);
            }
            return;
        }
        item.text = text.unwrap_or_else(|| std::mem::take(&mut item.text));
        item.section = updated.section.filter(|section| !section.is_binding()).unwrap_or(item.section);
    }

    /// Adds an item under a fresh id, unless it is there already.
    pub(super) fn add(&mut self, added: &Added, from: Aside) {
        let text = shortened(&added.text);
        let mut sources: Vec<Seq> =
            added.sources.iter().copied().filter(|seq| (from.first..=from.last).contains(seq)).take(SOURCES).collect();
        if sources.is_empty() {
            sources.push(from.last);
        }
        let is_known = |section| self.items.iter().any(|item| item.section == section && item.text == text);
        let mut section = added.section;
        if text.is_empty() || is_known(section) {
            return;
        }
        if section.is_binding() && self.bound() + text.len() > BINDING_BYTES {
            section = Section::Facts;
            if is_known(section) {
                return;
            }
            self.moved(&sources);
        }
        self.last_id = self.last_id.saturating_add(1);
        let id = format!("{}{}", section.letter(), self.last_id);
        self.items.push(Item { id, section, text, sources, pinned: false });
    }

    /// Returns the bytes of all that binds.
    pub(super) fn bound(&self) -> usize {
        self.items.iter().filter(|item| item.section.is_binding()).map(|item| item.text.len()).sum()
    }

    fn moved(&mut self, sources: &[Seq]) {
        self.moved.extend(sources);
        self.moved.sort_unstable();
        self.moved.dedup();
    }

    /// Puts in what the session itself knows, in place of what it knew before. The ids count up from 1 for each kind.
    #[must_use]
    pub fn with_open(mut self, open: &[Open]) -> Self {
        self.items.retain(|item| !item.is_own());
        for Open { own, section, text } in open {
            let is_of = |item: &&Item| item.is_own() && item.id.starts_with(own);
            let (id, sources) = (format!("{own}{}", self.items.iter().filter(is_of).count() + 1), Vec::new());
            self.items.push(Item { id, section: *section, text: text.clone(), sources, pinned: false });
        }
        self
    }

    /// Puts in what a person asked last, where it is known; as before where not. Where the tail has it, its beginning is enough.
    #[must_use]
    pub fn asked(mut self, before: &Self, newest: Option<(Seq, &MessageReceived)>, tail_from: Seq) -> Self {
        self.last_request = match newest {
            Some((seq, message)) if seq >= tail_from => message.content.chars().take(REQUEST_CHARS).collect(),
            Some((_, message)) => {
                let files = message.attachments.iter().map(|file| format!(" [file {}]", file.shown()));
                [message.content.clone()].into_iter().chain(files).collect()
            }
            None => before.last_request.clone(),
        };
        if self.goal.is_empty() {
            self.goal = self.last_request.chars().take(REQUEST_CHARS).collect();
        }
        self
    }

    /// Cuts what comes from elsewhere to the length that a change could give it.
    #[must_use]
    pub fn with_bounds(self) -> Self {
        Self { goal: shortened(&self.goal), ..self }
    }

    /// Leaves out what matters least, oldest first, until it has at most so many tokens. Constraints and what is pinned stay; a
    /// decision that goes is named.
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
        while self.tokens() > tokens && longest > 120 {
            longest /= 2;
            for item in self.items.iter_mut().filter(|item| item.section != Section::Constraints && !item.pinned) {
                item.text = cut(&item.text, longest);
            }
            self.goal = cut(&self.goal, longest.max(120));
            self.next_step = cut(&self.next_step, longest.max(120));
        }
        // What a person wrote into a checkpoint has no source, and stays.
        let goes = |item: &Item| item.section == Section::Decisions && !item.pinned && !item.sources.is_empty();
        while self.tokens() > tokens {
            let Some(oldest) = self.items.iter().position(goes) else { break };
            let sources = self.items.remove(oldest).sources;
            self.moved(&sources);
        }
        self
    }

    /// Returns about the tokens that it takes in a request.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.render(1, 1).len() as u64 / 4 + 1
    }
}

impl Item {
    /// Says whether no reply of a model takes it away.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.pinned || self.section.is_binding()
    }

    /// Says whether it stands for what the session itself knows, by its id: `todo3`.
    #[must_use]
    pub fn is_own(&self) -> bool {
        let number = OWN.iter().find_map(|own| self.id.strip_prefix(own));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
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
        let binds = |summary: &Summary| summary.items.iter().filter(|item| item.section.is_binding()).count();
        assert_eq!(binds(&after), binds(&before), "what is said of one stands beside it as a fact");
    }

    #[test]
    fn no_change_to_an_item_makes_it_bind() {
        let update = |section| vec![Updated { id: "f3".into(), text: None, section: Some(section) }];
        for section in [Section::Constraints, Section::Decisions] {
            let after = known().merged(&Change { update: update(section), ..Change::default() }, HERE);
            assert_eq!(shown(&after)[2], "f3 facts it is slow");
        }
    }

    #[test]
    fn what_comes_when_there_is_no_room_among_what_binds_is_a_fact_and_named_and_the_oldest_stay() {
        let rule = |n: u64| Added {
            section: Section::Constraints,
            text: format!("{n} {}", "x".repeat(990)),
            sources: vec![n],
        };
        let mut summary = Summary::default();
        for n in 1..=40 {
            summary = summary.merged(&Change { add: vec![rule(n)], ..Change::default() }, Aside { first: n, last: n });
        }
        let of = |section| summary.items.iter().filter(move |item| item.section == section).map(|item| item.sources[0]);
        let (binding, facts) = (of(Section::Constraints).collect::<Vec<_>>(), of(Section::Facts).collect::<Vec<_>>());
        assert_eq!(binding, (1..=16).collect::<Vec<_>>());
        assert_eq!((&facts, &summary.moved), (&(17..=40).collect::<Vec<_>>(), &facts));
        assert!(summary.render(40, 1).contains("17, 18, 19"), "{}", summary.render(40, 1));
        // Where the summary has to be short, they go, and what binds stays.
        let short = summary.clone().within(100);
        assert_eq!(short.items.len(), 16);
        assert_eq!(super::super::kept(&summary, &short), Ok(()));
    }

    #[test]
    fn a_decision_makes_room_where_nothing_else_can_and_is_named_but_not_what_is_pinned_or_written_by_a_person() {
        let decided =
            |text: &str, seq| Added { section: Section::Decisions, text: text.repeat(100), sources: vec![seq] };
        let add =
            vec![decided("one ", 11), decided("two ", 12), decided("three ", 13), added(Section::Constraints, "no")];
        let mut full = Summary::default().merged(&Change { add, ..Change::default() }, HERE);
        full.items[1].pinned = true;
        full.items[2].sources.clear();
        let short = full.clone().within(60);
        let ids: Vec<&str> = short.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!((ids, &short.moved), (vec!["d2", "d3", "k4"], &vec![11]));
        assert_eq!(super::super::kept(&full, &short), Ok(()));
        let lost = Summary { moved: Vec::new(), ..short };
        assert!(super::super::kept(&full, &lost).is_err(), "what goes without a word is forgotten");
    }

    #[test]
    fn only_what_the_session_names_itself_is_made_anew() {
        let item = |id: &str| Item {
            id: id.into(),
            section: Section::Facts,
            text: id.to_owned(),
            sources: Vec::new(),
            pinned: true,
        };
        let items = ["todo1", "todos1", "call", "calls1", "check12", "todo1b"].map(item).to_vec();
        let open = [Open { own: "todo", section: Section::Pending, text: "weed".into() }];
        let after = Summary { items, ..Summary::default() }.with_open(&open);
        assert_eq!(
            shown(&after),
            [
                "todos1 facts todos1",
                "call facts call",
                "calls1 facts calls1",
                "todo1b facts todo1b",
                "todo1 pending weed"
            ]
        );
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
