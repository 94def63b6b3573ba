//! Secrets, looked for in every file of a workspace and in everything that its server says: they are nowhere.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use outlive_core::redact::Secrets;
use outlive_core::secret::Secret;

use crate::house::{House, Server, provider, said};

const GRANTED: &str = "gho_x7/Kq+Zp2 &vB9\"mT4=s";
const OTHER: &str = "oth-er7Jw2LkQ9xVb3";
const KEY: &str = "sk-proj-M4nyCh4racters0123456789abcdef";

/// Prints what it was given in every way that it knows. Says so in plain words, too.
const LEAK: &str = r#"
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
percent() { hex "$1" | sed 's/../%&/g'; }
echo "control-7319 plain: $GH_TOKEN"
echo "base64: $(printf %s "$GH_TOKEN" | base64)"
echo "within: $(printf 'a long line before it, so that it is broken: %s and after it' "$GH_TOKEN$GH_TOKEN" | base64)"
echo "shifted: $(printf 'x%s-' "$GH_TOKEN" | base64 -w0) $(printf 'xy%s-' "$GH_TOKEN" | base64 -w0 | tr '+/' '-_')"
echo "hex: $(hex "$GH_TOKEN") $(hex "$GH_TOKEN" | tr a-f A-F)"
echo "percent: $(percent "$GH_TOKEN") $(percent "$GH_TOKEN" | tr a-f A-F)"
echo "escaped: $(printf %s "$GH_TOKEN" | sed 's/"/\\"/g')" >&2
env
half=$(( ${#GH_TOKEN} / 2 ))
printf %s "${GH_TOKEN:0:half}"; sleep 0.1; printf '%s\n' "${GH_TOKEN:half}"
"#;

fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let quoted = serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    let base64 = Command::new("bash").args(["-c", "printf %s \"$0\" | base64 -w0", secret]).output().unwrap().stdout;
    let base64 = String::from_utf8(base64).unwrap().trim_end_matches('=').to_owned();
    vec![secret.to_owned(), hex.to_uppercase(), hex, percent.to_lowercase(), percent, quoted, base64]
}

/// Holds that neither the redactor nor a plain search finds a secret in it.
#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in [GRANTED, OTHER, KEY] {
        let known = Secrets::default();
        known.learn([("IT".to_owned(), Secret::new(secret))]);
        assert!(!known.now().finds(bytes), "{what} holds `{secret}` in some form");
        for form in forms(secret) {
            assert!(!text.contains(&form), "{what} holds `{form}`");
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Looks at every byte of the workspace, and returns how often the mark of the granted secret is in each kind of file.
fn look(house: &House) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    files(&house.root(), &mut all);
    let mut marked = Vec::new();
    for path in all {
        // One that is gone meanwhile holds nothing.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let name = path.strip_prefix(house.root()).unwrap().display().to_string();
        clean(&name, &bytes);
        let marks = String::from_utf8_lossy(&bytes).matches("[redacted:").count();
        marked.push((name, marks));
    }
    marked
}

fn furnish(house: &House) {
    std::fs::write(house.0.path().join("leak.sh"), LEAK).unwrap();
    let agent = |name: &str, spec: &str| {
        let yaml = format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n");
        house.write(&format!("agents/{name}/agent.yaml"), &yaml);
        house.write(&format!("agents/{name}/policy.yaml"), "mode: dangerous\n");
    };
    let model = "model: {provider: rehearsal, name: instant}";
    agent("keeper", &format!("{model}, tools: [{{builtin: bash, secrets: [GH_TOKEN]}}, {{builtin: files}}]"));
    agent(
        "plain",
        &format!("{model}, tools: [{{builtin: bash}}, {{cli: {{name: x, command: env, secrets: [OTHER]}}}}]"),
    );
}

fn granting(command: &mut Command, house: &House) {
    let key = house.0.path().join("key");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    command.env("GH_TOKEN", GRANTED).env("OTHER", OTHER).env("PUPPET_KEY_FILE", key);
}

fn token(house: &House) -> String {
    std::fs::read_to_string(house.root().join("token")).unwrap()
}

/// Hears all that is told there, until the server ends.
fn listen(server: &Server, path: &str, token: &str) -> std::thread::JoinHandle<String> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "GET /api/v1{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        // It ends with the server.
        stream.read_to_end(&mut heard).ok();
        String::from_utf8_lossy(&heard).into_owned()
    })
}

