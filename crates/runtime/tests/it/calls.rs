//! Real calls of the built-in tools through the real runtime: what was ruled is what runs, and an interrupt ends all of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Decision, Message, Verdict};
use outlive_core::content::Delta;
use outlive_core::event::{Behavior, CallFinished, Decider, Ending, Event, Origin, OriginKind, Outcome};
use outlive_core::id::CallId;
use outlive_core::limits::INTERRUPT_MS;
use outlive_core::policy::Policy;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::kit::Kit;
use outlive_runtime::subscribe::{Signal, Subscription};
use outlive_runtime::{NewFork, Settings};
use outlive_store::memory::Fault;
use outlive_tools::Place;
use outlive_tools::exec::{self, Exec};
use outlive_tools::registry::{Builtin, Toolbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::house::{Agents, House, by, heard, id, kit};

/// A session whose agent makes one call.
struct Desk {
    house: House,
    folder: TempDir,
    heard: Subscription,
}

impl Desk {
    /// `WS` in the policy and the arguments is the folder that tools work in.
    async fn with(policy: &str, tool: &str, arguments: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ws = folder.path().canonicalize().unwrap().join("ws");
        std::fs::create_dir_all(ws.join("run")).unwrap();
        let here = |text: &str| text.replace("WS", ws.to_str().unwrap());
        let model = Scripted::default();
        model.then(Step::call(tool, &serde_json::from_str(&here(&arguments.to_string())).unwrap()));
        model.then(Step::text("done"));
        let exec = Arc::new(Exec::new([], &ws.join("run"), &ws.join("run/children")));
        let toolbox = Toolbox::builtin(&exec, &[Builtin::Bash, Builtin::Files]);
        let kit = kit(model, toolbox, &here(policy));
        let kit = Kit { place: Place { cwd: ws.clone(), roots: vec![ws], protected: Vec::new() }, ..kit };
        let house = House::of(Agents { tasks: Some(Arc::clone(exec.tasks())), ..Agents::of(kit) }).await;
        let agents = house.faults.store().agents;
        agents.create("helper", [("agent.yaml".to_owned(), Vec::new())].into()).unwrap();
        let heard = house.runtime.subscribe(id(1), 0);
        Self { house, folder, heard }
    }

    fn ws(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("ws").join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.ws(name).parent().unwrap()).unwrap();
        std::fs::write(self.ws(name), text).unwrap();
    }

    async fn ask(&self, command: Command) {
        self.house.ask(1, command).await.unwrap();
    }

    async fn say(&self) {
        self.house.say(1, "go").await;
    }

    async fn event<T>(&mut self, pick: fn(&Event) -> Option<T>) -> T {
        let seen = |signal: &Signal| if let Signal::Event(_, entry) = signal { pick(&entry.event) } else { None };
        heard(&mut self.heard, seen).await
    }

    async fn asked(&mut self) -> CallId {
        self.event(|event| if let Event::ApprovalRequested(asked) = event { Some(asked.call) } else { None }).await
    }

    async fn finished(&mut self) -> CallFinished {
        self.event(|event| if let Event::CallFinished(finished) = event { Some(finished.clone()) } else { None }).await
    }

    async fn ended(&mut self) -> Ending {
        self.event(|event| if let Event::TurnEnded(ended) = event { Some(ended.ending) } else { None }).await
    }
}

#[tokio::test]
async fn what_a_link_leads_to_after_the_ruling_is_not_what_was_approved() {
    let policy = "ask: ['read:WS/a/**']\ndeny: ['read:WS/b/**']";
    let mut desk = Desk::with(policy, "read", &json!({"path": "a/x"})).await;
    desk.put("a/x", "fine");
    desk.put("b/x", "secret");
    desk.say().await;
    let call = desk.asked().await;
    std::fs::rename(desk.ws("a"), desk.ws("was")).unwrap();
    std::os::unix::fs::symlink("b", desk.ws("a")).unwrap();
    desk.ask(Command::Decide(Decision { call, asked: None, verdict: Verdict::Allow, reason: None, by: by() })).await;
    let finished = desk.finished().await;
    assert_eq!(finished.outcome, Outcome::Error);
    assert!(finished.content.contains("when this call was ruled on") && !finished.content.contains("secret"));
}

#[tokio::test]
async fn a_search_from_above_does_not_show_what_a_rule_denies() {
    let mut desk = Desk::with("deny: ['read:WS/secret/**']", "grep", &json!({"pattern": "needle"})).await;
    desk.put("open.txt", "a needle");
    desk.put("secret/key.txt", "a needle");
    desk.say().await;
    let finished = desk.finished().await;
    assert!(
        finished.content.starts_with("open.txt:1:a needle\n[1 file or folder was left out"),
        "{}",
        finished.content
    );
}

