//! The official conformance suite of MCP, on this program's own client: all that both versions of the protocol require.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "it starts a program of the test environment"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Where what is not the client's own part is not there, and why. All are extensions, or came after the version did; none is
/// required. One that begins to pass fails the test: it is taken off the list.
const EXPECTED: [(&str, &str); 6] = [
    ("auth/client-credentials-jwt", "a program logs in by its secret: keys that sign assertions are not kept here"),
    ("auth/dpop", "tokens are bearer tokens: no authorization server that is known asks MCP clients for proofs"),
    ("auth/dpop-nonce", "as auth/dpop"),
    ("auth/enterprise-managed-authorization", "there is no identity provider behind a person at a terminal"),
    ("auth/wif-jwt-bearer", "a workload's own identity needs a platform that gives one"),
    (
        "json-schema-2020-12-preservation",
        "it wants a schema handed back as it came: a model is shown it without `$schema`, which no provider takes",
    ),
];

/// `./test` gets them, beside the build.
fn parts() -> (PathBuf, PathBuf) {
    let tools = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let suite = tools.join("mcp/node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let node = tools.join("bin/node");
    assert!(
        node.is_file() && suite.is_file(),
        "the conformance suite is needed: ./test gets it, with Node, into {}",
        tools.display()
    );
    (node, suite)
}

/// The example beside this test.
fn client() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().with_file_name("examples").join("mcp_conformance");
    assert!(built.is_file(), "{} is needed: cargo build -p outlive-tools --examples", built.display());
    built
}

/// Runs what a version requires, and returns whether each scenario passed, and all that was said.
fn run(version: &str) -> (BTreeMap<String, bool>, String) {
    let (node, suite) = parts();
    let results = tempfile::tempdir().unwrap();
    let mut command = Command::new(node);
    command.arg(suite).args(["client", "--requirements", version, "--command"]).arg(client());
    command.arg("-o").arg(results.path()).env("NO_PROXY", "localhost,127.0.0.1").current_dir(results.path());
    let ran = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let summary = said.split("=== SUITE SUMMARY ===").nth(1).unwrap_or_else(|| panic!("{said}"));
    let verdict = |line: &str| {
        let (passed, rest) = match line.strip_prefix("✓ ") {
            Some(rest) => (true, rest),
            None => (false, line.strip_prefix("✗ ")?),
        };
        Some((rest.split_once(": ")?.0.to_owned(), passed))
    };
    (summary.lines().filter_map(verdict).collect(), said)
}

fn check(version: &str, required: usize) {
    let expected: BTreeMap<&str, &str> = EXPECTED.into();
    let wrong = |verdicts: &BTreeMap<String, bool>| -> Vec<String> {
        let all = verdicts.iter().filter(|(name, passed)| **passed == expected.contains_key(name.as_str()));
        all.map(|(name, _)| name.clone()).collect()
    };
    let (mut verdicts, mut said) = run(version);
    // The suite measures pauses by the clock: what a busy machine failed is run once more.
    if !wrong(&verdicts).is_empty() {
        (verdicts, said) = run(version);
    }
    let wrong = wrong(&verdicts);
    assert!(wrong.is_empty(), "{version}: not as expected: {wrong:?}\n{said}");
    assert!(expected.keys().all(|name| verdicts.contains_key(*name)), "{version}: {verdicts:?}");
    // What is not required was run too, so that what begins to pass is noticed: those, and one that passes by now.
    assert_eq!(verdicts.len() - expected.len() - 1, required, "{version}: {verdicts:?}");
}

#[test]
fn the_client_does_all_that_version_2025_11_25_requires() {
    check("2025-11-25", 18);
}

#[test]
fn the_client_does_all_that_version_2026_07_28_requires() {
    check("2026-07-28", 32);
}
