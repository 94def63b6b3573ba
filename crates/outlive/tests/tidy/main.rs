//! Holds the house rules that no compiler holds: sizes, names, arrows between crates, words, and that what the documents
//! show is so. Each test collects every breach, with its place, before it fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a tidy test that cannot read the tree has failed")]
#![expect(clippy::wildcard_enum_match_arm, reason = "most of Rust's syntax has no name and no size")]
#![expect(clippy::disallowed_methods, reason = "it reads the tree and runs cargo and the binary")]

mod arrows;
mod documents;
mod examples;
mod names;
mod processes;
mod sizes;
mod tree;
mod words;

/// Fails with all breaches, one a line.
#[track_caller]
fn check(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}: {} breaches\n{}", breaches.len(), breaches.join("\n"));
}
