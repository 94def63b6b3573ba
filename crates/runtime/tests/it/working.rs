//! A state of a relay that the agent works on: by the model, in the folder and with the skills that it names, and seeing what it
//! says it sees.

use std::sync::{Arc, Mutex};

use outlive_core::agent::ModelSpec;
use outlive_core::command::{Command, NewRelay, RelayCommand};
use outlive_core::content::{Block, Request};
use outlive_core::event::{Ending, Event, RelaySource};
use outlive_core::relay::{Terminal, read_text};
use outlive_core::session::Status;
use outlive_core::time::Timestamp;
use outlive_model::scripted::{Scripted, Step};
use outlive_model::{Description, Model, Pending, Sink};
use outlive_runtime::catalog::{Catalog, Models, Sources};
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::{Runtime, Settings};
use outlive_store::memory;
use outlive_store::memory_files::HeldMemory;
use outlive_tools::exec::Exec;
use serde_json::json;

use super::catalog::{Given, write};
use super::house::{by, create, id, message};

/// Connects to models by their names, and remembers what each was asked.
#[derive(Clone, Default)]
struct Providers(Arc<Mutex<Vec<(String, Request)>>>);

struct Named {
    spec: ModelSpec,
    asked: Providers,
    says: Scripted,
}

impl Models for Providers {
    fn connect(&self, wanted: Option<&ModelSpec>) -> Result<Arc<dyn Model>, String> {
        let spec = wanted.cloned().ok_or("no model is named")?;
        if spec.name == "gone" {
            return Err("no key for it".to_owned());
        }
        let says = Scripted::by(|request, _| match text(request).last().map(String::as_str) {
            Some(told) if told.contains("do this, then say") => Step::call("list", &json!({})),
            _ => Step::text("so it is"),
        });
        Ok(Arc::new(Named { spec, asked: self.clone(), says }))
    }
}

impl Model for Named {
    fn describe(&self) -> Description {
        let (provider, name) = (self.spec.provider.clone(), self.spec.name.clone());
        Description { provider, name, context_window: None }
    }

    fn stream(
        &self,
        request: Request,
        sink: Sink,
    ) -> Pending<'_, Result<outlive_core::content::Reply, outlive_core::content::Failure>> {
        let name =
            format!("{}/{}@{}", self.spec.provider, self.spec.name, self.spec.base_url.as_deref().unwrap_or("-"));
        self.asked.0.lock().unwrap().push((name, request.clone()));
        self.says.stream(request, sink)
    }
}

/// What is said in a request, by people and tools.
fn text(request: &Request) -> Vec<String> {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let texts = blocks.filter_map(|block| match block {
        Block::Text { text } => Some(text.clone()),
        Block::ToolResult { content, .. } => Some(content.clone()),
        _other => None,
    });
    texts.collect()
}

/// What a relay with this state, after a person has said hello, asks which model, and how it ends.
async fn asked(state: &str) -> (Vec<(String, Request)>, Option<Terminal>, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path().canonicalize().unwrap();
    std::fs::create_dir(cwd.join("inner")).unwrap();
    std::fs::write(cwd.join("inner/kernel"), "").unwrap();
    let (store, faults) = memory::store();
    let spec = "{model: {provider: openai, name: small, base_url: \"http://here\"}, tools: [{builtin: files}]}";
    let skill = "---\ndescription: How to be calm.\nallowed-tools: read\n---\nBreathe.\n";
    write(&faults, "helper", spec, &[("skills/calm/SKILL.md", skill), ("policy.yaml", "mode: dangerous\n")]);
    let providers = Providers::default();
    let sources = Sources {
        folders: Arc::clone(&store.agents),
        memory: Arc::<HeldMemory>::default(),
        models: Arc::new(providers.clone()),
        exec: Arc::new(Exec::new([], "/nonexistent".as_ref(), "/nonexistent".as_ref())),
        variables: Box::new(|_| None),
        credentials: Arc::new(Given),
        workspace: "/w".into(),
        cwd,
    };
    let catalog = Arc::new(Catalog::new(sources).sharing(&store));
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let runtime = Runtime::start(store, catalog, Moments::new(clock, 1), Settings::default()).await.unwrap();
    runtime.submit(id(1), Command::Create(create()), None).await.unwrap();
    let said = runtime.submit(id(1), Command::Message(message("hello")), None).await.unwrap();
    runtime.outcome(id(1), said.turn.unwrap(), said.seq).await.unwrap();
    let relay = format!(
        "name: trip\nprompt: go\nstates:\n  - {{name: write, kind: agent, prompt: write it, next: done, on_failure: \
         gone{state}}}\n  - {{name: done, kind: terminal, outcome: completed}}\n  - {{name: gone, kind: terminal, \
         outcome: failed, reason: \"{{{{states.write.error}}}}\"}}\n"
    );
    let definition = read_text(&relay, "relays/trip.yaml").map_err(|faults| faults.to_string()).unwrap();
    let new = NewRelay { definition, source: RelaySource::File, state: None, input: json!({}) };
    let what = RelayCommand::Start(Box::new(new));
    runtime.submit(id(1), Command::Relay { what, by: by() }, None).await.unwrap();
    let mut view = runtime.view(id(1)).await.unwrap();
    while view.relaying().is_some() || view.status() != Status::Idle {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        view = runtime.view(id(1)).await.unwrap();
    }
    assert_eq!(view.last.as_ref().map(|last| last.ending), Some(Ending::Complete));
    let lines = runtime.entries(id(1), 0, 1_000).await.unwrap();
    let events = lines.iter().map(|line| line.read().unwrap().event).collect();
    let asked = providers.0.lock().unwrap().clone();
    (asked, view.relay().unwrap().outcome, events)
}

