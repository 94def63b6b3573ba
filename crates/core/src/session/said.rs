//! Whether what a person says may be taken: its text, its files, the schema that the answer must fit. Whether the files are
//! kept, and the schema is one, the shell has seen to.

use super::decide::Refusal;
use super::report::is_shallow;
use crate::command::Message;
use crate::limits::{ATTACHMENTS, FILE_NAME_CHARS, FILES_BYTES, MESSAGE_BYTES, SCHEMA_BYTES};
use crate::media::Attachment;

pub(super) fn check_message(message: &Message) -> Result<(), Refusal> {
    check_text(&message.content, &message.attachments)?;
    check_attachments(&message.attachments)?;
    let Some(schema) = &message.output_schema else { return Ok(()) };
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES {
        return refuse("schema_invalid", format!("output_schema: at most {SCHEMA_BYTES} bytes, this one has {bytes}"));
    }
    if !schema.is_object() || !is_shallow(schema) {
        return refuse("schema_invalid", "output_schema: a JSON object is needed, nested at most 64 levels".to_owned());
    }
    Ok(())
}

/// Files may stand without a text.
pub(super) fn check_text(content: &str, files: &[Attachment]) -> Result<(), Refusal> {
    if content.trim().is_empty() && files.is_empty() {
        return refuse("message_empty", "a message needs text".to_owned());
    }
    if content.len() > MESSAGE_BYTES {
        let what = format!("a message has at most {MESSAGE_BYTES} bytes, this one has {}", content.len());
        return refuse("message_too_large", what);
    }
    Ok(())
}

fn check_attachments(files: &[Attachment]) -> Result<(), Refusal> {
    if files.len() > ATTACHMENTS {
        let what = format!("a message has at most {ATTACHMENTS} attachments, this one has {}", files.len());
        return refuse("attachment_invalid", what);
    }
    let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
    if bytes > FILES_BYTES as u64 {
        let what = format!("the attachments of a message have at most {FILES_BYTES} bytes, these have {bytes}");
        return refuse("attachment_invalid", what);
    }
    let is_bad = |name: &String| name.chars().count() > FILE_NAME_CHARS || name.chars().any(char::is_control);
    if let Some(at) = files.iter().position(|file| file.name.as_ref().is_some_and(is_bad)) {
        let what = format!("attachments[{at}].name: at most {FILE_NAME_CHARS} characters, on one line");
        return refuse("attachment_invalid", what);
    }
    Ok(())
}

fn refuse(code: &'static str, what: String) -> Result<(), Refusal> {
    Err(Refusal::Invalid { code, what })
}
