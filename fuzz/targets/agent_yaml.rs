//! An agent's folder: whatever its two YAML files say, apart by a line `===`, it is an agent or an error in words.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use outlive_core::agent::Agent;
use outlive_core::id::AgentName;

fuzz_target!(|text: &str| {
    let (agent, policy) = text.split_once("\n===\n").unwrap_or((text, ""));
    let name: AgentName = "default".parse().expect("a good name");
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let files =
        BTreeMap::from([file("agent.yaml", agent), file("policy.yaml", policy), file("SYSTEM_PROMPT.md", "You work.")]);
    if let Err(error) = Agent::read(&name, &files, &|key| (key == "HOME").then(|| "/home".to_owned())) {
        assert!(!error.to_string().is_empty());
    }
});