fn names(asked: &[(String, Request)]) -> Vec<&str> {
    asked.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_state_asks_the_model_that_it_names_and_the_next_turn_asks_the_agent_s_own_again() {
    let (asked, outcome, _) = asked(", model: openai/big").await;
    let (own, big) = ("openai/small@http://here", "openai/big@http://here");
    assert_eq!((names(&asked), outcome), (vec![own, big, big, own], Some(Terminal::Completed)));
    // It sees the conversation.
    assert_eq!(text(&asked[1].1)[0], "hello");
    let (asked, ..) = self::asked(", model: anthropic/far").await;
    assert_eq!(names(&asked)[1], "anthropic/far@-", "where nothing is said of its provider");
}

#[tokio::test(start_paused = true)]
async fn a_state_whose_model_folder_or_skill_is_not_there_fails_and_says_why() {
    for (state, why) in [
        (", model: openai/gone", "state `write`: model: no key for it"),
        (", cwd: outer", "cwd: `outer` is no folder"),
        (", cwd: /tmp", "lies outside of the folder"),
        (", skills: [clam]", "the agent has no skill `clam`; it has calm"),
    ] {
        let (asked, outcome, events) = asked(state).await;
        assert_eq!((asked.len(), outcome), (2, Some(Terminal::Failed)), "{state}");
        let reason = events.iter().find_map(|event| match event {
            Event::RelayFinished(finished) => finished.reason.clone(),
            _other => None,
        });
        assert!(reason.as_ref().is_some_and(|reason| reason.contains(why)), "{state}: {reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_sees_nothing_of_the_conversation_where_it_says_so_and_what_comes_after_it_sees_both() {
    let (asked, outcome, _) = asked(", fork_context: false").await;
    assert_eq!((asked.len(), outcome), (4, Some(Terminal::Completed)));
    for (_, request) in &asked[1..3] {
        let said = text(request).join("\n");
        assert!(!said.contains("hello") && said.contains("write it"), "{said}");
    }
    assert_eq!(text(&asked[1].1).len(), 1, "it begins with what it is told");
    let after = text(&asked[3].1).join("\n");
    for said in ["hello", "write it", "[relay `trip` ended: completed]"] {
        assert!(after.contains(said), "{said}: {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_is_done_in_its_folder_and_as_its_skills_say() {
    let (asked, outcome, _) = self::asked(", cwd: inner").await;
    assert_eq!(outcome, Some(Terminal::Completed));
    assert!(text(&asked[2].1).iter().any(|text| text.contains("kernel")), "{:?}", text(&asked[2].1));
    let (asked, outcome, events) = self::asked(", skills: [calm]").await;
    assert_eq!(outcome, Some(Terminal::Completed));
    let knows = |at: usize| asked[at].1.system.iter().any(|block| block.contains("Breathe."));
    assert_eq!([0, 1, 2, 3].map(knows), [false, true, true, false]);
    let denied =
        events.iter().any(|event| matches!(event, Event::CallDenied(denied) if denied.content.contains("calm")));
    assert!(denied, "what a skill does not allow does not run");
}
