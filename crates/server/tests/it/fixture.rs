//! A server on a free port over the memory store, with a model and a tool that do as they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use outlive_core::content::{Delta, Failure, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::context::{Frame, FrameParts};
use outlive_core::event::{Effect, OnDisconnect};
use outlive_core::id::AgentName;
use outlive_core::policy::{Policy, Reach};
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::clock::{Moments, SystemClock};
use outlive_runtime::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use outlive_runtime::{Runtime, Settings};
use outlive_server::Token;
use outlive_store::Store;
use outlive_store::memory::{self, Fault, Faults};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{Ledger, Scripted};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub const TOKEN: &str = "secret-token";

#[derive(Clone)]
struct Puppet {
    next: Arc<Mutex<Vec<Reply>>>,
    goes: watch::Sender<bool>,
}

impl Model for Puppet {
    fn describe(&self) -> Description {
        Description { provider: "test".into(), name: "puppet".into(), context_window: None }
    }

    fn stream(&self, _request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            sink(Delta::Text { text: "sa".into() });
            self.goes.subscribe().wait_for(|goes| *goes).await.unwrap();
            Ok(self.next.lock().unwrap().pop().unwrap_or_else(said))
        })
    }
}

fn said() -> Reply {
    Reply {
        content: vec![ReplyBlock::Text("said".into())],
        stop_reason: StopReason::EndTurn,
        usage: Usage::default(),
        model: "puppet".into(),
        provider_request_id: None,
        served_by: None,
    }
}

struct OneAgent(Puppet);

impl Aftermath for OneAgent {}

impl Kits for OneAgent {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        if agent.as_str() != "test" {
            return Err(KitError::Unknown(agent.clone()));
        }
        let send = Scripted::new("send", Effect::Effectful, Reach::Beyond, &Ledger::default());
        let toolbox = Arc::new(Toolbox::new(vec![Arc::new(send)]));
        let parts = FrameParts {
            window: outlive_core::context::Window::default(),
            system: vec![],
            tools: toolbox.specs(),
            max_output_tokens: 1,
            temperature: None,
            model: "test/puppet".into(),
            agent_digest: "0".into(),
        };
        let place = Place { cwd: "/".into(), roots: vec![], protected: vec![] };
        let (model, policy, terms) = (Arc::new(self.0.clone()), Policy::default(), Terms::default());
        let voices = Voices::only(Voice { frame: Frame::new(parts), model });
        let keeper = Keeper::plain(voices.at(0));
        Ok(Arc::new(Kit { voices, toolbox, policy, place, terms, keeper }))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        self.kit(agent).map(|_| Card {
            name: agent.clone(),
            description: String::new(),
            version: None,
            model: "test/puppet".into(),
            fallback: vec![],
            digest: "0".into(),
            tools: vec![],
            skills: vec![],
            works_in: "/".into(),
            warnings: vec![],
            on_disconnect: OnDisconnect::Continue,
        })
    }

    fn names(&self) -> Result<Vec<AgentName>, outlive_store::StoreError> {
        Ok(vec!["test".parse().unwrap()])
    }
}

pub struct Server {
    address: String,
    runtime: Arc<Runtime>,
    puppet: Puppet,
    faults: Faults,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(set: impl FnOnce(&mut outlive_server::Settings)) -> Self {
        Self::over(memory::store(), set).await
    }

    /// Ends, and starts over what it kept.
    pub async fn restarted(self) -> Self {
        self.shut_down().await;
        let kept = self.faults.clone();
        Self::over((kept.reopen(), kept), |_| ()).await
    }

