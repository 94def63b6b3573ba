//! The JSON Schema that a turn's answer must fit: whether it is one, and whether an answer fits.
//!
//! Invariants: nothing is fetched; a schema is compiled, and an answer held to it, on a thread apart and within [`LIMIT`]; at most
//! [`CHECKS`] such threads are busy, however long one takes. A small schema can take for ever: names that lead to names double the
//! work with each step.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jsonschema::{PatternOptions, ValidationOptions, Validator};
use outlive_core::command::Command;
use outlive_core::content::{Failure, FailureKind, Reply, ReplyBlock, StopReason};
use outlive_core::limits::SCHEMA_BYTES;
use outlive_core::session::Refusal;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::SubmitError;
use crate::tasks::apart;

/// How long a schema may take to be read, or an answer to be held to it.
const LIMIT: Duration = Duration::from_secs(5);
/// Checks at once.
const CHECKS: usize = 4;
/// Parts of a schema, each counted wherever a name leads to it.
const PARTS: usize = 20_000;
/// Levels of nesting, those that names lead to included.
const DEPTH: usize = 256;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

static ROOM: Semaphore = Semaphore::const_new(CHECKS);

/// Patterns take a time that grows with the text alone: what would need more is refused.
static OPTIONS: LazyLock<ValidationOptions<'static>> = LazyLock::new(|| {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().with_pattern_options(patterns)
});

/// Refuses a message whose schema is none, with the place.
pub(crate) async fn check(command: &Command) -> Result<(), SubmitError> {
    let Command::Message(message) = command else { return Ok(()) };
    let Some(schema) = message.output_schema.clone() else { return Ok(()) };
    let compiled = in_time(LIMIT, move || compile(&schema).map(drop));
    let refuse = |what| SubmitError::Refused(Refusal::Invalid { code: "schema_invalid", what });
    compiled.await.unwrap_or_else(|late| Err(format!("output_schema: {late}"))).map_err(refuse)
}

/// Does what may take for ever on a thread apart, and waits so long for it. A thread cannot be stopped: until it is done, there is
/// less room for others.
async fn in_time<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    let done = async {
        let room = ROOM.acquire().await;
        apart(async move {
            let done = work();
            drop(room);
            done
        })
        .await
    };
    let late = "it takes too long to check: simplify the schema, above all what `$ref`s lead to";
    tokio::time::timeout(limit, done).await.map_err(|_elapsed| late)
}

fn compile(schema: &Value) -> Result<Validator, String> {
    look_over(schema).map_err(|why| format!("output_schema{why}"))?;
    OPTIONS.build(schema).map_err(|error| format!("output_schema{}: {error}", error.instance_path()))
}

/// Refuses what would be costly to compile: too long, too deep, too much where names lead, names that lead elsewhere.
fn look_over(schema: &Value) -> Result<(), String> {
    if schema.to_string().len() > SCHEMA_BYTES {
        return Err(format!(": at most {SCHEMA_BYTES} bytes"));
    }
    let mut unrolled = Unrolled { root: schema, within: HashSet::new(), parts: 0 };
    unrolled.count(schema, 0)
}

/// A schema with all its names led to where they lead. A name within what it leads to is not followed again.
struct Unrolled<'a> {
    root: &'a Value,
    within: HashSet<&'a str>,
    parts: usize,
}

impl<'a> Unrolled<'a> {
    fn count(&mut self, value: &'a Value, depth: usize) -> Result<(), String> {
        self.parts += 1;
        if self.parts > PARTS {
            return Err(format!(": has more than {PARTS} parts where its `$ref`s lead: simplify it"));
        }
        if depth > DEPTH {
            return Err(format!(": nested at most {DEPTH} levels, those that its `$ref`s lead to included"));
        }
        for below in value.as_array().into_iter().flatten() {
            self.count(below, depth + 1)?;
        }
        for (key, below) in value.as_object().into_iter().flatten() {
            match (key.as_str(), below.as_str()) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Some(name)) => self.follow(name, depth)?,
                _any_other => self.count(below, depth + 1)?,
            }
        }
        Ok(())
    }

    fn follow(&mut self, name: &'a str, depth: usize) -> Result<(), String> {
        let Some(place) = name.strip_prefix('#') else {
            return Err(format!(": `$ref` to {name}: only places within the schema, as `#/$defs/name`, are looked up"));
        };
        let Some(there) = self.root.pointer(place) else { return Ok(()) };
        if self.within.insert(place) {
            self.count(there, depth + 1)?;
            self.within.remove(place);
        }
        Ok(())
    }
}

/// Passes on an answer, unless it is the last word of its turn and does not fit.
///
/// What is not the last word has no form to keep: a reply with calls, one that was cut, one that declines.
pub(crate) async fn hold_to(schema: Option<Arc<Value>>, reply: Reply) -> Result<Reply, Failure> {
    let Some(schema) = schema else { return Ok(reply) };
    let is_last = matches!(reply.stop_reason, StopReason::EndTurn | StopReason::StopSequence);
    let calls = reply.content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
    if !is_last || calls {
        return Ok(reply);
    }
    let answer = said(&reply);
    let fits = in_time(LIMIT, move || fits(&schema, &answer)).await;
    match fits.unwrap_or_else(|late| Err(late.to_owned())) {
        Ok(()) => Ok(reply),
        Err(why) => {
            let message = format!("the answer does not fit the schema: {why}");
            Err(Failure { kind: FailureKind::OffSchema, message, retry_after_ms: None })
        }
    }
}

