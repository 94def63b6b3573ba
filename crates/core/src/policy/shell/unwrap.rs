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
            if started.first().is_some_and(|first| first.beginning().contains('=')) {
                found.unknown(format!("what `{name}` sets is not plain"));
            }
        }
        "xargs" => {
            found.loops = true;
            if !filled(&words, &values, &mut started) {
                return unclear(found, words, name);
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

/// Puts into what `xargs` starts what it reads; false where it cannot be told where that goes.
fn filled(words: &[Word], values: &[(char, Word)], started: &mut Vec<Word>) -> bool {
    let mut replaced = values.iter().filter(|(letter, _)| *letter == 'I').map(|(_, value)| value.literal());
    match (started.is_empty(), replaced.next(), replaced.next()) {
        (true, _, _) => *started = vec![Word::of("echo"), Word::any()],
        (false, None, _) => started.push(Word::any()),
        (false, Some(Some(at)), None) if !at.is_empty() => {
            *started = started.iter().map(|word| word.with_gaps(at)).collect();
            // These take the `-I` back where they come later.
            let counts = values.iter().any(|(letter, _)| matches!(letter, 'n' | 'L'))
                || words.iter().any(|word| word.beginning().starts_with("--max-"));
            started.extend(counts.then(Word::any));
        }
        (false, Some(_), _) => return false,
    }
    true
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
    found.loops = true;
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
            // No `-x`: it evaluates `PS4` before each command.
            Some("-e" | "-u" | "+x" | "+e" | "-eu" | "-o" | "-euo" | "-eo" | "-uo")
                | Some("pipefail" | "errexit" | "nounset")
        )
    };
    if !words.iter().skip(1).all(plain) && words.get(1).and_then(Word::literal) != Some("--") {
        found.unknown("`set` changes how the shell reads");
    }
    run(found, words, Role::Steers);
}

fn steer(found: &mut Found, words: Vec<Word>) {
    let arguments = words.get(1..).unwrap_or_default();
    let harmless = match words.first().and_then(Word::literal) {
        Some("read") => reads(arguments),
        Some("unset") => {
            let option = |word: &Word| matches!(word.literal(), Some("-v" | "-f"));
            arguments.iter().all(|word| option(word) || names::keeps_written(word))
        }
        Some("wait") => {
            let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
            let plain = |text: &str| text == "-n" || text == "-f" || number(text.strip_prefix('%').unwrap_or(text));
            arguments.iter().all(|word| word.literal().is_some_and(plain))
        }
        Some(_) | None => true,
    };
    if !harmless {
        found.unknown("it changes a variable that the shell acts on");
    }
    run(found, words, Role::Steers);
}

/// Whether `read` sets nothing but plain variables. A value that is glued to its option is not looked for.
fn reads(arguments: &[Word]) -> bool {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(said) = word.literal() else { return false };
        let Some(letters) = said.strip_prefix('-') else {
            return std::iter::once(word).chain(words).all(names::keeps_written);
        };
        let (last, before) = (letters.chars().next_back(), letters.chars().rev().skip(1));
        if !before.into_iter().all(|c| "rse".contains(c)) {
            return false;
        }
        let harmless = match last {
            Some('r' | 's' | 'e') => true,
            Some('a') => words.next().is_some_and(names::keeps_written),
            Some('p' | 'd' | 'n' | 'N' | 't' | 'u' | 'i') => words.next().is_some_and(|value| !value.splits()),
            Some(_) | None => false,
        };
        if !harmless {
            return false;
        }
    }
    true
}

fn declare(found: &mut Found, words: Vec<Word>, builtin: &str) {
    let (mut hands_on, mut is_array) = (builtin == "export", false);
    for word in words.iter().skip(1) {
        if let Some(flags) = word.literal().and_then(|text| text.strip_prefix('-')) {
            hands_on |= flags.contains('x');
            is_array |= flags.contains(['a', 'A']);
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
        if word.splits() || (is_array && word.beginning().contains('=')) || may_be_compound(word) {
            found.unknown(format!("what `{builtin}` sets can be more than one value, which is evaluated"));
        }
    }
    run(found, words, Role::Steers);
}

/// Whether a value could be read as an array is: `(…)`, quoted or not, where the variable is one already.
fn may_be_compound(word: &Word) -> bool {
    let value = word.beginning().split_once('=').map(|(_, value)| value);
    value.is_some_and(|value| value.starts_with('(') || (value.is_empty() && word.literal().is_none()))
}

fn find(found: &mut Found, words: Vec<Word>, depth: usize) {
    let mut started: Vec<Vec<Word>> = Vec::new();
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        if word.may_be_option() {
            found.unknown("an argument of `find` could be anything");
        }
        match word.literal().unwrap_or_default() {
            action @ ("-exec" | "-execdir" | "-ok" | "-okdir") => {
                found.loops = true;
                found.moved |= action.ends_with("dir");
                started.push(executed(found, &mut rest, action));
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

/// Takes the command of an `-exec`: up to a `;`, or to a `+` right after a `{}`.
fn executed<'a>(found: &mut Found, rest: &mut impl Iterator<Item = &'a Word>, action: &str) -> Vec<Word> {
    let (mut taken, mut before) = (Vec::new(), None);
    for word in rest {
        match word.literal() {
            Some(";") => break,
            Some("+") if before == Some("{}") && action.starts_with("-exec") => break,
            None if word.splits() || matches!(word.beginning(), "" | ";" | "+" | "{" | "{}") => {
                found.unknown("where a command of `find` ends is not written out");
            }
            Some(_) | None => {}
        }
        before = word.literal();
        taken.push(word.with_gaps("{}"));
    }
    taken
}
