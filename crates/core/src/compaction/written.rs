//! Reads a summary that a person wrote: what it does not know it refuses, so that a slip of the hand loses nothing.

use serde_json::Value;

use super::Summary;

/// The keys of a summary, and of an item.
const KEYS: [&str; 6] = ["goal", "last_request", "next_step", "items", "last_id", "moved"];
const ITEM_KEYS: [&str; 5] = ["id", "section", "text", "sources", "pinned"];
/// No id has a number above this: there is always a next one.
const LAST_ID: u64 = 1_000_000_000;

/// Reads it.
///
/// # Errors
///
/// What is wrong, and where.
pub fn written(value: Value) -> Result<Summary, String> {
    known(&value, &KEYS, "summary")?;
    let items = value.get("items").and_then(Value::as_array);
    let items = items.ok_or("summary: `items` is missing, or is no list; an empty one drops all of them")?;
    for (at, item) in items.iter().enumerate() {
        known(item, &ITEM_KEYS, &format!("summary.items[{at}]"))?;
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
        let number = id.trim_start_matches(char::is_alphabetic).parse::<u64>().unwrap_or(0);
        if number > LAST_ID {
            return Err(format!("summary.items[{at}].id: the number in `{id:.40}` is above {LAST_ID}"));
        }
    }
    if value.get("last_id").and_then(Value::as_u64).is_some_and(|last| last > LAST_ID) {
        return Err(format!("summary.last_id: is above {LAST_ID}"));
    }
    serde_json::from_value(value).map_err(|error| format!("summary: {error}"))
}

fn known(value: &Value, keys: &[&str], place: &str) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{place}: is no object"))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("{place}: there is no key `{key:.40}`; the keys are {}", keys.join(", "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_person_wrote_is_read_and_what_is_not_known_is_refused_with_its_place() {
        let item = json!({"id": "d1", "section": "decisions", "text": "use sqlite", "pinned": true});
        let good = json!({"goal": "g", "items": [item], "last_id": 7});
        let read = written(good.clone()).unwrap();
        assert_eq!((read.goal.as_str(), read.items.len(), read.last_id), ("g", 1, 7));
        assert_eq!(written(json!({"items": []})).unwrap(), Summary::default());
        let with = |key: &str, value: Value| {
            let mut changed = good.clone();
            changed[key] = value;
            changed
        };
        for (value, why) in [
            (json!("text"), "is no object"),
            (json!({}), "`items` is missing"),
            (with("items", json!({})), "`items` is missing"),
            (with("gaol", json!("x")), "there is no key `gaol`"),
            (with("items", json!(["x"])), "summary.items[0]: is no object"),
            (with("items", json!([{"id": "d1", "section": "decisions", "txt": "x"}])), "there is no key `txt`"),
            (with("items", json!([{"id": "d1", "section": "secrets", "text": "x"}])), "secrets"),
            (with("items", json!([{"id": "d4294967295", "section": "facts", "text": "x"}])), "above"),
            (with("last_id", json!(u32::MAX)), "above"),
            (with("goal", json!(["x"])), "invalid type"),
        ] {
            let refused = written(value.clone()).unwrap_err();
            assert!(refused.contains(why), "{value}: {refused}");
        }
    }
}
