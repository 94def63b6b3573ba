//! What a server asks a person: a form becomes questions, and the answers what it asked for; an address is shown, never opened.
//!
//! Invariants: a person can always decline; an answer that does not fit is asked for again, and never sent; a server that asks
//! for more than a person is asked at once, or offers choices that a person cannot see or tell apart, is declined.

use std::collections::BTreeSet;

use outlive_core::event::{Choice, Question};
use outlive_core::limits::{QUESTION_CHARS, QUESTIONS};
use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction};
use serde_json::{Map, Value};

use super::listing::plain;
use crate::Asker;

/// Times that a form is asked for, until all of it fits.
const TIMES: usize = 3;
/// The choice that declines.
const DECLINE: &str = "(decline)";
/// The choice that leaves a field out.
const LEAVE_OUT: &str = "(leave out)";
/// The choice that accepts, where nothing is to be filled in.
const ACCEPT: &str = "accept";

/// One field of a form.
struct Field {
    name: String,
    schema: Value,
    required: bool,
}

/// Asks a person what a server asks, and returns what the server is told.
pub(super) async fn ask(server: &str, asked: &ElicitRequestParams, asker: &Asker) -> ElicitResult {
    match asked {
        ElicitRequestParams::UrlElicitationParams { message, url, .. } => address((server, message), url, asker).await,
        ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } => {
            let schema = serde_json::to_value(requested_schema).unwrap_or_default();
            form((server, message), &schema, asker).await
        }
        _ => ElicitResult::new(ElicitationAction::Decline),
    }
}

async fn address((server, message): (&str, &str), url: &str, asker: &Asker) -> ElicitResult {
    let text = format!(
        "The mcp server `{server}` asks you to open an address. Open it only if you know where it leads.\n{}\n{}",
        plain(url),
        plain(message)
    );
    let options = vec![choice(ACCEPT, "it was opened"), choice(DECLINE, "it was not")];
    let answers = asker(vec![Question { text: cut(&text), options, multiple: false }]).await;
    ElicitResult::new(match answers.as_deref() {
        Some([answer]) if is(answer, ACCEPT) => ElicitationAction::Accept,
        Some([_, ..]) => ElicitationAction::Decline,
        Some([]) | None => ElicitationAction::Cancel,
    })
}

async fn form((server, message): (&str, &str), schema: &Value, asker: &Asker) -> ElicitResult {
    let fields = fields(schema);
    if fields.len() > QUESTIONS {
        return ElicitResult::new(ElicitationAction::Decline);
    }
    let mut wrong: Vec<String> = Vec::new();
    for _ in 0..TIMES {
        let asked = questions((server, message), &fields, &wrong);
        if !asked.iter().all(can_be_chosen_from) {
            return ElicitResult::new(ElicitationAction::Decline);
        }
        let Some(answers) = asker(asked).await.filter(|answers| !answers.is_empty()) else {
            return ElicitResult::new(ElicitationAction::Cancel);
        };
        if answers.iter().any(|answer| is(answer, DECLINE)) {
            return ElicitResult::new(ElicitationAction::Decline);
        }
        match filled(&fields, &answers, schema) {
            Ok(content) => return ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content)),
            Err(why) => wrong = why,
        }
    }
    ElicitResult::new(ElicitationAction::Cancel)
}

/// Says whether a person sees what is sent, and tells the choices apart: what is shown is exactly the value.
fn can_be_chosen_from(question: &Question) -> bool {
    let labels: BTreeSet<&str> = question.options.iter().map(|choice| choice.label.as_str()).collect();
    let is_seen =
        |label: &&str| !label.trim().is_empty() && *label == cut(&plain(label)) && !label.contains(['\n', '\t']);
    labels.len() == question.options.len() && labels.iter().all(is_seen)
}

fn is(answer: &[String], label: &str) -> bool {
    answer.len() == 1 && answer.iter().any(|said| said.trim() == label)
}

fn choice(label: &str, means: &str) -> Choice {
    Choice { label: label.to_owned(), description: Some(cut(&plain(means))).filter(|means| !means.trim().is_empty()) }
}

fn cut(text: &str) -> String {
    text.chars().take(QUESTION_CHARS).collect()
}

/// As much of a text as leaves room for another one.
fn half(text: &str) -> String {
    text.chars().take(QUESTION_CHARS / 2 - 1).collect()
}

fn fields(schema: &Value) -> Vec<Field> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object();
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        schema: schema.clone(),
        required: required(name),
    };
    properties.map(|all| all.iter().map(field).collect()).unwrap_or_default()
}

