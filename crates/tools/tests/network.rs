//! Commands with a granted network: what was granted is reached, by way of a proxy, and nothing else.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at files and serve on a thread")]

mod stage;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use outlive_core::agent::SandboxMode;
use outlive_tools::egress::Egress;
use outlive_tools::sandbox::{Sandbox, WORKSPACE};
use serde_json::json;
use stage::Stage;

/// Answers every request with its own first line and host.
fn server() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || echo(stream.unwrap()));
        }
    });
    port
}

fn echo(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let body: Vec<&str> = head.lines().filter(|line| line.contains("HTTP/1.") || line.starts_with("Host")).collect();
    let body = body.join("|");
    drop(write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
}

fn stage(grants: Option<&[&str]>) -> Stage {
    let network = grants.map(|grants| Egress::only(grants.iter().map(|grant| grant.parse().unwrap()).collect()));
    let write = vec![WORKSPACE.to_owned()];
    let sandbox = Sandbox { mode: SandboxMode::Bubblewrap, network, write, ..Sandbox::default() };
    Stage::with(tempfile::tempdir().unwrap(), |exec| exec.confined_by(stage::confiner()).within(sandbox))
}

/// Asks the proxy, byte for byte, and returns what it says.
async fn ask(stage: &Stage, request: &str) -> String {
    let command = format!("exec 3<>/dev/tcp/127.0.0.1/3128; printf '{request}' >&3; cat <&3");
    stage.run("bash", json!({"command": command, "timeout_ms": 20_000})).await.content
}

#[tokio::test]
async fn what_was_granted_is_reached_through_the_proxy() {
    let port = server();
    let stage = stage(Some(&[&format!("127.0.0.1:{port}")]));
    let script = format!(
        r#"
import urllib.request, os
proxies = urllib.request.ProxyHandler({{"http": os.environ["http_proxy"]}})
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
print(urllib.request.build_opener(proxies).open("http://127.0.0.1:{port}/a?b").read().decode())
"#
    );
    std::fs::write(stage.ws("get.py"), script).unwrap();
    let got = stage.run("bash", json!({"command": "python3 get.py"})).await;
    assert_eq!(got.content, format!("GET /a?b HTTP/1.1|Host: 127.0.0.1:{port}\n"));
    // A tunnel carries whatever goes through it.
    let request = format!(r"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET /in HTTP/1.1\r\nHost: x\r\n\r\n");
    let said = ask(&stage, &request).await;
    assert!(said.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"), "{said}");
    assert!(said.ends_with("GET /in HTTP/1.1|Host: x"), "{said}");
    // Many at once.
    let many = format!(
        "export http_proxy; for i in {{1..20}}; do (exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://127.0.0.1:{port}/'$i' \
         HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3 | grep -c Host:) & done; wait"
    );
    let said = stage.run("bash", json!({"command": many})).await.content;
    assert_eq!(said.lines().filter(|line| *line == "1").count(), 20, "{said}");
}

#[tokio::test]
async fn what_was_not_granted_is_refused_with_why() {
    let (port, other) = (server(), server());
    let stage = stage(Some(&[&format!("127.0.0.1:{port}"), "*", "granted.example"]));
    let refused = [
        (format!("127.0.0.1:{other}"), "not a public address"),
        (format!("localhost:{other}"), "not a public address"),
        (format!("2130706433:{other}"), "not a public address"),
        (format!("0177.0.0.1:{other}"), "not a public address"),
        (format!("[::1]:{other}"), "not a public address"),
        (format!("[::ffff:127.0.0.1]:{other}"), "not a public address"),
        (format!("127.0.0.2:{port}"), "not a public address"),
        ("169.254.169.254:80".to_owned(), "not a public address"),
        ("10.0.0.1:80".to_owned(), "not a public address"),
    ];
    for (place, why) in refused {
        for request in [format!(r"CONNECT {place} HTTP/1.1\r\n\r\n"), format!(r"GET http://{place}/ HTTP/1.1\r\n\r\n")]
        {
            let said = ask(&stage, &request).await;
            assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n") && said.contains(why), "{request}: {said}");
        }
    }
    let named = self::stage(Some(&["granted.example"]));
    let said = ask(&named, r"CONNECT other.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(said.contains("not among the hosts that are granted"), "{said}");
}

#[tokio::test]
async fn a_granted_network_is_not_a_shared_one() {
    let port = server();
    let stage = stage(Some(&[&format!("127.0.0.1:{port}")]));
    // The same address, without the proxy, is the sandbox's own.
    let direct = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    for command in [direct.as_str(), "exec 3<>/dev/tcp/1.1.1.1/80", "grep -qv 'lo\\|face\\|Inter-' /proc/net/dev"] {
        let ran = stage.run("bash", json!({"command": command})).await;
        assert_eq!(ran.outcome, outlive_core::event::Outcome::Error, "{command}: {ran:?}");
    }
    // The door is shut behind the first who came.
    let script = "import socket; socket.socket(socket.AF_UNIX).connect('/run/outlive/door')";
    std::fs::write(stage.ws("knock.py"), script).unwrap();
    let ran = stage.run("bash", json!({"command": "sleep 0.2; python3 knock.py"})).await;
    assert!(ran.content.contains("refused"), "{ran:?}");
}

#[tokio::test]
async fn nothing_is_opened_where_nothing_is_granted() {
    let stage = stage(None);
    let ran = stage.run("bash", json!({"command": "env | grep -ci proxy; ls /run/outlive"})).await;
    assert_eq!(ran.content, "0\nconfine\n");
    assert!(ask(&stage, "x").await.contains("Connection refused"));
}

#[tokio::test]
async fn what_is_no_request_is_answered_as_such() {
    let stage = stage(Some(&["*"]));
    for request in [r"hello\r\n\r\n", r"GET / HTTP/1.1\r\n\r\n", r"GET ftp://a.org/ HTTP/1.1\r\n\r\n", r"\r\n\r\n"] {
        let said = ask(&stage, request).await;
        assert!(said.starts_with("HTTP/1.1 400 Bad Request"), "{request}: {said}");
    }
    let long = "exec 3<>/dev/tcp/127.0.0.1/3128; head -c 100000 /dev/zero | tr '\\0' a >&3; head -c 12 <&3";
    let said = stage.run("bash", json!({"command": long})).await.content;
    assert!(said.contains("HTTP/1.1 431") || said.contains("reset"), "{said}");
}
