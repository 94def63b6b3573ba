//! An agent as its files say it is: the tools that they ask for, and what those see of the workspace.

use std::sync::Arc;

use outlive_core::agent::ModelSpec;
use outlive_core::command::Command;
use outlive_core::event::{CallFinished, Event};
use outlive_core::id::AgentName;
use outlive_core::secret::Secret;
use outlive_core::time::Timestamp;
use outlive_model::Model;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::catalog::{Catalog, Credentials, Models, Sources};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::Kits;
use outlive_runtime::{Runtime, Settings};
use outlive_store::Store;
use outlive_store::memory::{self, Faults};
use outlive_tools::exec::Exec;
use serde_json::{Value, json};

use super::house::{create, id, message};

/// The values that there are.
pub(super) struct Given;

impl Credentials for Given {
    fn get(&self, variable: &str) -> Result<Option<Secret>, String> {
        match variable {
            "KEY" => Ok(Some(Secret::new("k-0123456789"))),
            "GH_TOKEN" => Ok(Some(Secret::new("gho_16C7e42F292c6912E7"))),
            "TWICE" => Err("TWICE and TWICE_FILE are both set".to_owned()),
            _ => Ok(None),
        }
    }
}

/// Connects every agent to one model.
struct One(Scripted);

impl Models for One {
    fn connect(&self, _wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String> {
        Ok(Arc::new(self.0.clone()))
    }
}

pub(super) fn catalog(store: &Store, model: &Scripted) -> Catalog {
    let sources = Sources {
        folders: Arc::clone(&store.agents),
        models: Arc::new(One(model.clone())),
        exec: Arc::new(Exec::new([], "/nonexistent".as_ref(), "/nonexistent".as_ref())),
        variables: Box::new(|name| match name {
            "KEY" => Some("k".to_owned()),
            "FAR_KEY" => Some("far-9f8e7d6c5b".to_owned()),
            _ => None,
        }),
        credentials: Arc::new(Given),
        workspace: "/w".into(),
        cwd: "/".into(),
    };
    Catalog::new(sources).sharing(store)
}

pub(super) fn write(faults: &Faults, name: &str, spec: &str, files: &[(&str, &str)]) {
    let yaml = format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: {name}}}\nspec: {spec}\n");
    for (path, text) in files.iter().copied().chain([("agent.yaml", yaml.as_str())]) {
        faults.write_agent_file(name, path, text);
    }
}

fn helper() -> AgentName {
    "helper".parse().unwrap()
}

#[tokio::test]
async fn an_agent_has_the_tools_and_the_skills_that_its_files_ask_for() {
    let (store, faults) = memory::store();
    let catalog = catalog(&store, &Scripted::default());
    let spec =
        "{tools: [{builtin: web}, {builtin: session}, {cli: {name: gh, command: gh}}], web: {search: {brave: KEY}}}";
    let skill = "---\ndescription: d\n---\n";
    let files = [
        ("tools/count/README.md", "Counts."),
        ("tools/count/count", ""),
        ("skills/calm/SKILL.md", skill),
        ("../../skills/shared/SKILL.md", skill),
        ("skills/bad/SKILL.md", "none"),
    ];
    write(&faults, "helper", spec, &files);
    let card = catalog.card(&helper()).unwrap();
    let tools = ["ask_user", "todo", "session", "web_fetch", "web_search", "cli_gh", "cli_count", "skill"];
    assert_eq!(card.tools, tools);
    assert_eq!(card.skills, ["calm", "shared"]);
    assert_eq!(card.warnings.len(), 1, "{:?}", card.warnings);
    let digest = card.digest;
    faults.write_agent_file("helper", "../../directives/all.md", "Be brief.");
    assert_ne!(catalog.card(&helper()).unwrap().digest, digest);
    let kit = catalog.kit(&helper()).unwrap();
    assert_eq!(*kit.voices.at(0).frame.system, ["Be brief.".to_owned()]);
}

