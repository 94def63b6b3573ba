//! Reads what a model says has changed, however it says it: fenced, within prose, with commas too many, cut off.
//!
//! Invariants: nothing that it says is trusted to have its form, items of a wrong one are left out; what changes nothing is no
//! answer.

use serde_json::Value;

use super::gates::is_error;
use super::{Added, Change, Section, Updated};
use crate::id::Seq;

/// Bytes of a reply that are looked at.
const LOOKED_AT: usize = 256 << 10;
/// Places where a reply that was cut is cut back to.
const CUTS: usize = 40;

/// Why a reply says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no JSON object in it.
    #[error("the reply holds no JSON object")]
    NoObject,
    /// It changes nothing.
    #[error("the reply changes nothing")]
    Nothing,
}

/// Reads a reply.
///
/// # Errors
///
/// [`Unusable`]
pub fn read(reply: &str) -> Result<Change, Unusable> {
    let reply = reply.get(..reply.floor_char_boundary(LOOKED_AT)).unwrap_or_default();
    let starts = reply.match_indices('{').map(|(at, _)| at).take(8);
    let mut found = Err(Unusable::NoObject);
    for at in starts {
        let Some(value) = object(reply.get(at..).unwrap_or_default()) else { continue };
        let change = change(&value);
        if change != Change::default() {
            return Ok(change);
        }
        found = Err(Unusable::Nothing);
    }
    found
}

/// Returns the object that a text begins with, mended where it has to be.
fn object(text: &str) -> Option<Value> {
    let mended = Mended::of(text);
    let whole = serde_json::from_str(&mended.closed(mended.text.len())?).ok();
    let cut = || mended.commas.iter().rev().take(CUTS).find_map(|at| serde_json::from_str(&mended.closed(*at)?).ok());
    whole.or_else(cut).filter(Value::is_object)
}

/// The first object of a text, as far as it goes, without commas that nothing follows.
struct Mended {
    text: String,
    /// Where a value has ended and another may begin.
    commas: Vec<usize>,
}

impl Mended {
    fn of(text: &str) -> Self {
        let (mut mended, mut depth, mut scan) = (Self { text: String::new(), commas: Vec::new() }, 0_usize, Scan::Out);
        for c in text.chars() {
            if scan == Scan::Out && matches!(c, '}' | ']') {
                mended.without_comma();
            }
            if scan == Scan::Out && c == ',' {
                mended.commas.push(mended.text.len());
            }
            // A line break within a text is written as one.
            match (scan, c) {
                (Scan::Text, '\n') => mended.text.push_str("\\n"),
                (Scan::Text, c) if c.is_control() => {}
                (Scan::Out | Scan::Text | Scan::Escape, c) => mended.text.push(c),
            }
            match (scan, c) {
                (Scan::Out, '{' | '[') => depth += 1,
                (Scan::Out, '}' | ']') => depth = depth.saturating_sub(1),
                (Scan::Out | Scan::Text | Scan::Escape, _) => {}
            }
            scan = scan.after(c);
            if depth == 0 {
                break;
            }
        }
        mended
    }

    fn without_comma(&mut self) {
        let end = self.text.trim_end().len();
        if self.text.get(..end).is_some_and(|text| text.ends_with(',')) {
            self.text.truncate(end - 1);
            self.commas.pop();
        }
    }

