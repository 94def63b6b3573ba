//! Backups of a workspace at work: what was acknowledged before one began is in it, whatever happens meanwhile.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use outlive_core::event::Line;
use serde_json::{Value, json};

use crate::house::{House, said};

/// Who speaks to the server, and is answered once what was said is durable.
struct Speaker {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    token: String,
}

impl Speaker {
    fn new(house: &House) -> Self {
        let token = std::fs::read_to_string(house.root().join("token")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), runtime, token }
    }

    /// The answer, if there was one.
    fn post(&self, address: &str, route: &str, body: &Value) -> Option<Value> {
        let request = self.http.post(format!("http://{address}/api/v1{route}")).bearer_auth(&self.token).json(body);
        self.runtime.block_on(async { request.send().await.ok()?.error_for_status().ok()?.json().await.ok() })
    }
}

/// What was acknowledged: session, and the seq that a message got.
type Acknowledged = Vec<(String, u64)>;

fn restored(archive: &std::path::Path) -> House {
    let house = House(tempfile::tempdir().unwrap());
    let unpacked = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(house.0.path()).output().unwrap();
    said(&unpacked, 0);
    house
}

fn journal(house: &House, session: &str) -> Vec<Line> {
    let path = house.root().join("sessions").join(session).join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| Line::check(line.as_bytes()).unwrap()).collect()
}

#[test]
fn a_backup_under_load_holds_what_was_acknowledged_though_the_server_is_killed_in_the_middle() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let mut server = house.serve(|_| {});
    let (address, speaker) = (server.address.clone(), Speaker::new(&house));
    let sessions: Vec<String> = (0..40)
        .map(|_| {
            speaker.post(&address, "/sessions", &json!({"agent": "worker"})).unwrap()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let say = |speaker: &Speaker, session: &String, text: &str| {
        let accepted = speaker.post(&address, &format!("/sessions/{session}/messages"), &json!({"content": text}))?;
        Some((session.clone(), accepted["seq"].as_u64()?))
    };
    let before: Acknowledged = sessions.iter().filter_map(|session| say(&speaker, session, "run `seq 9`")).collect();
    assert_eq!(before.len(), sessions.len());
    let (over, later) = (AtomicBool::new(false), Mutex::new(0));
    let archive = house.0.path().join("made.tar");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let speaker = Speaker::new(&house);
            while !over.load(Ordering::Relaxed) {
                let spoken = sessions.iter().filter_map(|session| say(&speaker, session, "run `true`")).count();
                *later.lock().unwrap() += spoken;
            }
        });
        let mut backup = house.command(&["backup", archive.to_str().unwrap()]).spawn().unwrap();
        let begun = || {
            let names = std::fs::read_dir(house.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).any(|name| name.starts_with(".outlive-backup-"))
        };
        while !begun() && backup.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        server.child.kill().unwrap();
        let made = backup.wait_with_output().unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(said(&made, 0).contains("every journal folds: a good backup"));
    });
    server.child.wait().unwrap();
    house.check(&["backup", "--check", archive.to_str().unwrap()], 0, "40 sessions");

    let other = restored(&archive);
    other.check(&["verify"], 0, "nothing is wrong");
    for (session, seq) in &before {
        let found = journal(&other, session).into_iter().find(|line| line.seq() == *seq).unwrap();
        assert!(found.as_str().contains("run `seq 9`"), "{session} {seq}: {}", found.as_str());
    }
    for name in ["token", "run", "commit", "index.db", "search.db"] {
        assert!(!other.root().join(name).exists(), "{name} is in the backup");
    }
    let listed = other.check(&["session", "list", "--limit", "100", "--json"], 0, "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 40, "a restored workspace lists what it has");
    other.check(&["session", "messages", &sessions[0]], 0, "run `seq 9`");
}

#[test]
fn artifacts_agents_and_configuration_come_back_and_a_folder_gets_a_file_of_its_own() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    house.write("policy.yaml", "mode: ask\n");
    house.check(&["run", "-a", "worker", "run `seq 1 20000`"], 0, "");
    let folder = house.0.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let made = house.check(&["backup", folder.to_str().unwrap(), "--json"], 0, "\"problems\": []");
    let made: Value = serde_json::from_str(&made).unwrap();
    let archive = std::path::PathBuf::from(made["archive"].as_str().unwrap());
    assert!(archive.starts_with(&folder) && archive.extension().is_some_and(|end| end == "tar"), "{made}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    house.check(&["backup", archive.to_str().unwrap()], 1, "exists: choose another name");
    let inside = house.root().join("x.tar");
    house.check(&["backup", inside.to_str().unwrap()], 2, "lies in the workspace that is backed up");
    let other = restored(&archive);
    let artifacts = |house: &House| {
        let script = "cd \"$0\" && find artifacts agents policy.yaml -type f | sort | xargs sha256sum";
        said(&Command::new("sh").args(["-c", script]).arg(house.root()).output().unwrap(), 0)
    };
    assert_eq!(artifacts(&house), artifacts(&other));
    assert!(artifacts(&house).contains("artifacts/"), "a large output was kept");
}

#[test]
fn a_session_whose_journal_is_damaged_does_not_keep_the_others_from_being_backed_up() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let session = |house: &House| {
        let listed: Value = serde_json::from_str(&house.check(&["session", "list", "--json"], 0, "")).unwrap();
        listed["items"][0]["id"].as_str().unwrap().to_owned()
    };
    house.check(&["run", "-a", "worker", "run `true`"], 0, "");
    let first = session(&house);
    house.check(&["run", "-a", "worker", "run `false`"], 0, "");
    house.check(&["serve", "--stop"], 0, "");
    let path = house.root().join("sessions").join(&first).join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("turn.started", "turn.stirred", 1)).unwrap();
    let archive = house.0.path().join("made.tar");
    let made = house.check(&["backup", archive.to_str().unwrap()], 0, "1 sessions");
    assert!(made.contains(&format!("warning: sessions/{first}/events.jsonl")), "{made}");
    house.check(&["backup", "--check", house.root().join("outlive.yaml").to_str().unwrap()], 1, "");
}
