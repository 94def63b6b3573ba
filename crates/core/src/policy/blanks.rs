//! Makes one of all the ways to write a command line that differ only in what bash throws away.
//!
//! For rules that forbid or ask, never for those that allow: it may make one of two lines that are not the same (blanks of a
//! here-document), which only ever forbids more. It is no parser: quotes, variables and paths can still say the same in
//! other words.

/// Where the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Plain,
    Single,
    Double,
    Comment,
}

/// Returns the line without blanks, line ends and semicolons around it, with one blank for each run of unquoted ones, without
/// comments and continued lines.
pub(super) fn collapse(command: &str) -> String {
    let mut out = String::with_capacity(command.len());
    // What is before this was quoted or escaped: it is no blank, whatever it looks like.
    let mut fixed = 0;
    let mut state = In::Plain;
    let mut rest = command.chars();
    while let Some(letter) = rest.next() {
        match (state, letter) {
            (In::Comment, '\n') => (state, _) = (In::Plain, end_line(&mut out, fixed)),
            (In::Comment, _) => {}
            (In::Plain, ' ' | '\t') if fixed < out.len() && out.ends_with([' ', '\n']) => {}
            (In::Plain, ' ' | '\t') if out.is_empty() => {}
            (In::Plain, ' ' | '\t') => out.push(' '),
            (In::Plain, '\n') => end_line(&mut out, fixed),
            (In::Plain, '#') if fixed <= out.len() && begins_word(&out, fixed) => state = In::Comment,
            (In::Plain | In::Double, '\\') => {
                if let Some(next) = rest.next().filter(|next| *next != '\n') {
                    out.extend(['\\', next]);
                    fixed = out.len();
                }
            }
            (_, letter) => {
                out.push(letter);
                state = after(state, letter);
                fixed = if state != In::Plain || matches!(letter, '\'' | '"') { out.len() } else { fixed };
            }
        }
    }
    let kept = out.get(fixed..).map_or(0, |end| end.trim_end_matches([' ', '\n', ';']).len());
    out.truncate(fixed + kept);
    out
}

fn after(state: In, letter: char) -> In {
    match (state, letter) {
        (In::Plain, '\'') => In::Single,
        (In::Plain, '"') => In::Double,
        (In::Single, '\'') | (In::Double, '"') => In::Plain,
        (same, _) => same,
    }
}

fn end_line(out: &mut String, fixed: usize) {
    while out.len() > fixed && out.ends_with(' ') {
        out.pop();
    }
    let ended = out.len() > fixed && out.ends_with('\n');
    if !out.is_empty() && !ended {
        out.push('\n');
    }
}

fn begins_word(out: &str, fixed: usize) -> bool {
    out.is_empty() || (out.len() > fixed && out.ends_with([' ', '\n', ';', '&', '|', '(', ')']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_what_bash_throws_away_are_one() {
        for same in [
            "rm -rf /",
            " rm -rf / ",
            "rm  -rf\t/",
            "\trm \t -rf  / \n",
            "\n\nrm -rf /",
            "rm -rf /;",
            "rm -rf / ; ",
            "rm -rf \\\n/",
            "rm \\\n  -rf /",
            "rm -rf / # all",
            "# first\nrm -rf /",
            "rm -rf /\n\n# last",
        ] {
            assert_eq!(collapse(same), "rm -rf /", "{same:?}");
        }
        assert_eq!(collapse("a \n\n  b"), collapse("a\nb"));
    }

    #[test]
    fn what_is_quoted_or_escaped_stays() {
        for line in [
            "echo 'a  b'",
            "echo \"a  b\"",
            "echo \"a \\\"  b\"",
            "echo a\\ ",
            "echo a\\  b",
            "find . -exec ls {} \\;",
            "echo 'a; '",
            "echo a#b '# c' \"# d\" \\# e",
            "echo '\n\n'",
        ] {
            assert_eq!(collapse(line), line);
        }
        assert_eq!(collapse("echo '"), "echo '");
        assert_eq!(collapse("echo \\"), "echo");
        assert_eq!(collapse(""), "");
    }
}
