//! A Docker engine, by its API over its own socket: asked for containers, each of one command ([`container`]).
//!
//! Requests are HTTP/1.0, so that an answer is what comes until the end: there is nothing to unwrap. Only a socket on this
//! machine is spoken to: folders are granted by mounting them.
//!
//! Invariant: a container carries the labels of its call before it is started, so that one of a dead server is found.

mod container;

use std::path::{Path, PathBuf};
use std::time::Duration;

use outlive_core::id::CallId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

pub(crate) use container::container;

/// Where an engine listens, unless it is told otherwise.
pub const SOCKET: &str = "/var/run/docker.sock";
/// What a container is made of, unless the agent names another.
pub const IMAGE: &str = "debian:stable-slim";
/// The label that names the folder of records of the server that made it.
const HOUSE: &str = "dev.outlive.house";
/// The label that names its call.
const CALL: &str = "dev.outlive.call";
/// The API that is asked for: of 2023, and spoken by all since.
const VERSION: &str = "v1.43";
/// Time for an answer that does not wait for a command.
const SOON: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const ANSWER: u64 = 4 << 20;
const HEAD: usize = 64 << 10;

/// An engine at its socket.
#[derive(Debug, Clone)]
pub(crate) struct Engine(PathBuf);

/// A container that was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    #[serde(rename = "Id")]
    pub id: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Labels", default)]
    labels: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Waited {
    #[serde(rename = "StatusCode")]
    code: i32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
}

/// Which of a container's outputs a piece is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Engine {
    /// The engine at this socket.
    pub fn at(socket: PathBuf) -> Self {
        Self(socket)
    }

    /// Whether it answers, and has the image.
    ///
    /// # Errors
    ///
    /// Why no container of it can run.
    pub async fn probe(&self, image: &str) -> Result<(), String> {
        self.ask("GET", "/_ping", None).await?;
        let looked = self.ask("GET", &format!("/{VERSION}/images/{image}/json"), None).await;
        looked.map_err(|why| format!("its image `{image}` is not to be had ({why}): `docker pull {image}`"))?;
        Ok(())
    }

    /// Makes a container that does not run yet.
    pub async fn create(&self, container: &Value) -> Result<Made, String> {
        let body = self.ask("POST", &format!("/{VERSION}/containers/create"), Some(container)).await?;
        serde_json::from_slice(&body).map_err(|error| format!("the Docker engine made what has no id: {error}"))
    }

    /// Returns what it will say, from before it starts.
    pub async fn attach(&self, id: &str) -> Result<Frames, String> {
        let path = format!("/{VERSION}/containers/{id}/attach?stream=1&stdout=1&stderr=1");
        let mut stream = self.send("POST", &path, None).await?;
        let status = tokio::time::timeout(SOON, head(&mut stream)).await.map_err(|_late| late())??;
        if !(200..300).contains(&status) && status != 101 {
            return Err(refused(status, &[]));
        }
        Ok(Frames { stream, bytes: Vec::new(), from: Stream::Out, left: 0 })
    }

    /// Starts it.
    pub async fn start(&self, id: &str) -> Result<(), String> {
        self.ask("POST", &format!("/{VERSION}/containers/{id}/start"), None).await.map(drop)
    }

    /// Returns its exit code, once it has one.
    pub async fn wait(&self, id: &str) -> Result<i32, String> {
        let stream = self.send("POST", &format!("/{VERSION}/containers/{id}/wait"), None).await?;
        let body = answer(stream).await?;
        let waited: Waited = serde_json::from_slice(&body).map_err(|error| format!("no exit code came: {error}"))?;
        Ok(waited.code)
    }

    /// Sends its first process a signal.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), String> {
        self.ask("POST", &format!("/{VERSION}/containers/{id}/kill?signal={signal}"), None).await.map(drop)
    }

    /// Removes it, running or not.
    pub async fn remove(&self, id: &str) -> Result<(), String> {
        self.ask("DELETE", &format!("/{VERSION}/containers/{id}?force=1&v=1"), None).await.map(drop)
    }

    /// Has it removed without waiting for an answer, where nothing can be waited for.
    pub fn let_go(&self, id: &str) {
        use std::io::Write as _;
        let request = request("DELETE", &format!("/{VERSION}/containers/{id}?force=1&v=1"), None);
        // If nobody hears it, the next start removes it.
        if let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&self.0) {
            drop(stream.write_all(&request));
        }
    }

    /// Returns the containers of this house, and the call of each.
    pub async fn of_house(&self, house: &Path) -> Result<Vec<(String, Option<CallId>)>, String> {
        let filters = json!({"label": [format!("{HOUSE}={}", house.display())]}).to_string();
        let path = format!("/{VERSION}/containers/json?all=1&filters={}", escaped(&filters));
        let body = self.ask("GET", &path, None).await?;
        let listed: Vec<Listed> = serde_json::from_slice(&body).map_err(|error| format!("no list came: {error}"))?;
        let call = |listed: &Listed| listed.labels.get(CALL).and_then(|call| call.parse().ok());
        Ok(listed.into_iter().map(|listed| (listed.id.clone(), call(&listed))).collect())
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>, String> {
        let asked = async { answer(self.send(method, path, body).await?).await };
        tokio::time::timeout(SOON, asked).await.map_err(|_late| late())?
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<UnixStream, String> {
        let shown = self.0.display();
        let unheard = |error: std::io::Error| format!("no Docker engine answers at `{shown}`: {error}");
        let mut stream = UnixStream::connect(&self.0).await.map_err(unheard)?;
        stream.write_all(&request(method, path, body)).await.map_err(unheard)?;
        Ok(stream)
    }
}

fn request(method: &str, path: &str, body: Option<&Value>) -> Vec<u8> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Every byte but letters and digits: a filter has quotes and brackets.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Reads the head of an answer, and not a byte more: returns its status.
async fn head(stream: &mut UnixStream) -> Result<u16, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(|error| format!("the Docker engine broke off: {error}"))?;
        head.push(byte);
        if head.len() > HEAD {
            return Err("the Docker engine's answer has no end of its head".to_owned());
        }
    }
    let status = head.split(|byte| *byte == b' ').nth(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    status.ok_or_else(|| "what answers is no Docker engine".to_owned())
}

