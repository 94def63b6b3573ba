use super::*;

fn shown(command: &str) -> Vec<String> {
    let show = |part: Part| match part {
        Part::Program { words, role: Role::Runs } => line(&words),
        Part::Program { words, role: Role::Carries } => format!("[{}]", line(&words)),
        Part::Program { words, role: Role::Steers } => format!("({})", line(&words)),
        Part::Path { touch: Touch::Read, path } => format!("<{}", path.unwrap_or("…".to_owned())),
        Part::Path { touch: Touch::Write, path } => format!(">{}", path.unwrap_or("…".to_owned())),
        Part::Unknown { .. } => "?".to_owned(),
    };
    parts(command).into_iter().map(show).collect()
}

#[track_caller]
fn check(table: &[(&str, &[&str])]) {
    for (command, expected) in table {
        assert_eq!(shown(command), *expected, "{command:?} {:?}", parts(command));
    }
}

#[test]
fn every_command_of_a_line_is_a_part() {
    check(&[
        ("git status", &["git status"]),
        ("x # git", &["x"]),
        ("# x\ny", &["y"]),
        ("echo a#b; x", &["echo 'a#b'", "x"]),
        ("a; b & c && d || e | f |& g\nh", &["a", "b", "c", "d", "e", "f", "g", "h"]),
        ("x&y", &["x", "y"]),
        ("(a; b) && { c; } ", &["a", "b", "c"]),
        ("if a; then b; elif c; then d; else e; fi", &["a", "b", "c", "d", "e"]),
        ("while a; do b; done; until c\ndo d\ndone", &["a", "b", "c", "d"]),
        ("for i in 1 $(a); do b $i; done", &["a", "b …"]),
        ("case $(a) in (b|$(c)) d;; *) e;& f) g; esac", &["a", "c", "d", "e", "g"]),
        ("[[ $(a) == b && -f c ]] && d", &["a", "d"]),
        ("! a; time -p b; time c | d", &["a", "b", "c", "d"]),
        ("f() { x; }", &["?", "x"]),
        ("function f { x; }; f", &["?", "x", "f"]),
        ("", &[]),
        ("l\\\ns", &["ls"]),
        ("ls \\\n -l", &["ls -l"]),
    ]);
}

#[test]
fn what_runs_in_words_is_a_part() {
    check(&[
        ("a $(b `c` \"$(d)\")", &["c", "d", "b … …", "a …"]),
        ("a <(b) >(c) < <(d)", &["b", "c", "d", "<…", "a … …"]),
        ("a \"${b:-$(c)}\" ${d/`e`/$(f)}", &["c", "e", "f", "a … …"]),
        ("a=$(b) c=(1 $(d))", &["b", "d", "?"]),
        ("cat <<E\n$(a) `b` \\$(c)\nE\nd", &["cat", "a", "b", "d"]),
        ("cat <<'E'\n$(a)\nE\nd", &["cat", "d"]),
        ("a $(cat <<'E'\n) \" '\nE\n) b", &["cat", "a … b"]),
        ("a <<< \"$(b)\"", &["b", "a"]),
        ("a \"`b \\`c\\``\"", &["c", "b …", "a …"]),
        ("a $(( $(b) + 1 ))", &["b", "?", "a …"]),
        ("a $((1 + 2))", &["a …"]),
        ("a {b,$(c)}", &["c", "a b …"]),
    ]);
}

#[test]
fn words_are_read_through_their_quotes() {
    check(&[
        ("'r'm r\"m\" \\rm $'r\\x6d' $\"rm\" r''m", &["rm rm rm rm rm rm"]),
        ("{rm,-rf,/x}", &["rm -rf /x"]),
        ("{,rm} {a}", &["rm '{a}'"]),
        ("a{b,c}{d,e}", &["abd abe acd ace"]),
        ("a *.rs ~/b ~ [ab] [ \"$c\" ]", &["a ….rs …/b … … [ … ]"]),
        ("a \"b$c\" $'\\''", &["a b… ''\\'''"]),
        ("\"\"", &["''"]),
    ]);
}

#[test]
fn redirections_are_paths() {
    check(&[
        ("a > b 2>> /c < d &> e", &[">b", ">/c", "<d", ">e", "a"]),
        ("a 2>&1 >/dev/null 2>&- <&0 >&2", &["a"]),
        (">a b", &[">a", "b"]),
        ("{ a; } > $b", &["a", ">…"]),
        ("cd x && ls > b", &["cd x", ">…", "ls"]),
        ("ls > b; cd x", &[">…", "ls", "cd x"]),
        ("cd x; ls > /b", &["cd x", ">/b", "ls"]),
        ("cd x && a > b", &["cd x", ">…", "a", "?"]),
        ("for i in 1; do a > b; done", &[">b", "a", "?"]),
        ("a > b | c", &[">b", "a", "c", "?"]),
        ("a >| b <> c >& d", &[">b", ">c", ">d", "a"]),
    ]);
}

