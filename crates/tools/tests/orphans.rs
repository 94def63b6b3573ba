//! A server that dies leaves children: the next one finds them, ends them, and nothing else.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests start a server of their own, and kill it")]

mod stage;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use outlive_core::agent::SandboxMode;
use outlive_core::id::{CallId, SessionId};
use outlive_tools::orphans::sweep;
use outlive_tools::sandbox::{Sandbox, WORKSPACE};
use serde_json::json;
use stage::{Stage, lives, pids};

const LEFT: &str = "setsid bash -c 'echo pid $$; trap \"\" TERM; while :; do sleep 1; done' & \
    (setsid bash -c 'echo pid $$; exec sleep 1000' &); sleep 0.3; echo pid $$; echo ready; wait";

/// Not a test of its own: what the others start, and kill.
#[tokio::test]
#[ignore = "started by other tests"]
async fn the_server() {
    serve(Stage::new()).await;
}

/// As [`the_server`], with its calls in a sandbox.
#[tokio::test]
#[ignore = "started by other tests"]
async fn the_server_with_a_sandbox() {
    let sandbox = Sandbox { mode: SandboxMode::Bubblewrap, write: vec![WORKSPACE.to_owned()], ..Sandbox::default() };
    serve(Stage::with(tempfile::tempdir().unwrap(), |exec| exec.confined_by(stage::confiner()).within(sandbox))).await;
}

async fn serve(mut stage: Stage) {
    stage.folder.disable_cleanup(true);
    println!("records {}", stage.children().display());
    let invocation = stage.invocation(json!({"command": LEFT}));
    println!("call {}", invocation.call);
    let invocation = outlive_tools::Invocation {
        sink: std::sync::Arc::new(|text| {
            print!("{text}");
            std::io::stdout().flush().unwrap();
        }),
        ..invocation
    };
    let (tool, _) = stage.tools.prepare("bash", &invocation.arguments.clone(), &stage.place).unwrap();
    tool.run(invocation).await;
}

/// Starts the server, waits until its call runs, and kills it. Returns what it said.
fn killed_server() -> String {
    killed("the_server")
}

fn killed(which: &str) -> String {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", which, "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(server.stdout.take().unwrap());
    while !said.contains("ready") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "the server ended: {said}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
    said
}

fn told<'a>(said: &'a str, key: &str) -> &'a str {
    said.lines().find_map(|line| line.split_once(key)).unwrap().1.trim()
}

#[tokio::test]
async fn what_a_killed_server_left_is_ended_whole() {
    let said = killed_server();
    let pids = pids(&said);
    assert_eq!(pids.len(), 3, "{said}");
    assert!(pids.iter().all(|pid| lives(*pid)), "they outlive their server");
    let folder = Path::new(told(&said, "records "));
    let ended = sweep(folder).await.unwrap();
    assert_eq!((ended.len(), ended[0].call.to_string(), ended[0].left), (1, told(&said, "call ").to_owned(), 0));
    assert_eq!(ended[0].session, Some(SessionId::from_bits(7)));
    assert!(ended[0].processes >= 3, "{ended:?}");
    assert!(pids.iter().all(|pid| !lives(*pid)), "none lives");
    assert_eq!(sweep(folder).await.unwrap(), []);
    std::fs::remove_dir_all(folder.parent().unwrap().parent().unwrap()).unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_in_a_sandbox_is_ended_whole() {
    let said = killed("the_server_with_a_sandbox");
    let folder = Path::new(told(&said, "records "));
    let ended = sweep(folder).await.unwrap();
    // Inside they have numbers of their own, and say those: three, and bubblewrap.
    assert_eq!((ended.len(), ended[0].left), (1, 0), "{said}");
    assert!(ended[0].processes >= 4, "{ended:?}");
    assert_eq!(sweep(folder).await.unwrap(), []);
    let call = told(&said, "call ");
    let marked = |folder: std::fs::DirEntry| {
        let environment = std::fs::read(folder.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(call)
    };
    assert!(!std::fs::read_dir("/proc").unwrap().any(|entry| entry.is_ok_and(marked)), "one lives");
    std::fs::remove_dir_all(folder.parent().unwrap().parent().unwrap()).unwrap();
}

struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").env_clear().env("PATH", "/usr/bin:/bin").spawn().unwrap())
    }

    fn lives(&self) -> bool {
        lives(self.0.id())
    }

    fn start_time(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn record(folder: &Path, pid: u32, start_time: u64, boot_id: &str) {
    let call = CallId::from_bits(u128::from(pid));
    let entry = json!({"call": call, "session": SessionId::from_bits(7), "pid": pid, "start_time": start_time, "boot_id": boot_id});
    std::fs::write(folder.join(format!("{call}.json")), entry.to_string()).unwrap();
}

#[tokio::test]
async fn a_process_with_another_start_or_boot_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let bystander = Bystander::new();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned();
    for (start, boot_id) in [(bystander.start_time() + 1, boot.as_str()), (bystander.start_time(), "another"), (0, "")]
    {
        record(folder.path(), bystander.0.id(), start, boot_id);
        let ended = sweep(folder.path()).await.unwrap();
        assert_eq!((ended.len(), ended[0].processes), (1, 0));
        assert!(bystander.lives());
    }
    record(folder.path(), bystander.0.id(), bystander.start_time(), &boot);
    assert_eq!(sweep(folder.path()).await.unwrap()[0].processes, 1);
    assert!(!bystander.lives());
}

#[tokio::test]
async fn a_record_that_cannot_be_removed_spares_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let bystander = Bystander::new();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned();
    record(folder.path(), bystander.0.id(), bystander.start_time(), &boot);
    for n in 100..120 {
        std::fs::create_dir(folder.path().join(format!("{}.json", CallId::from_bits(n)))).unwrap();
    }
    assert!(sweep(folder.path()).await.is_err());
    assert!(!bystander.lives());
}

#[tokio::test]
async fn a_broken_record_is_taken_away_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let call = CallId::from_bits(99);
    std::fs::write(folder.path().join(format!("{call}.json")), "{\"call\": ").unwrap();
    std::fs::write(folder.path().join(".tmpAbC"), "").unwrap();
    std::fs::write(folder.path().join("note.txt"), "").unwrap();
    let ended = sweep(folder.path()).await.unwrap();
    assert_eq!((ended.len(), ended[0].call, ended[0].session, ended[0].processes), (1, call, None, 0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(sweep(&folder.path().join("none")).await.unwrap(), []);
}
