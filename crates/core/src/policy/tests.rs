use super::*;
use crate::policy::shell::Touch;

fn subject(tool: &str, target: &str, reach: Reach) -> Subject {
    Subject { tool: tool.to_owned(), target: target.to_owned(), reach }
}

fn bash(command: &str) -> Subject {
    subject("bash", command, Reach::Beyond)
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, "policy.yaml").unwrap()
}

fn refusal(text: &str) -> String {
    Policy::parse(text, "policy.yaml").unwrap_err().to_string()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allow { .. } => "allow",
        Verdict::Ask { .. } => "ask",
        Verdict::Deny { .. } => "deny",
    }
}

#[test]
fn reach_decides_where_no_rule_speaks() {
    let table = [
        ("ask", ["allow", "allow", "ask", "deny"]),
        ("restrict", ["allow", "deny", "deny", "deny"]),
        ("dangerous", ["allow", "allow", "allow", "deny"]),
    ];
    for (mode, expected) in table {
        let policy = policy(&format!("mode: {mode}"));
        let subjects = [
            subject("read", "/ws/a", Reach::Within),
            subject("write", "/ws/a", Reach::Within),
            bash("ls"),
            subject("write", "/ws/policy.yaml", Reach::Forbidden),
        ];
        assert_eq!(subjects.map(|s| word(&policy.rule(&s))), expected, "{mode}");
    }
    assert_eq!(word(&Policy::default().rule(&bash("ls"))), "ask");
}

#[test]
fn an_exact_rule_allows_its_command_and_nothing_near_it() {
    let policy = policy("allow: ['bash:ls']");
    assert_eq!(policy.rule(&bash("ls")), Verdict::Allow { rule: "bash:ls".to_owned() });
    let same = [
        "ls",
        "ls ",
        " ls",
        "ls\t",
        "ls\n",
        "\nls",
        "ls;",
        "ls&",
        "ls # x",
        "# x\nls",
        "l''s",
        "\"ls\"",
        "\\ls",
        "l\\s",
        "(ls)",
        "{ ls; }",
        "! ls",
        "ls | ls && ls",
        "ls 2>&1 >/dev/null",
        "if ls; then ls; fi",
    ];
    for command in same {
        assert_eq!(word(&policy.rule(&bash(command))), "allow", "{command:?}");
    }
    let attacks = [
        "x # ls",
        "echo a; x",
        "ls; x",
        "ls;x",
        "x $(pwd)",
        "ls $(x)",
        "`x`",
        "ls `x`",
        "x < <(y)",
        "ls < <(x)",
        "ls\nx",
        "env x",
        "bash -c x",
        "FOO=1 x",
        "FOO=1 ls",
        "x&y",
        "ls&x",
        "ls|x",
        "ls||x",
        "ls&&x",
        "ls${IFS}x",
        "l$@s",
        "x <<E\nls\nE",
        "cat <<ls",
        "alias ls=x; ls",
        "eval x",
        "LS",
        "ls *",
        "ls\0",
        "ls\u{a0}",
        "ls\u{200b}",
        "ｌｓ",
        "",
        "ls > /ws/policy.yaml",
        "/bin/ls",
        "xargs ls",
        "ls() { x; }; ls",
        "PATH=/x ls",
        "ls\rx",
        "sudo ls",
        "./ls",
        "$ls",
        "ls -l",
        "time x",
        "command x",
        "exec x",
    ];
    let restrict = self::policy("mode: restrict\nallow: ['bash:ls']");
    for attack in attacks {
        assert_eq!(word(&policy.rule(&bash(attack))), "ask", "{attack:?}");
        assert_eq!(word(&restrict.rule(&bash(attack))), "deny", "{attack:?}");
    }
}

