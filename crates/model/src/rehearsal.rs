//! The built-in offline model: a script, no AI, and it says so first. Good enough to try tools, approvals, a crash and a
//! resume without a key. It reads nothing but the request.

mod condense;
mod remember;

use std::time::Duration;

use outlive_core::content::{
    Block, Delta, Failure, Message, Purpose, Reply, ReplyBlock, Request, Role, StopReason, Usage,
};
use outlive_core::media::File;
use serde_json::{Value, json};

use crate::{Description, Model, Pending, Sink};

/// The rehearsal.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal {
    pace: Duration,
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self { pace: Duration::from_millis(12) }
    }
}

impl Rehearsal {
    /// Answers without pauses between words: for measuring what is around it.
    #[must_use]
    pub fn instant() -> Self {
        Self { pace: Duration::ZERO }
    }
}

const INTRODUCTION: &str = "I am the rehearsal model: a script, not an AI. I can only follow a few fixed phrases, so that you \
can try everything around a model offline. To talk to a real one, set ANTHROPIC_API_KEY, OPENAI_API_KEY or \
OPENROUTER_API_KEY, or start Ollama, and restart the server.\n\n";

const HELP: &str = "I understand:\n\n\
- `run COMMAND`: runs a shell command (you are asked first)\n\
- `read FILE`, `list [FOLDER]`, `find PATTERN`: looks at files\n\
- `write FILE: TEXT`: writes a file\n\
- `wait SECONDS`: runs a command that takes that long, so that you can kill the server meanwhile\n\
- `remember TEXT`: appends to notes.md\n\
- `ask QUESTION? ONE | TWO`: asks you, and waits for your answer\n\
- `todo ONE | TWO`: keeps a list; `x ONE` is done, `- ONE` is being done\n\
- `json TEXT`: answers exactly TEXT, for trying out a schema\n\
- `think`: shows a thinking block\n\
- `parallel read A, B`: two calls in one step\n\
- `tools`: names what this agent can call; `call TOOL {\"KEY\": VALUE}` calls any of it\n\
- several of these joined by ` then `\n";

impl Model for Rehearsal {
    fn describe(&self) -> Description {
        Description { provider: "rehearsal".to_owned(), name: "script".to_owned(), context_window: None }
    }

    fn stream(&self, request: Request, sink: Sink) -> Pending<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let content = match request.purpose {
                Purpose::Observe => vec![ReplyBlock::Text(remember::observe(&request))],
                Purpose::Reflect => vec![ReplyBlock::Text(remember::reflect(&request))],
                Purpose::Condense => vec![condense::condensed(&request)],
                Purpose::Step => answer(&request),
            };
            for block in content.iter().filter(|_| request.purpose == Purpose::Step) {
                self.play(block, &sink).await;
            }
            let calls = content.iter().any(|block| matches!(block, ReplyBlock::ToolUse { .. }));
            let usage = usage(&request, &content);
            let stop_reason = if calls { StopReason::ToolUse } else { StopReason::EndTurn };
            Ok(Reply {
                content,
                stop_reason,
                usage,
                model: "script".to_owned(),
                provider_request_id: None,
                served_by: None,
            })
        })
    }
}

impl Rehearsal {
    async fn play(&self, block: &ReplyBlock, sink: &Sink) {
        let (text, is_thinking) = match block {
            ReplyBlock::Text(text) => (text, false),
            ReplyBlock::Thinking { thinking, .. } => (thinking, true),
            ReplyBlock::RedactedThinking(_) | ReplyBlock::ToolUse { .. } => return,
        };
        for piece in text.split_inclusive(' ') {
            let text = piece.to_owned();
            sink(if is_thinking { Delta::Thinking { text } } else { Delta::Text { text } });
            if !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
        }
    }
}

/// Four bytes a token: an honest guess.
pub(crate) fn input_tokens(request: &Request) -> u64 {
    let said = |message: &std::sync::Arc<Message>| message.content.iter().map(bytes).sum::<usize>();
    let system: usize = request.system.iter().map(String::len).sum();
    // Structs of strings and JSON values always serialize.
    let tools = serde_json::to_string(&*request.tools).unwrap_or_default();
    let tools = if request.tools.is_empty() { 0 } else { tools.len() };
    (system + tools + request.messages.iter().map(said).sum::<usize>()) as u64 / 4
}

fn usage(request: &Request, content: &[ReplyBlock]) -> Usage {
    let output: usize = content.iter().map(said).sum();
    Usage { input_tokens: input_tokens(request), output_tokens: output as u64 / 4, ..Usage::default() }
}

