//! What was promised, compared with what is there.

use std::collections::BTreeMap;

use outlive_core::event::{Effect, Entry, Event};
use serde_json::json;

use crate::house::{House, Server};
use crate::load::{Load, Promise};

/// What a client can see: promises kept, the same answer again, a stream that is the journal.
pub async fn everything(house: &House, server: &Server, load: &Load) {
    let promises = load.promises.lock().unwrap().clone();
    assert!(promises.len() > 200, "only {} messages were acknowledged", promises.len());
    for promise in promises.iter().rev().take(60) {
        let body = json!({"content": promise.text, "request_id": promise.request});
        let (status, again) =
            server.ask("POST", &format!("/sessions/{}/messages", promise.session), Some(body)).await.unwrap();
        assert_eq!(
            (status, &again["duplicate"], &again["seq"], &again["turn_id"]),
            (202, &json!(true), &json!(promise.seq), &json!(promise.turn))
        );
    }
    for (session, _) in &load.sessions {
        let head = server.get(&format!("/sessions/{session}")).await["head"].as_u64().unwrap();
        let stream = server.replay(session).await;
        assert_eq!(stream.len() as u64, head, "{session}");
        let page = server.get(&format!("/sessions/{session}/events?after=0&limit=1000")).await;
        assert_eq!(page["head"], json!(head));
        // The files catch up within a moment; wait for them, then compare byte for byte.
        let began = std::time::Instant::now();
        while (house.journal(session).len() as u64) < head {
            assert!(began.elapsed() < std::time::Duration::from_secs(20), "the file does not catch up");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let lines: Vec<String> = house.journal(session).iter().map(|line| line.as_str().to_owned()).collect();
        assert_eq!(stream, lines, "{session}");
    }
}

/// What the files say, once the server has stopped cleanly. Returns how many calls were lost.
pub fn files(house: &House, promises: &[Promise]) -> usize {
    let mut lost = 0;
    for session in &house.sessions() {
        let entries: Vec<Entry> = house.journal(session).iter().map(|line| line.read().unwrap()).collect();
        assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq), "{session} has a gap");
        let count = |name: &str| entries.iter().filter(|entry| entry.event.name() == name).count();
        assert_eq!(count("turn.started"), count("turn.ended"), "{session}: a turn has no ending");
        lost += count("call.lost");
        for entry in &entries {
            let Event::NoticeDelivered(delivered) = &entry.event else { continue };
            assert!(house.read("heard").contains(&delivered.notice.to_string()), "{session}: delivered to nobody");
        }
        started_once(session, &entries);
        for promise in promises.iter().filter(|promise| promise.session == *session) {
            let asked =
                |entry: &&Entry| entry.asked.as_ref().is_some_and(|asked| asked.request_id.as_str() == promise.request);
            let found: Vec<u64> = entries.iter().filter(asked).map(|entry| entry.seq).collect();
            assert_eq!(found, [promise.seq], "{promise:?}");
        }
    }
    for promise in promises {
        assert!(house.sessions().contains(&promise.session), "{promise:?} has no session");
    }
    let mut marks: BTreeMap<&str, u32> = BTreeMap::new();
    let effects = house.effects();
    effects.lines().for_each(|mark| *marks.entry(mark).or_default() += 1);
    let twice: Vec<_> = marks.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");
    let verify = std::process::Command::new(env!("CARGO_BIN_EXE_outlive"))
        .arg("--workspace")
        .arg(house.root())
        .arg("verify")
        .output()
        .unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
    lost
}

fn started_once(session: &str, entries: &[Entry]) {
    let mut started = BTreeMap::new();
    for entry in entries {
        if let Event::CallStarted(call) = &entry.event
            && call.effect == Effect::Effectful
        {
            let times: &mut u32 = started.entry(call.call).or_default();
            *times += 1;
            assert_eq!(*times, 1, "{session}: {} started twice", call.call);
        }
    }
}
