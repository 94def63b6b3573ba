//! What a server offers, held to bounds: what does not fit is left out, with a word about it.

use outlive_core::digest::Digest;
use rmcp::RoleClient;
use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool};
use rmcp::service::{Peer, PeerRequestOptions};
use serde_json::Value;

use super::{DESCRIPTION_CHARS, NAME_BYTES, PAGES, SCHEMA_BYTES, SCHEMA_DEPTH, TOOLS};
use crate::mcp::call::trouble;

/// What rules call what else is done with a server, beside `resource:URI` and `prompt:NAME`: no tool is called so.
const TAKEN: [&str; 3] = ["resources", "prompts", "start"];

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Listing {
    /// Its tools, by name.
    pub tools: Vec<Listed>,
    /// What was left out, in words.
    pub notes: Vec<String>,
    /// Whether it has resources.
    pub resources: bool,
    /// Whether it has prompts.
    pub prompts: bool,
    /// The version of the protocol that is spoken.
    pub protocol: String,
}

/// A tool, as its server describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// What its server calls it.
    pub name: String,
    /// What the model is told.
    pub description: String,
    /// What it takes.
    pub schema: Value,
    /// What its server claims: that it changes nothing.
    pub reads: bool,
    /// What its server claims: that twice is once.
    pub idempotent: bool,
    /// Tells this name, description and schema from others: a whole SHA-256, since one party may write both of a pair.
    pub digest: String,
}

/// Which tools are on offer.
pub(crate) struct Choice<'a> {
    pub allow: &'a [String],
    pub deny: &'a [String],
}

impl Choice<'_> {
    fn offers(&self, name: &str) -> bool {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| outlive_core::policy::is_like(pattern, name));
        (self.allow.is_empty() || named(self.allow)) && !named(self.deny)
    }
}

/// Reads the list of tools, page by page.
pub(crate) async fn tools(peer: &Peer<RoleClient>, choice: &Choice<'_>) -> Result<(Vec<Listed>, Vec<String>), String> {
    let (mut found, mut notes): (Vec<Listed>, Vec<String>) = Default::default();
    let (mut cursor, mut seen): (Option<String>, Vec<String>) = Default::default();
    loop {
        let (page, next) = page(peer, cursor.take()).await?;
        for tool in page {
            if found.len() == TOOLS {
                notes.push(format!("it lists more than {TOOLS} tools: the others are left out"));
                return Ok((sorted(found), notes));
            }
            match listed(tool) {
                Ok(tool) if found.iter().any(|other| other.name == tool.name) => {
                    notes.push(format!("tool `{}` is listed twice: the first counts", shown(&tool.name)));
                }
                Ok(tool) if choice.offers(&tool.name) => found.push(tool),
                Ok(_not_chosen) => {}
                Err(why) => notes.push(why),
            }
            notes.truncate(TOOLS);
        }
        match next {
            Some(next) if seen.contains(&next) || seen.len() >= PAGES => {
                notes.push(format!("its list of tools goes on after {} pages: the rest is left out", seen.len() + 1));
                return Ok((sorted(found), notes));
            }
            Some(next) => {
                seen.push(next.clone());
                cursor = Some(next);
            }
            None => return Ok((sorted(found), notes)),
        }
    }
}

fn sorted(mut tools: Vec<Listed>) -> Vec<Listed> {
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    tools
}

type Page = (Vec<Result<Tool, String>>, Option<String>);

/// Reads one page. One tool that makes no sense does not hide the others.
#[expect(clippy::wildcard_enum_match_arm, reason = "any other answer is none to this")]
async fn page(peer: &Peer<RoleClient>, cursor: Option<String>) -> Result<Page, String> {
    let params = PaginatedRequestParams::default().with_cursor(cursor);
    let request = ListToolsRequest::with_param(params);
    let asked = peer.send_cancellable_request(ClientRequest::ListToolsRequest(request), PeerRequestOptions::default());
    let answered = asked.await.map_err(|error| trouble(&error).0)?.await_response().await;
    match answered.map_err(|error| trouble(&error).0)? {
        ServerResult::ListToolsResult(list) => Ok((list.tools.into_iter().map(Ok).collect(), list.next_cursor)),
        ServerResult::CustomResult(other) => {
            let Some(tools) = other.0.get("tools").and_then(Value::as_array) else {
                return Err("its list of tools is none".to_owned());
            };
            let read = |tool: &Value| {
                let name = shown(tool["name"].as_str().unwrap_or("(without a name)"));
                serde_json::from_value(tool.clone())
                    .map_err(|error| format!("tool `{name}` is left out: {}", short(&error.to_string())))
            };
            let next = other.0.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            Ok((tools.iter().take(TOOLS + 1).map(read).collect(), next))
        }
        _ => Err("its list of tools is none".to_owned()),
    }
}

