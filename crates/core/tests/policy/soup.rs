//! Anything at all: whatever is allowed does not run `x` in the real bash.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::real::Ground;
use super::{is_allowed, policies};

const TOKENS: [&str; 96] = [
    "x",
    "x",
    "x",
    " x ",
    "\nx\n",
    "; x",
    "echo",
    "echo ",
    "cat ",
    "true",
    "'",
    "'",
    "\"",
    "\"",
    "`",
    "\\",
    "\\",
    "$",
    "$(",
    ")",
    "(",
    "{ ",
    "; }",
    "}",
    "{",
    ",",
    ";",
    "&",
    "|",
    "<",
    ">",
    "\n",
    "\n",
    " ",
    " ",
    " ",
    "#",
    " #",
    "\t",
    "$'",
    "$\"",
    "\\'",
    "\\\"",
    "\\`",
    "\\\n",
    "${a:-",
    "${a#",
    "${a/b/",
    "${",
    "$a",
    "$((",
    "))",
    "((",
    "[[ ",
    " ]]",
    "<<E\n",
    "<<'E'\n",
    "<<-E\n",
    "\nE\n",
    "E",
    "<<<",
    "<(",
    ">(",
    "2>&1",
    "&>",
    "a=",
    "a=(",
    "=",
    "!",
    "! ",
    "if ",
    " then ",
    "; then ",
    "; fi",
    "for a in ",
    "; do ",
    "; done",
    "case a in ",
    "a) ",
    " esac",
    ";;",
    "while ",
    "eval ",
    "env ",
    "xargs ",
    "sh -c ",
    "~",
    "*",
    "?",
    "[",
    "]",
    "f() ",
    "time ",
    "&&",
    "||",
    "a",
];

#[test]
fn nothing_that_is_allowed_runs_the_program() {
    let (ground, policies) = (Ground::new(), policies());
    let line = prop::collection::vec(prop::sample::select(&TOKENS), 1..14).prop_map(|tokens| tokens.concat());
    let mut runner = TestRunner::new(Config { cases: 8_000, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&line, |command| {
        let allowed = policies.iter().any(|policy| is_allowed(policy, &command));
        prop_assert!(!(allowed && command.contains('x') && ground.runs_x(&command)), "it ran: {command:?}");
        Ok(())
    });
    ran.unwrap();
}

/// Well-formed pieces around well-formed pieces, so that more of it is allowed, and bash reads it to its end.
#[test]
fn nothing_well_formed_that_is_allowed_runs_the_program() {
    let (ground, policies) = (Ground::new(), policies());
    let leaf = prop::sample::select(
        &[
            "x", "a", "'x'", "\"x\"", "\\x", "$a", "echo x", "cat x", "'\"x'", "\"'x\"", "#x", "a#x", "$'\\'x'",
            "{a,x}", "x=1", "a=x",
        ][..],
    );
    let around = prop::sample::select(
        &[
            "echo P",
            "P Q",
            "echo 'P' Q",
            "echo \"P\" Q",
            "P; Q",
            "P\nQ",
            "P # Q",
            "P #Q\nQ",
            "$(P)",
            "\"$(P)\"",
            "`P`",
            "(P)",
            "{ P; }",
            "P | Q",
            "P && Q",
            "P & Q",
            "P\\\nQ",
            "\"${a:-P}\"",
            "${a:-P}",
            "${a:-'P'}",
            "cat <<E\nP\nE\nQ",
            "cat <<'E'\nP\nE\nQ",
            "echo $(cat <<'E'\nP\nE\n) Q",
            "echo \"$(cat <<E\nP\nE\n)\" Q",
            "\\P",
            "'P'Q",
            "\"P\"Q",
            "$'P' Q",
            "a=P Q",
            "a=P; Q",
            "a=(P) Q",
            "[[ P == Q ]]",
            "case P in Q) P;; esac",
            "if P; then Q; fi",
            "for a in P; do Q; done",
            "P > Q",
            "P < Q",
            "P <<< Q",
            "<(P)",
            "$((P))",
            "((P))",
            "env P",
            "eval P",
            "xargs P",
            "sh -c 'P'",
            "bash -c \"P\"",
            "time P",
            "! P",
            "P{Q,}",
            "[P]",
            "find . -exec P ';'",
            "nice P",
            "trap 'P' EXIT",
            "P 2>&1 Q",
            "exec P",
            "command P",
            "sed P",
            "awk 'P'",
        ][..],
    );
    let line = (prop::collection::vec(leaf, 6), prop::collection::vec(around, 1..5)).prop_map(|(leaves, arounds)| {
        let mut leaves = leaves.into_iter().cycle();
        arounds.into_iter().fold("x".to_owned(), |inner, around| {
            let other = leaves.next().unwrap_or_default();
            around.replace('P', "\u{1}").replace('Q', other).replace('\u{1}', &inner)
        })
    });
    let mut runner = TestRunner::new(Config { cases: 3_000, failure_persistence: None, ..Config::default() });
    let mut allowed = std::cell::Cell::new(0_u32);
    let ran = runner.run(&line, |command| {
        if policies.iter().any(|policy| is_allowed(policy, &command)) {
            allowed.set(allowed.get() + 1);
            prop_assert!(!ground.runs_x(&command), "it ran: {command:?}");
        }
        Ok(())
    });
    ran.unwrap();
    assert!(*allowed.get_mut() > 50, "hardly anything is allowed, so this proves little: {allowed:?}");
}
