//! The server on loopback is honest: the providers' own clients talk to it, with a call and its result.
#![expect(clippy::disallowed_methods, reason = "it starts a program of the test environment")]

use std::path::Path;
use std::process::Command;

use outlive_model::loopback::Loopback;

const NEEDED: &str = "import anthropic, google.genai, ollama, openai";
const PACKAGES: &str = "anthropic google-genai ollama openai";

#[tokio::test(flavor = "multi_thread")]
async fn the_official_clients_of_every_provider_get_along_with_the_server_on_loopback() {
    // `./test` makes it, beside the build.
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let python = tools.join("bin/python");
    let is_there = Command::new(&python).args(["-c", NEEDED]).output().is_ok_and(|tried| tried.status.success());
    let shown = tools.display();
    assert!(
        is_there,
        "the official clients are needed: ./test gets them, or: python3 -m venv {shown} && {} -m pip install {PACKAGES}",
        python.display()
    );
    let server = Loopback::start(0).await.unwrap_or_else(|error| panic!("no server on loopback: {error}"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official_clients.py");
    // Each client adds the path of its dialect.
    let base = server.base_url();
    let host = base.trim_end_matches("/v1");
    let ran = Command::new(&python).arg(script).arg(host).env("NO_PROXY", "127.0.0.1").output();
    let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let good = said.lines().filter(|line| line.ends_with(": good")).count();
    assert!(ran.status.success() && good == 5, "{said}");
}