async fn answer(mut stream: UnixStream) -> Result<Vec<u8>, String> {
    let status = head(&mut stream).await?;
    let mut body = Vec::new();
    let read = stream.take(ANSWER).read_to_end(&mut body).await;
    read.map_err(|error| format!("the Docker engine broke off: {error}"))?;
    if (200..300).contains(&status) { Ok(body) } else { Err(refused(status, &body)) }
}

fn refused(status: u16, body: &[u8]) -> String {
    let complaint: Complaint = serde_json::from_slice(body).unwrap_or_default();
    format!("the Docker engine refuses: {status} {}", complaint.message).trim_end().to_owned()
}

fn late() -> String {
    "the Docker engine does not answer in time".to_owned()
}

/// What a container says: both its outputs in one stream, in frames.
pub(crate) struct Frames {
    stream: UnixStream,
    bytes: Vec<u8>,
    from: Stream,
    /// Bytes of the frame that are still to come.
    left: usize,
}

impl Frames {
    /// Returns the next piece, `None` at the end. Dropped while it waits, it loses nothing.
    pub async fn piece(&mut self) -> std::io::Result<Option<(Stream, Vec<u8>)>> {
        loop {
            if self.left > 0 && !self.bytes.is_empty() {
                let rest = self.bytes.split_off(self.left.min(self.bytes.len()));
                let piece = std::mem::replace(&mut self.bytes, rest);
                self.left -= piece.len();
                return Ok(Some((self.from, piece)));
            }
            if let (0, Some((head, rest))) = (self.left, self.bytes.split_first_chunk::<8>()) {
                let [kind, _, _, _, size @ ..] = *head;
                self.from = if kind == 2 { Stream::Err } else { Stream::Out };
                self.left = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
                self.bytes = rest.to_vec();
                continue;
            }
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_put_together_however_they_arrive() {
        let said = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x05error\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x02by";
        for cut in 0..said.len() {
            let (stream, mut engine) = UnixStream::pair().unwrap();
            let mut frames = Frames { stream, bytes: Vec::new(), from: Stream::Out, left: 0 };
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let told = async {
                engine.write_all(&said[..cut]).await.unwrap();
                tokio::task::yield_now().await;
                engine.write_all(&said[cut..]).await.unwrap();
                drop(engine);
            };
            let heard = async {
                while let Some((from, piece)) = frames.piece().await.unwrap() {
                    if from == Stream::Out { out.extend(piece) } else { err.extend(piece) }
                }
            };
            tokio::join!(told, heard);
            assert_eq!((out.as_slice(), err.as_slice()), (&b"outby"[..], &b"error"[..]), "{cut}");
        }
    }
}
