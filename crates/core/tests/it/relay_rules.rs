//! What can be a relay: each rule by a bad example, with its place and the way out; and that no value becomes a command.
#![expect(clippy::disallowed_methods, reason = "a real bash runs what values are put into")]

use std::collections::BTreeMap;

use outlive_core::relay::definition::Run;
use outlive_core::relay::{Definition, line, read_text, read_value, schema};
use outlive_core::template::Values;
use serde_json::{Value, json};

const GOOD: &str = "name: trip
prompt: get there
states:
  - name: pack
    kind: script
    command: [pack, '{{input.what}}']
    input_schema: {type: object, properties: {what: {type: string, default: all}}, required: [what]}
    retry: {attempts: 2}
    next: rest
  - {name: rest, kind: timer, after: 1h, next: done}
  - {name: done, kind: terminal, outcome: completed}
";

fn faults(text: &str) -> String {
    read_text(text, "relays/trip.yaml").map_or_else(|faults| faults.to_string(), |_| String::new())
}

/// The good one with this in place of that is refused so.
#[track_caller]
fn check(this: &str, that: &str, says: &str) {
    assert!(GOOD.contains(this), "{this}");
    let said = faults(&GOOD.replacen(this, that, 1));
    assert!(said.contains(says), "{that}\n  says {said}\n  not {says}");
}

const REST: &str = "  - {name: rest, kind: timer, after: 1h, next: done}\n";

fn rest(other: &str) -> (String, String) {
    (REST.to_owned(), format!("  - {{name: rest, {other}, next: done}}\n"))
}

#[test]
fn a_good_one_is_read_and_written_again_the_same() {
    let read = read_text(GOOD, "relays/trip.yaml").unwrap();
    let written = read.to_yaml();
    assert_eq!(read_text(&written, "relays/trip.yaml").unwrap(), read, "{written}");
    let body = serde_json::to_value(&read).unwrap();
    assert_eq!(read_value(&body).unwrap(), read);
    let again: Definition = serde_json::from_value(body).unwrap();
    assert_eq!((again.digest(), again), (read.digest(), read));
}

#[test]
fn every_fault_is_said_at_once_with_its_line_and_column() {
    let text = GOOD
        .replace("after: 1h", "after: soon")
        .replace("kind: script", "kind: skript")
        .replace("name: trip", "name: Trip");
    let said = faults(&text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("relays/trip.yaml:1:1: name: `Trip` is no name"), "{said}");
    assert!(
        lines[1].starts_with("relays/trip.yaml:5:5: states[0].kind: unknown kind `skript`: the nearest is `script`"),
        "{said}"
    );
    assert!(lines[2].starts_with("relays/trip.yaml:10:31: states[1].after: \"soon\" is not a time"), "{said}");
    let all = read_value(&json!({"name": 1, "states": []})).unwrap_err().all;
    let paths: Vec<&str> = all.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["name", "prompt", "states"]);
}

#[test]
fn names_are_names_apart_and_not_reserved() {
    check("name: trip", "name: start", "`start` is reserved");
    check("name: trip", "name: walk", "the file's is `trip`");
    check("name: trip\n", "", "name: is missing");
    check("name: rest", "name: pack", "`pack` is there already, as states[0]");
    check("name: rest", "name: input", "`input` is reserved");
    check("name: rest", "name: 'Rest me'", "`Rest me` is no name");
}

#[test]
fn keys_and_types_that_are_not_known_are_refused_with_the_nearest() {
    check("prompt: get there", "promt: get there", "promt: unknown key: the nearest is `prompt`");
    check("name: trip", "name: trip\ndescription: a trip", "description: unknown key");
    check("prompt: get there", "prompt: get there\nprompt: stay", "prompt");
    check("    next: rest", "    nxt: rest", "states[0].nxt: unknown key: the nearest is `next`");
    check("retry: {attempts: 2}", "retry: {atempts: 2}", "states[0].retry.atempts: unknown key");
    check("prompt: get there", "prompt: [1]", "prompt: is a text");
    check("prompt: get there", "prompt: ''", "prompt: is empty");
    check("name: trip", "apiVersion: v9\nname: trip", "apiVersion: is `outlive/v1`");
    check(&GOOD[GOOD.find("  - name: pack").unwrap()..], "  - 7\n", "states[0]: is a mapping");
    check("states:\n", "states: []\nfirst:\n", "1 to 64 states are needed");
    assert!(faults("a: [").starts_with("relays/trip.yaml:"), "{}", faults("a: ["));
    assert!(faults(&"x".repeat(70_000)).contains("at most 65536 bytes"));
    assert!(faults("[]").contains("is a mapping of keys to values"));
}

