//! Commands as they are typed, right and wrong, against the real binary: what they print, how they end.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test of real processes and files; one that cannot go on has failed"
)]

mod attaching;
mod bringing;
mod budget;
mod condensing;
mod deleting;
mod finding;
mod forgetting;
mod importing;
mod moving;
mod policy;
mod relaying;
mod remembering;
mod sandboxing;
mod scheduling;
mod telling;
mod waiting;
mod working;

use std::process::{Command, Output, Stdio};

/// A home with a workspace in it. Its server ends with it.
struct Home(tempfile::TempDir);

const OUTLIVE: &str = env!("CARGO_BIN_EXE_outlive");

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let made = home.run(&["init"]);
        assert!(made.status.success(), "{made:?}");
        home
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("OUTLIVE_WORKSPACE", self.0.path()).env("HOME", self.0.path()).stdin(Stdio::null());
        let keys = outlive_model::PROVIDERS.into_iter().filter_map(outlive_model::key_variable);
        for key in keys.chain(["OUTLIVE_TOKEN", "HTTP_PROXY"]) {
            command.env_remove(key);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(OUTLIVE).args(arguments).output().unwrap()
    }

    /// Runs a command that must end like this and say this, on either stream.
    fn check(&self, arguments: &[&str], code: i32, says: &str) -> String {
        let output = self.run(arguments);
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?} does not say `{says}`: {said}");
        said
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(".outlive").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn agent(&self, name: &str, model: &str) {
        let yaml =
            format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec: {{model: {{{model}}}}}\n");
        self.write(&format!("agents/{name}/agent.yaml"), &yaml);
    }
}

#[test]
fn with_the_workspace_at_home_tools_work_where_the_server_was_started() {
    let home = Home(tempfile::tempdir().unwrap());
    let work = home.0.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let output = home
        .command(OUTLIVE)
        .env_remove("OUTLIVE_WORKSPACE")
        .current_dir(&work)
        .args(["run", "write made.txt: here"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(work.join("made.txt")).unwrap(), "here\n");
}

#[test]
fn a_named_workspace_that_is_not_there_is_refused_by_what_reads_and_made_by_what_begins() {
    let home = Home(tempfile::tempdir().unwrap());
    let root = home.0.path().join(".outlive").display().to_string();
    let refused = format!("there is no workspace {root}: `outlive init {}` makes one", home.0.path().display());
    let reading: [&[&str]; 12] = [
        &["session", "list"],
        &["search", "x"],
        &["verify"],
        &["inbox"],
        &["status"],
        &["attach"],
        &["agent", "list"],
        &["agent", "new", "x"],
        &["logs"],
        &["doctor"],
        &["serve", "--status"],
        &["backup", "b.zip"],
    ];
    for arguments in reading {
        home.check(arguments, 3, &refused);
        assert!(!home.0.path().join(".outlive").exists(), "{arguments:?} made it");
    }
    let ran = home.run(&["run", "help"]);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && told.contains(&format!("made a new workspace, {root}\n")), "{ran:?}");
    home.check(&["session", "list"], 0, "default");
    assert!(!home.check(&["run", "help"], 0, "").contains("made a new workspace"), "it is said once");
}

#[test]
fn a_question_waits_in_the_inbox_and_is_answered_once() {
    let home = Home::new();
    let ask = "ask Which colour? red | blue then write colour.txt: chosen";
    home.check(&["run", ask], 0, "asks you: Which colour? (red, blue)");
    let inbox = home.check(&["inbox"], 0, "Which colour?");
    assert!(inbox.contains("1  red") && inbox.contains("2  blue"), "{inbox}");
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["inbox", "--json"], 0, "")).unwrap();
    let item = |key: &str| listed["items"][0][key].as_str().unwrap().to_owned();
    let (session, question) = (item("session_id"), item("question"));
    assert_eq!((item("kind").as_str(), listed["items"].as_array().unwrap().len()), ("question", 1));
    home.check(&["session", "list", "--status", "asking"], 0, &session);
    home.check(&["answer", "red", "blue"], 2, "1 answers are asked for, 2 given: Which colour?");
    home.check(&["answer", "7"], 2, "7 is no option's number (1 to ");
    home.check(&["answer", "2"], 0, &question);
    home.check(&["run", "-s", &session, "help"], 0, "");
    home.check(&["session", "messages", &session], 0, "Which colour?");
    assert_eq!(std::fs::read_to_string(home.0.path().join("colour.txt")).unwrap(), "chosen\n");
    home.check(&["answer", "1"], 3, "no question waits for an answer");
    home.check(&["inbox"], 0, "nothing waits for you");
}

#[test]
fn an_agent_s_list_outlives_its_server() {
    let home = Home::new();
    home.check(&["run", "todo x look around | - write it down | go home"], 0, "1 done, 1 in progress, 1 pending");
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    let session = listed["items"][0]["id"].as_str().unwrap();
    home.check(&["serve", "--stop"], 0, "");
    home.check(&["session", "show", session], 0, "☑ look around\n◐ write it down\n☐ go home\n");
}

