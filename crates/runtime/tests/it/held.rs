//! Hooks and skills through the real runtime: they deny what the policy would allow, say something beside results, and mean the
//! same after a restart. And what runs beside what.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use outlive_core::agent::Agent;
use outlive_core::content::ReplyBlock;
use outlive_core::event::{CallDenied, CallFinished, Decider, Effect, Event};
use outlive_core::policy::Reach;
use outlive_model::scripted::{Scripted, Step};
use outlive_runtime::subscribe::Signal;
use outlive_tools::exec::Exec;
use outlive_tools::held::Held;
use outlive_tools::registry::Toolbox;
use outlive_tools::scripted::{self, Ledger};
use outlive_tools::skill::Skills;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::house::{Agents, House, heard, id, kit};

/// A session whose agent has scripted tools (`look` reads, `act` acts), and what its files put around them.
struct Room {
    house: House,
    model: Scripted,
    look: scripted::Scripted,
    ledger: Ledger,
    folder: TempDir,
}

impl Room {
    async fn with(hooks: &str, policy: &str, files: &[(&str, &str)]) -> Self {
        let yaml =
            format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: helper}}\nspec: {{hooks: {hooks}}}\n");
        let all = files.iter().copied().chain([("agent.yaml", yaml.as_str())]);
        let files = all.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())).collect();
        let agent = Agent::read(&"helper".parse().unwrap(), &files, &|_| None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let exec = Some(Arc::new(Exec::new([], &run, &run.join("children"))));
        let (model, ledger) = (Scripted::default(), Ledger::default());
        let look = scripted::Scripted::new("look", Effect::Read, Reach::Within, &ledger);
        let act = scripted::Scripted::new("act", Effect::Effectful, Reach::Within, &ledger);
        let skills = Skills::new(agent.tools.skills.clone(), folder.path());
        let toolbox = Toolbox::new(vec![Arc::new(look.clone()), Arc::new(act), Arc::new(skills)]);
        let (hooks, skills) = (agent.tools.hooks, agent.tools.skills);
        let toolbox = toolbox.held_to(Held { hooks, skills, exec, folder: folder.path().to_owned() });
        let house = House::of(Agents::of(kit(model.clone(), toolbox, policy))).await;
        Self { house, model, look, ledger, folder }
    }

    fn program(&self, name: &str, text: &str) -> PathBuf {
        std::fs::create_dir_all(self.folder.path().join("run/children")).unwrap();
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A turn of these calls, one in each step.
    async fn turn(&self, calls: &[(&str, Value)]) -> Vec<Result<String, String>> {
        for (tool, input) in calls {
            self.model.then(Step::call(tool, input));
        }
        self.model.then(Step::text("done"));
        let before = self.house.events(1).await.len();
        let said = self.house.say(1, "go").await;
        self.house.outcome(1, said).await;
        let events = self.house.events(1).await;
        events.into_iter().skip(before).filter_map(result).collect()
    }
}

fn result(event: Event) -> Option<Result<String, String>> {
    match event {
        Event::CallFinished(CallFinished { outcome: outlive_core::event::Outcome::Ok, content, .. }) => {
            Some(Ok(content))
        }
        Event::CallFinished(CallFinished { content, .. }) => Some(Err(content)),
        Event::CallDenied(CallDenied { by: Decider::Policy(rule), content, .. }) => {
            Some(Err(format!("{rule}: {content}")))
        }
        _other => None,
    }
}

