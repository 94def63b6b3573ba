//! Looks at sessions and changes them.

use outlive_core::content::FailureKind;
use outlive_core::event::Line;
use outlive_core::media::with_attachments;
use outlive_protocol::event::Events;
use outlive_protocol::message::Messages;
use outlive_protocol::session::{Control, Done, ForkSession, SessionView, UpdateSession};
use reqwest::Method;

use super::{history, trash};
use crate::cli::Session;
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Session) -> Outcome {
    let client = connect(place).await?;
    match command {
        Session::List(filter) if filter.trash => trash::list(&client, filter.limit, filter.json).await?,
        Session::List(filter) => super::list::run(&client, filter).await?,
        Session::Show { session, json: true } => {
            show::json(&client.get::<SessionView>(&format!("/sessions/{session}")).await?)?
        }
        Session::Show { session, json: false } => self::show(&client, &session).await?,
        Session::Events { session, after, json } => events(&client, &session, after, json).await?,
        Session::Messages { session, json } => messages(&client, &session, json).await?,
        Session::Context(context) => super::context::run(&client, context).await?,
        Session::Fork { session, at, title } => {
            history::fork(&client, &session, ForkSession { at_seq: at, title, request_id: None }).await?;
        }
        Session::Rewind { session, to } => history::rewind(&client, &session, to).await?,
        Session::Rename { session, title } => {
            update(&client, &session, UpdateSession { title: Some(title), ..UpdateSession::default() }).await?;
        }
        Session::Archive { session, undo } => {
            update(&client, &session, UpdateSession { archived: Some(!undo), ..UpdateSession::default() }).await?;
        }
        Session::Export(export) => super::moving::export(&client, export).await?,
        Session::Import(import) => super::moving::import(&client, import).await?,
        Session::Delete { session, for_good: true, yes } => trash::delete_for_good(&client, &session, yes).await?,
        Session::Delete { session, for_good: false, .. } => trash::delete(&client, &session).await?,
        Session::Restore { session } => trash::restore(&client, &session).await?,
        Session::Pause { session } => control(&client, &session, "pause").await?,
        Session::Checkpoints(command) => super::checkpoint::run(&client, command).await?,
        Session::Work(command) => super::work::run(&client, command).await?,
        Session::Resume { session } => control(&client, &session, "resume").await?,
    }
    ok()
}

/// Shows one session.
///
/// # Errors
///
/// What the server says.
pub async fn show(client: &Client, session: &str) -> Result<(), Failure> {
    let view: SessionView = client.get(&format!("/sessions/{session}")).await?;
    say!("session   {}", view.row.id);
    say!("title     {}", show::label(view.row.title.as_deref().unwrap_or("-")));
    say!("agent     {}", view.row.agent);
    say!(
        "status    {}{}",
        view.row.status,
        view.standing.paused_because.map(|why| format!(" ({})", show::label(&why))).unwrap_or_default()
    );
    say!("events    {}", view.row.head);
    say!("turns     {} ended, {} follow-ups wait", view.turns, view.queue_length);
    say!("tokens    {} in, {} out", view.usage.all_input(), view.usage.output_tokens);
    let spent = &view.spent;
    if spent.steps > 0 {
        let cost = show::cost(spent.cost, spent.steps - spent.priced_steps.min(spent.steps));
        say!("spent     {} tokens in {} steps, {cost}", spent.tokens, spent.steps);
    }
    if let Some(context) = view.standing.context {
        say!("context   {} of {} tokens, {} %", context.tokens, context.usable, context.percent);
    }
    say!("updated   {}", view.row.updated_at);
    if let Some(parent) = view.parent {
        say!("begins    as {} did, up to event {}", parent.session, parent.seq);
    }
    if let Some(turn) = view.turn {
        let why = turn.waits_because.map(|kind| format!(" because of {}", reason(kind))).unwrap_or_default();
        let retry =
            turn.retry_at.map(|at| format!(", waits{why}, the model is asked again at {at}")).unwrap_or_default();
        let asked = turn.model.map(|model| format!(", asks {model}")).unwrap_or_default();
        say!("turn      {} at step {}{asked}{retry}", turn.id, turn.step);
    }
    super::wait::of(client, session).await?;
    if let Some(looping) = &view.standing.looping {
        super::work::looped(looping);
    }
    for todo in view.todos {
        say!("{} {}", outlive_tui::mark(todo.status), show::label(&todo.text));
    }
    if let Some(error) = view.last_turn.and_then(|last| last.error) {
        say!("last turn failed: {}", show::label(&error.message));
    }
    Ok(())
}

