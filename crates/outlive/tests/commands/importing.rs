//! Conversations of other programs come in from a terminal: once, without a byte of theirs changed, and go on here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::Home;

/// Conversations in the shapes that those programs write, as the core's tests have them.
fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/imports").join(path)
}

impl Home {
    /// Lays a fixture where its program would have it.
    fn lay(&self, from: &str, to: &str) -> PathBuf {
        let to = self.0.path().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(fixture(from), &to).unwrap();
        to
    }

    fn import(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["import", "--json"], arguments].concat());
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}")).unwrap()
    }

    fn at(&self, path: &str) -> String {
        self.0.path().join(path).display().to_string()
    }
}

/// Every file under a folder, with its bytes and the time of its last change.
fn tree(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let changed = entry.metadata().unwrap().modified().unwrap();
                found.insert(entry.path(), (std::fs::read(entry.path()).unwrap(), changed));
            }
        }
    }
    found
}

#[test]
fn a_conversation_is_imported_once_listed_found_and_gone_on_with_and_its_original_is_untouched() {
    let home = Home::new();
    let original = home.lay("claude_code/calls.jsonl", "cc/projects/-home-ada/5f0c.jsonl");
    home.lay("claude_code/damaged.jsonl", "cc/projects/-home-ada/9.jsonl");
    std::os::unix::fs::symlink("/etc/passwd", home.0.path().join("cc/projects/link.jsonl")).unwrap();
    let (folder, before) = (home.at("cc"), tree(&home.0.path().join("cc/projects/-home-ada")));
    let looked = home.import(&["claude-code", &folder, "--dry-run"]);
    assert_eq!(
        (&looked["sessions"]["imported"], &looked["messages"], &looked["calls"]),
        (&2.into(), &9.into(), &3.into())
    );
    home.check(&["session", "list", "--json"], 0, "\"items\": []");
    let done = home.import(&["claude-code", &folder]);
    assert_eq!(done["sessions"], looked["sessions"]);
    assert_eq!((&done["records_set_aside"], &done["set_aside"][0]["file"]), (&8.into(), &"link.jsonl".into()));
    assert_eq!(
        (&done["set_aside"][1]["file"], &done["set_aside"][1]["line"]),
        (&"-home-ada/9.jsonl".into(), &2.into())
    );
    assert_eq!(tree(&home.0.path().join("cc/projects/-home-ada")), before, "originals are read and never written");

    home.check(&["session", "list", "--label", "imported=claude-code"], 0, "Lamps");
    home.check(&["search", "amber"], 0, "Two: amber and blue.");
    let session = done["ids"][0].as_str().unwrap();
    home.check(&["session", "messages", session], 0, "Bash {\"command\":\"ls lamps\"");
    home.check(&["run", "-s", session, "think"], 0, "");
    let view: Value = serde_json::from_slice(&home.run(&["session", "show", session, "--json"]).stdout).unwrap();
    assert_eq!(
        (&view["status"], &view["turns"], &view["last_turn"]["ending"]),
        (&"idle".into(), &3.into(), &"complete".into())
    );
    assert_eq!(view["created_at"], "2026-01-10T09:00:01.000000Z");

    let again = home.import(&["claude-code", &folder]);
    assert_eq!((&again["sessions"]["imported"], &again["sessions"]["already_there"]), (&0.into(), &2.into()));
    let mut grown = std::fs::read_to_string(&original).unwrap();
    grown.push_str(r#"{"parentUuid":"a-6","type":"user","message":{"role":"user","content":"Stop."},"uuid":"u-9"}"#);
    std::fs::write(&original, grown).unwrap();
    let more = home.import(&["claude-code", &folder]);
    assert_eq!((&more["sessions"]["imported"], &more["sessions"]["grown"]), (&1.into(), &1.into()));
    home.check(&["verify"], 0, "");
}

#[test]
fn duragents_agents_come_with_their_sessions() {
    let home = Home::new();
    home.lay("duragent/events.jsonl", "old/.duragent/sessions/01KJ/events.jsonl");
    home.lay("duragent/after.jsonl", "old/.duragent/sessions/01KK/events.jsonl");
    home.lay("duragent/state.yaml", "old/.duragent/sessions/01KK/state.yaml");
    home.lay("duragent/agent/agent.yaml", "old/.duragent/agents/gardener/agent.yaml");
    home.lay("duragent/agent/SYSTEM_PROMPT.md", "old/.duragent/agents/gardener/SYSTEM_PROMPT.md");
    home.lay("duragent/state.yaml", "old/.duragent/agents/broken/agent.yaml");
    let looked = home.import(&["duragent", &home.at("old"), "--dry-run"]);
    assert_eq!(
        (&looked["agents"][1]["name"], &looked["agents"][1]["outcome"]),
        (&"gardener".into(), &"imported".into())
    );
    home.check(&["agent", "show", "gardener"], 3, "agent_not_found");
    let done = home.import(&["duragent", &home.at("old")]);
    assert_eq!((&done["sessions"]["imported"], &done["agents"][0]["outcome"]), (&2.into(), &"not imported".into()));
    home.check(&["agent", "validate", "gardener"], 0, "gardener: good");
    home.check(&["session", "list", "--agent", "gardener"], 0, "Water the roses.");
    home.check(&["session", "messages", done["ids"][1].as_str().unwrap()], 0, "Plant a tree.");
    let again = home.import(&["duragent", &home.at("old")]);
    assert_eq!(
        (&again["sessions"]["already_there"], &again["agents"][1]["outcome"]),
        (&2.into(), &"already there".into())
    );
}

#[test]
fn opencodes_files_and_its_database_hold_the_same_session() {
    let home = Home::new();
    let storage = fixture("opencode/storage");
    let files = home.import(&["opencode", &fixture("opencode").display().to_string()]);
    assert_eq!((&files["sessions"]["imported"], &files["calls"]), (&1.into(), &3.into()));
    let folder = home.0.path().join("share/opencode");
    std::fs::create_dir_all(&folder).unwrap();
    let database = rusqlite::Connection::open(folder.join("opencode.db")).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE session (id TEXT PRIMARY KEY, parent_id TEXT, directory TEXT, title TEXT, revert TEXT, time_created INTEGER);
             CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, time_created INTEGER, data TEXT);
             CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT, session_id TEXT, data TEXT);
             INSERT INTO session VALUES ('ses_01aa', NULL, '/home/ada/harbor', 'Mooring', NULL, 1767950000000)",
        )
        .unwrap();
    let record = |path: &Path| {
        let mut record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        ["id", "sessionID", "messageID"].iter().for_each(|key| drop(record.as_object_mut().unwrap().remove(*key)));
        record.to_string()
    };
    for path in tree(&storage).keys() {
        let (name, of) = (path.file_stem().unwrap().to_str().unwrap(), path.parent().unwrap().file_name().unwrap());
        let of = of.to_str().unwrap();
        if name.starts_with("msg_") {
            database.execute("INSERT INTO message VALUES (?1, ?2, 0, ?3)", [name, of, &record(path)]).unwrap();
        } else if name.starts_with("prt_") {
            database.execute("INSERT INTO part VALUES (?1, ?2, 'ses_01aa', ?3)", [name, of, &record(path)]).unwrap();
        }
    }
    // The program still runs: what it wrote last is in its log alone.
    let before = tree(&folder);
    let rows = home.import(&["opencode", &folder.display().to_string()]);
    assert_eq!((&rows["sessions"]["imported"], &rows["sessions"]["already_there"]), (&0.into(), &1.into()), "{rows}");
    assert_eq!(tree(&folder), before, "nothing is written beside the database");
    drop(database);
    std::fs::write(folder.join("opencode.db"), "no database").unwrap();
    home.check(&["import", "opencode", &folder.display().to_string()], 3, "opencode.db: is not a database of OpenCode");
}

#[test]
fn a_path_without_conversations_is_refused_with_where_they_lie() {
    let home = Home::new();
    home.lay("codex/envelope.jsonl", "codex/sessions/2026/02/03/rollout-2026-02-03T08-00-00-019c.jsonl");
    home.lay("codex/bare.jsonl", "codex/sessions/2025/06/12/rollout-2025-06-12-a0b1.jsonl");
    home.check(&["import", "codex", &home.at("codex"), "--agent", "nobody"], 3, "there is no agent `nobody`");
    home.check(&["import", "codex", &home.at("codex")], 0, "2 imported, with 9 messages and 5 calls");
    home.check(&["import", "codex", &home.at("nowhere")], 3, "nowhere: No such file or directory");
    home.check(
        &["import", "claude-code", &home.at(".outlive/agents")],
        3,
        "they lie in `projects/FOLDER/SESSION.jsonl`",
    );
    home.check(
        &["import", "wordstar", "."],
        2,
        "possible values: duragent, claude-code, codex, dagent, opencode, memories",
    );
}