#[test]
fn deny_beats_ask_beats_allow_at_every_level() {
    let rule = |list: &str| policy(&format!("{list}: ['bash:x']"));
    let (deny, ask, allow) = (rule("deny"), rule("ask"), rule("allow"));
    for (workspace, agent, expected) in [
        (&deny, &allow, "deny"),
        (&allow, &deny, "deny"),
        (&ask, &allow, "ask"),
        (&allow, &ask, "ask"),
        (&ask, &deny, "deny"),
        (&deny, &ask, "deny"),
        (&allow, &allow, "allow"),
    ] {
        let both = Policy::combine(workspace.clone(), agent.clone());
        assert_eq!(word(&both.rule(&bash("x"))), expected);
    }
}

#[test]
fn the_more_specific_level_sets_the_mode() {
    let (restrict, dangerous, silent) = (policy("mode: restrict"), policy("mode: dangerous"), Policy::default());
    assert_eq!(Policy::combine(restrict.clone(), dangerous.clone()).mode, Some(Mode::Dangerous));
    assert_eq!(Policy::combine(dangerous, restrict.clone()).mode, Some(Mode::Restrict));
    assert_eq!(Policy::combine(restrict, silent).mode, Some(Mode::Restrict));
}

#[test]
fn deny_and_ask_hold_in_dangerous_mode() {
    let policy = policy("mode: dangerous\ndeny: ['bash:x']\nask: ['bash:y']");
    assert_eq!(word(&policy.rule(&bash("x"))), "deny");
    assert_eq!(word(&policy.rule(&bash("y"))), "ask");
}

#[test]
fn an_allow_rule_does_not_open_what_is_forbidden() {
    let policy = policy("mode: dangerous\nallow: ['write:/**']");
    assert_eq!(word(&policy.rule(&subject("write", "/ws/policy.yaml", Reach::Forbidden))), "deny");
}

#[test]
fn an_unreadable_policy_denies_everything_and_says_so() {
    let broken = Policy::unreadable("policy.yaml:1:1: unknown key");
    for both in [
        Policy::combine(broken.clone(), policy("mode: dangerous")),
        Policy::combine(policy("mode: dangerous"), broken.clone()),
    ] {
        let verdict = both.rule(&subject("read", "/ws/a", Reach::Within));
        let Verdict::Deny { reason, .. } = verdict else { panic!("{verdict:?}") };
        assert!(reason.contains("policy.yaml:1:1"), "{reason}");
    }
}

#[test]
fn a_folder_rule_names_the_folder_and_what_is_below_it() {
    let policy = policy("mode: restrict\nallow: ['write:/srv/a/**', 'write:/srv/one']");
    for (path, expected) in [
        ("/srv/a", "allow"),
        ("/srv/a/b/c", "allow"),
        ("/srv/ab", "deny"),
        ("/srv/A/b", "deny"),
        ("/srv/one", "allow"),
        ("/srv/one/x", "deny"),
        ("/srv", "deny"),
    ] {
        assert_eq!(word(&policy.rule(&subject("write", path, Reach::Beyond))), expected, "{path}");
    }
    let all = self::policy("mode: restrict\nallow: ['write:/**']");
    assert_eq!(word(&all.rule(&subject("write", "/etc/x", Reach::Beyond))), "allow");
    assert_eq!(word(&all.rule(&subject("read", "/etc/x", Reach::Beyond))), "deny");
}