fn said(block: &ReplyBlock) -> usize {
    match block {
        ReplyBlock::Text(text) => text.len(),
        ReplyBlock::Thinking { thinking, .. } => thinking.len(),
        ReplyBlock::RedactedThinking(data) => data.len(),
        ReplyBlock::ToolUse { name, arguments } => name.len() + arguments.len(),
    }
}

fn bytes(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::Thinking { thinking, .. } => thinking.len(),
        Block::RedactedThinking { data } => data.len(),
        Block::ToolUse { name, input, .. } => name.len() + input.to_string().len(),
        Block::ToolResult { content, .. } => content.len(),
        // An image costs some 1,600 tokens.
        Block::Media(_) => 6_400,
    }
}

/// What was asked last, and what has been done about it.
struct Task<'a> {
    /// Each with whether it is thought about first.
    steps: Vec<(bool, &'a str)>,
    done: usize,
    results: Vec<(&'a str, bool)>,
    first: bool,
}

fn answer(request: &Request) -> Vec<ReplyBlock> {
    if let Some(state) = request.messages.last().and_then(|last| chosen(last)) {
        let arguments = json!({ "state": state }).to_string();
        let said = format!("I choose `{state}`: as a script I take the states in their order.");
        return vec![ReplyBlock::Text(said), ReplyBlock::ToolUse { name: "select_state".to_owned(), arguments }];
    }
    if let Some(said) = request.messages.last().and_then(|last| ended(last)) {
        return vec![ReplyBlock::Text(said)];
    }
    let task = read(&request.messages);
    if let Some(("json", exact)) = task.steps.first().and_then(|(_, step)| step.split_once(' ')) {
        return vec![ReplyBlock::Text(exact.to_owned())];
    }
    let mut text = if task.first { INTRODUCTION.to_owned() } else { String::new() };
    if task.results.is_empty() {
        text.push_str(&seen(request));
    }
    for (result, failed) in &task.results {
        text.push_str(&report(result, *failed));
    }
    let lost = task.results.iter().any(|(result, _)| result.contains("outcome of this call is unknown"));
    let mut blocks = Vec::new();
    match task.steps.get(task.done) {
        Some((thinks, step)) if !lost => {
            blocks.extend(thinks.then(thought));
            act(step, request, &mut text, &mut blocks);
        }
        None if task.done == 0 && task.steps.is_empty() && !seen(request).is_empty() => {}
        Some(_) | None if task.results.is_empty() => text.push_str(HELP),
        Some(_) | None => text.push_str("That was all."),
    }
    let said = ReplyBlock::Text(text.trim_end().to_owned());
    let at = usize::from(matches!(blocks.first(), Some(ReplyBlock::Thinking { .. })));
    blocks.insert(at, said);
    blocks
}

/// Where a relay asks for its next state: the one that stands behind the one that ended.
fn chosen(last: &Message) -> Option<&str> {
    let asked = last.content.iter().filter_map(text).next_back()?;
    let asked = asked.strip_prefix("[relay `").filter(|asked| asked.contains("`: choose what is next]"))?;
    let name = |line: &'_ str| line.strip_prefix("- ").and_then(|line| Some(line.split_once(" (")?.0.len()));
    let states: Vec<&str> = asked.lines().filter_map(|line| line.get(2..2 + name(line)?)).collect();
    let ended =
        asked.lines().nth(1).and_then(|line| line.strip_prefix('`')?.split_once("` ended: ")).map(|(ended, _)| ended);
    let at = states.iter().position(|state| Some(*state) == ended).map_or(0, |at| at + 1);
    states.get(at).or(states.first()).copied()
}

/// Where a relay says that it ended: the same to the person.
fn ended(last: &Message) -> Option<String> {
    let told = last.content.iter().filter_map(text).next_back()?;
    let line = told.strip_prefix("[relay `")?.split_once("]\n")?.0;
    line.contains("` ended: ").then(|| format!("The relay `{line}."))
}

/// What a relay tells of itself stands in front of what is to be done.
fn told(text: &str) -> &str {
    let head = text.strip_prefix("[relay `").and_then(|text| text.split_once("]\n"));
    head.map_or(text, |(_, told)| told)
}

/// Says what came with the last message, and whether its bytes did.
fn seen(request: &Request) -> String {
    let blocks = request.messages.last().into_iter().flat_map(|message| &message.content);
    let told = blocks.filter_map(|block| match block {
        Block::Media(file) => Some(match request.files.get(&file.hash) {
            Some(File::Whole(bytes)) => format!("I was given {}: {} bytes.\n\n", file.shown(), bytes.len()),
            Some(File::LeftOut | File::Refused) | None => {
                format!("I was given {}, but not its content.\n\n", file.shown())
            }
        }),
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    });
    told.collect()
}

fn read(messages: &[std::sync::Arc<Message>]) -> Task<'_> {
    let asks = |message: &Message| {
        message.role == Role::User && message.content.iter().any(|b| matches!(b, Block::Text { .. } | Block::Media(_)))
    };
    let at = messages.iter().rposition(|message| asks(message)).unwrap_or(0);
    let mut texts =
        messages.get(at).map(|message| message.content.as_slice()).unwrap_or_default().iter().filter_map(text);
    let steps = texts.next_back().map(told).map(steps).unwrap_or_default();
    let since = messages.get(at + 1..).unwrap_or_default();
    let done = since.iter().filter(|message| message.role == Role::Assistant).count();
    let last = messages.last().into_iter().flat_map(|message| &message.content);
    let first = !messages.iter().any(|message| message.role == Role::Assistant);
    Task { steps, done, results: last.filter_map(result).collect(), first }
}