#[test]
fn a_model_is_tried_and_what_it_cannot_do_is_named() {
    let home = Home::new();
    let said = home.check(&["model", "test", "rehearsal/script"], 0, "ok  calls in parallel");
    assert!(said.lines().count() == 10 && !said.contains("NO "), "{said}");
    for lacks in ["looks at images", "keeps to a schema", "counts tokens", "caches"] {
        assert!(said.contains(&format!("-   {lacks}")), "{said}");
    }
    home.check(&["model", "test", "openai/gpt-5"], 2, "set OPENAI_API_KEY");
    home.check(&["model", "test", "opnai/x"], 2, "the nearest is `openai`");
    let deaf = ["model", "test", "ollama/x", "--base-url", "http://127.0.0.1:1"];
    home.check(&deaf, 1, "NO  answers           127.0.0.1:1 cannot be reached");
    home.check(&["model", "list"], 0, "rehearsal/script");
}

#[test]
fn a_session_is_forked_and_rewound_and_both_go_on() {
    let home = Home::new();
    home.check(&["run", "write one.txt: first"], 0, "");
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    let session = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let end = listed["items"][0]["head"].as_u64().unwrap();
    home.check(&["run", "-s", &session, "write two.txt: second"], 0, "");
    home.check(&["session", "rewind", &session, "--to", "3"], 2, "in the middle of a turn: rewind to 1, before it");
    home.check(&["session", "rewind", &session, "--to", "9999"], 2, "(seq_out_of_range)");
    let end = end.to_string();
    home.check(&["session", "rewind", &session, "--to", &end], 0, &format!("goes on from event {end}"));
    let said = home.check(&["session", "messages", &session], 0, "set aside: user: write two.txt: second");
    assert!(said.contains("  user: write one.txt: first"), "{said}");
    home.check(&["run", "-s", &session, "write three.txt: third"], 0, "");

    let forked = home.check(&["session", "fork", &session, "--at", "5", "--title", "aside"], 0, "up to event 5");
    let fork = forked.split_whitespace().next().unwrap();
    home.check(&["session", "show", fork], 0, &format!("begins    as {session} did, up to event 5"));
    home.check(&["run", "-s", fork, "list"], 0, "three.txt");
    home.check(&["session", "fork", &session, "--at", "9999"], 2, "(seq_out_of_range)");
    home.check(&["verify"], 0, "");
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["serve", "--stop"]);
    }
}

