//! Talks to the workspace's server over its API, and starts one where none runs.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use outlive_protocol::{BASE, Page, Problem};
use outlive_store::files::lock;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Workspace;
use crate::exit::Failure;

/// A connection to a server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
    sender: Option<String>,
}

/// Time for a server to come up.
const START: Duration = Duration::from_secs(15);
/// Seconds without anything to do, after which a server that was started for a command stops.
const IDLE_EXIT_S: u64 = 600;

/// Returns the address at which the workspace's server listens, if one runs.
pub fn running(place: &Workspace) -> Option<String> {
    let run = place.root.join("run");
    if lock::is_owned(&run) { lock::owner(&run)?.address } else { None }
}

/// Connects to the workspace's server, starting one where none runs.
///
/// # Errors
///
/// It does not come up: with the end of its log.
pub async fn connect(place: &Workspace) -> Result<Client, Failure> {
    if let Some(client) = attempt(place).await {
        return Ok(client);
    }
    if let (Some(address), None) = (running(place), place.token()) {
        let path = place.root.join("token");
        let why = format!("a server runs at {address}, but its token cannot be read from {}", path.display());
        return Err(Failure::Denied(why));
    }
    let mut server = spawn(place)?;
    let deadline = tokio::time::Instant::now() + START;
    while tokio::time::Instant::now() < deadline {
        if let Some(client) = attempt(place).await {
            return Ok(client);
        }
        match server.try_wait()?.map(|status| status.code()) {
            // Another one was faster: it will answer.
            None | Some(Some(75)) => {}
            Some(code) => return Err(refusal(place, code)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = place.log_tail(5);
    Err(Failure::Unreachable(format!("the server did not come up; the end of {}:\n{log}", place.log().display())))
}

/// Why the server did not even come up, in its own words.
fn refusal(place: &Workspace, code: Option<i32>) -> Failure {
    let log = place.log_tail(20);
    let words =
        log.lines().rev().find_map(|line| line.strip_prefix("outlive: ")).unwrap_or("the server died at its start");
    match code {
        Some(2) => Failure::Usage(words.to_owned()),
        Some(3) => Failure::NotFound(words.to_owned()),
        Some(4) => Failure::Denied(words.to_owned()),
        _ => Failure::Failed(format!("{words}; its log: {}", place.log().display())),
    }
}

/// Returns a connection to the server that holds the workspace, whether it answers or not, and starts none.
pub fn holder(place: &Workspace) -> Option<Client> {
    Some(Client::to(&running(place)?, &place.token()?, place.sender.clone()))
}

async fn attempt(place: &Workspace) -> Option<Client> {
    let client = Client::to(&running(place)?, &place.token()?, place.sender.clone());
    let ready = client.http.get(format!("{}/readyz", client.base)).send().await.ok()?;
    ready.status().is_success().then_some(client)
}

/// Starts a server of its own: it outlives this command.
#[expect(clippy::disallowed_methods, reason = "the one process besides tools that Outlive starts: its own server")]
fn spawn(place: &Workspace) -> Result<std::process::Child, Failure> {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    outlive_store::workspace::make(&place.root)?;
    let log = place.open_log()?;
    let mut server = Command::new(std::env::current_exe()?);
    server.arg("--workspace").arg(&place.root).args(["serve", "--port", "0", "--idle-exit", &IDLE_EXIT_S.to_string()]);
    // By its name alone a workspace at home would open all of the home to tools.
    server
        .arg("--works-in")
        .arg(&place.cwd)
        .current_dir(&place.cwd)
        .stdin(Stdio::null())
        .stdout(log.handle()?)
        .stderr(log.handle()?)
        .process_group(0);
    Ok(server.spawn()?)
}

/// Says whether the server at an address answers that it is ready.
pub async fn is_ready(address: &str) -> bool {
    let client = Client::to(address, "", None);
    let answer = client.http.get(format!("{}/readyz", client.base)).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Returns the version of the server at an address, if one answers.
pub async fn version(address: &str) -> Option<String> {
    let client = Client::to(address, "", None);
    let asked = client.http.get(format!("{}/version", client.base)).timeout(Duration::from_secs(5)).send().await;
    let version: outlive_protocol::health::Version = asked.ok()?.json().await.ok()?;
    Some(version.version)
}

impl Client {
    fn to(address: &str, token: &str, sender: Option<String>) -> Self {
        // The server is on this machine: no proxy is asked for it, and no authority vouches for it.
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap_or_default();
        Self { http, base: format!("http://{address}"), token: token.to_owned(), sender }
    }

    /// Prepares a request to a route under the base.
    pub fn request(&self, method: Method, route: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{BASE}{route}", self.base));
        let request = request.bearer_auth(&self.token).header("outlive-client", "cli");
        match &self.sender {
            // As bytes: names are not written in ASCII alone.
            Some(sender) => request.header("outlive-sender", sender.as_bytes()),
            None => request,
        }
    }

    /// Asks.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, Failure> {
        read(checked(self.request(Method::GET, route).send().await).await?).await
    }

    /// Reads all pages of a list.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn all<T: DeserializeOwned>(&self, route: &str) -> Result<Page<T>, Failure> {
        let mut all: Page<T> = self.get(route).await?;
        let and = if route.contains('?') { '&' } else { '?' };
        while let Some(cursor) = all.next_cursor.take() {
            let page: Page<T> = self.get(&format!("{route}{and}cursor={}", encoded(&cursor))).await?;
            all.items.extend(page.items);
            all.next_cursor = page.next_cursor;
        }
        Ok(all)
    }

    /// Writes. A fresh idempotency key makes it safe to send again.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        read(checked(self.request(method, route).json(body).send().await).await?).await
    }

    /// Sends bytes as what they are.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        route: &str,
        media_type: &'static str,
        bytes: Vec<u8>,
    ) -> Result<T, Failure> {
        let request = self.request(Method::POST, route).header("content-type", media_type);
        read(checked(request.body(bytes).send().await).await?).await
    }

    /// Deletes.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn delete(&self, route: &str) -> Result<(), Failure> {
        checked(self.request(Method::DELETE, route).send().await).await.map(drop)
    }

    /// Sends and receives bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn bytes(&self, method: Method, route: &str, body: Option<(&str, Vec<u8>)>) -> Result<Bytes, Failure> {
        let request = self.request(method, route);
        let request = match body {
            Some((kind, bytes)) => request.header("content-type", kind).body(bytes),
            None => request,
        };
        let cut = |error| Failure::Failed(format!("the server's answer was cut: {error}"));
        checked(request.send().await).await?.bytes().await.map_err(cut)
    }

    /// Listens to a session: its events after a position, then live. Ends when the connection does.
    ///
    /// # Errors
    ///
    /// As [`checked`] says.
    pub async fn listen(&self, session: &str, after: u64) -> Result<Frames, Failure> {
        let request = self.request(Method::GET, &format!("/sessions/{session}/events?after={after}"));
        let response = checked(request.header("accept", "text/event-stream").send().await).await?;
        Ok(Frames { bytes: Box::pin(response.bytes_stream()), text: Vec::new() })
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let bytes = response.bytes().await;
    let bytes =
        bytes.map_err(|error| Failure::Unreachable(format!("the server's answer did not arrive whole: {error}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Failed(format!("the server's answer is not understood: {error}")))
}

/// Turns an answer's status into this program's failures.
///
/// # Errors
///
/// The problem's own words, by what can be done about it.
async fn checked(answer: reqwest::Result<Response>) -> Result<Response, Failure> {
    let response = answer.map_err(|error| Failure::Unreachable(format!("no server answers: {error}")))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let said = response.json::<Problem>().await.map_or_else(|_| status.to_string(), |problem| told(&problem));
    Err(match status {
        StatusCode::NOT_FOUND => Failure::NotFound(said),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Denied(said),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::Usage(said),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Failure::Busy(said),
        _ => Failure::Failed(said),
    })
}

/// A problem in one line: what happened, who was first where that is the point, and the code that names its page.
fn told(problem: &Problem) -> String {
    let first = problem.more.get("first").map(|first| format!("; first there was: {}", words(first)));
    format!("{}{} ({})", problem.detail, first.unwrap_or_default(), problem.code)
}

/// What somebody decided, as `KEY VALUE, …`.
fn words(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => crate::show::label(text),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(map) => {
            let said = map.iter().filter(|(_, value)| !value.is_null());
            said.map(|(key, value)| format!("{key} {}", words(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// One server-sent event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `event`, `delta`, `live`.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// Server-sent events as they come.
pub struct Frames {
    bytes: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    text: Vec<u8>,
}

impl Frames {
    /// Waits for the next one; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let rest = self.text.split_off(end + 2);
                let block = String::from_utf8_lossy(&std::mem::replace(&mut self.text, rest)).into_owned();
                match parse(&block) {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            let bytes = self.bytes.next().await?.ok()?;
            self.text.extend_from_slice(&bytes);
        }
    }

    /// Takes everything and looks at nothing, until the connection has ended.
    pub async fn swallow(mut self) {
        while let Some(Ok(_bytes)) = self.bytes.next().await {}
    }
}

fn parse(block: &str) -> Option<Frame> {
    let mut frame = Frame::default();
    for line in block.lines() {
        match line.split_once(": ").or_else(|| line.split_once(':')) {
            Some(("event", name)) => name.clone_into(&mut frame.name),
            Some(("data", data)) => frame.data.push_str(data),
            Some(_) | None => {}
        }
    }
    (!frame.data.is_empty()).then_some(frame)
}

/// Encodes a value for a query string.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
