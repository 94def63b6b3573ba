//! People are told by real means: a webhook that the library of Standard Webhooks verifies, a mail server of Debian, a command. And
//! webhooks that the library signs are taken, once.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Home, OUTLIVE};

mod sealed;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands/telling");

/// A program that ends with the test.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools").join("bin/python");
    let there =
        Command::new(&python).args(["-c", "import standardwebhooks"]).output().is_ok_and(|it| it.status.success());
    assert!(there, "the package standardwebhooks is not in {}: run ./test, which installs it", python.display());
    python
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn until_open(port: u16) {
    until("listening", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
}

impl Home {
    fn receiver(&self, port: u16, refusals: u32) -> Part {
        let (port_text, refusals) = (port.to_string(), refusals.to_string());
        let mut receiver = self.command(python().to_str().unwrap());
        let kept = self.0.path().join("received");
        receiver.arg(format!("{PARTS}/receiver.py")).args([&port_text, SECRET]).arg(kept).arg(refusals);
        let part = Part(receiver.spawn().unwrap());
        until_open(port);
        part
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }

    fn received(&self) -> Vec<Value> {
        self.read("received").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts a server that knows these variables.
    fn serve(&self, variables: &[(&str, &str)]) -> Part {
        let mut serve = self.command(OUTLIVE);
        serve
            .args(["serve", "--port", "0"])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let part = Part(serve.spawn().unwrap());
        until("the server", || self.run(&["status"]).status.success().then_some(()));
        part
    }

    fn notices(&self) -> Vec<Value> {
        let listed: Value = serde_json::from_str(&self.check(&["notice", "list", "--json"], 0, "")).unwrap();
        listed["items"].as_array().unwrap().clone()
    }
}

#[test]
fn a_webhook_is_delivered_through_deaths_of_both_sides_under_one_id_that_others_can_verify() {
    let home = Home::new();
    let port = free_port();
    let notify =
        format!("notify:\n  ops:\n    on: [ending]\n    webhook: http://127.0.0.1:{port}/in\n    secret: OPS\n");
    home.write("outlive.yaml", &notify);
    let server = home.serve(&[("OPS", SECRET)]);
    home.check(&["notice", "targets"], 0, "ops");
    // Nobody is there.
    home.check(&["notice", "test", "ops"], 1, "ops: error sending request");
    home.check(&["run", "write made.txt: here"], 0, "");
    let waiting = until("a failed try", || home.notices().into_iter().find(|notice| notice["attempts"] != 0));
    let id = waiting["id"].as_str().unwrap().to_owned();
    drop(server);
    let receiver = home.receiver(port, 1);
    let _server = home.serve(&[("OPS", SECRET)]);
    until("a refused try", || home.received().first().cloned());
    drop(receiver);
    let _receiver = home.receiver(port, 0);
    until("the delivery", || home.received().into_iter().find(|taken| taken["refused"] == false));
    until("its record", || home.notices().is_empty().then_some(()));
    let received = home.received();
    assert!(received.iter().all(|taken| taken["id"] == id.as_str() && taken["forged"].is_null()), "{received:?}");
    let body = &received.last().unwrap()["body"];
    assert_eq!((&body["id"], &body["type"]), (&Value::from(id), &Value::from("ending")), "{body}");
    assert_eq!(body["data"]["summary"], "default is done");
    home.check(&["notice", "test", "ops"], 0, "ops has it");
    home.check(&["notice", "test", "nobody"], 3, "names no `nobody`");
    home.check(&["notice", "list"], 0, "everybody has been told of everything");
}

#[test]
fn a_question_reaches_a_mailbox_of_a_real_server_and_what_it_refuses_for_good_is_given_up() {
    let home = Home::new();
    let mail = Mail::begin(&home);
    let email = |to: &str| {
        format!("{{to: [{to}], from: Outlive <outlive@example.com>, server: 'smtp://127.0.0.1:{}'}}", mail.port)
    };
    let notify = format!(
        "notify:\n  anna: {{on: [ask], email: {}}}\n  gone: {{on: [ask], email: {}}}\n",
        email("Änna <anna@example.com>"),
        email("gone@example.com")
    );
    home.write("outlive.yaml", &notify);
    let _server = home.serve(&[]);
    home.check(&["run", "ask Größe? Ada | Grete"], 0, "asks you");
    let boxed = until("the mail", || Some(home.read("mail/box")).filter(|text| text.contains("qst_")));
    let given_up = until("the refusal", || home.notices().into_iter().find(|notice| notice["next_at"].is_null()));
    assert_eq!((&given_up["target"], &given_up["attempts"]), (&"gone".into(), &1.into()), "{given_up}");
    assert!(given_up["error"].as_str().unwrap().contains("no such mailbox"), "{given_up}");
    home.check(&["notice", "list"], 0, "given up");
    home.check(&["notice", "retry", given_up["id"].as_str().unwrap()], 0, "tried again");
    until("another refusal", || home.notices().into_iter().find(|it| it["next_at"].is_null() && it["attempts"] == 1));
    home.check(&["notice", "drop", given_up["id"].as_str().unwrap()], 0, "nobody is told");
    let said = Command::new(python()).arg("-c").arg(READ).arg(home.0.path().join("mail/box")).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(boxed.contains("\nAuto-Submitted: auto-generated"), "{boxed}");
    assert!(said.contains("[Outlive] default asks\n") && said.contains("Größe?\n- Ada\n- Grete"), "{said}");
    assert!(said.contains("Message-ID <ntc_") && said.contains("To Änna <anna@example.com>"), "{said}");
    assert_eq!(boxed.matches("\nMessage-ID:").count(), 1, "{boxed}");
}

/// Prints the mails of a mailbox as people read them.
const READ: &str = "
import email.policy, mailbox, sys
read = lambda file: email.message_from_binary_file(file, policy=email.policy.default)
for mail in mailbox.mbox(sys.argv[1], factory=read):
    print('Message-ID', mail['Message-ID'], 'To', mail['To'])
    print(mail['Subject'])
    print(mail.get_content())
";

#[test]
fn a_command_is_told_by_its_input_and_its_environment_and_no_word_of_it_becomes_one() {
    let home = Home::new();
    home.write(
        "outlive.yaml",
        "notify:\n  log: {on: [ending], command: [sh, -c, 'printf \"%s\\n\" \"$OUTLIVE_NOTICE_TEXT\" > text; cat > letter; env > env']}\n  \
         bad: {on: [ending], command: [sh, -c, 'echo it is full >&2; exit 7']}\n",
    );
    let _server = home.serve(&[("DEPLOY_KEY", "sk-not-for-commands")]);
    let said = "it is \"$(touch spliced)\" 'quoted'; `touch spliced` \u{1f980}";
    home.check(&["run", &format!("json {said}")], 0, "");
    let failed = until("a failed try", || home.notices().into_iter().find(|notice| notice["attempts"] != 0));
    assert_eq!(failed["error"], "the command ended with 7: it is full");
    let letter: Value = until("the letter", || serde_json::from_str(&home.read("letter")).ok());
    until("its end", || (home.notices().len() == 1).then_some(()));
    assert!(letter["data"]["text"].as_str().unwrap().contains("$(touch spliced)"), "{letter}");
    assert!(home.read("text").contains("$(touch spliced)"), "{}", home.read("text"));
    assert!(!home.0.path().join("spliced").exists() && !home.read("env").contains("sk-not-for-commands"));
}

#[test]
fn what_nobody_has_is_listed_where_the_list_is_made_anew() {
    let home = Home::new();
    home.write("outlive.yaml", "notify:\n  away: {on: [ending], command: ['false']}\n");
    let server = home.serve(&[]);
    home.check(&["run", "help"], 0, "");
    let failed = until("a failed try", || home.notices().into_iter().find(|notice| notice["attempts"] != 0));
    drop(server);
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        std::fs::remove_file(home.0.path().join(".outlive").join(file)).unwrap();
    }
    let _server = home.serve(&[]);
    let listed = until("the list", || home.notices().into_iter().next());
    assert_eq!(listed, failed, "it is there before the next try");
    assert_eq!(home.sessions(&[]).len(), 1);
}

#[test]
fn a_configuration_that_tells_nobody_is_refused_with_its_place() {
    let home = Home::new();
    for (notify, says) in [
        ("notify:\n  ops: {webhook: 'https://example.com'}\n", "`secret`"),
        ("notify:\n  ops: {on: [sometimes], command: [x]}\n", "outlive.yaml:2"),
        ("notify:\n  Ops: {command: [x]}\n", "notify.Ops: a name has"),
        (
            "notify:\n  ops: {email: {to: [nobody], from: a@example.com, server: 'smtps://example.com'}}\n",
            "no e-mail address",
        ),
    ] {
        home.write("outlive.yaml", notify);
        home.check(&["serve", "--port", "0"], 2, says);
    }
}

#[test]
fn deliveries_that_the_library_signs_are_taken_once_whatever_dies_in_between() {
    let home = Home::new();
    home.write(
        "outlive.yaml",
        "webhooks:\n  shop:\n    scheme: standard\n    secret: SHOP\n    routes:\n      - message: {agent: default, session: shop, text: 'help {{payload.n}}'}\n",
    );
    let mut server = home.serve(&[("SHOP", SECRET)]);
    let mut first: Vec<Value> = Vec::new();
    for round in 0..3 {
        let mut lines = String::new();
        for n in 0..5 {
            lines += &format!("msg_{n} 0 {{\"n\": {n}}}\n");
        }
        lines += "msg_old 600 {\"n\": 9}\n";
        let answers = home.send(&lines);
        let statuses: Vec<&Value> = answers.iter().map(|answer| &answer[0]).collect();
        assert_eq!(statuses, [202, 202, 202, 202, 202, 401], "{answers:?}");
        for (n, answer) in answers.iter().take(5).enumerate() {
            assert_eq!(answer[1]["duplicate"], round > 0, "{answer}");
            match first.get(n) {
                Some(before) => assert_eq!(before["seq"], answer[1]["seq"]),
                None => first.push(answer[1].clone()),
            }
        }
        drop(server);
        server = home.serve(&[("SHOP", SECRET)]);
    }
    home.check(&["logs", "-n", "500"], 0, "a delivery is refused");
    let session = first[0]["session_id"].as_str().unwrap();
    let said = until("the last turn", || {
        let said = home.check(&["session", "messages", session], 0, "");
        (0..5).all(|n| said.contains(&format!("help {n}\n"))).then_some(said)
    });
    for n in 0..5 {
        assert_eq!(said.matches(&format!("help {n}\n")).count(), 1, "{said}");
    }
    drop(server);
}

/// Asks what Slack asks before it sends anything, signed as it does.
const ASKED: &str = "
import hashlib, hmac, sys, time, urllib.request
url, secret, at = sys.argv[1], sys.argv[2], str(int(time.time()))
body = '{\"type\": \"url_verification\", \"challenge\": \"3eZbrw1aB10FEMAGAZd4FyFQ\"}'
signed = hmac.new(secret.encode(), f'v0:{at}:{body}'.encode(), hashlib.sha256).hexdigest()
headers = {'content-type': 'application/json', 'x-slack-request-timestamp': at, 'x-slack-signature': 'v0=' + signed}
answer = urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers))
print(answer.status, answer.read().decode())
";

