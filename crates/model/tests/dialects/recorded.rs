//! Recorded and hostile bytes: a reply, or a failure in words.

use outlive_core::content::{FailureKind, Reply, ReplyBlock};
use outlive_model::loopback::recording;
use outlive_model::{anthropic, openai};
use proptest::prelude::*;
use serde_json::json;

use crate::fixture::{DIALECTS, STREAM, Then, answer, ask_canned, canned, dialect, expected, parse, rich};

/// As rich as any, and short: every byte of it is read as often as it has bytes.
fn brief() -> Reply {
    let mut reply = rich();
    for block in &mut reply.content {
        match block {
            ReplyBlock::Text(text) | ReplyBlock::Thinking { thinking: text, .. } => *text = "wö 👋".into(),
            ReplyBlock::ToolUse { arguments, .. } => *arguments = "{}".into(),
            ReplyBlock::RedactedThinking(_) => {}
        }
    }
    reply
}

#[test]
fn a_stream_that_is_cut_at_any_byte_is_never_a_reply() {
    for provider in DIALECTS {
        let whole = recording(dialect(provider), &brief());
        for at in 0..whole.len() {
            let failure = parse(provider, &whole[..at]).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Truncated, "{provider}: cut at {at} of {}", whole.len());
        }
        assert!(parse(provider, &whole).is_ok(), "{provider}");
        assert_eq!(parse(provider, &recording(dialect(provider), &rich())), Ok(expected(provider)), "{provider}");
    }
}

#[test]
fn hostile_replies_are_refused_or_read_never_believed_whole() {
    let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (what, stream) in [
        (
            "an index out of range",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":99999999999}]}}]}\n\n".to_owned(),
        ),
        ("not JSON", "data: {nope\n\n".to_owned()),
        ("an error in mid-stream", "data: {\"error\":{\"type\":\"server_error\",\"message\":\"x\"}}\n\n".to_owned()),
        ("nothing", String::new()),
    ] {
        assert!(
            openai::parse_stream((stream + if what == "nothing" { "" } else { stop }).as_bytes()).is_err(),
            "{what}"
        );
    }
    let overloaded =
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    assert_eq!(anthropic::parse_stream(overloaded).unwrap_err().kind, FailureKind::Overloaded);
    let index = b"data: {\"type\":\"content_block_start\",\"index\":18446744073709551615,\"content_block\":{}}\n\n";
    assert!(anthropic::parse_stream(index).is_err());
}

#[tokio::test]
async fn servers_that_leave_out_indices_and_the_mark_at_the_end_are_understood() {
    let stream = concat!(
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{}\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":\"y\",\"arguments\":{\"k\":1}}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    );
    let call = |name: &str, arguments: &str| ReplyBlock::ToolUse { name: name.into(), arguments: arguments.into() };
    let (url, _) = canned(answer("200 OK", STREAM, stream), Then::HangUp);
    let reply = ask_canned("openai", &url).await.unwrap();
    assert_eq!(reply.content, vec![call("x", "{}"), call("y", "{\"k\":1}")]);
    let (url, _) = canned(answer("200 OK", STREAM, stream), Then::HangUp);
    assert_eq!(ask_canned("openrouter", &url).await.unwrap_err().kind, FailureKind::Truncated);
}

#[test]
fn names_that_come_again_with_each_piece_are_one_name_and_calls_without_one_stay_calls() {
    let piece = |arguments: &str| {
        let call = json!({"index": 0, "id": "c", "function": {"name": "list", "arguments": arguments}});
        format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let reply = openai::parse_stream(format!("{}{}{end}", piece("{\"a\""), piece(":1}")).as_bytes()).unwrap();
    let call = |name: &str, arguments: &str| ReplyBlock::ToolUse { name: name.into(), arguments: arguments.into() };
    assert_eq!(reply.content, [call("list", "{\"a\":1}")]);
    assert_eq!(openai::parse_stream(end.as_bytes()).unwrap_err().kind, FailureKind::Truncated);
    let nameless = piece("{}").replace("\"list\"", "\"\"");
    assert_eq!(openai::parse_stream(format!("{nameless}{end}").as_bytes()).unwrap().content, [call("", "{}")]);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for provider in DIALECTS {
            drop(parse(provider, &bytes));
        }
    }
}
