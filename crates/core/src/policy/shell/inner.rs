//! Programs with their own way to say what they start: `ssh`, `watch`, `flock`, `git`.

use super::unwrap::{command, line, run, unclear};
use super::{Dialect, Found, Role, Word, listed};

pub(super) fn starts(found: &mut Found, words: Vec<Word>, name: &str, depth: usize) {
    let plain = words.iter().all(|word| word.literal().is_some());
    let after = match name {
        "ssh" => options(&words, "46AaCfGgKkMNnqsTtVvXxYy", "BbcDEeIiJLlmpQRW").map(|at| (at + 1, true)),
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

/// Where a word that is not written out can be no option that runs something.
const CALM: &str = "\
    add branch checkout commit log mv restore rm show status switch";

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
const CALM_SETTINGS: [&str; 8] =
    ["user.", "color.", "advice.", "core.quotepath", "init.defaultbranch", "push.default", "log.", "column."];

fn is_calm(setting: &str) -> bool {
    let name = setting.split('=').next().unwrap_or_default().to_ascii_lowercase();
    CALM_SETTINGS.iter().any(|calm| name.starts_with(calm))
}

/// `git`: its options before the command, and what of its commands runs something else.
pub(super) fn git(found: &mut Found, words: Vec<Word>) {
    let mut at = 1;
    let mut strange = false;
    while let Some(option) = words.get(at).and_then(Word::literal).filter(|word| word.starts_with('-')) {
        match option {
            "-C" => at += 1,
            "-c" => {
                at += 1;
                strange |= !words.get(at).is_some_and(|word| is_calm(word.beginning()));
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
    let arguments = words.get(1..).unwrap_or_default();
    let is = |said: &[&str]| arguments.iter().filter_map(Word::literal).any(|word| said.contains(&word));
    let shortened = |word: &Word| {
        let name = word.beginning().split('=').next().unwrap_or_default();
        name.len() > 2 && name.starts_with("--") && RUNNING.iter().any(|running| running.starts_with(name))
    };
    let open = |word: &Word| word.literal().is_none() && word.beginning().is_empty() && !listed(CALM, own);
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
        "config" => !reads_settings(arguments),
        "archive" => short('o'),
        _ => false,
    };
    let transport = |word: &Word| word.beginning().contains("::");
    by_command || arguments.iter().any(|word| shortened(word) || open(word) || transport(word))
}

fn reads_settings(arguments: &[Word]) -> bool {
    let reading = ["--get", "--get-all", "--list", "-l", "--get-regexp", "get", "list", "--show-origin"];
    let said: Option<Vec<&str>> = arguments.iter().map(Word::literal).collect();
    let Some(said) = said else { return false };
    let operands: Vec<&&str> = said.iter().filter(|word| !word.starts_with('-')).collect();
    said.first().is_some_and(|first| reading.contains(first))
        || (operands.len() == 1 && said.len() == 1)
        || operands.first().is_some_and(|setting| is_calm(setting))
}
