//! A program that is not allowed, hidden in every way that is known.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::real::Ground;
use super::{is_allowed, policies};

/// Ways to write the program.
const NAMES: [&str; 24] = [
    "x",
    "'x'",
    "\"x\"",
    "\\x",
    "$'x'",
    "$'\\x78'",
    "$'\\170'",
    "$'\\u0078'",
    "''x",
    "x\"\"",
    "{x,}",
    "{,x}",
    "$\"x\"",
    "\\\nx",
    "${u:-x}",
    "$(echo x)",
    "`echo x`",
    "[x]",
    "?",
    "/BIN/x",
    "$u'x'",
    "${u}x",
    "\"\"'x'",
    "x$u",
];

const ARGUMENTS: [&str; 8] = ["", " a", " 'a b'", " \"$HOME\"", " -rf *", " a\\ b", " {a,b}", " >/dev/null"];

/// Around one simple command, which it stays.
const CARRIERS: [&str; 34] = [
    "env H",
    "env CI=1 H",
    "env -i CI=1 H",
    "env -u A H",
    "nice H",
    "nice -n 5 H",
    "nice -5 H",
    "nohup H",
    "timeout 5 H",
    "timeout -s KILL 5 H",
    "timeout --signal=KILL 5 H",
    "command H",
    "command -p H",
    "command -- H",
    "exec H",
    "exec -a y H",
    "setsid -w H",
    "stdbuf -o0 H",
    "stdbuf -o 0 H",
    "time H",
    "time -p H",
    "sudo -n H",
    "busybox H",
    "2>/dev/null H",
    "H 2>&1",
    "< /dev/null H",
    "H <&0",
    "eval H",
    "echo | xargs H",
    "echo | xargs -n 1 H",
    "echo a | xargs -I{} H {}",
    "find . -maxdepth 0 -exec H ';'",
    "find . -maxdepth 0 -exec H {} +",
    "flock . H",
];

/// Around any command.
const PLACES: [&str; 61] = [
    "! H",
    "A=1 H",
    "CI=1 H",
    "echo a; H",
    "echo a & H",
    "echo a&H",
    "echo a && H",
    "false || H",
    "echo a | H",
    "H | cat",
    "H |& cat",
    " (H)",
    "{ H; }",
    "echo a\nH",
    "echo a # b\nH",
    "# echo\nH",
    "if H\nthen echo; fi",
    "if true; then H\nfi",
    "if false; then echo; else H\nfi",
    "while H\ndo break; done",
    "until H\ndo break; done",
    "for i in a; do H\ndone",
    "case a in a) H\n;; esac",
    "case a in (b|a) H\nesac",
    "f() { H\n}; f",
    "function f { H\n}; f",
    "echo $(H)",
    "echo \"$(H)\"",
    "echo \"a$(echo \"$(H)\")\"",
    "cat <(H)",
    "cat < <(H)",
    "echo > >(H); true",
    "cat <<E\n$(H)\nE",
    "cat <<-E\n\t$(H)\n\tE",
    "cat <<< $(H)",
    "echo ${u:-$(H)}",
    "echo \"${u:-$(H)}\"",
    "echo ${u:-\"$(H)\"}",
    "echo $(( 0$(H) + 1 ))",
    "a=$(H)",
    "a=\"$(H)\" true",
    "a=(b $(H))",
    "a[0$(H)]=1",
    "declare a=$(H)",
    "[[ -n $(H) ]]",
    "[ -n \"$(H)\" ]",
    "(( 0$(H) ))",
    "coproc H\nwait",
    "set -e; H",
    "cd . && H",
    "echo \\\n; H",
    "true && (cd . ; { H\n}) || true",
    "echo {a,$(H)}",
    "[[ a == a ]] && H",
    "for i in $(H); do echo; done",
    "case $(H) in *) ;; esac",
    "echo a\\\\; H",
    "echo 'a\\'; H",
    "echo \"a\\\\\"; H",
    "echo a#b; H",
    "echo $'a\\''; H",
];