/// Takes apart what is joined by ` then `. To think, with something to do after it, is no reply of its own.
fn steps(text: &str) -> Vec<(bool, &str)> {
    let mut steps: Vec<(bool, &str)> = Vec::new();
    for step in text.trim().split(" then ").map(str::trim) {
        match steps.last_mut() {
            Some(last) if is_think(last.1) && !is_think(step) => *last = (true, step),
            Some(_) | None => steps.push((is_think(step), step)),
        }
    }
    steps
}

fn is_think(step: &str) -> bool {
    let verb = step.split(|c: char| c == '.' || c.is_whitespace()).next();
    verb.is_some_and(|verb| verb.eq_ignore_ascii_case("think"))
}

fn thought() -> ReplyBlock {
    let thinking = "Nobody thinks here: this is where a model's reasoning would be.".to_owned();
    ReplyBlock::Thinking { thinking, signature: None }
}

fn text(block: &Block) -> Option<&str> {
    match block {
        Block::Text { text } => Some(text),
        Block::Thinking { .. }
        | Block::Media(_)
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. } => None,
    }
}

fn result(block: &Block) -> Option<(&str, bool)> {
    match block {
        Block::ToolResult { content, is_error, .. } => Some((content, *is_error)),
        Block::Text { .. }
        | Block::Media(_)
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. } => None,
    }
}

fn report(result: &str, failed: bool) -> String {
    let shown: String = result.chars().take(600).collect();
    let shown = shown.trim_end();
    if result.contains("outcome of this call is unknown") {
        return format!(
            "The process that ran my call died, so its outcome is unknown. I do not run it again by myself; look at what it \
             did, then tell me. This is what I was told:\n\n> {shown}\n\n"
        );
    }
    let verb = if failed { "That did not work" } else { "Done" };
    format!("{verb}:\n\n```\n{shown}\n```\n\n")
}

/// Does one step: says what, and asks for its calls.
fn act(step: &str, request: &Request, text: &mut String, blocks: &mut Vec<ReplyBlock>) {
    let step = step.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (verb, rest) = step.split_once(char::is_whitespace).unwrap_or((step, ""));
    let rest = rest.trim().trim_matches('`');
    let calls = match verb.to_ascii_lowercase().as_str() {
        "run" => vec![("bash", json!({ "command": rest.trim_start_matches("the command ").trim_matches('`') }))],
        "read" | "show" => vec![("read", json!({ "path": rest }))],
        "list" => vec![("list", if rest.is_empty() { json!({}) } else { json!({ "path": rest }) })],
        "find" => vec![("grep", json!({ "pattern": rest }))],
        "write" => written(rest),
        "wait" => vec![("bash", json!({ "command": waiting(rest), "timeout_ms": 600_000 }))],
        "remember" => vec![("bash", json!({ "command": format!("printf '%s\\n' {} >> notes.md", quoted(rest)) }))],
        "parallel" => {
            let paths = rest.trim_start_matches("read ").split(',');
            paths.map(|path| ("read", json!({ "path": path.trim() }))).collect()
        }
        "think" => {
            text.push_str("I have thought, as far as a script can.");
            return;
        }
        "ask" => vec![("ask_user", asked(rest))],
        "todo" => vec![("todo", listed(rest))],
        "tools" => {
            let names: Vec<String> = request.tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
            text.push_str(&format!("This agent can call {}.", names.join(", ")));
            return;
        }
        "call" => match named(rest) {
            Ok(call) => vec![call],
            Err(why) => {
                text.push_str(&why);
                return;
            }
        },
        _other => {
            text.push_str(HELP);
            return;
        }
    };
    let offered = |name: &str| request.tools.iter().any(|tool| tool.name == name);
    if let Some((name, _)) = calls.iter().find(|(name, _)| !offered(name)) {
        text.push_str(&format!("This agent has no tool `{name}`, so I cannot do that."));
        return;
    }
    text.push_str(&format!("Step: {step}"));
    let call =
        |(name, input): (&str, Value)| ReplyBlock::ToolUse { name: name.to_owned(), arguments: input.to_string() };
    blocks.extend(calls.into_iter().map(call));
}

