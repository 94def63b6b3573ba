//! The tools that an agent has: found by name, their arguments checked before anything looks at them.
//!
//! Invariant: a tool sees only arguments that its schema admits.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use jsonschema::Validator;
use outlive_core::content::ToolSpec;
use outlive_core::yaml::nearest;
use serde_json::Value;

use crate::exec::Exec;
use crate::held::Held;
use crate::{Assessment, Finished, Invocation, Place, Tool, builtin};

/// A call that never starts because of what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No tool has this name.
    #[error("there is no tool `{given}`{}; the tools are {known}", did_you_mean(.nearest.as_deref()))]
    UnknownTool {
        /// What was asked for.
        given: String,
        /// What may have been meant.
        nearest: Option<String>,
        /// All that there are.
        known: String,
    },
    /// The arguments do not fit the tool's schema.
    #[error("the arguments of `{tool}` do not fit: {wrong}. Expected: {expected}")]
    Arguments {
        /// The tool.
        tool: String,
        /// What does not fit, and where.
        wrong: String,
        /// What the schema asks for.
        expected: String,
    },
    /// The tool itself refuses them.
    #[error("`{tool}`: {why}")]
    Assessment {
        /// The tool.
        tool: String,
        /// Why.
        why: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default()
}

/// What `tools: [{builtin: NAME}]` of an agent can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    /// `bash`, `task_output`, `task_stop`.
    Bash,
    /// `read`, `write`, `edit`, `list`, `glob`, `grep`.
    Files,
    /// `web_fetch`, and `web_search` where an engine is named: what they need comes from [`crate::web::Web`].
    Web,
    /// `session`: what it looks at comes from [`crate::session::Siblings`].
    Session,
    /// `recall`, `remember`, `reflect`: what they remember with comes from [`crate::memory::Mind`].
    Memory,
    /// `schedule_task`, `list_schedules`, `cancel_schedule`: what keeps plans comes from [`crate::schedule::Plans`].
    Schedule,
}

impl Builtin {
    /// Every one, by its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("bash", Self::Bash),
        ("files", Self::Files),
        ("web", Self::Web),
        ("session", Self::Session),
        ("memory", Self::Memory),
        ("schedule", Self::Schedule),
    ];

    /// Returns the one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, builtin)| builtin)
    }
}

struct Entry {
    tool: Arc<dyn Tool>,
    spec: ToolSpec,
    /// The schema, ready to check with; or why it cannot be.
    schema: Result<Validator, String>,
}

/// The tools of one agent.
pub struct Toolbox {
    entries: Vec<Entry>,
    held: Held,
}

impl Toolbox {
    /// Makes a toolbox of these, in this order. Of two with the same name the first is found.
    #[must_use]
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Self {
        let entry = |tool: Arc<dyn Tool>| {
            let spec = tool.spec();
            let schema = jsonschema::validator_for(&spec.input_schema).map_err(|error| error.to_string());
            Entry { tool, spec, schema }
        };
        Self { entries: tools.into_iter().map(entry).collect(), held: Held::default() }
    }

    /// Makes a toolbox of what comes with Outlive. Whatever is chosen, an agent can ask.
    #[must_use]
    pub fn builtin(exec: &Arc<Exec>, chosen: &[Builtin]) -> Self {
        let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
        if chosen.contains(&Builtin::Bash) {
            tools.push(Arc::new(builtin::Bash::new(Arc::clone(exec))));
            tools.push(Arc::new(builtin::TaskOutput::new(Arc::clone(exec.tasks()))));
            tools.push(Arc::new(builtin::TaskStop::new(Arc::clone(exec.tasks()))));
        }
        if chosen.contains(&Builtin::Files) {
            tools.extend(builtin::files());
        }
        tools.push(Arc::new(builtin::AskUser));
        tools.push(Arc::new(builtin::TodoList));
        tools.push(Arc::new(builtin::WaitFor));
        tools.extend(builtin::Relays::ALL.map(|relay| Arc::new(relay) as Arc<dyn Tool>));
        Self::new(tools)
    }

    /// Adds these behind the others.
    #[must_use]
    pub fn and(mut self, tools: Vec<Arc<dyn Tool>>) -> Self {
        self.entries.extend(Self::new(tools).entries);
        self
    }

    /// Holds their calls to this.
    #[must_use]
    pub fn held_to(self, held: Held) -> Self {
        Self { held, ..self }
    }

    /// Returns what their calls are held to.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Returns what the model is told.
    #[must_use]
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.entries.iter().map(|entry| entry.spec.clone()).collect()
    }

    /// Finds the tool, checks the arguments, and says what the call would do.
    ///
    /// # Errors
    ///
    /// Why it never starts, in words for the model.
    pub fn prepare(
        &self,
        name: &str,
        arguments: &Value,
        place: &Place,
    ) -> Result<(Arc<dyn Tool>, Assessment), Refusal> {
        let entry = self.entry(name)?;
        entry.check(arguments)?;
        let assessed = entry.tool.assess(arguments, place);
        let assessment = assessed.map_err(|why| Refusal::Assessment { tool: name.to_owned(), why })?;
        Ok((Arc::clone(&entry.tool), assessment))
    }

    /// Finds the tool, for a call that was prepared and ruled on before.
    ///
    /// # Errors
    ///
    /// That there is none of this name now.
    pub fn tool(&self, name: &str) -> Result<Arc<dyn Tool>, Refusal> {
        self.entry(name).map(|entry| Arc::clone(&entry.tool))
    }

    fn entry(&self, name: &str) -> Result<&Entry, Refusal> {
        self.entries.iter().find(|entry| entry.spec.name == name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.spec.name.as_str()).collect();
        let given: String = name.chars().take(64).collect();
        let nearest = nearest(&given, names.iter().copied()).map(str::to_owned);
        Refusal::UnknownTool { given, nearest, known: names.join(", ") }
    }
}

impl Entry {
    fn check(&self, arguments: &Value) -> Result<(), Refusal> {
        let refuse = |wrong| Refusal::Arguments { tool: self.spec.name.clone(), wrong, expected: self.expected() };
        let validator =
            self.schema.as_ref().map_err(|why| refuse(format!("the tool's own schema is broken: {why}")))?;
        let said = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            let at = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
            let masked: String = error.masked().to_string().chars().take(300).collect();
            format!("{at}{masked}")
        };
        let wrong: Vec<String> = validator.iter_errors(arguments).take(5).map(said).collect();
        if wrong.is_empty() { Ok(()) } else { Err(refuse(wrong.join("; "))) }
    }

    fn expected(&self) -> String {
        let schema = &self.spec.input_schema;
        let required = |name: &str| {
            schema["required"].as_array().is_some_and(|list| list.iter().any(|entry| entry.as_str() == Some(name)))
        };
        let one = |(name, shape): (&String, &Value)| {
            let kind = match &shape["type"] {
                Value::String(kind) => kind.clone(),
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "any".to_owned(),
            };
            format!("{name} ({kind}{})", if required(name) { ", required" } else { "" })
        };
        let listed = schema["properties"].as_object().map(|all| all.iter().map(one).collect::<Vec<_>>().join(", "));
        listed.filter(|all| !all.is_empty()).unwrap_or_else(|| "an object without keys".to_owned())
    }
}

/// Runs a call; a panic of the tool is its result.
pub async fn run_caught(tool: &dyn Tool, invocation: Invocation) -> Finished {
    let ran = AssertUnwindSafe(async { tool.run(invocation).await }).catch_unwind().await;
    ran.unwrap_or_else(|_panic| Finished::error("the tool panicked; whether it did anything is not known"))
}
