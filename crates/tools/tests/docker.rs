//! Commands in containers, by an engine that speaks the API's shapes and runs them as plain processes; and by a real engine,
//! where one runs.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at files and play an engine on a thread"
)]

mod stage;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use outlive_core::agent::SandboxMode;
use outlive_core::event::Outcome;
use outlive_core::secret::Secret;
use outlive_tools::exec::Exec;
use outlive_tools::orphans::sweep_containers;
use outlive_tools::sandbox::{Sandbox, WORKSPACE};
use serde_json::{Value, json};
use stage::Stage;

#[derive(Default)]
struct Containers {
    made: BTreeMap<String, Value>,
    running: BTreeMap<String, Arc<Mutex<Child>>>,
    /// Whose outputs are to be carried: by whom attached.
    attached: BTreeMap<String, UnixStream>,
    /// Method and path of every request.
    asked: Vec<String>,
}

/// An engine with one image.
struct Engine {
    socket: PathBuf,
    containers: Arc<Mutex<Containers>>,
}

impl Engine {
    fn begin(folder: &Path) -> Self {
        let socket = folder.join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let containers: Arc<Mutex<Containers>> = Arc::default();
        let shared = Arc::clone(&containers);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream.unwrap(), &shared));
            }
        });
        Self { socket, containers }
    }

    fn left(&self) -> usize {
        self.containers.lock().unwrap().made.len()
    }

    fn asked(&self) -> Vec<String> {
        self.containers.lock().unwrap().asked.clone()
    }
}

fn answer(mut stream: UnixStream, shared: &Mutex<Containers>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (method, target) = (line.split(' ').next().unwrap().to_owned(), line.split(' ').nth(1).unwrap().to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = target.split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_start_matches("/v1.43").split('/').skip(1).collect();
    let mut containers = shared.lock().unwrap();
    containers.asked.push(format!("{method} {path}"));
    let (status, said) = match (method.as_str(), parts.as_slice()) {
        ("GET", ["_ping"]) => (200, json!("OK")),
        ("GET", ["images", "debian:stable-slim", "json"]) => (200, json!({"Id": "sha256:1"})),
        ("GET", ["images", ..]) => (404, json!({"message": "No such image"})),
        ("POST", ["containers", "create"]) => {
            let id = format!("c{}", containers.asked.len());
            containers.made.insert(id.clone(), serde_json::from_slice(&body).unwrap());
            (201, json!({"Id": id, "Warnings": []}))
        }
        ("GET", ["containers", "json"]) => {
            let listed = containers.made.iter().map(|(id, made)| json!({"Id": id, "Labels": made["Labels"]}));
            let wanted = target.split("filters=").nth(1).unwrap();
            let house = |listed: &Value| wanted.contains(&hex(listed["Labels"]["dev.outlive.house"].as_str().unwrap()));
            (200, Value::Array(listed.filter(house).collect()))
        }
        ("POST", ["containers", id, "attach"]) => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            containers.attached.insert((*id).to_owned(), stream);
            return;
        }
        ("POST", ["containers", id, "start"]) => {
            start(&mut containers, id);
            (204, Value::Null)
        }
        ("POST", ["containers", id, "wait"]) => {
            let child = Arc::clone(&containers.running[*id]);
            drop(containers);
            let code = loop {
                if let Some(status) = child.lock().unwrap().try_wait().unwrap() {
                    break status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
                }
                std::thread::yield_now();
            };
            return reply(&mut stream, 200, &json!({"StatusCode": code}));
        }
        ("POST", ["containers", id, "kill"]) => {
            let pid = containers.running[*id].lock().unwrap().id();
            let signal = target.split("signal=SIG").nth(1).unwrap();
            Command::new("kill").args(["-s", signal, "--", &format!("-{pid}")]).status().unwrap();
            (204, Value::Null)
        }
        ("DELETE", ["containers", id]) => {
            let was = containers.made.remove(*id);
            if let Some(child) = containers.running.remove(*id) {
                child.lock().unwrap().kill().unwrap();
            }
            if was.is_some() { (204, Value::Null) } else { (404, json!({"message": "No such container"})) }
        }
        _ => (400, json!({"message": "what is that?"})),
    };
    drop(containers);
    reply(&mut stream, status, &said);
}

