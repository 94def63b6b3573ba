//! A real browser on hostile pages: of another origin (forged requests), and of a name that was rebound to this machine.
//! None of their requests reaches a route, with the right token neither.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::house::{House, Server};
use crate::tap::Tap;

/// What both pages begin with: each attempt has a name, and what the page could read of its answer is noted under it.
const BEGIN: &str = r#"<!doctype html><title>evil</title><body><script>
const read = {};
const soon = (promise) => Promise.race([promise, new Promise((done) => setTimeout(() => done("nothing"), 5000))]);
async function attempt(name, work) {
  try { read[name] = String(await soon(work())); } catch (error) { read[name] = "error"; }
}
const socket = (url, token, frame) => new Promise((done) => {
  const socket = new WebSocket(url, ["bearer", token]);
  socket.onopen = () => socket.send(JSON.stringify(frame));
  socket.onmessage = (event) => done(event.data);
  socket.onerror = () => done("error");
});
const events = (url) => new Promise((done) => {
  const source = new EventSource(url);
  source.onopen = () => done("open");
  source.onerror = () => { source.close(); done("error"); };
});
const report = () => fetch("/evil/done", {method: "POST", body: JSON.stringify(read)});
"#;

/// A page of another origin.
const FORGED: &str = r#"
function form(name, enctype, action, fields) {
  return attempt(name, () => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.name = "frame-" + name;
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: enctype ? "post" : "get", action: action + "?as=" + name, target: frame.name});
    if (enctype) form.enctype = enctype;
    for (const [field, value] of Object.entries(fields)) {
      const input = document.createElement("input");
      Object.assign(input, {name: field, value});
      form.append(input);
    }
    document.body.append(form);
    let loads = 0;
    frame.onload = () => {
      if (++loads === 1 && frame.contentDocument && frame.contentDocument.URL === "about:blank") return;
      done(frame.contentDocument ? frame.contentDocument.body.innerText : "hidden");
    };
    form.submit();
  }));
}
const element = (name, tag, attributes) => attempt(name, () => new Promise((done) => {
  const made = document.createElement(tag);
  made.onload = () => done("loaded");
  made.onerror = () => done("error");
  Object.assign(made, attributes);
  document.body.append(made);
}));
(async () => {
  const sessions = api + "/sessions", messages = sessions + "/" + session + "/messages";
  const say = JSON.stringify({content: "forged"}), begin = JSON.stringify({agent: "default"});
  await form("form-text", "text/plain", sessions, {'{"agent":"default","title":"': '"}'});
  await form("form-urlencoded", "application/x-www-form-urlencoded", messages, {content: "forged"});
  await form("form-multipart", "multipart/form-data", api + "/artifacts", {file: "forged"});
  await form("form-get", "", sessions + "/" + session + "/events", {as: "form-get"});
  await attempt("no-cors", () => fetch(messages + "?as=no-cors", {method: "POST", mode: "no-cors", body: say})
    .then((answer) => answer.type + answer.status));
  await attempt("no-cors-credentials", () => fetch(sessions + "?as=no-cors-credentials",
    {method: "POST", mode: "no-cors", credentials: "include", body: begin}).then((answer) => answer.type + answer.status));
  await attempt("no-cors-blob", () => fetch(messages + "?as=no-cors-blob", {method: "POST", mode: "no-cors",
    body: new Blob([say], {type: "application/json"})}).then((answer) => answer.type + answer.status));
  await attempt("cors", () => fetch(messages + "?as=cors", {method: "POST", body: say,
    headers: {"content-type": "application/json", authorization: "Bearer " + token}}).then((answer) => answer.status));
  await attempt("cors-simple", () => fetch(sessions + "?as=cors-simple").then((answer) => answer.text()));
  await attempt("delete", () => fetch(sessions + "/" + session + "?as=delete", {method: "DELETE",
    headers: {authorization: "Bearer " + token}}).then((answer) => answer.status));
  await attempt("beacon", async () => navigator.sendBeacon(messages + "?as=beacon", say));
  await element("image", "img", {src: sessions + "?as=image"});
  await element("script", "script", {src: api + "/openapi.json?as=script"});
  await element("style", "link", {rel: "stylesheet", href: "http://127.0.0.1:" + port + "/metrics?as=style"});
  await element("frame", "iframe", {src: "http://127.0.0.1:" + port + "/version?as=frame"});
  await attempt("events", () => events(api + "/events?as=events"));
  await attempt("socket", () => socket("ws://127.0.0.1:" + port + "/api/v1/ws?as=socket", token,
    {type: "message", session, content: "forged", request_id: "forged"}));
  await report();
})();
</script>"#;

/// A page whose name now leads to the server: the browser takes both for the same origin.
const REBOUND: &str = r#"
const status = (answer) => answer.status;
(async () => {
  const api = "/api/v1", headers = {authorization: "Bearer " + token, "content-type": "application/json"};
  const post = (path, body) => fetch(path, {method: "POST", headers, body: JSON.stringify(body)}).then(status);
  await attempt("version", () => fetch("/version").then(status));
  await attempt("list", () => fetch(api + "/sessions", {headers}).then(status));
  await attempt("begin", () => post(api + "/sessions", {agent: "default", title: "rebound"}));
  await attempt("say", () => post(api + "/sessions/" + session + "/messages", {content: "rebound"}));
  await attempt("mint", () => post(api + "/tokens", {name: "rebound", scopes: ["admin"]}));
  await attempt("image", () => new Promise((done) => {
    const image = new Image();
    image.onerror = () => done("sent");
    image.src = api + "/sessions?as=image";
  }));
  await attempt("socket", () => socket("ws://" + location.host + api + "/ws", token,
    {type: "subscribe", session, request_id: "rebound"}).then((said) => JSON.parse(said).status));
  await report();
})();
</script>"#;

