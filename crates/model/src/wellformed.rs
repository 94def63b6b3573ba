//! Checks what every real API asks of a request, apart from the code that builds one.
//!
//! The strictest of them all: what passes here passes everywhere. Roles alternate, beginning and ending with the user; each
//! call is answered, once and in order, at the front of the next message; nothing is empty; tools are named as the APIs
//! demand and a schema is one.

use std::collections::BTreeSet;

use outlive_core::content::{Block, Message, Request, Role, ToolSpec};
use outlive_core::id::CallId;
use serde_json::Value;

/// Checks a request.
///
/// # Errors
///
/// The first thing that is wrong, and where.
pub fn check(request: &Request) -> Result<(), String> {
    if request.max_output_tokens == 0 {
        return Err("max_output_tokens: must be at least 1".to_owned());
    }
    if let Some(at) = request.system.iter().position(|block| block.trim().is_empty()) {
        return Err(format!("system {at}: must not be empty"));
    }
    tools(&request.tools)?;
    let mut talk = Talk::default();
    for (at, message) in request.messages.iter().enumerate() {
        talk.hear(at, message).map_err(|why| format!("message {at}: {why}"))?;
    }
    let last = request.messages.last().map(|last| last.role);
    if last == Some(Role::User) { Ok(()) } else { Err("the last message must be the user's".to_owned()) }
}

fn tools(tools: &[ToolSpec]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for tool in tools {
        let of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if !(1..=64).contains(&tool.name.len()) || !tool.name.chars().all(of_name) {
            return Err(format!("tool `{}`: the name must match ^[a-zA-Z0-9_-]{{1,64}}$", tool.name));
        }
        if !names.insert(&tool.name) {
            return Err(format!("tool `{}`: named twice", tool.name));
        }
        if tool.input_schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(format!("tool `{}`: input_schema must be of type object", tool.name));
        }
    }
    Ok(())
}

/// What was said so far, as far as it binds what comes next.
#[derive(Default)]
struct Talk {
    /// Calls that the next message must answer.
    open: Vec<CallId>,
    /// Every call so far: an id is used once.
    used: BTreeSet<CallId>,
}

impl Talk {
    fn hear(&mut self, at: usize, message: &Message) -> Result<(), String> {
        let expected = if at.is_multiple_of(2) { Role::User } else { Role::Assistant };
        if message.role != expected {
            return Err("roles must alternate, beginning with the user".to_owned());
        }
        let answered = message.content.iter().take_while(|block| answers(block).is_some());
        let answered: Vec<CallId> = answered.filter_map(answers).collect();
        if answered != self.open {
            return Err(format!("calls {:?} are answered by {answered:?}", self.open));
        }
        self.open.clear();
        for block in &message.content[answered.len()..] {
            self.block(message.role, block)?;
        }
        let speaks = |block: &Block| !matches!(block, Block::Thinking { .. } | Block::RedactedThinking { .. });
        if message.content.iter().any(speaks) { Ok(()) } else { Err("must say something".to_owned()) }
    }

    fn block(&mut self, role: Role, block: &Block) -> Result<(), String> {
        match (block, role) {
            (Block::Text { text }, _) if text.trim().is_empty() => Err("a text must not be empty".to_owned()),
            (Block::Text { .. }, _) => Ok(()),
            (Block::ToolResult { id, .. }, _) => Err(format!("the result of {id} must stand at the front")),
            (Block::Media(_), Role::User) => Ok(()),
            (Block::Media(_), Role::Assistant) => Err("files are the user's".to_owned()),
            (_, Role::User) => Err("calls and reasoning are the model's".to_owned()),
            (Block::Thinking { .. } | Block::RedactedThinking { .. }, Role::Assistant) => Ok(()),
            (Block::ToolUse { id, input, .. }, Role::Assistant) => {
                if !self.used.insert(*id) {
                    return Err(format!("{id} is used twice"));
                }
                self.open.push(*id);
                if input.is_object() { Ok(()) } else { Err(format!("the arguments of {id} must be an object")) }
            }
        }
    }
}

