//! Sessions of tasks, and loops, from a terminal.

use std::time::{Duration, Instant};

use crate::Home;

const AGENT: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: dev}\nspec:\n  \
                     model: {provider: rehearsal, name: instant}\n  tools: [{builtin: bash}]\n";
const TASK: [&str; 6] = ["--project", "shop-0000abcd", "--feature", "the cart", "--task", "T&1"];

#[test]
fn a_task_has_its_session_and_a_loop_in_it_goes_on_until_its_check_passes() {
    let home = Home::new();
    home.write("agents/dev/agent.yaml", AGENT);
    home.write("agents/dev/policy.yaml", "mode: ask\n");
    let find =
        || home.check(&[&["session", "task", "--role", "dev", "--state", "in_dev"], &TASK[..]].concat(), 0, "ses_");
    let found = find();
    home.kill_server();
    assert_eq!(find(), found);
    let session = found.trim();
    home.check(&[&["session", "tasks"], &TASK[..]].concat(), 0, &format!("* in_dev    dev              {session}"));
    home.check(&["session", "tasks", "--project", "shop-0000abcd"], 0, "no session of this task is at hand");
    home.check(&["session", "loop", session, "--goal", "help", "--check", "test"], 2, "NAME=COMMAND is needed");
    home.check(&["session", "loop", session, "--goal", "help"], 2, "--check");
    let run = "grown=echo x >> grown; echo it has $(wc -l < grown); test $(wc -l < grown) -ge 2";
    home.check(
        &["session", "loop", session, "--goal", "help", "--check", run, "--iterations", "5"],
        0,
        "the loop begins",
    );
    let began = Instant::now();
    let mut shown = String::new();
    while !shown.contains("ended:") {
        assert!(began.elapsed() < Duration::from_secs(120), "{shown}");
        shown = home.check(&["session", "show", session], 0, "loop      iteration");
    }
    assert!(shown.contains("loop      iteration 2 of 5, ended: passed"), "{shown}");
    assert!(shown.contains("check     grown: passed"), "{shown}");
    home.check(
        &["session", "checkpoint", "show", session, "2"],
        0,
        "check `grown` failed when it ran last (exit code 1)",
    );
    home.check(&["session", "checkpoint", "show", session, "2"], 0, "it has 1");
    home.check(&["session", "checkpoint", "diff", session, "2", "3"], 0, "+ - [check1] check `grown` passed");
    let again = home.run(&["session", "loop", session, "--abort"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("no loop is under way"), "{again:?}");
}
