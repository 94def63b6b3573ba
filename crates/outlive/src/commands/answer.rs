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
    let asked = match found(&client, answer.session.as_deref(), answer.question.as_deref()).await {
        Err(Failure::NotFound(why)) => match (&answer.session, &answer.question) {
            // Who is late learns from the server who was first.
            (Some(session), Some(question)) => {
                let said = answer.answers.into_iter().map(|said| vec![said]).collect();
                return post(&client, session, question, said).await;
            }
            (_, _) => return Err(Failure::NotFound(why)),
        },
        asked => asked?,
    };
    if answer.answers.len() != asked.questions.len() {
        let texts: Vec<&str> = asked.questions.iter().map(|question| question.text.as_str()).collect();
        let (wanted, given) = (texts.len(), answer.answers.len());
        return Err(Failure::Usage(format!("{wanted} answers are asked for, {given} given: {}", texts.join(" | "))));
    }
    let answers = asked.questions.iter().zip(&answer.answers).map(|(question, said)| meant(question, said));
    let answers = answers.collect::<Result<_, _>>()?;
    post(&client, &asked.session_id.to_string(), &asked.question.to_string(), answers).await
}

async fn post(client: &Client, session: &str, question: &str, answers: Vec<Vec<String>>) -> Outcome {
    let answers = answers.into_iter().map(AnswerBody::Several).collect();
    let body = PostAnswer { answers, request_id: None };
    let _: Done = client.send(Method::POST, &format!("/sessions/{session}/questions/{question}"), &body).await?;
    say!("answered {question} in {session}");
    ok()
}

/// Numbers of options are their labels; whatever else is said is said in these words.
fn meant(question: &Question, said: &str) -> Result<Vec<String>, Failure> {
    let parts = if question.multiple { said.split(',').collect() } else { vec![said] };
    parts.into_iter().map(|part| one(question, part.trim())).collect()
}

fn one(question: &Question, said: &str) -> Result<String, Failure> {
    let is_label = question.options.is_empty() || question.options.iter().any(|choice| choice.label == said);
    let Some(number) = said.parse::<usize>().ok().filter(|_| !is_label) else { return Ok(said.to_owned()) };
    let choice = number.checked_sub(1).and_then(|at| question.options.get(at));
    choice.map(|choice| choice.label.clone()).ok_or_else(|| {
        let options: Vec<&str> = question.options.iter().map(|choice| choice.label.as_str()).collect();
        let options = options.join(" | ");
        Failure::Usage(format!(
            "{said} is no option's number (1 to {}: {options}); say it in words",
            question.options.len()
        ))
    })
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
    match (found.pop(), question) {
        (Some(one), _) if found.is_empty() => Ok(one),
        (Some(one), Some(question)) => {
            found.push(one);
            let sessions: Vec<String> = found.iter().map(|view| view.session_id.to_string()).collect();
            let sessions = sessions.join(", ");
            Err(Failure::Usage(format!("{question} waits in several sessions, name one with -s: {sessions}")))
        }
        (Some(_), None) => {
            Err(Failure::Usage("several questions wait: name one with -q; `outlive inbox` lists them".to_owned()))
        }
        (None, None) => Err(Failure::NotFound("no question waits for an answer".to_owned())),
        (None, Some(question)) => {
            let way = "if it was answered, `-s SESSION` says how";
            Err(Failure::NotFound(format!("no question {question} waits for an answer; {way}")))
        }
    }
}
