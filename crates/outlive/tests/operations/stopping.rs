//! The emergency stop, with commands that ignore signals, tasks in the background, dead and hung servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::house::{House, Server, said};

/// A command that goes on whatever it is told, and leaves a trace of each moment in which it lives.
fn stubborn(name: &str) -> String {
    format!("trap '' TERM INT HUP; while true; do echo x >> {name}; sleep 0.02; done")
}

/// A provider whose model has such a command run in the background, and then says so.
fn delegating() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let arguments = json!({"command": stubborn("background"), "run_in_background": true}).to_string();
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "bash", "arguments": arguments}}]});
    let reply = |delta: &Value, finish: &str| {
        let said = json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]});
        let done = json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        format!("data: {said}\n\ndata: {done}\n\ndata: [DONE]\n\n")
    };
    let (first, then) = (reply(&call, "tool_calls"), reply(&json!({"content": "it runs"}), "stop"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok();
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let last = asked["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
            let body = if last["role"] == "tool" { &then } else { &first };
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            (&stream).write_all(format!("{head}{body}").as_bytes()).ok();
        }
    });
    base
}

impl House {
    /// What a command has left behind so far.
    fn traces(&self, name: &str) -> u64 {
        std::fs::metadata(self.0.path().join(name)).map_or(0, |found| found.len())
    }

    /// Waits until a command leaves traces.
    fn until_it_runs(&self, name: &str) {
        let began = Instant::now();
        while self.traces(name) == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "{name} does not run");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A turn that runs a stubborn command, and never ends by itself.
    fn busy(&self) -> Child {
        let prompt = format!("run {}", stubborn("foreground"));
        let child = self.command(&["run", "-a", "worker", &prompt]).spawn().unwrap();
        self.until_it_runs("foreground");
        child
    }

    /// Runs `act`, in which no command of either kind may leave a trace.
    #[track_caller]
    fn still<T>(&self, act: impl FnOnce() -> T) -> T {
        let traces = || (self.traces("foreground"), self.traces("background"));
        let before = traces();
        let done = act();
        assert_eq!(traces(), before, "something runs though everything was stopped");
        done
    }

    fn endings(&self) -> Vec<Value> {
        let mut endings = Vec::new();
        for session in std::fs::read_dir(self.root().join("sessions")).unwrap() {
            let name = session.unwrap().file_name().into_string().unwrap();
            let events = self.check(&["session", "events", &name, "--json"], 0, "session.created");
            let ended = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            endings.extend(ended.filter(|event| event["type"] == "turn.ended"));
        }
        endings
    }
}

fn house() -> House {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    house
}

/// Kills it at once, and waits until it is gone.
fn kill(server: &mut Server) {
    server.signal(Signal::KILL);
    server.ended();
}

#[test]
fn a_stop_ends_everything_and_holds_over_a_restart_until_it_is_lifted() {
    let house = house();
    house.agent("delegate", &format!("provider: openai, name: m, base_url: \"{}\"", delegating()));
    let mut server = house.serve(|command| {
        command.env("OPENAI_API_KEY", "k");
    });
    house.check(&["run", "-a", "delegate", "begin"], 0, "it runs");
    house.until_it_runs("background");
    let talk = house.busy();
    let said_of_it = house.check(&["stop", "--all", "--reason", "it runs away"], 0, "everything is stopped since");
    assert!(said_of_it.contains(": it runs away (`outlive stop --lift` lifts it)"), "{said_of_it}");
    // Right after the answer.
    house.still(|| kill(&mut server));
    drop(talk.wait_with_output().unwrap());
    house.still(|| {
        house.check(&["stop", "--status"], 0, "it runs away");
        house.check(&["status"], 5, "everything is stopped");
        let mut server = house.serve(|_| ());
        house.check(&["run", "-a", "worker", "hello"], 1, "(stopped)");
        house.check(&["inbox"], 0, "everything is stopped");
        house.check(&["session", "list"], 0, "worker");
        let codes: Vec<Value> = house.endings().iter().map(|ended| ended["error"]["code"].clone()).collect();
        assert_eq!(codes.iter().filter(|code| **code == "stopped").count(), 1, "{codes:?}");
        house.check(&["stop", "--lift"], 0, "nothing is stopped");
        house.check(&["run", "-a", "worker", "run echo back"], 0, "back");
        house.check(&["stop", "--status"], 0, "nothing is stopped");
        kill(&mut server);
    });
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_stop_leaves_nothing_running_and_stays_stopped() {
    let house = house();
    let mut server = house.serve(|_| ());
    let talk = house.busy();
    let stop = house.command(&["stop", "--all"]).spawn().unwrap();
    let began = Instant::now();
    while !house.root().join("stopped.json").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is written down");
        std::thread::sleep(Duration::from_millis(1));
    }
    // What runs ignores signals: a server takes a second to end it.
    kill(&mut server);
    said(&stop.wait_with_output().unwrap(), 0);
    drop(talk.wait_with_output().unwrap());
    house.still(|| {
        let _server = house.serve(|_| ());
        house.check(&["run", "-a", "worker", "hello"], 1, "(stopped)");
        assert_eq!(house.endings().first().unwrap()["ending"], "interrupted");
    });
}

