//! Shows the server's log: its last lines, and what comes.

use std::time::Duration;

use serde_json::Value;

use crate::cli::Logs;
use crate::config::{LogReader, Workspace};
use crate::exit::{Outcome, ok};
use crate::show;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub async fn run(place: &Workspace, logs: &Logs) -> Outcome {
    use std::io::IsTerminal as _;
    let is_pretty = !logs.json && std::io::stdout().is_terminal();
    let show = |lines: Vec<String>| {
        let shown = |line: String| if is_pretty { pretty(&line) } else { line };
        let text: String = lines.into_iter().map(|line| format!("{}\n", shown(line))).collect();
        show::out(&text);
    };
    let (mut reader, last) = LogReader::last(&place.log(), logs.lines);
    if last.is_empty() && !logs.follow {
        say!("no log yet at {}", place.log().display());
        return ok();
    }
    show(last);
    if !logs.follow {
        return ok();
    }
    loop {
        tokio::time::sleep(LOOK).await;
        show(reader.more());
    }
}

/// Makes a line for people of a line for programs; what is no such line stays as it is.
fn pretty(line: &str) -> String {
    let Ok(Value::Object(line_of)) = serde_json::from_str(line) else { return line.to_owned() };
    let word = |key: &str| line_of.get(key).and_then(Value::as_str).unwrap_or_default();
    let fields = line_of.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    let message = fields.get("message").and_then(Value::as_str).unwrap_or_default();
    let spans = line_of.get("spans").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut shown = format!("{} {:>5} {message}", word("timestamp"), word("level"));
    let of_spans = spans.iter().filter_map(Value::as_object).flatten();
    for (key, value) in fields.iter().chain(of_spans).filter(|(key, _)| !["message", "name"].contains(&key.as_str())) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        shown.push_str(&format!(" {key}={value}"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_has_its_fields_and_those_of_its_spans() {
        let line = r#"{"timestamp":"T","level":"INFO","fields":{"message":"turn ended","ending":"complete","steps":2},
            "target":"t","span":{"name":"turn","turn":"b"},"spans":[{"name":"session","session":"a"},{"name":"turn","turn":"b"}]}"#;
        assert_eq!(pretty(line), "T  INFO turn ended ending=complete steps=2 session=a turn=b");
        assert_eq!(pretty("outlive: it died"), "outlive: it died");
    }
}
