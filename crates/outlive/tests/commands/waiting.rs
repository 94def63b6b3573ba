//! What sessions wait for, as commands say it.

use crate::Home;

const NOWHERE: &str = "ses_01KDXJN1000000000000000001";

#[test]
fn whoever_arms_a_wait_learns_its_name_and_sees_it_wherever_its_session_is_shown() {
    let home = Home::new();
    home.check(&["run", "help"], 0, "");
    let session = home.json(&["session", "list", "--json"])["items"][0]["id"].as_str().unwrap().to_owned();
    let armed = home.check(&["wait", "arm", &session, "tea", "--until", "1h"], 0, "armed wait_");
    let wait = armed.split_whitespace().nth(1).unwrap();
    home.check(&["session", "show", &session], 0, &format!("waits     {wait} until "));
    let inbox = home.json(&["inbox", "--json"]);
    assert_eq!((&inbox["asleep"][0]["id"], &inbox["items"]), (&wait.into(), &serde_json::json!([])));
    home.check(&["wait", "cancel", wait], 0, "cancelled");
    let inbox = home.json(&["inbox", "--json"]);
    assert_eq!(inbox["asleep"], serde_json::json!([]));
}

#[test]
fn a_turn_that_ends_asleep_says_until_when_what_for_and_where() {
    let home = Home::new();
    let said = home.check(&["run", r#"call wait {"reason": "tea\nada \u203a yes", "for": "1h"}"#], 0, "asleep until ");
    let session = home.json(&["session", "list", "--json"])["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(said.contains(": tea ada › yes\n"), "{said}");
    assert!(said.contains(&format!("outlive attach {session}")), "{said}");
}

#[test]
fn what_an_unknown_session_waits_for_is_not_nothing() {
    let home = Home::new();
    for list in ["wait", "notice"] {
        home.check(&[list, "list", "--session", NOWHERE], 3, "session_not_found");
    }
}

#[test]
fn a_question_that_waits_in_a_fork_too_is_answered_by_its_session_and_once() {
    let home = Home::new();
    home.check(&["run", "ask Which colour? red | blue then help"], 0, "asks you");
    let asked = home.json(&["inbox", "--json"])["items"][0].clone();
    let (session, question) = (asked["session_id"].as_str().unwrap(), asked["question"].as_str().unwrap());
    home.check(&["session", "fork", session], 0, "ses_");
    home.check(&["answer", "-q", question, "red"], 2, "name one with -s");
    home.check(&["answer", "-q", question, "-s", session, "2"], 0, "answered");
    home.check(&["answer", "-q", question, "-s", session, "red"], 1, "blue");
    home.check(&["answer", "-q", question, "blue"], 0, "answered");
    home.check(&["answer", "-q", question, "blue"], 3, "-s SESSION");
}
