//! What a conversation from outside must hold to, so that its journal can be written, read and sent to any model.

use super::{Part, Source, Step, Talk, Turn};
use crate::compaction::Change;
use crate::limits::{
    CALLS_PER_STEP, CONVERSATION_BYTES, CONVERSATION_PARTS, LABEL_BYTES, MESSAGE_BYTES, OUTCOME_BYTES, REPLY_BYTES,
    SUMMARY_BYTES, TITLE_CHARS,
};
use crate::session::is_shallow;

/// Checks a conversation.
///
/// # Errors
///
/// The first thing that does not fit, its place and the way out.
pub fn check(talk: &Talk) -> Result<(), String> {
    source(&talk.source)?;
    if talk.title.as_ref().is_some_and(|title| title.chars().count() > TITLE_CHARS) {
        return Err(format!("title: has at most {TITLE_CHARS} characters"));
    }
    if talk.cwd.as_ref().is_some_and(|cwd| cwd.len() > LABEL_BYTES) {
        return Err(format!("cwd: has at most {LABEL_BYTES} bytes"));
    }
    if talk.turns.is_empty() {
        return Err("turns: there is nothing in it: name at least one turn".to_owned());
    }
    talk.kept.as_ref().map_or(Ok(()), kept)?;
    let (mut bytes, mut parts) = (0, 0);
    for (at, found) in talk.turns.iter().enumerate() {
        turn(found).map_err(|(place, why)| format!("turns[{at}]{place}: {why}"))?;
        bytes += turn_bytes(found);
        parts += 1 + found.steps.iter().map(|step| 1 + step.parts.len()).sum::<usize>();
    }
    if bytes > CONVERSATION_BYTES {
        return Err(format!(
            "turns: their texts have {bytes} bytes, of {CONVERSATION_BYTES} that a conversation may have"
        ));
    }
    if parts > CONVERSATION_PARTS.saturating_mul(3) {
        return Err(format!("turns: too many parts: {parts}"));
    }
    Ok(())
}

fn source(source: &Source) -> Result<(), String> {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let program = &source.program;
    let is_name = (1..=32).contains(&program.len())
        && program.starts_with(|c: char| c.is_ascii_lowercase())
        && program.chars().all(of_name);
    if !is_name {
        return Err("source.program: a lowercase letter, then up to 31 of `a-z`, `0-9` and `-`".to_owned());
    }
    if source.id.is_empty() || source.id.len() > LABEL_BYTES {
        return Err(format!("source.id: has 1 to {LABEL_BYTES} bytes"));
    }
    let is_digest = crate::digest::Digest::parse(source.digest.as_str()).is_some();
    if is_digest { Ok(()) } else { Err("source.digest: SHA-256 has 64 lowercase hex digits".to_owned()) }
}

type Place<T> = Result<T, (String, String)>;

fn turn(turn: &Turn) -> Place<()> {
    let refuse = |why: &str| Err((".said".to_owned(), why.to_owned()));
    match &turn.said {
        Some(said) if said.trim().is_empty() => return refuse("must not be empty: leave it out"),
        Some(said) if said.len() > MESSAGE_BYTES => return refuse(&format!("has at most {MESSAGE_BYTES} bytes")),
        None if turn.steps.is_empty() => return refuse("is missing, and there are no steps: nothing was said"),
        Some(_) | None => {}
    }
    for (at, found) in turn.steps.iter().enumerate() {
        step(found).map_err(|why| (format!(".steps[{at}]"), why))?;
    }
    Ok(())
}

fn step(step: &Step) -> Result<(), String> {
    if step.parts.is_empty() {
        return Err("parts: there is none".to_owned());
    }
    if step.model.len() > 4 * 128 {
        return Err("model: has at most 512 bytes".to_owned());
    }
    let calls = step.parts.iter().filter(|part| matches!(part, Part::Call { .. })).count();
    if calls > CALLS_PER_STEP {
        return Err(format!("parts: {calls} calls, of {CALLS_PER_STEP} that a step may have"));
    }
    let said: usize = step.parts.iter().map(super::gather::size).sum();
    if said > REPLY_BYTES {
        return Err(format!("parts: {said} bytes, of {REPLY_BYTES} that a step may have"));
    }
    step.parts.iter().enumerate().try_for_each(|(at, found)| part(found).map_err(|why| format!("parts[{at}]: {why}")))
}

fn part(part: &Part) -> Result<(), String> {
    match part {
        Part::Text { text } | Part::Thinking { text } if text.trim().is_empty() => {
            Err("text must not be empty: leave the part out".to_owned())
        }
        Part::Text { .. } | Part::Thinking { .. } => Ok(()),
        Part::Call { tool, .. } if tool.trim().is_empty() || tool.len() > 4 * 128 => {
            Err("tool: has 1 to 512 bytes".to_owned())
        }
        Part::Call { arguments, .. } if !arguments.is_object() || !is_shallow(arguments) => {
            Err("arguments: an object that nests at most 64 levels".to_owned())
        }
        Part::Call { result: Some(result), .. } if result.content.len() > OUTCOME_BYTES => {
            Err(format!("result.content: has at most {OUTCOME_BYTES} bytes"))
        }
        Part::Call { .. } => Ok(()),
    }
}

/// There is nothing yet that it could change.
fn kept(kept: &Change) -> Result<(), String> {
    if !(kept.update.is_empty() && kept.resolve.is_empty() && kept.drop.is_empty()) {
        return Err("kept: there is nothing before it: it has `goal`, `next_step` and `add` alone".to_owned());
    }
    let texts = kept.add.iter().map(|added| &added.text).chain(&kept.goal).chain(&kept.next_step);
    let bytes: usize = texts.map(String::len).sum();
    let most = SUMMARY_BYTES * 8;
    if bytes > most { Err(format!("kept: has {bytes} bytes, of at most {most}")) } else { Ok(()) }
}

fn turn_bytes(turn: &Turn) -> usize {
    let of_part = |part: &Part| match part {
        Part::Text { .. } | Part::Thinking { .. } | Part::Call { result: None, .. } => super::gather::size(part),
        Part::Call { result: Some(result), .. } => super::gather::size(part) + result.content.len(),
    };
    let steps = turn.steps.iter().flat_map(|step| &step.parts).map(of_part).sum::<usize>();
    turn.said.as_ref().map_or(0, String::len) + steps
}
