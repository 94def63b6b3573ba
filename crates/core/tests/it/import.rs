//! Conversations of other programs: what is read of real shapes, and that what becomes of it is a session at rest.

use std::sync::Arc;

use outlive_core::command::Command;
use outlive_core::context::Transcript;
use outlive_core::digest::Digest;
use outlive_core::event::{Ending, Entry, Event, Line, OnDisconnect, OriginKind, Outcome};
use outlive_core::id::Ids;
use outlive_core::import::{
    Adopted, Part, Read, Records, Talk, check, claude_code, codex, duragent, journal, opencode,
};
use outlive_core::session::{Allowance, Decided, Held, Moment, Refusal, State, Status};
use outlive_core::time::Timestamp;

const CALLS: &[u8] = include_bytes!("../imports/claude_code/calls.jsonl");
const BRANCHES: &[u8] = include_bytes!("../imports/claude_code/branches.jsonl");
const DAMAGED: &[u8] = include_bytes!("../imports/claude_code/damaged.jsonl");
const ENVELOPE: &[u8] = include_bytes!("../imports/codex/envelope.jsonl");
const BARE: &[u8] = include_bytes!("../imports/codex/bare.jsonl");
const EVENTS: &[u8] = include_bytes!("../imports/duragent/events.jsonl");
const LEGACY: &[u8] = include_bytes!("../imports/duragent/legacy.jsonl");
const STATE: &[u8] = include_bytes!("../imports/duragent/state.yaml");
const AFTER: &[u8] = include_bytes!("../imports/duragent/after.jsonl");

type Begin = fn() -> Box<dyn Records>;

/// Every fixture that is read line by line, with its reader.
const ALL: [(&str, &[u8], Begin); 8] = [
    ("calls", CALLS, || Box::new(claude_code::Reader::new("calls", "5f0c"))),
    ("branches", BRANCHES, || Box::new(claude_code::Reader::new("branches", "7a"))),
    ("damaged", DAMAGED, || Box::new(claude_code::Reader::new("damaged", "9"))),
    ("envelope", ENVELOPE, || Box::new(codex::Reader::new("envelope", "rollout-1"))),
    ("bare", BARE, || Box::new(codex::Reader::new("bare", "rollout-2"))),
    ("events", EVENTS, || Box::new(duragent::Reader::new("events", "s1"))),
    ("legacy", LEGACY, || Box::new(duragent::Reader::new("legacy", "s2"))),
    ("after", AFTER, || {
        let mut reader = duragent::Reader::new("after", "s3");
        reader.snapshot(STATE);
        Box::new(reader)
    }),
];

fn read(name: &str) -> Read {
    let (_, bytes, begin) = ALL.iter().find(|(found, _, _)| *found == name).unwrap();
    lines(begin(), bytes)
}

fn lines(mut reader: Box<dyn Records>, bytes: &[u8]) -> Read {
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        reader.line(number, line);
    }
    reader.finish(Digest::of(b"the same for all cuts"))
}

const STORAGE: [(&str, &str, &[u8]); 12] = [
    ("session", "ses_01aa", include_bytes!("../imports/opencode/storage/session/prj1/ses_01aa.json")),
    ("message", "msg_01", include_bytes!("../imports/opencode/storage/message/ses_01aa/msg_01.json")),
    ("message", "msg_02", include_bytes!("../imports/opencode/storage/message/ses_01aa/msg_02.json")),
    ("message", "msg_03", include_bytes!("../imports/opencode/storage/message/ses_01aa/msg_03.json")),
    ("msg_01", "prt_01", include_bytes!("../imports/opencode/storage/part/msg_01/prt_01.json")),
    ("msg_01", "prt_02", include_bytes!("../imports/opencode/storage/part/msg_01/prt_02.json")),
    ("msg_01", "prt_03", include_bytes!("../imports/opencode/storage/part/msg_01/prt_03.json")),
    ("msg_02", "prt_11", include_bytes!("../imports/opencode/storage/part/msg_02/prt_11.json")),
    ("msg_02", "prt_12", include_bytes!("../imports/opencode/storage/part/msg_02/prt_12.json")),
    ("msg_02", "prt_15", include_bytes!("../imports/opencode/storage/part/msg_02/prt_15.json")),
    ("msg_02", "prt_16", include_bytes!("../imports/opencode/storage/part/msg_02/prt_16.json")),
    ("msg_03", "prt_20", include_bytes!("../imports/opencode/storage/part/msg_03/prt_20.json")),
];

