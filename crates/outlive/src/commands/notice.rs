//! What people are told outside of any client.

use outlive_protocol::Page;
use outlive_protocol::notice::{NoticeView, TargetView, Tried};
use outlive_protocol::session::Done;
use reqwest::Method;
use serde_json::json;

use crate::cli::notice::Notice;
use crate::client::{Client, connect, encoded};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// Characters of why something did not arrive, in a table.
const WHY_CHARS: usize = 80;

pub async fn run(place: &Workspace, command: Notice) -> Outcome {
    let client = connect(place).await?;
    match command {
        Notice::List { session, json } => list(&client, session, json).await?,
        Notice::Targets { json } => targets(&client, json).await?,
        Notice::Test { target } => {
            let tried: Tried =
                client.send(Method::POST, &format!("/targets/{}/test", encoded(&target)), &json!({})).await?;
            if let Some(why) = tried.error {
                return Err(Failure::Failed(format!("{target}: {}", show::label(&why))));
            }
            say!("{target} has it");
        }
        Notice::Retry { notice } => {
            let _: Done = client.send(Method::POST, &format!("/notices/{notice}/retry"), &json!({})).await?;
            say!("it is tried again now");
        }
        Notice::Drop { notice } => {
            let _: Done = client.send(Method::POST, &format!("/notices/{notice}/drop"), &json!({})).await?;
            say!("dropped: nobody is told");
        }
    }
    ok()
}

async fn list(client: &Client, session: Option<String>, json: bool) -> Result<(), Failure> {
    let session = session.map(|session| format!("?session={session}")).unwrap_or_default();
    let page = client.all::<NoticeView>(&format!("/notices{session}")).await?;
    if json {
        return show::json(&page);
    }
    if page.items.is_empty() {
        say!("everybody has been told of everything");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = page.items.into_iter().map(row).collect();
    show::table(&["NOTICE", "TARGET", "OF", "SESSION", "TRIED", "NEXT", "WHY"], &rows);
    Ok(())
}

fn row(notice: NoticeView) -> Vec<String> {
    let next = match notice.next_at {
        None => "given up".to_owned(),
        // What is tried at once is shown as tried since then.
        Some(at) if at <= notice.since => "now".to_owned(),
        Some(at) => at.to_string(),
    };
    let why = notice.error.as_deref().map_or_else(|| "-".to_owned(), |why| cut(&show::label(why)));
    let (topic, tried) = (notice.topic.as_str().to_owned(), notice.attempts.to_string());
    vec![notice.id.to_string(), notice.target, topic, notice.session_id, tried, next, why]
}

async fn targets(client: &Client, json: bool) -> Result<(), Failure> {
    let page: Page<TargetView> = client.get("/targets").await?;
    if json {
        return show::json(&page);
    }
    if page.items.is_empty() {
        say!("nobody is told of anything: name somebody under `notify` in outlive.yaml");
        return Ok(());
    }
    let words = |target: TargetView| {
        let topics: Vec<&str> = target.topics.iter().map(|topic| topic.as_str()).collect();
        let agents = if target.agents.is_empty() { "all".to_owned() } else { target.agents.join(" ") };
        vec![target.name, topics.join(" "), agents]
    };
    let rows: Vec<Vec<String>> = page.items.into_iter().map(words).collect();
    show::table(&["TARGET", "TOLD OF", "AGENTS"], &rows);
    Ok(())
}

/// What fits a line; all of it is in the JSON.
fn cut(why: &str) -> String {
    match why.char_indices().nth(WHY_CHARS) {
        Some((at, _)) => format!("{}…", why.get(..at).unwrap_or_default()),
        None => why.to_owned(),
    }
}
