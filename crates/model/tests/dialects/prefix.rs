//! What a provider's cache lives on: from step to step, and from turn to turn, a request begins with the very bytes of the
//! one before.

use std::sync::Arc;

use outlive_core::content::{Block, Request, StopReason, ToolSpec, Usage};
use outlive_core::context::{Frame, FrameParts, Transcript, assemble};
use outlive_core::digest::Digest;
use outlive_core::event::{
    Behavior, CallFinished, Ending, Entry, Event, MessageReceived, Origin, OriginKind, Outcome, StepFinished,
    StepStarted, Trigger, TurnEnded, TurnStarted,
};
use outlive_core::id::{CallId, TurnId};
use outlive_core::media::{Attachment, File};
use outlive_core::time::Timestamp;
use outlive_model::loopback::{KEY, Loopback};
use outlive_model::{Key, Settings, connect};
use serde_json::json;

use crate::fixture::{DIALECTS, ask, canned_settings, url};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nx";

fn entry(seq: usize, event: Event) -> Entry {
    let (turn, at) = (Some(TurnId::from_bits(1)), Timestamp::from_micros(seq as i64));
    Entry { seq: seq as u64, at, turn, step: None, asked: None, tokens: None, event }
}

fn says(content: &str, attachments: Vec<Attachment>) -> Event {
    let (behavior, origin) = (Behavior::FollowUp, Origin::of(OriginKind::Api));
    Event::MessageReceived(MessageReceived {
        content: content.into(),
        attachments,
        output_schema: None,
        behavior,
        origin,
        input: None,
    })
}

fn answers(content: Vec<Block>) -> Event {
    Event::StepFinished(StepFinished {
        attempt: 1,
        content,
        stop_reason: StopReason::EndTurn,
        usage: Usage::default(),
        latency_ms: 1,
        provider_request_id: None,
        model: "m".into(),
        served_by: None,
    })
}

fn calls(ids: &[u128], thinking: &str) -> Event {
    let call = |id: &u128| Block::ToolUse {
        id: CallId::from_bits(*id),
        name: "read".into(),
        input: json!({"path": format!("{id}.txt"), "z": 1.50, "a": "é"}),
        malformed: None,
    };
    let thought = Block::Thinking { thinking: thinking.into(), signature: Some("rs_1 sealed".into()) };
    let said = Block::Text { text: "I look.".into() };
    answers([thought, said].into_iter().chain(ids.iter().map(call)).collect())
}

fn result(id: u128) -> Event {
    Event::CallFinished(CallFinished {
        call: CallId::from_bits(id),
        attempt: 1,
        outcome: Outcome::Ok,
        content: format!("what {id} has"),
        details: None,
        artifact: None,
        duration_ms: 1,
    })
}

fn frame() -> Frame {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let tool = |name: &str| ToolSpec { name: name.into(), description: "d".into(), input_schema: schema.clone() };
    Frame::new(FrameParts {
        window: outlive_core::context::Window::default(),
        system: vec!["be good".into(), "the rules".into()],
        tools: ["bash", "read"].map(tool).into(),
        max_output_tokens: 100,
        temperature: None,
        model: "provider/m".into(),
        agent_digest: "0".into(),
    })
}