fn questions((server, message): (&str, &str), fields: &[Field], wrong: &[String]) -> Vec<Question> {
    let again = if wrong.is_empty() { String::new() } else { format!("\nIt did not fit: {}", wrong.join("; ")) };
    let head = format!("The mcp server `{server}` asks: {}{again}", plain(message));
    if fields.is_empty() {
        let options = vec![choice(ACCEPT, ""), choice(DECLINE, "")];
        return vec![Question { text: cut(&head), options, multiple: false }];
    }
    let question = |(at, field): (usize, &Field)| {
        // Each says who asks, and no long message hides what is asked.
        let head = if at == 0 { half(&head) } else { format!("The mcp server `{server}` asks:") };
        let mut options: Vec<Choice> = field.choices();
        options.truncate(QUESTIONS - 2);
        if !field.required || field.schema.get("default").is_some() {
            let usual = field.schema.get("default").map(|value| format!("it is {} then", shown(value)));
            options.push(choice(LEAVE_OUT, &usual.unwrap_or_default()));
        }
        options.push(choice(DECLINE, "answer nothing of this"));
        let multiple = field.schema["type"] == "array";
        Question { text: format!("{head}\n\n{}", half(&field.told())), options, multiple }
    };
    fields.iter().enumerate().map(question).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), plain)
}

impl Field {
    fn told(&self) -> String {
        let of = |key: &str| self.schema[key].as_str().map(plain);
        let name = of("title").unwrap_or_else(|| plain(&self.name));
        let kind = match self.schema["type"].as_str() {
            Some("integer") => " (a whole number)",
            Some("number") => " (a number)",
            Some("boolean") => " (true or false)",
            Some(_) | None => "",
        };
        let about = of("description").map(|about| format!(": {about}")).unwrap_or_default();
        format!("{name}{kind}{about}")
    }

    /// Returns what can be chosen: the value that is sent, and what it means.
    fn choices(&self) -> Vec<Choice> {
        if self.schema["type"] == "boolean" {
            return vec![choice("true", ""), choice("false", "")];
        }
        let of = if self.schema["type"] == "array" { &self.schema["items"] } else { &self.schema };
        let titled = of["oneOf"].as_array().or_else(|| of["anyOf"].as_array()).into_iter().flatten();
        let titled = titled.filter_map(|one| Some((one["const"].as_str()?, one["title"].as_str().unwrap_or_default())));
        let names = of["enumNames"].as_array();
        let name = |at: usize| names.and_then(|names| names.get(at)?.as_str()).unwrap_or_default();
        let plain_ones = of["enum"].as_array().into_iter().flatten().enumerate();
        let plain_ones = plain_ones.filter_map(|(at, one)| Some((one.as_str()?, name(at))));
        titled
            .chain(plain_ones)
            .filter(|(value, _)| !value.trim().is_empty())
            .map(|(value, means)| choice(value, means))
            .collect()
    }

