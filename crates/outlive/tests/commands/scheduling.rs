//! Schedules from a terminal: what was due while nobody was there runs, once.

use std::time::{Duration, Instant};

use outlive_runtime::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::Home;

impl Home {
    fn schedule(&self, id: &str) -> Value {
        serde_json::from_str(&self.check(&["schedule", "show", id, "--json"], 0, "")).unwrap()
    }

    /// Waits until a schedule is as it is to be.
    fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let shown = self.schedule(id);
            if is_so(&shown) {
                return shown;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{shown}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn add(&self, arguments: &[&str]) -> String {
        let made = self.check(&[&["schedule", "add"], arguments].concat(), 0, "sch_");
        made.split_whitespace().next().unwrap().to_owned()
    }
}

fn is_done(shown: &Value) -> bool {
    shown["counts"]["done"] == 1
}

#[test]
fn what_was_due_while_the_server_was_killed_runs_once_when_it_is_back() {
    let home = Home::new();
    let soon = SystemClock.now().plus_ms(3_000);
    let later = home.add(&["--at", &soon.to_string(), "write later.txt: later"]);
    let past = home.add(&["--at", "2020-01-01T00:00:00Z", "--name", "long ago", "write past.txt: past"]);
    home.kill_server();
    // Nobody is there when it is due.
    while SystemClock.now() <= soon {
        std::thread::sleep(Duration::from_millis(50));
    }
    for id in [&past, &later] {
        let shown = home.until(id, is_done);
        let session = shown["last_run"]["session"].as_str().unwrap();
        let messages = home.check(&["session", "messages", session], 0, "");
        assert_eq!(messages.matches("user: write").count(), 1, "{messages}");
        assert_eq!((&shown["status"], &shown["last_run"]["outcome"]), (&"done".into(), &"complete".into()));
    }
    home.kill_server();
    home.check(&["schedule", "list"], 0, "long ago");
    assert_eq!(home.sessions(&[]).len(), 2);
    let events = home.check(&["schedule", "events", &past], 0, "\"type\":\"schedule.run_started\"");
    assert_eq!(events.lines().count(), 3, "{events}");
    assert_eq!(std::fs::read_to_string(home.0.path().join("past.txt")).unwrap(), "past\n");
    home.check(&["verify"], 0, "");
    home.check(&["doctor"], 0, "");
}

#[test]
fn a_schedule_is_paused_resumed_run_and_removed_and_says_so() {
    let home = Home::new();
    let id = home.add(&["--cron", "0 9 * * MON-FRI", "--zone", "Europe/Berlin", "--overlap", "queue", "help"]);
    home.check(&["schedule", "pause", &id, "-r", "holidays"], 0, "is paused");
    home.check(&["schedule", "show", &id], 0, "status    paused (holidays)");
    home.check(&["schedule", "run", &id], 0, "runs in ses_");
    home.until(&id, is_done);
    home.check(&["schedule", "show", &id], 0, "runs      1 done, 0 failed, 0 skipped");
    home.check(&["schedule", "resume", &id], 0, "due next at");
    home.check(&["schedule", "remove", &id], 0, "is removed");
    home.check(&["schedule", "show", &id], 3, "(schedule_not_found)");
    home.check(&["schedule", "list"], 0, "no schedules: `outlive schedule add");
}

#[test]
fn a_schedule_that_is_changed_keeps_what_is_not_said_and_its_history() {
    let home = Home::new();
    let id = home.add(&["--cron", "0 9 * * MON-FRI", "--zone", "Europe/Berlin", "--overlap", "queue", "help"]);
    home.check(&["schedule", "run", &id], 0, "runs in ses_");
    home.until(&id, is_done);
    home.check(&["schedule", "change", &id, "tell me the time"], 0, "due next at");
    let shown = home.check(&["schedule", "show", &id], 0, "says      tell me the time");
    for kept in ["cron      0 9 * * MON-FRI", "zone      Europe/Berlin", "overlap   queue", "1 done"] {
        assert!(shown.contains(kept), "{kept}: {shown}");
    }
    // No zone goes with it.
    home.check(&["schedule", "change", &id, "--every", "2h", "--name", "tea"], 0, "due next at");
    let shown = home.schedule(&id);
    let now = ["every", "cron", "zone", "name", "message"].map(|key| shown[key].clone());
    assert_eq!(now, ["2h".into(), Value::Null, Value::Null, "tea".into(), "tell me the time".into()]);
    home.check(&["schedule", "change", &id, "--cron", "61 * * * *"], 2, "cron: minute: `61` is not 0 to 59");
    assert_eq!(home.schedule(&id)["every"], "2h");
    home.check(&["schedule", "remove", &id], 0, "is removed");
    home.check(&["schedule", "change", &id, "--name", "none"], 3, "(schedule_not_found)");
}

#[test]
fn of_a_schedule_with_a_damaged_journal_everything_says_so_and_what_repairs_it() {
    let home = Home::new();
    let id = home.add(&["--every", "1h", "help"]);
    home.check(&["serve", "--stop"], 0, "");
    let journal = format!(".outlive/schedules/{id}/events.jsonl");
    let path = home.0.path().join(&journal);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("every", "evary", 1)).unwrap();
    for asked in ["show", "run", "pause", "remove"] {
        home.check(&["schedule", asked, &id], 1, "is damaged at line 1");
    }
    home.check(&["schedule", "list"], 0, "verify --repair");
}