/// The requests of two turns: the first with two steps of calls and a steer, the second with an answer between.
fn requests() -> Vec<Request> {
    let photo = Attachment {
        hash: Digest::of(PNG),
        media_type: "image/png".into(),
        name: Some("photo.png".into()),
        bytes: PNG.len() as u64,
    };
    let started = || Event::TurnStarted(TurnStarted { trigger: Trigger::Message });
    let ended = Event::TurnEnded(TurnEnded {
        ending: Ending::Complete,
        wake_at: None,
        error: None,
        usage: Usage::default(),
        cost: None,
    });
    let steps: Vec<Vec<Event>> = vec![
        vec![says("look at this", vec![photo]), started()],
        vec![calls(&[1, 2], "hm"), result(2), result(1), says("also the other", vec![])],
        vec![calls(&[3], ""), result(3)],
        vec![answers(vec![Block::Text { text: "done".into() }]), ended, says("and now?", vec![]), started()],
        vec![calls(&[4], "so"), result(4)],
    ];
    let (frame, mut transcript, mut seq) = (frame(), Transcript::default(), 0);
    let mut requests = Vec::new();
    for events in steps {
        for event in events {
            seq += 1;
            transcript.apply(&entry(seq, event));
        }
        let (mut request, plan) = assemble(&frame, &transcript);
        request.files.add(Digest::of(PNG), File::Whole(Arc::from(PNG)));
        requests.push(request);
        seq += 1;
        transcript.apply(&entry(
            seq,
            Event::StepStarted(StepStarted {
                capped: None,
                model: plan.model,
                attempt: 1,
                request: plan.request,
                blocks: plan.blocks,
                tokens_estimated: plan.tokens_estimated,
                agent_digest: plan.agent_digest,
                messages: plan.messages,
                room: None,
            }),
        ));
    }
    requests
}

/// What a key of a body holds, as its very bytes: without marks that say where a cache ends, which are no part of what is
/// cached.
fn bytes_of(wire: &str, key: &str) -> Option<String> {
    let body: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(wire).unwrap();
    Some(body.get(key)?.get().replace(r#","cache_control":{"type":"ephemeral"}"#, ""))
}

#[tokio::test]
async fn a_request_begins_with_the_very_bytes_of_the_one_before_it() {
    let server = Loopback::start(0).await.unwrap();
    let named = DIALECTS.map(|provider| (provider, "loopback"));
    // The router marks where a cache ends for these.
    for (provider, name) in named.into_iter().chain([("openrouter", "anthropic/loopback")]) {
        let list = match provider {
            "openai_responses" => "input",
            "gemini" => "contents",
            _others => "messages",
        };
        let mut before: Option<String> = None;
        for (at, request) in requests().into_iter().enumerate() {
            let settings = canned_settings(provider, &url(&server, provider));
            let settings = Settings { name: name.into(), key: Some(Key::new(KEY)), ..settings };
            let reply = connect(settings).unwrap().stream(request, Arc::new(|_| {})).await;
            assert!(reply.is_ok(), "{provider} {at}: {reply:?}");
            let wire = server.wire().pop().unwrap();
            if let Some(before) = before {
                for key in ["system", "instructions", "systemInstruction", "tools"] {
                    assert_eq!(bytes_of(&wire, key), bytes_of(&before, key), "{provider} {at}: {key}");
                }
                let (now, then) = (bytes_of(&wire, list).unwrap(), bytes_of(&before, list).unwrap());
                let open = then.strip_suffix(']').unwrap();
                assert!(now.starts_with(open) && now.len() > then.len(), "{provider} {at}:\n{then}\n{now}");
                assert!(!open.contains("cache_control"), "{open}");
            }
            before = Some(wire);
        }
    }
}

#[tokio::test]
async fn a_cache_ends_where_the_request_before_ended_and_at_the_end_of_this_one() {
    let server = Loopback::start(0).await.unwrap();
    let mut ends = Vec::new();
    for request in requests() {
        ask(&server, "anthropic", request).await.0.unwrap();
        let body = server.bodies().pop().unwrap();
        let marked = |block: &serde_json::Value| block["cache_control"]["type"] == "ephemeral";
        assert!(marked(&body["system"][1]) && marked(&body["tools"][1]));
        let messages = body["messages"].as_array().unwrap();
        let last = |message: &serde_json::Value| marked(message["content"].as_array().unwrap().last().unwrap());
        let at: Vec<usize> = (0..messages.len()).filter(|at| last(&messages[*at])).collect();
        assert_eq!(body.to_string().matches("cache_control").count(), 2 + at.len());
        ends.push(at);
    }
    assert_eq!(ends, [vec![0], vec![0, 2], vec![2, 4], vec![4, 6], vec![6, 8]]);
}