async fn events(client: &Client, session: &str, after: u64, json: bool) -> Result<(), Failure> {
    let mut at = after;
    loop {
        let page: Events = client.get(&format!("/sessions/{session}/events?after={at}&limit=1000")).await?;
        for raw in &page.items {
            let line = Line::check(raw.get().as_bytes()).map_err(Failure::failed)?;
            at = line.seq();
            if json {
                say!("{}", line.as_str());
            } else {
                let entry = line.read().map_err(Failure::failed)?;
                let rest = about(line.as_str());
                say!("{:>5}  {}  {:<24} {rest}", entry.seq, entry.at, entry.event.name());
            }
        }
        if page.items.is_empty() || at >= page.head {
            return Ok(());
        }
    }
}

/// The payload, without what every event has, on one short line.
fn about(line: &str) -> String {
    let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(line);
    let mut keys = parsed.unwrap_or_default();
    keys.retain(|key, _| !["seq", "at", "type", "v", "turn", "crc"].contains(&key.as_str()));
    let text = serde_json::Value::Object(keys).to_string();
    if text.chars().count() > 160 { format!("{}…", text.chars().take(160).collect::<String>()) } else { text }
}

async fn messages(client: &Client, session: &str, json: bool) -> Result<(), Failure> {
    let mut cursor = String::from("0");
    let mut all = Vec::new();
    loop {
        let page: Messages = client.get(&format!("/sessions/{session}/messages?limit=1000&cursor={cursor}")).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    if json {
        return show::json(&Messages { items: all, next_cursor: None, earlier: None });
    }
    for item in all {
        let role = format!("{:?}", item.role).to_lowercase();
        let calls: Vec<String> =
            item.tool_calls.iter().map(|call| format!("[{} {}]", call.name, call.arguments)).collect();
        let outcome = item.outcome.map(|outcome| format!(" ({outcome})")).unwrap_or_default();
        let aside = if item.set_aside { "set aside: " } else { "" };
        say!(
            "{:>5}  {aside}{role}{outcome}: {}{}",
            item.seq,
            with_attachments(&item.content, &item.attachments),
            calls.iter().map(|call| format!("\n  {call}")).collect::<String>()
        );
    }
    Ok(())
}

async fn update(client: &Client, session: &str, body: UpdateSession) -> Result<(), Failure> {
    let view: SessionView = client.send(Method::PATCH, &format!("/sessions/{session}"), &body).await?;
    say!("{} is {}, titled {}", view.row.id, view.row.status, show::label(view.row.title.as_deref().unwrap_or("-")));
    Ok(())
}

async fn control(client: &Client, session: &str, verb: &str) -> Result<(), Failure> {
    let done: Done = client.send(Method::POST, &format!("/sessions/{session}/{verb}"), &Control::default()).await?;
    say!("done, at event {}", done.head);
    Ok(())
}

/// Says why a turn waits for its provider.
fn reason(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Overloaded => "a provider that is overloaded",
        FailureKind::RateLimited => "a rate limit",
        FailureKind::Timeout => "an answer that did not come in time",
        FailureKind::Network => "the network",
        FailureKind::Truncated => "an answer that was cut",
        FailureKind::OffSchema => "an answer of another form",
        FailureKind::Overflow => "a window that is too small",
        FailureKind::InvalidRequest | FailureKind::Auth | FailureKind::Refused => "a refusal",
    }
}
