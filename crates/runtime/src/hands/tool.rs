//! Runs a call whose intent is durable, or looks for what a dead process's attempt did, and reports how it ended.

use std::sync::Arc;

use futures_util::FutureExt as _;
use outlive_core::command::{self, Report};
use outlive_core::content::Delta;
use outlive_core::event::{ArtifactRef, Outcome};
use outlive_core::policy::{Subject, Verdict};
use outlive_tools::{Asker, Finished, Found, Invocation, Tool};

use super::{Errand, Run};
use crate::kit::Kit;

/// Runs the call and reports.
pub(crate) async fn run(errand: Errand, run: Run) {
    let began = tokio::time::Instant::now();
    let finished = match invocation(&errand, &run) {
        Ok((tool, invocation)) => {
            let may = |subject: &Subject| may(&run.kit, subject);
            run.kit.toolbox.held().run((&run.tool, &*tool), invocation, &may).await
        }
        Err(why) => error(why),
    };
    let done = keep(&run, finished).await;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    errand.report(Report::Call { call: run.call, attempt: run.attempt, done, duration_ms }).await;
}

/// Asks the tool what the attempt did and reports.
pub(crate) async fn find(errand: Errand, run: Run) {
    let found = match invocation(&errand, &run) {
        Ok((tool, invocation)) => {
            let found = std::panic::AssertUnwindSafe(tool.find(invocation)).catch_unwind().await;
            found.unwrap_or(Found::Unknown)
        }
        Err(_gone) => Found::Unknown,
    };
    let found = match found {
        Found::Done(finished) => command::Found::Done(keep(&run, finished).await),
        Found::NotDone => command::Found::NotDone,
        Found::Unknown => command::Found::Unknown,
    };
    errand.report(Report::Found { call: run.call, attempt: run.attempt, found }).await;
}

fn invocation(errand: &Errand, run: &Run) -> Result<(Arc<dyn Tool>, Invocation), String> {
    let tool = run.kit.toolbox.tool(&run.tool).map_err(|refusal| refusal.to_string())?;
    let target = run.ruled.as_ref().map_or("", |ruled| ruled.target.as_str());
    let (listener, call) = (errand.clone(), run.call);
    let invocation = Invocation {
        session: errand.session,
        call,
        attempt: run.attempt,
        idempotency_key: run.idempotency_key.clone(),
        arguments: run.arguments.clone(),
        place: run.kit.place.clone(),
        ruled: run.ruled.clone(),
        closed: run.kit.policy.closed(&run.tool, target),
        sink: Arc::new(move |text| listener.tell(Delta::ToolOutput { call, text })),
        asker: asker(errand, run),
        stop: run.stop.clone(),
    };
    Ok((tool, invocation))
}

/// Has a person asked on behalf of the call: the question is in the journal, and its answer comes back through the actor.
fn asker(errand: &Errand, run: &Run) -> Asker {
    let (errand, call, attempt) = (errand.clone(), run.call, run.attempt);
    Arc::new(move |questions| {
        let errand = errand.clone();
        Box::pin(async move {
            let answered = errand.inquiries.expect(call);
            errand.report(Report::Asks { call, attempt, questions }).await;
            answered.await.ok()
        })
    })
}

/// Whether a hook's program may run: nobody can be asked about it.
fn may(kit: &Kit, subject: &Subject) -> Result<(), String> {
    match kit.policy.rule(subject) {
        Verdict::Allow { .. } => Ok(()),
        Verdict::Ask { rule, .. } => {
            Err(format!("its program `{}` needs an approval ({rule}), and a hook asks nobody", subject.target))
        }
        Verdict::Deny { reason, .. } => Err(format!("its program `{}` may not run: {reason}", subject.target)),
    }
}

fn error(content: String) -> Finished {
    Finished { outcome: Outcome::Error, content, details: None, whole: None }
}

/// Keeps a large output as an artifact, before the outcome refers to it.
async fn keep(run: &Run, finished: Finished) -> command::Done {
    let Finished { outcome, mut content, details, whole } = finished;
    let mut artifact = None;
    if let Some(bytes) = whole {
        let size = bytes.len() as u64;
        // A tool whose whole output is a file says so in its details.
        let named = details.as_ref().and_then(|details| details.get("media_type")).and_then(serde_json::Value::as_str);
        let media_type = named.unwrap_or("text/plain; charset=utf-8").to_owned();
        match run.artifacts.put(bytes).await {
            Ok(hash) => {
                content.push_str(&format!("\n[the whole output, {size} bytes, is artifact {hash}]"));
                artifact = Some(ArtifactRef { hash, bytes: size, media_type });
            }
            Err(why) => content.push_str(&format!("\n[the whole output, {size} bytes, could not be kept: {why}]")),
        }
    }
    command::Done { outcome, content, details, artifact }
}