fn does() -> Value {
    json!({})
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_another_call_is_denied_until_that_went_well_also_after_a_restart() {
    let hooks = "{before: [{match: act, type: depends_on, prior: look, within: session}]}";
    let mut room = Room::with(hooks, "mode: ask", &[]).await;
    let first =
        room.turn(&[("act", does()), ("look", json!({"act": "fail"})), ("act", does()), ("look", does())]).await;
    assert!(
        first[0].as_ref().unwrap_err().starts_with("hook: depends_on on act: this call needs one to `look`"),
        "{first:?}"
    );
    assert!(first[2].is_err() && first[3].is_ok(), "{first:?}");
    assert_eq!(room.ledger.deeds().len(), 0);
    room.house.die().await;
    let then = room.turn(&[("act", does())]).await;
    assert_eq!(then, [Ok("doing done".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_same_call_is_made_once_in_a_turn() {
    let room = Room::with("{before: [{match: act, type: skip_duplicate}]}", "mode: ask", &[]).await;
    let first = room.turn(&[("act", does()), ("act", does()), ("act", json!({"act": "do"}))]).await;
    assert!(first[1].as_ref().unwrap_err().contains("was made before"), "{first:?}");
    assert!(first[0].is_ok() && first[2].is_ok());
    assert!(room.turn(&[("act", does())]).await[0].is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_hook_allows_nothing_that_the_policy_denies() {
    let room = Room::with("{before: [{match: act, type: depends_on, prior: look}]}", "mode: restrict", &[]).await;
    let denied = room.turn(&[("look", does()), ("act", does())]).await;
    assert!(denied.iter().all(|said| said.as_ref().is_err_and(|why| why.starts_with("mode: restrict"))), "{denied:?}");
}

#[tokio::test(start_paused = true)]
async fn a_skill_s_tools_are_all_that_may_be_called_until_the_turn_ends() {
    let skill = "---\ndescription: d\nallowed-tools: look\n---\nLook only.";
    let room = Room::with("{}", "mode: dangerous", &[("skills/calm/SKILL.md", skill)]).await;
    let calls = [("act", does()), ("skill", json!({"name": "calm"})), ("act", json!({"act": "do"})), ("look", does())];
    let said = room.turn(&calls).await;
    assert!(said[0].is_ok() && said[1].as_ref().unwrap().starts_with("Look only."), "{said:?}");
    assert!(said[2].as_ref().unwrap_err().contains("the skill `calm` was taken up in this turn"), "{said:?}");
    assert!(said[3].is_ok());
    assert!(room.turn(&[("act", does())]).await[0].is_ok());
}

#[tokio::test]
async fn texts_and_programs_stand_behind_results() {
    let hooks = "{before: [{match: act, type: program, program: [./note, \"it's $(x)\"]}], after: [{match: '*', message: \
                 \"mind it\", unless: {act: do}}, {match: act, type: program, program: [./seen]}]}";
    let room = Room::with(hooks, "mode: ask", &[]).await;
    room.program("note", "read -r call; echo \"$1: $call\" | head -c 60");
    room.program("seen", "grep -o '\"content\":\"doing done\"'");
    let said = room.turn(&[("act", does()), ("act", json!({"act": "do"})), ("act", json!({"act": "fail"}))]).await;
    let first = said[0].as_ref().unwrap();
    assert!(
        first.starts_with("doing done\n[it's $(x): {\"phase\":\"before\",\"tool\":\"act\",\"arguments\":{}"),
        "{first}"
    );
    assert!(first.ends_with("]\n[mind it]\n[\"content\":\"doing done\"]"), "{first}");
    assert!(!said[1].as_ref().unwrap().contains("mind it"), "{said:?}");
    let failed = said[2].as_ref().unwrap_err();
    assert!(failed.contains("a hook behind this call failed") && !failed.contains("mind it"), "{failed}");
}

#[tokio::test]
async fn a_program_that_denies_fails_hangs_or_is_not_there_keeps_the_call_from_running() {
    for (text, why) in [
        ("echo not today; exit 2", "a hook denied this call: not today"),
        (r#"echo '{"decision": "deny", "reason": "no"}'"#, "a hook denied this call: no"),
        ("exit 1", "so it did not run: `./judge` ended with code 1"),
        ("sleep 1000", "took longer than 3000 ms"),
        ("kill -9 $$", "was ended by signal 9"),
        ("echo '{broken'", "a hook denied this call: its answer is no object"),
        ("", "ended with code 127"),
    ] {
        let hooks = "{before: [{match: act, type: program, program: [./judge], timeout: 3s}]}";
        let room = Room::with(hooks, "mode: ask", &[]).await;
        let path = room.program("judge", text);
        if text.is_empty() {
            std::fs::remove_file(path).unwrap();
        }
        let said = room.turn(&[("act", does())]).await;
        assert!(said[0].as_ref().unwrap_err().contains(why), "{text}: {said:?}");
        assert_eq!(room.ledger.deeds().len(), 0, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_read_run_beside_each_other_and_one_that_acts_waits_for_them() {
    let room = Room::with("{}", "mode: dangerous", &[]).await;
    let call = |tool: &str, act: &str| ReplyBlock::ToolUse {
        name: tool.to_owned(),
        arguments: json!({ "act": act }).to_string(),
    };
    room.model.then(Step::blocks(vec![
        call("look", "hang"),
        call("look", "hang"),
        call("act", "do"),
        call("look", "do"),
    ]));
    room.model.then(Step::text("done"));
    let mut listener = room.house.runtime.subscribe(id(1), 0);
    let said = room.house.say(1, "go").await;
    let mut started = 0;
    heard(&mut listener, |signal| {
        let Signal::Event(_, entry) = signal else { return None };
        started += usize::from(entry.event.name() == "call.started");
        assert!(entry.event.name() != "call.finished");
        (started == 2).then_some(())
    })
    .await;
    // Both wait to be released: neither could have begun behind the other.
    tokio::task::yield_now().await;
    assert_eq!(room.ledger.deeds().len(), 0);
    let names: Vec<String> = {
        while room.house.runtime.view(id(1)).await.unwrap().turn.is_some() {
            room.look.release();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        room.house.outcome(1, said).await;
        let events = room.house.events(1).await;
        let called = |event: &Event| event.name().starts_with("call.") && event.name() != "call.allowed";
        events.iter().filter(|event| called(event)).map(|event| event.name().to_owned()).collect()
    };
    let (start, end) = ("call.started", "call.finished");
    assert_eq!(names, [start, start, end, end, start, end, start, end]);
}
