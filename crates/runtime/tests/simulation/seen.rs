//! What a model is shown, looked at apart from the code that shows it.

use outlive_core::content::{Block, Purpose, Reply, ReplyBlock, Request};
use outlive_core::event::{Aside, Event, Line};
use outlive_core::id::{Seq, SessionId};
use outlive_store::Store;

use crate::evening::Narrow;
use crate::hands::{HARNESS, RECALLED};

/// All that is said in a request.
pub fn said(request: &Request) -> String {
    let blocks = request.messages.iter().flat_map(|message| &message.content);
    let texts = blocks.filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::ToolResult { content, .. } => Some(content.as_str()),
        _ => None,
    });
    request.system.iter().map(String::as_str).chain(texts).collect::<Vec<_>>().join("\n")
}

/// Marks what is said in a session with its name.
pub fn mark(session: SessionId) -> String {
    format!("@s{};", session.bits())
}

/// Whose words these are: the last mark says so.
pub fn session_of(said: &str) -> Option<SessionId> {
    let (_, rest) = said.rsplit_once("@s")?;
    rest.split(';').next()?.parse().ok().map(SessionId::from_bits)
}

/// What the model counts: four bytes a token, and a little around each piece.
pub fn weigh(request: &Request) -> u64 {
    let piece = |bytes: usize| bytes as u64 / 4 + 4;
    let system: u64 = request.system.iter().map(|block| piece(block.len())).sum();
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.input_schema.to_string().len() + 40);
    let blocks = request.messages.iter().flat_map(|message| &message.content).map(|block| match block {
        Block::Text { text } => piece(text.len()),
        Block::ToolResult { content, .. } => piece(content.len()),
        Block::ToolUse { name, input, .. } => piece(name.len() + input.to_string().len()),
        Block::Thinking { thinking, .. } => piece(thinking.len()),
        Block::RedactedThinking { data } => piece(data.len()),
        Block::Media(_) => 0,
    });
    system + tools.sum::<usize>() as u64 / 4 + blocks.sum::<u64>()
}

/// The reply with what was counted for it.
pub fn counted(mut reply: Reply, tokens: u64) -> Reply {
    let output = reply.content.iter().map(|block| match block {
        ReplyBlock::Text(text) => text.len() as u64 / 4,
        ReplyBlock::ToolUse { name, arguments } => (name.len() + arguments.len()) as u64 / 4,
        _ => 1,
    });
    (reply.usage.input_tokens, reply.usage.output_tokens) = (tokens, output.sum());
    reply
}

/// What is wrong with what a request shows.
pub async fn wrong(store: &Store, request: &Request, narrow: Option<Narrow>) -> Option<String> {
    let said = said(request);
    match request.purpose {
        Purpose::Observe => [HARNESS, RECALLED]
            .into_iter()
            .find(|word| said.contains(word))
            .map(|word| format!("{word} is looked at for what is to be remembered: {said}")),
        Purpose::Step => {
            let tokens = weigh(request);
            // What the model counts is not what was estimated, to the token.
            let above = narrow.filter(|narrow| tokens > narrow.said + narrow.said / 20 + 40);
            match above {
                Some(narrow) => Some(format!("a request of {tokens} tokens, of {} that are usable", narrow.said)),
                None => unseen(store, request, &said).await,
            }
        }
        Purpose::Condense | Purpose::Reflect => None,
    }
}

/// A person's words that the model should see and does not: all since the tail begins, in order, and the newest ones wherever they
/// are.
async fn unseen(store: &Store, request: &Request, said: &str) -> Option<String> {
    let session = session_of(said)?;
    let lines = store.journals.read(session, 0, usize::MAX).await.ok()?.lines;
    let is = |line: &Line, name: &str| line.as_str().contains(&format!("\"type\":\"{name}\""));
    let asked = lines.iter().rposition(|line| is(line, "step.started"))?;
    let (mut tail_from, mut aside, mut messages) = (0, Vec::new(), Vec::<(Seq, String)>::new());
    // A fork says what its original said: it may be another's request then.
    for other in store.directory.sessions().await.ok()?.into_iter().filter(|other| *other != session) {
        let first = store.journals.read(other, 0, 1).await.ok()?.lines;
        if first.iter().any(|line| line.as_str().contains(&session.to_string())) {
            return None;
        }
    }
    let messages_asked = format!("\"messages\":{},", request.messages.len());
    if !lines[asked].as_str().contains(&messages_asked) {
        return None;
    }
    for line in &lines[..asked] {
        if !["message.received", "checkpoint.activated", "session.rewound"].iter().any(|name| is(line, name)) {
            continue;
        }
        let entry = line.read().ok()?;
        match entry.event {
            Event::MessageReceived(message) => messages.push((entry.seq, message.content)),
            Event::CheckpointActivated(activated) => tail_from = activated.tail_from,
            Event::SessionRewound(rewound) => {
                (aside, tail_from) = (rewound.aside, rewound.tail_from);
                aside.push(Aside { first: rewound.to_seq + 1, last: entry.seq - 1 });
            }
            _ => {}
        }
    }
    messages.retain(|(seq, _)| !Aside::holds(&aside, *seq));
    let newest = messages.last().cloned();
    let mut rest = said;
    for (seq, content) in messages.iter().filter(|(seq, _)| *seq >= tail_from) {
        let Some(at) = rest.find(content.as_str()) else {
            return Some(format!("message {seq} of {session} is not shown in its place: `{content}`\n{said}"));
        };
        rest = &rest[at + content.len()..];
    }
    let is_there =
        |(_, content): &(Seq, String)| said.contains(content) || said.contains(&content.replace('\n', "\n  "));
    newest
        .filter(|newest| !is_there(newest))
        .map(|(seq, content)| format!("the newest message, {seq} of {session}, is not shown: `{content}`\n{said}"))
}