#[test]
fn wrappers_are_looked_through() {
    check(&[
        ("env A=1 x y", &["?", "[env A=1 x y]", "x y"]),
        ("env -i CI=1 x", &["[env -i CI=1 x]", "x"]),
        ("env", &["env"]),
        ("sudo -u root x", &["sudo -u root x", "x"]),
        (
            "timeout -s KILL 5 nice -n 3 nohup x y",
            &["[timeout -s KILL 5 nice -n 3 nohup x y]", "[nice -n 3 nohup x y]", "[nohup x y]", "x y"],
        ),
        ("xargs -I{} x {}", &["[xargs '-I{}' x {}]", "x …"]),
        ("xargs -n 1 -I{} x {}", &["[xargs -n 1 '-I{}' x {}]", "x … …"]),
        ("xargs x", &["[xargs x]", "x …"]),
        ("find . -name '*.o' -exec x {} + -delete", &["find . -name '*.o' -exec x {} + -delete", "x …", "rm …"]),
        ("bash -c 'x; y'", &["[bash -c 'x; y']", "x", "y"]),
        ("sh -ec x", &["[sh -ec x]", "x"]),
        ("sh -c 'a &>b c'", &["[sh -c 'a &>b c']", "?"]),
        ("eval x 'y; z'", &["[eval x 'y; z']", "x y", "z"]),
        ("trap 'x' EXIT", &["x", "[trap x EXIT]"]),
        (
            "command x; builtin y; exec z; command -v w",
            &["[command x]", "x", "[builtin y]", "y", "[exec z]", "z", "command -v w"],
        ),
        ("ssh -p 22 host 'x; y'", &["ssh -p 22 host 'x; y'", "x", "y"]),
        ("busybox x y", &["[busybox x y]", "x y"]),
        ("flock /l x", &["flock /l x", "x"]),
        ("./env x", &["./env x", "x"]),
        ("git -C a push", &["[git push]", "git -C a push"]),
    ]);
}

#[test]
fn what_cannot_be_told_is_unknown() {
    let unknown = [
        "$x",
        "x'",
        "x \"",
        "$(x",
        "`x",
        "(x",
        "{ x",
        "if x",
        "x )",
        "cat <<E\nx",
        "alias a=b",
        "source f",
        ". f",
        "shopt -s x",
        "set -o posix",
        "PATH=/x y",
        "IFS=x y",
        "LD_PRELOAD=a ls",
        "BASH_ENV=a ls",
        "export PATH=a",
        "echo | sh",
        "bash",
        "bash -s",
        "python3 -c x",
        "python3",
        "perl -e x",
        "awk 'BEGIN{system(\"x\")}'",
        "sed e",
        "sed 's/a/b/e'",
        "sed 's/a/b/w f'",
        "git -c core.pager=x log",
        "git x",
        "git rebase -x y",
        "eval \"$x\"",
        "bash -c \"$x\"",
        "trap \"$x\" EXIT",
        "xargs $x",
        "env -S 'x y'",
        "a[$(x)]=1",
        "((a[0]))",
        "echo $((x))",
        "echo ${!x}",
        "echo ${x@P}",
        "echo $[1]",
        "[[ $x -eq 1 ]]",
        "printf -v a x",
        "read 'a[$(x)]'",
        "coproc x",
        "select a in b; do x; done",
        "for ((;;)); do x; done",
        "x\u{7}",
        "x\r",
        "echo \"${a:-'}\"; x",
        "unset 'a[$(x)]'",
        "declare -i a=x",
        "declare -n a=b",
        "let a=1",
        "test -v 'a[$(x)]'",
        "12>a x",
        "{a}>b x",
        "cat <<E $(\nE\n)",
        "a=(b)#c; x",
        "tar xf a --to-command=x",
        "rg --pre x y",
        "find $x",
        "vim a",
        "\"$\\\n(x)\"",
    ];
    for command in unknown {
        assert!(shown(command).contains(&"?".to_owned()), "{command:?} {:?}", parts(command));
    }
}

#[test]
fn depth_and_size_are_bounded() {
    for deep in [
        format!("{}x{}", "( ".repeat(50_000), " )".repeat(50_000)),
        format!("echo {}x{}", "$(echo ".repeat(9_000), ")".repeat(9_000)),
        format!("echo {}x{}", "${a:-".repeat(9_000), "}".repeat(9_000)),
        format!("echo {}x", "\"$(".repeat(9_000)),
        format!("{}x", "env ".repeat(9_000)),
        format!("{}x", "((".repeat(9_000)),
        format!("{}x", "{ ".repeat(9_000)),
        format!("echo {}", "{a,b}".repeat(40)),
        format!("cat {}", "<<E ".repeat(9_000)),
        "a;".repeat(40_000),
    ] {
        assert!(shown(&deep).contains(&"?".to_owned()), "{}", deep.get(..40).unwrap_or_default());
    }
}
