//! Letters to mail servers of other machines: encrypted, to whom a certificate vouches for, or not at all.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Mail, free_port, until};
use crate::Home;

/// A name that is none of this machine's, and leads to it without anybody being asked: libraries of C read it as 127.0.0.1.
const ELSEWHERE: &str = "0x7f.0x1";
/// Another.
const BESIDE: &str = "0x7f.0.0x1";
const USER: &str = "outlive";
const PASSWORD: &str = "Größe & Co: 7x19";
/// Bytes in which TLS says why it ends: sealed, there is no room for anything else.
const ALERT: usize = 2 + 1 + 16;
/// What may be said before it is encrypted.
const BEGINS: &str = "EHLO example.com\r\nSTARTTLS\r\n";

/// Makes an authority, or with one a certificate that it gives to a name: `NAME.pem` and `NAME.key`.
fn certificate(home: &Home, name: &str, of: Option<(&str, &str)>) {
    let path = |name: &str, kind: &str| home.0.path().join("mail").join(format!("{name}.{kind}")).display().to_string();
    std::fs::create_dir_all(home.0.path().join("mail")).unwrap();
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-out", &path(name, "pem"), "-keyout", &path(name, "key")]);
    match of {
        Some((authority, host)) => openssl
            .args(["-CA", &path(authority, "pem"), "-CAkey", &path(authority, "key")])
            .args(["-addext", &format!("subjectAltName=DNS:{host}"), "-addext", "basicConstraints=critical,CA:FALSE"]),
        None => openssl.args(["-addext", "keyUsage=critical,keyCertSign"]),
    };
    let made = openssl.output();
    assert!(made.as_ref().is_ok_and(|made| made.status.success()), "run ./test, which installs openssl: {made:?}");
}

/// Stands before a server and hears what is said to it.
struct Wire {
    port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    fn before(port: u16) -> Self {
        Self::with(port, |_answer| {})
    }

    /// On which somebody changes answers.
    fn with(port: u16, forges: impl Fn(&mut Vec<u8>) + Copy + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = Arc::clone(&wire.heard);
        std::thread::spawn(move || {
            for (at, client) in listener.incoming().enumerate() {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
                heard.lock().unwrap().push(Vec::new());
                let (back, heard) = ((server.try_clone().unwrap(), client.try_clone().unwrap()), Arc::clone(&heard));
                std::thread::spawn(move || carry(back, forges));
                let hears = move |said: &mut Vec<u8>| heard.lock().unwrap()[at].extend_from_slice(said);
                std::thread::spawn(move || carry((client, server), hears));
            }
        });
        wire
    }

    /// Returns what each client said in the clear, and how many bytes it said sealed. There was nothing else.
    fn heard(&self) -> Vec<(String, usize)> {
        let heard = |said: &Vec<u8>| {
            let (clear, mut rest) = said.split_at(said.iter().position(|&byte| byte == 0x16).unwrap_or(said.len()));
            let mut sealed = 0;
            // Records of TLS: their kind, their version, their length.
            while let [kind, version, _, high, low, more @ ..] = rest {
                assert!((0x14..=0x17).contains(kind) && *version == 3, "no record of TLS: {rest:?}");
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                sealed += if *kind == 0x17 { length } else { 0 };
                rest = more.get(length..).unwrap_or_default();
            }
            (String::from_utf8(clear.to_vec()).unwrap(), sealed)
        };
        self.heard.lock().unwrap().iter().map(heard).collect()
    }

    /// Returns what each client said in the clear.
    fn in_the_clear(&self) -> Vec<String> {
        self.heard().into_iter().map(|(clear, _)| clear).collect()
    }
}

/// Hands on until one side has gone.
fn carry((mut from, mut to): (TcpStream, TcpStream), mut passes: impl FnMut(&mut Vec<u8>)) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut said = buffer[..length].to_vec();
        // Known before it arrives: whoever sees an answer sees what it answers.
        passes(&mut said);
        if to.write_all(&said).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

/// A mail server that can encrypt, and wires before its two doors.
struct Post {
    begins: Wire,
    sealed: Wire,
    mail: Mail,
}

impl Post {
    /// With a certificate for this name, by an authority whose certificate is `mail/own.pem`; `mail/other.pem` is another's.
    fn begin(home: &Home, host: &str) -> Self {
        certificate(home, "own", None);
        certificate(home, "other", None);
        certificate(home, "cert", Some(("own", host)));
        std::fs::rename(home.0.path().join("mail/cert.key"), home.0.path().join("mail/key.pem")).unwrap();
        readable(home, "mail/key.pem");
        let sealed = free_port();
        let mail = Mail::with(home, &format!("SEALED = {sealed}\nUSER = {USER}\nPASSWORD = {PASSWORD}\n"));
        super::until_open(sealed);
        Self { begins: Wire::before(mail.port), sealed: Wire::before(sealed), mail }
    }
}

