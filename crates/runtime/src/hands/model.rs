//! Asks a model once, within its time, and reports what it said.

use std::sync::Arc;

use futures_util::FutureExt as _;
use outlive_core::command::Report;
use outlive_core::content::{Delta, Failure, FailureKind, Reply, ReplyBlock};
use outlive_core::redact::Redactor;

use super::speech::Speech;
use super::{Ask, Errand, files};
use crate::schema::hold_to;

/// Asks, streams fragments to whoever listens, and reports.
pub(crate) async fn ask(errand: Errand, ask: Ask) {
    let began = tokio::time::Instant::now();
    if ask.attempt > 1 {
        errand.tell(Delta::Restart);
    }
    let speech = Arc::new(Speech::new(&errand));
    let heard = Arc::clone(&speech);
    let sink: outlive_model::Sink = Arc::new(move |delta| heard.tell(delta));
    let schema = ask.request.output_schema.clone();
    let mut request = ask.request;
    let mut suspects = Vec::new();
    let asked = async {
        files::bring(&mut request, &*ask.artifacts).await;
        suspects = request.suspects();
        hold_to(schema, ask.model.stream(request, sink).await?).await
    };
    let asked = std::panic::AssertUnwindSafe(asked).catch_unwind();
    let answer = match tokio::time::timeout(ask.limit, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(failure(FailureKind::Truncated, "the model's adapter panicked")),
        Err(_elapsed) => Err(failure(FailureKind::Timeout, "no whole answer within the step's time limit")),
    };
    speech.end();
    let answer = answer.map(|reply| clean(reply, &errand.secrets.now()));
    // From here on the journal knows what it cost, whatever becomes of the prices.
    let answer = answer.map(|reply| Reply { usage: reply.usage.counted(ask.prices.as_ref()), ..reply });
    let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (turn, step, attempt) = (ask.turn, ask.step, ask.attempt);
    errand.report(Report::Step { turn, step, attempt, answer, suspects, latency_ms }).await;
}

/// Takes secrets out of what a model said: it may repeat what it should not have seen. Before anything is cut to size.
fn clean(mut reply: Reply, redactor: &Redactor) -> Reply {
    for block in &mut reply.content {
        match block {
            ReplyBlock::Text(text) | ReplyBlock::ToolUse { arguments: text, .. } => drop(redactor.clean(text)),
            ReplyBlock::Thinking { thinking, signature } => {
                // Its provider takes it back only as it was, or not at all.
                if redactor.clean(thinking) {
                    *signature = None;
                }
            }
            ReplyBlock::RedactedThinking(_) => {}
        }
    }
    reply
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned(), retry_after_ms: None }
}
