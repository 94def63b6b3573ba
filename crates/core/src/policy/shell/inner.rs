//! Programs with their own way to say what they start: `ssh`, `watch`, `flock`, `git`.

use super::unwrap::{command, line, run, unclear};
use super::{Dialect, Found, Role, Word, listed};

pub(super) fn starts(found: &mut Found, words: Vec<Word>, name: &str, depth: usize) {
    let plain = words.iter().all(|word| word.literal().is_some());
    let after = match name {
        "ssh" => options(&words, "46AaCfGgKkMNnqsTtVvXxYy", "BbcDeiJLlmpQRW").map(|at| (at + 1, true)),
        "watch" => options(&words, "bcdegtwx", "nq").map(|at| (at, true)),
        _ => options(&words, "enosuxF", "wE").map(|at| (at + 1, false)),
    };
    let Some((at, joins)) = after.filter(|_| plain) else { return unclear(found, words, name) };
    let rest: Vec<Word> = words.get(at..).unwrap_or_default().to_vec();
    run(found, words, Role::Runs);
    match rest.as_slice() {
        [] => {}
        [option, said] if !joins && option.literal() == Some("-c") => line(found, said, Dialect::Posix, depth),
        [..] if joins => {
            let said: Vec<&str> = rest.iter().filter_map(Word::literal).collect();
            line(found, &Word::of(&said.join(" ")), Dialect::Posix, depth);
        }
        [..] => command(found, rest, depth + 1),
    }
}

/// Returns where the operands begin.
fn options(words: &[Word], alone: &str, takes: &str) -> Option<usize> {
    let mut at = 1;
    while let Some(letters) = words.get(at).and_then(Word::literal).and_then(|word| word.strip_prefix('-')) {
        let mut given = letters.chars();
        at += 1;
        while let Some(letter) = given.next() {
            if takes.contains(letter) {
                at += usize::from(given.as_str().is_empty());
                break;
            }
            if !alone.contains(letter) {
                return None;
            }
        }
    }
    Some(at)
}

/// What git does by itself; anything else may be an alias, which can be any command.
const OWN: &str = "\
    add am annotate apply archive bisect blame branch bundle cat-file check-attr check-ignore checkout cherry \
    cherry-pick clean clone commit commit-tree config count-objects describe diff diff-files diff-index diff-tree \
    fetch for-each-ref format-patch fsck gc grep hash-object help init log ls-files ls-remote ls-tree merge \
    merge-base mv name-rev notes prune pull push range-diff rebase reflog remote reset restore rev-list rev-parse \
    revert rm shortlog show show-ref stash status switch symbolic-ref tag version worktree";

/// Where a word that is not written out can be no option that runs or writes something.
const CALM: &str = "\
    add checkout mv restore rm status switch";

/// Where a word after `--` is a path, whatever it is.
const LOOKING: &str = "\
    blame diff log show";

/// Where a word that is not written out can name another program as the way to a repository.
const TRANSPORTING: &str = "\
    archive clone fetch ls-remote pull push remote";

/// Options of git that run or write something; it takes them shortened too.
const RUNNING: [&str; 13] = [
    "--exec",
    "--upload-pack",
    "--receive-pack",
    "--ext-diff",
    "--open-files-in-pager",
    "--config",
    "--config-env",
    "--template",
    "--output",
    "--paginate",
    "--extcmd",
    "--tool",
    "--exec-path",
];

/// Settings that change nothing that runs.
const CALM_SETTINGS: &str = "\
    user.name user.email core.quotepath core.abbrev init.defaultbranch push.default log.date log.decorate \
    log.abbrevcommit column.ui color.ui color.diff color.status color.branch color.grep";

fn is_calm(setting: &str) -> bool {
    let name = setting.to_ascii_lowercase();
    let hint = name.strip_prefix("advice.").is_some_and(|hint| hint.chars().all(|c| c.is_ascii_alphanumeric()));
    hint || listed(CALM_SETTINGS, &name)
}

/// Whether the value of a `-c` is a setting whose name is written out up to its `=`.
fn is_set_calmly(word: &Word) -> bool {
    !word.splits() && word.beginning().split_once('=').is_some_and(|(name, _)| is_calm(name))
}

