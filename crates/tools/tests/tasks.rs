//! Commands in the background: looked at, waited for, ended, and lost with their server.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files")]

mod stage;

use std::sync::Arc;

use outlive_core::event::Outcome;
use outlive_core::id::{CallId, SessionId};
use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;
use outlive_tools::Invocation;
use outlive_tools::exec::Exec;
use outlive_tools::tasks::{Tasks, forget};
use serde_json::json;
use stage::Stage;

async fn begin(stage: &Stage, command: &str) -> String {
    let begun = stage.run("bash", json!({"command": command, "run_in_background": true})).await;
    assert_eq!(begun.outcome, Outcome::Ok, "{begun:?}");
    begun.details.unwrap()["task"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_task_goes_on_after_its_call_and_tells_what_it_says_and_how_it_ends() {
    let stage = Stage::new();
    let task = begin(&stage, "echo first; until [ -e go ]; do sleep 0.02; done; echo second; exit 3").await;
    let seen = stage.run("task_output", json!({"task": task})).await;
    assert_eq!(seen.content, "first\n[running; the next byte of its output is 6]");
    std::fs::write(stage.ws("go"), "").unwrap();
    let seen = stage.run("task_output", json!({"task": task, "since": 6, "wait_s": 60})).await;
    assert_eq!(seen.content, "second\n[exit code 3; the next byte of its output is 13]");
    assert_eq!(seen.details.unwrap(), json!({"status": "ended", "next": 13}));
    let again = stage.run("task_output", json!({"task": task})).await;
    assert_eq!(again.content, "first\nsecond\n[exit code 3; the next byte of its output is 13]");
    assert_eq!(std::fs::read_dir(stage.children()).unwrap().count(), 0, "its record is gone");
}

#[tokio::test]
async fn the_end_of_patience_does_not_end_a_task() {
    let stage = Stage::new();
    let task = begin(&stage, "echo pid $$; sleep 1000").await;
    let seen = stage.run("task_output", json!({"task": task, "wait_s": 1})).await;
    assert!(seen.content.contains("[still running after 1 s; wait again"), "{seen:?}");
    let pid = stage::pids(&seen.content)[0];
    assert!(stage::lives(pid));
    let stopped = stage.run("task_stop", json!({"task": task})).await;
    assert!(stopped.content.contains("[it was stopped with all its processes;"), "{stopped:?}");
    assert!(!stage::lives(pid));
    let again = stage.run("task_stop", json!({"task": task})).await;
    assert_eq!(again.content, stopped.content, "a second stop finds it stopped");
}

#[tokio::test]
async fn what_fails_at_once_is_told_by_its_call() {
    let stage = Stage::new();
    let ran = stage.run("bash", json!({"command": "echo no; exit 4", "run_in_background": true})).await;
    assert_eq!((ran.outcome, ran.content.as_str()), (Outcome::Error, "no\n[exit code 4]"));
}

#[tokio::test]
async fn a_limit_that_is_given_ends_a_task() {
    let stage = Stage::new();
    let arguments = json!({"command": "sleep 1000", "run_in_background": true, "timeout_ms": 500});
    let begun = stage.run("bash", arguments).await;
    let task = begun.details.unwrap()["task"].as_str().unwrap().to_owned();
    let seen = stage.run("task_output", json!({"task": task, "wait_s": 60})).await;
    assert!(seen.content.contains("time ran out after 500 ms"), "{seen:?}");
}

#[tokio::test]
async fn another_session_neither_sees_nor_ends_a_task() {
    let stage = Stage::new();
    let task = begin(&stage, "echo secret; sleep 1000").await;
    for name in ["task_output", "task_stop"] {
        let arguments = json!({"task": task});
        let (tool, _) = stage.tools.prepare(name, &arguments, &stage.place).unwrap();
        let other = Invocation { session: SessionId::from_bits(8), ..stage.invocation(arguments) };
        let seen = tool.run(other).await;
        assert!(seen.outcome == Outcome::Error && seen.content.contains("has no task"), "{seen:?}");
    }
    let seen = stage.run("task_output", json!({"task": task})).await;
    assert!(seen.content.starts_with("secret\n[running"), "{seen:?}");
    stage.run("task_stop", json!({"task": task})).await;
    let none = stage.run("task_output", json!({"task": CallId::from_bits(9).to_string()})).await;
    assert!(none.content.contains(&format!("it has {task}")), "{none:?}");
    assert!(stage.run("task_output", json!({"task": "../x"})).await.content.contains("is no task"));
}

#[tokio::test]
async fn a_task_of_a_server_that_died_is_lost_and_says_so() {
    let stage = Stage::new();
    let task = begin(&stage, "echo before; sleep 1000").await;
    // Another server looks at the same files, and holds nothing.
    let tasks = Arc::new(Tasks::new(stage.children().with_file_name("tasks")));
    let look = outlive_tools::builtin::TaskOutput::new(tasks);
    let seen = outlive_tools::Tool::run(&look, stage.invocation(json!({"task": task, "wait_s": 60}))).await;
    assert!(seen.content.starts_with("before\n[lost: the server died while it ran"), "{seen:?}");
    assert_eq!(seen.details.unwrap()["status"], "lost");
    stage.run("task_stop", json!({"task": task})).await;
}

#[tokio::test]
async fn an_erased_session_leaves_nothing_of_its_tasks() {
    let mut tasks = None;
    let stage = Stage::with(tempfile::tempdir().unwrap(), |exec| {
        tasks = Some(Arc::clone(exec.tasks()));
        exec
    });
    let task = begin(&stage, "echo pid $$; exec sleep 1000").await;
    let pid = stage::pids(&stage.run("task_output", json!({"task": task})).await.content)[0];
    let tasks = tasks.unwrap();
    tasks.erase(SessionId::from_bits(8));
    assert!(stage.run("task_output", json!({"task": task})).await.content.contains("running"));
    tasks.erase(SessionId::from_bits(7));
    while stage::lives(pid) {
        tokio::task::yield_now().await;
    }
    let folder = stage.children().with_file_name("tasks");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    assert!(stage.run("task_output", json!({"task": task})).await.content.contains("it has none"));
}

#[tokio::test]
async fn output_is_shown_in_whole_characters_from_where_it_was_asked() {
    let stage = Stage::new();
    let task = begin(&stage, "for i in {1..20000}; do echo -n ä; done; sleep 0.5").await;
    stage.run("task_output", json!({"task": task, "wait_s": 60})).await;
    let (mut since, mut whole) = (0, String::new());
    while since < 40_000 {
        let seen = stage.run("task_output", json!({"task": task, "since": since})).await;
        whole.push_str(seen.content.lines().next().unwrap());
        since = seen.details.unwrap()["next"].as_u64().unwrap();
    }
    assert_eq!(whole, "ä".repeat(20_000));
}

#[test]
fn what_tasks_said_is_forgotten_after_some_days() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["s1/old", "s1/new", "s2/old"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    for name in ["s1/old", "s2/old"] {
        let opened = std::fs::File::open(folder.path().join(name)).unwrap();
        opened.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    forget(folder.path(), 7).unwrap();
    let left = |name: &str| folder.path().join(name).exists();
    assert_eq!(["s1/old", "s1/new", "s2"].map(left), [false, true, false]);
    forget(&folder.path().join("none"), 7).unwrap();
}

#[tokio::test]
async fn what_a_task_prints_of_its_secret_is_never_in_its_file_and_no_other_tool_has_it() {
    const SECRET: &str = "gho_16C7e42F292c6912E7";
    let known = Secrets::default();
    let granted = vec![("GH_TOKEN".to_owned(), Secret::new(SECRET))];
    let how = |exec: Exec| exec.redacting(known.clone()).granting(granted.clone());
    let stage = Stage::with(tempfile::tempdir().unwrap(), how);
    let print = "echo it is $GH_TOKEN; printf %s ${GH_TOKEN:0:9}; touch half; until [ -e go ]; do sleep 0.02; done; \
                 printf '%s\n' ${GH_TOKEN:9}; printf %s ${GH_TOKEN:0:5}";
    let task = begin(&stage, print).await;
    let file = stage.children().with_file_name("tasks").join(format!("{}/{task}/output", SessionId::from_bits(7)));
    let first = "it is [redacted:GH_TOKEN]\n";
    while !stage.ws("half").exists() || std::fs::read_to_string(&file).unwrap().len() < first.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first, "what may be a secret waits");
    std::fs::write(stage.ws("go"), "").unwrap();
    let seen = stage.run("task_output", json!({"task": task, "wait_s": 60})).await;
    let all = format!("{first}[redacted:GH_TOKEN]\ngho_1");
    assert_eq!(seen.content, format!("{all}\n[exit code 0; the next byte of its output is {}]", all.len()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), all, "a beginning that is no secret is shown at the end");
    let other = Stage::with(tempfile::tempdir().unwrap(), |exec| exec.redacting(known.clone()));
    let ran = other.run("bash", json!({"command": "echo ${GH_TOKEN:-none}; env"})).await;
    assert!(ran.content.starts_with("none\n") && !ran.content.contains("GH_TOKEN"), "{}", ran.content);
}
