//! `task_output` and `task_stop`: look at, wait for and end what `bash` runs in the background.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost, Outcome};
use outlive_core::id::CallId;
use outlive_core::policy::{Reach, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape;
use crate::tasks::{ENDING, Look, SHOWN, Status, Tasks};
use crate::{Assessment, Finished, Found, Invocation, Pending, Place, Span, Tool};

/// Shows what a task said, and waits for it.
pub struct TaskOutput {
    tasks: Arc<Tasks>,
}

/// Ends a task.
pub struct TaskStop {
    tasks: Arc<Tasks>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputArguments {
    /// The task: what `bash` called it.
    #[schemars(length(min = 1))]
    task: String,
    /// The byte of its output to begin with: what the last look said. Left out: the end of it.
    #[serde(default)]
    since: Option<u64>,
    /// Seconds to wait for its end. It is not ended when they are over. 0 if left out.
    #[serde(default)]
    #[schemars(range(max = 600))]
    wait_s: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StopArguments {
    /// The task: what `bash` called it.
    #[schemars(length(min = 1))]
    task: String,
}

fn named(task: &str) -> Result<CallId, String> {
    task.parse().map_err(|_| format!("`{task}` is no task: it is called by what `bash` gave it"))
}

fn assessed(tool: &str, task: &str, effect: Effect) -> Result<Assessment, String> {
    let task = named(task)?;
    let subject = Subject { tool: tool.to_owned(), target: task.to_string(), reach: Reach::Within };
    Ok(Assessment { effect, on_lost: OnLost::Retry, subject, summary: format!("{tool} {task}"), span: Span::Call })
}

impl TaskOutput {
    /// Looks at these.
    #[must_use]
    pub fn new(tasks: Arc<Tasks>) -> Self {
        Self { tasks }
    }
}

impl TaskStop {
    /// Ends these.
    #[must_use]
    pub fn new(tasks: Arc<Tasks>) -> Self {
        Self { tasks }
    }
}

impl Tool for TaskOutput {
    fn spec(&self) -> ToolSpec {
        shape::spec::<OutputArguments>(
            "task_output",
            "Shows what a command in the background has said and how it is. With `wait_s` it waits for its end first; a \
             task that still runs then is left alone.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        assessed("task_output", &shape::read::<OutputArguments>(arguments)?.task, Effect::Read)
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let looked = async {
                let OutputArguments { task, since, wait_s } = shape::read(&invocation.arguments)?;
                let task = named(&task)?;
                // Whose it is is asked before it is waited for.
                self.tasks.look(invocation.session, task, since)?;
                let patience = Duration::from_secs(wait_s.unwrap_or(0));
                self.tasks.wait(task, patience, &invocation.stop).await;
                let look = self.tasks.look(invocation.session, task, since)?;
                Ok::<_, String>(shown(look, wait_s))
            };
            let finished = looked.await.unwrap_or_else(Finished::error);
            if invocation.stop.is_cancelled() {
                Finished { outcome: Outcome::Interrupted, ..finished }
            } else {
                finished
            }
        })
    }
}

impl Tool for TaskStop {
    fn spec(&self) -> ToolSpec {
        shape::spec::<StopArguments>(
            "task_stop",
            "Ends a command in the background with all its processes, and shows the last of what it said.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        assessed("task_stop", &shape::read::<StopArguments>(arguments)?.task, Effect::Idempotent)
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let stopped = async {
                let task = named(&shape::read::<StopArguments>(&invocation.arguments)?.task)?;
                self.tasks.look(invocation.session, task, None)?;
                self.tasks.stop(invocation.session, task);
                self.tasks.wait(task, ENDING, &invocation.stop).await;
                Ok::<_, String>(shown(self.tasks.look(invocation.session, task, None)?, None))
            };
            stopped.await.unwrap_or_else(Finished::error)
        })
    }

    fn find(&self, _invocation: Invocation) -> Pending<'_, Found> {
        Box::pin(std::future::ready(Found::NotDone))
    }
}

fn shown(look: Look, waited_s: Option<u64>) -> Finished {
    let Look { status, mut text, next } = look;
    let word = match &status {
        Status::Running => "running",
        Status::Ended(_) => "ended",
        Status::Lost => "lost",
    };
    let status = match status {
        Status::Running => match waited_s.filter(|seconds| *seconds > 0) {
            Some(seconds) => format!("still running after {seconds} s; wait again, or end it with `task_stop`"),
            None => "running".to_owned(),
        },
        Status::Ended(end) => end.how,
        Status::Lost => "lost: the server died while it ran, and its processes were ended; what it did until then is \
                         done, so look before you start it again"
            .to_owned(),
    };
    let more = if text.len() + 4 > SHOWN { ", and there may be more" } else { "" };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("[{status}; the next byte of its output is {next}{more}]"));
    Finished { details: Some(json!({"status": word, "next": next})), ..Finished::ok(text) }
}
