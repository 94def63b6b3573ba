//! A workspace in a temporary folder, and the real server on it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use outlive_core::event::{Entry, Line};
use serde_json::{Value, json};

pub struct Rng(Mutex<u64>);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// Below `n` (SplitMix64).
    pub fn below(&self, n: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 31) % n
    }
}

pub struct House {
    home: tempfile::TempDir,
    /// Takes connections, and never says a word.
    _silent: TcpListener,
}

/// Agents: one that does as it is told, one that talks slowly, one that asks first, one whose provider is not
/// there, one that remembers; one whose helper is not there, and one whose helper says nothing; two with little room, the
/// second of which is not condensed; and one of which people are told.
const AGENTS: [(&str, &str, &str); 10] = [
    ("worker", "provider: rehearsal, name: instant", "dangerous"),
    ("slow", "provider: rehearsal, name: script", "dangerous"),
    ("asks", "provider: rehearsal, name: instant", "ask"),
    ("alone", "provider: openai, name: none, base_url: \"http://127.0.0.1:1\"", "ask"),
    ("told", "provider: rehearsal, name: instant", "dangerous"),
    ("minds", "provider: rehearsal, name: instant}\n  memory: {enabled: true", "dangerous"),
    (
        "helpless",
        "provider: rehearsal, name: instant}\n  memory: {enabled: true}\n  \
         context: {helper_model: {provider: openai, name: none, base_url: \"http://127.0.0.1:1\"}",
        "dangerous",
    ),
    (
        "silent",
        "provider: rehearsal, name: instant}\n  \
         context: {helper_model: {provider: openai, name: none, base_url: \"http://SILENT\"}",
        "dangerous",
    ),
    (
        "narrow",
        "provider: rehearsal, name: instant, context_window: 24000, max_output_tokens: 500}\n  \
         context: {soft: 20, hard: 95",
        "dangerous",
    ),
    (
        "listing",
        "provider: rehearsal, name: instant, context_window: 24000, max_output_tokens: 500}\n  \
         context: {soft: 20, hard: 95, compact: false",
        "dangerous",
    ),
];

/// Somebody who is told, and somebody who cannot be.
const NOTIFY: &str = r#"
notify:
  hears: {agents: [told], command: [sh, -c, 'echo "$OUTLIVE_NOTICE" >> heard']}
  is-deaf: {agents: [told], command: ["false"]}
"#;

