//! Programs whose arguments can hold code, or make them start something: what is not plainly harmless is not understood.

use super::{Found, Part, Touch, Word, listed};

/// Interpreters, and the options that give them no code.
const INTERPRETERS: [(&str, &str); 17] = [
    ("python", "uBOIsSVvq"),
    ("python2", "uBOIsSVvq"),
    ("python3", "uBOIsSVvq"),
    ("perl", "vVw"),
    ("ruby", "vw"),
    ("node", "v"),
    ("nodejs", "v"),
    ("deno", "V"),
    ("bun", "v"),
    ("php", "v"),
    ("lua", "v"),
    ("tclsh", ""),
    ("expect", "v"),
    ("osascript", ""),
    ("Rscript", ""),
    ("dc", ""),
    ("m4", ""),
];

/// Programs whose options can make them start others, with these options. Long ones are taken shortened too.
const OPTIONS: [(&str, &[&str]); 16] = [
    (
        "tar",
        &[
            "--to-command",
            "--checkpoint-action",
            "--use-compress-program",
            "--rsh-command",
            "--info-script",
            "--new-volume-script",
            "--rmt-command",
            "-I",
            "-F",
        ],
    ),
    ("sort", &["--compress-program"]),
    ("split", &["--filter"]),
    ("man", &["--pager", "--html", "-P", "-H"]),
    ("zip", &["--unzip-command", "--test", "-T"]),
    ("rsync", &["--rsh", "--rsync-path", "-e"]),
    ("scp", &["-S", "-o", "-F"]),
    ("sftp", &["-S", "-o", "-F", "-b"]),
    ("wget", &["--execute", "--use-askpass", "-e"]),
    ("curl", &["--config", "-K"]),
    ("rg", &["--pre", "--hostname-bin"]),
    ("fd", &["--exec", "--exec-batch", "-x", "-X"]),
    ("make", &["--eval", "-E"]),
    ("install", &["--strip-program"]),
    ("tcpdump", &["-z"]),
    ("bat", &["--pager"]),
];

/// Programs that start what their words say, in ways that are not read here.
const STARTERS: &str = "\
    at batch bwrap crontab dtach entr gdb hyperfine kubectl nc ncat netcat nsenter numactl docker perf pkexec \
    podman prlimit rlwrap screen script setarch socat start-stop-daemon su systemd-run tmux valgrind xvfb-run";

const EDITORS: &str = "\
    vi vim view vimdiff rvim rview ex ed red nvim emacs nano less more most";

/// Notes what a program's arguments can do beyond what its name says.
pub(super) fn look(found: &mut Found, words: &[Word], name: &str) {
    let arguments = words.get(1..).unwrap_or_default();
    let strange = match name {
        "awk" | "gawk" | "mawk" | "nawk" => !awk(arguments),
        "sed" | "gsed" => !sed(arguments),
        "test" | "[" => !test(arguments),
        "printf" => arguments.first().is_some_and(|first| {
            first.beginning().is_empty() || first.beginning().starts_with("-v") || first.may_be_option()
        }),
        "jobs" => arguments.iter().any(|word| word.may_be_option() || word.beginning().contains('x')),
        "tar" | "bsdtar" => old_style(arguments) || option(arguments, "tar"),
        "xargs" | "env" => true,
        _ if listed(EDITORS, name) || name.starts_with("ld-") || name.starts_with("ld.") => true,
        _ if listed(STARTERS, name) => arguments.iter().any(|word| word.literal().is_none()),
        _ => interpreter(arguments, name) || option(arguments, name),
    };
    if strange {
        found.unknown(format!("what `{name}` does with these arguments is not plain"));
    }
    if name == "dd" {
        for path in arguments.iter().filter(|word| word.beginning().starts_with("of=")) {
            found.push(Part::Path { touch: Touch::Write, path: path.after(3).literal().map(str::to_owned) });
        }
    }
}

/// Whether an interpreter is given code, or reads it from where nobody sees.
fn interpreter(arguments: &[Word], name: &str) -> bool {
    let version = |c: char| c.is_ascii_digit() || c == '.';
    let known = INTERPRETERS.iter().find(|(known, _)| *known == name || name.trim_end_matches(version) == *known);
    let Some((known, calm)) = known else { return false };
    let mut words = arguments.iter();
    loop {
        let Some(word) = words.next() else { return true };
        let Some(said) = word.literal() else { return true };
        match said.strip_prefix('-') {
            None => return false,
            Some("-version" | "-help") => return false,
            Some("m") if known.starts_with("python") => return words.next().and_then(Word::literal).is_none(),
            Some("V" | "v") if arguments.len() == 1 => return false,
            Some(letters) if !letters.is_empty() && letters.chars().all(|c| calm.contains(c)) => {}
            Some(_) => return true,
        }
    }
}

