//! Servers of tools over the pipes of real programs: what they offer is held to bounds, and what becomes of calls is told apart.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test reads what its servers wrote")]

mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{McpProtocol, McpServer, McpWay, SandboxMode};
use outlive_core::event::{Effect, Outcome};
use outlive_core::id::AgentName;
use outlive_core::policy::{Reach, Subject};
use outlive_tools::exec::Exec;
use outlive_tools::mcp::{Pool, Setup, Wanted};
use outlive_tools::registry::Toolbox;
use outlive_tools::sandbox::{Sandbox, WORKSPACE};
use serde_json::json;
use stage::Stage;

/// An agent with one server, `s`, which speaks as `mode` says.
struct House {
    stage: Stage,
    pool: Pool,
    agent: AgentName,
}

fn server(mode: &str) -> McpServer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py");
    let args = vec!["-u".to_owned(), script.to_str().unwrap().to_owned(), mode.to_owned()];
    let way = McpWay::Stdio { command: "python3".to_owned(), args, env: BTreeMap::new(), secrets: Vec::new() };
    let (allow, deny) = (Vec::new(), Vec::new());
    McpServer { name: "s".to_owned(), way, timeout_ms: 20_000, allow, deny, protocol: McpProtocol::Auto }
}

impl House {
    fn setup(stage: &Stage, server: McpServer) -> Setup {
        let run = stage.children().parent().unwrap().to_owned();
        let environment = [("LOG".to_owned(), stage.ws("log").to_str().unwrap().to_owned())].into();
        let exec = Arc::new(Exec::new([], &run, &stage.children()));
        let (place, folder) = (stage.place.clone(), stage.place.cwd.clone());
        Setup { server, exec, place, folder, environment, bearer: None }
    }

    async fn with(server: McpServer) -> Self {
        let house = Self { stage: Stage::new(), pool: Pool::default(), agent: "helper".parse().unwrap() };
        house.want(server);
        house.ready().await
    }

    fn want(&self, server: McpServer) {
        let setups = vec![Self::setup(&self.stage, server)];
        self.pool.want(Wanted { agent: self.agent.clone(), setups });
    }

    async fn of(mode: &str) -> Self {
        Self::with(server(mode)).await
    }

    async fn ready(mut self) -> Self {
        if let Some(expected) = self.pool.expected(&self.agent) {
            expected.await;
        }
        self.stage.tools = self.tools();
        self
    }

    fn tools(&self) -> Toolbox {
        Toolbox::new(self.pool.tools(&self.agent))
    }

    fn names(&self) -> Vec<String> {
        self.tools().specs().into_iter().map(|spec| spec.name).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.stage.ws("log")).unwrap_or_default()
    }
}

const TOOLS: [&str; 11] =
    ["ask", "change", "die", "echo", "environment", "fail", "peek", "put", "refuse", "roots", "slow"];

#[tokio::test]
async fn a_server_of_either_version_is_found_and_its_tools_are_called() {
    for (mode, asked) in [("old", "initialize"), ("new", "server/discover"), ("strict", "initialize")] {
        let house = House::of(mode).await;
        let names: Vec<String> = house.names().into_iter().filter(|name| name.starts_with("mcp_s_")).collect();
        assert_eq!(names, TOOLS.map(|tool| format!("mcp_s_{tool}")), "{mode}: {:?}", house.pool.warnings(&house.agent));
        let said = house.stage.run("mcp_s_echo", json!({"text": "hä"})).await;
        assert_eq!((said.outcome, said.content.as_str()), (Outcome::Ok, "hä"), "{mode}");
        assert_eq!(said.details, Some(json!({"mcp": "s/echo", "structured": {"said": "hä"}})));
        assert!(house.log().contains(asked), "{mode}: {}", house.log());
        house.pool.end().await;
        assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 0, "no record is left");
    }
}

#[tokio::test]
async fn what_a_tool_claims_says_what_a_crash_means_and_never_that_nobody_is_asked() {
    let house = House::of("old").await;
    for (tool, arguments, effect) in [
        ("echo", json!({"text": "x"}), Effect::Read),
        ("put", json!({}), Effect::Idempotent),
        ("fail", json!({}), Effect::Effectful),
    ] {
        let (found, assessment) =
            house.stage.tools.prepare(&format!("mcp_s_{tool}"), &arguments, &house.stage.place).unwrap();
        let subject = Subject { tool: "mcp".to_owned(), target: format!("s/{tool}"), reach: Reach::Beyond };
        assert_eq!((assessment.effect, assessment.subject), (effect, subject));
        assert!(found.pin().is_some());
    }
    house.pool.end().await;
}