fn said(reply: &Reply) -> String {
    let text = |block: &ReplyBlock| if let ReplyBlock::Text(text) = block { Some(text.clone()) } else { None };
    reply.content.iter().filter_map(text).collect()
}

fn fits(schema: &Value, answer: &str) -> Result<(), String> {
    let answer: Value = serde_json::from_str(answer).map_err(|error| format!("it is not JSON: {error}"))?;
    let schema = compile(schema)?;
    schema.validate(&answer).map_err(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the whole" } else { &place };
        // The answer's own words stay out of logs and errors.
        format!("{place}: {}", error.masked())
    })
}

#[cfg(test)]
mod tests {
    use outlive_core::content::Usage;
    use serde_json::json;

    use super::*;

    fn reply(text: &str) -> Reply {
        Reply {
            content: vec![ReplyBlock::Text(text.to_owned())],
            stop_reason: StopReason::EndTurn,
            usage: Usage::default(),
            model: "m".to_owned(),
            provider_request_id: None,
            served_by: None,
        }
    }

    async fn held(schema: &Value, text: &str) -> Result<Reply, (FailureKind, String)> {
        let held = hold_to(Some(Arc::new(schema.clone())), reply(text)).await;
        held.map_err(|failure| (failure.kind, failure.message))
    }

    #[tokio::test]
    async fn an_answer_that_does_not_fit_is_a_failure_that_names_the_place() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        assert_eq!(held(&schema, r#"{"n": 1}"#).await, Ok(reply(r#"{"n": 1}"#)));
        for (text, why) in
            [(r#"{"n": "secret"}"#, "/n: "), ("{}", "the whole: "), ("hello", "it is not JSON"), ("", "it is not JSON")]
        {
            let (kind, message) = held(&schema, text).await.unwrap_err();
            assert_eq!(kind, FailureKind::OffSchema);
            assert!(message.starts_with(&format!("the answer does not fit the schema: {why}")), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[tokio::test]
    async fn only_the_last_word_of_a_turn_must_fit() {
        let schema = Arc::new(json!({"type": "object"}));
        let call = ReplyBlock::ToolUse { name: "t".to_owned(), arguments: "{}".to_owned() };
        let on_the_way = Reply { content: vec![call], stop_reason: StopReason::ToolUse, ..reply("") };
        let cut = Reply { stop_reason: StopReason::MaxTokens, ..reply("{\"a") };
        for reply in [on_the_way, cut] {
            assert_eq!(hold_to(Some(Arc::clone(&schema)), reply.clone()).await, Ok(reply));
        }
    }

    #[test]
    fn a_schema_is_looked_over_before_it_is_compiled() {
        // Each name leads twice to the next: with forty of them nothing comes to an end.
        let twice = |n: usize| {
            (
                format!("d{n}"),
                json!({"allOf": [{"$ref": format!("#/$defs/d{}", n + 1)}, {"$ref": format!("#/$defs/d{}", n + 1)}]}),
            )
        };
        let mut names: serde_json::Map<String, Value> = (0..40).map(twice).collect();
        names.insert("d40".to_owned(), json!({"type": "integer"}));
        let doubling = json!({"$ref": "#/$defs/d0", "$defs": names});
        let deep = (0..300).fold(json!({}), |inner, _| json!({"items": inner}));
        for (schema, why) in [
            (doubling, "parts where its `$ref`s lead"),
            (deep, "nested at most"),
            (json!({"enum": ["x".repeat(SCHEMA_BYTES)]}), "bytes"),
            (json!({"items": {"$ref": "other.json"}}), "only places within the schema"),
            (json!({"pattern": "^(?=a)"}), "pattern"),
            (json!({"pattern": "(a{1000}){1000}"}), "pattern"),
        ] {
            let refused = compile(&schema).unwrap_err();
            assert!(refused.starts_with("output_schema") && refused.contains(why), "{refused}");
        }
        let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
            "left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}, "$ref": {"type": "string"}}}}});
        assert!(compile(&tree).is_ok());
    }

    #[tokio::test]
    async fn a_pattern_that_others_take_for_ever_with_is_matched_at_once() {
        let schema = json!({"pattern": "^(a+)+$"});
        let answer = json!("a".repeat(5_000) + "!").to_string();
        let (_, why) = held(&schema, &answer).await.unwrap_err();
        assert!(why.contains("does not match"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up_and_takes_room_until_it_is_done() {
        let (release, gate) = std::sync::mpsc::sync_channel::<()>(0);
        let mut waits = Box::pin(in_time(LIMIT, move || gate.recv()));
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(ROOM.available_permits(), CHECKS - 1);
        tokio::time::advance(LIMIT).await;
        assert!(waits.await.is_err_and(|why| why.contains("takes too long")));
        assert_eq!(ROOM.available_permits(), CHECKS - 1);
        drop(release);
        while ROOM.available_permits() < CHECKS {
            tokio::task::yield_now().await;
        }
    }
}
