//! Sessions of tasks, and loops.

use outlive_core::task;
use outlive_protocol::iteration::{CheckView, LoopView, StartLoop};
use outlive_protocol::session::{CreateSession, Done, SessionView};
use outlive_protocol::task::TaskView;
use reqwest::Method;

use crate::cli::work::{Loop, State, Task, Tasks, Which, Work};
use crate::client::{Client, encoded};
use crate::exit::Failure;
use crate::show;

/// Does it.
///
/// # Errors
///
/// What the server says.
pub async fn run(client: &Client, command: Work) -> Result<(), Failure> {
    match command {
        Work::Task(task) => find(client, task).await,
        Work::Tasks(tasks) => list(client, tasks).await,
        Work::Loop(looped) => go(client, looped).await,
    }
}

async fn find(client: &Client, asked: Task) -> Result<(), Failure> {
    let Task { which: Which { project, feature, task }, role, state, agent } = asked;
    let agent = agent.unwrap_or_else(|| role.clone());
    let state = match state {
        State::Planning => task::TaskState::Planning,
        State::InDev => task::TaskState::InDev,
        State::InQa => task::TaskState::InQa,
        State::InReview => task::TaskState::InReview,
    };
    let role = role.parse().map_err(|error| Failure::Failed(format!("--role: {error}")))?;
    let task = Some(task::Task { project, role, feature, task, state });
    let body = CreateSession { agent, task, ..CreateSession::default() };
    let view: SessionView = client.send(Method::POST, "/sessions", &body).await?;
    say!("{}", view.row.id);
    Ok(())
}

async fn list(client: &Client, Tasks { which, json }: Tasks) -> Result<(), Failure> {
    let Which { project, feature, task } = which;
    let more = [("feature", feature), ("task", task)];
    let more: String =
        more.iter().filter_map(|(key, value)| Some(format!("&{key}={}", encoded(value.as_ref()?)))).collect();
    let view: TaskView = client.get(&format!("/tasks?project={}{more}", encoded(&project))).await?;
    if json {
        return show::json(&view);
    }
    for (state, rows) in &view.states {
        for row in rows {
            let role = row.task.as_ref().map(|task| task.role.as_str()).unwrap_or_default();
            let mark = if view.current.as_ref() == Some(&row.id) { '*' } else { ' ' };
            say!("{mark} {:<9} {role:<16} {}  {:<9} {}", state.as_str(), row.id, row.status, row.updated_at);
        }
    }
    if view.current.is_none() {
        say!("no session of this task is at hand");
    }
    Ok(())
}

async fn go(client: &Client, Loop { session, goal, check, iterations, abort }: Loop) -> Result<(), Failure> {
    let route = format!("/sessions/{session}/loop");
    if abort {
        let _done: Done = client.send(Method::DELETE, &route, &()).await?;
        say!("{session}: the loop ends");
        return Ok(());
    }
    let body = StartLoop { goal: goal.unwrap_or_default(), checks: check, iterations, request_id: None };
    let _done: Done = client.send(Method::POST, &route, &body).await?;
    say!("{session}: the loop begins; `outlive session show {session}` says how far it is");
    Ok(())
}

/// Shows how far a loop is.
pub fn looped(view: &LoopView) {
    let exit = view.exit.map(|exit| format!(", ended: {}", exit.as_str())).unwrap_or_default();
    let why = view.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    say!("loop      iteration {} of {}{exit}{}", view.iteration, view.limit, show::label(&why));
    for CheckView { name, run, state, exit_code, .. } in &view.checks {
        let code = exit_code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        say!("check     {}: {state}{code}: {}", show::label(name), show::label(run));
    }
}
