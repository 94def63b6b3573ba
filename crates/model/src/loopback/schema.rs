//! The schema of an answer as the real APIs take it: where it stands, and what they refuse of it.

use serde_json::Value;

use super::Dialect;
use super::check::Checked;

/// Returns the schema that the answer must fit, if one is sent.
pub(super) fn read(dialect: Dialect, body: &Value) -> Checked<Option<Value>> {
    let (format, schema) = match dialect {
        Dialect::Anthropic => (&body["output_config"]["format"], &body["output_config"]["format"]["schema"]),
        Dialect::OpenAi | Dialect::OpenRouter => {
            (&body["response_format"], &body["response_format"]["json_schema"]["schema"])
        }
        Dialect::Responses => (&body["text"]["format"], &body["text"]["format"]["schema"]),
        Dialect::Gemini => return gemini(body),
        Dialect::Ollama => (&Value::Null, &body["format"]),
    };
    if schema.is_null() && format.is_null() {
        return Ok(None);
    }
    if !schema.is_object() {
        return Err("the schema must be an object".to_owned());
    }
    match dialect {
        Dialect::Anthropic => closed(schema)?,
        Dialect::OpenAi | Dialect::OpenRouter => named(&body["response_format"]["json_schema"])?,
        Dialect::Responses => named(format)?,
        Dialect::Gemini | Dialect::Ollama => return Ok(Some(schema.clone())),
    }
    if format["type"] != "json_schema" {
        return Err("format.type: `json_schema` is expected".to_owned());
    }
    Ok(Some(schema.clone()))
}

fn gemini(body: &Value) -> Checked<Option<Value>> {
    let config = &body["generationConfig"];
    let schema = &config["responseJsonSchema"];
    if schema.is_null() {
        return Ok(None);
    }
    if config["responseMimeType"] != "application/json" {
        return Err("response_json_schema needs response_mime_type `application/json`".to_owned());
    }
    if body.get("tools").is_some() {
        return Err("function calling with a response mime type: 'application/json' is unsupported".to_owned());
    }
    Ok(Some(schema.clone()))
}

/// OpenAI's: with a name, of an object, and strict only where every key is required.
fn named(format: &Value) -> Checked<()> {
    if format["name"].as_str().is_none_or(str::is_empty) {
        return Err("missing required parameter: `name`".to_owned());
    }
    if format["schema"]["type"] != "object" {
        return Err("schema must be a JSON Schema of 'type: \"object\"'".to_owned());
    }
    if format["strict"] != true {
        return Ok(());
    }
    closed(&format["schema"])?;
    let keys = format["schema"]["properties"].as_object().into_iter().flatten();
    let required = format["schema"]["required"].as_array().map_or(0, Vec::len);
    if keys.count() == required { Ok(()) } else { Err("'required' must include every key in properties".to_owned()) }
}

/// Objects must be closed, and nothing may be said that the grammar of an answer cannot hold.
fn closed(schema: &Value) -> Checked<()> {
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        return Err("for 'object' type, 'additionalProperties' must be explicitly set to false".to_owned());
    }
    if let Some(word) =
        ["minimum", "maximum", "minLength", "maxLength", "$ref"].iter().find(|word| !schema[**word].is_null())
    {
        return Err(format!("property '{word}' is not supported"));
    }
    let below = schema["properties"].as_object().into_iter().flatten().map(|(_, schema)| schema);
    below.chain(schema.get("items")).try_for_each(closed)
}
