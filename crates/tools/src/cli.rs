//! `cli_NAME`: a program that an agent's definition declares, with a README that says how it is used.
//!
//! Invariant: its arguments reach it as the vector that the call names; no shell reads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::CliTool;
use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::limits::RESULT_BYTES;
use outlive_core::policy::{Reach, Subject, argument_vector};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::builtin::shape;
use crate::builtin::{DEFAULT_MS, finished};
use crate::exec::{Exec, Job};
use crate::vector::exec_line;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Bytes of a README that are shown.
const README: usize = RESULT_BYTES - 1_024;
/// Arguments of one call.
const ARGUMENTS: usize = 1_000;

/// Runs a program.
pub struct Cli {
    exec: Arc<Exec>,
    tool: CliTool,
    program: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The program's arguments, each as it is to arrive: no shell reads them.
    #[serde(default)]
    args: Vec<String>,
    /// Shows the program's README instead of running it.
    #[serde(default)]
    help: bool,
    /// Milliseconds after which it is ended with all its processes. 120000 if left out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
}

impl Cli {
    /// Runs a program of the agent whose definition lies in `folder`.
    #[must_use]
    pub fn new(exec: Arc<Exec>, tool: CliTool, folder: &Path) -> Self {
        let program = program(&tool.command, folder).to_string_lossy().into_owned();
        Self { exec, tool, program }
    }

    fn readme(&self) -> Finished {
        let readme = self.tool.readme.trim();
        if readme.is_empty() {
            return Finished::ok("(it has no README: try its own help)");
        }
        let end = readme.floor_char_boundary(README);
        let cut = if end < readme.len() { "\n[the README goes on]" } else { "" };
        Finished::ok(format!("{}{cut}", &readme[..end]))
    }
}

/// A path is the agent's own, or absolute; a bare name is looked for where programs are.
pub(crate) fn program(command: &str, folder: &Path) -> PathBuf {
    if command.contains('/') { folder.join(command.trim_start_matches("./")) } else { PathBuf::from(command) }
}

impl Tool for Cli {
    fn spec(&self) -> ToolSpec {
        let CliTool { name, description, .. } = &self.tool;
        let said = format!("{description}\nRuns the program `{name}` in the workspace. `help: true` shows its README.");
        shape::spec::<Arguments>(&format!("cli_{name}"), said.trim())
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { args, help, .. } = shape::read(arguments)?;
        let name = self.tool.name.as_str();
        let subject = |target, reach| Subject { tool: "cli".to_owned(), target, reach };
        if help {
            let (subject, summary) = (subject(name.to_owned(), Reach::Within), format!("show the README of {name}"));
            return Ok(Assessment {
                effect: Effect::Read,
                on_lost: OnLost::Report,
                span: Span::Call,
                subject,
                summary,
            });
        }
        if args.len() > ARGUMENTS {
            return Err(format!("more than {ARGUMENTS} arguments: put them into a file"));
        }
        exec_line(&self.program, &args, None)?;
        let all: Vec<&str> = std::iter::once(name).chain(args.iter().map(String::as_str)).collect();
        let line = argument_vector(&all);
        let subject = subject(line.clone(), Reach::Beyond);
        Ok(Assessment { effect: Effect::Effectful, on_lost: OnLost::Report, span: Span::Call, subject, summary: line })
    }

    fn run(&self, invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(async move {
            let run = async {
                let Arguments { args, help, timeout_ms } = shape::read(&invocation.arguments)?;
                if help {
                    return Ok(self.readme());
                }
                let command = exec_line(&self.program, &args, None)?;
                let limit = Duration::from_millis(timeout_ms.unwrap_or(DEFAULT_MS));
                let ran = self.exec.run(Job { invocation: &invocation, command: &command, limit }).await;
                ran.map(|ran| finished(ran, limit).0).map_err(|why| format!("not started: {why}"))
            };
            run.await.unwrap_or_else(Finished::error)
        })
    }
}
