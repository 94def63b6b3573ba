//! Who comes in from where: tokens by command, and servers beyond loopback in TLS, behind proxies, or not at all.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::house::{House, Server, said};

impl House {
    /// Runs a command by a token; it must end like this and say this.
    #[track_caller]
    fn by(&self, token: &str, arguments: &[&str], code: i32, says: &str) -> String {
        let said = said(&self.command(arguments).env("OUTLIVE_TOKEN", token).output().unwrap(), code);
        assert!(said.contains(says), "{arguments:?} does not say `{says}`: {said}");
        said
    }

    fn token(&self, name: &str, scope: &str) -> String {
        let output = self.command(&["token", "create", name, "--scope", scope]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A certificate for `outlive.test` and 127.0.0.1, and its key.
    fn certificate(&self) -> [String; 2] {
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| self.0.path().join(name).display().to_string());
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=outlive.test", "-addext", "subjectAltName=DNS:outlive.test,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out", &cert, "-keyout", &key])
            .stderr(Stdio::null())
            .status();
        let made = made.unwrap_or_else(|error| panic!("openssl: {error}; `apt-get install openssl` brings it"));
        assert!(made.success());
        [cert, key]
    }
}

/// A server that listens elsewhere, too: there, and where this machine's commands find it.
fn beyond(house: &House, arguments: &[&str]) -> (Server, SocketAddr) {
    use std::io::{BufRead as _, BufReader};
    let mut child = house.command(&[&["serve", "--port", "0"], arguments].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (_, rest) = line.split_once("http://").unwrap_or_else(|| panic!("{line}"));
    let (here, rest) = rest.split_once(" and ").unwrap();
    let there = rest.split_once("://").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    (Server { child, address: here.to_owned() }, there)
}

#[test]
fn a_token_made_by_command_lets_do_what_it_is_for_until_it_is_revoked() {
    let house = House::new();
    house.check(&["token", "create", "CI", "--scope", "read"], 2, "a lowercase letter");
    house.check(&["token", "create", "ci"], 2, "--scope");
    house.check(&["token", "create", "ci", "--scope", "root"], 2, "take read, talk, approve or admin");
    house.check(&["token", "create", "ci", "--scope", "read", "--expires", "soon"], 2, "say 30d");
    let reads = house.token("reads", "read");
    let both = house.token("both", "talk,approve");
    house.check(&["token", "create", "both", "--scope", "read"], 1, "token_exists");
    let list: Value = serde_json::from_str(&house.check(&["token", "list", "--json"], 0, "")).unwrap();
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["both", "reads"]);
    let shown = house.check(&["token", "list"], 0, "approve");
    assert!(!shown.contains(&reads) && !shown.contains(&both), "{shown}");
    let file = house.root().join("tokens.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&reads[4..]));
    let backup = house.0.path().join("b.tar");
    house.check(&["backup", backup.to_str().unwrap()], 0, "");
    let packed = String::from_utf8_lossy(&std::fs::read(&backup).unwrap()).into_owned();
    assert!(packed.contains("agents/default") && !packed.contains("tokens.json"), "what was revoked would come back");
    house.by(&both, &["run", "hello"], 0, "");
    house.by(&reads, &["session", "list"], 0, "default");
    for (token, arguments, missing) in [
        (
            &reads,
            &["run", "hello"][..],
            "this needs a token with the scope `talk`, and the one that was sent has `read`",
        ),
        (
            &both,
            &["token", "list"],
            "needs a token with the scope `admin`, and the one that was sent has `talk,approve`",
        ),
        (&both, &["trash", "empty", "--yes"], "needs a token with the scope `admin`"),
    ] {
        house.by(token, arguments, 4, missing);
    }
    house.by("olt_wrong", &["session", "list"], 4, "unauthorized");
    house.check(&["serve", "--stop"], 0, "stopped");
    house.by(&reads, &["status"], 5, "no server runs");
    house.check(&["session", "list"], 0, "default");
    house.by(&reads, &["session", "list"], 0, "default");
    // A server that is started by a command that has it does not take it for the workspace's own.
    house.check(&["serve", "--stop"], 0, "stopped");
    house.by(&reads, &["session", "list"], 0, "default");
    house.by(&reads, &["run", "hello"], 4, "forbidden_scope");
    house.check(&["token", "revoke", "reads"], 0, "lets nobody in any more");
    house.by(&reads, &["session", "list"], 4, "unauthorized");
    house.check(&["token", "revoke", "reads"], 3, "token_not_found");
    house.write("tokens.json", "[{");
    house.check(&["serve", "--stop"], 0, "stopped");
    house.check(&["serve", "--port", "0"], 1, "it holds who may come in");
}

#[test]
fn beyond_loopback_it_listens_in_tls_or_behind_a_declared_proxy_or_not_at_all() {
    let house = House::new();
    let [cert, key] = house.certificate();
    for host in ["0.0.0.0", "::", "192.0.2.1", "10.1.2.3", "::ffff:10.0.0.1"] {
        house.check(
            &["serve", "--host", host, "--port", "0"],
            2,
            "needs TLS (--tls-cert FILE --tls-key FILE) or a declared",
        );
    }
    house.write("outlive.yaml", "server: {host: 0.0.0.0}\n");
    house.check(&["serve", "--port", "0"], 2, "in plain everybody on the way reads the token");
    house.write("outlive.yaml", "");
    house.check(&["serve", "--host", "0.0.0.0", "--tls-cert", &cert], 2, "--tls-key");
    let tls = ["--host", "0.0.0.0", "--port", "0", "--tls-cert", &cert, "--tls-key"];
    let with =
        |key: &str| [&["serve"], tls.as_slice(), &[key]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let refused = |key: &str, says: &str| {
        let arguments = with(key);
        house.check(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), 2, says);
    };
    refused("/nowhere/key.pem", "/nowhere/key.pem");
    refused(&cert, "can be reached by everybody here: chmod o=");
    std::fs::set_permissions(&cert, std::fs::Permissions::from_mode(0o600)).unwrap();
    refused(&cert, "the key is not PEM, or none");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&key, "can be reached by everybody here: chmod o=");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let other = House::new();
    refused(&other.certificate()[1], "certificate and key cannot be used");
    assert!(
        !house.root().join("run").join("lock").exists()
            || house.check(&["status"], 5, "no server").contains("no server")
    );
}

#[tokio::test]
async fn tls_is_spoken_to_whoever_knows_the_certificate_and_commands_find_it_here() {
    let house = House::new();
    let [cert, key] = house.certificate();
    house.write("outlive.yaml", "server: {hosts: [outlive.test]}\n");
    let (server, there) = beyond(&house, &["--host", "0.0.0.0", "--tls-cert", &cert, "--tls-key", &key]);
    let known = reqwest::Certificate::from_pem(&std::fs::read(&cert).unwrap()).unwrap();
    let there = SocketAddr::from(([127, 0, 0, 1], there.port()));
    let client = |known: Vec<reqwest::Certificate>| {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(known);
        client.resolve("outlive.test", there).resolve("other.test", there).build().unwrap()
    };
    let knows = client(vec![known]);
    let token = std::fs::read_to_string(house.root().join("token")).unwrap();
    let get = |host: &str| knows.get(format!("https://{host}:{}/api/v1/sessions", there.port()));
    for host in ["outlive.test", "127.0.0.1"] {
        assert_eq!(get(host).bearer_auth(&token).send().await.unwrap().status(), 200, "{host}");
        assert_eq!(get(host).send().await.unwrap().status(), 401, "{host}");
    }
    assert!(get("other.test").bearer_auth(&token).send().await.is_err(), "the certificate is not for that name");
    let stranger = client(vec![]).get(format!("https://outlive.test:{}/livez", there.port())).send().await;
    assert!(stranger.is_err(), "a certificate that nobody vouches for");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("http://{there}/livez")).send().await.is_err(), "nothing is said in plain");
    house.check(&["status"], 0, &server.address);
    house.check(&["run", "hello"], 0, "");
}