/// Around a text that holds no quotes.
const TEXTS: [&str; 34] = [
    "v='1 H'; env CI=1 CI=$v",
    "v='-e1e H'; echo a | sed p \"$v\"",
    "v=-v; w='a[$(H)]'; [ ! \"$v\" \"$w\" ]",
    "w='a[$(H)]'; echo $((w))",
    "bash -c 'H'",
    "bash -ec 'H'",
    "bash -c \"H\"",
    "sh -c 'H'",
    "eval 'H'",
    "eval \"H\"",
    "trap 'H' EXIT",
    "echo 'H' | sh",
    "echo 'H' | bash -s",
    "bash <<< 'H'",
    "bash <(echo 'H')",
    "source <(echo 'H')",
    ". <(echo 'H')",
    "cat <<'E' | bash\nH\nE",
    "bash <<E\nH\nE",
    "eval \"$(echo 'H')\"",
    "shopt -s expand_aliases\nalias z='H'\nz",
    "env bash -c 'H'",
    "env -S 'H'",
    "awk 'BEGIN{system(\"H\")}'",
    "echo a | sed '1e H'",
    "echo `H`",
    "echo \"`H`\"",
    "python3 -c 'import os; os.system(\"H\")'",
    "git -c alias.z='!H' z",
    "find . -maxdepth 0 -exec sh -c 'H' ';'",
    "v='H'; $v",
    "v='H'; eval $v",
    "v='H'; bash -c \"$v\"",
    "set -- H; \"$@\"",
];

fn simple() -> BoxedStrategy<String> {
    let leaf =
        (prop::sample::select(&NAMES), prop::sample::select(&ARGUMENTS)).prop_map(|(x, more)| format!("{x}{more}"));
    let again = (leaf.clone(), prop::collection::vec(prop::sample::select(&CARRIERS), 0..3));
    again.prop_map(|(leaf, around)| around.iter().fold(leaf, |inner, around| around.replace('H', &inner))).boxed()
}

fn text() -> BoxedStrategy<String> {
    let plain = prop_oneof![
        Just("x"),
        Just("x a"),
        Just("nice x"),
        Just("echo a; x"),
        Just("(x)"),
        Just("echo $(x)"),
        Just("\\x")
    ];
    (plain, prop::sample::select(&TEXTS)).prop_map(|(plain, around)| around.replace('H', plain)).boxed()
}

fn hidden() -> BoxedStrategy<String> {
    let inner = prop_oneof![3 => simple(), 1 => text()];
    (inner, prop::collection::vec(prop::sample::select(&PLACES), 0..4))
        .prop_map(|(inner, around)| around.iter().fold(inner, |inner, around| around.replace('H', &inner)))
        .boxed()
}

#[test]
fn no_hidden_program_is_allowed() {
    let policies = policies();
    let mut runner = TestRunner::new(Config { cases: 21_000, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&hidden(), |command| {
        for policy in &policies {
            prop_assert!(!is_allowed(policy, &command), "allowed: {command:?}");
        }
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn each_way_to_hide_runs_for_real_and_is_not_allowed_alone() {
    let (ground, policies) = (Ground::new(), policies());
    let with = |around: &[&str]| around.iter().map(|around| around.replace('H', "x")).collect::<Vec<_>>();
    let all = [NAMES.map(str::to_owned).to_vec(), with(&CARRIERS), with(&PLACES), with(&TEXTS)].concat();
    let mut idle = Vec::new();
    for command in &all {
        for policy in &policies {
            assert!(!is_allowed(policy, command), "allowed: {command:?}");
        }
        if !ground.runs_x(command) {
            idle.push(command.as_str());
        }
    }
    assert!(idle.len() <= 6, "these do not run `x` at all, and prove nothing: {idle:?}");
}
