//! Runs a call whose intent is durable, or looks for what a dead process's attempt did, and reports how it ended.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::FutureExt as _;
use outlive_core::command::{self, Report};
use outlive_core::compaction::is_exempt;
use outlive_core::content::Delta;
use outlive_core::context::ends;
use outlive_core::event::{ArtifactRef, Outcome};
use outlive_core::id::QuestionId;
use outlive_core::limits::RESULT_TOKENS;
use outlive_core::policy::{Subject, Verdict};
use outlive_core::redact::Redactor;
use outlive_tools::{Asker, Finished, Found, Invocation, Tool};
use tokio::sync::mpsc;

use super::speech::Speech;
use super::{Errand, Inquiries, Run};
use crate::kit::Kit;

/// What one call asks and takes back before the actor has heard of it.
const QUESTIONS: usize = 16;

/// Runs the call and reports.
pub(crate) async fn run(errand: Errand, run: Run) {
    let began = tokio::time::Instant::now();
    let speech = Arc::new(Speech::new(&errand));
    let (tell, told) = mpsc::channel(QUESTIONS);
    let asker = if run.attended { asker(&errand, &run, tell) } else { outlive_tools::unheard() };
    let finished = match invocation(&errand, &run, (&speech, asker)) {
        Ok((tool, invocation)) => {
            let may = |subject: &Subject| may(&run.kit, subject);
            let running = run.kit.toolbox.held().run((&run.tool, &*tool), invocation, &may);
            tokio::select! {
                biased;
                finished = running => finished,
                never = pass_on(&errand, told) => match never {},
            }
        }
        Err(why) => error(why),
    };
    speech.end();
    let done = keep(&errand, &run, finished).await;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    errand.report(Report::Call { call: run.call, attempt: run.attempt, done, duration_ms }).await;
}

/// Asks the tool what the attempt did and reports.
pub(crate) async fn find(errand: Errand, run: Run) {
    // A look asks nobody.
    let silent = (&Arc::new(Speech::new(&errand)), outlive_tools::unheard());
    let found = match invocation(&errand, &run, silent) {
        Ok((tool, invocation)) => {
            let found = std::panic::AssertUnwindSafe(tool.find(invocation)).catch_unwind().await;
            found.unwrap_or(Found::Unknown)
        }
        Err(_gone) => Found::Unknown,
    };
    let found = match found {
        Found::Done(finished) => command::Found::Done(keep(&errand, &run, finished).await),
        Found::NotDone => command::Found::NotDone,
        Found::Unknown => command::Found::Unknown,
    };
    errand.report(Report::Found { call: run.call, attempt: run.attempt, found }).await;
}

fn invocation(
    errand: &Errand,
    run: &Run,
    (speech, asker): (&Arc<Speech>, Asker),
) -> Result<(Arc<dyn Tool>, Invocation), String> {
    let tool = run.kit.toolbox.tool(&run.tool).map_err(|refusal| refusal.to_string())?;
    let target = run.ruled.as_ref().map_or("", |ruled| ruled.target.as_str());
    let (speech, call) = (Arc::clone(speech), run.call);
    let invocation = Invocation {
        session: errand.session,
        call,
        attempt: run.attempt,
        idempotency_key: run.idempotency_key.clone(),
        arguments: run.arguments.clone(),
        place: run.kit.place.clone(),
        ruled: run.ruled.clone(),
        closed: run.kit.policy.closed(&run.tool, target),
        sink: Arc::new(move |text| speech.tell(Delta::ToolOutput { call, text })),
        asker,
        stop: run.stop.clone(),
    };
    Ok((tool, invocation))
}

/// Has a person asked on behalf of the call: the question is in the journal, and its answer comes back through the actor.
fn asker(errand: &Errand, run: &Run, tell: mpsc::Sender<Report>) -> Asker {
    let (inquiries, call, attempt) = (errand.inquiries.clone(), run.call, run.attempt);
    Arc::new(move |questions| {
        let (inquiries, tell) = (inquiries.clone(), tell.clone());
        Box::pin(async move {
            let (question, answered) = inquiries.open();
            let withdraws = Report::Withdraws { call, attempt, question };
            let _waits = Waits { inquiries, question, last: Some(withdraws), tell: tell.clone() };
            tell.send(Report::Asks { call, attempt, question, questions }).await.ok()?;
            answered.await.ok()
        })
    })
}

/// Takes a question back that nobody waits for any more.
struct Waits {
    inquiries: Inquiries,
    question: QuestionId,
    last: Option<Report>,
    tell: mpsc::Sender<Report>,
}

impl Drop for Waits {
    fn drop(&mut self) {
        if self.inquiries.forget(self.question)
            && let Some(withdraws) = self.last.take()
        {
            // Where there is no room, the end of the call takes it back.
            self.tell.try_send(withdraws).ok();
        }
    }
}

/// Reports what a running call asks and takes back, in that order.
async fn pass_on(errand: &Errand, mut told: mpsc::Receiver<Report>) -> Infallible {
    while let Some(report) = told.recv().await {
        errand.report(report).await;
    }
    std::future::pending().await
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

/// Keeps a large output as an artifact, before the outcome refers to it; known secrets are in neither.
async fn keep(errand: &Errand, run: &Run, finished: Finished) -> command::Done {
    let redactor = &errand.secrets.now();
    let Finished { outcome, mut content, mut details, whole } = finished;
    let mut artifact = None;
    redactor.clean(&mut content);
    if let Some(details) = &mut details {
        redactor.value(details);
    }
    let mut whole = whole.map(|bytes| clean(bytes, redactor));
    // What a skill says is an instruction: half of it is another one.
    if !is_exempt(&run.tool)
        && let Some(shorter) = ends(&content, RESULT_TOKENS, &*errand.counter)
    {
        let shown = std::mem::replace(&mut content, shorter);
        whole = whole.or_else(|| Some(shown.into_bytes()));
    }
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

fn clean(bytes: Vec<u8>, redactor: &Redactor) -> Vec<u8> {
    match redactor.bytes(&bytes) {
        Cow::Borrowed(_) => bytes,
        Cow::Owned(clean) => clean,
    }
}
