//! Relays, from a terminal, with real scripts: to their end, and to the same end whatever is killed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Home;

const AGENT: &str = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: dev}\nspec:\n  \
                     model: {provider: rehearsal, name: instant}\n  tools: [{builtin: bash}]\n";
/// The tour of the demo: a script, a look for a file, a time, a signal, a person, the agent, an end.
const TOUR: &str = r#"name: tour
prompt: See all that there is.
states:
  - name: pack
    kind: script
    command: 'echo "$WHAT" >> packed; sleep 1'
    env: {WHAT: "{{input.what}}"}
    input_schema: {type: object, properties: {what: {type: string}}, required: [what]}
    check: 'grep -qxF "$WHAT" packed'
    next: look
  - {name: look, kind: poll, command: [test, -e, mail], interval: 1s, deadline: 1h, next: rest}
  - {name: rest, kind: timer, after: 2s, next: hear}
  - {name: hear, kind: signal, signal: news, match: {kind: good}, deadline: 1h, next: work}
  - {name: work, kind: agent, prompt: "help"}
  - {name: ask, kind: park, question: "Was it fine?", options: ["fine", "no"], next: done}
  - {name: done, kind: terminal, outcome: completed, reason: "{{states.ask.output.answer}}"}
"#;

fn home(relay: (&str, &str)) -> Home {
    let home = Home::new();
    home.write("agents/dev/agent.yaml", AGENT);
    // Whoever begins a relay of a file has approved its commands.
    home.write("agents/dev/policy.yaml", "mode: ask\n");
    home.write(&format!("relays/{}.yaml", relay.0), relay.1);
    home
}

impl Home {
    fn start_relay(&self, arguments: &[&str]) -> String {
        let said = self.check(&[&["relay", "start"], arguments, &["-a", "dev", "--json"]].concat(), 0, "session_id");
        let started: Value = serde_json::from_str(&said).unwrap();
        started["session_id"].as_str().unwrap().to_owned()
    }

