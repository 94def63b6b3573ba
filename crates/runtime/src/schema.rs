//! The JSON Schema that a turn's answer must fit: whether it is one, and whether an answer fits.

use jsonschema::Validator;
use outlive_core::command::Command;
use outlive_core::content::{Failure, FailureKind, Reply, ReplyBlock, StopReason};
use outlive_core::session::Refusal;
use serde_json::Value;

use crate::SubmitError;

/// Refuses a message whose schema is none, with the place.
pub(crate) fn check(command: &Command) -> Result<(), SubmitError> {
    let Command::Message(message) = command else { return Ok(()) };
    let Some(schema) = &message.output_schema else { return Ok(()) };
    match compile(schema) {
        Ok(_) => Ok(()),
        Err(why) => Err(SubmitError::Refused(Refusal::Invalid { code: "schema_invalid", what: why })),
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::validator_for(schema).map_err(|error| format!("output_schema{}: {error}", error.instance_path()))
}

/// Passes on an answer, unless it is the last word of its turn and does not fit.
///
/// What is not the last word has no form to keep: a reply with calls, one that was cut, one that declines.
pub(crate) fn hold_to(schema: Option<&Value>, reply: Reply) -> Result<Reply, Failure> {
    let Some(schema) = schema else { return Ok(reply) };
    let is_last = matches!(reply.stop_reason, StopReason::EndTurn | StopReason::StopSequence);
    let calls = reply.content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
    if !is_last || calls {
        return Ok(reply);
    }
    match fits(schema, &said(&reply)) {
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

    #[test]
    fn an_answer_that_does_not_fit_is_a_failure_that_names_the_place() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let check = |text: &str| hold_to(Some(&schema), reply(text)).map_err(|failure| (failure.kind, failure.message));
        assert_eq!(check(r#"{"n": 1}"#), Ok(reply(r#"{"n": 1}"#)));
        for (text, why) in
            [(r#"{"n": "secret"}"#, "/n: "), ("{}", "the whole: "), ("hello", "it is not JSON"), ("", "it is not JSON")]
        {
            let (kind, message) = check(text).unwrap_err();
            assert_eq!(kind, FailureKind::OffSchema);
            assert!(message.starts_with(&format!("the answer does not fit the schema: {why}")), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn only_the_last_word_of_a_turn_must_fit() {
        let schema = json!({"type": "object"});
        let call = ReplyBlock::ToolUse { name: "t".to_owned(), arguments: "{}".to_owned() };
        let on_the_way = Reply { content: vec![call], stop_reason: StopReason::ToolUse, ..reply("") };
        let cut = Reply { stop_reason: StopReason::MaxTokens, ..reply("{\"a") };
        for reply in [on_the_way, cut] {
            assert_eq!(hold_to(Some(&schema), reply.clone()), Ok(reply));
        }
    }
}