#[test]
fn what_it_leads_to_is_there_and_one_end_completes() {
    check("name: trip", "first: begin\nname: trip", "first: there is no state `begin`: the nearest is");
    check("next: rest", "next: resst", "states[0].next: there is no state `resst`: the nearest is `rest`");
    check("next: rest", "on_failure: gone", "states[0].on_failure: there is no state `gone`");
    check("outcome: completed", "outcome: failed", "states: none is an end that completes");
    check("outcome: completed", "outcome: complete", "the nearest is `completed`");
    let needs = GOOD.replace(", default: all", "").replace("next: done", "next: pack");
    assert!(faults(&needs).contains("leads to `pack`, which must be given what"), "{}", faults(&needs));
    check("outcome: completed}", "outcome: completed, next: rest}", "an end is not tried, and nothing comes after it");
}

#[test]
fn values_are_declared_and_no_shell_s_text_has_any() {
    check("{{input.what}}", "{{input.who}}", "states[0].command[1]: `{{input.who}}` is not declared");
    check("{{input.what}}", "{{states.nap.output}}", "there is no state `nap`");
    check("{{input.what}}", "{{what}}", "`{{what}}` names nothing");
    check("{{input.what}}", "{{input.what", "`{{` without `}}`");
    check("{{input.what}}", "{{in put}}", "is no path of keys");
    check("[pack, '{{input.what}}']", "'pack {{input.what}}'", "a shell's text takes no values");
    check("[pack, '{{input.what}}']", "['{{input.what}}']", "no program");
    check("[pack, '{{input.what}}']", "[]", "names no program");
    check("[pack, '{{input.what}}']", "\"a\\0b\"", "has a NUL");
    check("    retry", "    env: {RELAY_KEY: a}\n    retry", "is set by the relay itself");
    check("    retry", "    env: {'a b': a}\n    retry", "no name of a variable");
    check("    retry", "    env: {A: \"a\\0b\"}\n    retry", "states[0].env: has a NUL");
    check("    retry", "    env: {A: '{{input.b}}'}\n    retry", "states[0].env.A: `{{input.b}}` is not declared");
    check(
        "    retry",
        "    check: 'test {{input.what}}'\n    retry",
        "states[0].check: a shell's text takes no values",
    );
}

#[test]
fn no_value_is_put_into_what_a_program_reads_as_code() {
    let value = "{{input.what}}";
    let line = |words: &str| words.replace("VALUE", value);
    for code in [
        "[bash, -c, 'rm VALUE']",
        "[/bin/sh, -euc, 'rm VALUE']",
        "[bash, -o, pipefail, -c, 'rm VALUE']",
        "[env, bash, -lc, 'rm VALUE']",
        "[find, ., -exec, sh, -c, 'rm VALUE', ';']",
        "[su, '-', ann, -c, 'rm VALUE']",
        "[python3.11, -c, 'print(\"VALUE\")']",
        "[perl, '-eprint \"VALUE\"']",
    ] {
        check("[pack, '{{input.what}}']", &line(code), "a shell's text takes no values, which could become commands");
    }
    for good in [
        "[bash, -c, 'rm \"$1\"', _, 'VALUE']",
        "[bash, pack.sh, -c, 'VALUE']",
        "[grep, -c, 'VALUE', file]",
        "[git, -c, 'VALUE', status]",
    ] {
        assert_eq!(faults(&GOOD.replacen("[pack, '{{input.what}}']", &line(good), 1)), "", "{good}");
    }
}