    /// Waits until the relay is in this state, or has come to an end.
    fn until_relay(&self, session: &str, at: &str) -> Value {
        let began = Instant::now();
        loop {
            let said = self.check(&["relay", "show", session, "--json"], 0, "standing");
            let run: Value = serde_json::from_str(&said).unwrap();
            if run["state"] == at || run["outcome"].is_string() {
                return run;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{said}");
        }
    }

    fn until_asked(&self, session: &str) -> String {
        let began = Instant::now();
        loop {
            let shown = self.check(&["relay", "show", session], 0, "now: ");
            if shown.contains("a person is asked") {
                return self.check(&["inbox"], 0, session);
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{shown}");
        }
    }

    fn relay_rows(&self, session: &str) -> Vec<String> {
        let said = self.check(&["relay", "history", session, "--json"], 0, "started");
        let rows: Vec<Value> = serde_json::from_str(&said).unwrap();
        let row = |row: &Value| match row["what"].as_str().unwrap() {
            "attempt" => {
                format!("{} {}", row["state"].as_str().unwrap(), row["ended"]["outcome"].as_str().unwrap_or("-"))
            }
            what => what.to_owned(),
        };
        rows.iter().map(row).collect()
    }

    fn made(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }
}

#[test]
fn a_relay_is_begun_watched_and_comes_to_its_end() {
    let home = home(("tour", TOUR));
    home.check(&["relay", "list"], 0, "tour");
    home.check(&["relay", "show", "tour"], 0, "├─▶ pack  script    → look");
    home.check(&["relay", "start", "tour", "-a", "dev"], 2, "`what` is missing");
    home.check(&["relay", "start", "tuor", "-a", "dev"], 3, "there is no relay `tuor`");
    let value = "a \"b\" $(touch owned) `touch owned`\n';x";
    let session = home.start_relay(&["tour", "--input", &serde_json::json!({ "what": value }).to_string()]);
    // It comes before anybody waits for it.
    home.check(&["signal", &session, "news", r#"{"kind": "good", "n": 7}"#], 0, "received");
    home.until_relay(&session, "look");
    let began = Instant::now();
    while !home.check(&["wait", "list"], 0, "").contains("relay tour: look") {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not wait for its next look");
    }
    std::fs::write(home.0.path().join("mail"), "").unwrap();
    home.until_relay(&session, "ask");
    assert!(home.until_asked(&session).contains("Was it fine?"));
    home.check(&["answer", "fine"], 0, "answered");
    let run = home.until_relay(&session, "");
    assert_eq!((&run["outcome"], &run["version"]), (&"completed".into(), &1.into()));
    assert_eq!(home.made("packed"), format!("{value}\n"), "a value is data, whatever it holds");
    assert!(!home.0.path().join("owned").exists());
    let mut rows = home.relay_rows(&session);
    rows.retain(|row| row != "look not_yet");
    let expected = [
        "started",
        "pack ok",
        "look found",
        "rest due",
        "hear signal",
        "work ok",
        "ask answered",
        "done -",
        "finished",
    ];
    assert_eq!(rows, expected);
    home.check(&["relay", "show", &session], 0, "now: it ended: completed");
    home.check(&["relay", "select", &session, "pack"], 1, "no relay is under way");
    home.check(&["relay", "reopen", &session, "--reason", "once more", "--state", "ask"], 0, "done as event");
    home.until_asked(&session);
    home.check(&["relay", "cancel", &session, "--reason", "enough"], 0, "done as event");
    assert_eq!(home.until_relay(&session, "")["outcome"], "cancelled");
}

#[test]
fn the_example_writes_to_somebody_waits_for_a_reply_and_books_a_meeting() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/relays/outreach.yaml");
    let home = home(("outreach", &std::fs::read_to_string(path).unwrap()));
    let put = |name: &str, text: &str| std::fs::write(home.0.path().join(name), text).unwrap();
    put("leads.txt", "ada@example.org\nbob@example.org\n");
    let session = home.start_relay(&["outreach"]);
    let select = |state: &str, input: &str| {
        home.check(&["relay", "select", &session, state, "--input", input], 0, "done as event");
    };
    let to = r#"{"address": "ada@example.org"}"#;
    // An agent that knows no address chooses nothing that can be entered: a person does.
    for state in ["write", "send"] {
        home.until_asked(&session);
        select(state, to);
    }
    home.until_relay(&session, "reply");
    assert_eq!(home.made("sent.txt"), "ada@example.org\n");
    put("calendar.txt", "meeting with ada\n");
    home.check(&["signal", &session, "reply", r#"{"kind": "mail", "text": "gladly"}"#], 0, "received");
    home.until_relay(&session, "ask");
    home.until_asked(&session);
    home.check(&["answer", "it is booked"], 0, "answered");
    home.until_relay(&session, "pause");
    select("prospect", "{}");
    home.until_asked(&session);
    home.check(&["relay", "history", &session], 0, "bob@example.org");
    select("booked", "{}");
    assert_eq!(home.until_relay(&session, "")["outcome"], "completed");
}

#[test]
fn killed_in_each_state_it_comes_to_the_same_end_and_no_script_runs_twice() {
    let home = home(("tour", TOUR));
    let session = home.start_relay(&["tour", "--input", r#"{"what": "tent"}"#]);
    let began = Instant::now();
    while home.made("packed").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "the script does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    // In the script: what it did is there, and its check says so.
    home.kill_server();
    home.until_relay(&session, "look");
    home.kill_server();
    std::fs::write(home.0.path().join("mail"), "").unwrap();
    home.until_relay(&session, "rest");
    // Over its time.
    home.kill_server();
    std::thread::sleep(Duration::from_secs(3));
    home.until_relay(&session, "hear");
    home.kill_server();
    home.check(&["signal", &session, "news", r#"{"kind": "bad"}"#], 0, "received");
    home.check(&["signal", &session, "news", r#"{"kind": "good"}"#], 0, "received");
    home.until_relay(&session, "ask");
    home.until_asked(&session);
    home.kill_server();
    home.until_asked(&session);
    home.check(&["answer", "fine"], 0, "answered");
    home.kill_server();
    assert_eq!(home.until_relay(&session, "")["outcome"], "completed");
    assert_eq!(home.made("packed"), "tent\n");
    let mut rows = home.relay_rows(&session);
    rows.retain(|row| row != "look not_yet");
    let expected = [
        "started",
        "pack ok",
        "look found",
        "rest due",
        "hear signal",
        "work ok",
        "ask answered",
        "done -",
        "finished",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_script_without_a_check_asks_what_it_did_and_runs_again_on_a_person_s_word() {
    let relay = "name: pay\nprompt: Pay.\nstates:\n  - {name: pay, kind: script, command: 'echo x >> paid; test -e slow || \
                 sleep 600', timeout: 10m, next: done}\n  - {name: done, kind: terminal, outcome: completed}\n";
    let home = home(("pay", relay));
    let session = home.start_relay(&["pay"]);
    let began = Instant::now();
    while home.made("paid").is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "the script does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    home.kill_server();
    let asked = home.until_asked(&session);
    assert!(asked.contains("Nobody knows what it did"), "{asked}");
    assert_eq!(home.made("paid"), "x\n", "it is not run again by itself");
    std::fs::write(home.0.path().join("slow"), "").unwrap();
    home.check(&["answer", "run it again"], 0, "answered");
    assert_eq!(home.until_relay(&session, "")["outcome"], "completed");
    assert_eq!(home.made("paid"), "x\nx\n");
    assert_eq!(home.relay_rows(&session), ["started", "pay lost", "pay ok", "done -", "finished"]);
}

#[test]
fn a_file_that_is_no_relay_is_refused_with_every_fault() {
    let broken =
        "name: broken\nprompt: x\nstates:\n  - {name: a, kind: scirpt}\n  - {name: a, kind: timer, after: soon}\n";
    let home = home(("broken", broken));
    let file = home.0.path().join(".outlive/relays/broken.yaml");
    let said =
        home.check(&["relay", "validate", file.to_str().unwrap()], 1, "broken.yaml:4:15: states[0].kind: unknown kind");
    assert!(said.contains("broken.yaml:5:28: states[1].after: \"soon\" is not a time"), "{said}");
    home.write("relays/huge.yaml", &"x".repeat(200_000));
    std::fs::create_dir(home.0.path().join(".outlive/relays/folder.yaml")).unwrap();
    let listed = home.check(&["relay", "list"], 0, "none is an end that completes");
    assert!(listed.contains("huge") && listed.contains("folder"), "{listed}");
    home.check(&["relay", "start", "broken", "-a", "dev"], 2, "unknown kind `scirpt`");
    home.check(&["relay", "validate", "/none.yaml"], 2, "none.yaml");
    home.check(&["doctor"], 0, "relays/broken.yaml:3:1: states: none is an end that completes");
}

#[test]
fn what_is_no_plain_file_is_named_as_no_relay_and_keeps_nobody_waiting() {
    let home = home(("tour", TOUR));
    let at = |name: &str| home.0.path().join(".outlive/relays").join(name);
    assert!(home.command("mkfifo").arg(at("pipe.yaml")).status().unwrap().success());
    std::os::unix::fs::symlink(at("tour.yaml"), at("link.yaml")).unwrap();
    home.write("relays/old.yml", TOUR);
    home.write("relays/Bad Name.yaml", TOUR);
    let listed = home.check(&["relay", "list"], 0, "tour");
    assert!(listed.contains("pipe") && listed.contains("link"), "{listed}");
    assert_eq!(listed.matches("relays/pipe.yaml").count(), 1, "{listed}");
    home.check(&["relay", "start", "pipe", "-a", "dev"], 2, "it is no plain file");
    home.check(&["relay", "start", "link", "-a", "dev"], 2, "it is a link");
    for place in [at("pipe.yaml").to_str().unwrap(), "/dev/zero"] {
        home.check(&["relay", "validate", place], 2, "it is no plain file");
    }
    let said = home.check(&["doctor"], 0, "pipe.yaml: it is no plain file");
    for named in ["link.yaml: it is a link", "relays/old.yml is no relay", "relays/Bad Name.yaml is no relay"] {
        assert!(said.contains(named), "{named}: {said}");
    }
    home.check(&["session", "list"], 0, "");
}

#[test]
fn a_name_that_is_none_is_refused_before_anybody_is_asked() {
    let home = home(("tour", TOUR));
    let way = "../schedules/sch_01KDXJN1000000000000000001/run?x=";
    let refused: [&[&str]; 6] = [
        &["relay", "start", way],
        &["relay", "show", way],
        &["relay", "show", "ses_../../relays"],
        &["token", "revoke", ".."],
        &["notice", "test", ".."],
        &["memory", "why", ".."],
    ];
    for arguments in refused {
        home.check(arguments, 2, "invalid value");
    }
    home.check(&["status"], 5, "no server runs");
}
