//! A workspace in a temporary folder, its server, and a provider that says what it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub const OUTLIVE: &str = env!("CARGO_BIN_EXE_outlive");

pub struct House(pub tempfile::TempDir);

impl House {
    pub fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        house.check(&["init"], 0, &format!("workspace {} is ready", house.root().display()));
        house
    }

    pub fn root(&self) -> PathBuf {
        self.0.path().join(".outlive")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(OUTLIVE);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("LANG", "C.UTF-8");
        command.env("OUTLIVE_WORKSPACE", self.0.path()).env("HOME", self.0.path());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command that must end like this and say this, on either stream.
    #[track_caller]
    pub fn check(&self, arguments: &[&str], code: i32, says: &str) -> String {
        let said = said(&self.command(arguments).output().unwrap(), code);
        assert!(said.contains(says), "{arguments:?} does not say `{says}`: {said}");
        said
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// An agent that does whatever it is told.
    pub fn agent(&self, name: &str, model: &str) {
        let yaml = format!(
            "apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\n\
             spec: {{model: {{{model}}}, tools: [{{builtin: bash}}, {{builtin: files}}]}}\n"
        );
        self.write(&format!("agents/{name}/agent.yaml"), &yaml);
        self.write(&format!("agents/{name}/policy.yaml"), "mode: dangerous\n");
    }

    /// Starts the server and waits until it listens.
    pub fn serve(&self, with: impl FnOnce(&mut Command)) -> Server {
        let mut command = self.command(&["serve", "--port", "0"]);
        with(&mut command);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split(' ').next()).map(str::to_owned);
        let mut server = Server { child, address: address.unwrap_or_default() };
        assert!(!server.address.is_empty(), "{line} {}", server.ended());
        server
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.command(&["serve", "--stop"]).output().unwrap();
    }
}

/// What a command said, which must have ended like this.
#[track_caller]
pub fn said(output: &Output, code: i32) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// A server that runs. Killed when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: String,
}

impl Server {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, and returns what it said on standard error.
    pub fn ended(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        self.child.wait().unwrap();
        text
    }

    /// Asks a route, and returns the whole answer.
    pub fn get(&self, path: &str, token: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A provider that speaks Chat Completions and always says the same. Returns its base.
pub fn provider(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let event = |value: serde_json::Value| format!("data: {value}\n\n");
    let said =
        event(serde_json::json!({"id": "x", "model": "puppet", "choices": [{"index": 0, "delta": {"content": text}}]}));
    let done = event(
        serde_json::json!({"id": "x", "model": "puppet", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2}}),
    );
    let body = format!("{said}{done}data: [DONE]\n\n");
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
            reader.read_exact(&mut vec![0; length]).ok();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            (&stream).write_all(format!("{head}{body}").as_bytes()).ok();
        }
    });
    base
}