#[test]
fn times_numbers_and_codes_are_in_bounds() {
    for (other, says) in [
        ("kind: timer", "a timer has one of"),
        ("kind: timer, after: 1h, at: '2026-01-01T00:00:00Z'", "a timer has one of"),
        ("kind: timer, after: 0s", "is not a time"),
        ("kind: timer, after: 99999d", "of at most"),
        ("kind: timer, at: tomorrow", "`tomorrow` is not a time such as"),
        ("kind: timer, at: '2026-03-01T09:00', time_zone: Mars/Olympus", "is no time zone"),
        ("kind: timer, after: 1h, time_zone: UTC", "says where `at` is"),
        ("kind: timer, after: 1h, retry: {attempts: 2}", "is not tried"),
        ("kind: poll, command: look", "interval: is missing"),
        ("kind: poll, command: look, interval: 10ms", "of at least 1s"),
        ("kind: poll, command: look, interval: 1h, deadline: 1m", "shorter than the interval"),
        ("kind: poll, command: look, interval: 1h, error_budget: -1", "is a number from 0 to 1000"),
        ("kind: poll, command: look, interval: 1h, retry: {attempts: 2}", "looks again by itself"),
        ("kind: signal, signal: 'a b'", "is no name of a signal"),
        // One that no signal can have would be waited for in vain.
        ("kind: signal, signal: 'reply!'", "is no name of a signal: it has 1 to 200 of `a-z A-Z 0-9 . _ - : /`"),
        ("kind: signal, deadline: never", "is not a time"),
        ("kind: park", "question: is missing"),
        ("kind: park, question: What?, options: [a, a]", "`a` is there twice"),
        ("kind: agent", "prompt: is missing"),
        ("kind: agent, prompt: do, model: big", "model: `big` is no `provider/name`"),
        ("kind: agent, prompt: do, model: antropic/x", "as in `anthropic/x`"),
        ("kind: agent, prompt: do, model: openai/", "as in `openai/NAME`"),
        ("kind: agent, prompt: do, fork_context: 1", "fork_context: is `true` or `false`, not 1"),
        ("kind: script, command: do, timeout: 11m", "is 11m, of at most 10m"),
        ("kind: script, command: do, success_codes: [256]", "exit codes from 0 to 255"),
        ("kind: script, command: do, success_codes: []", "exit codes from 0 to 255"),
        ("kind: script, command: do, effect: harmless", "unknown value `harmless`"),
        ("kind: script, command: do, effect: read, check: look", "leave one out"),
        ("kind: script, command: do, retry: {attempts: 0}", "is a number from 1 to 1000"),
        ("kind: script, command: do, retry: {attempts: 2, jitter: 2}", "is a number from 0 to 1"),
        ("kind: script, command: do, retry: {attempts: 2, backoff: 2h, longest: 1h}", "shorter than the first pause"),
        ("kind: script, command: do, guard: {entries: 0, within: 1h}", "is a number from 1 to 1000"),
        ("kind: script, command: do, guard: {entries: 1}", "within: is missing"),
        ("kind: script, command: do, guard: {entries: 1, within: 1ms}", "within: is at least 1m"),
    ] {
        let (this, that) = rest(other);
        check(&this, &that, says);
    }
    let good = rest("kind: timer, at: '2026-03-29T02:30', time_zone: Europe/Berlin");
    assert_eq!(faults(&GOOD.replacen(&good.0, &good.1, 1)), "");
}

