//! What a hand reports becomes facts, or comes too late. Whatever the world gave is bounded here: a model's reply, a
//! tool's result.

use super::decide::{Facts, Moment, Refusal};
use super::question::{check_questions, withdrawn};
use super::settle::Fact;
use super::{Hold, State};
use crate::command::{Done, Found, Report};
use crate::content::{Block, Failure, FailureKind, Reply, ReplyBlock, StopReason};
use crate::event::{
    ArtifactStored, CallFinished, CallLost, CallStarted, Event, Outcome, QuestionAsked, StepFailed, StepFinished,
};
use crate::id::{CallId, Ids};
use crate::limits::{ATTACHMENTS, CALLS_PER_STEP, JSON_DEPTH, OUTCOME_BYTES, REPLY_BYTES};
use crate::media::Attachment;
use crate::time::Timestamp;
use crate::turn::{Asking, Call, Phase, Turn, retry_pause_ms, retryable};

impl State {
    pub(super) fn report(&self, report: &Report, moment: &mut Moment) -> Facts {
        match report {
            Report::Condensed { compaction, to, answer } => self.condensed(*compaction, *to, answer, moment),
            Report::Observed { .. } | Report::Reflected { .. } | Report::Erased { .. } => {
                self.remembered(report, moment)
            }
            Report::Told { notice, outcome } => self.was_told(*notice, outcome, moment.at),
            Report::Step { .. }
            | Report::Call { .. }
            | Report::Asks { .. }
            | Report::Withdraws { .. }
            | Report::Found { .. } => self.report_of_turn(self.turn.as_ref().ok_or(Refusal::Stale)?, report, moment),
        }
    }

    fn report_of_turn(&self, turn: &Turn, report: &Report, moment: &mut Moment) -> Facts {
        match report {
            Report::Step { turn: id, step, attempt, answer, suspects, latency_ms } => {
                let current =
                    turn.id == *id && turn.step == *step && turn.asking == (Asking::Asked { attempt: *attempt });
                if !current {
                    return Err(Refusal::Stale);
                }
                let event = match answer {
                    Ok(reply) if reply.bytes() > REPLY_BYTES => {
                        Event::StepFailed(failed(turn, &too_large(reply), *attempt, moment.at))
                    }
                    Ok(reply) => Event::StepFinished(finished(reply, *attempt, *latency_ms, &mut moment.ids)),
                    Err(failure) if failure.kind == FailureKind::Overflow && self.may_condense() => {
                        Event::StepFailed(StepFailed {
                            retry_at: Some(moment.at),
                            ..failed(turn, failure, *attempt, moment.at)
                        })
                    }
                    Err(failure) if failure.kind == FailureKind::InvalidRequest && !suspects.is_empty() => {
                        Event::StepFailed(without(suspects, failed(turn, failure, *attempt, moment.at), moment.at))
                    }
                    Err(failure) => Event::StepFailed(failed(turn, failure, *attempt, moment.at)),
                };
                Ok(vec![Fact::of_step(turn, event)])
            }
            Report::Call { call, attempt, done, duration_ms } => {
                running(turn, *call, *attempt)?;
                Ok(outcome(turn, *call, *attempt, done, *duration_ms))
            }
            Report::Asks { call, attempt, question, questions } => {
                let call = running(turn, *call, *attempt)?;
                if call.inquiry.is_some() || turn.interrupt.is_some() {
                    return Err(Refusal::Stale);
                }
                check_questions(questions).map_err(|what| Refusal::Invalid { code: "question_invalid", what })?;
                let (question, call, attempt, questions) = (*question, call.id, Some(*attempt), questions.clone());
                let asked = Event::QuestionAsked(QuestionAsked { question, call, questions, attempt });
                Ok(vec![Fact::of_step(turn, asked)])
            }
            Report::Withdraws { call, attempt, question } => {
                let call = running(turn, *call, *attempt)?;
                let is_open = call.inquiry.as_ref().is_some_and(|inquiry| inquiry.question == *question);
                let taken_back = withdrawn(call).filter(|_| is_open).ok_or(Refusal::Stale)?;
                Ok(vec![Fact::of_step(turn, taken_back)])
            }
            Report::Found { call, attempt, found } => {
                let call = running(turn, *call, *attempt)?;
                // What was not done starts again, unless nothing may start: resumed, it is looked for once more.
                match found {
                    Found::NotDone if turn.interrupt.is_none() && self.hold != Hold::Open => Ok(Vec::new()),
                    Found::Done(_) | Found::NotDone | Found::Unknown => Ok(found_facts(turn, call, found)),
                }
            }
            Report::Condensed { .. }
            | Report::Observed { .. }
            | Report::Reflected { .. }
            | Report::Told { .. }
            | Report::Erased { .. } => Err(Refusal::Stale),
        }
    }
}

fn running(turn: &Turn, id: CallId, attempt: u32) -> Result<&Call, Refusal> {
    let current = |call: &&Call| call.phase == Phase::Running && call.attempt == attempt;
    turn.call(id).filter(current).ok_or(Refusal::Stale)
}

fn too_large(reply: &Reply) -> Failure {
    let message = format!("the reply has {} bytes, of {REPLY_BYTES} that a step may have", reply.bytes());
    Failure { kind: FailureKind::Truncated, message, retry_after_ms: None }
}

