//! The doctor finds what is wrong, says what to do, and shows no secret.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::house::{House, provider};

#[test]
fn a_new_workspace_has_nothing_wrong_with_it() {
    let house = House::new();
    let shown = house.check(&["doctor"], 0, "ok       token            there, for its owner alone");
    assert!(shown.contains("the offline rehearsal answers") && !shown.contains("WRONG"), "{shown}");
    let token = std::fs::read_to_string(house.root().join("token")).unwrap();
    assert!(!shown.contains(token.trim()), "it prints the token");
    for attempt in ["read the token", "connect to a port here", "mount something", "gain privileges"] {
        assert!(shown.contains(&format!("ok       bubblewrap       holds: {attempt}")), "{attempt}: {shown}");
    }
    house.check(&["session", "list"], 0, "");
    house.check(&["doctor"], 0, &format!("version {} runs at http://127.0.0.1:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_way_out() {
    let house = House::new();
    house.write("outlive.yaml", "servr: {port: 1}\n");
    house.agent("wrong", "provider: anthropc, name: m");
    house.agent("keyless", "provider: anthropic, name: m");
    house.agent("away", "provider: openai, name: m, base_url: \"http://who:pass-word@127.0.0.1:1/v1\"");
    house.agent("lax", "provider: rehearsal");
    house.write("agents/lax/policy.yaml", "mod: ask\n");
    let token = house.root().join("token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = house.command(&["doctor", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let check = |what: &str, says: &str, fix: &str| {
        let found = checks.iter().find(|check| check["what"] == what && check["level"] == "wrong");
        let found = found.unwrap_or_else(|| panic!("{what} is not wrong: {checks:#?}"));
        assert!(found["found"].as_str().unwrap().contains(says), "{found}");
        assert!(found["fix"].as_str().unwrap().contains(fix), "{found}");
    };
    check("outlive.yaml", "outlive.yaml:1:1: unknown key `servr`", "mend that line");
    check("agent wrong", "agent.yaml:4:16: spec.model.provider", "outlive agent validate wrong");
    check("agent keyless", "set ANTHROPIC_API_KEY", "the key");
    check("policy of lax", "policy.yaml:1:1", "every call is asked about");
    check("model", "127.0.0.1:1 cannot be reached", "look at the key");
    check("token", "(mode 644)", "chmod 600");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!shown.contains("pass-word"), "it prints what is before the @: {shown}");
}

#[test]
fn who_tells_it_something_and_who_is_told_have_their_secrets() {
    let house = House::new();
    let notify = "webhooks:\n  shop: {scheme: github, secret: SHOP, routes: [{message: {agent: default}}]}\n  \
                  mail: {scheme: github, secret: MAIL, routes: [{message: {agent: postman}}]}\n  \
                  signed: {scheme: standard, secret: OPS, routes: [{message: {agent: default}}]}\n\
                  notify:\n  ops: {webhook: 'https://example.com', secret: OPS}\n  desk: {command: [notify-send]}\n  \
                  night: {command: [notify-send], agents: [default, writer]}\n";
    house.write("outlive.yaml", notify);
    let shown = house.check(&["doctor"], 0, "warning  webhook shop     SHOP has no value here");
    assert!(shown.contains("warning  notify ops       OPS has no value here"), "{shown}");
    assert!(shown.contains("ok       notify desk      `outlive notice test desk` tries it"), "{shown}");
    assert!(shown.contains("warning  webhook mail     there is no agent `postman`"), "{shown}");
    assert!(shown.contains("warning  notify night     there is no agent `writer`"), "{shown}");
    let output = house.command(&["doctor"]).env("OPS", "not-base64-at-all!").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("WRONG    notify ops       the value of OPS signs nothing"), "{shown}");
    assert!(shown.contains("WRONG    webhook signed   the value of OPS signs nothing"), "{shown}");
    assert!(!shown.contains("not-base64"), "{shown}");
}

#[test]
fn a_list_of_tokens_that_others_can_write_is_wrong() {
    let house = House::new();
    house.check(&["token", "create", "ci", "--scope", "read"], 0, "olt_");
    house.check(&["doctor"], 0, "there, for its owner alone");
    let list = house.root().join("tokens.json");
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o622)).unwrap();
    house.check(&["doctor"], 1, "they could let themselves in");
}

#[test]
fn a_taken_port_and_a_model_that_is_not_offered_are_warnings() {
    let house = House::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    house.write("outlive.yaml", &format!("server: {{port: {port}}}\n"));
    house.check(&["doctor"], 0, &format!("warning  port             {port}: Address already in use"));
    house.agent("talker", &format!("provider: openai, name: m, base_url: \"{}\"", provider("nothing")));
    // The provider answers with a stream where a list is asked for.
    house.check(&["doctor"], 1, "model            openai/m at http://127.0.0.1:");
}

#[test]
fn memory_files_that_no_model_sees_whole_and_an_index_that_is_damaged_are_named_with_the_way_out() {
    let house = House::new();
    let shown = house.check(&["doctor"], 0, "ok       memory files");
    assert!(shown.contains("not there yet; the first question makes it"), "{shown}");
    house.check(&["memory", "add", "Ada has a dog."], 0, "");
    house.check(&["memory", "list"], 0, "dog");
    house.check(&["doctor"], 0, "1 memories; 0 events are followed with the next question");
    house.check(&["serve", "--stop"], 0, "");
    let memory = house.root().join("agents/default/memory");
    house.write("agents/default/memory/MEMORY.md", &"x".repeat(70_000));
    house.write("agents/default/memory/daily/2026-01-01.md", &"x".repeat((1 << 20) + 1));
    std::fs::write(memory.join("daily/2026-01-02.md"), b"a \xff").unwrap();
    std::fs::create_dir(memory.join("daily/2026-01-03.md")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", memory.join("daily/2026-01-04.md")).unwrap();
    house.write("memory/world/tides.md", "Twice a day.");
    let index = house.root().join("memory.db");
    let damage = |bytes: &[u8]| std::fs::write(&index, bytes).unwrap();
    damage(&b"this is no database, whatever its name says".repeat(200));
    std::fs::write(house.root().join("memory.db.damaged"), "").unwrap();
    let output = house.command(&["doctor", "--json"]).output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for (what, says, fix) in [
        ("memory files", "agents/default/memory/MEMORY.md: it has 70000 bytes", "make it shorter"),
        ("memory files", "daily/2026-01-01.md: it has 1048577 bytes: nothing is added", "make it shorter"),
        ("memory files", "daily/2026-01-02.md: it is not UTF-8", "save it as UTF-8"),
        ("memory files", "no plain file", "put a plain file there"),
        ("memory files", "links are not followed", "put a plain file there"),
        ("memory.db", "cannot be used", "made anew from the journals"),
        ("memory.db", "memory.db.damaged", "remove it"),
    ] {
        let is = |check: &&Value| check["what"] == what && check["found"].as_str().unwrap().contains(says);
        let found = checks.iter().find(is).unwrap_or_else(|| panic!("{says} is not named: {checks:#?}"));
        assert_eq!(found["level"], "warning", "{found}");
        assert!(found["fix"].as_str().unwrap().contains(fix), "{found}");
    }
    assert!(
        !checks.iter().any(|check| check["found"].as_str().unwrap().contains("tides.md")),
        "what is good is not named"
    );
    house.check(&["agent", "validate", "default"], 0, "`MEMORY.md` has 70000 bytes");
    house.check(&["memory", "list"], 0, "dog");
    house.check(&["doctor"], 0, "1 memories");
}