/// Reads OpenCode's records, of which one may be another.
fn storage(other: Option<(&str, &[u8])>) -> Read {
    let mut reader = opencode::Reader::new("ses_01aa");
    for (of, id, bytes) in STORAGE {
        let bytes = other.filter(|(name, _)| *name == id).map_or(bytes, |(_, other)| other);
        match of {
            "session" => reader.session(id, bytes),
            "message" => reader.message(id, id, bytes),
            of => reader.part(id, (of, id), bytes),
        }
    }
    reader.finish().unwrap()
}

/// A conversation in short.
fn outline(talk: &Talk) -> Vec<String> {
    let mut said = Vec::new();
    for turn in &talk.turns {
        said.extend(turn.said.iter().map(|text| format!("> {text}")));
        for step in &turn.steps {
            said.push(format!("[{}]", step.model));
            said.extend(step.parts.iter().map(|part| match part {
                Part::Text { text } => text.clone(),
                Part::Thinking { text } => format!("({text})"),
                Part::Call { tool, arguments, result } => {
                    let result = result.as_ref().map(|result| (result.outcome, result.content.as_str()));
                    format!("{tool} {arguments} -> {result:?}")
                }
            }));
        }
    }
    said
}

fn adopted(talk: Talk) -> Adopted {
    Adopted {
        agent: "default".parse().unwrap(),
        agent_digest: "d".into(),
        on_disconnect: OnDisconnect::Continue,
        talk: Arc::new(talk),
    }
}

const LATER: i64 = 1_900_000_000_000_000;

fn moment() -> Moment {
    Moment { at: Timestamp::from_micros(LATER), ids: Ids::from_bits(9) }
}

/// Makes the journal, and checks all that must hold of any.
fn settled(talk: &Talk) -> (State, Vec<Entry>) {
    assert_eq!(check(talk), Ok(()));
    let session = talk.session();
    let entries = journal(session, &adopted(talk.clone()), moment().at);
    let (mut state, mut transcript, mut before) = (State::default(), Transcript::default(), Timestamp::default());
    for (entry, seq) in entries.iter().zip(1..) {
        assert_eq!(entry.seq, seq);
        assert!(entry.at >= before && entry.at <= moment().at, "{entry:?}");
        before = entry.at;
        assert_eq!(&Line::check(Line::write(entry).unwrap().as_str().as_bytes()).unwrap().read().unwrap(), entry);
        state.apply(entry);
        transcript.apply(entry);
    }
    assert_eq!(state.status(), Status::Idle);
    assert_eq!(state.owed(moment().at, &Held::default(), &Allowance::default()), []);
    super::properties::check_well_formed(&transcript);
    assert_eq!(state.totals.turns, talk.turns.len() as u64);
    (state, entries)
}

#[test]
fn claude_codes_answers_come_together_with_their_calls_and_results() {
    let read = read("calls");
    let talk = read.talk.unwrap();
    assert_eq!((talk.title.as_deref(), talk.cwd.as_deref()), (Some("Lamps"), Some("/home/ada/lighthouse")));
    assert_eq!(
        outline(&talk),
        [
            "> How many lamps does the lighthouse have?",
            "[claude-sonnet-4-5]",
            "(I should count them.)",
            "Let me look.",
            r#"Bash {"command":"ls lamps","description":"List the lamps"} -> Some((Ok, "amber\nblue"))"#,
            r#"Read {"file_path":"/home/ada/lighthouse/missing"} -> Some((Error, "File does not exist."))"#,
            "[claude-sonnet-4-5]",
            "Two: amber and blue.",
            "> /paint the door",
            "[claude-sonnet-4-5]",
            r#"Bash {"command":"paint door"} -> None"#,
        ]
    );
    let usage = talk.turns[0].steps[0].usage;
    assert_eq!((usage.output_tokens, usage.cache_read_tokens), (90, 2_000), "an answer's cost counts once");
    assert_eq!((read.damaged, read.left_out.get("records of subagents")), (0, Some(&1)));
    let (state, entries) = settled(&talk);
    let profile = state.profile.unwrap();
    assert_eq!(profile.labels.get("imported").map(String::as_str), Some("claude-code"));
    assert_eq!(profile.labels.get("imported-id").map(String::as_str), Some("5f0c"));
    assert_eq!(profile.created_at.to_string(), "2026-01-10T09:00:01.000000Z");
    let Event::MessageReceived(first) = &entries[1].event else { panic!() };
    assert_eq!((first.origin.kind, first.origin.sender.as_deref()), (OriginKind::Import, Some("claude-code")));
    // What nobody wrote down is lost, and says so to the model.
    let last: Vec<&str> = entries[entries.len() - 3..].iter().map(|entry| entry.event.name()).collect();
    assert_eq!(last, ["call.started", "call.lost", "turn.ended"]);
    assert_eq!(state.last.unwrap().ending, Ending::Interrupted);
}

