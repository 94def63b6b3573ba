//! Traces and metrics as a collector gets them, decoded with the official messages.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::house::{House, provider};

/// A collector. Killed when it is dropped.
struct Collector {
    child: Child,
    port: u16,
}

impl Collector {
    fn start() -> Self {
        // `./test` makes it, beside the build.
        let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
        let python = tools.join("bin/python");
        let tried = Command::new(&python).args(["-c", "import opentelemetry.proto"]).output();
        assert!(
            tried.is_ok_and(|tried| tried.status.success()),
            "OpenTelemetry's messages are needed: ./test gets them, or: python3 -m venv {} && {} -m pip install opentelemetry-proto",
            tools.display(),
            python.display()
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operations/receiver.py");
        let mut child = Command::new(&python).arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        // Byte by byte: what comes after this line is read by another.
        while !line.ends_with('\n') {
            let mut byte = [0];
            std::io::Read::read_exact(stdout, &mut byte).unwrap();
            line.push(char::from(byte[0]));
        }
        Self { child, port: line.trim().parse().unwrap() }
    }

    /// Ends it, and returns all that it got.
    fn got(mut self) -> Vec<Value> {
        let stdout = self.child.stdout.take().unwrap();
        self.child.kill().unwrap();
        BufReader::new(stdout).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const SAID: &str = "cormorant-by-a-person";
const ANSWERED: &str = "cormorant-by-a-model";

#[test]
fn a_collector_gets_spans_and_metrics_in_the_words_of_the_conventions_and_no_content() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    house.agent("talker", &format!("provider: openai, name: m, base_url: \"{}\"", provider(ANSWERED)));
    let collector = Collector::start();
    let endpoint = format!("http://127.0.0.1:{}", collector.port);
    let mut server = house.serve(|command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    });
    house.check(&["run", "-a", "talker", SAID], 0, ANSWERED);
    house.check(&["run", "-a", "worker", &format!("run `echo {SAID}; exit 3`")], 0, "");
    server.signal(rustix::process::Signal::TERM);
    let log = server.ended();
    let got = collector.got();
    let text = serde_json::to_string(&got).unwrap();
    assert!(!text.contains("cormorant"), "content is sent: {text}");
    let find = |name: &str, key: &str, value: Value| {
        let found = got.iter().find(|one| one["name"] == name && one["attributes"][key] == value);
        found.unwrap_or_else(|| panic!("no `{name}` with {key} {value}: {got:#?}\n{log}"))
    };
    let turn = find("invoke_agent talker", "gen_ai.agent.name", json!("talker"));
    assert_eq!(
        (&turn["parent"], &turn["kind"], &turn["resource"]["service.name"]),
        (&json!(""), &json!(1), &json!("outlive"))
    );
    let session = turn["attributes"]["gen_ai.conversation.id"].as_str().unwrap();
    assert!(session.starts_with("ses_"), "{turn}");
    let chat = find("chat m", "gen_ai.conversation.id", json!(session));
    assert_eq!((&chat["parent"], &chat["trace"], &chat["kind"]), (&turn["id"], &turn["trace"], &json!(3)));
    let expected = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.system": "openai",
        "gen_ai.request.model": "m", "gen_ai.response.model": "puppet", "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2, "gen_ai.response.finish_reasons": ["stop"],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&chat["attributes"][key], value, "{key} of {chat}");
    }
    assert!(chat["ns"].as_i64().unwrap() <= turn["ns"].as_i64().unwrap(), "a step lies in its turn");
    let other = find("invoke_agent worker", "outlive.turn.ending", json!("complete"));
    let tool = find("execute_tool bash", "gen_ai.operation.name", json!("execute_tool"));
    assert_eq!((&tool["parent"], &tool["attributes"]["error.type"]), (&other["id"], &json!("error")));
    assert_eq!((&tool["status"], &turn["status"]), (&json!(2), &json!(0)));
    let tokens = find("gen_ai.client.token.usage", "gen_ai.request.model", json!("m"));
    assert_eq!((&tokens["unit"], &tokens["count"]), (&json!("{token}"), &json!(1)));
    let sums =
        got.iter().filter(|one| one["name"] == tokens["name"] && one["attributes"]["gen_ai.request.model"] == "m");
    let sums: Vec<(&Value, &Value)> = sums.map(|one| (&one["attributes"]["gen_ai.token.type"], &one["sum"])).collect();
    assert!(
        sums.contains(&(&json!("input"), &json!(7.0))) && sums.contains(&(&json!("output"), &json!(2.0))),
        "{sums:?}"
    );
    let duration = find("gen_ai.client.operation.duration", "gen_ai.request.model", json!("m"));
    assert_eq!((&duration["unit"], &duration["count"]), (&json!("s"), &json!(1)));
}

#[test]
fn a_collector_that_is_down_costs_a_line_in_the_log_and_nothing_else() {
    let house = House::new();
    house.agent("worker", "provider: rehearsal, name: instant");
    let mut server = house.serve(|command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    });
    house.check(&["run", "-a", "worker", "run `true`"], 0, "");
    server.signal(rustix::process::Signal::TERM);
    let log = server.ended();
    assert!(server.child.wait().unwrap().success(), "{log}");
    assert!(log.contains("not all traces and metrics were sent"), "{log}");
    house.check(&["verify"], 0, "nothing is wrong");
}
