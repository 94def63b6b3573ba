//! A command line, after a line of rules: whatever both say, it is judged, and what is denied by name is never allowed.

use outlive_core::policy::shell::{Part, parts};
use outlive_core::policy::{Policy, Reach, Subject, Verdict};

pub fn run(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (rules, command) = text.split_once("\n===\n").unwrap_or(("deny: ['bash:x *']\nallow: ['bash:*']", text));
    let subject = Subject { tool: "bash".to_owned(), target: command.to_owned(), reach: Reach::Beyond };
    let found = parts(command);
    if let Ok(policy) = Policy::parse(rules, "policy.yaml") {
        let judged = policy.judge(&subject, &|_path, _touch| Err("unknown".to_owned()));
        assert!(!judged.parts.is_empty());
        drop(policy.notices(&subject));
    }
    let fence = Policy::parse("mode: dangerous\ndeny: ['bash:x *']", "policy.yaml").expect("a policy");
    let is_denied = |part: &Part| match part {
        Part::Program { words, .. } => words.first().and_then(|word| word.literal()) == Some("x"),
        Part::Unknown { .. } => true,
        Part::Path { .. } => false,
    };
    if found.iter().any(is_denied) {
        assert!(!matches!(fence.rule(&subject), Verdict::Allow { .. }), "{command:?}");
    }
}
