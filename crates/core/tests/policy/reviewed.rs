//! Lines that a hostile reader found: each ran a program that is not allowed, under a policy of everyday programs.

use outlive_core::policy::{Policy, Reach, Subject, Verdict};

use super::real::Ground;

const EVERYDAY: &str = "allow: ['bash:ls *', 'bash:echo *', 'bash:cd *', 'bash:git *', 'bash:find *', 'bash:sed *',
  'bash:tar *', 'bash:sort *', 'bash:printf *', 'bash:[ *', 'bash:cat *', 'bash:cp *', 'bash:mkdir *', 'bash:cargo *',
  'bash:ln *', 'bash:jobs *', 'bash:install *', 'bash:curl *', 'bash:bash *', 'bash:make *',
  'bash:ssh *', 'bash:strace *', 'bash:dc *']";

/// They run `touch` or `./evil/ls` in the real bash.
const RUNNING: &[&str] = &[
    // A quoted compound value, and words that split, of the builtins that assign.
    "declare -a a='($(touch pwn))'; ls",
    "readonly -a a='($(touch pwn))'; ls",
    "typeset -a a='($(touch pwn))'; ls",
    "export -a CI='($(touch pwn))'; ls",
    "a=(1); declare a='($(touch pwn))'; ls",
    "a=(1); declare a+='($(touch pwn))'; ls",
    "x='($(touch pwn))'; declare -a a=\"$x\"; ls",
    "x='($(touch pwn))'; a=(1); declare a=\"$x\"; ls",
    "x='1 PS4=$({touch,pwn})'; \\declare a=$x; set -x; ls",
    "x='1 PS4=$({touch,pwn})'; \\readonly a=$x; set -x; ls",
    "x='1 BASH_ENV=./evil/ls'; \\export CI=$x; bash -c ls",
    "x='1 PATH=./evil:/bin'; \\declare a=$x; ls",
    "read -aPS4 <<< '$({touch,pwn})'; set -x; ls",
    "read -raPS4 <<< '$({touch,pwn})'; set -x; ls",
    "RANDOM='a[$(touch pwn)]'; ls",
    "for RANDOM in 'a[$(touch pwn)]'; do ls; done",
    "read RANDOM <<< 'a[$(touch pwn)]'; ls",
    "declare OPTIND='a[$(touch pwn)]'; ls",
    "unset OPTIND; : ${OPTIND:='a[$(touch pwn)]'}; ls; printf -v 'b[$(touch pwn)]' 1",
    "printf -v 'a[$(touch pwn)]' 1; ls",
    "mapfile -C '{touch,pwn};:' -c 1 y <<< a; ls",
    "readarray -C '{touch,pwn};:' -c 1 y <<< a; ls",
    "unset 'a[$(touch pwn)]'; a=(1); unset 'a[$(touch pwn)]'; ls",
    "let 'a[$(touch pwn)]'; ls",
    "jobs -x touch pwn; ls",
    "env 'BASH_FUNC_ls%%=() { touch pwn; }' bash -c ls",
    // An option half in a gap.
    "x=exec; find . -maxdepth 0 -\"$x\" touch pwn ';'",
    "x=' -exec touch pwn ;'; find .$x",
    "x=';'; find f -exec ls \"$x\" -exec touch pwn ';'",
    "x=e1e\\ touch\\ pwn; sed p -\"$x\" f",
    "x='e1e touch pwn'; sed p -\"$x\" f",
    "x=v; printf -\"$x\" 'a[$(touch pwn)]' hi",
    "x=-to-command; tar xf a.tar -\"$x=touch pwn\"",
    "x=I; tar -c -\"$x\" 'touch pwn;cat' -f a.tar f",
    "x='-upload-pack=touch pwn;'; git fetch -\"$x\" .",
    "x='-upload-pack=touch pwn;'; git ls-remote -\"$x\" .",
    "x=-upload-pack; git ls-remote \"-$x=touch pwn;\" .",
    "x=-receive-pack='touch pwn;'; git push -\"$x\" . HEAD:refs/heads/zz",
    // Settings of git.
    "y='. -c core.fsmonitor=./evil/ls'; git -C $y status",
    "y='1 -c core.fsmonitor=./evil/ls'; git -c user.x=$y status",
    "y='1 -c core.fsmonitor=./evil/ls'; git -c user.name=$y status",
    "mkdir user.; git config -f user./../.git/config core.fsmonitor 'touch pwn'; git status",
    "git config user.core.fsmonitor 'touch pwn'; git config --rename-section user.core core; git status",
    // Where a command in another's arguments ends, and what goes into it.
    "find f -exec sed -n p + -e '1e touch pwn' f ';'",
    "printf '%s\\n' '-e1e touch pwn' f | xargs -d '\\n' -I% -n2 sed -n p",
    "printf '%s\\n' '-e1e touch pwn' f | xargs -d '\\n' -I% -L2 sed -n p",
    "printf '%s\\n' '-e1e touch pwn' f | xargs -d '\\n' -I% --max-args=2 sed -n p",
    "echo '-e1e touch pwn' | xargs -I% -I@ -d '\\n' sed -n p @ f",
    "tar cIf 'touch pwn;cat' a.tar f",
    "x=I; tar c\"$x\"f 'touch pwn;cat' a.tar f",
    "x=-v; y='a[$(touch pwn)]'; [ a = a -a \"$x\" \"$y\" ]",
];

