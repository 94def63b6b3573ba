//! Programs that do nothing but start another one, which is written out in their arguments.

use super::{Role, Word};

/// How such a program's own arguments are read.
pub(super) struct Wrapper {
    names: &'static [&'static str],
    pub(super) role: Role,
    /// Options of one letter without a value.
    alone: &'static str,
    /// Options of one letter with one.
    takes: &'static str,
    /// Long options without a value.
    long: &'static [&'static str],
    /// Long options with one.
    long_takes: &'static [&'static str],
    /// Operands before the program.
    operands: usize,
}

const PLAIN: Wrapper =
    Wrapper { names: &[], role: Role::Carries, alone: "", takes: "", long: &[], long_takes: &[], operands: 0 };

const WRAPPERS: [Wrapper; 21] = [
    Wrapper { names: &["nohup", "builtin"], ..PLAIN },
    Wrapper { names: &["command"], alone: "p", ..PLAIN },
    Wrapper { names: &["exec"], alone: "cl", takes: "a", ..PLAIN },
    Wrapper {
        names: &["timeout"],
        alone: "v",
        takes: "sk",
        long: &["--foreground", "--preserve-status", "--verbose"],
        long_takes: &["--signal", "--kill-after"],
        operands: 1,
        ..PLAIN
    },
    Wrapper { names: &["nice"], alone: "0123456789", takes: "n", long_takes: &["--adjustment"], ..PLAIN },
    Wrapper { names: &["ionice"], alone: "t", takes: "cn", long_takes: &["--class", "--classdata"], ..PLAIN },
    Wrapper { names: &["setsid"], alone: "cfw", long: &["--ctty", "--fork", "--wait"], ..PLAIN },
    Wrapper { names: &["stdbuf"], takes: "ioe", long_takes: &["--input", "--output", "--error"], ..PLAIN },
    Wrapper { names: &["time"], alone: "pvq", takes: "f", long: &["--portability", "--verbose"], ..PLAIN },
    Wrapper { names: &["chrt"], alone: "bfior", operands: 1, ..PLAIN },
    Wrapper { names: &["taskset"], alone: "a", takes: "", operands: 1, ..PLAIN },
    Wrapper { names: &["catchsegv", "unbuffer", "fakeroot"], ..PLAIN },
    Wrapper {
        names: &["env"],
        alone: "iv",
        takes: "u",
        long: &["--ignore-environment", "--debug"],
        long_takes: &["--unset"],
        ..PLAIN
    },
    Wrapper { names: &["sudo"], role: Role::Runs, alone: "AbEHknSPB", takes: "ughpCrtTDRU", ..PLAIN },
    Wrapper { names: &["doas"], role: Role::Runs, alone: "n", takes: "u", ..PLAIN },
    Wrapper { names: &["chroot"], role: Role::Runs, operands: 1, ..PLAIN },
    Wrapper { names: &["runuser", "setpriv", "unshare"], role: Role::Runs, takes: "u", ..PLAIN },
    Wrapper { names: &["strace", "ltrace"], role: Role::Runs, alone: "fqtvyTCc", takes: "es", ..PLAIN },
    Wrapper { names: &["busybox", "toybox"], ..PLAIN },
    Wrapper { names: &["proot", "eatmydata", "dbus-run-session"], role: Role::Runs, ..PLAIN },
    Wrapper {
        names: &["xargs"],
        alone: "0rtpx",
        takes: "InPLdasE",
        long: &["--null", "--no-run-if-empty", "--verbose"],
        long_takes: &["--max-args", "--max-procs", "--delimiter", "--max-lines"],
        ..PLAIN
    },
];

/// Returns how to read a program of this name.
pub(super) fn find(name: &str) -> Option<&'static Wrapper> {
    WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name))
}

/// What follows a wrapper's own arguments.
pub(super) struct Inner {
    /// The program and its arguments; empty where there is none.
    pub(super) words: Vec<Word>,
    /// The values of its own options of one letter.
    pub(super) values: Vec<(char, Word)>,
}

/// Finds the program in the words after the wrapper's name; `None` where they are not understood.
pub(super) fn inner(wrapper: &Wrapper, words: &[Word]) -> Option<Inner> {
    let mut words = words.iter();
    let mut values = Vec::new();
    let mut rest = words.as_slice();
    while let Some(word) = words.next() {
        if word.splits() || (word.literal().is_none() && word.beginning().is_empty()) {
            return None;
        }
        let Some(option) = word.beginning().strip_prefix('-').filter(|option| !option.is_empty()) else { break };
        word.literal()?;
        if option == "-" {
            rest = words.as_slice();
            break;
        }
        if option.starts_with('-') {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            let name = format!("-{name}");
            if wrapper.long_takes.contains(&name.as_str()) {
                if value.is_none() {
                    words.next().filter(|value| !value.splits())?;
                }
            } else if !wrapper.long.contains(&name.as_str()) || value.is_some() {
                return None;
            }
        } else {
            values.extend(letters(wrapper, option, &mut words)?);
        }
        rest = words.as_slice();
    }
    if rest.iter().take(wrapper.operands).any(Word::splits) || rest.len() < wrapper.operands {
        return None;
    }
    Some(Inner { words: rest.get(wrapper.operands..).unwrap_or_default().to_vec(), values })
}

/// Reads `-abc`; returns the option that has a value.
fn letters<'a>(
    wrapper: &Wrapper,
    option: &str,
    words: &mut impl Iterator<Item = &'a Word>,
) -> Option<Option<(char, Word)>> {
    for (n, letter) in option.char_indices() {
        if wrapper.takes.contains(letter) {
            let value = option.get(n + letter.len_utf8()..).unwrap_or_default();
            let value = if value.is_empty() { words.next()?.clone() } else { Word::of(value) };
            return (!value.splits()).then_some(Some((letter, value)));
        }
        if !wrapper.alone.contains(letter) {
            return None;
        }
    }
    Some(None)
}