/// `TOOL {JSON}`, or `TOOL` alone.
fn named(rest: &str) -> Result<(&str, Value), String> {
    let (tool, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
    let read = serde_json::from_str::<Value>(arguments).ok().filter(Value::is_object);
    let read = read.ok_or_else(|| format!("After the tool's name I need a JSON object, and `{arguments}` is none."));
    read.map(|arguments| (tool, arguments))
}

/// `FILE: TEXT`, or `TEXT to FILE`.
fn written(rest: &str) -> Vec<(&'static str, Value)> {
    let (path, content) = match (rest.split_once(':'), rest.rsplit_once(" to ")) {
        (Some((path, content)), _) => (path, content),
        (None, Some((content, path))) => (path, content),
        (None, None) => (rest, ""),
    };
    vec![("write", json!({ "path": path.trim(), "content": format!("{}\n", content.trim()) }))]
}

/// `TEXT? ONE | TWO`, or words to ask for words.
fn asked(rest: &str) -> Value {
    let (text, options) = rest.split_once('?').unwrap_or((rest, ""));
    let text = if text.trim().is_empty() { "What shall I do next".to_owned() } else { text.trim().to_owned() };
    let options = options.split('|').map(str::trim).filter(|label| !label.is_empty());
    let options: Vec<Value> = options.map(|label| json!({ "label": label })).collect();
    json!({ "questions": [{ "text": format!("{text}?"), "options": options }] })
}

/// `ONE | TWO`, where `x ONE` is done and `- ONE` in progress.
fn listed(rest: &str) -> Value {
    let item = |text: &str| match (text.strip_prefix("x "), text.strip_prefix("- ")) {
        (Some(text), _) => json!({ "text": text, "status": "done" }),
        (None, Some(text)) => json!({ "text": text, "status": "in_progress" }),
        (None, None) => json!({ "text": text, "status": "pending" }),
    };
    let items = rest.split('|').map(str::trim).filter(|text| !text.is_empty());
    json!({ "items": items.map(item).collect::<Vec<_>>() })
}

fn waiting(seconds: &str) -> String {
    let seconds =
        seconds.split_whitespace().next().and_then(|word| word.parse::<u32>().ok()).unwrap_or(10).clamp(1, 500);
    format!("for i in $(seq 1 {seconds}); do echo \"$i of {seconds} s\"; sleep 1; done")
}

/// A word for the shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use outlive_core::content::ToolSpec;

    use super::*;

    fn request(messages: Vec<Message>) -> Request {
        let tool = |name: &str| ToolSpec { name: name.into(), description: String::new(), input_schema: json!({}) };
        Request {
            system: Arc::new([]),
            tools: ["bash", "read", "write", "list", "grep"].map(tool).into(),
            messages: messages.into_iter().map(Arc::new).collect(),
            max_output_tokens: 100,
            ..Request::default()
        }
    }

    fn say(text: &str) -> Message {
        Message { role: Role::User, content: vec![Block::Text { text: text.into() }] }
    }

    fn calls(blocks: &[ReplyBlock]) -> Vec<(String, Value)> {
        let call = |block: &ReplyBlock| match block {
            ReplyBlock::ToolUse { name, arguments } => Some((name.clone(), serde_json::from_str(arguments).unwrap())),
            ReplyBlock::Text(_) | ReplyBlock::Thinking { .. } | ReplyBlock::RedactedThinking(_) => None,
        };
        blocks.iter().filter_map(call).collect()
    }

    #[test]
    fn its_first_line_says_that_it_is_a_script_and_no_ai() {
        let blocks = answer(&request(vec![say("hello")]));
        assert!(
            matches!(&blocks[0], ReplyBlock::Text(text) if text.starts_with("I am the rehearsal model: a script, not an AI."))
        );
    }

    #[test]
    fn phrases_become_calls() {
        for (phrase, tool, input) in [
            ("run `echo hi`", "bash", json!({"command": "echo hi"})),
            ("read a.txt", "read", json!({"path": "a.txt"})),
            ("write a.txt: hello: you", "write", json!({"path": "a.txt", "content": "hello: you\n"})),
            ("write hello to a.txt", "write", json!({"path": "a.txt", "content": "hello\n"})),
            ("list", "list", json!({})),
            ("call list", "list", json!({})),
            (r#"call write {"path": "a b", "content": ""}"#, "write", json!({"path": "a b", "content": ""})),
        ] {
            assert_eq!(calls(&answer(&request(vec![say(phrase)]))), vec![(tool.to_owned(), input)], "{phrase}");
        }
        assert_eq!(calls(&answer(&request(vec![say("parallel read a, b")]))).len(), 2);
    }

    #[test]
    fn it_takes_the_states_of_a_relay_in_their_order() {
        let asks = |ended: &str| {
            let text = format!(
                "[relay `trip`: choose what is next]\n{ended}What it is for: go\n- pack (script)\n- rest (timer): x"
            );
            calls(&answer(&request(vec![say(&text)])))
        };
        let chosen = |state: &str| vec![("select_state".to_owned(), json!({ "state": state }))];
        assert_eq!(asks("`pack` ended: ok (attempt 1).\n"), chosen("rest"));
        assert_eq!(asks(""), chosen("pack"));
        let end = answer(&request(vec![say("[relay `trip` ended: failed: it rains]\nTell the person.")]));
        assert!(matches!(&end[..], [ReplyBlock::Text(said)] if said == "The relay `trip` ended: failed: it rains."));
        let work = "[relay `trip`, state `pack`, attempt 1: do this]\nrun echo hi";
        assert_eq!(calls(&answer(&request(vec![say(work)]))), [("bash".to_owned(), json!({"command": "echo hi"}))]);
    }

    #[test]
    fn what_it_cannot_call_is_said() {
        for (phrase, said) in [
            ("tools", "This agent can call `bash`, `read`, `write`, `list`, `grep`."),
            ("call read path", "After the tool's name I need a JSON object, and `path` is none."),
            ("call fly {}", "This agent has no tool `fly`, so I cannot do that."),
        ] {
            let blocks = answer(&request(vec![say(phrase)]));
            assert!(matches!(&blocks[..], [ReplyBlock::Text(text)] if text.ends_with(said)), "{blocks:?}");
        }
    }

    #[test]
    fn it_thinks_before_it_acts_if_it_is_told_to() {
        for phrase in ["think then read a.txt", "Think. then read a.txt", "think hard then read a.txt then list"] {
            let blocks = answer(&request(vec![say(phrase)]));
            assert!(matches!(blocks[0], ReplyBlock::Thinking { .. }), "{phrase}");
            assert_eq!(calls(&blocks), vec![("read".to_owned(), json!({"path": "a.txt"}))], "{phrase}");
        }
        let alone = answer(&request(vec![say("think")]));
        assert!(matches!(&alone[..], [ReplyBlock::Thinking { .. }, ReplyBlock::Text(_)]));
    }

    #[test]
    fn a_lost_call_is_told_and_not_repeated() {
        let id = outlive_core::id::CallId::from_bits(1);
        let used = Block::ToolUse { id, name: "bash".into(), input: json!({}), malformed: None };
        let lost = Block::ToolResult { id, content: "The outcome of this call is unknown: …".into(), is_error: true };
        let messages = vec![
            say("run a then run b"),
            Message { role: Role::Assistant, content: vec![used] },
            Message { role: Role::User, content: vec![lost] },
        ];
        let blocks = answer(&request(messages));
        assert_eq!(calls(&blocks), vec![]);
        assert!(matches!(&blocks[0], ReplyBlock::Text(text) if text.contains("outcome is unknown")));
    }

    #[test]
    fn the_usage_counts_all_that_was_sent_and_what_was_said_and_nothing_else() {
        let message = Message { role: Role::User, content: vec![Block::Text { text: "tools, please: all".into() }] };
        let request = request(vec![message]);
        let tools = serde_json::to_string(&*request.tools).unwrap().len();
        let counted = usage(&request, &[ReplyBlock::Text("\"quoted\"\n12".into())]);
        assert_eq!((counted.input_tokens, counted.output_tokens), ((tools + 18) as u64 / 4, 2));
        let bare = Request { tools: Arc::new([]), ..request };
        assert_eq!(usage(&bare, &[]).input_tokens, 4);
    }
}