/// `git`: its options before the command, and what of its commands runs something else.
pub(super) fn git(found: &mut Found, words: Vec<Word>) {
    let mut at = 1;
    let mut strange = false;
    while let Some(option) = words.get(at).and_then(Word::literal).filter(|word| word.starts_with('-')) {
        match option {
            "-C" => {
                at += 1;
                strange |= words.get(at).is_none_or(Word::splits);
            }
            "-c" => {
                at += 1;
                strange |= !words.get(at).is_some_and(is_set_calmly);
            }
            "-P" | "--no-pager" | "--no-optional-locks" | "--version" | "--help" | "-v" | "-h" => {}
            _ => strange |= !(option.starts_with("--git-dir=") || option.starts_with("--work-tree=")),
        }
        at += 1;
    }
    let rest = words.get(at..).unwrap_or_default();
    if strange || runs_more(rest) {
        found.unknown("what `git` does with these arguments is not plain");
    }
    if at > 1 && !rest.is_empty() {
        // So that a rule on `git push *` sees it.
        let bare = words.iter().take(1).chain(rest).cloned().collect();
        run(found, bare, Role::Carries);
    }
    run(found, words, Role::Runs);
}

fn runs_more(words: &[Word]) -> bool {
    let Some(first) = words.first() else { return false };
    let Some(own) = first.literal().filter(|own| listed(OWN, own)) else { return true };
    let all = words.get(1..).unwrap_or_default();
    let paths = all.iter().position(|word| word.literal() == Some("--")).filter(|_| listed(LOOKING, own));
    // What an option takes as its value ends nothing.
    let paths = paths.filter(|at| at.checked_sub(1).and_then(|at| all.get(at)).is_none_or(is_operand));
    let arguments = all.get(..paths.unwrap_or(all.len())).unwrap_or_default();
    let is = |said: &[&str]| arguments.iter().filter_map(Word::literal).any(|word| said.contains(&word));
    let shortened = |word: &Word| {
        let name = word.beginning().split('=').next().unwrap_or_default();
        name.len() > 2 && name.starts_with("--") && RUNNING.iter().any(|running| running.starts_with(name))
    };
    let short = |letter: char| {
        let has = |word: &Word| {
            let begin = word.beginning();
            begin.starts_with('-') && !begin.starts_with("--") && begin.contains(letter)
        };
        arguments.iter().any(has)
    };
    let by_command = match own {
        "bisect" => is(&["run"]),
        "rebase" => short('x') || short('i'),
        "grep" => short('O'),
        "clone" => short('u') || short('c'),
        "config" => !settings(arguments),
        "archive" | "format-patch" => short('o'),
        _ => false,
    };
    let transport = |word: &Word| {
        let begin = word.beginning();
        begin.contains("::") || (word.literal().is_none() && begin.contains(':') && listed(TRANSPORTING, own))
    };
    by_command || open(own, arguments) || arguments.iter().any(|word| shortened(word) || transport(word))
}

/// Whether a word that is not written out could be an option that runs or writes something.
fn open(own: &str, arguments: &[Word]) -> bool {
    let mut message = false;
    let mut before: Option<&Word> = None;
    arguments.iter().any(|word| {
        // `commit -m` takes whatever follows, if that is one word; unless an option takes the `-m` itself.
        let given = message && !word.splits();
        let plain = before.is_none_or(|before| {
            is_operand(before) || before.literal().is_some_and(|option| listed(VALUELESS, option))
        });
        message = !given && plain && own == "commit" && matches!(word.literal(), Some("-m" | "-am" | "--message"));
        before = Some(word).filter(|_| !given);
        let half = word.beginning().starts_with('-');
        word.may_be_option() && !given && (half || !listed(CALM, own))
    })
}

/// Options of `git commit` that take no value.
const VALUELESS: &str = "\
    -a -q -s -v -n --all --quiet --signoff --verbose --amend --no-verify --no-edit --allow-empty";

fn is_operand(word: &Word) -> bool {
    word.literal().is_some_and(|text| !text.starts_with('-'))
}

/// Whether `git config` only reads, or sets one calm setting.
fn settings(arguments: &[Word]) -> bool {
    let scoped = |word: &Word| matches!(word.literal(), Some("--global" | "--local" | "--show-origin"));
    let scopes = arguments.iter().take_while(|word| scoped(word)).count();
    let name = |word: &Word| word.literal().is_some_and(|name| !name.starts_with('-'));
    let value = |word: &Word| !word.splits() && !word.may_be_option() && !word.beginning().starts_with('-');
    match arguments.get(scopes..).unwrap_or_default() {
        [one] => name(one) || matches!(one.literal(), Some("--list" | "-l")),
        [how, what] if matches!(how.literal(), Some("--get" | "--get-all" | "--get-regexp" | "get")) => name(what),
        [setting, new] => setting.literal().is_some_and(is_calm) && value(new),
        [] | [_, _, _, ..] => false,
    }
}