#[test]
fn claude_codes_branches_that_were_left_are_left_out() {
    let read = read("branches");
    let talk = read.talk.unwrap();
    assert_eq!(
        outline(&talk),
        [
            "> Paint the boat red.\n\n[image left out]",
            "[claude-opus-4-1]",
            "It is red.",
            "> Now paint it blue.",
            "[claude-opus-4-1]",
            "It is blue.",
            "> And the mast?",
        ]
    );
    assert_eq!(talk.title.as_deref(), Some("Painting the boat"));
    assert_eq!((read.damaged, read.left_out.get("records of branches that were left")), (0, Some(&2)));
    settled(&talk);
}

#[test]
fn what_is_damaged_is_set_aside_with_its_line_and_takes_nothing_along() {
    let read = read("damaged");
    let talk = read.talk.unwrap();
    assert_eq!(outline(&talk), ["> one", "[claude-haiku]", "eins", "> two", "[claude-haiku]", "zwei"]);
    let found: Vec<(u64, &str)> = read.damages.iter().map(|damage| (damage.line, damage.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, "is not JSON: expected ident at line 1 column 2"),
            (4, "record `d-2` is there twice"),
            (5, "is the result of call `nobody`, which is not there"),
            (6, "has an unknown type, `hologram`"),
            (7, "is not a JSON object"),
            (8, "has no message"),
            (10, "is not JSON: EOF while parsing a string at line 1 column 64"),
        ]
    );
    assert_eq!(read.damaged, 7);
    settled(&talk);
}

#[test]
fn codex_is_read_with_its_envelope_and_without() {
    let new = read("envelope");
    let talk = new.talk.unwrap();
    assert_eq!((talk.title.as_deref(), talk.cwd.as_deref()), (Some("The mill"), Some("/home/ada/mill")));
    assert_eq!(talk.source.id, "019c1f00-aaaa-7bbb-8ccc-0123456789ab");
    assert_eq!(
        outline(&talk),
        [
            "> Grind the wheat.",
            "[gpt-5.2-codex]",
            "(**Looking at the stones**)",
            "I start the stones.",
            r#"exec_command {"cmd":"grind wheat"} -> Some((Ok, "Chunk ID: 1\nflour"))"#,
            r#"apply_patch {"input":"*** Begin Patch\n*** End Patch"} -> Some((Error, "patch failed"))"#,
            "[gpt-5.2-codex]",
            "The flour is ready.",
            "> Bake bread.\n\n[image left out]",
            "[gpt-5.2-codex]",
            r#"local_shell {"command":["bake","bread"],"env":null,"timeout_ms":1000,"type":"exec","user":null,"working_directory":null} -> None"#,
        ]
    );
    assert_eq!(talk.turns[0].steps[0].usage.input_tokens, 300);
    assert_eq!(new.damages[0].reason, "has an item of an unknown type, `telepathy`");
    assert_eq!(new.left_out.get("messages that were taken back"), Some(&2));
    settled(&talk);
    let old = read("bare");
    let talk = old.talk.unwrap();
    assert_eq!(
        outline(&talk),
        [
            "> What time is it?",
            "[]",
            r#"shell {"command":["date"]} -> Some((Ok, "noon\n"))"#,
            "[]",
            r#"shell {"input":"not an object"} -> Some((Error, "bad arguments"))"#,
            "[]",
            "Noon.",
        ]
    );
    assert_eq!((old.damaged, talk.created_at.to_string().as_str()), (0, "2025-06-12T15:00:00.000000Z"));
    settled(&talk);
}