fn sessions(house: &House) -> Vec<String> {
    let listed: serde_json::Value =
        serde_json::from_str(&house.check(&["session", "list", "--json"], 0, "items")).unwrap();
    listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_tool_prints_of_its_secret_is_in_no_file_and_in_no_answer() {
    let house = House::new();
    furnish(&house);
    let base = provider(Box::leak(format!("my key is {KEY}, is it not").into_boxed_str()));
    house.agent("echo", &format!("provider: openai, name: puppet, base_url: \"{base}\", api_key_env: PUPPET_KEY"));
    let mut server = house.serve(|command| granting(command, &house));
    house.check(&["run", "-a", "keeper", "list"], 0, "");
    let session = sessions(&house).remove(0);
    let heard = listen(&server, &format!("/sessions/{session}/events"), &token(&house));
    let mut shown = house.check(&["run", "-s", &session, "run bash leak.sh"], 0, "control-7319");
    let much = "run yes \"$GH_TOKEN $(printf %s \"$GH_TOKEN\" | base64 -w0)\" | head -c 10000000";
    shown += &house.check(&["run", "-a", "keeper", much], 0, "[redacted:GH_TOKEN] [redacted:GH_TOKEN]");
    shown += &house.check(&["run", "-a", "echo", &format!("say {GRANTED} and {OTHER}")], 0, "[redacted:PUPPET_KEY]");
    shown += &house.check(&["run", "-a", "keeper", &format!("write made.txt: {KEY}")], 0, "");
    assert_eq!(shown.matches("[redacted:OTHER]").count(), 0, "nothing but its tool has it: {shown}");
    for session in sessions(&house) {
        for path in ["events", "messages", "context", ""] {
            shown += &server.get(&format!("/api/v1/sessions/{session}/{path}"), &token(&house));
        }
        let file = house.0.path().join(format!("{session}.tar"));
        house.check(&["session", "export", &session, "--output", &file.display().to_string()], 0, "");
        shown += &String::from_utf8_lossy(&std::fs::read(&file).unwrap());
        house.check(&["session", "import", &file.display().to_string()], 0, "");
    }
    let token = token(&house);
    shown += &server.get(&format!("/api/v1/agents/{OTHER}"), &token);
    shown += &server.get(&format!("/api/v1/sessions?q={KEY}"), &token);
    shown += &server.get("/api/v1/search?q=redacted", &token);
    shown += &said(&house.command(&["logs"]).output().unwrap(), 0);
    server.signal(rustix::process::Signal::TERM);
    shown += &server.ended();
    let told = heard.join().unwrap();
    assert!(told.contains("event: delta") && told.contains("control-7319"), "{told}");
    clean("what was told as it came", told.as_bytes());
    clean("what was answered", shown.as_bytes());
    assert!(!shown.contains(&token), "the API's token is one, too");
    let marked = look(&house);
    for kind in ["events.jsonl", "artifacts/", "commit/", "search.db"] {
        assert!(
            marked.iter().any(|(name, marks)| name.contains(kind) && *marks > 0),
            "{kind} is looked at: {marked:?}"
        );
    }
    let made = std::fs::read_to_string(house.0.path().join("made.txt")).unwrap();
    assert_eq!(made.trim(), "[redacted:PUPPET_KEY]", "a mark is never turned back into what it stands for");
}

#[test]
fn a_server_that_is_killed_while_a_tool_prints_its_secret_leaves_none_of_it() {
    let house = House::new();
    furnish(&house);
    let server = house.serve(|command| granting(command, &house));
    let pipe = house.0.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let line = "run yes \"$GH_TOKEN\" | head -c 300000; printf %s \"${GH_TOKEN:0:9}\"; echo ready >pipe; read x <pipe";
    let mut run = house.command(&["run", "-a", "keeper", line]).spawn().unwrap();
    let mut ready = String::new();
    std::fs::File::open(&pipe).unwrap().read_to_string(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    // While it runs no other process shows the secret in its arguments.
    for process in std::fs::read_dir("/proc").unwrap() {
        let words = std::fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        clean("a command line", &words);
    }
    // Who waits for the turn would start another server.
    run.kill().unwrap();
    run.wait().unwrap();
    server.signal(rustix::process::Signal::KILL);
    look(&house);
    drop(server);
    let again = house.serve(|command| granting(command, &house));
    house.check(&["run", "-a", "keeper", "run echo it is $((40 + 2))"], 0, "it is 42");
    drop(again);
    look(&house);
}

#[test]
fn an_export_of_a_journal_that_is_older_than_what_is_known_is_clean_and_is_taken_in_elsewhere() {
    let house = House::new();
    let model = "provider: rehearsal, name: instant";
    house.agent("keeper", model);
    let mut before = house.serve(|_| {});
    house.check(&["run", "-a", "keeper", &format!("run yes '{GRANTED}' | head -c 90000")], 0, GRANTED);
    before.signal(rustix::process::Signal::TERM);
    before.ended();
    house.write("outlive.yaml", "secrets: [GH_TOKEN]\n");
    let _after = house.serve(|command| granting(command, &house));
    let (session, file) = (sessions(&house).remove(0), house.0.path().join("session.tar"));
    house.check(&["session", "export", &session, "--output", &file.display().to_string()], 0, "");
    let exported = std::fs::read(&file).unwrap();
    clean("the export", &exported);
    assert!(String::from_utf8_lossy(&exported).contains("[redacted:GH_TOKEN]"));
    let elsewhere = House::new();
    elsewhere.check(&["session", "import", &file.display().to_string()], 0, "");
    elsewhere.check(&["session", "show", &session], 0, "");
    elsewhere.check(&["verify"], 0, "");
}

#[test]
fn a_tool_has_what_it_is_granted_and_no_other_has_it() {
    let house = House::new();
    furnish(&house);
    house.write("outlive.yaml", "secrets: [PUPPET_KEY]\n");
    let _server = house.serve(|command| granting(command, &house));
    let has = "run for name in GH_TOKEN OTHER PUPPET_KEY PUPPET_KEY_FILE; do echo $name is ${!name:+there}; done";
    let shown = house.check(&["run", "-a", "keeper", has], 0, "GH_TOKEN is there");
    assert_eq!(shown.matches("is there").count(), 1, "{shown}");
    let shown = house.check(&["run", "-a", "plain", has], 0, "OTHER is");
    assert_eq!(shown.matches("is there").count(), 0, "{shown}");
    let shown = house.check(
        &["run", "-a", "keeper", "run cat /proc/1/environ /proc/self/environ key"],
        0,
        "[redacted:GH_TOKEN]",
    );
    clean("what a command finds", shown.as_bytes());
}

#[test]
fn what_is_missing_or_there_twice_is_named() {
    let house = House::new();
    furnish(&house);
    let validate = |with: &dyn Fn(&mut Command), code: i32, says: &str| {
        let mut command = house.command(&["agent", "validate", "keeper"]);
        with(&mut command);
        let said = said(&command.output().unwrap(), code);
        assert!(said.contains(says), "{said}");
    };
    validate(&|_| {}, 1, "secrets of `bash`: variable `GH_TOKEN` has no value");
    validate(&|command| granting(command, &house), 0, "keeper: good");
    let twice = |command: &mut Command| {
        command.env("GH_TOKEN", "a").env("GH_TOKEN_FILE", "/x");
    };
    validate(&twice, 1, "GH_TOKEN and GH_TOKEN_FILE are both set: keep one of them");
    let server = house.serve(|command| twice(command));
    let card = server.get("/api/v1/agents/keeper", &token(&house));
    assert!(card.contains("GH_TOKEN and GH_TOKEN_FILE are both set"), "{card}");
    house.write(
        "agents/keeper/agent.yaml",
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: keeper}\n\
        spec: {tools: [{builtin: bash, secrets: [LD_PRELOAD]}]}\n",
    );
    validate(&|_| {}, 1, "`LD_PRELOAD` cannot be granted");
    house.write(
        "agents/keeper/agent.yaml",
        "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: keeper}\n\
        spec: {tools: [{builtin: files, secrets: [GH_TOKEN]}]}\n",
    );
    validate(&|_| {}, 1, "stand beside `builtin: bash`");
}
