//! Variables: setting one is harmless unless the shell or what it starts acts on it.

use super::{Found, Word, listed};

/// What the shell acts on, or has handed on already when it starts; some are numbers, and evaluate what they are set to.
const OF_THE_SHELL: &str = "\
    PATH IFS ENV HOME SHELL TMPDIR TMP TEMP USER LOGNAME LANG LANGUAGE TERM TZ PWD OLDPWD CDPATH EDITOR VISUAL \
    PAGER GLOBIGNORE SHELLOPTS EXECIGNORE FIGNORE FUNCNEST POSIXLY_CORRECT PROMPT_COMMAND INPUTRC MAIL MAILPATH \
    OPTIND OPTARG OPTERR TMOUT TIMEFORMAT DIRSTACK TEXTDOMAIN TEXTDOMAINDIR HOSTFILE FCEDIT GREP_OPTIONS histchars \
    auto_resume MAKEFLAGS RANDOM SRANDOM SECONDS LINENO EPOCHSECONDS EPOCHREALTIME PPID UID EUID GROUPS FUNCNAME \
    PIPESTATUS MAILCHECK IGNOREEOF ignoreeof TAR_OPTIONS";

const PREFIXES: [&str; 18] = [
    "BASH", "LD_", "DYLD_", "LC_", "PS", "HIST", "COMP", "READLINE", "GIT_", "SSH_", "XDG_", "PYTHON", "PERL", "NODE_",
    "RUBY", "CARGO", "RUST", "OUTLIVE",
];

/// What a program may be given without changing what it runs.
const HARMLESS: &str = "\
    RUST_BACKTRACE RUST_LOG CARGO_TERM_COLOR CARGO_INCREMENTAL CI NO_COLOR FORCE_COLOR CLICOLOR CLICOLOR_FORCE \
    TERM COLUMNS LINES LANG LC_ALL TZ DEBUG NODE_ENV PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PORT VERBOSE \
    GIT_TERMINAL_PROMPT";

/// Notes assignments that stand in front of a command, or alone.
pub(super) fn set(found: &mut Found, names: &[String], words: &[Word]) {
    for name in names {
        let harmless = if words.is_empty() { keeps(name) } else { hands_on(name) };
        if !harmless {
            found.unknown(format!("it sets `{name}`"));
        }
    }
}

/// Whether a variable of the shell itself may be set.
pub(super) fn keeps(name: &str) -> bool {
    !listed(OF_THE_SHELL, name) && !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !is_proxy(name)
}

/// Whether it is written out, is the name of a variable, and that may be set.
pub(super) fn keeps_written(word: &Word) -> bool {
    word.literal().is_some_and(|text| !text.contains('=') && named(word) == Some(text) && keeps(text))
}

/// Whether what is started may be given it.
pub(super) fn hands_on(name: &str) -> bool {
    listed(HARMLESS, name)
}

fn is_proxy(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("_proxy")
}

/// Returns the name in `NAME` or `NAME=…`.
pub(super) fn named(word: &Word) -> Option<&str> {
    let begin = word.beginning();
    let (name, sets) = begin.split_once('=').map_or((begin, false), |(name, _)| (name, true));
    let name = name.strip_suffix('+').filter(|_| sets).unwrap_or(name);
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let begins = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    let is_whole = sets || word.literal().is_some();
    (plain && begins && is_whole).then_some(name)
}
