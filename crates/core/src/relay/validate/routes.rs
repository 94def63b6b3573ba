//! How states belong together: their names, where they lead, and the values that they name.

use super::Fault;
use crate::relay::definition::{Command, Definition, StateSpec, Terminal, Work};
use crate::relay::node::{Node, Tree};
use crate::relay::schema;
use crate::template;
use crate::yaml::nearest;

pub(super) fn check(definition: &Definition, faults: &mut Vec<Fault>) {
    let mut wrong = |path: String, what: String| faults.push(Fault { path, place: None, what });
    let names: Vec<&str> = definition.states.iter().map(|state| state.name.as_str()).collect();
    let unknown = |name: &str| {
        let nearest = nearest(name, names.iter().copied()).unwrap_or_default();
        format!("there is no state `{name}`: the nearest is `{nearest}`")
    };
    for (at, name) in names.iter().enumerate() {
        if let Some(first) = names[..at].iter().position(|other| other == name) {
            wrong(format!("states[{at}].name"), format!("`{name}` is there already, as states[{first}]"));
        }
    }
    if !names.contains(&definition.first.as_str()) {
        wrong("first".to_owned(), unknown(&definition.first));
    }
    let completes =
        |state: &StateSpec| matches!(&state.work, Work::Terminal(end) if end.outcome == Terminal::Completed);
    if !definition.states.iter().any(completes) {
        let what = "none is an end that completes: add `{name: done, kind: terminal, outcome: completed}`";
        wrong("states".to_owned(), what.to_owned());
    }
    for (at, state) in definition.states.iter().enumerate() {
        for (key, to) in [("next", &state.next), ("on_failure", &state.on_failure)] {
            let Some(to) = to else { continue };
            let Some(target) = definition.state(to) else {
                wrong(format!("states[{at}].{key}"), unknown(to));
                continue;
            };
            let needs = target.input_schema.as_ref().map(schema::required).unwrap_or_default();
            if !needs.is_empty() {
                let what = format!(
                    "leads to `{to}`, which must be given {}: let the agent choose it, or give these a `default`",
                    needs.join(", ")
                );
                wrong(format!("states[{at}].{key}"), what);
            }
        }
        for (key, text) in texts(state) {
            if let Err(what) = named(definition, state, text) {
                wrong(format!("states[{at}].{key}"), what);
            }
        }
        for (key, _) in code_texts(state).into_iter().filter(|(_, text)| text.contains("{{")) {
            let what = "a shell's text takes no values, which could become commands: give them as `env: {NAME: \
                        \"{{input.name}}\"}` and read `\"$NAME\"`, or as words of a command that is a list";
            wrong(format!("states[{at}].{key}"), what.to_owned());
        }
    }
}

/// The texts of a state that values are put into, with their keys.
fn texts<'s>(state: &'s StateSpec) -> Vec<(String, &'s str)> {
    let one = |key: &str, text: &'s Option<String>| text.as_deref().map(|text| (key.to_owned(), text));
    let mut found: Vec<(String, &str)> = match &state.work {
        Work::Agent(agent) => {
            let cwd = one("cwd", &agent.cwd);
            [("prompt".to_owned(), agent.prompt.as_str())].into_iter().chain(cwd).collect()
        }
        Work::Timer(timer) => one("at", &timer.at).into_iter().collect(),
        Work::Park(park) => vec![("question".to_owned(), park.question.as_str())],
        Work::Terminal(end) => one("reason", &end.reason).into_iter().collect(),
        Work::Script(_) | Work::Poll(_) | Work::Signal(_) => Vec::new(),
    };
    let Some((run, _)) = state.run() else { return found };
    found.extend(run.env.iter().map(|(name, text)| (format!("env.{name}"), text.as_str())));
    found.extend(run.cwd.as_deref().map(|cwd| ("cwd".to_owned(), cwd)));
    for (key, command) in commands(state) {
        if let Command::Argv(argv) = command {
            found.extend(argv.iter().enumerate().map(|(at, word)| (format!("{key}[{at}]"), word.as_str())));
        }
    }
    found
}