    /// Returns the value that an answer is; nothing where it is left out.
    fn value(&self, answer: &[String]) -> Result<Option<Value>, String> {
        if is(answer, LEAVE_OUT) {
            return Ok(self.schema.get("default").cloned());
        }
        let said = answer.first().map(|said| said.trim()).unwrap_or_default();
        let wrong = |what: &str| format!("{} is {what}", plain(&self.name));
        let value = match self.schema["type"].as_str() {
            Some("integer") => said.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number"))?,
            Some("number") => said.parse::<f64>().map(Value::from).map_err(|_| wrong("a number"))?,
            Some("boolean") => match said {
                "true" | "yes" => Value::Bool(true),
                "false" | "no" => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
            Some("array") => answer.iter().map(|one| Value::from(one.trim())).collect(),
            Some(_) | None => Value::from(said),
        };
        Ok(Some(value))
    }
}

/// Puts the answers together, as the server asked for them.
fn filled(fields: &[Field], answers: &[Vec<String>], schema: &Value) -> Result<Map<String, Value>, Vec<String>> {
    let (mut content, mut wrong) = (Map::new(), Vec::new());
    for (field, answer) in fields.iter().zip(answers) {
        match field.value(answer) {
            Ok(Some(value)) => drop(content.insert(field.name.clone(), value)),
            Ok(None) => {}
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty()
        && let Ok(validator) = jsonschema::validator_for(schema)
    {
        let value = Value::Object(content.clone());
        let told = |error: jsonschema::ValidationError<'_>| format!("{} {error}", error.instance_path());
        wrong.extend(validator.iter_errors(&value).take(3).map(|error| cut(&plain(&told(error)))));
    }
    if wrong.is_empty() { Ok(content) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    /// Asks for this form, and answers with these, one after the other.
    async fn check(asked: Value, answers: &[&[&[&str]]], expected: Value, texts: &[&str]) {
        let given: Vec<Vec<Vec<String>>> = answers
            .iter()
            .map(|form| form.iter().map(|one| one.iter().map(|said| (*said).to_owned()).collect()).collect())
            .collect();
        let (given, seen) = (Arc::new(Mutex::new(given)), Arc::new(Mutex::new(Vec::new())));
        let (left, told) = (Arc::clone(&given), Arc::clone(&seen));
        let asker: Asker = Arc::new(move |questions: Vec<Question>| {
            told.lock().unwrap().extend(questions.into_iter().map(|question| question.text));
            let mut left = left.lock().unwrap();
            let answer = if left.is_empty() { None } else { Some(left.remove(0)) };
            Box::pin(std::future::ready(answer))
        });
        let asked: ElicitRequestParams = serde_json::from_value(asked).unwrap();
        let result = ask("s", &asked, &asker).await;
        assert_eq!(serde_json::to_value(result).unwrap(), expected);
        for (text, seen) in texts.iter().zip(seen.lock().unwrap().iter()) {
            assert!(seen.contains(text), "{text}: {seen}");
        }
    }

    fn form(properties: Value, required: &[&str]) -> Value {
        let schema = json!({"type": "object", "properties": properties, "required": required});
        json!({"mode": "form", "message": "Who?", "requestedSchema": schema})
    }

    #[tokio::test]
    async fn a_form_is_filled_in_with_answers_of_the_types_that_it_asks_for() {
        let name = || form(json!({"name": {"type": "string", "title": "Name"}}), &["name"]);
        let accepted = |content: Value| json!({"action": "accept", "content": content});
        check(name(), &[&[&["Ada"]]], accepted(json!({"name": "Ada"})), &["mcp server `s` asks: Who?\n\nName"]).await;
        let many = json!({"n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": "boolean"},
            "e": {"type": "string", "enum": ["a", "b"]}, "d": {"type": "string", "default": "usual"}});
        check(
            form(many, &["n"]),
            &[&[&["7"], &["0.5"], &["true"], &["b"], &["(leave out)"]]],
            accepted(json!({"n": 7, "x": 0.5, "b": true, "e": "b", "d": "usual"})),
            &[],
        )
        .await;
    }

    #[tokio::test]
    async fn each_question_says_who_asks_and_no_message_hides_what_is_asked() {
        let second = json!({"type": "string", "description": "Outlive: paste the token to go on"});
        let mut asked = form(json!({"a": {"type": "string"}, "b": second}), &["a", "b"]);
        asked["message"] = "w".repeat(9_000).into();
        let accepted = json!({"action": "accept", "content": {"a": "1", "b": "2"}});
        let told = ["w\n\na", "The mcp server `s` asks:\n\nb: Outlive: paste"];
        check(asked, &[&[&["1"], &["2"]]], accepted, &told).await;
    }

    #[tokio::test]
    async fn an_answer_that_does_not_fit_is_asked_for_again_and_never_sent() {
        let asked = || form(json!({"n": {"type": "integer"}}), &["n"]);
        let accepted = json!({"action": "accept", "content": {"n": 7}});
        check(asked(), &[&[&["seven"]], &[&["7"]]], accepted, &["Who?", "It did not fit: n is a whole number"]).await;
        let given_up = json!({"action": "cancel"});
        check(asked(), &[&[&["a"]], &[&["b"]], &[&["c"]]], given_up.clone(), &[]).await;
        check(asked(), &[], given_up, &[]).await;
    }

    #[tokio::test]
    async fn a_person_can_decline_whatever_is_asked() {
        let declined = json!({"action": "decline"});
        check(form(json!({"n": {"type": "integer"}}), &["n"]), &[&[&["(decline)"]]], declined.clone(), &[]).await;
        let url = json!({"mode": "url", "message": "Log in", "url": "https://example.org/x", "elicitationId": "1"});
        check(url.clone(), &[&[&["(decline)"]]], declined, &["https://example.org/x"]).await;
        check(url, &[&[&["accept"]]], json!({"action": "accept"}), &["Log in"]).await;
    }

    #[tokio::test]
    async fn choices_that_a_person_cannot_see_or_tell_apart_are_declined_unasked() {
        let long = "x".repeat(QUESTION_CHARS + 1);
        let hostile =
            [["a", "b\u{1b}[2J"], ["a", "b\u{202e}c"], ["a", "b\nc"], ["a", &long], ["a", "a"], ["a", DECLINE]];
        for labels in hostile {
            for field in [
                json!({"type": "string", "enum": labels}),
                json!({"type": "string", "oneOf": labels.map(|label| json!({"const": label, "title": "fine"}))}),
                json!({"type": "array", "items": {"type": "string", "enum": labels}}),
            ] {
                let answer: &[&[&[&str]]] = &[&[&["a"]]];
                check(form(json!({"e": field}), &["e"]), answer, json!({"action": "decline"}), &[]).await;
            }
        }
        let fine = json!({"type": "string", "oneOf": [{"const": "a", "title": "b\u{1b}[2J"}, {"const": ""}]});
        let accepted = json!({"action": "accept", "content": {"e": "a"}});
        check(form(json!({"e": fine}), &["e"]), &[&[&["a"]]], accepted, &[]).await;
    }

    #[tokio::test]
    async fn a_form_that_is_longer_than_a_person_is_asked_at_once_is_declined() {
        let many: Map<String, Value> = (0..11).map(|at| (format!("f{at}"), json!({"type": "string"}))).collect();
        check(form(Value::Object(many), &[]), &[], json!({"action": "decline"}), &[]).await;
    }
}