fn listed(tool: Result<Tool, String>) -> Result<Listed, String> {
    let tool = tool?;
    let name = tool.name.to_string();
    let out = |why: &str| Err(format!("tool `{}` is left out: {why}", shown(&name)));
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(|c| c.is_ascii_graphic()) {
        return out("its name is none");
    }
    if name.contains(':') || TAKEN.contains(&name.as_str()) {
        return out("rules call something else so");
    }
    let schema = Value::Object((*tool.input_schema).clone());
    if let Some(why) = flaw(&schema) {
        return out(&why);
    }
    let hints = tool.annotations.as_ref();
    let title = tool.title.as_deref().or_else(|| hints.and_then(|hints| hints.title.as_deref()));
    let said = tool.description.as_deref().or(title).unwrap_or_default();
    let digest = Digest::of(format!("{name}\n{said}\n{schema}").as_bytes()).as_str().to_owned();
    Ok(Listed {
        description: plain(said).chars().take(DESCRIPTION_CHARS).collect(),
        reads: hints.and_then(|hints| hints.read_only_hint) == Some(true),
        idempotent: hints.and_then(|hints| hints.idempotent_hint) == Some(true),
        name,
        schema,
        digest,
    })
}

/// Says what is wrong with a schema: too large, too deep, or about something that lies elsewhere.
fn flaw(schema: &Value) -> Option<String> {
    if schema.to_string().len() > SCHEMA_BYTES {
        return Some(format!("its schema has more than {SCHEMA_BYTES} bytes"));
    }
    if schema.get("type").is_some_and(|kind| kind != "object") {
        return Some("its schema is not about an object".to_owned());
    }
    let mut level: Vec<&Value> = vec![schema];
    for _ in 0..SCHEMA_DEPTH {
        if level.is_empty() {
            return jsonschema::validator_for(schema)
                .err()
                .map(|error| format!("its schema is broken: {}", short(&error.to_string())));
        }
        let mut below = Vec::new();
        for value in level {
            if let Some(elsewhere) = refers_elsewhere(value) {
                return Some(format!("its schema refers to `{}`, which is not in it", short(&elsewhere)));
            }
            below.extend(value.as_array().into_iter().flatten());
            below.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        }
        level = below;
    }
    Some(format!("its schema is nested deeper than {SCHEMA_DEPTH} levels"))
}

fn refers_elsewhere(value: &Value) -> Option<String> {
    let reference = |key: &str| value.get(key).and_then(Value::as_str).filter(|to| !to.starts_with('#'));
    ["$ref", "$dynamicRef", "$recursiveRef"].iter().find_map(|key| reference(key)).map(str::to_owned)
}

/// Takes out what could make a terminal, or a person, see something else than what is there.
pub(super) fn plain(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|c| !hidden(*c)).collect()
}

/// Shows what a server calls something, on one line.
pub(super) fn shown(name: &str) -> String {
    plain(name).replace(['\n', '\t'], " ").chars().take(NAME_BYTES).collect()
}

fn short(text: &str) -> String {
    shown(text).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: Value, expected: Option<&str>) {
        let found = flaw(&schema);
        assert_eq!(found.as_deref().map(|why| expected.is_some_and(|part| why.contains(part))), expected.map(|_| true));
        assert_eq!(found.is_none(), expected.is_none(), "{found:?}");
    }

    #[test]
    fn a_schema_that_is_hostile_or_broken_is_refused() {
        check(json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}), None);
        check(json!({}), None);
        check(json!({"type": "string"}), Some("not about an object"));
        check(json!({"properties": {"a": {"$ref": "https://example.org/s.json"}}}), Some("refers to"));
        check(json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), Some("refers to"));
        check(json!({"properties": {"a": {"type": 7}}}), Some("broken"));
        let deep = (0..40).fold(json!({}), |inner, _| json!({"items": inner}));
        check(deep, Some("nested deeper"));
        check(json!({"description": "x".repeat(SCHEMA_BYTES)}), Some("bytes"));
    }

    #[test]
    fn what_a_person_allows_for_good_is_bound_to_a_whole_digest() {
        let tool = json!({"name": "echo", "description": "says it", "inputSchema": {"type": "object"}});
        let listed = listed(Ok(serde_json::from_value(tool).expect("a tool"))).expect("fits");
        assert_eq!(listed.digest, Digest::of(b"echo\nsays it\n{\"type\":\"object\"}").as_str());
        assert_eq!(listed.digest.len(), 64);
    }

    #[test]
    fn a_tool_that_rules_would_take_for_something_else_is_left_out() {
        let read = |name: &str| {
            let tool = json!({"name": name, "inputSchema": {"type": "object"}});
            listed(Ok(serde_json::from_value(tool).expect("a tool"))).map(|tool| tool.name)
        };
        for name in ["resource:file:///etc/passwd", "prompt:greet", "resources", "prompts", "start"] {
            assert_eq!(read(name), Err(format!("tool `{name}` is left out: rules call something else so")));
        }
        for name in ["resource", "prompt", "a/b", "start.all", "restart"] {
            assert_eq!(read(name), Ok(name.to_owned()));
        }
    }

    #[test]
    fn what_could_be_hidden_in_a_description_is_taken_out() {
        assert_eq!(plain("a\u{1b}[31mb\u{200b}c\u{202e}d\u{e0041}\ne"), "a[31mbcd\ne");
    }
}
