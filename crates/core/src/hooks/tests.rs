use serde_json::json;

use super::*;
use crate::id::CallId;

fn on(text: &str) -> On {
    text.parse().unwrap()
}

fn did<'a>(tool: &'a str, input: &'a Value, (this_turn, went_well): (bool, Option<bool>)) -> Did<'a> {
    Did { id: CallId::from_bits(1), tool, input, this_turn, went_well }
}

fn refuses(before: &Before, past: &[Did<'_>], input: &Value) -> bool {
    let hooks = Hooks { before: vec![(on("edit"), before.clone())], after: Vec::new() };
    assert!(hooks.refuse(&About { tool: "write", input, past }).is_none());
    hooks.refuse(&About { tool: "edit", input, past }).is_some()
}

#[test]
fn names_are_whole_and_a_star_is_any_letters() {
    for (pattern, tool, is) in [
        ("bash", "bash", true),
        ("bash", "bash2", false),
        ("*", "bash", true),
        ("cli_*", "cli_gh", true),
        ("cli_*", "xcli_gh", false),
        ("*_fetch", "web_fetch", true),
        ("w*_f*h", "web_fetch", true),
        ("w*_f*x", "web_fetch", false),
        ("a*a", "a", false),
    ] {
        assert_eq!(on(pattern).names(tool, &json!({})), is, "{pattern} {tool}");
    }
    assert!(on("p:go").names("p", &json!({"action": "go"})) && !on("p:go").names("p", &json!({"action": "stop"})));
    assert!(on("p:*").names("p", &json!({})) && on("p").names("p", &json!({"action": "go"})));
    for wrong in ["", ":x", "a b", "a:", "a/b"] {
        assert!(wrong.parse::<On>().is_err(), "{wrong}");
    }
}

#[test]
fn what_depends_on_another_call_waits_until_that_went_well() {
    let (a, b) = (json!({"path": "a"}), json!({"path": "b"}));
    let hook = |within| Before::DependsOn { prior: on("read"), same: Some("path".to_owned()), within };
    for (past, refused_in_turn, refused_in_session) in [
        (vec![], true, true),
        (vec![did("read", &a, (true, Some(true)))], false, false),
        (vec![did("read", &a, (false, Some(true)))], true, false),
        (vec![did("read", &a, (true, Some(false)))], true, true),
        (vec![did("read", &a, (true, None))], true, true),
        (vec![did("read", &b, (true, Some(true)))], true, true),
        (vec![did("list", &a, (true, Some(true)))], true, true),
    ] {
        assert_eq!(refuses(&hook(Within::Turn), &past, &a), refused_in_turn, "{past:?}");
        assert_eq!(refuses(&hook(Within::Session), &past, &a), refused_in_session, "{past:?}");
    }
}

#[test]
fn the_same_call_is_made_once_unless_it_failed() {
    let (a, b) = (json!({"path": "a", "n": 1}), json!({"path": "a", "n": 2}));
    let hook = |same: &[&str]| {
        let same = same.iter().map(|key| (*key).to_owned()).collect();
        Before::SkipDuplicate { same, within: Within::Turn }
    };
    for (past, refused) in [
        (vec![], false),
        (vec![did("edit", &a, (true, Some(true)))], true),
        (vec![did("edit", &a, (true, None))], true),
        (vec![did("edit", &a, (true, Some(false)))], false),
        (vec![did("edit", &a, (false, Some(true)))], false),
        (vec![did("edit", &b, (true, Some(true)))], false),
        (vec![did("read", &a, (true, Some(true)))], false),
    ] {
        assert_eq!(refuses(&hook(&[]), &past, &a), refused, "{past:?}");
    }
    assert!(refuses(&hook(&["path"]), &[did("edit", &b, (true, Some(true)))], &a));
}

#[test]
fn a_guard_looks_into_every_text_or_into_one() {
    let hook = |argument: Option<&str>| Before::Guard {
        argument: argument.map(str::to_owned),
        pattern: Shape::new("(?i)drop +table").unwrap(),
        reason: "no".to_owned(),
    };
    for input in [json!({"a": "x DROP  TABLE"}), json!({"b": {"c": ["drop table"]}})] {
        assert!(refuses(&hook(None), &[], &input), "{input}");
    }
    assert!(!refuses(&hook(None), &[], &json!({"a": "drop the table", "drop table": 1})));
    assert!(refuses(&hook(Some("a")), &[], &json!({"a": "drop table"})));
    assert!(!refuses(&hook(Some("a")), &[], &json!({"b": "drop table"})));
    assert!(Shape::new("(").is_err());
}

#[test]
fn a_skill_that_was_taken_up_narrows_the_rest_of_its_turn() {
    let skill = |name: &str, tools: Option<&[&str]>| Skill {
        name: name.to_owned(),
        description: String::new(),
        allowed_tools: tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect()),
        folder: String::new(),
        body: String::new(),
        files: BTreeMap::new(),
    };
    let skills = [skill("a", Some(&["Read", "bash"])), skill("b", Some(&["read"])), skill("free", None)];
    let (a, b, free, input) = (json!({"name": "a"}), json!({"name": "b"}), json!({"name": "free"}), json!({}));
    let refused = |past: &[Did<'_>], tool: &str| {
        outside_skill(&skills, &About { tool, input: &input, past }).map(|skill| skill.name.clone())
    };
    let well = (true, Some(true));
    assert_eq!(refused(&[did("skill", &free, well)], "write"), None);
    assert_eq!(refused(&[did("skill", &a, well)], "write").as_deref(), Some("a"));
    assert_eq!(refused(&[did("skill", &a, well)], "bash"), None);
    // Another one lifts nothing.
    assert_eq!(refused(&[did("skill", &a, well), did("skill", &free, well)], "write").as_deref(), Some("a"));
    assert_eq!(refused(&[did("skill", &a, well), did("skill", &b, well)], "bash").as_deref(), Some("b"));
    assert_eq!(refused(&[did("skill", &a, (false, Some(true)))], "write"), None);
    assert_eq!(refused(&[did("skill", &a, (true, Some(false)))], "write"), None);
    for free in ["skill", "ask_user", "todo"] {
        assert_eq!(refused(&[did("skill", &b, well)], free), None);
    }
}