#[tokio::test]
async fn what_a_person_allows_for_the_agent_is_written_down_exactly_as_it_was_shown() {
    let line = "echo a > x; echo 'b\n*'";
    let mut desk = Desk::with("allow: ['bash:echo a']", "bash", &json!({"command": line})).await;
    desk.say().await;
    let call = desk.asked().await;
    let shown = desk.house.runtime.approvals(id(1)).await.unwrap().remove(0);
    assert_eq!(shown.because, ["echo 'b\n*' (default: no rule allows it)"], "only what must be asked about");
    desk.ask(Command::Decide(Decision { call, asked: None, verdict: Verdict::AllowAgent, reason: None, by: by() }))
        .await;
    assert_eq!(desk.finished().await.outcome, Outcome::Ok);
    let files = desk.house.faults.store().agents.read("helper").unwrap().unwrap();
    let policy = Policy::parse(std::str::from_utf8(&files["policy.local.yaml"]).unwrap(), "policy.local.yaml").unwrap();
    assert_eq!(policy.grants.len(), 1);
    assert_eq!((policy.grants[0].rule.clone(), shown.rule), (format!("bash:{line}"), format!("bash:{line}")));
}

#[tokio::test]
async fn what_is_allowed_for_the_agent_is_written_down_before_anybody_is_told_so() {
    let mut desk = Desk::with("mode: ask", "bash", &json!({"command": "echo a"})).await;
    desk.say().await;
    let call = desk.asked().await;
    let allow = Decision { call, asked: None, verdict: Verdict::AllowAgent, reason: None, by: by() };
    desk.house.faults.next(Fault::Io);
    desk.house.ask(1, Command::Decide(allow)).await.unwrap_err();
    let files = desk.house.faults.store().agents.read("helper").unwrap().unwrap();
    let policy = Policy::parse(std::str::from_utf8(&files["policy.local.yaml"]).unwrap(), "policy.local.yaml").unwrap();
    assert_eq!(policy.grants.iter().map(|grant| grant.rule.as_str()).collect::<Vec<_>>(), ["bash:echo a"]);
    let waiting = desk.house.runtime.approvals(id(1)).await.unwrap();
    assert_eq!(waiting.iter().map(|asked| asked.call).collect::<Vec<_>>(), [call], "nothing was decided");
}

#[tokio::test]
async fn a_redirection_is_ruled_on_as_the_path_that_it_leads_to() {
    for (policy, path, expected) in [
        ("allow: ['bash:echo *']", "x", Some(Outcome::Ok)),
        ("allow: ['bash:echo *']\ndeny: ['write:WS/**']", "x", None),
        ("allow: ['bash:echo *']", "link", None),
        ("mode: restrict\nallow: ['bash:echo *']", "x", None),
        ("mode: dangerous", "/proc/self/environ", None),
    ] {
        let mut desk = Desk::with(policy, "bash", &json!({"command": format!("echo a > {path}")})).await;
        std::os::unix::fs::symlink(desk.folder.path(), desk.ws("link")).unwrap();
        desk.say().await;
        let call = desk.event(|event| {
            let held = matches!(event, Event::CallDenied(_) | Event::ApprovalRequested(_)).then_some(None);
            if let Event::CallFinished(finished) = event { Some(Some(finished.outcome)) } else { held }
        });
        assert_eq!(call.await, expected, "{policy} {path}");
    }
}

