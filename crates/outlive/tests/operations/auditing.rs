//! The audit log of the real binary: what a person decides and an agent is refused is found in it, and whoever touches it is, too.

use serde_json::Value;

use crate::house::House;

/// The entries, as what, outcome, tool or token, and the rule.
fn entries(house: &House) -> Vec<Value> {
    let listed = house.check(&["audit", "list", "--json", "--limit", "1000"], 0, "");
    listed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn whats(house: &House) -> Vec<String> {
    entries(house)
        .iter()
        .map(|entry| format!("{} {}", entry["what"].as_str().unwrap(), entry["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn what_a_person_decides_and_what_an_agent_is_refused_is_in_the_audit_log() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    house.write("agents/worker/policy.yaml", "mode: ask\ndeny: [\"bash:rm *\"]\n");
    let mut server = house.serve(|_| ());
    let token = house.root().join("token");
    // The token, its own policy, a rule that denies.
    house.check(&["run", "-a", "worker", &format!("read {}", token.display())], 0, "");
    let policy = house.root().join("agents/worker/policy.yaml");
    house.check(&["run", "-a", "worker", &format!("write {}: mode: dangerous", policy.display())], 0, "");
    house.check(&["run", "-a", "worker", "run rm -rf x"], 0, "");
    // Asked of a person, who approves.
    let talk = house.command(&["run", "-a", "worker", "run echo yes > answer"]).spawn().unwrap();
    let began = std::time::Instant::now();
    while !house.command(&["approve"]).output().unwrap().status.success() {
        assert!(began.elapsed().as_secs() < 60, "nothing waits for a decision");
    }
    drop(talk.wait_with_output().unwrap());
    assert!(server.get("/api/v1/sessions", "wrong").starts_with("HTTP/1.1 401"));
    let secret = std::fs::read_to_string(&token).unwrap();
    assert!(server.get("/api/v1/inbox", secret.trim()).starts_with("HTTP/1.1 200"));
    let nothing = "/api/v1/sessions/ses_00000000000000000000000009";
    assert!(server.get(nothing, secret.trim()).starts_with("HTTP/1.1 404"));
    server.signal(rustix::process::Signal::TERM);
    server.ended();
    let all = whats(&house);
    for expected in [
        "call.denied denied",
        "call.asked asked",
        "approve ok",
        "message ok",
        "access.refused unauthorized",
        "inbox.read ok",
    ] {
        assert!(all.iter().any(|what| what == expected), "{expected}: {all:?}");
    }
    assert!(!all.iter().any(|what| what.starts_with("session.read session_not_found")), "nothing was read: {all:?}");
    let refused = |entry: &Value| {
        let on = |key: &str| entry["on"][key].as_str().map(str::to_owned);
        on("rule").map(|rule| (on("tool").unwrap(), rule))
    };
    let rules: Vec<(String, String)> = entries(&house).iter().filter_map(refused).collect();
    let expected = [("read", "default: forbidden"), ("write", "default: forbidden"), ("bash", "bash:rm *")];
    assert_eq!(rules, expected.map(|(tool, rule)| (tool.to_owned(), rule.to_owned())));
    let text = std::fs::read_to_string(house.root().join("audit/00000001.jsonl")).unwrap();
    assert!(!text.contains(secret.trim()) && !text.contains("echo yes"), "{text}");
    house.check(&["audit", "list", "--what", "call."], 0, "agent:worker");
}

#[test]
fn a_decision_is_in_the_audit_log_when_it_is_answered_and_the_log_survives_a_kill() {
    let house = House::new();
    let mut server = house.serve(|_| ());
    for round in 1..=3 {
        house.check(&["agent", "new", &format!("agent-{round}")], 0, "");
        house.check(&["stop", "--all"], 0, "everything is stopped");
        server.signal(rustix::process::Signal::KILL);
        server.ended();
        let stops = whats(&house).iter().filter(|what| *what == "stop ok").count();
        assert_eq!(stops, round);
        house.check(&["audit", "verify"], 0, "none was changed");
        server = house.serve(|_| ());
        house.check(&["stop", "--lift"], 0, "nothing is stopped");
    }
}

#[test]
fn whoever_touches_the_audit_log_is_found() {
    let house = House::new();
    house.check(&["stop", "--all"], 0, "everything is stopped");
    house.check(&["stop", "--all"], 0, "everything is stopped");
    let verified = house.check(&["audit", "verify"], 0, "head ");
    let head = verified.lines().find_map(|line| line.strip_prefix("head ")).unwrap().to_owned();
    house.check(&["audit", "verify", "--head", &head], 0, "none was changed");
    let file = house.root().join("audit/00000001.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 2);
    std::fs::write(&file, whole.replacen("\"who\":\"local\"", "\"who\":\"other\"", 1)).unwrap();
    house.check(&["audit", "verify"], 1, "broken at audit/00000001.jsonl, line 1: entry 1 was changed");
    std::fs::write(&file, format!("{}\n", lines[0])).unwrap();
    house.check(&["audit", "verify"], 1, "its end was cut off");
    std::fs::write(&file, &whole).unwrap();
    house.check(&["audit", "verify"], 0, "2 entries");
    let other = "0".repeat(64);
    house.check(&["audit", "verify", "--head", &other], 1, "no entry has the hash");
}

#[test]
fn an_end_that_was_cut_off_is_found_though_the_log_has_gone_on() {
    let house = House::new();
    house.check(&["stop", "--all"], 0, "everything is stopped");
    house.check(&["stop", "--all"], 0, "everything is stopped");
    let file = house.root().join("audit/00000001.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{}\n", whole.lines().next().unwrap())).unwrap();
    house.check(&["stop", "--all"], 0, "everything is stopped");
    std::fs::remove_file(house.root().join("audit/head")).unwrap();
    house.check(&["stop", "--all"], 0, "everything is stopped");
    assert_eq!(whats(&house), ["stop ok", "audit.cut ok", "stop ok", "audit.unanchored ok", "stop ok"]);
    let said =
        house.check(&["audit", "verify"], 1, "entries of the audit log are missing:\n  audit/00000001.jsonl, line 2: ");
    assert!(
        said.contains("it ended with entry 1, and had 2: its end was cut off\n  audit/00000001.jsonl, line 4: "),
        "{said}"
    );
    assert!(said.contains("`audit/head` was gone: entries after 3 may be missing"), "{said}");
    let missing = house.check(&["audit", "verify", "--json"], 1, "\"broken\": null");
    assert!(missing.contains("\"line\": 4"), "{missing}");
}
