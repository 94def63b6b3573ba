//! A model on loopback whose first answer stops in its middle, and never ends; every later one is whole.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

pub struct Model {
    port: u16,
}

const PARTS: [&str; 2] = ["Once upon a time\\nthere was a pro", "cess."];

impl Model {
    pub fn that_stops_in_its_first_answer() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                read(&stream);
                let whole = !held.is_empty();
                // Whoever asked may be dead by now.
                answer(&mut stream, whole).ok();
                held.push(stream);
            }
        });
        Self { port }
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

/// Reads a request to its end.
fn read(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}

fn answer(stream: &mut TcpStream, whole: bool) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    for part in &PARTS[..if whole { 2 } else { 1 }] {
        let frame = format!(
            "data: {{\"id\":\"1\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{part}\"}},\"finish_reason\":null}}]}}\n\n"
        );
        stream.write_all(frame.as_bytes())?;
    }
    if whole {
        let end = "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";
        stream.write_all(end.as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    Ok(())
}
