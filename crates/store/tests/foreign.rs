//! Other programs' folders: what leads out of them is not followed, what is too much is named, and nothing is changed.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test of real files; one that cannot go on has failed"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use outlive_core::import::Read;
use outlive_core::memory::Page;
use outlive_store::foreign::memories::{self, DryRun};
use outlive_store::foreign::{Found, Program, find};
use outlive_store::memory_files::{HeldMemory, MemoryFiles as _};

const SAID: &str = r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"whole"}]}"#;
const ROLLOUT: &str = "sessions/2026/01/01/rollout-1.jsonl";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn all(found: &Found) -> Vec<(&str, Option<Read>)> {
    found.units.iter().map(|unit| (unit.shown.as_str(), unit.read().unwrap())).collect()
}

#[test]
fn a_line_beyond_the_bound_is_named_and_the_one_after_it_is_read() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), ROLLOUT, "");
    let mut file = fs::OpenOptions::new().append(true).open(home.path().join(ROLLOUT)).unwrap();
    // A hole: it is read as zeros.
    file.set_len(20 << 20).unwrap();
    file.write_all(format!("\n{SAID}\n{{\"half").as_bytes()).unwrap();
    let found = find(Program::Codex, home.path(), home.path()).unwrap();
    let (_, read) = all(&found).remove(0);
    let read = read.unwrap();
    assert_eq!(read.talk.unwrap().messages(), 1);
    let lines: Vec<u64> = read.damages.iter().map(|damage| damage.line).collect();
    assert_eq!((lines, read.damaged), (vec![1, 3], 2));
    assert!(read.damages[0].reason.starts_with("is longer than the 16777216 bytes"));
}

#[test]
fn no_link_leads_out_of_the_folder() {
    let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(outside.path(), "secret.jsonl", SAID);
    write(outside.path(), "msg_1/prt_1.json", r#"{"type":"text","text":"secret"}"#);
    write(home.path(), ROLLOUT, SAID);
    symlink(outside.path().join("secret.jsonl"), home.path().join("sessions/rollout-2.jsonl")).unwrap();
    symlink(outside.path(), home.path().join("sessions/2025")).unwrap();
    let found = find(Program::Codex, home.path(), home.path()).unwrap();
    assert_eq!(found.units.len(), 1);
    let skipped: Vec<&str> = found.skipped.iter().map(|damage| damage.file.as_str()).collect();
    assert_eq!(skipped, ["sessions/2025", "sessions/rollout-2.jsonl"]);

    write(home.path(), "storage/session/p/ses_1.json", r#"{"title":"t"}"#);
    write(home.path(), "storage/message/ses_1/msg_1.json", r#"{"role":"user","time":{"created":1}}"#);
    symlink(outside.path(), home.path().join("storage/part")).unwrap();
    let found = find(Program::Opencode, home.path(), home.path()).unwrap();
    let (_, read) = all(&found).remove(0);
    assert_eq!(read.unwrap().talk, None, "its text lies outside");

    let linked = home.path().join("linked");
    symlink(outside.path(), &linked).unwrap();
    assert_eq!(
        find(Program::ClaudeCode, &linked, home.path()).unwrap().units.len(),
        1,
        "the path itself may be a link"
    );
}

#[test]
fn what_is_no_conversation_is_left_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "history.jsonl", "{}");
    write(home.path(), "projects/p/5f.jsonl", "");
    write(home.path(), "projects/p/agent-1.jsonl", "{}");
    write(home.path(), "projects/p/5f/subagents/agent-2.jsonl", "{}");
    write(home.path(), "projects/p/notes.txt", "x");
    let found = find(Program::ClaudeCode, home.path(), home.path()).unwrap();
    let (shown, read) = all(&found).remove(0);
    assert_eq!((shown, found.units.len(), read.unwrap().talk), ("p/5f.jsonl", 1, None));
    assert_eq!(found.left_out.get("conversations of subagents"), Some(&2));
    write(home.path(), "sessions/rollout-1.jsonl.zst", "(\u{b5}/\u{fd}");
    let packed = find(Program::Codex, home.path(), home.path()).unwrap();
    assert!(packed.skipped[0].reason.contains("zstd -d"));
    assert!(find(Program::Codex, &home.path().join("nowhere"), home.path()).is_err());
}

/// One session more, whole: in one transaction.
fn insert(database: &rusqlite::Connection, n: usize) {
    let said = format!("said {n} {}", "x".repeat(2_000));
    let text = serde_json::json!({ "type": "text", "text": said }).to_string();
    database
        .execute_batch(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO session (id, directory, title, time_created) VALUES ('s{n:06}', '/', 't', 1);
             INSERT INTO message VALUES ('m{n:06}', 's{n:06}', '{{\"role\":\"user\",\"time\":{{\"created\":1}}}}');
             INSERT INTO part VALUES ('p{n:06}', 'm{n:06}', 's{n:06}', '{text}');
             COMMIT"
        ))
        .unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Ends the writer with the test, also where that fails.
struct Ended<'a>(&'a AtomicBool, &'a std::thread::Thread);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.unpark();
    }
}