fn hex(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn reply(stream: &mut UnixStream, status: u16, said: &Value) {
    let body = if said.is_null() { String::new() } else { said.to_string() };
    drop(write!(stream, "HTTP/1.0 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
}

fn start(containers: &mut Containers, id: &str) {
    let made = &containers.made[id];
    let arguments: Vec<&str> = made["Cmd"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    let mut command = Command::new(arguments[0]);
    command.args(&arguments[1..]).current_dir(made["WorkingDir"].as_str().unwrap()).process_group(0);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stream = containers.attached.remove(id).unwrap();
    let pipes: [(u8, Box<dyn std::io::Read + Send>); 2] =
        [(1, Box::new(child.stdout.take().unwrap())), (2, Box::new(child.stderr.take().unwrap()))];
    for (kind, mut pipe) in pipes {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 1000];
            while let Ok(size @ 1..) = pipe.read(&mut piece) {
                let mut frame = vec![kind, 0, 0, 0];
                frame.extend(u32::try_from(size).unwrap().to_be_bytes());
                frame.extend(&piece[..size]);
                if stream.write_all(&frame).is_err() {
                    return;
                }
            }
        });
    }
    containers.running.insert(id.to_owned(), Arc::new(Mutex::new(child)));
}

const GRANTED: &str = "tok-7d6f5e4c";

fn stage(socket: &Path, change: impl FnOnce(&mut Sandbox)) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let write = vec![WORKSPACE.to_owned()];
    let mut sandbox = Sandbox { mode: SandboxMode::Docker, write, ..Sandbox::default() };
    change(&mut sandbox);
    let sandbox = sandbox.hiding(vec![base.join("ws/token")], Vec::new());
    let granted = vec![("API_TOKEN".to_owned(), Secret::new(GRANTED))];
    let how = |exec: Exec| exec.with_engine(socket.to_owned()).within(sandbox).granting(granted);
    let stage = Stage::with(folder, how);
    std::fs::write(stage.ws("token"), "the-token").unwrap();
    stage
}

#[tokio::test]
async fn a_command_runs_in_a_container_and_its_container_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let stage = stage(&engine.socket, |_| {});
    let ran = stage.run("bash", json!({"command": "echo out; echo err >&2; pwd; exit 3"})).await;
    assert_eq!(ran.outcome, Outcome::Error);
    for part in ["out\n", "err\n", stage.place.cwd.to_str().unwrap(), "[exit code 3]"] {
        assert!(ran.content.contains(part), "{ran:?}");
    }
    assert_eq!(engine.left(), 0);
    let order: Vec<String> = engine.asked().iter().map(|asked| asked.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(order[2..5], ["create", "attach", "start"], "attached before it starts: {order:?}");
    let long = stage.run("bash", json!({"command": "seq 200000"})).await;
    assert!(long.content.starts_with("1\n2\n") && long.content.contains("200000\n"), "{}", long.content.len());
}

#[tokio::test]
async fn a_container_has_nothing_but_what_was_granted() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let mut stage = stage(&engine.socket, |_| {});
    std::fs::create_dir_all(stage.ws("deep/state")).unwrap();
    stage.place.protected.push(stage.ws("deep/state"));
    stage.stop_at = Some("ready");
    let containers = Arc::clone(&engine.containers);
    let made: Arc<Mutex<Value>> = Arc::default();
    let (seen, said) = (Arc::clone(&made), Arc::clone(&stage.said));
    let invocation = outlive_tools::Invocation {
        sink: Arc::new(move |text| {
            said.lock().unwrap().push_str(&text);
            if let Some(first) = containers.lock().unwrap().made.values().next() {
                *seen.lock().unwrap() = first.clone();
            }
        }),
        ..stage.invocation(json!({"command": "echo ready"}))
    };
    let (tool, _) = stage.tools.prepare("bash", &invocation.arguments.clone(), &stage.place).unwrap();
    tool.run(invocation).await;
    let made = made.lock().unwrap().clone();
    let ws = stage.place.cwd.to_str().unwrap();
    let bind = |source: String, target: &str, read_only: bool| json!({"Type": "bind", "Source": source, "Target": format!("{ws}{target}"), "ReadOnly": read_only});
    let mounts = json!([
        bind(ws.to_owned(), "", false),
        bind(format!("{ws}/deep"), "/deep", false),
        bind(format!("{ws}/own"), "/own", true),
        bind(format!("{ws}/deep/state"), "/deep/state", true),
        bind("/dev/null".to_owned(), "/token", true),
    ]);
    let host = &made["HostConfig"];
    assert_eq!(host["Mounts"], mounts);
    let expected = [
        ("ReadonlyRootfs", json!(true)),
        ("NetworkMode", json!("none")),
        ("IpcMode", json!("private")),
        ("CapDrop", json!(["ALL"])),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("PidsLimit", json!(1_024)),
        ("Memory", json!(4_u64 << 30)),
        ("MemorySwap", json!(4_u64 << 30)),
        ("Init", json!(true)),
    ];
    for (key, value) in expected {
        assert_eq!(host[key], value, "{key}");
    }
    for absent in ["Privileged", "PidMode", "Devices", "CapAdd", "Binds", "PortBindings"] {
        assert_eq!(host[absent], Value::Null, "{absent}");
    }
    assert_eq!((&made["NetworkDisabled"], &made["Image"]), (&json!(true), &json!("debian:stable-slim")));
    assert_eq!(made["Env"], json!(["TERM=dumb", format!("API_TOKEN={GRANTED}")]));
    assert_eq!(made.to_string().matches(GRANTED).count(), 1, "its secret is in its environment and nowhere else");
    let user = format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    assert_eq!(made["User"], json!(user));
    assert_eq!(made["Labels"]["dev.outlive.call"], json!(stage.call.to_string()));
}

