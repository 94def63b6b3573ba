//! One turn: says something, waits for the ending, prints the answer or every event.

pub mod files;

use std::process::ExitCode;

use outlive_core::content::Block;
use outlive_core::event::{Ending, Event, Question};
use outlive_core::memory::Mode;
use outlive_protocol::Page;
use outlive_protocol::agent::AgentView;
use outlive_protocol::message::{MessageAccepted, PostMessage};
use outlive_protocol::session::{CreateSession, SessionView};
use outlive_tui::Later;
use reqwest::Method;

use super::follow::{Came, Follow};
use crate::cli::{Run, Talk};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome};
use crate::show;

pub async fn run(place: &Workspace, run: &Run) -> Outcome {
    let place = &place.clone().speaking_as(run.talk.sender.clone())?;
    let client = connect(place).await?;
    let mut body = PostMessage { content: run.prompt.clone(), ..PostMessage::default() };
    body.output_schema = run.schema.as_deref().map(files::schema).transpose()?;
    for path in &run.attach {
        body.attachments.push(files::named(&files::attach(&client, path).await?));
    }
    let (session, _) = session(&client, &run.talk).await?;
    let accepted = post(&client, &session, body).await?;
    let mut follow = Follow::begin(place, &client, &session, accepted.seq.saturating_sub(1)).await?;
    let (mut answer, mut later) = (String::new(), Later::default());
    loop {
        let Came::Event(entry, line) = follow.next().await? else { continue };
        if run.json {
            say!("{}", line.as_str());
        }
        tell(&entry.event);
        later.hear(&entry.event);
        if entry.turn != accepted.turn_id {
            continue;
        }
        if let Event::StepFinished(finished) = &entry.event {
            answer = texts(&finished.content);
        }
        if let Event::ApprovalRequested(asked) = &entry.event {
            let why = format!(
                "{} waits for a person: outlive approve {} (or deny); then outlive attach {session}",
                show::seen(&asked.summary),
                asked.call
            );
            return Err(Failure::Denied(why));
        }
        if let Event::TurnEnded(ended) = &entry.event {
            if !run.json {
                say!("{answer}");
                if let Some(spent) = outlive_tui::spent(&ended.usage) {
                    eprintln!("outlive: {spent}");
                }
            }
            if let (Ending::Sleep, Some(sleep)) = (&ended.ending, later.next()) {
                eprintln!("outlive: asleep {}", sleep.shown(entry.at));
                eprintln!("outlive: `outlive attach {session}` shows how it goes on");
            }
            return match (&ended.ending, &ended.error) {
                (Ending::Complete | Ending::Ask | Ending::Sleep, _) => Ok(ExitCode::SUCCESS),
                (Ending::Failed, Some(error)) => Err(Failure::Failed(error.message.clone())),
                (Ending::Interrupted | Ending::Failed, _) => {
                    Err(Failure::Failed("the turn was interrupted".to_owned()))
                }
            };
        }
    }
}

/// Tells on the side why nothing goes on: standard output is for the answer.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else keeps a turn waiting")]
fn tell(event: &Event) {
    match event {
        Event::StepFailed(failed) => {
            let again = failed.retry_at.map(|at| format!("; asked again at {at}")).unwrap_or_default();
            eprintln!("outlive: {}{again}", show::label(&failed.message));
        }
        Event::SessionPaused(paused) => {
            let why = paused.reason.as_deref().unwrap_or("by request");
            let why = show::label(why);
            eprintln!("outlive: the session is paused: {why}; `outlive session resume` lets it go on");
        }
        Event::QuestionAsked(asked) => {
            asked.questions.iter().for_each(|question| eprintln!("{}", self::asked(question)));
            eprintln!("outlive: answer with `outlive answer -q {} ANSWER`", asked.question);
        }
        _other => {}
    }
}

/// The line of one question: what a server or a model wrote there must not drive the terminal.
pub(super) fn asked(question: &Question) -> String {
    let labels: Vec<String> = question.options.iter().map(|choice| show::label(&choice.label)).collect();
    let options = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
    format!("outlive: asks you: {}{options}", show::seen(&question.text))
}

fn texts(content: &[Block]) -> String {
    let text = |block: &Block| if let Block::Text { text } = block { Some(text.clone()) } else { None };
    content.iter().filter_map(text).collect::<Vec<_>>().join("\n\n")
}

/// Says something, under a fresh name: sending it twice says it once.
async fn post(client: &Client, session: &str, mut body: PostMessage) -> Result<MessageAccepted, Failure> {
    body.request_id = Some(crate::config::random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect());
    client.send(Method::POST, &format!("/sessions/{session}/messages"), &body).await
}

/// Finds or makes the session to talk in; returns its id and head.
///
/// # Errors
///
/// There is no such session or agent.
pub async fn session(client: &Client, talk: &Talk) -> Result<(String, u64), Failure> {
    if let Some(session) = &talk.session {
        let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
        return Ok((view.row.id, view.row.head));
    }
    let (agent, memory) = (agent(client, talk.agent.as_deref()).await?, talk.incognito.then_some(Mode::Incognito));
    let body = CreateSession { agent, memory, ..CreateSession::default() };
    let view: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    Ok((view.row.id, view.row.head))
}

/// Returns the names of all agents.
///
/// # Errors
///
/// The server's.
pub async fn agents(client: &Client) -> Result<Vec<String>, Failure> {
    let agents: Page<AgentView> = client.get("/agents").await?;
    Ok(agents.items.into_iter().map(|agent| agent.name).collect())
}

/// Returns the agent that is meant.
///
/// # Errors
///
/// None is named, and there is not one that it could be.
pub async fn agent(client: &Client, named: Option<&str>) -> Result<String, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let names = agents(client).await?;
    match names.as_slice() {
        [only] => Ok(only.clone()),
        names if names.iter().any(|name| name == "default") => Ok("default".to_owned()),
        [] => Err(Failure::Usage("there is no agent: `outlive agent new NAME` makes one".to_owned())),
        names => Err(Failure::Usage(format!("name an agent with -a: {}", names.join(", ")))),
    }
}