#[test]
fn who_stops_reading_ends_the_program_without_a_word() {
    let home = Home::new();
    home.check(&["run", "help"], 0, "I understand");
    for line in ["session list", "completions bash", "session list --json", "run help", "agent list"] {
        let script = format!("{OUTLIVE} {line} 2>&1 >/dev/full | cat; {OUTLIVE} {line} 2>err | true; cat err");
        let output = home.command("sh").args(["-c", &script]).current_dir(home.0.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
    }
}

#[test]
fn a_second_server_is_told_where_the_first_is_whichever_port_it_wants() {
    let home = Home::new();
    home.check(&["session", "list"], 0, "");
    let status = home.check(&["status", "--json"], 0, "\"running\": true");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let address = status["address"].as_str().unwrap();
    let port = address.rsplit(':').next().unwrap();
    for arguments in [&["serve"][..], &["serve", "--port", "0"], &["serve", "--port", port]] {
        home.check(arguments, 75, address);
    }
}

#[test]
fn a_server_that_cannot_start_says_why_at_once() {
    let home = Home::new();
    home.write("outlive.yaml", "servr: {port: 1}\n");
    home.check(&["session", "list"], 2, "outlive.yaml:1:1: unknown key `servr`: the nearest is `server`");
    home.write("outlive.yaml", "");
    home.check(&["session", "list"], 0, "");
    std::fs::remove_file(home.0.path().join(".outlive/token")).unwrap();
    home.check(&["session", "list"], 4, "but its token cannot be read from");
}

#[test]
fn a_proxy_is_not_asked_for_a_server_on_this_machine() {
    let home = Home::new();
    let listed =
        home.command(OUTLIVE).args(["session", "list"]).env("HTTP_PROXY", "http://127.0.0.1:1").output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn what_has_not_the_form_of_an_id_is_refused_before_anybody_is_asked() {
    let home = Home::new();
    for arguments in [
        &["session", "show", "../agents"][..],
        &["session", "events", ""],
        &["agent", "show", "../sessions"],
        &["approve", "call_1/../x"],
        &["interrupt", "ses_"],
        &["attach", "latest"],
        &["chat", "-a", "No Name"],
    ] {
        home.check(arguments, 2, "error: invalid value");
    }
    home.check(&["status"], 5, "no server runs");
}

#[test]
fn a_run_whose_provider_is_away_says_so_while_it_waits() {
    use std::io::{BufRead as _, BufReader};
    let home = Home::new();
    home.agent("away", "provider: openai, name: m, base_url: \"http://127.0.0.1:1/v1\"");
    let mut run = home.command(OUTLIVE).args(["run", "-a", "away", "hello"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(run.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("outlive: 127.0.0.1:1 cannot be reached: Connection refused"), "{line}");
    assert!(line.contains("; asked again at 20"), "{line}");
    let listed: serde_json::Value = serde_json::from_str(&home.check(&["session", "list", "--json"], 0, "")).unwrap();
    let session = listed["items"][0]["id"].as_str().unwrap();
    home.check(&["session", "show", session], 0, ", waits because of the network, the model is asked again at 20");
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn what_a_server_says_is_in_its_log_however_it_was_started() {
    let home = Home::new();
    home.check(&["logs"], 0, "no log yet at");
    let mut server = home.command(OUTLIVE).args(["serve", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line).unwrap();
    home.check(&["serve", "--stop"], 0, "stopped");
    server.wait().unwrap();
    home.check(&["logs"], 0, "shutting down");
}

#[test]
fn errors_name_the_code_of_their_page_and_who_was_first() {
    let home = Home::new();
    let missing = "ses_00000000000000000000000009";
    home.check(&["session", "show", missing], 3, "(session_not_found)");
    let waits = home.check(&["run", "run true"], 4, "waits for a person");
    let words: Vec<&str> = waits.split_whitespace().collect();
    let call = words.iter().find(|word| word.starts_with("call_")).unwrap();
    let session = words.iter().find(|word| word.starts_with("ses_")).unwrap();
    home.check(&["deny", call, "--always"], 2, "--always allows");
    home.check(&["deny", call, "-r", "not today"], 0, "denied");
    let late = home.check(&["approve", call, "-s", session], 1, "(already_decided)");
    assert!(late.contains("; first there was: ") && late.contains("verdict deny") && !late.contains('{'), "{late}");
    home.check(&["approve", call], 3, &format!("no call {call} waits for a decision"));
}

#[test]
fn agents_are_checked_with_the_place_of_what_is_wrong() {
    let home = Home::new();
    home.check(&["agent", "validate"], 0, "default: good");
    home.agent("wrong", "provider: anthropc, name: m");
    home.check(&["agent", "validate"], 1, "wrong: agent.yaml:4:16: spec.model.provider: `anthropc` is not known");
    let checked = home.run(&["agent", "validate", "--json"]);
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked[0]["good"], &checked[1]["good"]), (&serde_json::json!(true), &serde_json::json!(false)));
}

#[test]
fn a_list_is_as_long_as_it_was_asked_to_be() {
    let home = Home::new();
    home.check(&["session", "list"], 0, "");
    let status: serde_json::Value = serde_json::from_slice(&home.run(&["status", "--json"]).stdout).unwrap();
    let url = format!("http://{}/api/v1/sessions", status["address"].as_str().unwrap());
    let token = std::fs::read_to_string(home.0.path().join(".outlive/token")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..230 {
            let made =
                reqwest::Client::new().post(&url).bearer_auth(&token).json(&serde_json::json!({"agent": "default"}));
            assert_eq!(made.send().await.unwrap().status().as_u16(), 201);
        }
    });
    for (limit, count) in [("1000", 230), ("200", 200), ("3", 3)] {
        let listed = home.run(&["session", "list", "--limit", limit, "--json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed["items"].as_array().unwrap().len(), count);
    }
}

#[test]
fn a_command_of_an_agent_finds_no_key_of_the_server() {
    let home = Home::new();
    // In a sandbox it would not even see the server: this holds without one, too.
    let yaml = "apiVersion: outlive/v1\nkind: Agent\nmetadata: {name: helper}\n\
                spec: {model: {provider: rehearsal}, sandbox: {mode: trust}, tools: [{builtin: bash}]}\n";
    home.write("agents/helper/agent.yaml", yaml);
    home.write("agents/helper/policy.yaml", "mode: dangerous\n");
    let key = "sk-canary-0123456789";
    let prying = "run exec 2>&1; env; cat /proc/self/environ /proc/$PPID/environ /proc/$PPID/maps; echo of $(cat /proc/$PPID/comm)";
    // Nothing holds root with all its capabilities: then the server gets those of a container.
    let container = ["setpriv", "--bounding-set=-sys_ptrace,-sys_admin,-perfmon", OUTLIVE];
    let program = if rustix::process::geteuid().is_root() { &container[..] } else { &container[2..] };
    let mut run = home.command(program[0]);
    // Where this fails it must not print the keys of whoever runs the tests.
    run.env_clear().env("OUTLIVE_WORKSPACE", home.0.path()).env("PATH", "/usr/bin:/bin").env("OPENAI_API_KEY", key);
    let asked = run.args(&program[1..]).args(["run", "-a", "helper", "--json", prying]).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(said.contains("PATH=") && said.contains("of outlive\\n"), "it did not look: {said}");
    assert!(!said.contains(key), "the key was found");
    assert!(said.contains("/environ: Permission denied") && said.contains("/maps: Permission denied"), "{said}");
}
