//! One simple command, and the commands that it starts by its arguments.

use super::wrappers::{self, Inner};
use super::{DEPTH, Dialect, Found, Part, Role, Touch, Word, inner, listed, names, scripts};

/// Builtins that do nothing beyond the command line.
const STEERING: &str = "\
    : true false exit return break continue shift wait read unset";

/// Builtins after which the same words may mean something else, or that evaluate what variables hold.
const CHANGING: &str = "\
    alias unalias source . shopt enable hash compgen complete compopt bind fc let history getopts mapfile \
    readarray parallel logout suspend coproc select";

/// Notes a command and all that it starts.
pub(super) fn command(found: &mut Found, words: Vec<Word>, depth: usize) {
    let Some(first) = words.first() else { return };
    if depth > DEPTH {
        return found.unknown("it is nested too deeply");
    }
    let Some(program) = first.literal().map(str::to_owned) else {
        found.unknown("the program is not written out");
        return run(found, words, Role::Runs);
    };
    let name = base(&program).to_owned();
    // A file that is only called like a wrapper is a program like any other.
    let is_own = !program.contains('/') || ["/bin/", "/usr/bin/"].iter().any(|dir| program == format!("{dir}{name}"));
    let carries = if is_own { Role::Carries } else { Role::Runs };
    match name.as_str() {
        _ if listed(STEERING, program.as_str()) => steer(found, words),
        _ if listed(CHANGING, name.as_str()) => {
            found.unknown(format!("`{name}` changes what other words mean, or runs what it is not told here"));
            run(found, words, Role::Runs);
        }
        "eval" => text(found, words, (carries, Dialect::Bash, depth), 1),
        "trap" => trap(found, words, depth),
        "set" => set(found, words),
        "export" | "declare" | "local" | "readonly" | "typeset" => declare(found, words, &name),
        "bash" | "rbash" => shell(found, words, (carries, Dialect::Bash, depth)),
        "sh" | "dash" | "ash" => shell(found, words, (carries, Dialect::Posix, depth)),
        "zsh" | "ksh" | "mksh" | "fish" | "csh" | "tcsh" => {
            found.unknown(format!("`{name}` is another language"));
            run(found, words, Role::Runs);
        }
        "find" => find(found, words, depth),
        "ssh" | "watch" | "flock" => inner::starts(found, words, &name, depth),
        "git" => inner::git(found, words),
        _ => match wrappers::find(&name) {
            Some(wrapper) if !looks_up(&name, &words) => {
                let role = if wrapper.role == Role::Carries { carries } else { wrapper.role };
                match wrappers::inner(wrapper, words.get(1..).unwrap_or_default()) {
                    Some(inner) => carry(found, words, inner, (role, &name, depth)),
                    None => unclear(found, words, &name),
                }
            }
            Some(_) | None => {
                scripts::look(found, &words, &name);
                found.moved |= matches!(name.as_str(), "cd" | "pushd" | "popd");
                run(found, words, Role::Runs);
            }
        },
    }
}

/// `command -v`: it says where a program is.
fn looks_up(name: &str, words: &[Word]) -> bool {
    name == "command" && matches!(words.get(1).and_then(Word::literal), Some("-v" | "-V"))
}

/// Returns the last name of a path.
pub(in crate::policy) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

pub(super) fn run(found: &mut Found, words: Vec<Word>, role: Role) {
    found.push(Part::Program { words, role });
}

pub(super) fn unclear(found: &mut Found, words: Vec<Word>, name: &str) {
    found.unknown(format!("what `{name}` starts is not plain"));
    run(found, words, Role::Runs);
}

fn carry(found: &mut Found, words: Vec<Word>, found_in: Inner, (role, name, depth): (Role, &str, usize)) {
    let Inner { words: mut started, values } = found_in;
    match name {
        "env" | "sudo" | "doas" => {
            let is_set =
                |word: &&Word| !word.splits() && word.beginning().contains('=') && names::named(word).is_some();
            let sets = started.iter().take_while(is_set);
            let names: Vec<String> = sets.filter_map(names::named).map(str::to_owned).collect();
            started.drain(..names.len());
            names::set(found, &names, &[Word::of("env")]);
        }
        "xargs" => {
            let replaced = values.iter().find(|(letter, _)| *letter == 'I').and_then(|(_, value)| value.literal());
            match (started.is_empty(), replaced) {
                (true, _) => started = vec![Word::of("echo"), Word::any()],
                (false, Some(at)) if !at.is_empty() => {
                    started = started.iter().map(|word| word.with_gaps(at)).collect();
                }
                (false, _) => started.push(Word::any()),
            }
        }
        _ => {}
    }
    let starts = !started.is_empty();
    let alone = if name == "exec" { Role::Steers } else { Role::Runs };
    run(found, words, if starts { role } else { alone });
    if starts {
        command(found, started, depth + 1);
    }
}

