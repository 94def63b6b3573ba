//! What lies in `examples/` works, and what the API can answer is explained.

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::agent::Agent;
use outlive_core::schedule::Zones;
use outlive_core::time::Timestamp;
use outlive_core::yaml;
use outlive_protocol::schedule::PostSchedule;

use crate::tree::{files, root};

#[test]
fn every_example_agent_can_run() {
    let mut agents: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for file in files("examples/agents") {
        let path = file.path.strip_prefix("examples/agents/").unwrap();
        let (name, path) = path.split_once('/').unwrap_or_else(|| panic!("{} is not in an agent's folder", file.path));
        agents.entry(name.to_owned()).or_default().insert(path.to_owned(), file.text.into_bytes());
    }
    assert!(agents.len() >= 2, "examples are missing");
    for (name, files) in agents {
        let agent = Agent::read(&name.parse().unwrap(), &files, &|_| None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(agent.warnings, Vec::<String>::new(), "{name}");
        assert!(!agent.description.is_empty() && !agent.system.is_empty(), "{name} says what it is for");
        let unreadable = outlive_core::policy::Policy::unreadable(String::new());
        assert_ne!(format!("{:?}", agent.policy), format!("{unreadable:?}"), "{name}: its policy can be read");
    }
}

#[test]
fn every_example_relay_is_one() {
    let relays = files("examples/relays");
    assert!(!relays.is_empty(), "examples are missing");
    for file in relays {
        let read = outlive_core::relay::read_text(&file.text, &file.path);
        read.unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn every_example_schedule_is_one() {
    let schedules = files("examples/schedules");
    assert!(!schedules.is_empty(), "examples are missing");
    for file in schedules {
        let read: PostSchedule = yaml::read(&file.text, &file.path).unwrap_or_else(|error| panic!("{error}"));
        let plan = read.plan().unwrap_or_else(|why| panic!("{}: {why}", file.path));
        let checked = plan.checked(Timestamp::from_micros(0), &Zones::bundled());
        checked.unwrap_or_else(|why| panic!("{}: {why}", file.path));
    }
}

#[test]
fn every_error_code_has_a_page_and_every_page_a_code() {
    let codes: BTreeSet<String> = outlive_protocol::code::ALL.iter().map(|code| code.name.to_owned()).collect();
    let folder = root().join("docs/errors");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> =
        names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).filter(|name| name != "README").collect();
    assert_eq!(pages, codes);
}