#[tokio::test]
async fn a_call_that_the_server_refuses_or_that_fails_says_so() {
    let house = House::of("old").await;
    let failed = house.stage.run("mcp_s_fail", json!({})).await;
    assert_eq!((failed.outcome, failed.content.as_str()), (Outcome::Error, "no"));
    let refused = house.stage.run("mcp_s_refuse", json!({})).await;
    let told = "`s/refuse` failed: it says: not[31m today (code -32603)";
    assert_eq!((refused.outcome, refused.content.as_str()), (Outcome::Error, told));
    house.pool.end().await;
}

#[tokio::test]
async fn progress_is_heard_and_a_stopped_call_is_cancelled_at_the_server() {
    let mut house = House::of("old").await;
    house.stage.stop_at = Some("still at it");
    let stopped = house.stage.run("mcp_s_slow", json!({"seconds": 60})).await;
    assert_eq!(stopped.outcome, Outcome::Interrupted);
    assert!(house.stage.said.lock().unwrap().contains("still at it"));
    while !house.log().contains("cancelled") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.pool.end().await;
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_of_unknown_outcome() {
    let house = House::with(McpServer { timeout_ms: 50, ..server("mute-calls") }).await;
    let late = house.stage.run("mcp_s_ask", json!({})).await;
    assert_eq!((late.outcome, late.details), (Outcome::Timeout, Some(json!({"outcome_unknown": true}))));
    assert!(late.content.starts_with("The outcome of `s/ask` is unknown"), "{}", late.content);
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_that_dies_under_a_call_leaves_it_unknown_and_is_started_again() {
    let house = House::of("old").await;
    let lost = house.stage.run("mcp_s_die", json!({})).await;
    assert_eq!((lost.outcome, &lost.details), (Outcome::Error, &Some(json!({"outcome_unknown": true}))), "{lost:?}");
    let meanwhile = house.stage.run("mcp_s_echo", json!({"text": "x"})).await;
    assert!(meanwhile.content.starts_with("not called: mcp server `s` is down"), "{}", meanwhile.content);
    assert!(meanwhile.content.contains("exit code 3; it said: it was asked to"), "{}", meanwhile.content);
    let warnings = house.pool.warnings(&house.agent);
    assert!(warnings.iter().any(|warning| warning.contains("is started again in")), "{warnings:?}");
    assert_eq!(house.names().len(), TOOLS.len() + 2, "what it offered stays on offer");
    while house.stage.run("mcp_s_echo", json!({"text": "x"})).await.outcome != Outcome::Ok {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why_and_keeps_nobody_waiting() {
    let house = House::of("broken").await;
    let warnings = house.pool.warnings(&house.agent);
    assert!(warnings[0].contains("exit code 7; it said: no such module"), "{warnings:?}");
    assert_eq!(house.names(), Vec::<String>::new());
    assert!(house.pool.expected(&house.agent).is_none(), "it is not waited for again");
    house.pool.end().await;
}

#[tokio::test]
async fn a_changed_list_makes_other_tools_and_what_was_offered_before_is_not_called_as_if_it_were_the_same() {
    for mode in ["old"] {
        let house = House::of(mode).await;
        let before = house.pool.version(&house.agent);
        let arguments = json!({"text": "x"});
        let (echo, _) = house.stage.tools.prepare("mcp_s_echo", &arguments, &house.stage.place).unwrap();
        assert_eq!(house.stage.run("mcp_s_change", json!({})).await.content, "changed");
        while house.pool.version(&house.agent) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(house.names().contains(&"mcp_s_new".to_owned()));
        let refused = echo.run(house.stage.invocation(arguments.clone())).await;
        assert!(refused.content.starts_with("not called: `s/echo` is not what it was"), "{}", refused.content);
        assert!(!house.log().contains("call echo"));
        let tools = house.tools();
        let (now, assessment) = tools.prepare("mcp_s_echo", &arguments, &house.stage.place).unwrap();
        assert_ne!(now.pin(), echo.pin(), "what was allowed for good does not cover it");
        assert!(assessment.summary.contains("has changed since it was listed first"), "{}", assessment.summary);
        house.pool.end().await;
    }
}

#[tokio::test]
async fn lists_without_end_and_tools_that_make_no_sense_are_left_out_with_a_word() {
    let house = House::of("hostile").await;
    assert_eq!(house.tools().specs()[0].description, "x[31m\n(of the mcp server `s`)");
    let names: Vec<String> = house.names().into_iter().filter(|name| name.starts_with("mcp_s_")).collect();
    assert_eq!(names, ["mcp_s_good", "mcp_s_twice"]);
    let told = house.pool.warnings(&house.agent).join("\n");
    for word in
        ["`remote` is left out", "`deep` is left out", "`bad name` is left out", "listed twice", "(without a name)"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    house.pool.end().await;
    for (mode, most, word) in [("many", 256, "more than 256 tools"), ("endless", 65, "goes on after")] {
        let house = House::of(mode).await;
        let names: Vec<String> = house.names().into_iter().filter(|name| name.starts_with("mcp_s_")).collect();
        assert_eq!(names.len(), most, "{mode}");
        assert!(house.pool.warnings(&house.agent).join("\n").contains(word), "{mode}");
        house.pool.end().await;
    }
}

#[tokio::test]
async fn a_message_without_end_is_not_read_to_its_end() {
    let house = House::of("flood").await;
    let lost = house.stage.run("mcp_s_echo", json!({"text": "x"})).await;
    assert_eq!(lost.details, Some(json!({"outcome_unknown": true})), "{lost:?}");
    while house.pool.warnings(&house.agent).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let warnings = house.pool.warnings(&house.agent).join("\n");
    assert!(warnings.contains("it sent a message of more than 16777216 bytes"), "{warnings}");
    house.pool.end().await;
}

#[tokio::test]
async fn answers_that_nobody_asked_for_and_lines_that_are_no_messages_are_left_alone() {
    let house = House::of("wrong").await;
    assert_eq!(house.stage.run("mcp_s_echo", json!({"text": "x"})).await.content, "right");
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_sees_its_own_variables_and_the_folder_and_nothing_of_ours() {
    let house = House::of("old").await;
    let seen: BTreeMap<String, String> =
        serde_json::from_str(&house.stage.run("mcp_s_environment", json!({})).await.content).unwrap();
    let mut names: Vec<&str> = seen.keys().map(String::as_str).filter(|name| *name != "OUTLIVE_CALL").collect();
    names.retain(|name| !["LC_CTYPE", "PWD", "SHLVL", "_"].contains(name));
    assert_eq!(names, ["LOG", "PATH", "TERM"]);
    let roots = house.stage.run("mcp_s_roots", json!({})).await.content;
    assert!(roots.contains(&format!("file://{}", house.stage.place.cwd.display())), "{roots}");
    house.pool.end().await;
}

#[tokio::test]
async fn only_chosen_tools_are_on_offer_and_a_definition_that_changed_ends_the_server_before() {
    let chosen = McpServer { allow: vec!["e*".to_owned()], deny: vec!["env*".to_owned()], ..server("old") };
    let house = House::with(chosen.clone()).await;
    let names: Vec<String> = house.names().into_iter().filter(|name| name.starts_with("mcp_s_")).collect();
    assert_eq!(names, ["mcp_s_echo"]);
    house.want(chosen);
    assert_eq!(house.names().len(), 3, "the same server stays");
    house.want(server("new"));
    assert_eq!(house.names(), Vec::<String>::new(), "another one is not known yet");
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_that_is_replaced_ends_its_calls_first_and_takes_no_more() {
    let mut house = House::of("old").await;
    let (asked, mut was_asked) = tokio::sync::mpsc::channel(1);
    let (answer, answered) = tokio::sync::watch::channel(false);
    house.stage.asker = Arc::new(move |questions| {
        let (asked, mut answered) = (asked.clone(), answered.clone());
        Box::pin(async move {
            asked.send(()).await.unwrap();
            answered.wait_for(|answered| *answered).await.unwrap();
            Some(vec![vec!["Ada".to_owned()]; questions.len()])
        })
    });
    let before = house.pool.version(&house.agent);
    let edited = async {
        was_asked.recv().await.unwrap();
        house.want(McpServer { timeout_ms: 19_000, ..server("old") });
        let beside = house.stage.run("mcp_s_echo", json!({"text": "x"})).await;
        assert_eq!((beside.outcome, beside.content.as_str()), (Outcome::Ok, "x"), "the one in its place has it");
        assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 2);
        answer.send(true).unwrap();
    };
    let (said, ()) = tokio::join!(house.stage.run("mcp_s_ask", json!({})), edited);
    assert_eq!(said.content, r#"{"action": "accept", "content": {"name": "Ada"}}"#);
    while std::fs::read_dir(house.stage.children()).unwrap().count() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(house.pool.version(&house.agent) > before, "each has listed its tools once");
    house.pool.end().await;
}

#[tokio::test]
async fn an_end_of_all_waits_for_no_server_that_is_wanted_meanwhile() {
    let house = House::of("stubborn").await;
    let wanted = async {
        // The end has begun: the agent's files are read by somebody.
        house.want(server("new"));
    };
    let both = async { tokio::join!(biased; house.pool.end(), wanted) };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("it ends");
    assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 0);
    let fresh = house.stage.run("mcp_s_echo", json!({"text": "x"})).await;
    assert_eq!(fresh.content, "x", "a call of before comes to the one that is there now");
    house.pool.end().await;
}

#[tokio::test]
async fn resources_and_prompts_are_listed_without_asking_and_read_as_calls() {
    let house = House::of("old").await;
    let one = json!({"server": "s", "uri": "note:1"});
    let assessed = |tool: &str, arguments| {
        let (_, assessment) = house.stage.tools.prepare(tool, &arguments, &house.stage.place).unwrap();
        (assessment.subject.target, assessment.subject.reach, assessment.effect)
    };
    let all = json!({"server": "s"});
    assert_eq!(assessed("mcp_resources", all.clone()), ("s/resources".to_owned(), Reach::Within, Effect::Read));
    assert_eq!(assessed("mcp_resources", one.clone()), ("s/resource:note:1".to_owned(), Reach::Beyond, Effect::Read));
    let listed = house.stage.run("mcp_resources", all.clone()).await.content;
    assert_eq!(listed, "note:1 one: the first\nnote:{n} (an address to fill in) notes");
    assert_eq!(house.stage.run("mcp_resources", one).await.content, "[resource <note:1>]\nwhat is in note:1");
    assert_eq!(house.stage.run("mcp_prompts", all).await.content, "greet: greets (takes who, required)");
    let greet = json!({"server": "s", "name": "greet", "arguments": {"who": "Ada"}});
    assert_eq!(assessed("mcp_prompts", greet.clone()).0, "s/prompt:greet");
    assert_eq!(house.stage.run("mcp_prompts", greet).await.content, "[user]\nGreet Ada");
    let unknown = house.stage.run("mcp_prompts", json!({"server": "t"})).await.content;
    assert_eq!(unknown, "`mcp_prompts`: no mcp server `t` has any: those that have are s");
    house.pool.end().await;
}

/// Answers every question with this.
fn answering(words: &'static str) -> outlive_tools::Asker {
    Arc::new(move |questions: Vec<outlive_core::event::Question>| {
        assert!(questions[0].text.starts_with("The mcp server `s` asks: Who?"), "{}", questions[0].text);
        Box::pin(std::future::ready(Some(vec![vec![words.to_owned()]; questions.len()])))
    })
}

#[tokio::test]
async fn what_a_server_asks_becomes_a_question_and_the_answer_goes_back_in_either_version() {
    for (mode, said) in [
        ("old", r#"{"action": "accept", "content": {"name": "Ada"}}"#),
        ("new", r#"[{"who": {"action": "accept", "content": {"name": "Ada"}}}, "state"]"#),
    ] {
        let mut house = House::of(mode).await;
        house.stage.asker = answering("Ada");
        assert_eq!(house.stage.run("mcp_s_ask", json!({})).await.content, said);
        house.stage.asker = answering("(decline)");
        assert!(house.stage.run("mcp_s_ask", json!({})).await.content.contains(r#""action": "decline""#));
        house.pool.end().await;
    }
}

#[tokio::test]
async fn a_server_that_takes_its_question_back_asks_the_next_one_and_its_time_runs_again() {
    let mut house = House::of("unasking").await;
    house.stage.asker = Arc::new(|questions| match questions[0].text.contains("Never mind") {
        true => Box::pin(std::future::pending()),
        false => answering("Ada")(questions),
    });
    let said = house.stage.run("mcp_s_ask", json!({})).await.content;
    assert_eq!(said, r#"{"action": "accept", "content": {"name": "Ada"}}"#);
    house.pool.end().await;
}

#[tokio::test]
async fn the_time_of_a_call_does_not_run_while_a_person_thinks() {
    let mut house = House::with(McpServer { timeout_ms: 3_000, ..server("old") }).await;
    house.stage.asker = Arc::new(|questions| {
        Box::pin(async move {
            // Longer than the call may take.
            tokio::time::sleep(Duration::from_millis(4_000)).await;
            Some(vec![vec!["Ada".to_owned()]; questions.len()])
        })
    });
    assert_eq!(house.stage.run("mcp_s_ask", json!({})).await.outcome, Outcome::Ok);
    house.pool.end().await;
}

#[tokio::test]
async fn a_server_runs_in_the_sandbox_of_its_agent() {
    let stage = Stage::new();
    for (name, text) in [("seen", "in the folder"), ("own/secret", "protected")] {
        std::fs::write(stage.ws(name), text).unwrap();
    }
    std::fs::write(stage.out("hidden"), "not for it").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py");
    std::fs::copy(script, stage.ws("server.py")).unwrap();
    let args = vec!["-u".to_owned(), stage.ws("server.py").to_str().unwrap().to_owned(), "old".to_owned()];
    let way = McpWay::Stdio { command: "python3".to_owned(), args, env: BTreeMap::new(), secrets: Vec::new() };
    let mut setup = House::setup(&stage, McpServer { way, ..server("old") });
    let sandbox = Sandbox { mode: SandboxMode::Bubblewrap, write: vec![WORKSPACE.to_owned()], ..Sandbox::default() };
    let run = stage.children().parent().unwrap().to_owned();
    setup.exec = Arc::new(Exec::new([], &run, &stage.children()).confined_by(stage::confiner()).within(sandbox));
    let house = House { stage, pool: Pool::default(), agent: "helper".parse().unwrap() };
    house.pool.want(Wanted { agent: house.agent.clone(), setups: vec![setup] });
    let house = house.ready().await;
    let peek = async |path: &Path| house.stage.run("mcp_s_peek", json!({"path": path.to_str().unwrap()})).await;
    let why = house.pool.warnings(&house.agent);
    assert_eq!(peek(&house.stage.ws("seen")).await.content, "in the folder", "{why:?}");
    assert_eq!(peek(&house.stage.out("hidden")).await.outcome, Outcome::Error, "`/tmp` is its own");
    let init = peek(Path::new("/proc/1/environ")).await;
    assert!(!init.content.contains("CARGO"), "the environment of ours is not seen");
    assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 1, "it has a record");
    house.pool.end().await;
    assert_eq!(std::fs::read_dir(house.stage.children()).unwrap().count(), 0);
}

/// Not a test of its own: what the next one starts, and kills.
#[tokio::test]
#[ignore = "started by another test"]
async fn the_server_with_a_server_of_tools() {
    let mut house = House::of("stubborn").await;
    house.stage.folder.disable_cleanup(true);
    assert_eq!(house.stage.run("mcp_s_echo", json!({"text": "x"})).await.outcome, Outcome::Ok);
    println!("records {}", house.stage.children().display());
    println!("ready");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_of_tools_that_outlives_a_killed_server_is_ended_by_the_next_one() {
    use std::io::BufRead as _;
    let mut killed = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_server_with_a_server_of_tools", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut said, mut lines) = (String::new(), std::io::BufReader::new(killed.stdout.take().unwrap()));
    while !said.contains("ready") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let records = said.lines().find_map(|line| line.split_once("records ")).unwrap().1;
    let ended = outlive_tools::orphans::sweep(Path::new(records)).await.unwrap();
    assert_eq!((ended.len(), ended[0].left), (1, 0), "{ended:?}");
    assert!(ended[0].processes >= 1, "{ended:?}");
    assert_eq!(outlive_tools::orphans::sweep(Path::new(records)).await.unwrap(), []);
    std::fs::remove_dir_all(Path::new(records).parent().unwrap().parent().unwrap()).unwrap();
}
