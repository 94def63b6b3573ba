//! A span for each turn (`invoke_agent`), and in it one for each model request (`chat`) and each call (`execute_tool`), from
//! the events that began and ended them.
//!
//! Invariant: a turn has one span. Where its beginning was in a process before this one, its time is known all the same.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use outlive_core::content::StopReason;
use outlive_core::event::{CallFinished, Entry, Event, Outcome, StepFinished, TurnEnded};
use outlive_core::id::{CallId, TurnId};
use outlive_core::time::Timestamp;
use outlive_runtime::meter::{Seen, word};

use super::measures::Asked;

/// Turns that may run at once; beyond, what is known of them is forgotten: those spans end early.
const TURNS: usize = 10_000;

/// Spans that are open.
pub(super) struct Spans {
    tracer: SdkTracer,
    turns: HashMap<TurnId, Open>,
}

/// A turn that runs.
struct Open {
    context: Context,
    /// When its request was made, of which model.
    step: Option<(Timestamp, String)>,
    /// When each call began, of which tool.
    calls: HashMap<CallId, (Timestamp, String)>,
}

impl Spans {
    pub(super) fn new(tracers: &SdkTracerProvider) -> Self {
        Self { tracer: tracers.tracer("outlive"), turns: HashMap::new() }
    }

    /// Takes in an event. Returns the model request that it ended.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events are not traced")]
    pub(super) fn note(&mut self, seen: &Seen, entry: &Entry) -> Option<Asked> {
        let turn = entry.turn?;
        match &entry.event {
            Event::TurnEnded(ended) => self.end(seen, (turn, entry), ended),
            Event::TurnStarted(_) => drop(self.open(seen, turn, entry.at)),
            Event::StepStarted(started) => {
                self.open(seen, turn, entry.at).step = Some((entry.at, started.model.clone()));
            }
            Event::StepFinished(finished) => return self.answered(seen, (turn, entry), finished),
            Event::StepFailed(failed) => {
                let kind = word::failure(failed.kind);
                let open = self.open(seen, turn, entry.at);
                let (began, model) = open.step.take()?;
                let mut attributes = requested(&model);
                attributes.push(KeyValue::new("error.type", kind));
                let context = open.context.clone();
                self.chat((&context, &model), (began, entry.at), attributes.clone(), (seen, Status::error(kind)));
                return Some(Asked { seconds: seconds(began, entry.at), usage: None, attributes });
            }
            Event::CallStarted(started) => {
                let open = self.open(seen, turn, entry.at);
                open.calls.insert(started.call, (entry.at, started.tool.clone()));
            }
            Event::CallFinished(finished) => self.called(seen, (turn, entry), finished),
            Event::CallLost(lost) => self.tool(seen, (turn, entry), (lost.call, Some("lost"))),
            _not_traced => {}
        }
        None
    }

    /// Returns a turn's span, which begins where it was not known.
    fn open(&mut self, seen: &Seen, turn: TurnId, at: Timestamp) -> &mut Open {
        if self.turns.len() >= TURNS && !self.turns.contains_key(&turn) {
            self.turns.clear();
        }
        let tracer = &self.tracer;
        self.turns.entry(turn).or_insert_with(|| {
            let agent = seen.agent.as_ref().map(ToString::to_string).unwrap_or_default();
            let attributes = vec![
                KeyValue::new("gen_ai.operation.name", "invoke_agent"),
                KeyValue::new("gen_ai.agent.name", agent.clone()),
                conversation(seen),
                KeyValue::new("outlive.turn.id", turn.to_string()),
            ];
            let builder = SpanBuilder::from_name(format!("invoke_agent {agent}")).with_kind(SpanKind::Internal);
            let builder = builder.with_start_time(time(seen.began.unwrap_or(at))).with_attributes(attributes);
            let span = builder.start_with_context(tracer, &Context::new());
            Open { context: Context::new().with_span(span), step: None, calls: HashMap::new() }
        })
    }

    fn end(&mut self, seen: &Seen, (turn, entry): (TurnId, &Entry), ended: &TurnEnded) {
        self.open(seen, turn, entry.at);
        let Some(open) = self.turns.remove(&turn) else { return };
        let span = open.context.span();
        span.set_attribute(KeyValue::new("outlive.turn.ending", word::ending(ended.ending)));
        span.set_attribute(KeyValue::new("gen_ai.usage.input_tokens", whole(ended.usage.all_input())));
        span.set_attribute(KeyValue::new("gen_ai.usage.output_tokens", whole(ended.usage.output_tokens)));
        if let Some(error) = &ended.error {
            span.set_attribute(KeyValue::new("error.type", error.code.clone()));
            span.set_status(Status::error(error.code.clone()));
        }
        span.end_with_timestamp(time(entry.at));
    }

