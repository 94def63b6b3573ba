//! Schedules from a terminal.

use outlive_core::limits::MESSAGE_BYTES;
use outlive_core::time::Period;
use outlive_protocol::event::Events;
use outlive_protocol::schedule::{PastRun, PauseSchedule, PostSchedule, RunView, ScheduleView, Schedules};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::schedule::{Add, Course, Schedule};
use crate::client::{Client, connect};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub async fn run(place: &Workspace, command: Schedule) -> Outcome {
    let client = connect(place).await?;
    match command {
        Schedule::List(wanted) => list(&client, wanted.json).await?,
        Schedule::Show { schedule, json } => {
            let shown: ScheduleView = client.get(&format!("/schedules/{schedule}")).await?;
            if json { show::json(&shown)? } else { print(&shown) }
        }
        Schedule::Add(wanted) => add(&client, *wanted).await?,
        Schedule::Change { schedule, wanted } => change(&client, &schedule, *wanted).await?,
        Schedule::Pause { schedule, reason } => {
            let _: ScheduleView = send(&client, &schedule, "pause", &PauseSchedule { reason }).await?;
            say!("{schedule} is paused; outlive schedule resume {schedule} lets it go on");
        }
        Schedule::Resume { schedule } => {
            let shown: ScheduleView = send(&client, &schedule, "resume", &json!({})).await?;
            say!("{schedule} goes on; {}", next(&shown));
        }
        Schedule::Run { schedule } => {
            let shown: ScheduleView = send(&client, &schedule, "run", &json!({})).await?;
            let run = shown.runs.last().map(|run| format!(" in {}", run.session)).unwrap_or_default();
            say!("{schedule} runs{run}");
        }
        Schedule::Remove { schedule } => {
            client.delete(&format!("/schedules/{schedule}")).await?;
            say!("{schedule} is removed");
        }
        Schedule::Events { schedule } => events(&client, &schedule).await?,
    }
    ok()
}

async fn send(
    client: &Client,
    schedule: &str,
    what: &str,
    body: &impl serde::Serialize,
) -> Result<ScheduleView, Failure> {
    client.send(Method::POST, &format!("/schedules/{schedule}/{what}"), body).await
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let mut all = Schedules::default();
    loop {
        let after = all.next_cursor.take().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page: Schedules = client.get(&format!("/schedules?limit=1000{after}")).await?;
        all.items.extend(page.items);
        (all.aside, all.next_cursor) = (page.aside, page.next_cursor);
        if all.next_cursor.is_none() {
            break;
        }
    }
    if json {
        return show::json(&all);
    }
    if all.items.is_empty() && all.aside.is_empty() {
        say!("no schedules: `outlive schedule add --every 1d \"…\"` makes one");
        return Ok(());
    }
    let line = |schedule: &ScheduleView| {
        let last = schedule.last_run.as_ref().map_or_else(|| "-".to_owned(), ended);
        let next = schedule.next_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        vec![schedule.id.to_string(), schedule.status.clone(), next, last, show::label(&schedule.plan.title())]
    };
    show::table(&["SCHEDULE", "STATUS", "NEXT", "LAST", "NAME"], &all.items.iter().map(line).collect::<Vec<_>>());
    for aside in all.aside {
        say!("{} is set aside: {}", aside.id, aside.why);
    }
    Ok(())
}

async fn add(client: &Client, wanted: Add) -> Result<(), Failure> {
    let json = wanted.course.json;
    let post = post(wanted, PostSchedule::default())?;
    told(&client.send(Method::POST, "/schedules", &post).await?, json)
}

async fn change(client: &Client, schedule: &str, wanted: Add) -> Result<(), Failure> {
    let (path, json) = (format!("/schedules/{schedule}"), wanted.course.json);
    let shown: ScheduleView = client.get(&path).await?;
    let now = serde_json::to_value(&shown.plan).and_then(serde_json::from_value).map_err(Failure::failed)?;
    told(&client.send(Method::PUT, &path, &post(wanted, now)?).await?, json)
}

fn told(schedule: &ScheduleView, json: bool) -> Result<(), Failure> {
    if json {
        return show::json(schedule);
    }
    say!("{}  {}", schedule.id, next(schedule));
    Ok(())
}