/// A browser. Ended with all its processes when it is dropped.
struct Browser(Child, #[expect(dead_code, reason = "its folder goes with it")] tempfile::TempDir);

impl Browser {
    fn at(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"])
            .arg("--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebind.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg(url)
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let started = command.spawn();
        let child = started.unwrap_or_else(|error| panic!("chromium: {error}; `apt-get install chromium` brings it"));
        Self(child, folder)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_raw(self.0.id().cast_signed()).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        self.0.wait().ok();
    }
}

/// A house with one session; what of it a page knows, and its journal.
fn lived_in() -> (House, Server, Value, Vec<u8>) {
    let house = House::new();
    let server = house.serve(|_| ());
    house.check(&["run", "hello"], 0, "");
    let list: Value = serde_json::from_str(&house.check(&["session", "list", "--json"], 0, "")).unwrap();
    let session = list["items"][0]["id"].as_str().unwrap().to_owned();
    let token = std::fs::read_to_string(house.root().join("token")).unwrap();
    let journal = journal(&house, &session);
    (house, server, json!({"session": session, "token": token}), journal)
}

fn journal(house: &House, session: &str) -> Vec<u8> {
    house.check(&["session", "events", session, "--json"], 0, "session.created").into_bytes()
}

fn constants(known: &Value, port: u16) -> String {
    let (session, token) = (&known["session"], &known["token"]);
    format!("const session = {session}, token = {token}, port = {port}, api = \"http://127.0.0.1:{port}/api/v1\";\n")
}

/// Nothing in the workspace is as it was not before.
#[track_caller]
fn untouched(house: &House, known: &Value, before: &[u8]) {
    let session = known["session"].as_str().unwrap();
    assert_eq!(String::from_utf8_lossy(&journal(house, session)), String::from_utf8_lossy(before));
    let list: Value = serde_json::from_str(&house.check(&["session", "list", "--json"], 0, "")).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert!(!house.check(&["token", "list"], 0, "NAME").contains("rebound"));
}

#[test]
fn a_page_of_another_origin_reaches_no_route() {
    let (house, server, known, before) = lived_in();
    let tap = Tap::before(&server.address, |port| format!("{BEGIN}{}{FORGED}", constants(&known, port)));
    let _browser = Browser::at(&format!("http://evil.test:{}/evil", tap.port));
    let read = tap.report();
    let mut answered: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for passed in tap.passed() {
        let name = passed.line.split_once("as=").map(|(_, name)| name.split('&').next().unwrap_or_default().to_owned());
        answered.entry(name.unwrap_or(passed.line)).or_default().push(passed.status);
        assert!(!passed.head.to_lowercase().contains("\r\ncookie:"), "there is nothing that a browser sends by itself");
    }
    // Whatever a browser sends was sent, or the test proves nothing.
    for name in [
        "form-text",
        "form-urlencoded",
        "form-multipart",
        "form-get",
        "no-cors",
        "no-cors-credentials",
        "cors",
        "cors-simple",
        "delete",
        "beacon",
        "image",
        "script",
        "style",
        "frame",
        "events",
        "socket",
    ] {
        let statuses = answered.get(name).unwrap_or_else(|| panic!("{name} was not sent: {answered:#?} {read:#?}"));
        assert!(statuses.iter().all(|status| *status == 403), "{name}: {statuses:?}");
    }
    answered.remove("/favicon.ico");
    assert!(answered.values().flatten().all(|status| *status == 403), "{answered:#?}");
    for (name, what) in read.as_object().unwrap() {
        let what = what.as_str().unwrap();
        assert!(
            ["error", "hidden", "opaque0", "nothing", "loaded", "true"].contains(&what),
            "{name}: the page read `{what}`"
        );
    }
    untouched(&house, &known, &before);
}

#[test]
fn a_page_whose_name_was_rebound_reaches_no_route() {
    let (house, server, known, before) = lived_in();
    let tap = Tap::before(&server.address, |port| format!("{BEGIN}{}{REBOUND}", constants(&known, port)));
    let url = |tap: &Tap| format!("http://rebind.test:{}/evil", tap.port);
    let browser = Browser::at(&url(&tap));
    let read = tap.report();
    drop(browser);
    for name in ["version", "list", "begin", "say", "mint"] {
        assert_eq!(read[name], "403", "{name}: {read:#?}");
    }
    assert_eq!((&read["image"], &read["socket"]), (&json!("sent"), &json!("error")), "{read:#?}");
    let passed = tap.passed();
    assert!(passed.len() >= 7 && passed.iter().all(|passed| passed.status == 403), "{passed:#?}");
    // It sends what a page of the server's own would: only the name tells them apart.
    let list = passed.iter().find(|passed| passed.line == "GET /api/v1/sessions").unwrap().head.to_lowercase();
    assert!(list.contains("host: rebind.test") && !list.contains("\r\norigin:"), "{list}");
    untouched(&house, &known, &before);
    drop(server);
    // Where the name is the server's own, all of it is let in: the attack is one.
    house.write("outlive.yaml", "server: {hosts: [rebind.test]}\n");
    let server = house.serve(|_| ());
    let tap = Tap::before(&server.address, |port| format!("{BEGIN}{}{REBOUND}", constants(&known, port)));
    let _browser = Browser::at(&url(&tap));
    let read = tap.report();
    let expected = json!({"version": "200", "list": "200", "begin": "201", "say": "202", "mint": "201", "socket": "200", "image": "sent"});
    assert_eq!(read, expected);
}
