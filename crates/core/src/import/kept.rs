//! Reads a checkpoint that another program made of a conversation: what it kept of it, as a change to an empty summary.
//!
//! Either it is a text, or an object with lists by sections, which may lie in `summary`. What is none of it is left away.

use serde_json::Value;

use crate::compaction::{Added, Change, Section};

/// Items that are taken over, and characters of each.
const ITEMS: usize = 100;
const CHARS: usize = 1_200;

/// What sections are called.
const SECTIONS: [(Section, &[&str]); 8] = [
    (Section::Constraints, &["constraints", "requirements"]),
    (Section::Decisions, &["decisions", "keyDecisions", "key_decisions"]),
    (Section::InProgress, &["in_progress", "inProgress"]),
    (Section::Pending, &["pending", "todos", "remaining"]),
    (Section::Blockers, &["blockers", "blocked"]),
    (Section::Files, &["files", "filesModified", "files_modified"]),
    (Section::Facts, &["facts", "notes", "context"]),
    (Section::Completed, &["completed", "done"]),
];
const GOALS: [&str; 2] = ["goal", "objective"];
const NEXT: [&str; 3] = ["next_step", "nextStep", "next"];
const TEXTS: [&str; 8] = ["text", "content", "description", "title", "task", "decision", "name", "path"];

/// Returns what it says, and how many items of it are left out; nothing where it says nothing.
pub(super) fn kept(checkpoint: &Value) -> Option<(Change, u64)> {
    let places = [checkpoint.get("summary"), Some(checkpoint)];
    let places: Vec<&Value> = places.into_iter().flatten().collect();
    let first = |keys: &[&str]| {
        let mut found = places.iter().flat_map(|place| keys.iter().filter_map(|key| place.get(key)));
        found.find_map(said)
    };
    let mut add: Vec<Added> = Vec::new();
    let mut put = |section: Section, text: String| add.push(Added { section, text, sources: Vec::new() });
    if let Some(text) = places.iter().find_map(|place| place.as_str()).map(cut).filter(|text| !text.is_empty()) {
        put(Section::Facts, text);
    }
    for (section, names) in SECTIONS {
        let lists = places.iter().flat_map(|place| names.iter().filter_map(|name| place.get(name)));
        for list in lists {
            let items = list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice);
            items.iter().filter_map(said).for_each(|text| put(section, text));
        }
    }
    let left_out = add.len().saturating_sub(ITEMS) as u64;
    add.truncate(ITEMS);
    let change = Change { add, goal: first(&GOALS), next_step: first(&NEXT), ..Change::default() };
    (change != Change::default()).then_some((change, left_out))
}

/// Returns what an item says: it is a text, or has one.
fn said(item: &Value) -> Option<String> {
    let text = item.as_str().or_else(|| TEXTS.iter().find_map(|key| item.get(key)?.as_str()))?;
    Some(cut(text)).filter(|text| !text.is_empty())
}

fn cut(text: &str) -> String {
    text.trim().chars().take(CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_checkpoint_is_read_however_it_is_wrapped() {
        let added = |section, text: &str| Added { section, text: text.to_owned(), sources: Vec::new() };
        for (checkpoint, goal, items) in [
            (json!("Lamps are mounted."), None, vec![added(Section::Facts, "Lamps are mounted.")]),
            (
                json!({ "version": 3, "summary": { "goal": "Light.", "completed": ["lamps"], "inProgress": [{ "task": "wiring" }] } }),
                Some("Light."),
                vec![added(Section::InProgress, "wiring"), added(Section::Completed, "lamps")],
            ),
            (
                json!({ "summary": "Short.", "decisions": [{ "decision": "amber", "reason": "fog" }, 7, null] }),
                None,
                vec![added(Section::Facts, "Short."), added(Section::Decisions, "amber")],
            ),
        ] {
            let (change, left_out) = kept(&checkpoint).unwrap();
            assert_eq!((change.goal.as_deref(), change.add, left_out), (goal, items, 0), "{checkpoint}");
        }
        for nothing in
            [json!(null), json!(7), json!([]), json!(" "), json!({ "version": 1, "summary": { "pending": [] } })]
        {
            assert_eq!(kept(&nothing), None, "{nothing}");
        }
        let many: Vec<String> = (0..300).map(|n| "x".repeat(5_000) + &n.to_string()).collect();
        let (change, left_out) = kept(&json!({ "facts": many })).unwrap();
        assert_eq!((change.add.len(), change.add[0].text.len(), left_out), (ITEMS, CHARS, 200));
    }
}