#[test]
fn duragent_is_read_in_all_its_forms() {
    let new = read("events");
    let talk = new.talk.unwrap();
    assert_eq!(
        outline(&talk),
        [
            "> Water the roses.",
            "[]",
            "Fetching the can.",
            r#"bash {"command":"fill can"} -> Some((Ok, "full"))"#,
            r#"bash {"command":"pour"} -> Some((Interrupted, "Not started: new user message received"))"#,
            "> Wait, it rains.",
            "[]",
            "Then I stop.",
        ]
    );
    assert_eq!((new.agent.as_deref(), new.damaged), (Some("gardener"), 1));
    assert_eq!(new.damages[0].reason, "has seq 11, but 11 came before");
    let (_, entries) = settled(&talk);
    let started = entries.iter().filter(|entry| entry.event.name() == "call.started").count();
    assert_eq!(started, 1, "what was skipped was not started");
    let old = read("legacy").talk.unwrap();
    assert_eq!(
        outline(&old),
        [
            "> Dig.",
            "[]",
            "Digging.",
            r#"bash {"command":"dig"} -> Some((Error, "stone"))"#,
            "[]",
            r#"bash {"command":"dig deeper"} -> None"#,
        ]
    );
    settled(&old);
    let discarded = read("after");
    let talk = discarded.talk.unwrap();
    assert_eq!(
        outline(&talk),
        [
            "> Plant a tree.",
            "[]",
            "Which?",
            "> An oak.",
            "[]",
            r#"bash {"command":"plant oak"} -> Some((Ok, "planted"))"#,
            "[]",
            "It stands.",
            "> And a birch.",
            "[]",
            "Beside it.",
        ]
    );
    assert_eq!((discarded.damaged, talk.created_at.to_string().as_str()), (0, "2026-01-05T06:00:00.000000Z"));
    settled(&talk);
}

#[test]
fn opencodes_parts_become_steps() {
    let read = storage(None);
    let talk = read.talk.unwrap();
    assert_eq!((talk.title.as_deref(), talk.cwd.as_deref()), (Some("Mooring"), Some("/home/ada/harbor")));
    assert_eq!(
        outline(&talk),
        [
            "> Tie the boat.\n\n[file boat.png (image/png) left out]",
            "[anthropic/claude-sonnet-4-5]",
            "(A rope is needed.)",
            r#"bash {"command":"tie boat"} -> Some((Ok, "tied"))"#,
            "[anthropic/claude-sonnet-4-5]",
            "The boat is tied.",
            "> Thanks.",
        ]
    );
    assert_eq!(read.damaged, 0);
    settled(&talk);
}

#[test]
fn a_file_cut_anywhere_loses_nothing_before_the_cut() {
    for (name, bytes, begin) in ALL {
        for cut in 0..bytes.len() {
            let rest = &bytes[..cut];
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let tail = &rest[whole..];
            let (torn, clean) = (lines(begin(), rest), lines(begin(), &rest[..whole]));
            if serde_json::from_slice::<serde_json::Value>(tail).is_err() {
                let said = |read: &Read| read.talk.as_ref().map(outline);
                assert_eq!(said(&torn), said(&clean), "{name} at {cut}");
                assert_eq!(torn.damaged, clean.damaged + u64::from(!tail.is_empty()), "{name} at {cut}");
            }
            if cut == whole
                && let Some(talk) = &torn.talk
            {
                settled(talk);
            }
        }
    }
}

#[test]
fn a_record_cut_anywhere_takes_no_other_along() {
    let whole = outline(&storage(None).talk.unwrap()).len();
    for (of, id, bytes) in STORAGE {
        for cut in 0..bytes.len() - 1 {
            let read = storage(Some((id, &bytes[..cut])));
            assert!(read.damaged >= 1, "{id} at {cut}");
            let Some(talk) = read.talk else { panic!("{id} at {cut}") };
            let least = if of == "message" { whole - 6 } else { whole - 2 };
            assert!(outline(&talk).len() >= least, "{id} at {cut}: {:?}", outline(&talk));
        }
    }
}

#[test]
fn the_same_source_is_the_same_session_and_a_grown_one_another() {
    let talk = read("calls").talk.unwrap();
    assert_eq!(talk.session(), read("calls").talk.unwrap().session());
    assert!(talk.session().to_string().starts_with("ses_01K"), "its time is that of the original");
    let digest = Digest::of(b"more");
    let grown = Talk { source: outlive_core::import::Source { digest, ..talk.source.clone() }, ..talk.clone() };
    assert_ne!(talk.session(), grown.session());
}

#[test]
fn a_session_takes_a_conversation_only_as_its_beginning() {
    let talk = read("calls").talk.unwrap();
    let session = talk.session();
    let command = Command::Adopt(adopted(talk.clone()));
    let mut state = State::default();
    let Ok(Decided::Shared(entries)) = state.decide(session, &command, None, &mut moment()) else { panic!() };
    entries.iter().for_each(|entry| state.apply(entry));
    assert_eq!(state.decide(session, &command, None, &mut moment()), Err(Refusal::Exists));
    let empty = Command::Adopt(adopted(Talk { turns: Vec::new(), ..talk }));
    let refused = State::default().decide(session, &empty, None, &mut moment());
    assert!(matches!(refused, Err(Refusal::Invalid { code: "import_invalid", .. })), "{refused:?}");
}

