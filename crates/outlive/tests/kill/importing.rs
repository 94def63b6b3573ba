//! The server dies in the middle of an import: afterwards the session is there whole or not at all, and the same import once
//! more brings it, or finds it.

use std::path::{Path, PathBuf};

use crate::house::House;

/// Moments of one import, and whether the session is there after them, where that is known.
const MOMENTS: [(&str, Option<bool>); 7] = [
    ("before:artifact:1", Some(false)),
    ("written:artifact:1", Some(false)),
    ("before:session.created", Some(false)),
    ("written:session.created", None),
    ("synced:session.created", Some(true)),
    ("before:journal:1", Some(true)),
    ("written:journal:1", Some(true)),
];

/// Makes a session with an artifact; returns its id, and where it lies as a file.
async fn archive(folder: &Path) -> (String, PathBuf) {
    let house = House::new();
    let server = house.serve().await;
    let ran = house.run(&["run", "-a", "worker", "run seq 100000"]).await;
    assert!(ran.status.success(), "{ran:?}");
    let (session, file) = (house.sessions().pop().unwrap(), folder.join("talk.tar"));
    export(&house, &session, &file).await;
    server.stop().await;
    (session, file)
}

async fn export(house: &House, session: &str, file: &Path) -> Vec<u8> {
    let done = house.run(&["session", "export", session, "-o", file.to_str().unwrap()]).await;
    assert!(done.status.success(), "{done:?}");
    std::fs::read(file).unwrap()
}

/// Starts a server that dies at a moment, imports into it, and says whether that was said to be done.
async fn import_into_a_dying_one(house: &House, moment: &str, arguments: &[&str]) -> bool {
    let server = house.serve_with(Some(moment)).await.unwrap();
    let done = house.run(arguments).await;
    server.stop().await;
    assert!(server.was_killed(), "{moment}: nothing led to it: {done:?}");
    done.status.success()
}

#[tokio::test]
async fn killed_in_a_session_import_the_session_is_there_whole_or_not_at_all_and_comes_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let (session, file) = archive(folder.path()).await;
    let (given, out) = (std::fs::read(&file).unwrap(), folder.path().join("out.tar"));
    let arguments = ["session", "import", file.to_str().unwrap()];
    for (moment, is_known) in MOMENTS {
        let house = House::new();
        let was_promised = import_into_a_dying_one(&house, moment, &arguments).await;
        let server = house.serve().await;
        let (status, _) = server.ask("GET", &format!("/sessions/{session}"), None).await.unwrap();
        let is_there = status == 200;
        assert!(is_known.is_none_or(|known| known == is_there) && (is_there || !was_promised), "{moment}: {status}");
        if is_there {
            assert!(export(&house, &session, &out).await == given, "{moment}: it is not whole");
        } else {
            assert_eq!(server.get("/sessions").await["items"], serde_json::json!([]), "{moment}");
        }
        for _ in 0..2 {
            let again = house.run(&arguments).await;
            assert!(again.status.success(), "{moment}: {again:?}");
            assert!(export(&house, &session, &out).await == given, "{moment}: it is not the same");
        }
        assert_eq!(server.get("/sessions").await["items"].as_array().unwrap().len(), 1, "{moment}");
        server.stop().await;
        let verified = house.run(&["verify"]).await;
        assert!(verified.status.success(), "{moment}: {verified:?}");
    }
}

#[tokio::test]
async fn killed_in_an_import_of_another_program_s_conversation_it_is_there_whole_or_not_at_all_and_comes_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let talks = folder.path().join("projects/-home-ada");
    std::fs::create_dir_all(&talks).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/imports/claude_code/calls.jsonl");
    std::fs::copy(fixture, talks.join("5f0c.jsonl")).unwrap();
    let arguments = ["import", "claude-code", folder.path().to_str().unwrap(), "--agent", "worker"];
    let mut whole = Vec::new();
    for (moment, is_known) in MOMENTS.iter().skip(2) {
        let house = House::new();
        let was_promised = import_into_a_dying_one(&house, moment, &arguments).await;
        let server = house.serve().await;
        let listed = server.get("/sessions").await["items"].as_array().unwrap().len();
        let is_there = listed == 1;
        assert!(listed <= 1 && is_known.is_none_or(|known| known == is_there), "{moment}: {listed}");
        assert!(is_there || !was_promised, "{moment}: it was promised");
        let mut heads = Vec::new();
        for _ in 0..2 {
            let again = house.run(&arguments).await;
            assert!(again.status.success(), "{moment}: {again:?}");
            let list = server.get("/sessions").await;
            assert_eq!(list["items"].as_array().unwrap().len(), 1, "{moment}");
            heads.push(list["items"][0]["head"].as_u64().unwrap());
        }
        server.stop().await;
        let lines = house.journal(&house.sessions()[0]);
        let types: Vec<String> = lines.iter().map(|line| line.read().unwrap().event.name().to_owned()).collect();
        assert_eq!(heads, [types.len() as u64; 2], "{moment}: nothing came twice");
        if whole.is_empty() {
            whole.clone_from(&types);
        }
        assert_eq!(types, whole, "{moment}: it is not whole");
    }
}
