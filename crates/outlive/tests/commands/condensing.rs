//! What a model sees of a long session, from the command line: looked at, condensed, edited, undone, handed on; and what is
//! learned of models that take less than anybody says.

use outlive_model::loopback::{Bounds, KEY, Loopback};
use serde_json::Value;

use super::Home;

impl Home {
    /// A session of so many messages.
    fn talked(&self, agent: &str, messages: usize) -> String {
        let said = format!("You must never push to main. {}", "tree ".repeat(300));
        self.check(&["run", "-a", agent, &said], 0, "");
        let listed: Value = serde_json::from_str(&self.check(&["session", "list", "--json"], 0, "")).unwrap();
        let session = listed["items"][0]["id"].as_str().unwrap().to_owned();
        for n in 1..messages {
            self.check(&["run", "-s", &session, &format!("{n} {said}")], 0, "");
        }
        session
    }

    fn told(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.check(&[arguments, &["--json"]].concat(), 0, "")).unwrap()
    }

    /// Waits for the compaction that was asked for.
    fn checkpoints(&self, session: &str) -> Vec<Value> {
        loop {
            let all = self.told(&["session", "checkpoint", "list", session]);
            if all["compacting"] == Value::Bool(false) {
                return all["items"].as_array().unwrap().clone();
            }
            std::thread::yield_now();
        }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn a_session_is_condensed_looked_at_edited_undone_and_handed_on() {
    let home = Home::new();
    home.agent("wordy", "provider: rehearsal, name: instant");
    let session = &home.talked("wordy", 10);
    let context = home.check(&["session", "context", session, "--message", "and now?"], 0, "input");
    assert!(context.contains("messages") && context.contains("usable tokens"), "{context}");
    let preview = ["session", "compact", session, "--preview", "--focus", "the trees"];
    let shown = home.check(&preview, 0, "nobody was asked; without a model it would be:");
    assert!(shown.contains("would make it, with the focus: the trees"), "{shown}");
    home.check(&["session", "compact", session, "--preview", "--model", "openai/none"], 2, "the agent asks no model");
    home.check(&["session", "compact", session, "--cancel"], 0, "no compaction was under way");
    assert!(home.checkpoints(session).is_empty(), "a preview makes none");
    home.check(&["session", "compact", session, "--model", "openai/none"], 2, "the agent asks no model");
    home.check(
        &["session", "compact", session, "--focus", "the trees"],
        0,
        "makes it beside the session, with the focus",
    );
    assert_eq!(home.checkpoints(session).len(), 1);
    home.check(&["session", "checkpoint", "show", session], 0, "<checkpoint version=\"1\"");
    home.check(&["session", "checkpoint", "show", session, "7"], 3, "no checkpoint 7");
    // What `show` prints can be edited as it is, as JSON and as YAML.
    let mut shown = home.told(&["session", "checkpoint", "show", session, "1"]);
    shown["summary"]["goal"] = "plant a forest".into();
    let json = home.file("edited.json", &shown.to_string());
    home.check(&["session", "checkpoint", "edit", session, "1", "--file", &json], 0, "from its next step on");
    home.check(&["session", "checkpoint", "show", session], 0, "Goal: plant a forest");
    let yaml = home.file(
        "edited.yaml",
        "goal: plant an orchard\nitems:\n- {id: k1, section: constraints, text: never push to main, pinned: true}\n",
    );
    home.check(&["session", "checkpoint", "edit", session, "2", "--file", &yaml], 0, "");
    let diff = home.check(&["session", "checkpoint", "diff", session, "2", "3"], 0, "- Goal: plant a forest");
    assert!(diff.contains("+ Goal: plant an orchard"), "{diff}");
    for (name, text, says) in [
        ("none.json", "{\"items\": [", "EOF while parsing"),
        ("none.yaml", "items: [\n", "none.yaml"),
        ("keys.yaml", "gaol: x\nitems: []\n", "there is no key `gaol`"),
        ("large.json", &"x".repeat(10 << 20), "is too large: at most"),
    ] {
        let path = home.file(name, text);
        let output = home.run(&["session", "checkpoint", "edit", session, "3", "--file", &path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{name}: {said}");
    }
    home.check(&["session", "checkpoint", "pin", session, "k1", "--undo"], 0, "compactions may drop it again");
    home.check(&["session", "checkpoint", "pin", session, "k77"], 3, "no item `k77`");
    home.check(&["session", "checkpoint", "activate", session, "1"], 0, "the model sees checkpoint 1");
    home.check(&["session", "checkpoint", "activate", session], 0, "all of the conversation again");
    let active = home.checkpoints(session).iter().filter(|row| row["active"] == Value::Bool(true)).count();
    assert_eq!((active, home.checkpoints(session).len()), (0, 4));
    home.check(&["session", "handoff", session, "--goal", "write the notes"], 0, "goes on from");
    let newest = home.told(&["session", "list"]);
    let next = newest["items"][0]["id"].as_str().unwrap();
    assert_ne!(next, session);
    let said = home.check(&["session", "messages", next], 0, "write the notes");
    assert!(!said.contains("never push to main"), "nobody has said it there: {said}");
    let seen = home.check(&["session", "checkpoint", "show", next], 0, "<checkpoint version");
    assert!(seen.contains("never push to main") && seen.contains(&format!("goes on from session {session}")), "{seen}");
    home.check(&["session", "clear", session], 0, "nothing of the messages so far");
    home.check(&["session", "reset", session], 0, "nothing of what was so far");
    home.check(&["session", "messages", session], 0, "never push to main");
}

#[test]
fn a_short_session_is_handed_on_with_all_that_was_said() {
    let home = Home::new();
    home.agent("wordy", "provider: rehearsal, name: instant");
    let session = &home.talked("wordy", 1);
    home.check(&["session", "compact", session], 1, "too short");
    home.check(&["session", "handoff", session, "--goal", "write the notes"], 0, "goes on from");
    let newest = home.told(&["session", "list"]);
    let next = newest["items"][0]["id"].as_str().unwrap();
    home.check(&["session", "messages", next], 0, "write the notes");
    home.check(&["session", "checkpoint", "show", next], 0, "You must never push to main");
}

#[test]
fn a_window_that_nobody_knew_of_and_a_model_s_way_to_count_are_learned_and_outlast_the_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let loopback = runtime.block_on(Loopback::start(0)).unwrap();
    let far = || loopback.base_url();
    loopback.bound(Bounds { window: 6_000, ratio: 1.5, fixed: 300 });
    let home = Home::new();
    home.agent("far", &format!("provider: openai, name: nobody-knows, base_url: '{}', max_output_tokens: 500", far()));
    // The server has the key from whoever starts it.
    let start = || {
        let hi = home.command(super::OUTLIVE).env("OPENAI_API_KEY", KEY).args(["run", "-a", "far", "hi"]).output();
        let hi = hi.unwrap();
        assert!(hi.status.success(), "{hi:?}");
    };
    start();
    let session = &home.talked("far", 14);
    let usable = |session: &str| home.told(&["session", "context", session])["usable"].as_u64().unwrap();
    assert!(usable(session) < 6_000, "{}", usable(session));
    let events = home.check(&["session", "events", session, "--json"], 0, "compaction.started");
    assert!(events.contains("\"kind\":\"overflow\"") && events.contains("checkpoint.activated"), "{events}");
    home.check(&["serve", "--stop"], 0, "");
    let kept = home.0.path().join(".outlive/calibration.json");
    let learned: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    let known = &learned["openai/nobody-knows"];
    assert_eq!(known["window"], 6_000, "{learned}");
    // It is written down where it changes, which it does less and less.
    let sums = &known["calibration"]["sums"];
    let ratio = sums[3].as_f64().unwrap() / sums[0].as_f64().unwrap();
    assert!(known["calibration"]["reports"].as_u64().unwrap() >= 3 && (1.3..2.0).contains(&ratio), "{learned}");
    start();
    assert!(usable(session) < 6_000, "it is known after a restart");
    home.check(&["serve", "--stop"], 0, "");
    // What cannot be read is learned anew.
    std::fs::write(&kept, "{\"openai/nobody-knows\": {\"window\": \"many\"").unwrap();
    start();
    assert!(usable(session) > 100_000, "{}", usable(session));
    let more = &home.talked("far", 14);
    assert!(usable(more) < 6_000, "{}", usable(more));
}