    /// Returns the text up to there with all closed that is open.
    fn closed(&self, to: usize) -> Option<String> {
        let mut text = self.text.get(..to)?.to_owned();
        let (mut open, mut scan) = (Vec::new(), Scan::Out);
        for c in text.chars() {
            match (scan, c) {
                (Scan::Out, '{') => open.push('}'),
                (Scan::Out, '[') => open.push(']'),
                (Scan::Out, '}' | ']') => drop(open.pop()),
                (Scan::Out | Scan::Text | Scan::Escape, _) => {}
            }
            scan = scan.after(c);
        }
        if scan == Scan::Escape {
            text.pop();
        }
        if scan != Scan::Out {
            text.push('"');
        }
        text.extend(open.iter().rev());
        Some(text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Out,
    Text,
    Escape,
}

impl Scan {
    fn after(self, c: char) -> Self {
        match (self, c) {
            (Self::Out, '"') => Self::Text,
            (Self::Text, '"') => Self::Out,
            (Self::Text, '\\') => Self::Escape,
            (Self::Escape, _) => Self::Text,
            (Self::Out | Self::Text, _) => self,
        }
    }
}

/// Takes what has its form.
fn change(value: &Value) -> Change {
    let list = |key: &str| value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids = |key: &str| list(key).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let said = |key: &str| value.get(key).and_then(text).filter(|text| !is_error(text));
    Change {
        add: list("add").iter().filter_map(added).collect(),
        update: list("update").iter().filter_map(updated).collect(),
        resolve: ids("resolve"),
        drop: ids("drop"),
        goal: said("goal"),
        next_step: said("next_step"),
        moved: Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn section(value: &Value) -> Option<Section> {
    let word = value.get("section")?.as_str()?;
    Section::ALL.into_iter().find(|section| section.as_str() == word)
}

fn added(value: &Value) -> Option<Added> {
    let text = value.get("text").and_then(text).filter(|text| !is_error(text))?;
    let sources = value.get("sources").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sources: Vec<Seq> = sources.iter().filter_map(Value::as_u64).collect();
    Some(Added { section: section(value)?, text, sources })
}

fn updated(value: &Value) -> Option<Updated> {
    let id = value.get("id")?.as_str()?.to_owned();
    let text = value.get("text").and_then(text).filter(|text| !is_error(text));
    Some(Updated { id, text, section: section(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"add":[{"section":"facts","text":"it {rains}, \"hard\"","sources":[3]}],"update":[],"resolve":[],"drop":[],"goal":"stay dry","next_step":""}"#;

    #[test]
    fn a_reply_is_read_however_it_is_wrapped() {
        let plain = read(GOOD).unwrap();
        assert_eq!(plain.goal.as_deref(), Some("stay dry"));
        assert_eq!(
            plain.add,
            [Added { section: Section::Facts, text: "it {rains}, \"hard\"".into(), sources: vec![3] }]
        );
        for wrapped in [
            format!("```json\n{GOOD}\n```"),
            format!("Sure! Here is {{the}} change:\n\n{GOOD}\n\nAnything else? {{}}"),
            GOOD.replace("[3]}]", "[3,],},]"),
        ] {
            assert_eq!(read(&wrapped), Ok(plain.clone()), "{wrapped}");
        }
    }

    #[test]
    fn a_reply_that_was_cut_is_read_as_far_as_it_goes() {
        for cut in 70..GOOD.len() {
            let change = read(&GOOD[..cut]).unwrap_or_else(|error| panic!("{error}: {}", &GOOD[..cut]));
            assert_eq!(change.add.len(), 1, "{}", &GOOD[..cut]);
        }
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        let large = "x".repeat(10 << 20);
        for (reply, why) in [
            ("", Unusable::NoObject),
            ("I'm sorry, I can't help with that.", Unusable::NoObject),
            ("[1, 2]", Unusable::NoObject),
            (&large, Unusable::NoObject),
            ("{}", Unusable::Nothing),
            (r#"{"add": "everything", "drop": 7, "goal": ["x"]}"#, Unusable::Nothing),
            (r#"{"error": {"message": "overloaded"}}"#, Unusable::Nothing),
            (r#"{"goal": "Error: rate limit reached"}"#, Unusable::Nothing),
            (r#"{"add": [{"section": "secrets", "text": "x"}, {"section": "facts", "text": 3}]}"#, Unusable::Nothing),
        ] {
            assert_eq!(read(reply), Err(why), "{}", reply.get(..60).unwrap_or(reply));
        }
    }
}
