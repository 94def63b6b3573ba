//! The server under systemd: what it tells a real socket, its credentials, its unit.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::house::{House, OUTLIVE, said};

/// The socket of a supervisor.
struct Socket(UnixDatagram);

impl Socket {
    fn next(&self) -> String {
        let mut bytes = [0; 512];
        let read = self.0.recv(&mut bytes).unwrap_or_else(|error| panic!("the supervisor is told nothing: {error}"));
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }
}

fn socket(house: &House) -> (Socket, std::path::PathBuf) {
    let path = house.0.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (Socket(socket), path)
}

#[test]
fn a_supervisor_hears_of_the_start_of_life_and_of_the_end() {
    let house = House::new();
    let (socket, path) = socket(&house);
    let mut server = house.serve(|command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    });
    assert_eq!(socket.next(), format!("READY=1\nSTATUS=listens on http://{}", server.address));
    assert_eq!([socket.next(), socket.next()], ["WATCHDOG=1", "WATCHDOG=1"]);
    server.signal(rustix::process::Signal::TERM);
    let last = std::iter::repeat_with(|| socket.next()).find(|said| said != "WATCHDOG=1").unwrap();
    assert_eq!(last, "STOPPING=1\nSTATUS=stopping");
    assert!(server.ended().contains("shutting down"));
}

#[test]
fn a_server_that_may_not_write_any_more_is_not_ready_and_its_watchdog_starves() {
    use std::io::{BufRead as _, BufReader};
    let house = House::new();
    let (socket, path) = socket(&house);
    let mut server = house.serve(|command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    });
    assert!(socket.next().starts_with("READY=1"));
    assert!(server.get("/readyz", "").starts_with("HTTP/1.1 200"));
    std::fs::remove_file(house.root().join("run/lock")).unwrap();
    let stderr = BufReader::new(server.child.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("the watchdog is not fed")));
    assert!(server.get("/readyz", "").starts_with("HTTP/1.1 503"));
    assert!(server.get("/livez", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn keys_and_the_token_come_as_credentials_too() {
    let house = House::new();
    std::fs::remove_file(house.root().join("token")).unwrap();
    let folder = house.0.path().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("OUTLIVE_TOKEN"), "from-a-credential\n").unwrap();
    std::fs::write(folder.join("OPENAI_API_KEY"), "sk-from-a-credential\n").unwrap();
    let server = house.serve(|command| {
        command.env("CREDENTIALS_DIRECTORY", &folder);
    });
    assert!(server.get("/api/v1/sessions", "from-a-credential").starts_with("HTTP/1.1 200"));
    assert!(server.get("/api/v1/sessions", "").starts_with("HTTP/1.1 401"));
    assert!(!house.root().join("token").exists(), "a token that was given is not written down");
    let agents = server.get("/api/v1/agents/default", "from-a-credential");
    assert!(agents.contains("\"model\":\"openai/"), "its key makes it the best that is there: {agents}");
    let mut doctor = house.command(&["doctor"]);
    let doctor =
        doctor.env("CREDENTIALS_DIRECTORY", &folder).env("HTTPS_PROXY", "http://127.0.0.1:1").output().unwrap();
    let shown = said(&doctor, 1);
    assert!(shown.contains("OPENAI_API_KEY") && !shown.contains("from-a-credential"), "{shown}");
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let house = House::new();
    let unit = house.check(&["serve", "--unit"], 0, "Type=notify");
    assert!(unit.contains(&format!("ExecStart={OUTLIVE} --workspace")), "{unit}");
    let path = house.0.path().join("outlive.service");
    std::fs::write(&path, &unit).unwrap();
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).arg(&path).output();
    let verified =
        verified.unwrap_or_else(|error| panic!("systemd-analyze is needed (apt-get install systemd): {error}"));
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("outlive.service")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}