impl House {
    pub fn new() -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let house = Self { home: tempfile::tempdir().unwrap(), _silent: silent };
        std::fs::create_dir_all(house.root()).unwrap();
        std::fs::write(house.root().join("outlive.yaml"), NOTIFY).unwrap();
        for (name, model, mode) in AGENTS {
            let folder = house.root().join("agents").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let model = model.replace("SILENT", &address);
            let yaml = format!(
                "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  model: {{{model}}}\n  tools: [{{builtin: bash}}, {{builtin: files}}]\n"
            );
            std::fs::write(folder.join("agent.yaml"), yaml).unwrap();
            std::fs::write(folder.join("policy.yaml"), format!("mode: {mode}\n")).unwrap();
        }
        house
    }

    pub fn root(&self) -> PathBuf {
        self.home.path().join(".outlive")
    }

    pub fn effects(&self) -> String {
        self.read("effects")
    }

    /// What a file beside the workspace says; nothing where there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_outlive"));
        command.arg("--workspace").arg(self.home.path()).args(arguments).env_remove("OUTLIVE_WORKSPACE");
        command.env("HOME", self.home.path()).env("OUTLIVE_LOG", "error").stdin(Stdio::null()).kill_on_drop(true);
        let keys = outlive_model::PROVIDERS.into_iter().filter_map(outlive_model::key_variable);
        for key in keys.chain(["OUTLIVE_TOKEN"]) {
            command.env_remove(key);
        }
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&self) -> Server {
        let log = || std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        self.serve_with(None).await.unwrap_or_else(|| panic!("the server does not come up: {}", log()))
    }

    /// Starts the server, to die at a moment, and waits until it is ready; `None` when it ends before.
    pub async fn serve_with(&self, trap: Option<&str>) -> Option<Server> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.path().join("log")).unwrap();
        let mut command = self.command(&["serve", "--port", "0"]);
        command.envs(trap.map(|trap| ("OUTLIVE_TRAP", trap)));
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pid = child.id().unwrap();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60) {
            if let Some(address) = self.owner().filter(|owner| owner.0 == pid).and_then(|owner| owner.1) {
                let token = std::fs::read_to_string(self.root().join("token")).unwrap();
                let door = Door { address: address.clone(), token, http: reqwest::Client::new() };
                let server = Server { child: Mutex::new(child), address, door };
                return (server.is_ready().await || !server.is_gone()).then_some(server);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        None
    }

    /// Who holds the workspace's lock, or held it last, and where it listens.
    pub fn owner(&self) -> Option<(u32, Option<String>)> {
        let lock = std::fs::read_to_string(self.root().join("run/lock")).ok()?;
        let owner: Value = serde_json::from_str(&lock).ok()?;
        Some((owner["pid"].as_u64()?.try_into().ok()?, owner["address"].as_str().map(str::to_owned)))
    }

    /// Waits for a command's effect to become visible, or for this long.
    pub async fn until_an_effect_shows(&self, most: Duration) {
        let (before, began) = (self.effects().len(), Instant::now());
        while self.effects().len() == before && began.elapsed() < most {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn sessions(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.root().join("sessions")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("ses_") && !name.contains('.')).collect()
    }

    pub fn journal(&self, session: &str) -> Vec<Line> {
        let lines = self.text(session);
        lines.lines().map(|line| Line::check(line.as_bytes()).unwrap()).collect()
    }

    /// What has reached a session's file by now, while it is written.
    pub fn so_far(&self, session: &str) -> Vec<Entry> {
        let lines = self.text(session);
        lines.lines().map_while(|line| Line::check(line.as_bytes()).ok()?.read().ok()).collect()
    }

    /// What a session's file has, after what its older segments have of it: as `zstdcat` shows it.
    fn text(&self, session: &str) -> String {
        let folder = self.root().join("sessions").join(session);
        // First, for lines move from it to the segments.
        let live =
            String::from_utf8_lossy(&std::fs::read(folder.join("events.jsonl")).unwrap_or_default()).into_owned();
        let names = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut segments: Vec<PathBuf> = names.filter(|path| path.extension() == Some("zst".as_ref())).collect();
        segments.sort();
        let lines = segments.iter().flat_map(|path| zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap());
        let past = String::from_utf8(lines.collect()).unwrap();
        // A server that died in between left lines in both.
        let first =
            live.lines().next().and_then(|line| Line::check(line.as_bytes()).ok()).map_or(u64::MAX, |line| line.seq());
        let before = past.split_inclusive('\n').zip(1..).take_while(|(_, seq)| *seq < first).map(|(line, _)| line);
        before.chain([live.as_str()]).collect()
    }
}

/// A server's door. It can be knocked at after the server was killed.
#[derive(Clone)]
pub struct Door {
    address: String,
    token: String,
    http: reqwest::Client,
}

impl Door {
    /// Asks; `None` when the server is gone.
    pub async fn ask(&self, method: &str, route: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let url = format!("http://{}/api/v1{route}", self.address);
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }
}

/// A running server. Killed when it is dropped.
pub struct Server {
    child: Mutex<tokio::process::Child>,
    pub address: String,
    door: Door,
}

impl Server {
    /// SIGKILL, now; waits until the process is gone.
    pub async fn kill(&self) {
        // It may have ended by itself: where a system call was made to kill it.
        self.child.lock().unwrap().start_kill().ok();
        self.gone().await;
    }

    pub fn is_gone(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Says whether it ended by a SIGKILL.
    pub fn was_killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.lock().unwrap().try_wait().unwrap().and_then(|status| status.signal()) == Some(9)
    }

    pub async fn gone(&self) {
        let began = Instant::now();
        while !self.is_gone() {
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops it as a person would, and waits for its end.
    pub async fn stop(&self) {
        // Without an id it has ended already.
        let pid = self.child.lock().unwrap().id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        }
        self.gone().await;
    }

    async fn is_ready(&self) -> bool {
        let ready = self.door.http.get(format!("http://{}/readyz", self.address)).send().await;
        ready.is_ok_and(|ready| ready.status().is_success())
    }

    pub fn door(&self) -> Door {
        self.door.clone()
    }

    pub async fn ask(&self, method: &str, route: &str, body: Option<Value>) -> Option<(u16, Value)> {
        self.door.ask(method, route, body).await
    }

    pub async fn get(&self, route: &str) -> Value {
        let (status, body) = self.ask("GET", route, None).await.unwrap_or_else(|| panic!("the server is gone"));
        assert_eq!(status, 200, "{route}: {body}");
        body
    }

    /// Reads the stream until it has sent something; false when the server is gone first.
    pub async fn until_streamed(&self, session: &str, what: &str) -> bool {
        self.stream(session, what).await.is_some()
    }

    pub async fn create(&self, agent: &str) -> Option<String> {
        let (_, body) = self.ask("POST", "/sessions", Some(json!({"agent": agent}))).await?;
        body["id"].as_str().map(str::to_owned)
    }

    /// Reads a session's stream from its beginning up to where it becomes live: the exact lines.
    pub async fn replay(&self, session: &str) -> Vec<String> {
        let text = self.stream(session, "event: live").await.unwrap_or_else(|| panic!("the stream ended"));
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| data.starts_with('{'))
            .map(str::to_owned)
            .collect()
    }

    async fn stream(&self, session: &str, until: &str) -> Option<String> {
        let url = format!("http://{}/api/v1/sessions/{session}/events", self.address);
        let request = self.door.http.get(url).bearer_auth(&self.door.token).header("accept", "text/event-stream");
        let mut response = request.header("last-event-id", "0").send().await.ok()?;
        let mut bytes = Vec::new();
        let is_there = |bytes: &[u8]| bytes.windows(until.len()).any(|window| window == until.as_bytes());
        let mut looked = 0;
        while !is_there(&bytes[looked..]) {
            looked = bytes.len().saturating_sub(until.len());
            bytes.extend_from_slice(&response.chunk().await.ok()??);
        }
        Some(String::from_utf8(bytes).unwrap_or_default())
    }
}

/// Whatever a failing test left running goes with its house: also a server that a command started.
impl Drop for House {
    fn drop(&mut self) {
        let Some((pid, _)) = self.owner() else { return };
        // The lock names who was last: only one that still holds this workspace is ours to end.
        let mine = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let home = self.home.path().to_str().unwrap_or_default().as_bytes();
        let pid =
            rustix::process::Pid::from_raw(pid.cast_signed()).filter(|_| mine.windows(home.len()).any(|w| w == home));
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
        }
    }
}