#[test]
fn a_schema_is_held_to_whole_or_refused() {
    check("type: string, default", "type: strng, default", "input_schema.properties.what.type: `\"strng\"`");
    check("required: [what]", "requird: [what]", "unknown keyword `requird`: the nearest is `required`");
    check("required: [what]", "oneOf: []", "unknown keyword `oneOf`");
    check("input_schema: {type: object", "input_schema: {type: array", "an input is an object");
    check("type: string, default", "type: string, pattern: '(', default", "is not what `pattern` takes");
    let schema = json!({"properties": {
        "who": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
        "size": {"default": 7},
    }, "required": ["who", "size"]});
    let admit = |input: Value| schema::admit(Some(&schema), &input);
    assert_eq!(admit(json!({"who": "ann", "age": null, "tags": ["a"]})).unwrap()["size"], 7);
    for (input, says) in [
        (json!([]), "an object is needed"),
        (json!({}), "`who` is missing"),
        (json!({"who": "ann", "x": 1}), "input.x: not declared in `input_schema`; it takes"),
        (json!({"who": "Anna"}), "input.who: has 4 characters, of at most 3; input.who: does not match"),
        (json!({"who": "ann", "age": -1}), "input.age: is below 0"),
        (json!({"who": "ann", "age": 1.5}), "input.age: is no integer or null"),
        (json!({"who": "ann", "tags": ["c"]}), "input.tags[0]: is none of"),
        (json!({"who": "ann", "tags": []}), "of at least 1"),
    ] {
        let said = admit(input.clone()).unwrap_err();
        assert!(said.contains(says), "{input}: {said}");
    }
    assert_eq!(schema::admit(None, &Value::Null), Ok(json!({})));
    assert!(schema::admit(None, &json!({"a": 1})).unwrap_err().contains("it takes none"));
}

/// What a program gets as its first argument and as `$V`, where both are this value.
fn through(value: &str) -> (String, String) {
    let values = Values(json!({"input": {"v": value}}));
    let run = |command: Value| Run {
        command: serde_json::from_value(command).unwrap(),
        env: [("V".to_owned(), "{{input.v}}".to_owned())].into(),
        cwd: Some("/".into()),
    };
    let own: BTreeMap<&str, String> = [("RELAY_INPUT", json!({"v": value}).to_string())].into();
    let bash = |command: Value| {
        let run = run(command);
        let line = line::line(&run, &run.command, &own, &values).unwrap();
        let ran = std::process::Command::new("bash").arg("-c").arg(&line).output().unwrap();
        assert!(ran.status.success(), "{line}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    (bash(json!(["printf", "%s", "{{input.v}}"])), bash(json!("printf %s \"$V\"")))
}

#[test]
fn a_value_is_one_argument_or_one_variable_whatever_it_holds() {
    let values = [
        "plain",
        "",
        " ",
        "two words",
        "it's",
        "\"quoted\"",
        "a\nb\n",
        "$(touch /tmp/owned)",
        "`id`",
        "; rm -rf x",
        "&& x",
        "| x",
        "> x",
        "$HOME",
        "${IFS}",
        "\\",
        "\\\\'",
        "*",
        "~",
        "-n",
        "--",
        "#x",
        "!!",
        "{{input.v}}",
        "\u{1b}[31m",
        "ä€😀",
        "\t",
        "'\\''",
    ];
    for value in values {
        assert_eq!(through(value), (value.to_owned(), value.to_owned()), "{value:?}");
    }
}

#[test]
fn a_value_with_a_nul_or_beyond_what_fits_is_refused() {
    let run = Run {
        command: serde_json::from_value(json!(["echo", "{{input.v}}"])).unwrap(),
        env: BTreeMap::new(),
        cwd: None,
    };
    let line = |value: &str| line::line(&run, &run.command, &BTreeMap::new(), &Values(json!({"input": {"v": value}})));
    assert!(line("a\0b").unwrap_err().contains("NUL"));
    assert!(line(&"b".repeat(200_000)).unwrap_err().contains("longer than"));
    assert_eq!(line("a b").unwrap(), "env echo 'a b'");
    let none = line::line(&run, &run.command, &BTreeMap::new(), &Values(json!({"input": {}})));
    assert_eq!(none.unwrap_err(), "command[1]: `{{input.v}}` has no value here");
}

#[test]
fn a_relay_is_drawn_with_where_it_leads() {
    let drawn = outlive_core::relay::draw::definition(&read_text(GOOD, "relays/trip.yaml").unwrap());
    let expected = "trip
├─▶ pack  script    → rest, 2 attempts
├─  rest  timer     → done
└─  done  terminal  ■ completed";
    assert_eq!(drawn, expected);
}
