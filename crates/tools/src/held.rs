//! Holds calls to what an agent's author put before and behind them: hooks, and the skills that were taken up.
//!
//! Invariants: nothing here lets a call run that was not allowed. A program that cannot say what it thinks of a call (it is
//! missing, too slow, fails, or may not run itself) denies it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::Skill;
use outlive_core::event::Outcome;
use outlive_core::hooks::{About, After, Hooks, Program, outside_skill};
use outlive_core::policy::{Reach, Subject, argument_vector};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::program;
use crate::exec::{Ending, Exec, Job};
use crate::registry::run_caught;
use crate::vector::exec_line;
use crate::{Finished, Invocation, Tool};

/// Characters that one program adds to a result.
const NOTE: usize = 2_000;
/// Bytes of a result that a program behind a call is shown.
const SHOWN: usize = 16 << 10;
/// Code with which a program denies a call.
const DENIES: i32 = 2;

/// What an agent's calls are held to.
#[derive(Default)]
pub struct Held {
    /// Its hooks.
    pub hooks: Hooks,
    /// Its skills.
    pub skills: Arc<[Skill]>,
    /// What runs the programs of hooks.
    pub exec: Option<Arc<Exec>>,
    /// Where its definition lies.
    pub folder: PathBuf,
}

/// Says whether a program may run.
pub type May<'a> = &'a (dyn Fn(&Subject) -> Result<(), String> + Send + Sync);

/// What a program says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Note(String),
    Denied(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    decision: Option<String>,
    reason: Option<String>,
    note: Option<String>,
}

impl Held {
    /// Whether anything depends on what was called before.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.hooks.look_back() || self.skills.iter().any(|skill| skill.allowed_tools.is_some())
    }

    /// Says why this call may not be made, and by which rule.
    #[must_use]
    pub fn refuse(&self, about: &About<'_>) -> Option<(String, String)> {
        let outside = outside_skill(&self.skills, about).map(|skill| {
            let allowed = skill.allowed_tools.as_deref().unwrap_or_default().join(", ");
            let name = &skill.name;
            let why = format!("the skill `{name}` was taken up in this turn, and allows only: {allowed}");
            (format!("skill: {name}"), why)
        });
        outside.or_else(|| self.hooks.refuse(about))
    }

    /// Runs a call, with the programs before it and what is put behind it.
    pub async fn run(&self, (name, tool): (&str, &dyn Tool), invocation: Invocation, may: May<'_>) -> Finished {
        let mut notes = Vec::new();
        for program in self.hooks.programs_before(name, &invocation.arguments) {
            let call = json!({"phase": "before", "tool": name, "arguments": invocation.arguments});
            match self.ask(program, (call, &invocation), may).await {
                Ok(Said::Nothing) => {}
                Ok(Said::Note(note)) => notes.push(note),
                Ok(Said::Denied(why)) => return Finished::error(format!("a hook denied this call: {why}")),
                Err(why) => {
                    return Finished::error(format!("a hook could not rule on this call, so it did not run: {why}"));
                }
            }
        }
        let mut finished = run_caught(tool, invocation.clone()).await;
        for after in self.hooks.behind(name, &invocation.arguments) {
            notes.extend(self.behind(after, (name, &finished), &invocation, may).await);
        }
        for note in notes {
            finished.content.push_str(&format!("\n[{note}]"));
        }
        finished
    }

    async fn behind(
        &self,
        after: &After,
        (name, finished): (&str, &Finished),
        invocation: &Invocation,
        may: May<'_>,
    ) -> Option<String> {
        match after {
            After::Text { message, unless } => {
                let excepted = unless.iter().any(|(key, value)| invocation.arguments.get(key) == Some(value));
                (finished.outcome == Outcome::Ok && !excepted).then(|| message.clone())
            }
            After::Program(program) => {
                let shown = &finished.content[..finished.content.floor_char_boundary(SHOWN)];
                let result = json!({"ok": finished.outcome == Outcome::Ok, "content": shown});
                let call = json!({"phase": "after", "tool": name, "arguments": invocation.arguments, "result": result});
                match self.ask(program, (call, invocation), may).await {
                    Ok(Said::Nothing) => None,
                    Ok(Said::Note(note) | Said::Denied(note)) => Some(note),
                    Err(why) => Some(format!("a hook behind this call failed: {why}")),
                }
            }
        }
    }

    /// Gives a call to a program. It runs as any other: the policy rules on it, in the agent's sandbox.
    async fn ask(
        &self,
        asked: &Program,
        (mut call, invocation): (Value, &Invocation),
        may: May<'_>,
    ) -> Result<Said, String> {
        let (Some(exec), Some((first, rest))) = (&self.exec, asked.words.split_first()) else {
            return Err("nothing runs programs here".to_owned());
        };
        let target = argument_vector(&asked.words.iter().map(String::as_str).collect::<Vec<_>>());
        may(&Subject { tool: "cli".to_owned(), target, reach: Reach::Within })?;
        call["session"] = json!(invocation.session.to_string());
        call["call"] = json!(invocation.call.to_string());
        let path = program(first, &self.folder);
        let command = exec_line(&path.to_string_lossy(), rest, Some(&call.to_string()))?;
        let quiet = Invocation { sink: Arc::new(|_| {}), ..invocation.clone() };
        let limit = Duration::from_millis(asked.limit_ms);
        let ran = exec.run(Job { invocation: &quiet, command: &command, limit }).await?;
        let said = ran.output.text.trim();
        match ran.ending {
            Ending::Exited(0) => Ok(answer(said)),
            Ending::Exited(DENIES) => Ok(Said::Denied(note(if said.is_empty() { "it gave no reason" } else { said }))),
            Ending::Exited(code) => Err(format!("`{first}` ended with code {code}: {}", note(said))),
            Ending::Signalled(signal) => Err(format!("`{first}` was ended by signal {signal}")),
            Ending::TimedOut => Err(format!("`{first}` took longer than {} ms", asked.limit_ms)),
            Ending::Stopped => Err("it was stopped".to_owned()),
        }
    }
}

