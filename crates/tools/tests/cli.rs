//! Programs as tools, with real processes: what they are given arrives as it was written.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test makes the programs that it runs")]

mod stage;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use outlive_core::agent::CliTool;
use outlive_core::event::{Effect, Outcome};
use outlive_core::hooks::{Before, Hooks, Program};
use outlive_core::policy::{Reach, Subject};
use outlive_tools::cli::Cli;
use outlive_tools::exec::Exec;
use outlive_tools::held::Held;
use outlive_tools::registry::Toolbox;
use serde_json::{Value, json};
use stage::Stage;

/// Prints each of its arguments, ended by a NUL, and where it runs.
const SHOW: &str = "#!/bin/bash\nprintf '%s\\0' \"$@\" | od -An -v -tx1 | tr -d ' \\n'\necho; pwd; cat\n";

fn stage(command: &str, readme: &str) -> Stage {
    let mut stage = Stage::new();
    let folder = stage.out("agent");
    std::fs::create_dir_all(folder.join("tools/my show")).unwrap();
    executable(&folder.join("tools/my show/it's"), SHOW);
    let run = stage.children().parent().unwrap().to_owned();
    let exec = Arc::new(Exec::new([], &run, &stage.children()));
    let tool = CliTool {
        name: "show".to_owned(),
        description: "shows".to_owned(),
        command: command.to_owned(),
        readme: readme.to_owned(),
        secrets: Vec::new(),
    };
    stage.tools = Toolbox::new(vec![Arc::new(Cli::new(exec, tool, &folder))]);
    stage
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn arguments_arrive_byte_for_byte_whatever_a_shell_would_make_of_them() {
    let stage = stage("./tools/my show/it's", "");
    let hostile = [
        "$(touch pwned)",
        "`touch pwned`",
        "; touch pwned",
        "&& touch pwned",
        "| touch pwned",
        "> pwned",
        "<(touch pwned)",
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "\\'; touch pwned",
        "$IFS",
        "$'\\n'",
        "~",
        "*",
        "{a,b}",
        "!!",
        "",
        " ",
        "a\nb",
        "\t",
        "-n",
        "--",
        "#",
        "A=b",
        "ünïcödé 🦀",
        "\u{1b}[31m",
    ];
    let finished = stage.run("cli_show", json!({ "args": hostile })).await;
    assert_eq!(finished.outcome, Outcome::Ok, "{}", finished.content);
    let bytes: String =
        hostile.iter().flat_map(|word| word.bytes().chain([0])).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(finished.content, format!("{bytes}\n{}\n", stage.place.cwd.display()));
    assert!(!stage.ws("pwned").exists());
}

#[tokio::test]
async fn a_bare_name_is_looked_for_where_programs_are_and_no_builtin_of_a_shell_stands_in_for_it() {
    let finished = stage("printf", "").run("cli_show", json!({"args": ["%s-", "a", "b"]})).await;
    assert_eq!(finished.content, "a-b-");
    let finished = stage("cd", "").run("cli_show", json!({"args": ["/"]})).await;
    assert_eq!(finished.outcome, Outcome::Error, "{}", finished.content);
    let missing = stage("tools/none/none", "").run("cli_show", json!({})).await;
    assert_eq!(missing.outcome, Outcome::Error);
}

#[tokio::test]
async fn the_readme_is_shown_on_demand_and_nothing_runs() {
    let stage = stage("./tools/my show/it's", "How to use it.");
    let finished = stage.run("cli_show", json!({"help": true, "args": ["x"]})).await;
    assert_eq!(finished.content, "How to use it.");
    assert!(!stage.tools.specs()[0].description.contains("How to use it"));
}

#[test]
fn rules_look_at_its_words_and_it_is_never_repeated_by_itself() {
    let stage = stage("./tools/my show/it's", "");
    let assessed = |arguments: Value| {
        let (_, assessment) = stage.tools.prepare("cli_show", &arguments, &stage.place).unwrap();
        (assessment.subject.tool, assessment.subject.target, assessment.subject.reach, assessment.effect)
    };
    let run = assessed(json!({"args": ["pr", "create", "a b; c"]}));
    assert_eq!(run, ("cli".into(), "show pr create 'a b; c'".into(), Reach::Beyond, Effect::Effectful));
    assert_eq!(assessed(json!({"help": true})), ("cli".into(), "show".into(), Reach::Within, Effect::Read));
    for wrong in [
        json!({"args": ["a\u{0}b"]}),
        json!({"args": "a b"}),
        json!({"args": [1]}),
        json!({"args": ["x".repeat(200_000)]}),
    ] {
        assert!(stage.tools.prepare("cli_show", &wrong, &stage.place).is_err());
    }
}

#[tokio::test]
async fn a_hook_s_program_is_ruled_on_and_keeps_the_call_from_running_where_it_may_not_run() {
    let stage = stage("printf", "");
    let run = stage.children().parent().unwrap().to_owned();
    let program = Program { words: vec!["touch".to_owned(), "ran by hook".to_owned()], limit_ms: 10_000 };
    let hooks = Hooks { before: vec![("*".parse().unwrap(), Before::Program(program))], after: Vec::new() };
    let exec = Some(Arc::new(Exec::new([], &run, &stage.children())));
    let held = Held { hooks, skills: [].into(), exec, folder: stage.out("agent") };
    let tool = stage.tools.tool("cli_show").unwrap();
    let no = |subject: &Subject| {
        assert_eq!((subject.tool.as_str(), subject.target.as_str()), ("cli", "touch 'ran by hook'"));
        Err("nobody said that it may".to_owned())
    };
    let denied = held.run(("cli_show", &*tool), stage.invocation(json!({"args": ["x"]})), &no).await;
    assert!(denied.content.ends_with("so it did not run: nobody said that it may"), "{}", denied.content);
    assert!(!stage.ws("ran by hook").exists());
    let ran = held.run(("cli_show", &*tool), stage.invocation(json!({"args": ["x"]})), &|_| Ok(())).await;
    assert_eq!(ran.content, "x");
    assert!(stage.ws("ran by hook").exists());
}