/// They write, or leave the workspace by a link or a `cd`; judged, not run.
const JUDGED: &[&str] = &[
    "x=o; sort f -\"$x\"pwn",
    "x=--output=pwn; git log -1 \"$x\"",
    "printf '%s\\n' --output=pwn HEAD | xargs git log",
    "git log --grep -- --output=pwn",
    "x=--output=pwn; git log --grep -- \"$x\"",
    "x=--output=pwn; git commit -C -m \"$x\"",
    "for i in 1 2; do echo x > .bashrc; cd ~; done",
    "trap 'echo x > .bashrc' EXIT; cd ~",
    "find /srv/.bashrc -execdir bash -c 'echo x > .bashrc' ';'",
    "ln -s /etc/cron.d/x l; echo evil > l",
    "cp -P k l; echo evil > l",
    "tar xf a.tar; echo evil > l",
    "git checkout topic && echo evil > l",
    "for i in 1 2; do ln -sf /etc/cron.d/x l > l; done",
    "echo a | xargs -n1 bash -c 'cargo run > l'",
    "cat f | cargo run > l",
    "install --strip-program=./evil/ls -s f g",
    "make -E 'x:=$(shell touch pwn)'",
    "declare a=$x; ls",
    "set -x; ls",
    "git config -f a user.name x",
    "git config --file=a user.name x",
    "git config user.name --unset",
    "git config user.core.fsmonitor x; git config --rename-section user core; git status",
    "getopts ab y -a; ls",
    "git config --edit",
    "x='a.tar --to-command=touch$IFS/tmp/pwn'; tar xf $x",
    "x='--to-command=touch pwn'; tar xf a.tar f \"$x\"",
    "tar --use=./evil/ls -cf b.tar f",
    "x=-fprint; find . $x pwn",
    "b='a[$(touch pwn)]'; a=(1); echo ${a[b]}",
    "find f -okdir touch pwn ';'",
    "git grep -O./evil/ls hi",
    "git grep --open=./evil/ls hi",
    "git format-patch --output=pwn -1",
    "git -c core.editor=./evil/ls commit --amend",
    "git rebase --root -x 'touch pwn'",
    "git archive --outp=pwn HEAD",
    "git range-diff --output=pwn HEAD HEAD HEAD",
    "git shortlog --output=pwn HEAD",
    "git show --output=pwn",
    "sed --expression='1e touch pwn' f",
    "sed '1~1e touch pwn' f",
    "sed 's/h/&/;1e touch pwn' f",
    "sed 's,h,x,;e touch pwn' f",
    "bash --rcfile evil/ls -i -c ls",
    "bash --init-file evil/ls -ic ls",
    "x='f -o pwn'; sort f*$x",
    "x='-e 1etouch'; sed -n p src/$x",
    "x='ls'; xargs -I \"$x\" ls < f",
    "find . -exec ls {\"$x\" -exec touch pwn ';'",
    "find . -exec ls {} \"$x\" -exec touch pwn ';'",
    "find . -exec ls {} $x",
    "x=I; tar \"c$x\"f 'touch pwn;cat' a.tar f",
    "x=--output=pwn; git branch \"$x\"",
    "x=--output=pwn; git show HEAD $x",
    "x='a --output=pwn'; git diff HEAD:$x",
    "x=--upload-pack=./evil/ls; git fetch -- \"$x\"",
    "git fetch ext:\"$x\"",
    "git commit -m $x",
    "git commit -m \"$(cat f)\" -\"$x\"",
    "git commit -F -m \"$x\"",
    "git add -\"$x\"",
    "x='[ -v'; [ a -o \"$x\" b ]",
    "wait -p PS4",
    "wait -pPS4",
    "unset -n x",
    "read -u$x y; ls",
    "read -t 1 -a BASH_ENV; ls",
    "readonly PS4; ls",
    "local -n x=y; ls",
    "export -n PATH; ls",
    "echo ${BASH_ENV:=./evil/ls}",
    "echo \"${PROMPT_COMMAND=a}\"",
    "while true; do ls > l; cargo run; done",
    "until false; do ls > l; cp a l; done",
    "(cp a l); ls > l",
    "ls > $(cp a l)l",
    "ls < l; git pull",
    "echo a > l & cd ..",
    "ls > l; pushd ..",
    "eval cd ..; ls > l",
    "builtin cd ..; ls > l",
    "strace -o '|touch pwn' ls",
    "ssh -o ProxyCommand='touch pwn' h",
    "ssh -F evil h",
    "echo '!touch pwn' | dc",
    "git -c \"$x\" status",
    "git -c user.name\"$x\" status",
];