/// Reads what a program that ended well printed: an object with `decision`, `reason` and `note`, or a note.
fn answer(said: &str) -> Said {
    if said.is_empty() {
        return Said::Nothing;
    }
    if !said.starts_with('{') {
        return Said::Note(note(said));
    }
    let Ok(answer) = serde_json::from_str::<Answer>(said) else {
        return Said::Denied("its answer is no object of `decision`, `reason` and `note`".to_owned());
    };
    match (answer.decision.as_deref(), answer.note) {
        (None | Some("allow"), None) => Said::Nothing,
        (None | Some("allow"), Some(said)) => Said::Note(note(&said)),
        (Some(_denied), _) => Said::Denied(note(answer.reason.as_deref().unwrap_or("it gave no reason"))),
    }
}

fn note(text: &str) -> String {
    text.chars().take(NOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_clearly_allowed_is_denied() {
        let denied = |why: &str| Said::Denied(why.to_owned());
        for (said, means) in [
            ("", Said::Nothing),
            ("{}", Said::Nothing),
            (r#"{"decision": "allow"}"#, Said::Nothing),
            ("look", Said::Note("look".to_owned())),
            (r#"{"note": "n"}"#, Said::Note("n".to_owned())),
            (r#"{"decision": "deny", "reason": "r"}"#, denied("r")),
            (r#"{"decision": "block"}"#, denied("it gave no reason")),
            (r#"{"decision": "ask", "note": "n"}"#, denied("it gave no reason")),
            (r#"{"decision": "#, denied("its answer is no object of `decision`, `reason` and `note`")),
            (r#"{"decision": 7}"#, denied("its answer is no object of `decision`, `reason` and `note`")),
        ] {
            assert_eq!(answer(said), means, "{said}");
        }
    }
}
