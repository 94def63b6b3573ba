//! A small HTTP proxy that goes only where it may: `CONNECT`, and plain HTTP with a whole address.
//!
//! One connection carries one request. The address is resolved, judged and used once; what is refused is answered with why.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::egress::{Egress, Names, Refused};

/// Bytes of a request before its body.
const HEAD: usize = 32 << 10;
/// Connections at once; more wait.
const MOST: usize = 128;
/// Time for a request to say what it wants.
const ASKING: Duration = Duration::from_secs(30);
/// Time for each address to answer.
const CONNECTING: Duration = Duration::from_secs(10);

/// Serves connections for ever.
pub(super) async fn serve(listener: TcpListener, egress: &Egress, names: &dyn Names) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            came = listener.accept(), if open.len() < MOST => match came {
                Ok((stream, _from)) => open.push(one(stream, egress, names)),
                // No descriptors are left, most likely: some come back when a connection ends.
                Err(_error) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(()) = open.next() => {}
        }
    }
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    host: String,
    port: u16,
    /// What goes to the other side first; nothing where a tunnel is asked for.
    head: Option<Vec<u8>>,
}

async fn one(mut client: TcpStream, egress: &Egress, names: &dyn Names) {
    let asked = tokio::time::timeout(ASKING, asked(&mut client)).await;
    let Ok(Some((head, rest))) = asked else { return };
    let Some(wanted) = wanted(&head) else {
        return answer(&mut client, "400 Bad Request", "this proxy takes CONNECT and http:// addresses").await;
    };
    let mut server = match reached(&wanted, egress, names).await {
        Ok(server) => server,
        Err(Failed::Refused(why)) => {
            return answer(&mut client, "403 Forbidden", &format!("the sandbox refuses: {why}")).await;
        }
        Err(Failed::Unreached(why)) => return answer(&mut client, "502 Bad Gateway", &why).await,
    };
    let begun = match &wanted.head {
        Some(head) => server.write_all(head).await,
        None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await,
    };
    if begun.is_ok() && server.write_all(&rest).await.is_ok() {
        // How it ended is seen by both sides.
        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
    }
}

enum Failed {
    Refused(Refused),
    Unreached(String),
}

async fn reached(wanted: &Wanted, egress: &Egress, names: &dyn Names) -> Result<TcpStream, Failed> {
    let addresses = egress.pin(names, &wanted.host, wanted.port).await.map_err(Failed::Refused)?;
    let mut last = "no address answers in time".to_owned();
    for address in addresses {
        match tokio::time::timeout(CONNECTING, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.to_string(),
            Err(_late) => {}
        }
    }
    Err(Failed::Unreached(format!("`{}:{}` cannot be reached: {last}", wanted.host, wanted.port)))
}

/// Reads until the head is whole; returns it, and what came after it.
async fn asked(client: &mut TcpStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((bytes, rest));
        }
        if bytes.len() > HEAD {
            answer(client, "431 Request Header Fields Too Large", "the head of this request is too long").await;
            return None;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads a head; `None` is no request for a proxy.
fn wanted(head: &[u8]) -> Option<Wanted> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if first.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = authority(target)?;
        return Some(Wanted { host, port: port?, head: None });
    }
    let rest = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).and_then(|_| target.get(7..))?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(at);
    let (host, port) = authority(place)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    // It is told which host was judged, and that this is the only request.
    let mut sent = format!("{method} {path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n");
    for line in lines {
        let name = line.split_once(':')?.0.to_ascii_lowercase();
        if !["host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade"]
            .contains(&name.as_str())
        {
            sent.push_str(line);
            sent.push_str("\r\n");
        }
    }
    sent.push_str("\r\n");
    Some(Wanted { host, port: port.unwrap_or(80), head: Some(sent.into_bytes()) })
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`. Nobody's name or password is taken along.
fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rfind(']') {
        Some(end) => (text.get(..=end)?, text.get(end + 1..)?.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_plain) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((host.to_owned(), port))
}

async fn answer(client: &mut TcpStream, status: &str, why: &str) {
    let body = format!("{why}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Who asked may have gone.
    drop(client.write_all(format!("{head}{body}").as_bytes()).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Option<(&str, u16, Option<&str>)>) {
        let expected = expected.map(|(host, port, sent)| Wanted {
            host: host.to_owned(),
            port,
            head: sent.map(|text| text.as_bytes().to_vec()),
        });
        assert_eq!(wanted(head.as_bytes()), expected, "{head:?}");
    }

    #[test]
    fn a_tunnel_and_a_whole_address_are_requests() {
        check("CONNECT example.org:443 HTTP/1.1\r\nHost: other\r\n\r\n", Some(("example.org", 443, None)));
        check("CONNECT [::1]:443 HTTP/1.1\r\n\r\n", Some(("[::1]", 443, None)));
        let plain = "GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nConnection: close\r\nAccept: x\r\n\r\n";
        let asked = "GET http://example.org:81/a?b HTTP/1.1\r\nHost: inner\r\nAccept: x\r\nProxy-Connection: y\r\n\r\n";
        check(asked, Some(("example.org", 81, Some(plain))));
        let root = "GET /?q HTTP/1.1\r\nHost: a.org\r\nConnection: close\r\n\r\n";
        check("GET HTTP://a.org?q HTTP/1.0\r\n\r\n", Some(("a.org", 80, Some(root))));
    }

    #[test]
    fn anything_else_is_none() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET https://a.org/ HTTP/1.1\r\n\r\n",
            "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
            "CONNECT a.org HTTP/1.1\r\n\r\n",
            "CONNECT a.org:99999 HTTP/1.1\r\n\r\n",
            "CONNECT user@a.org:443 HTTP/1.1\r\n\r\n",
            "GET http://u:p@a.org/ HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "GET http://a.org/ HTTP/1.1 x\r\n\r\n",
            "GET http://a.org/ HTTP/2\r\n\r\n",
            "GET http://a.org/ HTTP/1.1\r\nno colon\r\n\r\n",
            "GET http://a\u{e4}.org/ HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            check(head, None);
        }
    }
}