    fn answered(&mut self, seen: &Seen, (turn, entry): (TurnId, &Entry), finished: &StepFinished) -> Option<Asked> {
        let open = self.open(seen, turn, entry.at);
        let (began, model) = open.step.take()?;
        let context = open.context.clone();
        let mut attributes = requested(&model);
        attributes.push(KeyValue::new("gen_ai.response.model", finished.model.clone()));
        let usage = finished.usage;
        let reason = Array::String(vec![StringValue::from(stopped(finished.stop_reason))]);
        let mut all = attributes.clone();
        all.extend([
            KeyValue::new("gen_ai.usage.input_tokens", whole(usage.all_input())),
            KeyValue::new("gen_ai.usage.output_tokens", whole(usage.output_tokens)),
            KeyValue::new("gen_ai.usage.cache_read.input_tokens", whole(usage.cache_read_tokens)),
            KeyValue::new("gen_ai.usage.cache_creation.input_tokens", whole(usage.cache_write_tokens)),
            KeyValue::new("gen_ai.response.finish_reasons", Value::Array(reason)),
        ]);
        all.extend(finished.provider_request_id.clone().map(|id| KeyValue::new("gen_ai.response.id", id)));
        self.chat((&context, &model), (began, entry.at), all, (seen, Status::Unset));
        Some(Asked { seconds: seconds(began, entry.at), usage: Some(usage), attributes })
    }

    fn chat(
        &self,
        (context, model): (&Context, &str),
        (began, ended): (Timestamp, Timestamp),
        mut attributes: Vec<KeyValue>,
        (seen, status): (&Seen, Status),
    ) {
        attributes.push(conversation(seen));
        let (_, name) = model.split_once('/').unwrap_or(("", model));
        let builder = SpanBuilder::from_name(format!("chat {name}")).with_kind(SpanKind::Client);
        let builder = builder.with_start_time(time(began)).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, context);
        span.set_status(status);
        span.end_with_timestamp(time(ended));
    }

    fn called(&mut self, seen: &Seen, (turn, entry): (TurnId, &Entry), finished: &CallFinished) {
        let error = Some(word::outcome(finished.outcome)).filter(|_| finished.outcome != Outcome::Ok);
        self.tool(seen, (turn, entry), (finished.call, error));
    }

    /// Ends a call's span. One whose beginning was in a process before this one has none.
    fn tool(&mut self, seen: &Seen, (turn, entry): (TurnId, &Entry), (call, error): (CallId, Option<&'static str>)) {
        let open = self.open(seen, turn, entry.at);
        let Some((began, tool)) = open.calls.remove(&call) else { return };
        let context = open.context.clone();
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", tool.clone()),
            KeyValue::new("gen_ai.tool.call.id", call.to_string()),
            KeyValue::new("gen_ai.tool.type", "function"),
            conversation(seen),
        ];
        attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
        let builder = SpanBuilder::from_name(format!("execute_tool {tool}")).with_kind(SpanKind::Internal);
        let builder = builder.with_start_time(time(began)).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(builder, &context);
        if let Some(error) = error {
            span.set_status(Status::error(error));
        }
        span.end_with_timestamp(time(entry.at));
    }
}

fn conversation(seen: &Seen) -> KeyValue {
    KeyValue::new("gen_ai.conversation.id", seen.session.to_string())
}

/// What is known of a request when it is made. The provider is named twice: by its name of now, and by that of before.
fn requested(model: &str) -> Vec<KeyValue> {
    let (provider, name) = model.split_once('/').unwrap_or(("", model));
    let provider = known(provider).to_owned();
    vec![
        KeyValue::new("gen_ai.operation.name", "chat"),
        KeyValue::new("gen_ai.provider.name", provider.clone()),
        KeyValue::new("gen_ai.system", provider),
        KeyValue::new("gen_ai.request.model", name.to_owned()),
    ]
}

/// Returns the conventions' name of a provider.
fn known(provider: &str) -> &str {
    match provider {
        "openai_responses" => "openai",
        "gemini" => "gcp.gemini",
        other => other,
    }
}

fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence => "stop",
        StopReason::ToolUse => "tool_call",
        StopReason::MaxTokens => "length",
        StopReason::Refusal => "content_filter",
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.micros()).unwrap_or(0))
}

fn seconds(began: Timestamp, ended: Timestamp) -> f64 {
    ended.ms_since(began) as f64 / 1e3
}