fn answers(block: &Block) -> Option<CallId> {
    match block {
        Block::ToolResult { id, .. } => Some(*id),
        Block::Text { .. }
        | Block::Media(_)
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Block {
        Block::Text { text: text.into() }
    }

    fn call(id: u128) -> Block {
        Block::ToolUse { id: CallId::from_bits(id), name: "t".into(), input: json!({}), malformed: None }
    }

    fn result(id: u128) -> Block {
        Block::ToolResult { id: CallId::from_bits(id), content: String::new(), is_error: false }
    }

    /// The user begins; then they take turns.
    fn request(said: Vec<Vec<Block>>) -> Request {
        let role = |at: usize| if at.is_multiple_of(2) { Role::User } else { Role::Assistant };
        let message = |(at, content)| Arc::new(Message { role: role(at), content });
        Request {
            system: Arc::new([]),
            tools: Arc::new([]),
            messages: said.into_iter().enumerate().map(message).collect(),
            max_output_tokens: 1,
            ..Request::default()
        }
    }

    #[test]
    fn what_real_apis_take_is_taken() {
        let talk = vec![vec![text("a")], vec![text("b"), call(1), call(2)], vec![result(1), result(2), text("c")]];
        assert_eq!(check(&request(talk)), Ok(()));
    }

    #[test]
    fn what_real_apis_refuse_of_a_talk_is_refused_with_its_place() {
        let thinking = || Block::Thinking { thinking: "hm".into(), signature: None };
        let answered = |results| request(vec![vec![text("a")], vec![call(1), call(2)], results]);
        for (bad, why) in [
            (request(vec![]), "the last message must be the user's"),
            (request(vec![vec![text("a")], vec![text("b")]]), "the last message must be the user's"),
            (request(vec![vec![text(" ")]]), "message 0: a text must not be empty"),
            (request(vec![vec![]]), "message 0: must say something"),
            (request(vec![vec![text("a")], vec![thinking()], vec![text("b")]]), "message 1: must say something"),
            (request(vec![vec![text("a"), thinking()]]), "message 0: calls and reasoning are the model's"),
            (request(vec![vec![text("a"), call(1)]]), "message 0: calls and reasoning are the model's"),
            (answered(vec![text("b")]), "message 2: calls ["),
            (answered(vec![result(1), text("b")]), "message 2: calls ["),
            (answered(vec![result(2), result(1)]), "message 2: calls ["),
            (answered(vec![result(1), text("b"), result(2)]), "message 2: calls ["),
            (request(vec![vec![result(1)]]), "message 0: calls [] are answered"),
            (request(vec![vec![text("a")], vec![call(1), call(1)], vec![result(1)]]), "message 1: call_"),
        ] {
            let said = check(&bad).unwrap_err();
            assert!(said.starts_with(why), "{said}\ninstead of {why}");
        }
        let mut twice = request(vec![vec![text("a")]]);
        twice.messages.push(Arc::clone(&twice.messages[0]));
        assert_eq!(check(&twice).unwrap_err(), "message 1: roles must alternate, beginning with the user");
    }

    #[test]
    fn what_real_apis_refuse_of_tools_and_limits_is_refused() {
        let tool =
            |name: &str, schema: Value| ToolSpec { name: name.into(), description: "d".into(), input_schema: schema };
        let object = || json!({"type": "object"});
        for (tools, why) in [
            (vec![tool("a b", object())], "tool `a b`: the name must match"),
            (vec![tool("", object())], "tool ``: the name must match"),
            (vec![tool("a", object()), tool("a", object())], "tool `a`: named twice"),
            (vec![tool("a", json!({"type": "strange"}))], "tool `a`: input_schema must be of type object"),
        ] {
            let bad = Request { tools: tools.into(), ..request(vec![vec![text("a")]]) };
            let said = check(&bad).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
        let nothing = Request { max_output_tokens: 0, ..request(vec![vec![text("a")]]) };
        assert!(check(&nothing).unwrap_err().starts_with("max_output_tokens"));
        let blank = Request { system: Arc::new(["a".into(), " ".into()]), ..request(vec![vec![text("a")]]) };
        assert!(check(&blank).unwrap_err().starts_with("system 1"));
    }
}