#[test]
fn in_plain_beyond_loopback_only_declared_proxies_are_heard() {
    let house = House::new();
    let asked = |there: SocketAddr| {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(("127.0.0.1", there.port())).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        answer.split(' ').nth(1).map(str::to_owned)
    };
    let (mut server, there) = beyond(&house, &["--host", "0.0.0.0", "--behind-proxy", "192.0.2.7"]);
    assert_eq!(asked(there), None, "this machine is no declared proxy");
    house.check(&["session", "list"], 0, "");
    server.signal(rustix::process::Signal::TERM);
    server.ended();
    house.write("outlive.yaml", "server: {host: 0.0.0.0, behind_proxy: [127.0.0.1]}\n");
    let (_server, there) = beyond(&house, &[]);
    assert_eq!(asked(there).as_deref(), Some("200"));
}

#[test]
fn no_error_tells_where_the_workspace_lies() {
    let house = House::new();
    house.write(
        "agents/torn/agent.yaml",
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: torn}\nspec: {modle: {}}\n",
    );
    house.write(
        "agents/bare/agent.yaml",
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: bare}\nspec: {soul: ./NONE.md}\n",
    );
    house.agent("ruled", "provider: rehearsal, name: script");
    house.write("agents/ruled/policy.yaml", "mode: anything\n");
    let server = house.serve(|_| ());
    let token = std::fs::read_to_string(house.root().join("token")).unwrap();
    let path = house.0.path().display().to_string();
    for route in [
        "/api/v1/agents/torn",
        "/api/v1/agents/bare",
        "/api/v1/agents/none",
        "/api/v1/agents/torn/export",
        "/api/v1/agents/none/files",
        "/api/v1/sessions/ses_00000000000000000000000009",
        "/api/v1/sessions/ses_00000000000000000000000009/export",
        "/api/v1/artifacts/0000000000000000000000000000000000000000000000000000000000000000",
        "/api/v1/nothing",
    ] {
        let answer = server.get(route, &token);
        assert!(!answer.contains(&path) && !answer.contains("outlive/0."), "{route}: {answer}");
    }
    for agent in ["torn", "bare", "ruled", "none"] {
        let output = house.command(&["run", "-a", agent, "hello"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains(&path), "{agent}: {said}");
    }
}