#[test]
fn slack_hears_its_challenge_and_nothing_begins() {
    let home = Home::new();
    home.write(
        "outlive.yaml",
        "webhooks:\n  chat: {scheme: slack, secret: SLACK, routes: [{message: {agent: default, text: help}}]}\n",
    );
    let _server = home.serve(&[("SLACK", "8f742231b10e8888abcd99yyyzzz85a5")]);
    let url = format!("http://{}/api/v1/hooks/chat", home.address());
    let asked = Command::new(python()).args(["-c", ASKED, &url, "8f742231b10e8888abcd99yyyzzz85a5"]).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(said.starts_with("200 ") && said.contains("\"challenge\":\"3eZbrw1aB10FEMAGAZd4FyFQ\""), "{asked:?}");
    assert_eq!(home.sessions(&[]).len(), 0);
}

impl Home {
    /// Sends webhooks, and returns status and body of each answer.
    fn send(&self, lines: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v1/hooks/shop", self.address());
        let mut sender = Command::new(python());
        sender.arg(format!("{PARTS}/sender.py")).args([&url, SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut sender = sender.spawn().unwrap();
        sender.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = sender.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn address(&self) -> String {
        let lock = std::fs::read_to_string(self.0.path().join(".outlive/run/lock")).unwrap();
        serde_json::from_str::<Value>(&lock).unwrap()["address"].as_str().unwrap().to_owned()
    }
}

/// Debian's mail server, which puts what it takes into one box.
struct Mail {
    port: u16,
    _server: Part,
}

impl Mail {
    fn begin(home: &Home) -> Self {
        Self::with(home, "")
    }

    /// With lines before those of its configuration.
    fn with(home: &Home, lines: &str) -> Self {
        let (folder, port) = (home.0.path().join("mail"), free_port());
        let open = |path: &Path| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::create_dir_all(path).unwrap();
            // It gives up its rights before it writes.
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        [home.0.path(), &folder, &folder.join("spool"), &folder.join("log")].into_iter().for_each(open);
        let conf = include_str!("telling/exim.conf");
        let conf = conf.replace("FOLDER", folder.to_str().unwrap()).replace("PORT", &port.to_string());
        std::fs::write(folder.join("conf"), lines.to_owned() + &conf).unwrap();
        let mut exim = match rustix::process::geteuid().is_root() {
            true => Command::new("/usr/sbin/exim4"),
            false => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "/usr/sbin/exim4"]);
                sudo
            }
        };
        exim.arg("-C").arg(folder.join("conf")).arg("-bdf").stdout(Stdio::null()).stderr(Stdio::null());
        let started = exim.spawn();
        assert!(started.is_ok(), "no exim4: run ./test, which installs exim4-daemon-light");
        let server = Part(started.unwrap());
        until_open(port);
        Self { port, _server: server }
    }
}
