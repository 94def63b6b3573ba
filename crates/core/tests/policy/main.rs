//! The policy against the real bash: whatever a command line hides, what runs was not allowed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod everyday;
mod hiding;
mod real;
mod reviewed;
mod soup;

use outlive_core::policy::{Policy, Reach, Subject, Verdict};

/// Only what is named is allowed; the program `x` is not.
const NAMED: &str = "allow: ['bash:echo *', 'bash:cat *', 'bash:printf *', 'bash:ls *', 'bash:find *', 'bash:[ *', 'bash:env',
  'bash:git *', 'bash:awk *', 'bash:sed *', 'bash:test *', 'bash:python3 *', 'bash:f', 'bash:z', 'bash:sh *', 'bash:bash *']";
/// All is allowed but `x`, by a rule.
const ALL: &str = "allow: ['bash:*']\ndeny: ['bash:x *']";
/// All is allowed but `x`, by the mode.
const DANGEROUS: &str = "mode: dangerous\ndeny: ['bash:x *']";
/// All is allowed but that `x` is asked about.
const ASKED: &str = "mode: dangerous\nask: ['bash:x *']";

fn policies() -> Vec<Policy> {
    [NAMED, ALL, DANGEROUS, ASKED].map(|text| Policy::parse(text, "policy.yaml").unwrap()).to_vec()
}

fn is_allowed(policy: &Policy, command: &str) -> bool {
    let subject = Subject { tool: "bash".into(), target: command.into(), reach: Reach::Beyond };
    // Files may be written anywhere: this is about what runs.
    let look = |path: &str, _touch| Ok(Subject { tool: "write".into(), target: path.into(), reach: Reach::Within });
    matches!(policy.judge(&subject, &look).verdict, Verdict::Allow { .. })
}