fn commands(state: &StateSpec) -> Vec<(&'static str, &Command)> {
    let run = state.run().map(|(run, _)| ("command", &run.command));
    let check = if let Work::Script(script) = &state.work { script.check.as_ref() } else { None };
    run.into_iter().chain(check.map(|check| ("check", check))).collect()
}

/// Programs that read an argument as code, and the letter of the option before it.
const READERS: [(&[&str], char); 3] = [
    (&["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "su", "runuser", "python"], 'c'),
    (&["perl", "ruby", "node"], 'e'),
    (&["php"], 'r'),
];

/// The texts that a shell, or what is like one, reads as code.
fn code_texts(state: &StateSpec) -> Vec<(String, &str)> {
    let mut texts = Vec::new();
    for (key, command) in commands(state) {
        match command {
            Command::Shell(text) => texts.push((key.to_owned(), text.as_str())),
            Command::Argv(argv) => {
                let code = code_word(argv).and_then(|at| Some((at, argv.get(at)?)));
                texts.extend(code.map(|(at, word)| (format!("{key}[{at}]"), word.as_str())));
            }
        }
    }
    texts
}

/// The place of the word that such a program reads as code.
fn code_word(argv: &[String]) -> Option<usize> {
    let mut reader = None;
    let mut before = "";
    for (at, word) in argv.iter().enumerate() {
        let Some((letter, takes_names)) = reader else {
            let name = word.rsplit('/').next().unwrap_or_default();
            let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            let known = READERS.iter().find(|(names, _)| names.contains(&bare));
            reader = known.map(|(_, letter)| (*letter, matches!(bare, "su" | "runuser")));
            continue;
        };
        let is_option = |word: &str| word.starts_with('-');
        let has_letter = |word: &str| {
            let letters = word.strip_prefix('-').and_then(|rest| rest.split("{{").next());
            letters.is_some_and(|letters| !letters.starts_with('-') && letters.contains(letter))
        };
        if has_letter(before) || has_letter(word) && word.contains("{{") {
            return Some(at);
        }
        // What comes behind a script's name is the script's.
        if !is_option(word) && !is_option(before) && !takes_names {
            return None;
        }
        before = word;
    }
    None
}

/// Every value that a text names must be one that there can be.
fn named(definition: &Definition, state: &StateSpec, text: &str) -> Result<(), String> {
    for path in template::paths(text)? {
        let shown = format!("`{{{{{}}}}}`", path.join("."));
        match path.as_slice() {
            ["input", name, ..] => {
                let declared = state.input_schema.as_ref().map(schema::declared).unwrap_or_default();
                if !declared.contains(name) {
                    return Err(format!(
                        "{shown} is not declared: add `input_schema: {{type: object, properties: {{{name}: {{type: \
                         string}}}}}}` to the state"
                    ));
                }
            }
            ["states", name, "output" | "error", ..] if definition.state(name).is_some() => {}
            ["states", name, ..] if definition.state(name).is_none() => {
                let names = definition.states.iter().map(|state| state.name.as_str());
                let nearest = nearest(name, names).unwrap_or_default();
                return Err(format!("{shown}: there is no state `{name}`: the nearest is `{nearest}`"));
            }
            ["relay", "name" | "prompt" | "key"] => {}
            _ => {
                return Err(format!(
                    "{shown} names nothing: there are `input.KEY`, `states.STATE.output`, `states.STATE.error`, \
                     `relay.name`, `relay.prompt` and `relay.key`"
                ));
            }
        }
    }
    Ok(())
}

/// Gives the faults that only have a path their place in the file.
pub(super) fn place(node: &Node, faults: &mut [Fault]) {
    for fault in faults.iter_mut().filter(|fault| fault.place.is_none()) {
        let mut at = node;
        let mut place = node.place;
        for key in fault.path.split(['.', '[']).map(|key| key.trim_end_matches(']')) {
            let below = match &at.tree {
                Tree::Map(entries) => {
                    entries.iter().find(|(known, _)| known.text == key).map(|(key, node)| (key.place, node))
                }
                Tree::List(list) => {
                    key.parse::<usize>().ok().and_then(|at| list.get(at)).map(|node| (node.place, node))
                }
                Tree::Plain(_) => None,
            };
            let Some((found, node)) = below else { break };
            (place, at) = (found.or(place), node);
        }
        fault.place = place;
    }
}
