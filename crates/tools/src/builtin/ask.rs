//! `ask_user`: asks the person. Never run: the session asks, its turn ends with `ask`, and the answer is the result.

use outlive_core::content::ToolSpec;
use outlive_core::event::{Effect, OnLost};
use outlive_core::policy::{Reach, Subject};
use outlive_core::session::{ASK_USER, read_questions};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::shape;
use crate::{Assessment, Finished, Invocation, Pending, Place, Span, Tool};

/// Asks the person.
pub struct AskUser;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// What to ask, at most ten things at once.
    questions: Vec<Question>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads what is asked")]
struct Question {
    /// What you want to know.
    text: String,
    /// What can be chosen. None asks for words; words are always possible.
    #[serde(default)]
    options: Vec<Choice>,
    /// Whether more than one option may be chosen.
    #[serde(default)]
    multiple: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it only makes the schema; the session reads what is asked")]
struct Choice {
    /// The answer if it is chosen.
    label: String,
    /// What choosing it means.
    #[serde(default)]
    description: Option<String>,
}

impl Tool for AskUser {
    fn spec(&self) -> ToolSpec {
        shape::spec::<Arguments>(
            ASK_USER,
            "Asks the person and waits for the answer, however long it takes. Use it when you cannot go on without a \
             decision that is theirs.",
        )
    }

    fn assess(&self, arguments: &Value, _place: &Place) -> Result<Assessment, String> {
        let Arguments { questions } = shape::read(arguments)?;
        read_questions(arguments)?;
        let subject = Subject { tool: ASK_USER.to_owned(), target: String::new(), reach: Reach::Within };
        let summary = format!("ask {} questions", questions.len());
        Ok(Assessment { effect: Effect::Read, on_lost: OnLost::Report, subject, summary, span: Span::Call })
    }

    fn run(&self, _invocation: Invocation) -> Pending<'_, Finished> {
        Box::pin(std::future::ready(Finished::error("questions are asked by the session; this one was not")))
    }
}