#[test]
fn what_is_no_schedule_is_refused_with_the_place() {
    let home = Home::new();
    home.check(&["schedule", "add", "help"], 2, "one of `at`, `every` and `cron` is needed");
    home.check(&["schedule", "add", "--cron", "61 * * * *", "help"], 2, "cron: minute: `61` is not 0 to 59");
    home.check(&["schedule", "add", "--cron", "@daily", "--zone", "Mars/Base", "help"], 2, "no time zone `Mars/Base`");
    home.check(&["schedule", "add", "--every", "1h", "--cron", "@daily", "help"], 2, "cannot be used with");
    home.check(&["schedule", "add", "--every", "1h"], 2, "message: 1 to");
    home.check(&["schedule", "add", "--every", "1h", "-a", "nobody", "help"], 3, "(agent_not_found)");
    home.check(&["schedule", "add", "--every", "1h", "--overdue", "soon", "help"], 2, "--overdue: `soon` is none of");
    home.check(&["schedule", "show", "ses_00000000000000000000000001"], 2, "is not a schedule id");
    let missing = "ses_00000000000000000000000001";
    home.check(&["schedule", "add", "--every", "1h", "-s", missing, "help"], 3, "(session_not_found)");
    let file = home.0.path().join("plan.yaml");
    std::fs::write(&file, "every: 1h\nmessage: help\nwhen: never\n").unwrap();
    let path = file.display().to_string();
    home.check(&["schedule", "add", "--file", &path], 2, "plan.yaml:3:1: unknown key `when`");
    std::fs::write(&file, "every: 1h\nagent: default\nmessage: help\nretry: {attempts: 1}\n").unwrap();
    home.check(&["schedule", "add", "--file", &path, "--json"], 0, "\"attempts\": 1");
}

#[test]
fn an_agent_plans_for_itself_sees_it_and_takes_it_back() {
    let home = Home::new();
    let yaml = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: planner}\n\
                spec: {model: {provider: rehearsal}, tools: [{builtin: schedule}]}\n";
    home.write("agents/planner/agent.yaml", yaml);
    home.write("agents/planner/policy.yaml", "mode: ask\nallow: [\"schedule:plan *\"]\n");
    let other = home.add(&["--every", "1h", "help"]);
    let plan = r#"call schedule_task {"message": "help", "every": "1d", "name": "tea"}"#;
    let said = home.check(&["run", "-a", "planner", plan], 0, "Planned as sch_");
    let id = said.split_whitespace().find(|word| word.starts_with("sch_")).unwrap().trim_end_matches('.').to_owned();
    let shown = home.schedule(&id);
    assert_eq!((&shown["by"]["sender"], &shown["name"]), (&"planner".into(), &"tea".into()));
    let listed = home.check(&["run", "-a", "planner", "call list_schedules"], 0, "tea");
    assert!(listed.contains(&id) && !listed.contains(&other), "{listed}");
    let cancel = |id: &str| format!(r#"call cancel_schedule {{"id": "{id}"}}"#);
    home.check(&["run", "-a", "planner", &cancel(&other)], 0, "there is no schedule");
    home.check(&["run", "-a", "planner", &cancel(&id)], 0, "is cancelled");
    home.check(&["schedule", "show", &id], 3, "(schedule_not_found)");
    home.check(&["schedule", "show", &other], 0, "active");
    // What the policy denies is not planned.
    home.write("agents/planner/policy.yaml", "mode: ask\ndeny: [\"schedule:plan *\"]\n");
    home.check(&["run", "-a", "planner", plan], 0, "");
    assert!(!home.check(&["schedule", "list"], 0, "").contains("tea"));
}

#[test]
fn a_backup_has_the_schedules_and_brings_them_back() {
    let home = Home::new();
    let id = home.add(&["--every", "1h", "--name", "tea", "help"]);
    let archive = home.0.path().join("all.tar");
    home.check(&["backup", &archive.display().to_string()], 0, "");
    home.check(&["schedule", "remove", &id], 0, "");
    home.check(&["serve", "--stop"], 0, "");
    let back = Home(tempfile::tempdir().unwrap());
    let unpacked = back.command("tar").arg("-xf").arg(&archive).arg("-C").arg(back.0.path()).status().unwrap();
    assert!(unpacked.success());
    back.check(&["schedule", "list"], 0, "tea");
    back.check(&["verify"], 0, "");
}
