//! `bash`: runs a command line, and says what it printed and how it ended.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::policy::{Reach, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape;
use crate::exec::{Ending, Exec, Job, Ran};
use crate::tasks::Task;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Time of a command that does not say how long it takes, in milliseconds.
pub(crate) const DEFAULT_MS: u64 = 120_000;
/// Bytes of a command line: the kernel takes no argument of 128 KiB.
const COMMAND_BYTES: usize = 100 << 10;

/// Runs `bash -c`.
pub struct Bash {
    exec: Arc<Exec>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The command line.
    #[schemars(length(min = 1))]
    command: String,
    /// Milliseconds after which it is ended with all its processes. 120000 if left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
    /// Whether it goes on in the background: the call returns at once with the name of a task for `task_output` and
    /// `task_stop`. Then only a `timeout_ms` that is given ends it.
    #[serde(default)]
    run_in_background: bool,
}

impl Bash {
    /// Runs commands with this.
    #[must_use]
    pub fn new(exec: Arc<Exec>) -> Self {
        Self { exec }
    }

    async fn begin(&self, task: Task) -> Finished {
        let call = task.invocation.call;
        match self.exec.tasks().start(&self.exec, task, finished).await {
            Ok(None) => Finished {
                details: Some(json!({"task": call.to_string()})),
                ..Finished::ok(format!(
                    "[it runs in the background as task {call}: `task_output` shows what it says and waits for its end, \
                     `task_stop` ends it]"
                ))
            },
            Ok(Some(ended)) => ended,
            Err(why) => Finished::error(format!("not started: {why}")),
        }
    }
}

impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        let what = "Runs a bash command line in the workspace, without input or terminal. All its processes end with it; \
                    what is to go on (a server, a long build) is started with `run_in_background`. Long output is shown \
                    as its beginning and end.";
        let held = self.exec.told().map(|held| format!(" {held}")).unwrap_or_default();
        shape::spec::<Arguments>("bash", &format!("{what}{held}"))
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { command, run_in_background, .. } = shape::read(arguments)?;
        if command.trim().is_empty() {
            return Err("the command is empty".to_owned());
        }
        if command.contains('\0') {
            return Err("the command has a NUL, which no command line can have".to_owned());
        }
        if command.len() > COMMAND_BYTES {
            return Err(format!("the command is longer than {COMMAND_BYTES} bytes: write it to a file and run that"));
        }
        let subject = Subject { tool: "bash".to_owned(), target: command.clone(), reach: Reach::Beyond };
        let (span, summary) = match run_in_background {
            false => (Span::Call, command),
            true => (Span::Background, format!("in the background: {command}")),
        };
        Ok(Assessment { effect: Effect::Effectful, on_lost: OnLost::Report, subject, summary, span })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let Arguments { command, timeout_ms, run_in_background } = match shape::read(&invocation.arguments) {
                Ok(arguments) => arguments,
                Err(why) => return Finished::error(why),
            };
            if run_in_background {
                return self.begin(Task { invocation, command, limit: timeout_ms.map(Duration::from_millis) }).await;
            }
            let limit = Duration::from_millis(timeout_ms.unwrap_or(DEFAULT_MS));
            match self.exec.run(Job { invocation: &invocation, command: &command, limit }).await {
                Ok(ran) => finished(ran, limit).0,
                Err(why) => Finished::error(format!("not started: {why}")),
            }
        })
    }
}

/// Returns the result, and how it ended in a few words.
pub(crate) fn finished(ran: Ran, limit: Duration) -> (Finished, String) {
    let (outcome, note) = match ran.ending {
        Ending::Exited(0) => (Outcome::Ok, None),
        Ending::Exited(code) => (Outcome::Error, Some(format!("exit code {code}"))),
        Ending::Signalled(signal) => (Outcome::Error, Some(format!("ended by signal {signal}"))),
        Ending::TimedOut => {
            let note = format!("time ran out after {} ms: it was ended with all its processes", limit.as_millis());
            (Outcome::Timeout, Some(note))
        }
        Ending::Stopped => (Outcome::Interrupted, Some("it was stopped with all its processes".to_owned())),
    };
    let left = (ran.leftovers > 0)
        .then(|| format!("{} processes that it left running in the background were ended", ran.leftovers));
    let immortal =
        (ran.immortal > 0).then(|| format!("{} processes could not be ended and may still run", ran.immortal));
    let how = note.clone().unwrap_or_else(|| "exit code 0".to_owned());
    let mut content = ran.output.text;
    if content.is_empty() && note.is_none() {
        content.push_str("(no output)");
    }
    for note in [note, left, immortal, ran.output.cut].into_iter().flatten() {
        if !content.is_empty() && !content.ends_with('\n') {
            content.push('\n');
        }
        content.push_str(&format!("[{note}]"));
    }
    let (exit_code, signal) = match ran.ending {
        Ending::Exited(code) => (Some(code), None),
        Ending::Signalled(signal) => (None, Some(signal)),
        Ending::TimedOut | Ending::Stopped => (None, None),
    };
    let details = json!({
        "exit_code": exit_code,
        "signal": signal,
        "duration_ms": u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX),
        "truncated": ran.output.truncated,
        "bytes": ran.output.bytes,
    });
    (Finished { outcome, content, details: Some(details), whole: ran.output.whole }, how)
}
