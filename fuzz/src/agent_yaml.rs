//! An agent's folder: whatever its two YAML files say, apart by a line `===`, it is an agent or an error in words.

use std::collections::BTreeMap;

use outlive_core::agent::Agent;
use outlive_core::id::AgentName;

pub fn run(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (agent, policy) = text.split_once("\n===\n").unwrap_or((text, ""));
    let name: AgentName = "default".parse().expect("a good name");
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let files =
        BTreeMap::from([file("agent.yaml", agent), file("policy.yaml", policy), file("SYSTEM_PROMPT.md", "You work.")]);
    if let Err(error) = Agent::read(&name, &files, &|key| (key == "HOME").then(|| "/home".to_owned())) {
        assert!(!error.to_string().is_empty());
    }
}
