//! A workspace in a temporary folder, and the real server on it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use outlive_core::event::Line;
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
}

/// Three agents: one that does as it is told, one that talks slowly, one that asks first.
const AGENTS: [(&str, &str, &str); 3] =
    [("worker", "instant", "dangerous"), ("slow", "script", "dangerous"), ("asks", "instant", "ask")];

impl House {
    pub fn new() -> Self {
        let house = Self { home: tempfile::tempdir().unwrap() };
        for (name, model, mode) in AGENTS {
            let folder = house.root().join("agents").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let yaml = format!(
                "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec:\n  model: {{provider: rehearsal, name: {model}}}\n  tools: [{{builtin: bash}}, {{builtin: files}}]\n"
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
        std::fs::read_to_string(self.home.path().join("effects")).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_outlive"));
        command.arg("--workspace").arg(self.home.path()).args(arguments).env_remove("OUTLIVE_WORKSPACE");
        command.env("HOME", self.home.path()).env("OUTLIVE_LOG", "error").stdin(Stdio::null()).kill_on_drop(true);
        for key in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "OUTLIVE_TOKEN"] {
            command.env_remove(key);
        }
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&self) -> Server {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.home.path().join("log")).unwrap();
        let mut command = self.command(&["serve", "--port", "0"]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pid = child.id().unwrap();
        let began = Instant::now();
        loop {
            let lock = std::fs::read_to_string(self.root().join("run/lock")).unwrap_or_default();
            let owner: Value = serde_json::from_str(&lock).unwrap_or_default();
            if owner["pid"] == pid
                && let Some(address) = owner["address"].as_str()
            {
                let token = std::fs::read_to_string(self.root().join("token")).unwrap();
                let door = Door { address: address.to_owned(), token, http: reqwest::Client::new() };
                let server = Server { child: Mutex::new(child), address: address.to_owned(), door };
                if server.is_ready().await {
                    return server;
                }
                panic!("the server listens and is not ready");
            }
            let log = || std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not come up: {}", log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
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
        names.filter(|name| name.starts_with("ses_")).collect()
    }

    pub fn journal(&self, session: &str) -> Vec<Line> {
        let text = std::fs::read_to_string(self.root().join("sessions").join(session).join("events.jsonl")).unwrap();
        text.lines().map(|line| Line::check(line.as_bytes()).unwrap()).collect()
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
        self.child.lock().unwrap().start_kill().unwrap();
        self.gone().await;
    }

    async fn gone(&self) {
        let began = Instant::now();
        while self.child.lock().unwrap().try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops it as a person would, and waits for its end.
    pub async fn stop(&self) {
        let pid = self.child.lock().unwrap().id().unwrap().cast_signed();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
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

    pub async fn create(&self, agent: &str) -> Option<String> {
        let (_, body) = self.ask("POST", "/sessions", Some(json!({"agent": agent}))).await?;
        body["id"].as_str().map(str::to_owned)
    }

    /// Reads a session's whole stream up to where it becomes live: the exact lines.
    pub async fn replay(&self, session: &str) -> Vec<String> {
        let url = format!("http://{}/api/v1/sessions/{session}/events", self.address);
        let request = self.door.http.get(url).bearer_auth(&self.door.token).header("accept", "text/event-stream");
        let mut response = request.header("last-event-id", "0").send().await.unwrap();
        let mut text = String::new();
        while !text.contains("event: live") {
            let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended"));
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        text.lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| data.starts_with('{'))
            .map(str::to_owned)
            .collect()
    }
}
