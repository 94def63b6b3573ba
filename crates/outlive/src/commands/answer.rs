//! Answers a question that waits for a person.

use outlive_core::event::Question;
use outlive_protocol::Page;
use outlive_protocol::approval::InboxItem;
use outlive_protocol::question::{AnswerBody, PostAnswer, QuestionView};
use outlive_protocol::session::Done;
use reqwest::Method;

use crate::cli::Answer;
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};

pub async fn run(place: &Workspace, answer: Answer) -> Outcome {
    let client = connect(place).await?;
    let asked = found(&client, answer.session.as_deref(), answer.question.as_deref()).await?;
    if answer.answers.len() != asked.questions.len() {
        let texts: Vec<&str> = asked.questions.iter().map(|question| question.text.as_str()).collect();
        let (wanted, given) = (texts.len(), answer.answers.len());
        return Err(Failure::Usage(format!("{wanted} answers are asked for, {given} given: {}", texts.join(" | "))));
    }
    let answers = asked.questions.iter().zip(&answer.answers).map(|(question, said)| meant(question, said));
    let body = PostAnswer { answers: answers.map(AnswerBody::Several).collect(), request_id: None };
    let route = format!("/sessions/{}/questions/{}", asked.session_id, asked.question);
    let _: Done = client.send(Method::POST, &route, &body).await?;
    say!("answered {} in {}", asked.question, asked.session_id);
    ok()
}

/// Numbers of options are their labels; whatever else is said is said in these words.
fn meant(question: &Question, said: &str) -> Vec<String> {
    let label = |word: &str| {
        let at = word.trim().parse::<usize>().ok()?.checked_sub(1)?;
        question.options.get(at).map(|choice| choice.label.clone())
    };
    let parts = if question.multiple { said.split(',').collect() } else { vec![said] };
    parts.into_iter().map(|part| label(part).unwrap_or_else(|| part.trim().to_owned())).collect()
}

async fn found(client: &Client, session: Option<&str>, question: Option<&str>) -> Result<QuestionView, Failure> {
    let waiting: Vec<QuestionView> = match session {
        Some(session) => client.get::<Page<QuestionView>>(&format!("/sessions/{session}/questions")).await?.items,
        None => {
            let inbox: Page<InboxItem> = client.all("/inbox").await?;
            let asked = |item| if let InboxItem::Question(view) = item { Some(view) } else { None };
            inbox.items.into_iter().filter_map(asked).collect()
        }
    };
    let fits = |view: &QuestionView| question.is_none_or(|question| view.question.to_string() == question);
    let mut found: Vec<QuestionView> = waiting.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            Err(Failure::Usage("several questions wait: name one with -q; `outlive inbox` lists them".to_owned()))
        }
        (None, _) => {
            let which = question.map_or_else(|| "no question".to_owned(), |question| format!("no question {question}"));
            Err(Failure::NotFound(format!("{which} waits for an answer")))
        }
    }
}