#[test]
fn a_conversation_whose_journal_would_be_too_large_is_refused_whole() {
    let talk = read("calls").talk.unwrap();
    // Each such letter takes six in JSON.
    let said = Some("\u{1}".repeat(outlive_core::limits::MESSAGE_BYTES));
    let turns = vec![outlive_core::import::Turn { said, ..talk.turns[0].clone() }; 9];
    let command = Command::Adopt(adopted(Talk { turns, ..talk.clone() }));
    let refused = State::default().decide(talk.session(), &command, None, &mut moment()).unwrap_err();
    assert!(matches!(&refused, Refusal::Invalid { code: "import_too_large", .. }), "{refused:?}");
    assert!(refused.to_string().contains("the 50331648 bytes that can be written at once"));
}

#[test]
fn what_a_conversation_may_not_be_is_refused_with_its_place() {
    let good = read("calls").talk.unwrap();
    let change = |change: fn(&mut Talk)| {
        let mut talk = good.clone();
        change(&mut talk);
        check(&talk).unwrap_err()
    };
    for (why, place) in [
        (change(|talk| talk.turns.clear()), "turns: there is nothing in it"),
        (change(|talk| talk.source.program = "Claude Code".into()), "source.program: "),
        (change(|talk| talk.source.id = String::new()), "source.id: "),
        (change(|talk| talk.turns[0].said = Some("  ".into())), "turns[0].said: must not be empty"),
        (change(|talk| talk.turns[0].steps[1].parts.clear()), "turns[0].steps[1]: parts: there is none"),
        (
            change(|talk| talk.turns[0].steps[0].parts[1] = Part::Text { text: "\n".into() }),
            "turns[0].steps[0]: parts[1]: text must not be empty",
        ),
        (
            change(|talk| {
                talk.turns[0].steps[0].parts[1] =
                    Part::Call { tool: "t".into(), arguments: serde_json::json!([]), result: None };
            }),
            "turns[0].steps[0]: parts[1]: arguments: an object",
        ),
    ] {
        assert!(why.starts_with(place), "{why}");
    }
}

#[test]
fn bombs_are_named_and_nothing_grows_without_a_bound() {
    let line = |text: &str| {
        format!(r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{text}"}}]}}"#)
    };
    let mut reader: Box<dyn Records> = Box::new(codex::Reader::new("bombs", "b"));
    reader.line(1, format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes());
    reader.line(2, &vec![b'x'; outlive_core::limits::RECORD_BYTES + 1]);
    reader.line(3, b"\xff\xfe");
    reader.line(4, line("whole").as_bytes());
    let read = reader.finish(Digest::of(b""));
    assert_eq!(read.damaged, 3);
    assert!(read.damages[0].reason.contains("recursion limit"), "{:?}", read.damages);
    assert!(read.damages[1].reason.starts_with("is longer than the 16777216 bytes"));
    assert_eq!(read.damages[2].reason, "is not UTF-8");
    assert_eq!(outline(&read.talk.unwrap()), ["> whole"]);
    let mut reader: Box<dyn Records> = Box::new(codex::Reader::new("bombs", "b"));
    let large = line(&"x".repeat(1 << 20));
    (1..40).for_each(|number| reader.line(number, large.as_bytes()));
    let read = reader.finish(Digest::of(b""));
    assert_eq!((read.talk, read.damaged), (None, 0));
    assert!(read.too_large.unwrap().contains("of 33554432 that a conversation may have"));
}

#[test]
fn arguments_of_any_shape_and_long_results_fit_into_a_journal() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(90), "}".repeat(90));
    let call = |id: &str, arguments: &str| {
        serde_json::json!({"type": "function_call", "name": "", "call_id": id, "arguments": arguments}).to_string()
    };
    let output = serde_json::json!({"type": "function_call_output", "call_id": "b", "output": "y".repeat(100_000)});
    let text = [call("a", &deep), call("b", "[1]"), call("b", "{}"), output.to_string()].join("\n");
    let read = lines(Box::new(codex::Reader::new("odd", "o")), text.as_bytes());
    assert_eq!(read.damages[0].reason, "call `b` is there twice");
    let (_, entries) = settled(&read.talk.unwrap());
    let finished = entries.iter().find(|entry| entry.event.name() == "call.finished").unwrap();
    let Event::CallFinished(finished) = &finished.event else { panic!() };
    assert_eq!(finished.outcome, Outcome::Ok);
    assert!(finished.content.ends_with("[cut: the first 32768 of 100000 bytes]"));
    assert_eq!(finished.details.as_ref().unwrap()["whole"].as_str().unwrap().len(), 100_000);
}