#[test]
fn a_rule_that_cannot_be_held_exactly_is_refused_with_its_place() {
    for (rule, expected) in [
        ("bash:git *; x", "more than one simple command"),
        ("bash:a > b", "more than one simple command"),
        ("web:http://a", "names a host"),
        ("web:a b", "names a host"),
        ("mcp:files", "names `SERVER/TOOL`"),
        ("write:src/**", "absolute path"),
        ("write:/a/*/b", "absolute path"),
        ("write:/a/../b", "absolute path"),
        ("write:/a//b", "absolute path"),
        ("bahs:ls", "did you mean `bash`"),
        ("writ:/a", "did you mean `write`"),
        ("files:/a", "it is one of `read`, `write`"),
        ("shell:ls", "it is one of"),
        ("bash: ", "no rule"),
        ("ls", "no rule"),
        ("bash:", "no rule"),
        (":ls", "no rule"),
    ] {
        let said = refusal(&format!("mode: ask\nallow:\n  - '{rule}'\n"));
        assert!(said.starts_with("policy.yaml:3:5: "), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_place_line_and_nearest_key() {
    let said = refusal("mode: ask\nalow: []\n");
    assert_eq!(said, "policy.yaml:2:1: unknown key `alow`: the nearest is `allow`\n  alow: []");
    assert_eq!(
        refusal("mode: dangerus"),
        "policy.yaml:1:7: unknown value `dangerus`: the nearest is `dangerous`\n  mode: dangerus"
    );
    assert!(refusal("spec: {modes: ask}").contains("the nearest is `mode`"));
    for broken in ["- a", "mode: [", "allow: ls", "allow: [1: 2]", "mode: ask\nmode: restrict"] {
        assert!(refusal(broken).starts_with("policy.yaml:"), "{broken}");
    }
}

#[test]
fn a_folder_that_may_not_be_written_may_not_be_edited() {
    for list in ["deny", "ask"] {
        let policy = policy(&format!("mode: dangerous\n{list}: ['write:/srv/**']"));
        for (tool, expected) in [("write", list), ("edit", list), ("read", "allow")] {
            assert_eq!(word(&policy.rule(&subject(tool, "/srv/a", Reach::Within))), expected, "{tool}");
        }
    }
    let allowed = policy("mode: restrict\nallow: ['write:/srv/**']");
    assert_eq!(word(&allowed.rule(&subject("edit", "/srv/a", Reach::Beyond))), "deny", "an allow names one tool");
}

#[test]
fn a_policy_of_another_kind_is_refused() {
    let said = refusal("apiVersion: outlive/v9\nkind: Policy\nspec: {mode: ask}");
    assert!(said.starts_with("policy.yaml:1:13: `outlive/v9` is not `outlive/v1` or"), "{said}");
    let said = refusal("apiVersion: outlive/v1\nkind: Agent\nspec: {mode: ask}");
    assert!(said.starts_with("policy.yaml:2:7: `Agent` is not `Policy`"), "{said}");
}

#[test]
fn wrapped_plain_and_empty_files_are_read() {
    let plain = policy("mode: restrict\ndeny: ['bash:x']");
    assert_eq!(policy("apiVersion: outlive/v1\nkind: Policy\nspec:\n  mode: restrict\n  deny: ['bash:x']"), plain);
    assert_eq!(policy(""), Policy::default());
    assert_eq!(policy("# nothing\n\n"), Policy::default());
}

#[test]
fn an_always_stores_exactly_what_was_asked() {
    let asked = bash("rm -rf *\n# all");
    assert_eq!(asked.as_rule(), "bash:rm -rf *\n# all");
    let Verdict::Ask { suggestion, .. } = Policy::default().rule(&asked) else { panic!("not asked") };
    assert_eq!(suggestion, asked.as_rule());
}

#[test]
fn no_spelling_gets_a_command_past_a_rule_that_forbids_or_asks() {
    let spellings = [
        "x y",
        "x y ",
        " x  y",
        "x\ty\n",
        "x y;",
        "x y # no",
        "\nx \\\ny",
        "'x' \"y\"",
        "/bin/x y",
        "./x y",
        "\\x y",
        "env x y",
        "a && (x y)",
        "bash -c 'x y'",
        "echo $(x y)",
        "nohup x y &",
        "{x,y}",
        "A=1 x y",
        "git -C z log; x y",
        "echo y | xargs -n1 x y",
    ];
    let deny = policy("mode: dangerous\ndeny: ['bash:x y', 'bash:x y *']");
    let ask = policy("mode: dangerous\nask: ['bash: x  y *']");
    for line in spellings {
        assert_eq!(word(&deny.rule(&bash(line))), "deny", "{line:?}");
        assert_eq!(word(&ask.rule(&bash(line))), "ask", "{line:?}");
    }
    for other in ["x 'y'z", "xy", "x z y", "'x y'", "x\\ y"] {
        assert_eq!(word(&deny.rule(&bash(other))), "allow", "{other:?}");
    }
    for doubtful in ["$a", "x $a", "x \"$a\"", "strace -f x y", "frob --with=x y", "frob 'x y'", "source z", "x ?"] {
        assert_eq!(
            word(&deny.rule(&bash(doubtful))),
            if doubtful.starts_with("strace") { "deny" } else { "ask" },
            "{doubtful:?}"
        );
        assert_eq!(word(&ask.rule(&bash(doubtful))), "ask", "{doubtful:?}");
    }
    let open = policy("mode: dangerous");
    assert_eq!(word(&open.rule(&bash("$a; source z"))), "allow", "nothing is denied that it could be");
}

#[test]
fn what_only_steers_needs_no_rule_beside_what_runs() {
    let policy = policy("allow: ['bash:echo *']");
    for (line, expected) in
        [("true", "ask"), ("set -e; exit", "ask"), ("set -e; echo a || true", "allow"), ("a=1", "ask")]
    {
        assert_eq!(word(&policy.rule(&bash(line))), expected, "{line}");
    }
}

#[test]
fn calls_that_a_rule_says_to_tell_of_are_found() {
    let policy = policy("notify: ['bash:rm *', {rule: 'write:/ws/**', webhook: 'https://a/b'}]");
    let told = |subject: &Subject| policy.notices(subject).iter().map(|one| one.rule.to_string()).collect::<Vec<_>>();
    assert_eq!(told(&bash("ls; env rm a")), ["bash:rm *"]);
    assert_eq!(told(&bash("$x")), ["bash:rm *"], "it could be");
    assert_eq!(told(&bash("ls > /ws/a")), Vec::<String>::new());
    assert_eq!(told(&subject("edit", "/ws/a", Reach::Within)), ["write:/ws/**"]);
}

#[test]
fn where_commands_are_denied_at_all_so_is_what_is_not_understood() {
    let all = policy("mode: dangerous\ndeny: ['bash:*']");
    for line in ["ls", "$x", "'"] {
        assert_eq!(word(&all.rule(&bash(line))), "deny", "{line}");
    }
}

#[test]
fn redirections_are_judged_as_paths() {
    let policy = policy("allow: ['bash:echo *']\ndeny: ['write:/ws/a']\nask: ['read:/ws/b']");
    let look = |path: &str, touch: Touch| {
        let (tool, reach) = match (touch, path) {
            (_, "/ws/policy.yaml") => ("write", Reach::Forbidden),
            (Touch::Write, path) => ("write", if path.starts_with("/ws/") { Reach::Within } else { Reach::Beyond }),
            (Touch::Read, _) => ("read", Reach::Within),
        };
        Ok(subject(tool, path, reach))
    };
    for (line, expected) in [
        ("echo a > /ws/c", "allow"),
        ("echo a > /ws/a", "deny"),
        ("echo a < /ws/b", "ask"),
        ("echo a > /out", "ask"),
        ("echo a > /ws/policy.yaml", "deny"),
        ("echo a > $b", "ask"),
        ("echo a /ws/policy.yaml", "ask"),
        ("echo --file=/ws/policy.yaml", "ask"),
    ] {
        assert_eq!(word(&policy.judge(&bash(line), &look).verdict), expected, "{line}");
    }
    let judged = policy.judge(&bash("echo a; x > $b; echo c"), &look);
    assert_eq!(
        judged.because(),
        [
            "not understood: it redirects to write what is not written out (default: what is not understood is asked)",
            "x (default: no rule allows it)"
        ]
    );
    assert_eq!(
        judged.parts.first().and_then(|part| part.place.clone()).map(|place| place.to_string()).as_deref(),
        Some("policy.yaml:1")
    );
}

#[test]
fn hosts_names_and_vectors_have_rules() {
    let rules = policy(
        "mode: restrict\ndeny: ['web:*.bad.org', 'mcp:files/write*', 'cli:gh repo delete *']\nallow: ['web:*', 'web:c.d:81', 'mcp:files/*', 'cli:gh *', 'skill:pdf-*', 'session:list', 'schedule:plan *']",
    );
    let vector = |words: &[&str]| subject("cli", &argument_vector(words), Reach::Beyond);
    for (tool, target, expected) in [
        ("web", "a.org", "allow"),
        ("web", "a.org:443", "allow"),
        ("web", "a.org:8080", "deny"),
        ("web", "c.d:81", "allow"),
        ("web", "A.BAD.org.", "deny"),
        ("web", "a.bad.org:81", "deny"),
        ("web", "[::1]", "allow"),
        ("mcp", "files/read_it", "allow"),
        ("mcp", "files/write_it", "deny"),
        ("mcp", "other/read", "deny"),
        ("skill", "pdf-read", "allow"),
        ("skill", "my-pdf-read", "deny"),
        ("session", "list", "allow"),
        ("session", "read", "deny"),
        ("schedule", "plan every 1d 0123456789abcdef", "allow"),
        ("schedule", "cancel sch_1", "deny"),
    ] {
        assert_eq!(word(&rules.rule(&subject(tool, target, Reach::Beyond))), expected, "{tool} {target}");
    }
    assert_eq!(word(&rules.rule(&vector(&["gh", "issue", "a b; $(c) '*'"]))), "allow");
    assert_eq!(word(&rules.rule(&vector(&["gh", "repo", "delete", "x y"]))), "deny");
    assert_eq!(word(&rules.rule(&vector(&["gh repo delete", "x"]))), "deny", "one word is no other");
}

#[test]
fn a_rule_on_read_binds_every_tool_that_shows() {
    let denied = policy("deny: ['read:/ws/a/**']\nallow: ['grep:/ws/**']");
    let asked = policy("ask: ['read:/ws/a/**']\nallow: ['grep:/ws/**']");
    for tool in ["read", "list", "glob", "grep", "edit"] {
        assert_eq!(word(&denied.rule(&subject(tool, "/ws/a/x", Reach::Within))), "deny", "{tool}");
        assert_eq!(word(&asked.rule(&subject(tool, "/ws/a/x", Reach::Within))), "ask", "{tool}");
    }
    assert_eq!(word(&denied.rule(&subject("write", "/ws/a/x", Reach::Within))), "allow");
    let allowed = policy("mode: restrict\nallow: ['read:/out/**']");
    assert_eq!(word(&allowed.rule(&subject("grep", "/out/x", Reach::Beyond))), "deny", "an allow reaches no further");
}

#[test]
fn a_walk_leaves_out_what_a_rule_closes_below_it() {
    let policy = policy("deny: ['read:/ws/a/**', 'list:/ws/b']\nask: ['grep:/ws/c/**']");
    let closed = |tool: &str, start: &str| {
        let closed = policy.closed(tool, start);
        ["/ws/a", "/ws/a/x", "/ws/b", "/ws/c/x", "/ws/d"].map(|path| closed.is_closed(path))
    };
    assert_eq!(closed("grep", "/ws"), [true, true, false, true, false]);
    assert_eq!(closed("grep", "/ws/c"), [true, true, false, false, false], "this was asked about");
    assert_eq!(closed("glob", "/ws"), [true, true, false, false, false]);
    assert_eq!(closed("list", "/ws"), [true, true, true, false, false]);
    assert_eq!(closed("write", "/ws"), [false; 5]);
}