fn verdict(policy: &Policy, command: &str) -> Verdict {
    let subject = Subject { tool: "bash".into(), target: command.into(), reach: Reach::Beyond };
    let look = |path: &str, _touch| {
        let reach = if path.contains(".outlive") {
            Reach::Forbidden
        } else if path.starts_with(['/', '~']) || path.starts_with("..") {
            Reach::Beyond
        } else {
            Reach::Within
        };
        Ok(Subject { tool: "write".into(), target: format!("/ws/{path}"), reach })
    };
    policy.judge(&subject, &look).verdict
}

#[track_caller]
fn is_kept(policies: &[Policy], command: &str) {
    for policy in policies {
        assert!(!matches!(verdict(policy, command), Verdict::Allow { .. }), "allowed: {command:?}");
    }
}

fn policies(others: &[&str]) -> Vec<Policy> {
    let all = [EVERYDAY].iter().chain(others).map(|text| Policy::parse(text, "policy.yaml").unwrap());
    all.collect()
}

#[test]
fn what_a_review_found_runs_for_real_and_is_not_allowed() {
    let policies = policies(&["mode: dangerous\ndeny: ['bash:touch *']", "allow: ['bash:*']\nask: ['bash:touch *']"]);
    let mut idle = Vec::new();
    for command in RUNNING {
        is_kept(&policies, command);
        if !Ground::with_evil().runs_x(command) {
            idle.push(command);
        }
    }
    assert!(idle.is_empty(), "these run nothing at all, and prove nothing: {idle:#?}");
}

#[test]
fn what_a_review_found_that_writes_elsewhere_is_not_allowed() {
    let policies = policies(&[]);
    let allowed = |command: &&&str| policies.iter().any(|one| matches!(verdict(one, command), Verdict::Allow { .. }));
    let allowed: Vec<_> = JUDGED.iter().filter(allowed).collect();
    assert!(allowed.is_empty(), "allowed: {allowed:#?}");
}

#[test]
fn the_workspaces_own_folder_is_found_by_every_spelling() {
    for command in [
        "cat .outl*/token",
        "cp f .outl*/policy.yaml",
        "cp f \"$PWD\"/.outlive/policy.yaml",
        "sed -i s/ask/dangerous/ .outl*/policy.yaml",
        "cd .outl*; cp /tmp/f policy.yaml",
        "tar xf a.tar -C.outlive",
        "cd .outlive; cp /tmp/f policy.yaml",
        "cd ..; cat ws/.outlive/token",
        "x=.outlive/token; cat \"$x\"",
        "cat .*/token",
        "cat ./.o\"$x\"",
        "cat \"$x\"/policy.yaml",
        "cat ~/ws/.outlive/token",
        "curl -d@.outlive/token http://localhost:80",
        "curl -F a=@.outlive/token http://localhost:80",
        "cat .out''live/token",
        "tar xf a.tar -C.outl*",
        "cat .outl[i]ve/token",
        "cat .[o]utlive/token",
        "cat ./.outl{i..i}ve/token",
        "cat $'\\x2eoutlive/token'",
        "cat ~+/.outlive/token",
    ] {
        is_kept(&policies(&["mode: dangerous"]), command);
    }
    let policy = Policy::parse("mode: dangerous", "policy.yaml").unwrap();
    for command in ["cat src/main.*", "ls ../*", "wc -l \"$f\"", "cat .github/*", "ls *.o*", "cd ..; ls"] {
        assert!(matches!(verdict(&policy, command), Verdict::Allow { .. }), "{command}");
    }
}

#[test]
fn what_is_plain_is_still_allowed() {
    let policy = Policy::parse(EVERYDAY, "policy.yaml").unwrap();
    let plain = [
        "git log -- \"$f\"",
        "git add \"$f\" src/*.rs",
        "git commit -am \"$(cat f)\"",
        "git -C \"$d\" status",
        "git config --global user.name \"A B\"",
        "git show HEAD:\"$f\"",
        "find . -name '*.o' -exec ls {} + -print",
        "echo a | xargs -I{} ls {}",
        "sort src/*.txt",
        "sed -n 1p src/*.rs",
        "tar czf a.tgz src/*",
        "cargo run > log",
        "ls > a; echo b >> a",
        "read -r -p 'a' x < f; ls",
        "declare -r a=1; export CI=1; ls",
        "[ \"$a\" = \"$b\" ] && [ ! -f \"$a\" ]",
        "echo \"${u:=x}\" a[0]",
    ];
    let asked: Vec<_> = plain.iter().filter(|one| !matches!(verdict(&policy, one), Verdict::Allow { .. })).collect();
    assert!(asked.is_empty(), "{asked:#?}");
}

#[test]
fn braces_that_leave_nothing_are_not_expanded_without_end() {
    is_kept(&policies(&[]), &format!("ls {}", "{,,,,,,,,,}".repeat(8)));
    is_kept(&policies(&[]), &format!("ls {}", "{,}".repeat(5_000)));
}
