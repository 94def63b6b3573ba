//! An agent as its files say it is: the tools that they ask for, and what those see of the workspace.

use std::sync::Arc;

use outlive_core::agent::ModelSpec;
use outlive_core::command::{Command, MemoryCommand};
use outlive_core::context::Counter;
use outlive_core::event::{CallFinished, Event};
use outlive_core::id::AgentName;
use outlive_core::memory::{Mode, PAGE_BYTES, Page};
use outlive_core::secret::Secret;
use outlive_core::time::Timestamp;
use outlive_model::Model;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::catalog::{Catalog, Credentials, Models, Sources};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::Kits;
use outlive_runtime::scales::Scales;
use outlive_runtime::{Runtime, Settings};
use outlive_store::Store;
use outlive_store::memory::{self, Faults};
use outlive_store::memory_files::{HeldMemory, MemoryFiles as _};
use outlive_tools::exec::Exec;
use serde_json::{Value, json};

use super::house::{by, create, id, message};

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
    keeping(store, model, Arc::default())
}

/// As [`catalog`], with these files of what agents remember.
fn keeping(store: &Store, model: &Scripted, files: Arc<HeldMemory>) -> Catalog {
    catalog_in("/".into(), (store, model), files)
}

fn catalog_in(cwd: std::path::PathBuf, (store, model): (&Store, &Scripted), files: Arc<HeldMemory>) -> Catalog {
    let sources = Sources {
        folders: Arc::clone(&store.agents),
        memory: files,
        models: Arc::new(One(model.clone())),
        exec: Arc::new(Exec::new([], "/nonexistent".as_ref(), "/nonexistent".as_ref())),
        variables: Box::new(|name| match name {
            "KEY" => Some("k".to_owned()),
            "FAR_KEY" => Some("far-9f8e7d6c5b".to_owned()),
            _ => None,
        }),
        credentials: Arc::new(Given),
        workspace: "/w".into(),
        cwd,
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
    let tools = [
        "ask_user",
        "todo",
        "wait",
        "create_relay",
        "select_state",
        "relay_status",
        "session",
        "artifact",
        "web_fetch",
        "web_search",
        "cli_gh",
        "cli_count",
        "skill",
    ];
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

/// A token a byte: as many as there can be.
struct Bytes;

impl Counter for Bytes {
    fn count(&self, text: &str) -> u32 {
        u32::try_from(text.len()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_too_many_tokens_is_shortened_when_it_comes_and_the_agent_reads_on_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path().canonicalize().unwrap();
    let text: String = (0..2_500).map(|n| format!("{n:08x}\n")).collect();
    std::fs::write(cwd.join("long.txt"), &text).unwrap();
    std::fs::write(cwd.join("short.txt"), "short").unwrap();
    let (store, faults) = memory::store();
    let model = Scripted::default();
    write(&faults, "helper", "{tools: [{builtin: files}]}", &[]);
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let kits = Arc::new(catalog_in(cwd, (&store, &model), Arc::default()).weighing(Scales::new(Arc::new(Bytes))));
    let runtime = Runtime::start(store.clone(), kits, Moments::new(clock, 1), Settings::default()).await.unwrap();
    runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
    let call = async |tool: &str, arguments: Value| {
        model.then(Step::call(tool, &arguments));
        model.then(Step::text("done"));
        let said = runtime.submit(id(1), Command::Message(message("go")), None).await.unwrap();
        runtime.outcome(id(1), said.turn.unwrap(), said.seq).await.unwrap();
        let lines = runtime.entries(id(1), 0, 10_000).await.unwrap();
        let finished = lines.iter().rev().find_map(|line| match line.read().unwrap().event {
            Event::CallFinished(finished) => Some(finished),
            _other => None,
        });
        finished.unwrap()
    };
    let short = call("read", json!({"path": "short.txt"})).await;
    assert_eq!((short.content.as_str(), short.artifact), ("     1\tshort\n", None));
    let long = call("read", json!({"path": "long.txt"})).await;
    let artifact = long.artifact.unwrap();
    let whole = String::from_utf8(store.artifacts.get(artifact.hash.clone()).await.unwrap().unwrap()).unwrap();
    assert!(long.content.len() < 8_000 + 120, "{}", long.content.len());
    assert!(
        long.content.contains("     1\t00000000\n") && long.content.contains(artifact.hash.as_str()),
        "{}",
        long.content
    );
    // The part that it was not shown, piece by piece.
    let (mut offset, mut read) = (3_000, String::new());
    loop {
        let piece = call("artifact", json!({"id": artifact.hash.as_str(), "offset": offset})).await;
        assert!(piece.artifact.is_none(), "a piece is no artifact again: {}", piece.content.len());
        let shown = piece.content.split_once("]\n").unwrap().1;
        read.push_str(shown.rsplit_once("\n[call_").unwrap().0);
        match shown.split_once("[go on with offset ") {
            Some((_, next)) => offset = next.trim_end_matches(']').parse().unwrap(),
            None => break,
        }
    }
    assert_eq!(read, whole[3_000..]);
    for (arguments, why) in [
        (json!({"id": "0".repeat(64)}), "there is no artifact"),
        (json!({"id": artifact.hash.as_str(), "offset": 1_u64 << 60}), "there is nothing at"),
    ] {
        let refused = call("artifact", arguments).await;
        assert!(refused.content.contains(why), "{}", refused.content);
    }
    call("artifact", json!({"id": "../../token"})).await;
    let lines = runtime.entries(id(1), 0, 10_000).await.unwrap();
    assert!(lines.iter().any(|line| line.as_str().contains("`../../token` is no artifact's hash")));
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

#[tokio::test]
async fn agents_tell_the_world_and_lose_nothing_of_what_another_told() {
    let (store, faults) = memory::store();
    let (model, files) = (Scripted::default(), Arc::<HeldMemory>::default());
    for name in ["helper", "other"] {
        write(&faults, name, "{memory: {observe: false}}", &[]);
    }
    let kits = Arc::new(keeping(&store, &model, Arc::clone(&files)));
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let runtime = Runtime::start(store, kits, Moments::new(clock, 1), Settings::default()).await.unwrap();
    for (n, agent) in [(1, "helper"), (2, "other")] {
        let create = outlive_core::command::Create { agent: agent.parse().unwrap(), ..create() };
        runtime.submit(id(n), Command::Create(create), None).await.unwrap();
    }
    let call = async |n: u128, tool: &str, arguments: Value| {
        model.then(Step::call(tool, &arguments));
        model.then(Step::text("done"));
        let said = runtime.submit(id(n), Command::Message(message("go")), None).await.unwrap();
        runtime.outcome(id(n), said.turn.unwrap(), said.seq).await.unwrap();
        let lines = runtime.entries(id(n), 0, 10_000).await.unwrap();
        let finished = lines.iter().rev().find_map(|line| match line.read().unwrap().event {
            Event::CallFinished(CallFinished { content, .. }) => Some(content),
            _other => None,
        });
        finished.unwrap()
    };
    let world = || files.read(&helper(), &"world/tools.md".parse().unwrap()).unwrap().map(|page| page.text);
    call(1, "update_world", json!({"topic": "tools", "text": "- The hammer is in the shed."})).await;
    let seen = call(1, "recall", json!({"page": "world/tools.md"})).await;
    assert!(seen.contains("untrusted") && seen.contains("hammer"), "{seen}");
    let version = seen.split("version `").nth(1).unwrap().split('`').next().unwrap().to_owned();
    // Another tells something meanwhile: what is put in the place of what was seen is refused.
    call(2, "update_world", json!({"topic": "tools", "text": "- The saw is in the shed."})).await;
    let condensed = json!({"topic": "tools", "text": "- The hammer is at Ada's.", "version": version});
    let refused = call(1, "update_world", condensed).await;
    assert!(refused.contains("recall"), "{refused}");
    assert_eq!(world().unwrap(), "- The hammer is in the shed.\n- The saw is in the shed.\n");
    // Told twice, it stands there once.
    let again = call(2, "update_world", json!({"topic": "tools", "text": "- The saw is in the shed."})).await;
    assert!(again.contains("already"), "{again}");
    for bad in [json!({"topic": "../x", "text": "a"}), json!({"topic": "a/b", "text": "a"}), json!({"topic": "A"})] {
        model.then(Step::call("update_world", &bad));
        model.then(Step::text("done"));
        let said = runtime.submit(id(1), Command::Message(message("go")), None).await.unwrap();
        runtime.outcome(id(1), said.turn.unwrap(), said.seq).await.unwrap();
    }
    let incognito = Command::Memory { what: MemoryCommand::Mode(Mode::Incognito), by: by() };
    runtime.submit(id(1), incognito, None).await.unwrap();
    let refused = call(1, "update_world", json!({"topic": "tools", "text": "- A secret."})).await;
    assert!(refused.contains("incognito"), "{refused}");
    assert_eq!(world().unwrap().lines().count(), 2);
    assert_eq!(files.pages(&helper()).unwrap().len(), 2, "the curated one and one topic");
}

#[tokio::test]
async fn an_agent_that_remembers_is_given_the_directive_that_a_person_may_write_anew() {
    let (store, faults) = memory::store();
    let model = Scripted::default();
    let files = Arc::<HeldMemory>::default();
    write(&faults, "helper", "{memory: {enabled: true}}", &[]);
    write(&faults, "other", "{memory: {enabled: false}}", &[]);
    let catalog = keeping(&store, &model, Arc::clone(&files));
    let system = |name: &str| catalog.kit(&name.parse().unwrap()).unwrap().voices.at(0).frame.system.join("\n");
    assert!(system("helper").contains("`update_world`"));
    let there = |name: &str| store.agents.read(name).unwrap().unwrap().contains_key("directives/memory.md");
    assert!(there("helper"));
    assert!(!system("other").contains("update_world") && !there("other"));
    faults.write_agent_file("helper", "directives/memory.md", "Mine.");
    assert!(system("helper").contains("Mine.") && !system("helper").contains("update_world"));
    let digest = catalog.card(&helper()).unwrap().digest;
    // A file of its memory is no part of it; one that is too long is told of.
    files.replace(&helper(), &Page::Curated, &"x".repeat(PAGE_BYTES + 1)).unwrap();
    let card = catalog.card(&helper()).unwrap();
    assert_eq!(card.digest, digest);
    assert!(card.warnings.iter().any(|warning| warning.contains("MEMORY.md")), "{:?}", card.warnings);
}
