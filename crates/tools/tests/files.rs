//! The file tools: what they do, and the ways out of the workspace that they refuse.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests lay out the files that the tools meet")]

mod stage;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use outlive_core::event::Outcome;
use outlive_core::policy::{Policy, Reach, Ruled, Subject};
use outlive_tools::Found;
use outlive_tools::path::{Want, open, resolve};
use serde_json::json;
use stage::Stage;

fn put(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn text(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_written_file_is_read_back_with_line_numbers() {
    let stage = Stage::new();
    let finished = stage.run("write", json!({"path": "a/b/c.txt", "content": "one\ntwo\nthree\n"})).await;
    assert_eq!(finished.outcome, Outcome::Ok, "{finished:?}");
    assert_eq!(text(&stage.ws("a/b/c.txt")), "one\ntwo\nthree\n");
    let finished = stage.run("read", json!({"path": "a/b/c.txt", "offset": 2, "limit": 1})).await;
    assert_eq!(finished.content, "     2\ttwo\n[lines 2 to 2 of 3; go on with offset 3]");
    assert!(stage.run("read", json!({"path": "a/b/c.txt", "offset": 9})).await.content.contains("no line 9"));
}

#[tokio::test]
async fn replacing_a_file_keeps_its_mode_and_leaves_nothing_beside_it() {
    let stage = Stage::new();
    put(&stage.ws("run.sh"), "old");
    std::fs::set_permissions(stage.ws("run.sh"), std::fs::Permissions::from_mode(0o750)).unwrap();
    put(&stage.ws(&format!(".outlive-{}.tmp", stage.call)), "left by a dead attempt");
    for _ in 0..2 {
        stage.run("write", json!({"path": "run.sh", "content": "new"})).await;
    }
    assert_eq!(text(&stage.ws("run.sh")), "new");
    assert_eq!(std::fs::metadata(stage.ws("run.sh")).unwrap().permissions().mode() & 0o7777, 0o750);
    // What runs as its owner never does so with a content that a model wrote.
    std::fs::set_permissions(stage.ws("run.sh"), std::fs::Permissions::from_mode(0o6755)).unwrap();
    stage.run("write", json!({"path": "run.sh", "content": "other"})).await;
    assert_eq!(std::fs::metadata(stage.ws("run.sh")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read_dir(&stage.place.cwd).unwrap().count(), 2, "run.sh and own/");
}

#[tokio::test]
async fn binary_huge_and_missing_files_are_refused_with_the_way_out() {
    let stage = Stage::new();
    std::fs::write(stage.ws("bin"), b"a\0b").unwrap();
    std::fs::write(stage.ws("latin"), b"caf\xe9").unwrap();
    std::fs::File::create(stage.ws("huge")).unwrap().set_len(17 << 20).unwrap();
    for (path, expected) in [
        ("bin", "no UTF-8 text"),
        ("latin", "no UTF-8 text"),
        ("huge", "larger than"),
        ("none", "does not exist"),
        ("own", "use `list`"),
    ] {
        let finished = stage.run("read", json!({ "path": path })).await;
        assert_eq!(finished.outcome, Outcome::Error);
        assert!(finished.content.contains(expected) && finished.content.contains(path), "{finished:?}");
    }
}

#[tokio::test]
async fn an_edit_replaces_exactly_one_piece() {
    let stage = Stage::new();
    put(&stage.ws("f"), "a b a\naaa\n");
    let edit = |old: &str, new: &str| json!({"path": "f", "old": old, "new": new});
    for (old, expected) in [("x", "does not hold"), ("a", "more than once"), ("aa", "more than once")] {
        let finished = stage.run("edit", edit(old, "z")).await;
        assert!(finished.content.contains(expected), "{finished:?}");
    }
    assert_eq!(text(&stage.ws("f")), "a b a\naaa\n");
    stage.run("edit", edit("b a", "c")).await;
    assert_eq!(text(&stage.ws("f")), "a c\naaa\n");
    stage.run("edit", json!({"path": "f", "old": "a", "new": "d", "replace_all": true})).await;
    assert_eq!(text(&stage.ws("f")), "d c\nddd\n");
    assert!(stage.run("edit", edit("d", "d")).await.content.contains("the same"));
}

#[tokio::test]
async fn what_became_of_an_edit_can_be_seen_in_the_file() {
    let stage = Stage::new();
    let edit = json!({"path": "f", "old": "old", "new": "fresh"});
    put(&stage.ws("f"), "an old word");
    assert_eq!(stage.find("edit", edit.clone()).await, Found::NotDone);
    stage.run("edit", edit.clone()).await;
    assert!(matches!(stage.find("edit", edit.clone()).await, Found::Done(_)));
    for unclear in ["neither", "old and fresh", "old old"] {
        put(&stage.ws("f"), unclear);
        assert_eq!(stage.find("edit", edit.clone()).await, Found::Unknown, "{unclear}");
    }
    std::fs::remove_file(stage.ws("f")).unwrap();
    assert_eq!(stage.find("edit", edit).await, Found::Unknown);
    put(&stage.ws("f"), "word");
    assert_eq!(stage.find("edit", json!({"path": "f", "old": "word", "new": "words"})).await, Found::Unknown);
}

#[tokio::test]
async fn files_are_listed_and_found_by_name_and_by_line() {
    let stage = Stage::new();
    for name in ["src/deep", ".git", "src/.git"] {
        std::fs::create_dir_all(stage.ws(name)).unwrap();
    }
    for name in ["src/a.rs", "src/deep/b.rs", ".git/x.rs", "src/.git/y.rs", "c.txt"] {
        put(&stage.ws(name), "one\nneedle here\n");
    }
    put(&stage.out("secret.rs"), "needle\n");
    symlink(stage.out(""), stage.ws("link")).unwrap();
    let listed = stage.run("list", json!({})).await.content;
    assert_eq!(listed, ".git/\nc.txt  16\nlink@\nown/\nsrc/\n");
    assert_eq!(stage.run("glob", json!({"pattern": "*.rs"})).await.content, "src/a.rs\nsrc/deep/b.rs\n");
    let found = stage.run("grep", json!({"pattern": "NEEDLE", "case": "ignore", "glob": "*.rs"})).await.content;
    assert_eq!(found, "src/a.rs:2:needle here\nsrc/deep/b.rs:2:needle here\n");
    assert_eq!(stage.run("grep", json!({"pattern": "needle", "path": "c.txt"})).await.content, "c.txt:2:needle here\n");
    assert!(stage.run("grep", json!({"pattern": "("})).await.content.contains("no regular expression"));
}

#[tokio::test]
async fn results_of_searches_are_bounded() {
    let stage = Stage::new();
    put(&stage.ws("many"), &format!("{}\n", "x".repeat(5_000)).repeat(500));
    let found = stage.run("grep", json!({"pattern": "x"})).await.content;
    assert!(found.len() <= outlive_core::limits::RESULT_BYTES && found.contains("[not all: "), "{}", found.len());
    let read = stage.run("read", json!({"path": "many"})).await.content;
    assert!(read.len() <= outlive_core::limits::RESULT_BYTES && read.contains("go on with offset"), "{}", read.len());
}

#[tokio::test]
async fn a_path_is_judged_by_where_it_leads() {
    let stage = Stage::new();
    put(&stage.out("x"), "secret");
    std::fs::create_dir(stage.ws("dir")).unwrap();
    symlink("dir", stage.ws("inner")).unwrap();
    let out = stage.out("x").to_str().unwrap().to_owned();
    for (path, expected) in [
        ("a", Reach::Within),
        ("dir/../a", Reach::Within),
        ("inner/new/file", Reach::Within),
        (out.as_str(), Reach::Beyond),
        ("/etc/passwd", Reach::Beyond),
        ("/etc/outlive-none/x", Reach::Beyond),
        ("/proc/self/environ", Reach::Forbidden),
        ("/dev/null", Reach::Forbidden),
        ("/sys/kernel", Reach::Forbidden),
        ("own/policy.yaml", Reach::Forbidden),
        ("inner/../own/x", Reach::Forbidden),
        ("own", Reach::Forbidden),
        ("OWN/policy.yaml", Reach::Forbidden),
        ("token", Reach::Forbidden),
        ("Token", Reach::Forbidden),
    ] {
        assert_eq!(stage.reach("write", &json!({"path": path, "content": ""})), Ok(expected), "{path}");
    }
    assert_eq!(stage.reach("read", &json!({"path": "own/policy.yaml"})), Ok(Reach::Within));
    assert_eq!(stage.reach("read", &json!({"path": "token"})), Ok(Reach::Forbidden));
}

#[tokio::test]
async fn a_way_out_must_be_called_by_its_real_name() {
    let stage = Stage::new();
    put(&stage.out("x"), "secret");
    symlink(stage.out("x"), stage.ws("file")).unwrap();
    symlink(stage.out(""), stage.ws("dir")).unwrap();
    symlink(stage.out("new"), stage.ws("dangling")).unwrap();
    symlink("loop", stage.ws("loop")).unwrap();
    let rooted = format!("/proc/self/root{}", stage.out("x").display());
    let cwd = "/proc/self/cwd/Cargo.toml";
    for path in ["file", "dir/x", "dir/none", "dangling", "../out/x", "own/../../out/x", "dir/../out/x", &rooted, cwd] {
        for (tool, arguments) in [("read", json!({"path": path})), ("write", json!({"path": path, "content": "bad"}))] {
            let refusal = stage.reach(tool, &arguments).expect_err(path);
            assert!(refusal.contains("leads out") && refusal.contains(path), "{refusal}");
        }
    }
    for (path, expected) in
        [("loop", "too many"), ("none/../x", "`..` follows"), ("a\nb", "control"), ("", "empty"), ("a\0", "control")]
    {
        let refusal = stage.reach("write", &json!({"path": path, "content": "bad"})).unwrap_err();
        assert!(refusal.contains(expected), "{refusal}");
    }
    assert_eq!(text(&stage.out("x")), "secret");
    assert!(!stage.out("new").exists());
}

#[tokio::test]
async fn what_was_not_allowed_to_leave_the_roots_does_not_when_it_runs() {
    let stage = Stage::new();
    put(&stage.out("x"), "secret");
    for (tool, arguments) in [
        ("read", json!({"path": stage.out("x")})),
        ("list", json!({"path": stage.out("")})),
        ("write", json!({"path": stage.out("new"), "content": "bad"})),
        ("edit", json!({"path": stage.out("x"), "old": "secret", "new": "bad"})),
        ("glob", json!({"pattern": "*", "path": stage.out("")})),
        ("grep", json!({"pattern": "s", "path": stage.out("x")})),
    ] {
        let finished = stage.run(tool, arguments).await;
        assert!(finished.outcome == Outcome::Error && !finished.content.contains("secret"), "{finished:?}");
    }
    assert_eq!(text(&stage.out("x")), "secret");
    assert!(!stage.out("new").exists());
    let mut invocation = stage.invocation(json!({"path": stage.out("x")}));
    invocation.ruled = Some(Ruled { target: stage.out("x").display().to_string(), reach: Reach::Beyond });
    let (tool, _) = stage.tools.prepare("read", &invocation.arguments.clone(), &stage.place).unwrap();
    assert_eq!(tool.run(invocation).await.content, "     1\tsecret\n");
}

#[test]
fn a_link_put_in_between_check_and_use_is_met_as_an_error() {
    let stage = Stage::new();
    put(&stage.out("x"), "secret");
    std::fs::create_dir(stage.ws("dir")).unwrap();
    put(&stage.ws("dir/x"), "fine");
    let checked = resolve(&stage.place, "dir/x", Want::Read).unwrap();
    assert_eq!(open::read(&checked.path, 100).unwrap(), b"fine");
    std::fs::rename(stage.ws("dir"), stage.ws("was")).unwrap();
    symlink(stage.out(""), stage.ws("dir")).unwrap();
    assert!(open::read(&checked.path, 100).is_err());
    assert!(open::replace(&checked.path, b"bad", open::Parents::Make, "k").is_err());
    std::fs::remove_file(stage.ws("dir")).unwrap();
    std::fs::create_dir(stage.ws("dir")).unwrap();
    symlink(stage.out("x"), stage.ws("dir/x")).unwrap();
    assert!(open::read(&checked.path, 100).is_err());
    assert!(open::replace(&checked.path, b"bad", open::Parents::Make, "k").is_err());
    assert_eq!(text(&stage.out("x")), "secret");
}

#[tokio::test]
async fn a_second_name_of_a_file_of_elsewhere_is_refused() {
    let stage = Stage::new();
    put(&stage.out("x"), "secret");
    put(&stage.ws("token"), "key");
    std::fs::hard_link(stage.out("x"), stage.ws("hard")).unwrap();
    for (tool, arguments) in [
        ("read", json!({"path": "hard"})),
        ("write", json!({"path": "hard", "content": "bad"})),
        ("edit", json!({"path": "hard", "old": "secret", "new": "bad"})),
    ] {
        let finished = stage.run(tool, arguments).await;
        assert!(finished.outcome == Outcome::Error && finished.content.contains("hard links"), "{finished:?}");
    }
    let found = stage.run("grep", json!({"pattern": "secret|key"})).await.content;
    assert!(!found.contains("hard:") && !found.contains("token:"), "{found}");
    assert_eq!(text(&stage.out("x")), "secret");
    std::fs::hard_link(stage.ws("token"), stage.ws("alias")).unwrap();
    assert_eq!(stage.reach("read", &json!({"path": "alias"})), Ok(Reach::Forbidden));
}

#[tokio::test]
async fn what_is_no_ordinary_file_is_refused_without_being_opened() {
    let stage = Stage::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, stage.ws("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.ws("socket")).unwrap();
    for path in ["pipe", "socket"] {
        for (tool, arguments) in [("read", json!({"path": path})), ("write", json!({"path": path, "content": "bad"}))] {
            let finished = stage.run(tool, arguments).await;
            assert!(finished.content.contains("no ordinary file"), "{finished:?}");
        }
    }
}

#[tokio::test]
async fn names_that_are_not_plain_cannot_forge_lines() {
    let stage = Stage::new();
    put(&stage.ws("a\nfake  1"), "needle\n");
    put(&stage.place.cwd.join(std::ffi::OsStr::from_bytes(b"b\xff")), "needle\n");
    for (tool, arguments) in
        [("list", json!({})), ("glob", json!({"pattern": "*"})), ("grep", json!({"pattern": "needle"}))]
    {
        let shown = stage.run(tool, arguments).await.content;
        assert!(!shown.lines().any(|line| line.starts_with("fake")), "{shown}");
    }
    assert!(stage.run("list", json!({})).await.content.contains(r"b\xFF"));
}

fn reads(stage: &Stage, path: &str) -> Subject {
    Subject { tool: "read".into(), target: stage.ws(path).display().to_string(), reach: Reach::Within }
}

#[tokio::test]
async fn walks_pass_by_what_a_rule_closes_and_say_so() {
    let mut stage = Stage::new();
    for folder in ["secret/deep", "open"] {
        std::fs::create_dir_all(stage.ws(folder)).unwrap();
    }
    for name in ["secret/a.txt", "secret/deep/b.txt", "open/c.txt", "open/key.txt"] {
        put(&stage.ws(name), "needle\n");
    }
    let rules = format!("deny: ['read:{0}/secret/**', 'read:{0}/open/key.txt']", stage.place.cwd.display());
    let policy = Policy::parse(&rules, "policy.yaml").unwrap();
    for (tool, arguments, note) in [
        ("grep", json!({"pattern": "needle"}), "2 files or folders were left out"),
        ("grep", json!({"pattern": "needle", "path": "open"}), "1 file or folder was left out"),
        ("glob", json!({"pattern": "**"}), "2 files or folders were left out"),
        ("list", json!({}), "1 file or folder was left out"),
        ("list", json!({"path": "open"}), "1 file or folder was left out"),
    ] {
        let start = arguments["path"].as_str().unwrap_or(".");
        stage.closed = policy.closed(tool, &reads(&stage, start).target);
        let said = stage.run(tool, arguments).await.content;
        assert!(said.contains(note) && (said.contains("c.txt") || said.contains("open/")), "{tool}: {said}");
        assert!(!said.contains("secret") && !said.contains("key") && !said.contains("b.txt"), "{tool}: {said}");
    }
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_than_when_it_was_ruled_on_is_refused() {
    let stage = Stage::new();
    for name in ["a", "b"] {
        std::fs::create_dir(stage.ws(name)).unwrap();
        put(&stage.ws(&format!("{name}/x")), &format!("of {name}"));
    }
    let ruled = reads(&stage, "a/x").ruled();
    std::fs::rename(stage.ws("a"), stage.ws("was")).unwrap();
    symlink("b", stage.ws("a")).unwrap();
    for (tool, arguments) in [
        ("read", json!({"path": "a/x"})),
        ("grep", json!({"path": "a/x", "pattern": "of"})),
        ("list", json!({"path": "a"})),
        ("glob", json!({"path": "a", "pattern": "*"})),
        ("write", json!({"path": "a/x", "content": "bad"})),
        ("edit", json!({"path": "a/x", "old": "of b", "new": "bad"})),
    ] {
        let mut invocation = stage.invocation(arguments);
        invocation.ruled.clone_from(&ruled);
        let (tool, _) = stage.tools.prepare(tool, &invocation.arguments.clone(), &stage.place).unwrap();
        let finished = tool.run(invocation).await;
        assert!(
            finished.outcome == Outcome::Error && finished.content.contains("when this call was ruled on"),
            "{finished:?}"
        );
    }
    assert_eq!(text(&stage.ws("b/x")), "of b");
}