    #[expect(clippy::disallowed_methods, reason = "a server for one test")]
    async fn over((store, faults): (Store, Faults), set: impl FnOnce(&mut outlive_server::Settings)) -> Self {
        let puppet = Puppet { next: Arc::default(), goes: watch::Sender::new(true) };
        let moments = Moments::new(Arc::new(SystemClock), 7);
        let kits = Arc::new(OneAgent(puppet.clone()));
        let runtime = Runtime::start(store, kits, moments, Settings::default()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let mut settings = outlive_server::Settings::new(Token::new(TOKEN));
        settings.body_time = std::time::Duration::from_millis(300);
        set(&mut settings);
        let entrances = vec![outlive_server::Entrance::plain(listener)];
        tokio::spawn(outlive_server::serve(entrances, Arc::clone(&runtime), settings, stop.clone()));
        Self { address, runtime, puppet, faults, stop }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Shuts down as the program does.
    pub async fn shut_down(&self) {
        self.runtime.shutdown().await;
        self.stop.cancel();
    }

    /// A connection on which nothing was said.
    pub async fn connection(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {TOKEN}")
    }

    pub fn model_says(&self, reply: Reply) {
        self.puppet.next.lock().unwrap().push(reply);
    }

    pub fn model_hangs(&self) {
        self.puppet.goes.send_replace(false);
    }

    pub fn model_goes_on(&self) {
        self.puppet.goes.send_replace(true);
    }

    /// Reads the metrics as text, with the head of the answer.
    pub async fn metrics(&self) -> String {
        let bearer = self.bearer();
        self.exchange("GET", "/metrics", &[("authorization", bearer.as_str())], "").await
    }

    pub fn disk_is_full(&self) {
        self.faults.every(1, Fault::NoSpace);
    }

    pub fn disk_says_no(&self) {
        self.faults.every(1, Fault::Io);
    }

    pub fn disk_has_room(&self) {
        self.faults.clear();
    }

    pub async fn session(&self) -> String {
        let (status, body) = self.send("POST", "/sessions", &[], r#"{"agent":"test"}"#).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, route: &str) -> (u16, Value) {
        self.send("GET", route, &[], "").await
    }

    pub async fn post(&self, route: &str, body: Value) -> (u16, Value) {
        self.send("POST", route, &[], &body.to_string()).await
    }

    /// Waits until the session has this status, event by event.
    pub async fn until(&self, session: &str, status: &str) {
        let id = session.parse().unwrap();
        let mut listener = self.runtime.subscribe(id, 0);
        while self.runtime.view(id).await.unwrap().status().as_str() != status {
            listener.next().await.unwrap();
        }
    }

    pub async fn journal(&self, session: &str) -> Vec<String> {
        let lines = self.runtime.entries(session.parse().unwrap(), 0, 1_000).await.unwrap();
        lines.iter().map(|line| line.as_str().to_owned()).collect()
    }

    pub async fn send(&self, method: &str, route: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let bearer = self.bearer();
        let mut all = vec![("authorization", bearer.as_str())];
        if !body.is_empty() {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        self.bare(method, &format!("/api/v1{route}"), &all, body).await
    }

    pub async fn get_text(&self, route: &str) -> (u16, String) {
        let bearer = self.bearer();
        let headers = [("authorization", bearer.as_str()), ("connection", "close")];
        let answer = self.exchange("GET", &format!("/api/v1{route}"), &headers, "").await;
        (status(&answer), answer)
    }

    /// Sends exactly these headers, and a Host unless one is given.
    pub async fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let answer = self.exchange(method, path, headers, body).await;
        let text = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        (status(&answer), serde_json::from_str(text).unwrap_or(Value::Null))
    }

    async fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut stream = self.open(method, path, headers, body.len()).await;
        // A server that refuses early may close before all is sent.
        stream.write_all(body.as_bytes()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    }

    pub async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> TcpStream {
        let mut all: BTreeMap<&str, &str> = BTreeMap::from([("host", self.address.as_str()), ("connection", "close")]);
        all.extend(headers.iter().copied());
        let lines: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if length > 0 { format!("content-length: {length}\r\n") } else { String::new() };
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(format!("{method} {path} HTTP/1.1\r\n{lines}{length}\r\n").as_bytes()).await.unwrap();
        stream
    }

    /// Has a token made.
    pub async fn token(&self, name: &str, scopes: &[&str]) -> String {
        let (status, made) = self.post("/tokens", serde_json::json!({"name": name, "scopes": scopes})).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    /// As `send`, by another token.
    pub async fn by(&self, token: &str, (method, route): (&str, &str), body: &str) -> (u16, Value) {
        self.send(method, route, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// Sends these very bytes, as far as they are taken, and reads whatever comes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (mut from, mut to) = self.connection().await.into_split();
        let send = async {
            // A server that refuses early may close before all is sent.
            to.write_all(bytes).await.ok();
        };
        let mut answer = Vec::new();
        let read = async {
            from.read_to_end(&mut answer).await.ok();
        };
        futures_util::join!(send, read);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Listens to a session by a token, until the replay is over. The connection, and what has come.
    pub async fn listening(&self, token: &str, session: &str, last: u64) -> (TcpStream, String) {
        let (bearer, last) = (format!("Bearer {token}"), last.to_string());
        let mut headers = vec![("authorization", bearer.as_str()), ("accept", "text/event-stream")];
        headers.push(("last-event-id", &last));
        let mut stream = self.open("GET", &format!("/api/v1/sessions/{session}/events"), &headers, 0).await;
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains("event: live") {
            assert!(stream.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
        }
        (stream, String::from_utf8(text).unwrap())
    }

    /// Announces a body and never sends it.
    pub async fn slow_body(&self) -> u16 {
        let bearer = self.bearer();
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let mut stream = self.open("POST", "/api/v1/sessions", &headers, 10).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        status(&String::from_utf8(answer).unwrap())
    }

    /// Listens to a session that is deleted meanwhile, to the stream's end.
    pub async fn stream_of_a_deleted(&self, session: &str) -> String {
        let bearer = self.bearer();
        let headers = [("authorization", bearer.as_str()), ("accept", "text/event-stream")];
        let mut stream = self.open("GET", &format!("/api/v1/sessions/{session}/events"), &headers, 0).await;
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains("event: live") {
            assert!(stream.read_buf(&mut text).await.unwrap() > 0);
        }
        assert_eq!(self.send("DELETE", &format!("/sessions/{session}"), &[], "").await.0, 204);
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Listens until so many events have come.
    pub async fn stream(&self, session: &str, last: Option<&str>, count: usize) -> String {
        let bearer = self.bearer();
        let mut headers = vec![("authorization", bearer.as_str()), ("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let mut stream = self.open("GET", &format!("/api/v1/sessions/{session}/events"), &headers, 0).await;
        let mut text = String::new();
        let mut buffer = [0; 4_096];
        while text.matches("\nevent: event").count() < count || !text.ends_with("\n\n") && !text.ends_with("\r\n") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream ended: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        text
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Returns the lines and ids of a stream's events.
pub fn decoded(text: &str) -> Vec<(String, u64)> {
    let mut events = Vec::new();
    let mut id = 0;
    for line in text.lines() {
        if let Some(seq) = line.strip_prefix("id: ") {
            id = seq.parse().unwrap();
        }
        if let Some(data) = line.strip_prefix("data: ").filter(|data| data.starts_with('{')) {
            events.push((data.to_owned(), id));
        }
    }
    events
}
