//! The server dies while each kind of call runs, right before its start and right before its end is known. What may have done
//! something is never done again by itself, what only looks is, and each session goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use outlive_core::event::Effect;

use super::*;

/// Each kind of call, and what is said to have it made.
const KINDS: [(&str, &str); 14] = [
    ("bash", r#"call bash {"command": "echo bash >> effects"}"#),
    ("bash", r#"call bash {"command": "echo background >> effects", "run_in_background": true}"#),
    ("cli_mark", r#"call cli_mark {"args": ["cli"]}"#),
    ("write", r#"call write {"path": "whole", "content": "one\ntwo\n"}"#),
    ("edit", r#"call edit {"path": "notes", "old": "before", "new": "after"}"#),
    ("read", r#"call read {"path": "notes"}"#),
    ("list", "call list"),
    ("glob", r#"call glob {"pattern": "*"}"#),
    ("grep", r#"call grep {"pattern": "before"}"#),
    ("session", "call session"),
    ("skill", r#"call skill {"name": "rest"}"#),
    ("mcp_s_echo", r#"call mcp_s_echo {"text": "hi"}"#),
    ("mcp_s_put", "call mcp_s_put"),
    ("mcp_s_slow", r#"call mcp_s_slow {"seconds": 0}"#),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_kind_of_call_it_is_done_at_most_once_and_the_session_goes_on() {
    for (tool, said) in KINDS {
        for point in ["synced:call.started", "before:call.finished"] {
            let house = equipped("127.0.0.1:9");
            let talk = Talk::begin(house.serve_with(Some(point)).await.unwrap());
            let session = talk.create("every").await;
            talk.say(&session, said).await;
            talk.server.gone().await;
            assert!(talk.server.was_killed(), "{said}: nothing led to {point}");
            check_call(&restart(&house, &talk).await, tool, said);
            let (whole, notes) = (house.read("whole"), house.read("notes"));
            assert!(["", "one\ntwo\n"].contains(&whole.as_str()), "{whole}");
            assert!(["it was before\n", "it was after\n"].contains(&notes.as_str()), "{notes}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_program_runs_it_is_ended_and_not_run_again() {
    // Nobody else's sleep.
    let long = (1_000_000 + std::process::id()).to_string();
    let cli = json!({"args": ["sleepy", long]});
    let background = json!({"command": format!("echo background >> effects; sleep {long}"), "run_in_background": true});
    let foreground = json!({"command": format!("echo foreground >> effects; sleep {long}")});
    for (tool, arguments) in [("cli_mark", cli), ("bash", foreground), ("bash", background)] {
        let house = equipped("127.0.0.1:9");
        let talk = Talk::begin(house.serve().await);
        let session = talk.create("every").await;
        talk.say(&session, &format!("call {tool} {arguments}")).await;
        first_effect(&house).await;
        assert!(sleeps(&long), "{tool} {arguments}");
        talk.server.kill().await;
        let entries = restart(&house, &talk).await;
        assert!(!sleeps(&long), "{tool} {arguments} still runs");
        let started = |entry: &&Entry| matches!(entry.event, Event::CallStarted(_));
        assert_eq!(entries.iter().flatten().filter(started).count(), 1, "{tool} {arguments}");
    }
}

/// Says whether somebody sleeps that long, or is about to.
fn sleeps(long: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .any(|line| line.contains("sleep") && line.contains(long))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_page_is_fetched_it_is_fetched_again() {
    let site = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = site.local_addr().unwrap().to_string();
    let (asked, mut times) = mpsc::channel();
    // Asked the first time, it says nothing.
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in site.incoming().flatten() {
            asked.send(()).ok();
            if silent.is_empty() {
                silent.push(stream);
                continue;
            }
            // The head of a request comes at once, and is not looked at.
            drop(stream.read(&mut [0; 4096]).map(|_size| ()));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nhere").ok();
        }
    });
    let house = equipped(&address);
    let talk = Talk::begin(house.serve().await);
    let session = talk.create("every").await;
    let said = format!(r#"call web_fetch {{"url": "http://{address}/"}}"#);
    talk.say(&session, &said).await;
    times = tokio::task::spawn_blocking(move || {
        times.recv_timeout(Duration::from_secs(60)).unwrap();
        times
    })
    .await
    .unwrap();
    talk.server.kill().await;
    let entries = restart(&house, &talk).await;
    check_call(&entries, "web_fetch", &said);
    assert_eq!(times.try_iter().count(), 1, "it was asked once more");
    let shown = |entry: &&Entry| matches!(&entry.event, Event::CallFinished(end) if end.content.contains("here"));
    assert_eq!(entries.iter().flatten().filter(shown).count(), 1);
}

/// An agent that has every tool, and a session of it that was there before.
fn equipped(site: &str) -> House {
    let house = House::new();
    let put = |path: &str, text: &str| {
        let path = house.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let yaml = format!(
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: every}}\nspec:\n  \
         model: {{provider: rehearsal, name: instant}}\n  \
         tools: [{{builtin: bash}}, {{builtin: files}}, {{builtin: web}}, {{builtin: session}}, \
         {{mcp: {{name: s, command: python3, args: [-u, server.py]}}}}]\n  web: {{allow: [\"{site}\"]}}\n"
    );
    put("agents/every/agent.yaml", &yaml);
    put("agents/every/policy.yaml", "mode: dangerous\n");
    put("agents/every/skills/rest/SKILL.md", "---\nname: rest\ndescription: How to rest.\n---\nLie down.\n");
    put("agents/every/tools/mark/README.md", "Leaves a mark, and may sleep.\n");
    put("agents/every/tools/mark/mark", "#!/bin/sh\necho \"$1\" >> effects\n[ -n \"$2\" ] && sleep \"$2\"\nexit 0\n");
    let program = house.root().join("agents/every/tools/mark/mark");
    std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    put("../notes", "it was before\n");
    put("../server.py", include_str!("../../../../tools/tests/mcp/server.py"));
    house
}

/// The first call of this tool: begun once where it may do something, and told to the model once, whatever became of it.
fn check_call(sessions: &[Vec<Entry>], tool: &str, said: &str) {
    let all: Vec<&Entry> = sessions.iter().flatten().collect();
    let started = |entry: &&Entry| {
        let Event::CallStarted(started) = &entry.event else { return None };
        (started.tool == tool).then_some((started.call, started.effect))
    };
    let (call, effect) = all.iter().find_map(started).unwrap_or_else(|| panic!("{said}: no call was started"));
    let count = |of: &dyn Fn(&Event) -> bool| all.iter().filter(|entry| of(&entry.event)).count();
    let starts = count(&|event| matches!(event, Event::CallStarted(started) if started.call == call));
    let ends = count(&|event| matches!(event, Event::CallFinished(end) if end.call == call));
    let lost = count(&|event| matches!(event, Event::CallLost(lost) if lost.call == call));
    let right = match effect {
        Effect::Effectful => (starts, ends, lost) == (1, 0, 1),
        Effect::Read | Effect::Idempotent => (starts, ends, lost) == (2, 1, 0),
        Effect::Verifiable | Effect::Resumable => starts <= 2 && (ends, lost) == (1, 0),
    };
    assert!(right, "{said}: {effect:?}, {starts} starts, {ends} ends, {lost} lost");
}
