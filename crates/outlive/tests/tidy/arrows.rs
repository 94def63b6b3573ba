//! Arrows between crates point down, never sideways; `core` is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may use of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("outlive-core", &[]),
    ("outlive-protocol", &["outlive-core"]),
    ("outlive-store", &["outlive-core"]),
    ("outlive-model", &["outlive-core"]),
    ("outlive-tools", &["outlive-core"]),
    ("outlive-runtime", &["outlive-core", "outlive-store", "outlive-model", "outlive-tools"]),
    ("outlive-server", &["outlive-core", "outlive-protocol", "outlive-runtime"]),
    ("outlive-tui", &["outlive-core", "outlive-protocol"]),
    (
        "outlive",
        &[
            "outlive-core",
            "outlive-protocol",
            "outlive-store",
            "outlive-model",
            "outlive-tools",
            "outlive-runtime",
            "outlive-server",
            "outlive-tui",
        ],
    ),
];

/// What makes things happen, and so has no place in `core`.
const IMPURE: &[&str] = &["tokio", "reqwest", "rusqlite", "rustix", "rand", "getrandom", "axum", "tracing", "tempfile"];

/// Direct dependencies of each crate of ours, without those of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(crate::tree::root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap();
        all.iter().filter(|dependency| dependency["kind"] != "dev").map(name).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn arrows_between_crates_point_down() {
    let found = dependencies();
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ARROWS.iter().map(|(name, _)| *name).collect(), "the table names every crate");
    let mut breaches = Vec::new();
    for (name, allowed) in ARROWS {
        let ours = found[*name].iter().filter(|dependency| names.contains(dependency.as_str()));
        breaches.extend(
            ours.filter(|used| !allowed.contains(&used.as_str())).map(|used| format!("{name} must not use {used}")),
        );
    }
    crate::check("arrows", &breaches);
}

#[test]
fn the_core_is_pure() {
    let core = &dependencies()["outlive-core"];
    let breaches: Vec<String> =
        IMPURE.iter().filter(|impure| core.contains(**impure)).map(|impure| format!("core uses {impure}")).collect();
    crate::check("purity", &breaches);
}