fn outcome(turn: &Turn, call: CallId, attempt: u32, done: &Done, duration_ms: u64) -> Vec<Fact> {
    let stored = done.artifact.clone().map(|artifact| Event::ArtifactStored(ArtifactStored { artifact, of: call }));
    let finished = Event::CallFinished(CallFinished {
        call,
        attempt,
        outcome: done.outcome,
        content: bounded(&done.content),
        details: done.details.clone().filter(|it| is_shallow(it) && it.to_string().len() <= OUTCOME_BYTES),
        artifact: done.artifact.clone(),
        duration_ms,
    });
    let withdrawn = turn.call(call).and_then(withdrawn);
    stored.into_iter().chain(withdrawn).chain([finished]).map(|event| Fact::of_step(turn, event)).collect()
}

/// Cuts what no tool should report, and says so.
fn bounded(content: &str) -> String {
    if content.len() <= OUTCOME_BYTES {
        return content.to_owned();
    }
    let kept = content.floor_char_boundary(OUTCOME_BYTES);
    format!("{}\n[cut here: the result had {} bytes]", &content[..kept], content.len())
}

fn found_facts(turn: &Turn, call: &Call, found: &Found) -> Vec<Fact> {
    let event = match found {
        Found::Done(done) => return outcome(turn, call.id, call.attempt, done, 0),
        Found::NotDone if turn.interrupt.is_some() => {
            let content = format!(
                "Not done: `{}` was started, its process died before it did anything, and the turn was interrupted.",
                call.tool
            );
            let done = Done { outcome: Outcome::Interrupted, content, details: None, artifact: None };
            return outcome(turn, call.id, call.attempt, &done, 0);
        }
        Found::NotDone => Event::CallStarted(CallStarted {
            call: call.id,
            tool: call.tool.clone(),
            arguments: call.input.clone(),
            attempt: call.attempt.saturating_add(1),
            effect: call.effect,
            idempotency_key: call.key(),
        }),
        Found::Unknown => {
            let known =
                format!("`{}` was started, then its process died; what it did cannot be told. Check first.", call.tool);
            Event::CallLost(CallLost { call: call.id, attempt: call.attempt, known })
        }
    };
    withdrawn(call).into_iter().chain([event]).map(|event| Fact::of_step(turn, event)).collect()
}

fn finished(reply: &Reply, attempt: u32, latency_ms: u64, ids: &mut Ids) -> StepFinished {
    let mut calls = 0;
    let content = reply.content.iter().filter_map(|block| named(block, reply.stop_reason, &mut calls, ids)).collect();
    StepFinished {
        attempt,
        content,
        stop_reason: reply.stop_reason,
        usage: reply.usage,
        latency_ms,
        provider_request_id: reply.provider_request_id.clone(),
        model: reply.model.clone(),
        served_by: reply.served_by.clone(),
    }
}

/// Gives a reply's block its place in the journal. Calls get our ids: a provider's may repeat. What is beyond the limit
/// is left out, as if the model had not asked.
fn named(block: &ReplyBlock, stop: StopReason, calls: &mut usize, ids: &mut Ids) -> Option<Block> {
    match block {
        ReplyBlock::Text(text) => Some(Block::Text { text: text.clone() }),
        ReplyBlock::Thinking { thinking, signature } => {
            Some(Block::Thinking { thinking: thinking.clone(), signature: signature.clone() })
        }
        ReplyBlock::RedactedThinking(data) => Some(Block::RedactedThinking { data: data.clone() }),
        ReplyBlock::ToolUse { name, arguments } => {
            *calls += 1;
            let id = CallId::from_bits(ids.fresh());
            let (input, malformed) = read_arguments(arguments, stop);
            let name = name.chars().take(128).collect();
            (*calls <= CALLS_PER_STEP).then_some(Block::ToolUse { id, name, input, malformed })
        }
    }
}

/// Says whether a value nests no deeper than a line that holds it can be read back.
pub(crate) fn is_shallow(value: &serde_json::Value) -> bool {
    let mut level: Vec<&serde_json::Value> = vec![value];
    for _ in 0..JSON_DEPTH {
        let mut below = Vec::new();
        for value in level {
            below.extend(value.as_array().into_iter().flatten());
            below.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        }
        if below.is_empty() {
            return true;
        }
        level = below;
    }
    false
}

fn read_arguments(arguments: &str, stop: StopReason) -> (serde_json::Value, Option<String>) {
    let empty = || serde_json::Value::Object(serde_json::Map::new());
    if arguments.trim().is_empty() {
        // A reply that was cut may have been cut right here: what was not said is not run.
        let cut = (stop == StopReason::MaxTokens).then(String::new);
        return (empty(), cut);
    }
    match serde_json::from_str::<serde_json::Value>(arguments) {
        Ok(value) if value.is_object() && is_shallow(&value) => (value, None),
        Ok(_) | Err(_) => (empty(), Some(arguments.chars().take(4_096).collect())),
    }
}

fn failed(turn: &Turn, failure: &Failure, attempt: u32, at: Timestamp) -> StepFailed {
    let failures = turn.failures.min(turn.outages.failures()).saturating_add(1);
    let retry_at = retryable(failure.kind, turn.outages.bad_replies())
        .then(|| at.plus_ms(retry_pause_ms(failures, failure.retry_after_ms, turn.id.bits())));
    let message = failure.message.chars().take(2_000).collect();
    StepFailed { attempt, kind: failure.kind, message, retry_at, left_out: Vec::new() }
}

/// A request that files were in is asked once more without them, at once: a broken one would be refused for ever.
fn without(suspects: &[Attachment], failed: StepFailed, at: Timestamp) -> StepFailed {
    let left_out: Vec<Attachment> = suspects.iter().take(ATTACHMENTS).cloned().collect();
    let named: Vec<String> = left_out.iter().map(Attachment::described).collect();
    let message =
        format!("{}: left out of what is sent, since it may be refused for that: {}", failed.message, named.join("; "));
    StepFailed { message, retry_at: Some(at), left_out, ..failed }
}