#[tokio::test]
async fn a_container_that_is_stopped_or_late_is_ended_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let stage = stage(&engine.socket, |_| {});
    let stubborn = "trap '' TERM; echo begun; while :; do sleep 0.05; done";
    let late = stage.run("bash", json!({"command": stubborn, "timeout_ms": 300})).await;
    assert_eq!((late.outcome, engine.left()), (Outcome::Timeout, 0), "{late:?}");
    assert!(late.content.starts_with("begun\n"), "{late:?}");
    let mut stage = self::stage(&engine.socket, |_| {});
    stage.stop_at = Some("ready");
    // The shell's own word on what was ended would stand in between.
    let polite = "exec 2>/dev/null; trap 'echo cleaned; exit' TERM; echo ready; while :; do sleep 0.05; done";
    let stopped = stage.run("bash", json!({"command": polite})).await;
    assert_eq!((stopped.outcome, engine.left()), (Outcome::Interrupted, 0));
    assert!(stopped.content.contains("cleaned"), "{stopped:?}");
}

#[tokio::test]
async fn a_call_that_is_dropped_lets_go_of_its_container() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let stage = stage(&engine.socket, |_| {});
    {
        let running = stage.run("bash", json!({"command": "echo begun; sleep 1000"}));
        tokio::pin!(running);
        while !stage.said.lock().unwrap().contains("begun") {
            tokio::select! {
                ended = &mut running => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    while engine.left() > 0 {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_an_engine_cannot_do_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let refused = async |stage: Stage, part: &str| {
        let ran = stage.run("bash", json!({"command": "echo ran >ran"})).await;
        assert!(ran.content.contains(part) && ran.content.contains("mode: trust"), "{ran:?}");
        assert!(!stage.ws("ran").exists());
    };
    let other = |sandbox: &mut Sandbox| sandbox.image = Some("other:1".to_owned());
    refused(stage(&engine.socket, other), "docker pull other:1").await;
    let networked = |sandbox: &mut Sandbox| sandbox.network = Some(outlive_tools::egress::Egress::public());
    refused(stage(&engine.socket, networked), "needs bubblewrap").await;
    refused(stage(&folder.path().join("none.sock"), |_| {}), "no Docker engine answers").await;
    let ungranted = stage(&engine.socket, |sandbox| sandbox.write.clear());
    let ran = ungranted.run("bash", json!({"command": "echo ran"})).await;
    assert!(ran.content.contains("add `workspace` to `write`"), "{ran:?}");
}

#[tokio::test]
async fn containers_of_a_dead_server_are_removed_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::begin(folder.path());
    let house = folder.path().join("run/children");
    let made = |house: &Path| json!({"Labels": {"dev.outlive.house": house.display().to_string()}});
    {
        let mut containers = engine.containers.lock().unwrap();
        containers.made.insert("mine".to_owned(), made(&house));
        containers.made.insert("other".to_owned(), made(&folder.path().join("other")));
    }
    assert_eq!(sweep_containers(&engine.socket, &house).await, Ok(1));
    assert_eq!(engine.containers.lock().unwrap().made.keys().collect::<Vec<_>>(), ["other"]);
    assert_eq!(sweep_containers(&folder.path().join("none"), &house).await, Ok(0));
}

#[tokio::test]
async fn a_real_engine_does_the_same_where_there_is_one() {
    let socket = Path::new("/var/run/docker.sock");
    if UnixStream::connect(socket).is_err() {
        println!("NOT TRIED: no Docker engine answers at {} on this machine", socket.display());
        return;
    }
    let stage = stage(socket, |_| {});
    let attempts = "echo out; touch /usr/x || echo held; cat token; ls /sys/class/net; echo made >made; exit 3";
    let ran = stage.run("bash", json!({"command": attempts, "timeout_ms": 60_000})).await;
    for part in ["out\n", "held\n", "lo\n", "[exit code 3]"] {
        assert!(ran.content.contains(part), "{ran:?}");
    }
    assert!(!ran.content.contains("the-token") && stage.ws("made").exists());
}