fn option(arguments: &[Word], name: &str) -> bool {
    let Some((_, options)) = OPTIONS.iter().find(|(known, _)| *known == name) else { return false };
    let long = |said: &str| {
        let said = said.split('=').next().unwrap_or_default();
        options.iter().any(|option| option.starts_with(said))
    };
    // Letters stand together: `-xvIf`.
    let short = |said: &str| {
        options
            .iter()
            .filter_map(|option| option.strip_prefix('-'))
            .any(|letter| letter.len() == 1 && said.contains(letter))
    };
    arguments.iter().any(|word| {
        let said = word.beginning();
        let given = match (said.starts_with("--"), said.starts_with('-')) {
            (true, _) => said.len() > 2 && long(said),
            (false, true) => short(said),
            (false, false) => false,
        };
        given || word.may_be_option()
    })
}

/// Whether `tar`'s first argument, which is letters also without a dash, has one that runs something.
fn old_style(arguments: &[Word]) -> bool {
    let Some(first) = arguments.first() else { return false };
    first.literal().is_none_or(|letters| !letters.starts_with("--") && letters.contains(['I', 'F']))
}

/// Whether an awk program only computes: it starts and writes nothing.
fn awk(arguments: &[Word]) -> bool {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(said) = word.literal() else { return false };
        match said {
            "-F" | "-v" => {
                if words.next().is_none() {
                    return false;
                }
            }
            _ if said.starts_with("-F") => {}
            _ if said.starts_with('-') => return false,
            program => {
                let running = ["system", "|", "getline", ">", "@", "close", "\\"];
                return !running.iter().any(|running| program.contains(running))
                    && words.all(|word| !word.beginning().starts_with('-'));
            }
        }
    }
    false
}

/// Whether a sed script only edits what passes through.
fn sed(arguments: &[Word]) -> bool {
    let (mut scripts, mut words, mut has_script) = (Vec::new(), arguments.iter(), false);
    while let Some(word) = words.next() {
        let Some(said) = word.literal() else {
            if !has_script || word.may_be_option() {
                return false;
            }
            continue;
        };
        match said {
            "-n" | "-E" | "-r" | "-i" | "-s" | "-z" | "-nE" | "-nr" | "--quiet" | "--regexp-extended" => {}
            "-e" | "-ne" => {
                scripts.extend(words.next());
                has_script = true;
            }
            _ if said.starts_with("-i.") => {}
            _ if said.starts_with('-') => return false,
            _ if !has_script => {
                scripts.push(word);
                has_script = true;
            }
            _ => {}
        }
    }
    has_script && scripts.iter().all(|script| script.literal().is_some_and(edits))
}

/// `s/…/…/flags`, or an address with `p`, `d`, `q` or `=`.
fn edits(script: &str) -> bool {
    script.split(['\n']).all(|one| {
        let one = one.trim();
        let rest = address(one);
        match rest.chars().next() {
            Some('p' | 'd' | 'q' | '=') => rest.len() == 1 || (rest.len() == 2 && rest.ends_with(';')),
            Some('s') => substitutes(rest),
            Some(_) | None => false,
        }
    })
}

/// Skips `1`, `$`, `/…/`, and two of them with a comma.
fn address(script: &str) -> &str {
    let mut rest = script;
    for _ in 0..2 {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '$');
        if let Some(pattern) = rest.strip_prefix('/') {
            let Some((before, after)) = pattern.split_once('/') else { return "" };
            if before.contains('\\') {
                return "";
            }
            rest = after;
        }
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    rest.trim_start_matches(['!', ' '])
}

fn substitutes(script: &str) -> bool {
    let Some(mark) = script.chars().nth(1).filter(|c| c.is_ascii_punctuation() && *c != '\\') else { return false };
    let mut pieces = vec![String::new()];
    let mut letters = script.chars().skip(2);
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == '[' && mark != '[' && pieces.len() == 1 {
            // In brackets the mark may be text or not: versions differ.
            let inside: String = letters.by_ref().take_while(|c| *c != ']').collect();
            if inside.contains(mark) || inside.contains('[') {
                return false;
            }
        } else if letter == mark {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
    }
    pieces.len() == 3 && pieces.last().is_some_and(|flags| flags.chars().all(|c| "gpiI0123456789".contains(c)))
}

/// Whether a test looks at words alone: `-v` evaluates the name that it is given, and unquoted words can be `-v`.
fn test(arguments: &[Word]) -> bool {
    let negated = arguments.iter().take_while(|word| word.literal() == Some("!")).count();
    let arguments = arguments.get(negated..).unwrap_or_default();
    let operands = arguments.strip_suffix(&[Word::of("]")]).unwrap_or(arguments);
    let open = |word: &Word| word.literal().is_none();
    let joins = operands.len() > 3 || operands.iter().any(|word| matches!(word.literal(), Some("-a" | "-o")));
    let literal_v = arguments.iter().any(|word| matches!(word.literal(), Some("-v" | "-R" | "(")));
    let operator_is_open =
        arguments.len() > 2 && arguments.get(1).is_some_and(open) && arguments.first().is_some_and(open);
    let first_of_two = operands.len() == 2 && operands.first().is_some_and(open);
    let moved = joins && operands.iter().any(open);
    !(arguments.iter().any(Word::splits) || literal_v || operator_is_open || first_of_two || moved)
}
