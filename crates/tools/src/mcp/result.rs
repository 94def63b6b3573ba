//! What a server answered: text for the model, the rest for clients, and the whole of it as an artifact where that is more.

use base64::Engine as _;
use outlive_core::event::Outcome;
use outlive_core::limits::OUTCOME_BYTES;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Value, json};

use super::call::words;
use crate::Finished;

/// Bytes of the beginning that the model sees.
const HEAD: usize = 12 << 10;
/// Bytes of the end that the model sees.
const TAIL: usize = 16 << 10;

/// Text, and files that came with it.
#[derive(Default)]
pub(super) struct Gathered {
    text: String,
    files: Vec<(String, Vec<u8>)>,
    links: Vec<Value>,
}

/// Makes a result of what a tool answered.
pub(super) fn answered(result: CallToolResult, target: &str) -> Finished {
    let mut gathered = Gathered::default();
    result.content.into_iter().for_each(|block| gathered.block(block));
    let structured = result.structured_content;
    if let Some(value) = structured.as_ref().filter(|_| gathered.text.is_empty()) {
        gathered.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }
    let mut finished = gathered.finish(target);
    if let Some(value) = structured.filter(|value| value.to_string().len() <= OUTCOME_BYTES / 2)
        && let Some(details) = finished.details.as_mut().and_then(Value::as_object_mut)
    {
        details.insert("structured".to_owned(), value);
    }
    if result.is_error == Some(true) {
        finished.outcome = Outcome::Error;
    }
    finished
}

impl Gathered {
    /// Adds what stands on lines of its own.
    pub fn line(&mut self, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    /// Adds one block of content.
    pub fn block(&mut self, block: ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.line(&text.text),
            ContentBlock::Image(image) => self.file("image", &image.mime_type, &image.data),
            ContentBlock::Audio(audio) => self.file("audio", &audio.mime_type, &audio.data),
            ContentBlock::Resource(embedded) => self.resource(embedded.resource),
            ContentBlock::ResourceLink(link) => {
                let about = link.description.as_deref().map(|said| format!(": {}", words(said))).unwrap_or_default();
                self.line(&format!("[resource {} <{}>{about}]", words(&link.name), words(&link.uri)));
                self.links.push(json!({"uri": link.uri, "name": link.name, "media_type": link.mime_type}));
            }
            _ => self.line("[a kind of content that is not known here]"),
        }
    }

    /// Adds what a resource holds.
    pub fn resource(&mut self, contents: ResourceContents) {
        match contents {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                self.line(&format!("[resource <{}>]", words(&uri)));
                self.line(&text);
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                let kind = mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
                self.file(&format!("resource <{}>", words(&uri)), &kind, &blob);
            }
            _ => self.line("[a kind of resource that is not known here]"),
        }
    }

    fn file(&mut self, what: &str, kind: &str, data: &str) {
        match base64::engine::general_purpose::STANDARD.decode(data) {
            Ok(bytes) => {
                self.line(&format!("[{what}: {}, {} bytes]", words(kind), bytes.len()));
                self.files.push((words(kind), bytes));
            }
            Err(_broken) => self.line(&format!("[{what}: {}, which is no base64]", words(kind))),
        }
    }

    /// Makes a result: text that is too long is shown as its beginning and end; the whole is kept.
    pub fn finish(self, target: &str) -> Finished {
        let Self { text, mut files, links } = self;
        let mut details = json!({"mcp": target});
        if !links.is_empty() {
            details["links"] = Value::Array(links);
        }
        let content = if text.is_empty() { "(no content)".to_owned() } else { shortened(&text) };
        let is_cut = text.len() > HEAD + TAIL;
        let whole = match files.len() {
            0 => is_cut.then(|| text.into_bytes()),
            1 if !is_cut => files.pop().map(|(kind, bytes)| {
                details["media_type"] = kind.into();
                bytes
            }),
            _ => {
                details["media_type"] = "application/json".into();
                Some(together(&text, &files))
            }
        };
        Finished { outcome: Outcome::Ok, content, details: Some(details), whole }
    }
}

/// Several files, and text that is not shown whole, as one artifact.
fn together(text: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let files: Vec<Value> =
        files.iter().map(|(kind, bytes)| json!({"media_type": kind, "base64": encode(bytes)})).collect();
    json!({"text": text, "files": files}).to_string().into_bytes()
}

fn shortened(text: &str) -> String {
    if text.len() <= HEAD + TAIL {
        return text.to_owned();
    }
    let (head, tail) = (text.floor_char_boundary(HEAD), text.ceil_char_boundary(text.len() - TAIL));
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result: Value, content: &str, details: Value, whole: Option<&[u8]>) {
        let finished = answered(serde_json::from_value(result).unwrap(), "s/t");
        assert_eq!((finished.content.as_str(), finished.details), (content, Some(details)));
        assert_eq!(finished.whole.as_deref(), whole);
    }

    #[test]
    fn every_kind_of_content_is_told_or_kept() {
        let text = json!({"type": "text", "text": "hello"});
        check(json!({"content": [text]}), "hello", json!({"mcp": "s/t"}), None);
        check(json!({"content": []}), "(no content)", json!({"mcp": "s/t"}), None);
        check(
            json!({"content": [text, {"type": "image", "data": "AAEC", "mimeType": "image/png"}]}),
            "hello\n[image: image/png, 3 bytes]",
            json!({"mcp": "s/t", "media_type": "image/png"}),
            Some(&[0, 1, 2]),
        );
        check(
            json!({"content": [{"type": "image", "data": "?", "mimeType": "image/png"}]}),
            "[image: image/png, which is no base64]",
            json!({"mcp": "s/t"}),
            None,
        );
        check(
            json!({"content": [{"type": "resource", "resource": {"uri": "a:b", "text": "in"}},
                {"type": "resource_link", "uri": "c:d", "name": "n", "description": "about"}]}),
            "[resource <a:b>]\nin\n[resource n <c:d>: about]",
            json!({"mcp": "s/t", "links": [{"uri": "c:d", "name": "n", "media_type": null}]}),
            None,
        );
        check(
            json!({"content": [], "structuredContent": {"a": 1}}),
            "{\n  \"a\": 1\n}",
            json!({"mcp": "s/t", "structured": {"a": 1}}),
            None,
        );
    }

    #[test]
    fn much_text_is_shown_as_its_beginning_and_end_and_kept_whole() {
        let long = "x".repeat(100_000);
        let finished =
            answered(serde_json::from_value(json!({"content": [{"type": "text", "text": long}]})).unwrap(), "s/t");
        assert!(finished.content.len() < outlive_core::limits::RESULT_BYTES, "{}", finished.content.len());
        assert!(finished.content.contains(&format!("[… {} bytes left out …]", 100_000 - HEAD - TAIL)));
        assert_eq!(finished.whole.map(|whole| whole.len()), Some(100_000));
    }

    #[test]
    fn an_answer_that_says_it_failed_is_an_error() {
        let result = json!({"content": [{"type": "text", "text": "no"}], "isError": true});
        assert_eq!(answered(serde_json::from_value(result).unwrap(), "s/t").outcome, Outcome::Error);
    }
}
