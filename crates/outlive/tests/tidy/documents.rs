//! What README and guide tell a person to type exists, and the first command of the README really talks.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::tree::{files, root};

/// Lines of the blocks marked `sh` that call the binary: place, arguments.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let guide = files("docs").into_iter().filter(|file| !file.path.starts_with("docs/decisions"));
    let readme = files("").into_iter().filter(|file| file.path == "README.md");
    for file in readme.chain(guide) {
        let mut is_shell = false;
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.trim_start().starts_with("```") {
                is_shell = line.trim() == "```sh";
                continue;
            }
            let line = line.trim().trim_start_matches("$ ");
            let rest = line.strip_prefix("outlive ").or_else(|| line.strip_prefix("cargo run --release -- "));
            if let (true, Some(rest)) = (is_shell, rest) {
                // What follows a comment or a pipe is not for the binary.
                let words = rest.split_whitespace().take_while(|word| !["#", "|", ">", "&&", ";"].contains(word));
                found.push((format!("{}:{number}", file.path), words.map(str::to_owned).collect()));
            }
        }
    }
    found
}

/// The binary, in an empty home, away from what the machine has.
fn outlive(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlive"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Follows the words down the tree of commands and looks for each option in the help of the last.
fn wrong(home: &Path, words: &[String]) -> Option<String> {
    let mut path: Vec<&str> = Vec::new();
    let help = |path: &[&str]| outlive(home).args(path).arg("--help").output().unwrap();
    let mut shown = said(&help(&[]));
    if !shown.contains("Commands:") {
        return Some("the help lists no commands".to_owned());
    }
    for word in words.iter().take_while(|word| !word.starts_with('-')) {
        if !shown.contains("Commands:") {
            break;
        }
        path.push(word);
        let output = help(&path);
        if !output.status.success() {
            return Some(format!("`outlive {}` does not exist", path.join(" ")));
        }
        shown = said(&output);
    }
    let named = |option: &str| shown.split(|c: char| c.is_whitespace() || ",=[".contains(c)).any(|word| word == option);
    let mut options = words.iter().filter(|word| word.starts_with('-') && word.len() > 1);
    let option = options.find(|option| !named(option.split('=').next().unwrap_or(option)))?;
    Some(format!("`outlive {}` has no option `{option}`", path.join(" ")))
}

#[test]
fn every_command_that_the_documents_show_exists() {
    let home = tempfile::tempdir().unwrap();
    let commands = commands();
    assert!(commands.iter().any(|(place, _)| place.starts_with("README.md")), "the README shows no command");
    let breaches: Vec<String> = commands
        .iter()
        .filter_map(|(place, words)| wrong(home.path(), words).map(|what| format!("{place}: {what}")))
        .collect();
    crate::check("documents", &breaches);
}

#[test]
fn the_first_command_of_the_readme_talks_without_a_key_and_what_it_starts_can_be_stopped() {
    let (_, words) = commands().into_iter().find(|(place, _)| place.starts_with("README.md")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut chat = outlive(home.path()).args(&words).stdin(Stdio::piped()).spawn().unwrap();
    // Whether it was read shows in what it says.
    chat.stdin.take().unwrap().write_all(b"hello\n").ok();
    let talked = chat.wait_with_output().unwrap();
    let stopped = outlive(home.path()).args(["serve", "--stop"]).output().unwrap();
    let listed = outlive(home.path()).args(["session", "list", "--json"]).output().unwrap();
    outlive(home.path()).args(["serve", "--stop"]).output().unwrap();
    assert!(talked.status.success(), "{}", said(&talked));
    assert!(said(&talked).contains("rehearsal"), "it says what answers: {}", said(&talked));
    assert!(stopped.status.success(), "{}", said(&stopped));
    assert!(said(&listed).contains("ses_"), "its session is kept: {}", said(&listed));
}

#[test]
fn the_commands_of_the_readme_that_are_files_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    for name in ["test", ".ci/run", "fuzz/run"] {
        let mode = std::fs::metadata(root().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name} has no run bit");
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("\n./test\n"), "the README names the test command");
}
