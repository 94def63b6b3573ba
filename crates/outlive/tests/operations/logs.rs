//! Logs: ids as fields, and nothing of what was said.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::house::{House, provider};

/// What must be in no log: said by a person, by a model, written by a tool, a key, the token.
const SAID: &str = "cormorant-by-a-person";
const ANSWERED: &str = "cormorant-by-a-model";
const KEY: &str = "sk-cormorant-key";

#[test]
fn what_is_said_and_what_is_secret_is_in_no_log_at_any_level() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let base = provider(ANSWERED);
    house.agent("talker", &format!("provider: openai, name: m, base_url: \"{base}\", api_key_env: SOME_KEY"));
    let mut server = house.serve(|command| {
        command.args(["--log", "trace"]).env("SOME_KEY", KEY).env_remove("OUTLIVE_LOG");
    });
    let work = format!("write {SAID}.txt: {SAID} then run `cat {SAID}.txt`");
    house.check(&["run", "-a", "worker", &work], 0, SAID);
    house.check(&["run", "-a", "worker", &format!("run `cat {SAID}.none; exit 3`")], 0, "");
    house.check(&["run", "-a", "talker", SAID], 0, ANSWERED);
    house.check(&["search", SAID], 0, SAID);
    server.signal(rustix::process::Signal::TERM);
    let shown = server.ended();
    let log = std::fs::read_to_string(house.root().join("run/server.log")).unwrap();
    let token = std::fs::read_to_string(house.root().join("token")).unwrap();
    for text in [&shown, &log] {
        assert!(text.contains("\"TRACE\"") && text.contains("call finished"), "the filter was not taken: {text}");
        for secret in [SAID, ANSWERED, KEY, token.trim(), "cormorant"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "`{secret}` is in a log: {line:?}");
        }
    }
}

#[test]
fn each_line_is_json_and_says_of_which_session_turn_and_call_it_speaks() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let mut server = house.serve(|command| {
        command.args(["--log", "outlive_runtime=debug,info"]);
    });
    house.check(&["run", "-a", "worker", "run `true`"], 0, "");
    server.signal(rustix::process::Signal::TERM);
    let shown = server.ended();
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |message: &str| {
        let found = lines.iter().find(|line| line["fields"]["message"] == message);
        found.unwrap_or_else(|| panic!("`{message}` is not logged: {shown}"))
    };
    let spans = |line: &Value| line["spans"].as_array().cloned().unwrap_or_default();
    let ended = find("turn ended");
    assert_eq!((&ended["level"], &ended["fields"]["ending"]), (&"INFO".into(), &"complete".into()));
    let session = spans(ended)[0]["session"].as_str().unwrap().to_owned();
    assert!(session.starts_with("ses_") && ended["fields"]["turn"].as_str().unwrap().starts_with("trn_"), "{ended}");
    let call = find("call started");
    assert!(call["fields"]["call"].as_str().unwrap().starts_with("call_"), "{call}");
    assert_eq!((&call["fields"]["tool"], &spans(call)[0]["session"]), (&"bash".into(), &session.into()));
    let lower = |line: &&Value| {
        let said = line["fields"]["message"].as_str().unwrap_or_default().to_owned();
        line["target"].as_str().unwrap().starts_with("outlive") && said.starts_with(|c: char| c.is_uppercase())
    };
    assert_eq!(lines.iter().find(lower), None, "messages are lowercase");
}

#[test]
fn a_log_is_followed_and_a_wrong_filter_is_refused() {
    let house = House::new();
    house.check(&["serve", "--log", "outlive=loud"], 2, "--log `outlive=loud`: error parsing level filter");
    house.check(&["session", "list"], 0, "");
    let mut follower = house.command(&["logs", "-f", "-n", "1"]).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
    house.check(&["run", "help"], 0, "");
    assert!(lines.any(|line| line.contains("\"turn ended\"")), "what is logged later is followed");
    follower.kill().unwrap();
    follower.wait().unwrap();
    house.check(&["logs", "-n", "500"], 0, "\"server started\"");
}
