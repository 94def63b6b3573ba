//! A hostile web server that can also be the real one: what is under `/evil` it answers itself, all else it passes on, and
//! notes down what came and what was answered.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request that was passed on.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Method and path.
    pub line: String,
    /// All of its head.
    pub head: String,
    /// What the server said.
    pub status: u16,
}

/// It runs until its process ends.
pub struct Tap {
    pub port: u16,
    passed: Arc<Mutex<Vec<Passed>>>,
    reports: Receiver<String>,
}

struct Inside {
    page: String,
    server: String,
    passed: Arc<Mutex<Vec<Passed>>>,
    report: SyncSender<String>,
}

impl Tap {
    /// Begins. `page` makes what is shown at `/evil`, of its own port.
    pub fn before(server: &str, page: impl FnOnce(u16) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let (report, reports) = sync_channel(8);
        let inside = Inside { page: page(port), server: server.to_owned(), passed: Arc::clone(&passed), report };
        let inside = Arc::new(inside);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let inside = Arc::clone(&inside);
                std::thread::spawn(move || serve(&inside, stream));
            }
        });
        Self { port, passed, reports }
    }

    /// Waits for what the page says of its attempts.
    pub fn report(&self) -> serde_json::Value {
        let text = self.reports.recv_timeout(Duration::from_secs(120));
        let text = text.unwrap_or_else(|_| panic!("the page did not report; passed on: {:#?}", self.passed()));
        serde_json::from_str(&text).unwrap()
    }

    /// Returns what was passed on so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }
}

/// One request on one connection.
fn serve(inside: &Inside, stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    if line.is_empty() {
        return;
    }
    if line.contains(" /evil") {
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok();
        if line.starts_with("POST /evil/done") {
            inside.report.send(String::from_utf8(body).unwrap()).ok();
        }
        let kind = "content-type: text/html; charset=utf-8\r\nconnection: close";
        (&stream).write_all(format!("HTTP/1.1 200 OK\r\n{kind}\r\n\r\n{}", inside.page).as_bytes()).ok();
        return;
    }
    let mut server = TcpStream::connect(&inside.server).unwrap();
    // Each request has a connection of its own, so that each is seen.
    let sent = head.replace("Connection: keep-alive", "Connection: close");
    server.write_all(sent.as_bytes()).unwrap();
    let mut up = server.try_clone().unwrap();
    std::thread::spawn(move || {
        std::io::copy(&mut reader, &mut up).ok();
    });
    let mut answer = BufReader::new(server);
    let mut first = String::new();
    answer.read_line(&mut first).ok();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    inside.passed.lock().unwrap().push(Passed { line, head, status });
    (&stream).write_all(first.as_bytes()).ok();
    std::io::copy(&mut answer, &mut &stream).ok();
    stream.shutdown(std::net::Shutdown::Both).ok();
}