/// The mail server gives up its rights before it reads.
fn readable(home: &Home, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(home.0.path().join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
}

impl Home {
    /// Anna is told of endings by this server, by user and password.
    fn tells(&self, server: &str) {
        let notify = format!(
            "notify:\n  anna:\n    on: [ending]\n    email: {{to: [anna@example.com], from: outlive@example.com, \
             server: '{server}', user: {USER}, password: MAIL_PASSWORD}}\n"
        );
        self.write("outlive.yaml", &notify);
    }

    /// Starts a server that trusts this authority and those in `mail/trusted`, knows this password, and logs all that it can.
    fn trusting(&self, authority: &str, password: &str) -> super::Part {
        let [file, folder] = [authority, "trusted"].map(|name| self.0.path().join("mail").join(name));
        std::fs::create_dir_all(&folder).unwrap();
        let trusted = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", folder.to_str().unwrap())];
        self.serve(&[trusted[0], trusted[1], ("MAIL_PASSWORD", password), ("OUTLIVE_LOG", "trace")])
    }

    fn failed(&self) -> Value {
        let waits = |notice: &Value| notice["attempts"] != 0 && !notice["next_at"].is_null();
        until("a failed try", || self.notices().into_iter().find(waits))
    }

    /// Tries again at once what did not arrive; it arrives as what it was.
    fn arrives(&self, id: &str) {
        self.run(&["notice", "retry", id]);
        let boxed = until("the mail", || Some(self.read("mail/box")).filter(|text| text.contains(id)));
        until("its record", || self.notices().is_empty().then_some(()));
        assert_eq!(boxed.matches("\nMessage-ID:").count(), 1, "{boxed}");
    }

    /// No file of the workspace has a password, in none of the forms in which mail servers are told it.
    fn keeps_secret(&self, password: &str) {
        use base64::Engine as _;
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let forms = [password.to_owned(), encoded(password), encoded(&format!("\0{USER}\0{password}"))];
        for form in forms {
            let found = Command::new("grep").args(["-rlaF", "-e", &form]).arg(self.0.path().join(".outlive")).output();
            let found = found.unwrap();
            assert_eq!(found.status.code(), Some(1), "{}", String::from_utf8_lossy(&found.stdout));
        }
    }
}

#[test]
fn nothing_is_said_to_another_machine_before_it_is_encrypted_neither_letters_nor_passwords() {
    let home = Home::new();
    let post = Post::begin(&home, ELSEWHERE);
    for (door, wire, begins, is) in
        [("smtp", &post.begins, BEGINS, "A=plain:outlive"), ("smtps", &post.sealed, "", "A=login:outlive")]
    {
        home.tells(&format!("{door}://{ELSEWHERE}:{}", wire.port));
        let server = home.trusting("own.pem", PASSWORD);
        home.check(&["run", "write made.txt: here"], 0, "");
        let boxed = until("the mail", || Some(home.read("mail/box")).filter(|text| text.contains("ntc_")));
        assert!(boxed.contains(" with esmtpsa "), "{boxed}");
        assert_eq!(wire.in_the_clear(), [begins]);
        let log = home.read("mail/log/mainlog");
        assert!(log.contains(is), "{log}");
        drop(server);
        home.keeps_secret(PASSWORD);
        std::fs::remove_file(home.0.path().join("mail/box")).unwrap();
    }
}

#[test]
fn a_wrong_password_is_named_by_its_variable_and_the_letter_waits_for_the_right_one() {
    let home = Home::new();
    let post = Post::begin(&home, ELSEWHERE);
    home.tells(&format!("smtp://{ELSEWHERE}:{}", post.begins.port));
    let wrong = "not-this-one-19";
    let server = home.trusting("own.pem", wrong);
    let said = home.check(&["notice", "test", "anna"], 1, "MAIL_PASSWORD");
    home.check(&["run", "write made.txt: here"], 0, "");
    let failed = home.failed();
    assert!(failed["error"].as_str().unwrap().contains("MAIL_PASSWORD"), "{failed}");
    assert!(!(said + &failed.to_string()).contains(wrong));
    drop(server);
    home.keeps_secret(wrong);
    assert_eq!(home.read("mail/box"), "");
    let _server = home.trusting("own.pem", PASSWORD);
    home.arrives(failed["id"].as_str().unwrap());
    assert!(post.begins.in_the_clear().iter().all(|clear| clear == BEGINS));
}

#[test]
fn a_server_for_which_nobody_vouches_is_told_nothing_and_the_letter_waits_for_one() {
    let home = Home::new();
    let post = Post::begin(&home, ELSEWHERE);
    let (begins, sealed) = (post.begins.port, post.sealed.port);
    let mut id = None;
    for (server, trusted, says) in [
        (format!("smtp://{ELSEWHERE}:{begins}"), "other.pem", "SSL_CERT_FILE"),
        (format!("smtps://{ELSEWHERE}:{sealed}"), "other.pem", "SSL_CERT_FILE"),
        (format!("smtp://{BESIDE}:{begins}"), "own.pem", ELSEWHERE),
        (format!("smtps://{BESIDE}:{sealed}"), "own.pem", ELSEWHERE),
    ] {
        home.tells(&server);
        let _server = home.trusting(trusted, PASSWORD);
        home.check(&["notice", "test", "anna"], 1, says);
        if id.is_none() {
            home.check(&["run", "write made.txt: here"], 0, "");
            let failed = home.failed();
            assert!(failed["error"].as_str().unwrap().contains(says), "{failed}");
            id = Some(failed["id"].as_str().unwrap().to_owned());
        }
    }
    for (wire, clear) in [(&post.begins, BEGINS), (&post.sealed, "")] {
        let heard = wire.heard();
        assert!(heard.iter().all(|(said, sealed)| said == clear && *sealed <= ALERT), "{heard:?}");
    }
    assert_eq!(home.read("mail/box"), "");
    home.tells(&format!("smtps://{ELSEWHERE}:{sealed}"));
    let _server = home.trusting("own.pem", PASSWORD);
    home.arrives(&id.unwrap());
}

#[test]
fn an_authority_in_a_folder_is_trusted_beside_those_of_a_file() {
    let home = Home::new();
    let post = Post::begin(&home, ELSEWHERE);
    home.tells(&format!("smtps://{ELSEWHERE}:{}", post.sealed.port));
    std::fs::create_dir(home.0.path().join("mail/trusted")).unwrap();
    std::fs::copy(home.0.path().join("mail/own.pem"), home.0.path().join("mail/trusted/own.pem")).unwrap();
    let _server = home.trusting("other.pem", PASSWORD);
    home.check(&["notice", "test", "anna"], 0, "anna has it");
}

#[test]
fn a_machine_that_trusts_nobody_does_all_for_which_nobody_must_be_trusted() {
    let home = Home::new();
    home.write(
        "outlive.yaml",
        "notify:\n  anna: {email: {to: [anna@example.com], from: outlive@example.com, server: 'smtps://mail.example.com'}}\n  \
         here: {email: {to: [anna@example.com], from: outlive@example.com, server: 'smtp://127.0.0.1:1'}}\n  \
         ops: {webhook: 'http://127.0.0.1:1/in', secret: OPS}\n",
    );
    let nothing = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", ""), ("OPS", super::SECRET)];
    let _server = home.serve(&nothing);
    let local = ["model", "test", "ollama/x", "--base-url", "http://127.0.0.1:1"];
    let other = ["model", "test", "ollama/x", "--base-url", "https://127.0.0.1:1"];
    for (arguments, says) in [
        (&["notice", "test", "anna"][..], "name a file of authorities in SSL_CERT_FILE"),
        (&["notice", "test", "here"], "Connection refused"),
        (&["notice", "test", "ops"], "Connection refused"),
        (&local, "Connection refused"),
        (&other, "name a file of authorities in SSL_CERT_FILE"),
    ] {
        let asked = home.command(crate::OUTLIVE).args(arguments).envs(nothing).output().unwrap();
        let said = [asked.stdout, asked.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains(says), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn a_server_that_does_not_encrypt_is_told_nothing() {
    let home = Home::new();
    let mail = Mail::begin(&home);
    certificate(&home, "own", None);
    let wire = Wire::before(mail.port);
    for (server, begins) in [("smtp", "EHLO example.com\r\n"), ("smtps", "")] {
        home.tells(&format!("{server}://{ELSEWHERE}:{}", wire.port));
        let _server = home.trusting("own.pem", PASSWORD);
        home.check(&["notice", "test", "anna"], 1, "take the port that encrypts");
        assert_eq!(wire.in_the_clear().pop().unwrap(), begins);
    }
    assert_eq!(home.read("mail/box"), "");
}

#[test]
fn answers_that_somebody_slips_in_before_the_encryption_are_not_those_of_the_server() {
    let home = Home::new();
    let post = Post::begin(&home, ELSEWHERE);
    let forged = Wire::with(post.mail.port, |answer| {
        if answer.starts_with(b"220 TLS go ahead") {
            answer.extend(
                b"250-x\r\n250 AUTH PLAIN\r\n235 in\r\n250 from\r\n250 to\r\n354 go\r\n250 taken\r\n221 bye\r\n",
            );
        }
    });
    home.tells(&format!("smtp://{ELSEWHERE}:{}", forged.port));
    let _server = home.trusting("own.pem", PASSWORD);
    home.check(&["notice", "test", "anna"], 1, "corrupt message");
    assert_eq!(forged.in_the_clear(), [BEGINS]);
}

#[test]
fn a_server_that_does_not_say_goodbye_has_what_it_took() {
    let home = Home::new();
    let mail = Mail::begin(&home);
    let silent = Wire::with(mail.port, |answer| {
        while answer.starts_with(b"221") {
            std::thread::park();
        }
    });
    let email =
        format!("{{to: [anna@example.com], from: outlive@example.com, server: 'smtp://127.0.0.1:{}'}}", silent.port);
    home.write("outlive.yaml", &format!("notify:\n  anna: {{email: {email}}}\n"));
    let _server = home.serve(&[]);
    home.check(&["notice", "test", "anna"], 0, "anna has it");
}
