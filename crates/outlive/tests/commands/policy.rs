//! `policy test` and `policy explain`: what an agent may do, and by which rule.

use std::io::{Read as _, Write as _};

use super::Home;

fn home() -> Home {
    let home = Home::new();
    home.write("policy.yaml", "deny:\n  - 'bash:sudo *'\n");
    home.write("agents/default/policy.yaml", "# mine\nallow:\n  - 'bash:echo *'\nask: ['read:/etc/**']\n");
    home.write("agents/default/policy.local.yaml", "grants:\n  - \"bash:frob $x | ls\"\n");
    home
}

#[test]
fn each_part_is_judged_with_the_rule_and_its_place() {
    let home = home();
    let said = home.check(&["policy", "test", "echo a; frob $(sudo x)"], 4, "=> deny for agent `default`");
    let rule = format!("{}:2", home.0.path().join(".outlive/policy.yaml").display());
    assert!(said.contains("allow  echo a") && said.contains("deny   sudo x") && said.contains(&rule), "{said}");
    home.check(&["policy", "test", "echo a > made.txt"], 0, "default: within the roots");
    home.check(&["policy", "test", "echo a > .outlive/policy.yaml"], 4, "deny");
    home.check(&["policy", "test", "echo .outlive/token"], 4, "it names what no call may change: .outlive/token");
    home.check(&["policy", "test", "frob a"], 4, "always would store: bash:frob a");
    home.check(&["policy", "test", "frob $x | ls"], 0, "policy.local.yaml:2");
    home.check(&["policy", "test", "--tool", "read", "/etc/passwd"], 4, "read:/etc/**");
    home.check(&["policy", "test", "--tool", "frob", "x"], 2, "no rules are about a tool `frob`");
    home.check(&["policy", "test", "-a", "nobody", "x"], 3, "no agent `nobody`");
    let json = home.check(&["policy", "test", "--json", "echo a; $x"], 4, "");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["verdict"].as_str(), json["parts"][0]["verdict"].as_str()), (Some("ask"), Some("allow")));
}

#[test]
fn a_webhook_is_told_what_ran() {
    let home = home();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let policy =
        format!("allow: ['bash:echo *']\nnotify:\n  - rule: 'bash:echo *'\n    webhook: http://{address}/told\n");
    home.write("agents/default/policy.yaml", &policy);
    let told = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = String::new();
        while !said.contains("\"rule\"") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            said.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        said
    });
    home.check(&["run", "run echo told"], 0, "told");
    let told = told.join().unwrap();
    assert!(told.starts_with("POST /told ") && told.contains(r#""summary":"echo told""#), "{told}");
    assert!(told.contains(r#""rule":"bash:echo *""#), "{told}");
    home.write("agents/default/policy.yaml", "notify: [{rule: 'bash:x', webhook: ftp://x}]");
    home.check(&["policy", "test", "echo"], 4, "a webhook is an address such as");
}

#[test]
fn all_rules_of_all_levels_are_explained() {
    let home = home();
    let said = home.check(&["policy", "explain"], 0, "agent `default`, mode ask");
    let order = ["deny   bash:sudo *", "ask    read:/etc/**", "allow  bash:echo *", "grant  bash:frob $x | ls"];
    let places: Vec<_> = order.iter().map(|line| said.find(line).unwrap_or_else(|| panic!("{line}: {said}"))).collect();
    assert!(places.is_sorted(), "{said}");
    assert!(said.contains("agents/default/policy.yaml:3"), "{said}");
    home.write("agents/default/policy.yaml", "allow: [");
    home.check(&["policy", "explain"], 0, "everything is denied, because the policy cannot be read: policy.yaml:1");
    home.check(&["policy", "test", "echo a"], 4, "the policy cannot be read");
    home.write("agents/default/policy.yaml", "grants: ['bash:ls']");
    home.check(&["policy", "test", "ls"], 4, "`grants` belong into policy.local.yaml");
}