/// Five that do not want to go: the first one and a child are deaf to the polite signal, a child has a session of its own, a
/// daemon forked twice and shed its mark, and one of its own children is stopped.
const TREE: &str = r#"trap '' TERM; echo pid $$
(trap '' TERM; echo pid $BASHPID; while :; do sleep 1; done) &
setsid bash -c 'echo pid $$; exec sleep 1000' &
(env -i setsid /bin/bash -c 'echo pid $$; (echo pid $BASHPID; kill -STOP $BASHPID) & exec /bin/sleep 1000' &)
wait"#;

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn an_interrupt_ends_the_whole_process_tree_within_its_grace() {
    let mut desk = Desk::with("mode: dangerous", "bash", &json!({"command": TREE})).await;
    desk.say().await;
    let mut said = String::new();
    let pids = |said: &str| -> Vec<u32> {
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| line.strip_prefix("pid ")?.parse().ok()).collect()
    };
    heard(&mut desk.heard, |signal| {
        if let Signal::Delta(Delta::ToolOutput { text, .. }) = signal {
            said.push_str(text);
        }
        (pids(&said).len() == 5).then_some(())
    })
    .await;
    let pids = pids(&said);
    assert!(pids.iter().all(|pid| lives(*pid)), "{said}");
    desk.ask(Command::Interrupt { by: by() }).await;
    let finished = desk.finished().await;
    let left: Vec<_> = pids.iter().filter(|pid| lives(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {said} live when the call has ended");
    assert_eq!(finished.outcome, Outcome::Interrupted);
    assert!(!finished.content.contains("could not be ended"), "{}", finished.content);
    assert_eq!(desk.ended().await, Ending::Interrupted);
    assert_eq!(std::fs::read_dir(desk.ws("run/children")).unwrap().count(), 0, "no record is left");
    // What bounds it is a value, whatever the load of this machine: past it the call says what could not be ended.
    assert!(exec::GRACE <= Duration::from_millis(INTERRUPT_MS));
}

/// A process that a call left running in the background.
async fn left_running(desk: &mut Desk) -> u32 {
    desk.say().await;
    assert!(desk.finished().await.content.contains("it runs in the background"));
    desk.ended().await;
    let pid = std::fs::read_to_string(desk.ws("pid")).unwrap().trim().parse().unwrap();
    assert!(lives(pid));
    pid
}

fn in_background() -> Value {
    json!({"command": "echo $$ >pid; exec sleep 1000", "run_in_background": true})
}

#[tokio::test]
async fn what_runs_in_the_background_ends_with_its_session() {
    let mut desk = Desk::with("mode: dangerous", "bash", &in_background()).await;
    let pid = left_running(&mut desk).await;
    desk.house.runtime.discard(id(1), by(), None).await.unwrap();
    assert!(!lives(pid), "its session is in the trash");
}

#[tokio::test]
async fn what_runs_in_the_background_ends_with_the_server() {
    let mut desk = Desk::with("mode: dangerous", "bash", &in_background()).await;
    let pid = left_running(&mut desk).await;
    desk.house.runtime.shutdown().await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_grant_for_a_command_does_not_cover_it_in_the_background() {
    let command = "echo $$ >pid; exec sleep 1000";
    let policy = format!("mode: ask\ngrants: ['bash:{command}']");
    let mut desk = Desk::with(&policy, "bash", &in_background()).await;
    desk.say().await;
    let pick = |event: &Event| if let Event::ApprovalRequested(asked) = event { Some(asked.clone()) } else { None };
    let asked = desk.event(pick).await;
    assert_eq!(asked.summary, format!("in the background: {command}"));
    assert_eq!(asked.rule, format!("bash in the background:{command}"));
    // And the grant for it in the background does.
    let policy = format!("mode: ask\ngrants: ['{}']", asked.rule);
    let mut desk = Desk::with(&policy, "bash", &in_background()).await;
    left_running(&mut desk).await;
    desk.house.runtime.shutdown().await;
}

#[tokio::test]
async fn a_fork_holds_nothing_of_its_original_and_its_request_is_answered_whatever_became_of_that() {
    let mut desk = Desk::with("mode: ask", "read", &json!({"path": "WS/there"})).await;
    desk.put("there", "something");
    desk.say().await;
    desk.finished().await;
    desk.ended().await;
    let of = (id(1), None);
    let fork = NewFork { session: id(2), of, title: None, by: by() };
    let request = || Some("r1".parse().unwrap());
    let made = desk.house.runtime.fork(fork.clone(), request()).await.unwrap();
    assert!(!made.duplicate);
    desk.house.runtime.discard(id(1), by(), None).await.unwrap();
    assert!(desk.house.runtime.fork(fork.clone(), request()).await.unwrap().duplicate);
    let refused = desk.house.runtime.fork(NewFork { of: (id(1), Some(2)), ..fork }, request()).await;
    assert!(refused.unwrap_err().to_string().contains("another body"));
    // What holds a call waits for its end; what holds nothing is gone at once, long before it would be given up.
    let began = tokio::time::Instant::now();
    tokio::time::pause();
    desk.house.runtime.erase(id(2), None).await.unwrap();
    assert!(began.elapsed() < Settings::default().closing);
}

fn scheduled() -> Command {
    let by = Origin::of(OriginKind::Schedule);
    Command::Message(Message::text("go", Behavior::FollowUp, by))
}

#[tokio::test]
async fn a_turn_of_a_schedule_ends_as_ask_and_what_is_approved_after_a_restart_runs() {
    let mut desk = Desk::with("", "bash", &json!({"command": "echo yes > answer"})).await;
    desk.ask(scheduled()).await;
    let call = desk.asked().await;
    assert_eq!(desk.ended().await, Ending::Ask);
    desk.house.restart().await;
    desk.heard = desk.house.runtime.subscribe(id(1), 0);
    let waiting = desk.house.runtime.approvals(id(1)).await.unwrap();
    assert_eq!(waiting.iter().map(|approval| approval.call).collect::<Vec<_>>(), [call]);
    desk.ask(Command::Decide(Decision { call, asked: None, verdict: Verdict::Allow, reason: None, by: by() })).await;
    assert_eq!(desk.ended().await, Ending::Ask, "the one before");
    assert_eq!(desk.finished().await.outcome, Outcome::Ok);
    assert_eq!(std::fs::read_to_string(desk.ws("answer")).unwrap(), "yes\n");
    assert_eq!(desk.ended().await, Ending::Complete);
}

#[tokio::test]
async fn where_nobody_is_to_be_asked_a_call_of_a_schedule_is_denied() {
    let mut desk = Desk::with("unattended: deny", "bash", &json!({"command": "echo yes > answer"})).await;
    desk.ask(scheduled()).await;
    let by =
        desk.event(|event| if let Event::CallDenied(denied) = event { Some(denied.by.clone()) } else { None }).await;
    assert_eq!(by, Decider::Policy("unattended: deny".to_owned()));
    assert_eq!(desk.ended().await, Ending::Complete);
    assert!(!desk.ws("answer").exists());
}