/// What is asked for: what was typed, then what the file says, or else what was there before.
fn post(wanted: Add, before: PostSchedule) -> Result<PostSchedule, Failure> {
    let Add { at, every, anchor, cron, zone, name, agent, session, course, file, message } = wanted;
    let mut post = match &file {
        None => before,
        Some(path) => {
            let shown = path.display().to_string();
            let bytes = super::run::files::read(path, 2 * MESSAGE_BYTES)?;
            let text = String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{shown}: not UTF-8")))?;
            outlive_core::yaml::read(&text, &shown).map_err(|error| Failure::Usage(error.to_string()))?
        }
    };
    if every.is_some() {
        post.zone = None;
    }
    if at.is_some() || every.is_some() || cron.is_some() {
        (post.at, post.every, post.anchor, post.cron) = (at, every, anchor, cron);
    }
    if agent.is_some() || session.is_some() {
        (post.agent, post.session) = (agent, session);
    }
    post.zone = zone.or(post.zone);
    post.name = name.or(post.name);
    post.message = message.unwrap_or(post.message);
    if post.agent.is_none() && post.session.is_none() {
        post.agent = Some("default".to_owned());
    }
    let Course { overdue, overlap, attempts, .. } = course;
    post.overdue = overdue.as_deref().map(policy).transpose()?.or(post.overdue);
    post.overlap = overlap.or(post.overlap);
    post.retry = attempts.map(|attempts| json!({ "attempts": attempts })).or(post.retry);
    Ok(post)
}

fn policy(text: &str) -> Result<Value, Failure> {
    match text {
        "fire" | "skip" => Ok(text.into()),
        "fire-once" | "fire_once" => Ok("fire_once".into()),
        time => match time.parse::<Period>() {
            Ok(period) => Ok(json!({ "expire_after_ms": period.ms() })),
            Err(_) => Err(Failure::Usage(format!("--overdue: `{time}` is none of fire, fire-once, skip, and no time"))),
        },
    }
}

fn next(schedule: &ScheduleView) -> String {
    match schedule.next_at {
        Some(at) => format!("due next at {at}"),
        None if schedule.status == "paused" => "not due until it is resumed".to_owned(),
        None if schedule.runs.is_empty() => "not due any more".to_owned(),
        None => "under way".to_owned(),
    }
}

fn ended(past: &PastRun) -> String {
    // Its name as in JSON.
    let outcome = serde_json::to_value(past.outcome).unwrap_or_default();
    format!("{} {}", outcome.as_str().unwrap_or_default(), past.ended_at)
}

fn print(schedule: &ScheduleView) {
    // A plan always serializes.
    let plan = serde_json::to_value(&schedule.plan).unwrap_or_default();
    say!("schedule  {}", schedule.id);
    for key in ["name", "at", "every", "anchor", "cron", "zone", "session", "agent", "overdue", "overlap"] {
        match plan.get(key) {
            Some(Value::String(text)) => say!("{key:<9} {}", show::label(text)),
            Some(other) => say!("{key:<9} {other}"),
            None => {}
        }
    }
    say!("says      {}", show::label(&schedule.plan.message));
    let why = schedule.reason.as_ref().map(|reason| format!(" ({})", show::label(reason))).unwrap_or_default();
    say!("status    {}{why}; {}", schedule.status, next(schedule));
    say!(
        "runs      {} done, {} failed, {} skipped",
        schedule.counts.done,
        schedule.counts.failed,
        schedule.counts.skipped
    );
    for past in &schedule.history {
        let error = past.error.as_ref().map(|error| format!(": {}", show::label(error))).unwrap_or_default();
        say!("  {}  due {}  {}{error}", past.session, past.due_at, ended(past));
    }
    for RunView { session, due_at, status, attempt, .. } in &schedule.runs {
        say!("  {session}  due {due_at}  {status}, attempt {attempt}");
    }
}

async fn events(client: &Client, schedule: &str) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page: Events = client.get(&format!("/schedules/{schedule}/events?limit=1000&after={after}")).await?;
        page.items.iter().for_each(|line| say!("{line}"));
        after += page.items.len() as u64;
        if page.items.is_empty() || after >= page.head {
            return Ok(());
        }
    }
}