/// A command line in the words from `from` on, joined by blanks.
fn text(found: &mut Found, words: Vec<Word>, (role, dialect, depth): (Role, Dialect, usize), from: usize) {
    let said: Option<Vec<&str>> = words.iter().skip(from).map(Word::literal).collect();
    match said {
        Some(said) => {
            let line = said.join(" ");
            run(found, words, role);
            found.command(&line, dialect, depth + 1);
        }
        None => {
            found.unknown("a command in quotes is not written out");
            run(found, words, Role::Runs);
        }
    }
}

/// Reads a command line that is one word.
pub(super) fn line(found: &mut Found, word: &Word, dialect: Dialect, depth: usize) {
    match word.literal() {
        Some(line) => found.command(line, dialect, depth + 1),
        None => found.unknown("a command in quotes is not written out"),
    }
}

fn shell(found: &mut Found, words: Vec<Word>, (role, dialect, depth): (Role, Dialect, usize)) {
    let mut at = 1;
    while let Some(option) = words.get(at).and_then(Word::literal) {
        let letters = option.strip_prefix('-').unwrap_or_default();
        if letters.strip_suffix('c').is_some_and(|before| before.chars().all(|c| "eux".contains(c))) {
            let Some(command) = words.get(at + 1).cloned() else { break };
            run(found, words, role);
            return line(found, &command, dialect, depth);
        }
        match letters {
            "e" | "u" | "x" | "eu" | "ex" | "eux" => at += 1,
            "o" if words.get(at + 1).and_then(Word::literal) == Some("pipefail") => at += 2,
            _ => break,
        }
    }
    let script = words.get(at).is_some_and(|word| word.literal().is_some_and(|name| !name.starts_with(['-', '+'])));
    let version = words.len() == 2 && words.get(1).and_then(Word::literal) == Some("--version");
    if !script && !version {
        found.unknown("what a shell reads is not written out");
    }
    run(found, words, Role::Runs);
}

fn trap(found: &mut Found, words: Vec<Word>, depth: usize) {
    match words.get(1) {
        None => {}
        Some(word) if matches!(word.literal(), Some("-" | "" | "-l" | "-p" | "--")) && words.len() <= 3 => {}
        Some(word) => line(found, word, Dialect::Bash, depth),
    }
    run(found, words, Role::Carries);
}

fn set(found: &mut Found, words: Vec<Word>) {
    let plain = |word: &Word| {
        matches!(
            word.literal(),
            Some("-e" | "-u" | "-x" | "+x" | "+e" | "-eu" | "-ex" | "-eux" | "-o" | "-euo" | "-euxo" | "-eo" | "-uo")
                | Some("pipefail" | "errexit" | "nounset")
        )
    };
    if !words.iter().skip(1).all(plain) && words.get(1).and_then(Word::literal) != Some("--") {
        found.unknown("`set` changes how the shell reads");
    }
    run(found, words, Role::Steers);
}

fn steer(found: &mut Found, words: Vec<Word>) {
    let takes_names =
        words.first().and_then(Word::literal).is_some_and(|name| matches!(name, "read" | "unset" | "wait"));
    let plain = |word: &Word| {
        let text = word.literal().unwrap_or("[");
        !text.contains('[') && (text.starts_with('-') || names::keeps(text))
    };
    if takes_names && !words.iter().skip(1).all(plain) {
        found.unknown("it changes a variable that the shell acts on");
    }
    run(found, words, Role::Steers);
}

fn declare(found: &mut Found, words: Vec<Word>, builtin: &str) {
    let mut hands_on = builtin == "export";
    for word in words.iter().skip(1) {
        if let Some(flags) = word.literal().and_then(|text| text.strip_prefix('-')) {
            hands_on |= flags.contains('x');
            if flags.is_empty() || !flags.chars().all(|c| "xrgaAp".contains(c)) {
                found.unknown(format!("`{builtin} -{flags}` changes how a variable is read"));
            }
            continue;
        }
        let named = names::named(word);
        let harmless = named.is_some_and(|name| if hands_on { names::hands_on(name) } else { names::keeps(name) });
        if !harmless {
            found.unknown(format!("it sets `{}`", named.unwrap_or("a variable whose name is not written out")));
        }
    }
    run(found, words, Role::Steers);
}

fn find(found: &mut Found, words: Vec<Word>, depth: usize) {
    let mut started: Vec<Vec<Word>> = Vec::new();
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        let Some(said) = word.literal() else {
            if word.beginning().is_empty() {
                found.unknown("an argument of `find` could be anything");
            }
            continue;
        };
        match said {
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let ended = |word: &&Word| !matches!(word.literal(), Some(";" | "+"));
                started.push(rest.by_ref().take_while(ended).map(|word| word.with_gaps("{}")).collect());
            }
            "-delete" => started.push(vec![Word::of("rm"), Word::any()]),
            "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                let path = rest.next().and_then(Word::literal).map(str::to_owned);
                found.push(Part::Path { touch: Touch::Write, path });
            }
            _ => {}
        }
    }
    run(found, words, Role::Runs);
    started.into_iter().for_each(|words| command(found, words, depth + 1));
}