#[test]
fn a_database_that_its_program_writes_meanwhile_is_read_whole_and_nothing_is_put_beside_it() {
    let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = home.path().join("opencode.db");
    let open = || rusqlite::Connection::open(&path).unwrap();
    let made = open();
    made.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE session (id TEXT PRIMARY KEY, directory TEXT, title TEXT, time_created INTEGER);
         CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, data TEXT);
         CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT, session_id TEXT, data TEXT);",
    )
    .unwrap();
    insert(&made, 0);
    drop(made);
    assert_eq!(names(home.path()), ["opencode.db"], "closed, its log is gone");
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    assert_eq!(find(Program::Opencode, home.path(), scratch.path()).unwrap().units.len(), 1);
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()), before);
    assert_eq!(names(home.path()), ["opencode.db"]);

    let (committed, stop) = (AtomicUsize::new(2), AtomicBool::new(false));
    let database = open();
    // A log as short as this is brought into the database again and again.
    database.execute_batch("PRAGMA wal_autocheckpoint = 8; PRAGMA synchronous = OFF").unwrap();
    insert(&database, 1);
    std::thread::scope(|scope| {
        let (committed, stop) = (&committed, &stop);
        let writer = scope.spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                insert(&database, committed.load(Ordering::SeqCst));
                // Nobody writes without a pause: each goes on when the last one was read.
                let n = committed.fetch_add(1, Ordering::SeqCst) + 1;
                if n % 40 == 0 {
                    std::thread::park();
                }
            }
        });
        let _ended = Ended(stop, writer.thread());
        let mut seen = 0;
        while seen < 200 {
            let least = committed.load(Ordering::SeqCst);
            let found = find(Program::Opencode, home.path(), scratch.path()).unwrap();
            let is_busy = |skipped: &str| skipped.contains("being written all the time");
            assert!(found.skipped.iter().all(|damage| is_busy(&damage.reason)), "{:?}", found.skipped);
            if found.skipped.is_empty() {
                seen = found.units.len();
                assert!(seen >= least, "{seen} sessions of {least}");
                for (n, (shown, read)) in all(&found).into_iter().enumerate() {
                    assert_eq!(shown, format!("opencode.db, session s{n:06}"));
                    assert_eq!(read.unwrap().talk.unwrap().messages(), 1, "{shown}");
                }
                assert_eq!(names(home.path()), ["opencode.db", "opencode.db-shm", "opencode.db-wal"]);
            }
            writer.thread().unpark();
        }
    });
    assert_eq!(names(scratch.path()), [] as [&str; 0]);
    assert_eq!(names(home.path()), ["opencode.db"]);
}

#[test]
fn a_chat_of_dagent_is_a_conversation() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "features/a/chat.json", r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant"}]}"#);
    write(home.path(), "features/a/nodes/b/session.json", "{");
    write(home.path(), "features/a/other.json", "{}");
    let found = find(Program::Dagent, home.path(), home.path()).unwrap();
    let reads: Vec<(u64, bool)> = all(&found)
        .into_iter()
        .map(|(_, read)| read.map(|read| (read.damaged, read.talk.is_some())).unwrap())
        .collect();
    assert_eq!(reads, [(1, true), (1, false)]);
}

#[test]
fn memories_are_added_once_and_what_is_there_stays() {
    let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(home.path(), ".claude/CLAUDE.md", "use tabs");
    write(home.path(), ".claude/projects/x/memory/build.md", "run make -- <!-- -->");
    write(home.path(), "memory/world/Tool Box.md", "a hammer");
    write(home.path(), "agents/scribe/memory/daily/2026-01-02.md", "met Ann");
    write(home.path(), "agents/other/memory/MEMORY.md", "not mine");
    write(home.path(), "README.md", "no memory");
    fs::write(home.path().join("memory/world/odd.md"), [0xff]).unwrap();
    write(outside.path(), "a.md", "secret");
    symlink(outside.path(), home.path().join("memory/world/link")).unwrap();
    symlink(outside.path().join("a.md"), home.path().join("memory/world/a.md")).unwrap();
    let (held, scribe) = (HeldMemory::default(), "scribe".parse().unwrap());
    held.replace(&scribe, &Page::Curated, "by hand").unwrap();
    let bring = |dry| memories::bring(home.path(), &scribe, (&held, dry)).unwrap();
    assert_eq!(bring(DryRun::Yes).added.len(), 4);
    assert_eq!(held.all(&scribe).0.len(), 1, "nothing is written");
    let first = bring(DryRun::No);
    assert_eq!((first.added.len(), first.already), (4, 0));
    let why: Vec<&str> = first.skipped.iter().map(|damage| damage.reason.as_str()).collect();
    assert_eq!((why, first.others), (vec!["is not UTF-8"], 1));
    let before = held.all(&scribe);
    let second = bring(DryRun::No);
    assert_eq!((second.added.len(), second.already), (0, 4));
    assert_eq!(held.all(&scribe), before);
    let texts: Vec<String> = before.0.iter().map(|written| format!("{}: {}", written.page, written.text)).collect();
    assert!(texts[0].starts_with("MEMORY.md: by hand\n<!-- imported: "), "{texts:?}");
    assert!(texts[1].starts_with("daily/2026-01-02.md") && texts[2].starts_with("world/tool-box.md"), "{texts:?}");
    assert!(!texts.concat().contains("secret"));
}
