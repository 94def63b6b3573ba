//! What the agent asks a person: shown with its options, answered by a number, a label or words.

use outlive_core::event::{Question, QuestionAnswered, QuestionAsked, SessionRewound};
use outlive_core::id::QuestionId;

use super::{Piece, Screen};
use crate::Style;
use crate::clean::label;

/// A question that waits, as it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    id: QuestionId,
    questions: Vec<Question>,
}

impl From<(QuestionId, Vec<Question>)> for Open {
    fn from((id, questions): (QuestionId, Vec<Question>)) -> Self {
        Self { id, questions }
    }
}

impl Screen {
    /// Returns the answer that these words are, if exactly one question is open. More than one is answered in words that the
    /// agent reads, or by `outlive answer`.
    #[must_use]
    pub fn reply(&self, text: &str) -> Option<(QuestionId, Vec<String>)> {
        let [open] = &self.questions[..] else { return None };
        let [question] = &open.questions[..] else { return None };
        let label = |word: &str| {
            let at = word.trim().parse::<usize>().ok()?.checked_sub(1)?;
            question.options.get(at).map(|choice| choice.label.clone())
        };
        let numbers: Option<Vec<String>> = text.split([',', ' ']).filter(|word| !word.is_empty()).map(label).collect();
        let chosen = numbers.filter(|chosen| chosen.len() == 1 || (question.multiple && !chosen.is_empty()));
        Some((open.id, chosen.unwrap_or_else(|| vec![text.to_owned()])))
    }

    /// Says whether a question waits.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.questions.is_empty()
    }

    pub(super) fn ask_person(&mut self, asked: &QuestionAsked, pieces: &mut Vec<Piece>) {
        for question in &asked.questions {
            self.block(Style::Notice, &format!("? {}", question.text.replace('\n', "\n  ")), pieces);
            for (choice, number) in question.options.iter().zip(1..) {
                let means = choice.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                let choice = label(&format!("{}{means}", choice.label));
                pieces.push(Piece::line(Style::Plain, &format!("  {number}  {choice}")));
            }
            let how = match (question.options.is_empty(), question.multiple) {
                (true, _) => "  answer in words",
                (false, false) => "  answer with a number, or in words",
                (false, true) => "  answer with numbers, such as 1 2, or in words",
            };
            pieces.push(Piece::line(Style::Dim, how));
        }
        self.questions.retain(|open| open.id != asked.question);
        self.questions.push(Open { id: asked.question, questions: asked.questions.clone() });
    }

    /// What was said after it is no part of the conversation any more, and what waited then waits again.
    pub(super) fn rewind(&mut self, rewound: &SessionRewound, pieces: &mut Vec<Piece>) {
        let to = rewound.to_seq;
        self.note(Style::Notice, &format!("⏪ goes on from event {to}; what came after it is set aside"), pieces);
        self.questions.clear();
        for open in &rewound.questions {
            let (question, call, questions) = (open.question, open.call, open.questions.clone());
            self.ask_person(&QuestionAsked { question, call, questions, attempt: None }, pieces);
        }
    }

    pub(super) fn hear_answer(&mut self, answered: &QuestionAnswered, pieces: &mut Vec<Piece>) {
        self.questions.retain(|open| open.id != answered.question);
        let said: Vec<String> = answered.answers.iter().map(|answer| answer.join(", ")).collect();
        if !said.is_empty() {
            self.block(Style::Person, &format!("› {}", said.join("; ").replace('\n', "\n  ")), pieces);
        }
    }
}
