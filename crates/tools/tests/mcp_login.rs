//! Logins to servers of tools that do not deserve one: nothing is sent where it does not belong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use outlive_core::redact::Secrets;
use outlive_tools::mcp::Bearer as _;
use outlive_tools::mcp::oauth::file::TokenFile;
use outlive_tools::mcp::oauth::{Flow, Lent, Login, Settings, State};
use serde_json::{Value, json};

/// A server on loopback that answers each path with this document.
struct Site {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn site(documents: impl Fn(&str, &str) -> Option<Value> + Send + 'static) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (heard, own) = (Arc::clone(&asked), base.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut line) = (String::new(), String::new());
            reader.read_line(&mut first).unwrap();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            heard.lock().unwrap().push(path.clone());
            let (status, body) = match documents(&path, &own) {
                Some(document) => ("200 OK", document.to_string()),
                None => ("404 Not Found", String::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
            // Whoever does not listen any more has heard enough.
            write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).ok();
        }
    });
    Site { base, asked }
}

fn login(site: &Site, folder: &std::path::Path) -> Login {
    let file = TokenFile::new(folder, "helper", "s");
    Login::new(&format!("{}/mcp", site.base), file, Settings::default()).unwrap()
}

/// Metadata of a well-meant authorization server, with this in place of what is there.
fn metadata(own: &str, change: Value) -> Value {
    let mut all = json!({
        "issuer": own,
        "authorization_endpoint": format!("{own}/authorize"),
        "token_endpoint": format!("{own}/token"),
        "registration_endpoint": format!("{own}/register"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    });
    all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    all
}

/// Begins a login where metadata is as `change` makes it, and returns why there is none.
async fn refused(change: Value) -> String {
    let site = site(move |path, own| match path {
        "/.well-known/oauth-protected-resource/mcp" => {
            Some(json!({"resource": format!("{own}/mcp"), "authorization_servers": [own]}))
        }
        "/.well-known/oauth-authorization-server" => Some(metadata(own, change.clone())),
        "/register" => Some(json!({"client_id": "c", "redirect_uris": []})),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    match login(&site, folder.path()).begin("http://127.0.0.1:9/callback").await {
        Err(refused) => refused.to_string(),
        Ok(begun) => format!("begun: {}", begun.url()),
    }
}

#[tokio::test]
async fn a_login_begins_only_where_a_stolen_code_is_of_no_use_and_nothing_is_in_the_clear() {
    let url = refused(json!({})).await;
    for part in ["begun: ", "/authorize?", "code_challenge_method=S256", "resource=", "state="] {
        assert!(url.contains(part), "{part}: {url}");
    }
    for (change, why) in [
        (json!({"code_challenge_methods_supported": ["plain"]}), "PKCE"),
        (json!({"code_challenge_methods_supported": null}), "PKCE"),
        (json!({"authorization_endpoint": "http://login.example.org/authorize"}), "is not an `https` address"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "is not an `https` address"),
        (json!({"registration_endpoint": "http://login.example.org/register"}), "is not an `https` address"),
        (json!({"registration_endpoint": "https://169.254.169.254/register"}), "not a public address"),
        (json!({"registration_endpoint": "https://10.0.0.1/register"}), "not a public address"),
        (json!({"registration_endpoint": null}), "takes no registrations"),
        (json!({"issuer": "https://other.example.org"}), "issuer"),
    ] {
        let told = refused(change.clone()).await;
        assert!(told.contains(why) && !told.starts_with("begun"), "{change}: {told}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_or_names_authorization_servers_without_end_is_given_up() {
    let silent = site(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let told = login(&silent, folder.path()).begin("http://127.0.0.1:9/callback").await.unwrap_err().to_string();
    assert!(told.contains("does not say where to log in"), "{told}");

    let endless = site(|path, own| {
        let many: Vec<String> = (0..5_000).map(|at| format!("{own}/as{at}")).collect();
        let resource = format!("{own}/mcp");
        path.contains("protected-resource").then(|| json!({"resource": resource, "authorization_servers": many}))
    });
    let told = login(&endless, folder.path()).begin("http://127.0.0.1:9/callback").await.unwrap_err().to_string();
    assert!(told.len() < 500, "{told}");
    let asked = endless.asked.lock().unwrap().len();
    assert!(asked <= 64, "{asked}");
}

#[tokio::test]
async fn a_secret_goes_to_the_authorization_server_that_its_owner_names_and_to_no_other() {
    let site = site(|path, own| match path {
        "/.well-known/oauth-protected-resource/mcp" => {
            Some(json!({"resource": format!("{own}/mcp"), "authorization_servers": [own]}))
        }
        "/.well-known/oauth-authorization-server" => {
            let methods = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
            Some(metadata(own, methods))
        }
        "/token" => Some(json!({"access_token": "t-0123456789", "token_type": "Bearer", "expires_in": 600})),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    for (issuer, told) in [("https://login.example.org", Err("sends to")), (site.base.as_str(), Ok("t-0123456789"))] {
        let settings = Settings {
            client_id: Some("c".to_owned()),
            client_secret: Some("s3cret-of-the-client".to_owned()),
            issuer: Some(issuer.to_owned()),
            flow: Flow::Program,
            ..Settings::default()
        };
        let file = TokenFile::new(folder.path(), "helper", "s");
        let login = Login::new(&format!("{}/mcp", site.base), file, settings).unwrap();
        let known = Secrets::default();
        let token = Lent::new(login, "outlive mcp login helper s", known.clone()).token().await;
        let was_sent = site.asked.lock().unwrap().iter().any(|path| path.contains("/token"));
        match told {
            Err(why) => {
                assert!(token.clone().is_err_and(|error| error.contains(why)), "{token:?}");
                assert!(!was_sent, "the secret stays here");
            }
            Ok(text) => {
                assert_eq!(token, Ok(Some(text.to_owned())));
                assert!(was_sent && known.now().finds(text.as_bytes()));
            }
        }
    }
}

#[tokio::test]
async fn what_comes_back_must_be_the_answer_to_this_login_and_no_redirect_is_followed() {
    let site = site(|path, own| match path {
        "/.well-known/oauth-protected-resource/mcp" => {
            Some(json!({"resource": format!("{own}/mcp"), "authorization_servers": [own]}))
        }
        "/.well-known/oauth-authorization-server" => {
            Some(metadata(own, json!({"authorization_response_iss_parameter_supported": true})))
        }
        "/register" => Some(json!({"client_id": "c", "redirect_uris": []})),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    let login = login(&site, folder.path());
    let begun = login.begin("http://127.0.0.1:9/callback").await.unwrap();
    let back = |query: &str| format!("http://127.0.0.1:9/callback?{query}");
    let (state, issuer) = (begun.state(), begun.issuer().to_owned());
    for (query, why) in [
        ("code=c&state=other".to_owned(), "does not belong to this login"),
        ("code=c".to_owned(), "does not belong to this login"),
        (format!("code=c&state={state}&state=other"), "does not belong to this login"),
        (format!("code=c&state={state}"), "issuer"),
        (format!("code=c&state={state}&iss=https://evil.example.org"), "issuer"),
        (format!("error=access_denied&error_description=%1b[2Jno&state={state}"), "it was refused:  [2Jno"),
        (format!("code=c&state={state}&iss={issuer}"), "exchange"),
    ] {
        let told = begun.finish(&back(&query)).await.unwrap_err().to_string();
        assert!(told.contains(why), "{query}: {told}");
    }
    assert_eq!(login.state().unwrap(), State::Missing, "nothing was kept");
    let lent = Lent::new(login, "outlive mcp login helper s", Secrets::default());
    assert_eq!(lent.token().await, Ok(None));
    let told = lent.challenged("Bearer").await.unwrap_err();
    assert_eq!(told, "it asks who comes: run `outlive mcp login helper s`");
}

#[test]
fn tokens_go_over_tls_or_stay_on_this_machine() {
    let file = || TokenFile::new("/nonexistent".as_ref(), "helper", "s");
    let is_taken = |url: &str| Login::new(url, file(), Settings::default()).is_ok();
    for url in ["https://mcp.example.org/mcp", "http://localhost:1/", "http://127.0.0.1:1/mcp", "http://[::1]:1/mcp"] {
        assert!(is_taken(url), "{url}");
    }
    for url in [
        "http://mcp.example.org/mcp",
        "http://localhost.example.org/",
        "http://127.0.0.1.example.org/",
        "http://10.0.0.1/mcp",
        "https://user:pass@mcp.example.org/",
        "file:///etc/passwd",
        "mcp",
    ] {
        assert!(!is_taken(url), "{url}");
    }
}
