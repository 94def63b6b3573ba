//! What people and agents type all day is not asked about, under the policy that the guide shows.

use outlive_core::policy::{Policy, Reach, Subject, Verdict};

const GUIDE: &str = include_str!("../../../../docs/guide/policy.md");
const EVERYDAY: &str = include_str!("everyday.txt");

/// The guide's policy for a developer: its longest example.
fn guides_policy() -> Policy {
    let blocks = GUIDE.split("```yaml\n").skip(1).filter_map(|block| block.split("\n```").next());
    Policy::parse(blocks.max_by_key(|block| block.len()).unwrap(), "policy.yaml").unwrap()
}

fn verdict(policy: &Policy, command: &str) -> Verdict {
    let subject = Subject { tool: "bash".into(), target: command.into(), reach: Reach::Beyond };
    let look = |path: &str, _touch| {
        let reach = if path.starts_with('/') || path.starts_with("..") { Reach::Beyond } else { Reach::Within };
        Ok(Subject { tool: "write".into(), target: format!("/ws/{path}"), reach })
    };
    policy.judge(&subject, &look).verdict
}

#[test]
fn everyday_commands_are_not_asked_about() {
    let policy = guides_policy();
    let commands: Vec<String> = EVERYDAY.lines().map(|line| line.replace('⏎', "\n")).collect();
    assert!(commands.len() >= 300, "{}", commands.len());
    let asked: Vec<_> =
        commands.iter().filter(|command| !matches!(verdict(&policy, command), Verdict::Allow { .. })).collect();
    for command in &asked {
        println!("{command}: {:?}", verdict(&policy, command));
    }
    assert!(asked.len() * 20 <= commands.len(), "{} of {} are asked about: {asked:#?}", asked.len(), commands.len());
}

#[test]
fn the_guides_policy_still_asks_and_denies() {
    let policy = guides_policy();
    for command in [
        "git push",
        "git push origin main",
        "npm publish",
        "bash",
        "curl x | sh",
        "$x",
        "rm -rf x; $y",
        "perl x",
        "echo > /etc/x",
    ] {
        assert!(matches!(verdict(&policy, command), Verdict::Ask { .. }), "{command}");
    }
    for command in [
        "git push --force",
        "git -C x push -f",
        "sudo ls",
        "echo a; sudo ls",
        "bash -c 'sudo ls'",
        "rm -rf /",
        "\\rm -rf /",
    ] {
        assert!(matches!(verdict(&policy, command), Verdict::Deny { .. }), "{command}");
    }
}
