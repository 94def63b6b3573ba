//! How an answer is held to a JSON Schema. An API that holds its model to one takes only a part of what schemas can say, and
//! refuses the rest; what it would refuse is told to the model in words. Whether an answer fits is checked anyway, by whoever
//! asked.

use serde_json::{Map, Value};

/// What every API that holds a model to a schema understands.
const PLAIN: [&str; 11] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "title",
    "description",
    "default",
];

/// Says whether a schema is of an object, as most APIs demand.
pub(crate) fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
}

/// Says whether a schema is of plain words, with every object closed to keys that it does not name.
pub(crate) fn is_closed(schema: &Value) -> bool {
    every(schema, &|_object| true)
}

/// Says whether it is closed, and every key of each object is required.
pub(crate) fn is_strict(schema: &Value) -> bool {
    // Strict APIs want to know the type of each value, and refuse defaults and a choice at the root.
    schema.get("anyOf").is_none()
        && every(schema, &|object| {
            let is_typed = ["type", "anyOf", "enum", "const"].iter().any(|key| object.contains_key(*key));
            let required: Vec<&Value> =
                object.get("required").and_then(Value::as_array).into_iter().flatten().collect();
            let mut names = object.get("properties").and_then(Value::as_object).into_iter().flatten();
            let all_required = names.all(|(name, _)| required.iter().any(|one| *one == name));
            is_typed && !object.contains_key("default") && all_required
        })
}

fn every(schema: &Value, is_good: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
    let Some(keys) = schema.as_object() else { return false };
    let is_plain = keys.keys().all(|key| PLAIN.contains(&key.as_str()));
    let may_be_object = keys.contains_key("properties")
        || is_object(schema)
        || schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == "object"));
    let is_open = may_be_object && keys.get("additionalProperties") != Some(&Value::Bool(false));
    let below = keys.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(_, schema)| schema);
    let below = below.chain(keys.get("items"));
    let mut below = below.chain(keys.get("anyOf").and_then(Value::as_array).into_iter().flatten());
    is_plain && !is_open && is_good(keys) && below.all(|schema| every(schema, is_good))
}

/// Returns what the model is told where the API does not hold it to a schema.
pub(crate) fn in_words(schema: &Value) -> String {
    format!(
        "When you have nothing more to do, your final answer must be JSON alone, without any other text or code fence, that \
         fits this JSON Schema:\n{schema}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_sent_as_one_only_where_the_api_understands_all_of_it() {
        let of = |inner: Value, required: Value| json!({"type": "object", "properties": {"a": inner}, "required": required, "additionalProperties": false});
        let (text, names) = (json!({"type": "string"}), json!(["a"]));
        for (schema, closed, strict) in [
            (of(text.clone(), names.clone()), true, true),
            (of(text.clone(), json!([])), true, false),
            (of(json!({"type": "string", "minLength": 1}), names.clone()), false, false),
            (of(json!({"type": "array", "items": of(text.clone(), json!([]))}), names.clone()), true, false),
            (of(json!({"anyOf": [text, {"type": "object"}]}), names.clone()), false, false),
            (of(json!(true), names), false, false),
            (json!({"type": "object"}), false, false),
            (of(json!({"type": ["object", "null"], "properties": {}}), json!(["a"])), false, false),
            (of(json!({"description": "anything"}), json!(["a"])), true, false),
            (of(json!({"type": "string", "default": "x"}), json!(["a"])), true, false),
        ] {
            assert_eq!((is_closed(&schema), is_strict(&schema)), (closed, strict), "{schema}");
        }
    }
}
