use super::*;

/// Sends this to the listener, and returns the status line of the answer.
async fn visit(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_what_carries_the_login_s_own_state_ends_it() {
    let redirect = Redirect::bind(0).await.unwrap();
    let port = redirect.port;
    let own = format!("127.0.0.1:{port}");
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // One that connects and says nothing keeps nobody waiting.
    let silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let visitors = async {
        for request in [
            get("/callback?code=stolen&state=other", &own),
            get("/callback?code=stolen&state=s&state=other", &own),
            get("/callback?code=stolen", &own),
            get("/elsewhere?code=stolen&state=s", &own),
            get("/callback?code=stolen&state=s", &format!("rebound.example.org:{port}")),
            get("/callback?code=stolen&state=s", &format!("{own}\r\nHost: other")),
            format!("POST /callback?code=stolen&state=s HTTP/1.1\r\nHost: {own}\r\n\r\n"),
        ] {
            assert_eq!(visit(port, &request).await, "HTTP/1.1 404 Not Found", "{request}");
        }
        assert_eq!(visit(port, &get("/callback?code=right&state=s", &own)).await, "HTTP/1.1 200 OK");
    };
    let (callback, ()) = tokio::join!(redirect.wait("s"), visitors);
    assert_eq!(callback.unwrap(), format!("{}?code=right&state=s", redirect.address()));
    drop(silent);
}

#[tokio::test]
async fn a_request_without_end_is_not_read_to_its_end() {
    let redirect = Redirect::bind(0).await.unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redirect.port)).await.unwrap();
    let waiting = redirect.wait("s");
    tokio::pin!(waiting);
    let flood = async { while stream.write_all(&[b'x'; 4_096]).await.is_ok() {} };
    tokio::select! {
        _ended = &mut waiting => panic!("nothing came"),
        () = flood => {}
    }
}
