//! Says whether a command's words name the workspace's own folder: agents, policies, the token.
//!
//! A person looks at that, whatever is allowed. It is found where it is written out, and where the text around a gap fits it;
//! a word that is nothing but a gap is anything, and is not asked about for that alone.

use super::judge::Look;
use super::shell::{self, Bit, Part, Touch, Word};
use super::{Reach, Subject};

/// The workspace's own folder.
const FOLDER: &str = ".outlive";

/// What in it no call may change, where a gap stands before it.
const FILES: [&str; 3] = ["/token", "/policy.yaml", "/policy.local.yaml"];

/// Programs that only show what they are given.
const SHOWING: &str = "\
    cat cmp diff du file grep head less ls md5sum rg sha256sum stat tail test wc";

/// Says which argument is a path where no call may go, or could be one.
pub(super) fn named(words: &[Word], look: Look<'_>) -> Option<String> {
    let name = words.first().and_then(Word::literal).map_or("", shell::base);
    let touch = if shell::listed(SHOWING, name) { Touch::Read } else { Touch::Write };
    words
        .iter()
        .skip(1)
        .find_map(|word| match word.literal() {
            Some(text) => paths(text).into_iter().find(|path| {
                let is_forbidden = |subject: Subject| subject.reach == Reach::Forbidden;
                !of_the_system(path) && look(path, touch).is_ok_and(is_forbidden)
            }),
            None => could_be(word).then_some("…"),
        })
        .map(|path| format!("it names what no call may change: {path}"))
}

fn of_the_system(path: &str) -> bool {
    ["/dev", "/proc", "/sys"].iter().any(|folder| path.starts_with(folder))
}

/// Returns the paths that a word can hold: itself, what follows a `=`, `-C.outlive`, `@/srv/a`.
fn paths(word: &str) -> Vec<&str> {
    let value = word.split_once('=').map(|(_, path)| path);
    let glued = word.strip_prefix('-').and_then(|rest| rest.get(1..));
    let rooted = word.find(['/', '.']).and_then(|at| word.get(at..));
    let all = [Some(word), value, glued, rooted].into_iter().flatten();
    all.filter(|path| !path.is_empty() && path.len() < 4096).collect()
}

/// Whether a word that is not written out could name the folder, by the text around its gaps.
fn could_be(word: &Word) -> bool {
    let bits = word.bits();
    bits.iter().enumerate().any(|(n, bit)| {
        let Bit::Text(text) = bit else { return false };
        let before_gap = n + 1 < bits.len();
        text.contains(FOLDER)
            || (before_gap && begins(text, n))
            || (!before_gap && FILES.iter().any(|file| text.ends_with(file)))
    })
}

/// Whether what this text ends in begins the folder's name.
fn begins(text: &str, place: usize) -> bool {
    let Some(at) = text.rfind('.') else { return false };
    let (before, name) = text.split_at(at);
    let glued = before.len() == 2 && before.starts_with('-');
    // After a gap, `.o` is rather the end of a name: `*.o*`.
    let whole =
        if before.is_empty() { place == 0 || name.len() > 3 } else { before.ends_with(['/', '=', ':', '@', ',']) };
    FOLDER.starts_with(name) && (glued || whole)
}

/// Says why a line that names the folder anywhere may reach it by another name: by a variable, or after a `cd`.
pub(super) fn hinted(line: &str, parts: &[Part]) -> Option<&'static str> {
    let programs = || {
        parts.iter().filter_map(|part| match part {
            Part::Program { words, .. } => Some(words),
            Part::Path { .. } | Part::Unknown { .. } => None,
        })
    };
    let text = |word: &Word| word.bits().iter().any(|bit| matches!(bit, Bit::Text(text) if text.contains(FOLDER)));
    if !line.contains(FOLDER) && !programs().flatten().any(text) {
        return None;
    }
    let moves = |word: &Word| matches!(word.literal(), Some("cd" | "pushd" | "popd" | "find"));
    let is_open =
        programs().any(|words| words.first().is_some_and(moves) || words.iter().any(|word| word.literal().is_none()));
    is_open.then_some("it may reach the workspace's own folder by another name")
}