#[tokio::test]
async fn settings_of_tools_that_cannot_be_kept_to_are_told() {
    let (store, faults) = memory::store();
    let catalog = catalog(&store, &Scripted::default());
    for (web, why) in [
        ("{allow: ['a b']}", "spec.web.allow: `a b` is not a host"),
        ("{search: {searxng: 'file:///x'}}", "spec.web.search: `file:`"),
        ("{search: {tavily: NONE}}", "variable `NONE` has no value"),
    ] {
        write(&faults, "helper", &format!("{{tools: [{{builtin: web}}], web: {web}}}"), &[]);
        let refused = catalog.card(&helper()).unwrap_err().to_string();
        assert!(refused.contains(why), "{web}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_reads_what_was_said_in_its_other_sessions_and_in_no_other_agent_s() {
    let (store, faults) = memory::store();
    let model = Scripted::default();
    for name in ["helper", "other"] {
        write(&faults, name, "{tools: [{builtin: session}]}", &[]);
    }
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let kits = Arc::new(catalog(&store, &model));
    let runtime = Runtime::start(store, kits, Moments::new(clock, 1), Settings::default()).await.unwrap();
    let begin = |n, agent: &str| {
        runtime.submit(
            id(n),
            Command::Create(outlive_core::command::Create { agent: agent.parse().unwrap(), ..create() }),
            None,
        )
    };
    for (n, agent) in [(1, "helper"), (2, "helper"), (3, "other")] {
        begin(n, agent).await.unwrap();
    }
    let turn = async |n: u128, said: &str| {
        let said = runtime.submit(id(n), Command::Message(message(said)), None).await.unwrap();
        runtime.outcome(id(n), said.turn.unwrap(), said.seq).await.unwrap();
    };
    model.then(Step::text("the answer is 42"));
    turn(2, "what is it?").await;
    let look = async |arguments: Value| {
        model.then(Step::call("session", &arguments));
        model.then(Step::text("done"));
        turn(1, "look").await;
        let lines = runtime.entries(id(1), 0, 10_000).await.unwrap();
        let finished = lines.iter().rev().find_map(|line| match line.read().unwrap().event {
            Event::CallFinished(CallFinished { content, .. }) => Some(content),
            _other => None,
        });
        finished.unwrap()
    };
    let listed = look(json!({})).await;
    assert!(listed.contains(&id(2).to_string()) && listed.lines().count() == 1, "{listed}");
    let read = look(json!({"id": id(2).to_string()})).await;
    assert!(read.contains("user\nwhat is it?") && read.contains("assistant\nthe answer is 42"), "{read}");
    let refused = look(json!({"id": id(3).to_string()})).await;
    assert_eq!(refused, format!("agent `helper` has no session {}", id(3)));
}

#[tokio::test]
async fn a_tool_is_granted_what_has_a_value_and_its_agent_is_invalid_without() {
    let (store, faults) = memory::store();
    let catalog = catalog(&store, &Scripted::default());
    let check = |spec: &str, why: Option<&str>| {
        write(&faults, "helper", spec, &[]);
        let said = catalog.card(&helper()).err().map(|error| error.to_string());
        assert_eq!(said.as_deref().map(|said| said.contains(why.unwrap_or("?"))), why.map(|_| true), "{said:?}");
    };
    check("{tools: [{builtin: bash, secrets: [GH_TOKEN]}]}", None);
    check("{tools: [{cli: {name: gh, command: gh, secrets: [GH_TOKEN]}}]}", None);
    let missing = "secrets of `cli_gh`: variable `NONE` has no value";
    check("{tools: [{cli: {name: gh, command: gh, secrets: [NONE]}}]}", Some(missing));
    check("{tools: [{builtin: bash, secrets: [TWICE]}]}", Some("TWICE and TWICE_FILE are both set"));
    assert_eq!(catalog.secrets().now().text("a gho_16C7e42F292c6912E7"), "a [redacted:GH_TOKEN]");
}

#[tokio::test]
async fn what_is_expanded_for_a_server_of_tools_is_a_secret() {
    let (store, faults) = memory::store();
    for entry in [
        "command: x, env: {GITHUB_TOKEN: '${FAR_KEY}'}",
        "url: 'https://a.example/${FAR_KEY}?port=${KEY}'",
        "url: 'https://a.example', headers: {X-Team: 'core ${FAR_KEY}'}",
    ] {
        let catalog = catalog(&store, &Scripted::default());
        write(&faults, "helper", &format!("{{sandbox: {{mode: trust}}, tools: [{{mcp: {{name: s, {entry}}}}}]}}"), &[]);
        let warnings = catalog.card(&helper()).unwrap().warnings;
        assert!(!warnings.iter().any(|warning| warning.contains("redacted")), "{warnings:?}");
        assert_eq!(catalog.secrets().now().text("a far-9f8e7d6c5b"), "a [redacted:FAR_KEY]", "{entry}");
    }
}

#[tokio::test]
async fn every_part_of_a_header_that_lets_in_may_be_the_key() {
    let (store, faults) = memory::store();
    let check = |header: &str, said: &str, expected: &str| {
        let catalog = catalog(&store, &Scripted::default());
        let spec = format!("{{tools: [{{mcp: {{name: s, url: 'https://a.example', headers: {{{header}}}}}}}]}}");
        write(&faults, "helper", &spec, &[]);
        catalog.card(&helper()).unwrap();
        assert_eq!(catalog.secrets().now().text(said), expected, "{header}");
    };
    check("Authorization: 'Bearer b-0123456789'", "Bearer b-0123456789", "Bearer [redacted:s-Authorization]");
    check("Cookie: 'sid=c-0123456789; a=b'", "it is c-0123456789", "it is [redacted:s-Cookie]");
    check("Cookie: 'session_id=c-0123456789'", "the session_id", "the session_id");
    check("X-Auth: x-0123456789", "x-0123456789", "[redacted:s-X-Auth]");
    check("X-Api-Pass: 'eDAxMjM0NTY3ODk='", "eDAxMjM0NTY3ODk=", "[redacted:s-X-Api-Pass]");
    check("X-Team: t-0123456789", "t-0123456789", "t-0123456789");
}

#[tokio::test(start_paused = true)]
async fn what_a_model_or_a_person_says_of_a_secret_is_in_no_event_and_in_no_request() {
    const SECRET: &str = "gho_16C7e42F292c6912E7";
    let (store, faults) = memory::store();
    let model = Scripted::default();
    write(&faults, "helper", "{tools: [{builtin: bash, secrets: [GH_TOKEN]}]}", &[]);
    let kits = Arc::new(catalog(&store, &model));
    kits.learn_all();
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let runtime = Runtime::start(store.clone(), kits, Moments::new(clock, 1), Settings::default()).await.unwrap();
    runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
    for (asked, answered) in [(format!("is it {SECRET}?"), format!("it is {SECRET}")), ("so?".into(), "so".into())] {
        model.then(Step::text(&answered));
        let said = runtime.submit(id(1), Command::Message(message(&asked)), None).await.unwrap();
        runtime.outcome(id(1), said.turn.unwrap(), said.seq).await.unwrap();
    }
    let lines = store.journals.read(id(1), 0, 1_000).await.unwrap().lines;
    let all: String = lines.iter().map(|line| line.as_str()).collect();
    assert_eq!((all.contains(SECRET), all.matches("[redacted:GH_TOKEN]").count()), (false, 2), "{all}");
    let asked = format!("{:?}", model.requests());
    assert_eq!((asked.contains(SECRET), asked.contains("[redacted:GH_TOKEN]")), (false, true), "{asked}");
    let view = runtime.view(id(1)).await.unwrap();
    let again = folded(&lines);
    assert_eq!(*view, again, "what is believed is what is written");
}

fn folded(lines: &[outlive_core::event::Line]) -> outlive_core::session::State {
    let mut state = outlive_core::session::State::default();
    lines.iter().for_each(|line| state.apply(&line.read().unwrap()));
    state
}
