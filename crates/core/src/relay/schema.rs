//! What a state must be given: the part of JSON Schema that takes a time which grows with the value alone. Keywords beyond it
//! are refused where a relay is validated, so that nothing is left unchecked in silence.

use regex::Regex;
use serde_json::Value;

/// Keywords that are held to.
const CHECKED: [&str; 15] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "maxItems",
    "default",
];
/// Keywords that say something to readers.
const SAID: [&str; 6] = ["description", "title", "examples", "$schema", "$comment", "format"];
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// Levels of a schema.
const DEPTH: usize = 16;

/// Says what of a schema cannot be held to: the path below it, and why.
#[must_use]
pub fn faults(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if schema.get("type").is_some_and(|kind| kind != "object") {
        found.push((".type".to_owned(), "an input is an object: write `type: object` with `properties`".to_owned()));
    }
    look(schema, "", 0, &mut found);
    found
}

fn look(schema: &Value, path: &str, depth: usize, found: &mut Vec<(String, String)>) {
    let mut wrong = |at: &str, why: String| found.push((format!("{path}{at}"), why));
    let Some(map) = schema.as_object() else {
        return wrong("", "a schema is a mapping".to_owned());
    };
    if depth > DEPTH {
        return wrong("", format!("nested at most {DEPTH} levels"));
    }
    for (key, value) in map {
        let known = CHECKED.iter().chain(&SAID).copied();
        let fits = match key.as_str() {
            "type" => {
                let is_type = |kind: &Value| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
                value.as_array().map_or_else(|| is_type(value), |kinds| !kinds.is_empty() && kinds.iter().all(is_type))
            }
            "properties" => value.is_object(),
            "required" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "enum" => value.as_array().is_some_and(|list| !list.is_empty()),
            "additionalProperties" => value.is_boolean(),
            "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
            "minimum" | "maximum" => value.is_number(),
            "pattern" => value.as_str().is_some_and(|pattern| regex(pattern).is_some()),
            "items" => value.is_object(),
            "const" | "default" => true,
            said if SAID.contains(&said) => true,
            unknown => {
                let nearest = crate::yaml::nearest(unknown, known).unwrap_or("type");
                wrong(&format!(".{key}"), format!("unknown keyword `{key}`: the nearest is `{nearest}`"));
                continue;
            }
        };
        if !fits {
            wrong(&format!(".{key}"), format!("`{value}` is not what `{key}` takes"));
        }
    }
    for (name, below) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        look(below, &format!("{path}.properties.{name}"), depth + 1, found);
    }
    if let Some(items) = map.get("items") {
        look(items, &format!("{path}.items"), depth + 1, found);
    }
}

fn regex(pattern: &str) -> Option<Regex> {
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().ok()
}

/// Returns the keys that a schema declares.
#[must_use]
pub fn declared(schema: &Value) -> Vec<&str> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// Returns the keys that must be given.
#[must_use]
pub fn required(schema: &Value) -> Vec<&str> {
    let without_default = |key: &&str| schema["properties"][*key].get("default").is_none();
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(without_default).collect()
}

/// Returns the input with the defaults of what is left out.
///
/// # Errors
///
/// Everything that does not fit, each with its path.
pub fn admit(schema: Option<&Value>, input: &Value) -> Result<Value, String> {
    let mut input = if input.is_null() { Value::Object(serde_json::Map::new()) } else { input.clone() };
    let Some(map) = input.as_object_mut() else { return Err("input: an object is needed".to_owned()) };
    let none = Value::Object(serde_json::Map::new());
    let schema = schema.unwrap_or(&none);
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        if let (None, Some(default)) = (map.get(key), below.get("default")) {
            map.insert(key.clone(), default.clone());
        }
    }
    let undeclared = map.keys().filter(|key| !declared(schema).contains(&key.as_str())).cloned().collect::<Vec<_>>();
    let mut wrong: Vec<String> = Vec::new();
    if schema["additionalProperties"] != true {
        let known = declared(schema).join(", ");
        let known = if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {known}") };
        wrong.extend(undeclared.iter().map(|key| format!("input.{key}: not declared in `input_schema`; {known}")));
    }
    hold(schema, &input, "input", &mut wrong);
    if wrong.is_empty() { Ok(input) } else { Err(wrong.join("; ")) }
}

fn hold(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let mut say = |why: String| wrong.push(format!("{path}: {why}"));
    let kinds = schema.get("type").map(|kind| kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]));
    if let Some(kinds) = kinds.filter(|kinds| !kinds.iter().filter_map(Value::as_str).any(|kind| is(value, kind))) {
        let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
        return say(format!("is no {}", kinds.join(" or ")));
    }
    if schema["enum"].as_array().is_some_and(|list| !list.contains(value)) {
        say(format!("is none of {}", schema["enum"]));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        say(format!("is not {}", schema["const"]));
    }
    bounds(schema, value, &mut say);
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(key).is_none() {
            say(format!("`{key}` is missing"));
        }
    }
    let closed = path != "input" && schema["additionalProperties"] == false;
    let keys = value.as_object().into_iter().flatten().map(|(key, _)| key);
    for key in keys.filter(|key| closed && !declared(schema).contains(&key.as_str())) {
        wrong.push(format!("{path}.{key}: not declared in `input_schema`"));
    }
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(key) {
            hold(below, value, &format!("{path}.{key}"), wrong);
        }
    }
    for (at, one) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            hold(items, one, &format!("{path}[{at}]"), wrong);
        }
    }
}

fn bounds(schema: &Value, value: &Value, say: &mut impl FnMut(String)) {
    let chars = value.as_str().map(|text| text.chars().count() as u64);
    let items = value.as_array().map(|list| list.len() as u64);
    for (low, high, count, what) in
        [("minLength", "maxLength", chars, "characters"), ("minItems", "maxItems", items, "items")]
    {
        let Some(count) = count else { continue };
        if schema[low].as_u64().is_some_and(|least| count < least) {
            say(format!("has {count} {what}, of at least {}", schema[low]));
        }
        if schema[high].as_u64().is_some_and(|most| count > most) {
            say(format!("has {count} {what}, of at most {}", schema[high]));
        }
    }
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|least| number < least) {
            say(format!("is below {}", schema["minimum"]));
        }
        if schema["maximum"].as_f64().is_some_and(|most| number > most) {
            say(format!("is above {}", schema["maximum"]));
        }
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && regex(pattern).is_none_or(|pattern| !pattern.is_match(text))
    {
        say(format!("does not match {pattern}"));
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