#[test]
fn a_server_that_hangs_is_ended_with_all_that_it_runs() {
    let house = house();
    let mut server = house.serve(|_| ());
    let talk = house.busy();
    server.signal(Signal::STOP);
    house.check(&["stop", "--all"], 0, "everything is stopped since");
    assert_eq!(server.child.try_wait().unwrap().map(|status| status.success()), Some(false), "it was killed");
    house.still(|| {
        server.ended();
        drop(talk.wait_with_output().unwrap());
        let _server = house.serve(|_| ());
        house.check(&["run", "-a", "worker", "hello"], 1, "(stopped)");
    });
}

#[test]
fn a_stop_needs_no_server() {
    let house = house();
    house.check(&["stop", "--all", "--json"], 0, "\"stopped\": true");
    house.check(&["stop", "--all", "--reason", "a second one changes nothing"], 0, "everything is stopped");
    let status = house.check(&["stop", "--status"], 0, "everything is stopped");
    assert!(!status.contains("a second one"), "{status}");
    house.check(&["run", "-a", "worker", "hello"], 1, "(stopped)");
    house.check(&["stop"], 2, "--all");
}

#[test]
fn while_all_is_stopped_no_command_starts_servers_of_tools() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let yaml = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: worker}\nspec:\n  sandbox: {mode: trust}\n  tools: [{mcp: {name: s, \
                command: touch, args: [started]}}]\n";
    house.write("agents/worker/agent.yaml", yaml);
    house.check(&["stop", "--all"], 0, "everything is stopped");
    house.check(&["mcp", "list", "worker"], 1, "everything is stopped");
    let started = house.root().parent().unwrap().join("started");
    assert!(!started.exists());
    house.check(&["stop", "--lift"], 0, "nothing is stopped");
    house.check(&["mcp", "list", "worker"], 0, "is down");
    assert!(started.exists());
}

/// Lets a server hang whose client is gone: that would start another one.
fn hang(server: &Server, mut talk: Child) {
    server.signal(Signal::STOP);
    talk.kill().unwrap();
    talk.wait().unwrap();
}

/// Lets the emergency stop's file be one that cannot be written.
fn block(house: &House) {
    std::fs::create_dir(house.root().join("stopped.new-0")).unwrap();
}

/// Puts a folder where the audit log's file was.
fn break_audit_log(house: &House) {
    let file = house.root().join("audit/00000001.jsonl");
    std::fs::rename(&file, house.root().join("audit/elsewhere")).unwrap();
    std::fs::create_dir(&file).unwrap();
}

#[test]
fn a_stop_that_cannot_be_written_down_ends_a_server_that_hangs_and_all_that_it_runs() {
    let house = house();
    let mut server = house.serve(|_| ());
    let talk = house.busy();
    block(&house);
    hang(&server, talk);
    house.check(&["stop", "--all"], 1, "all was ended, but the stop could not be written down");
    assert_eq!(server.child.try_wait().unwrap().map(|status| status.success()), Some(false), "it was killed");
    house.still(|| house.check(&["stop", "--status"], 0, "stopped"));
}

#[test]
fn a_stop_that_cannot_be_written_down_ends_what_a_dead_server_left() {
    let house = house();
    let mut server = house.serve(|_| ());
    let talk = house.busy();
    block(&house);
    hang(&server, talk);
    kill(&mut server);
    house.check(&["stop", "--all"], 1, "all was ended, but the stop could not be written down");
    house.still(|| house.check(&["stop", "--status"], 0, "stopped"));
}

#[test]
fn an_audit_log_that_cannot_be_written_keeps_no_stop_from_ending_everything() {
    let house = house();
    let server = house.serve(|_| ());
    let talk = house.busy();
    break_audit_log(&house);
    hang(&server, talk);
    let said = house.check(&["stop", "--all"], 0, "everything is stopped since");
    assert!(said.contains("the stop is not in the audit log"), "{said}");
    house.still(|| house.check(&["stop", "--status"], 0, "stopped"));
}

#[test]
fn a_server_that_cannot_start_ends_what_the_one_before_it_left() {
    let house = house();
    let mut server = house.serve(|_| ());
    hang(&server, house.busy());
    kill(&mut server);
    break_audit_log(&house);
    said(&house.command(&["serve", "--port", "0"]).output().unwrap(), 1);
    house.still(|| house.check(&["stop", "--status"], 0, "stopped"));
}

#[test]
fn a_session_whose_journal_is_damaged_keeps_no_stop_from_being_lifted() {
    let house = house();
    let mut server = house.serve(|_| ());
    let mut talk = house.busy();
    talk.kill().unwrap();
    talk.wait().unwrap();
    // Its turn goes on at the next start.
    house.check(&["serve", "--stop"], 0, "");
    server.ended();
    let session = std::fs::read_dir(house.root().join("sessions")).unwrap().next().unwrap().unwrap();
    let journal = session.path().join("events.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("\"turn.started\"", "\"turn-started\"", 1)).unwrap();
    let _server = house.serve(|_| ());
    house.check(&["session", "show", session.file_name().to_str().unwrap()], 1, "is damaged at line");
    house.check(&["stop", "--all"], 0, "everything is stopped");
    house.check(&["stop", "--lift"], 0, "nothing is stopped");
    house.check(&["run", "-a", "worker", "run echo back"], 0, "back");
}
