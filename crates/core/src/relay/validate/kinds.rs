//! What the states of each kind have.

use serde_json::Value;

use super::read::Fields;
use crate::agent::PROVIDERS;
use crate::limits::{MATCH_BYTES, QUESTION_CHARS, QUESTIONS, RELAY_SCRIPT_MS, RELAY_TEXT_CHARS};
use crate::relay::definition::{
    AgentWork, Command, ParkWork, PollWork, Run, ScriptEffect, ScriptWork, SignalWork, Span, Terminal, TerminalWork,
    TimerWork, Work,
};
use crate::relay::due::due;
use crate::relay::line::is_variable;
use crate::session::{SIGNAL_NAME, is_match, is_signal_name};
use crate::time::Timestamp;

const KINDS: [&str; 7] = ["agent", "script", "poll", "timer", "signal", "park", "terminal"];
const ALL: [&str; 8] = ["name", "kind", "description", "input_schema", "retry", "on_failure", "next", "guard"];
/// The shortest time between two looks of a poll.
const INTERVAL: Span = Span(1_000);

pub(super) fn work(fields: &mut Fields<'_, '_>, name: Option<&str>) -> Option<Work> {
    if !fields.needed(&["kind"]) {
        return None;
    }
    let kind = fields.text("kind")?;
    let keys: &[&str] = match kind.as_str() {
        "agent" => &["prompt", "skills", "model", "cwd", "fork_context"],
        "script" => &["command", "env", "cwd", "timeout", "success_codes", "effect", "check"],
        "poll" => &["command", "env", "cwd", "interval", "attempt_timeout", "deadline", "error_budget"],
        "timer" => &["at", "after", "time_zone"],
        "signal" => &["signal", "match", "deadline"],
        "park" => &["question", "options"],
        "terminal" => &["outcome", "reason"],
        other => {
            let nearest = crate::yaml::nearest(other, KINDS).unwrap_or("script");
            fields.wrong("kind", format!("unknown kind `{other}`: the nearest is `{nearest}`"));
            return None;
        }
    };
    let known: Vec<&str> = ALL.iter().chain(keys).copied().collect();
    fields.known(&known);
    match kind.as_str() {
        "agent" => agent(fields).map(Work::Agent),
        "script" => script(fields).map(Work::Script),
        "poll" => poll(fields).map(Work::Poll),
        "timer" => timer(fields).map(Work::Timer),
        "signal" => Some(Work::Signal(signal(fields, name))),
        "park" => park(fields).map(Work::Park),
        _terminal => terminal(fields).map(Work::Terminal),
    }
}

fn agent(fields: &mut Fields<'_, '_>) -> Option<AgentWork> {
    let model = fields.text("model");
    if let Some(why) = model.as_deref().and_then(no_model) {
        fields.wrong("model", why);
    }
    let fork_context = match fields.node("fork_context").map(crate::relay::node::Node::value) {
        None => true,
        Some(Value::Bool(forks)) => forks,
        Some(other) => {
            fields.wrong("fork_context", format!("is `true` or `false`, not {other}"));
            true
        }
    };
    let (skills, cwd) = (fields.texts("skills").unwrap_or_default(), fields.text("cwd"));
    if !fields.needed(&["prompt"]) {
        return None;
    }
    Some(AgentWork { prompt: fields.long_text("prompt", RELAY_TEXT_CHARS)?, skills, model, cwd, fork_context })
}

/// Says why this names no model.
fn no_model(name: &str) -> Option<String> {
    let (provider, model) = name.split_once('/').unwrap_or((name, ""));
    if PROVIDERS.contains(&provider) && !model.trim().is_empty() {
        return None;
    }
    let nearest = crate::yaml::nearest(provider, PROVIDERS).unwrap_or("openai");
    Some(format!("`{name}` is no `provider/name`, as in `{nearest}/{}`", if model.is_empty() { "NAME" } else { model }))
}

fn command(fields: &mut Fields<'_, '_>, key: &str) -> Option<Command> {
    let Value::Array(words) = fields.node(key)?.value() else { return fields.text(key).map(Command::Shell) };
    let argv = fields.texts(key)?;
    let program = argv.first().map(String::as_str).unwrap_or_default();
    if words.is_empty() || program.trim().is_empty() {
        fields.wrong(key, "names no program: its first word is one".to_owned());
        return None;
    }
    if program.contains("{{") || program.contains('=') {
        fields.wrong(key, format!("`{program}` is no program: its first word is written out, and has no `=`"));
        return None;
    }
    Some(Command::Argv(argv))
}

fn run(fields: &mut Fields<'_, '_>) -> Option<Run> {
    let env = fields.map("env").unwrap_or_default();
    for name in env.keys().filter(|name| !is_variable(name)).cloned().collect::<Vec<_>>() {
        let why = if name.starts_with("RELAY_") { "is set by the relay itself" } else { "is no name of a variable" };
        fields.wrong("env", format!("`{name}` {why}: choose another one of `A-Z`, `a-z`, `0-9` and `_`"));
    }
    let cwd = fields.text("cwd");
    if !fields.needed(&["command"]) {
        return None;
    }
    Some(Run { command: command(fields, "command")?, env, cwd })
}

fn script(fields: &mut Fields<'_, '_>) -> Option<ScriptWork> {
    let timeout = fields.span("timeout", Some(Span(RELAY_SCRIPT_MS))).unwrap_or(Span(120_000));
    let success_codes = fields.codes("success_codes").unwrap_or_else(|| vec![0]);
    let effect = match fields.text("effect").as_deref() {
        None | Some("effectful") => ScriptEffect::Effectful,
        Some("read") => ScriptEffect::Read,
        Some("idempotent") => ScriptEffect::Idempotent,
        Some(other) => {
            let nearest = crate::yaml::nearest(other, ["read", "idempotent", "effectful"]).unwrap_or_default();
            fields.wrong("effect", format!("unknown value `{other}`: the nearest is `{nearest}`"));
            ScriptEffect::Effectful
        }
    };
    let check = command(fields, "check");
    if effect != ScriptEffect::Effectful && check.is_some() {
        fields
            .wrong("check", "is asked where nobody knows whether an `effectful` script ran: leave one out".to_owned());
    }
    Some(ScriptWork { run: run(fields)?, timeout, success_codes, effect, check })
}

fn poll(fields: &mut Fields<'_, '_>) -> Option<PollWork> {
    let attempt_timeout = fields.span("attempt_timeout", Some(Span(RELAY_SCRIPT_MS))).unwrap_or(Span(60_000));
    let deadline = fields.span("deadline", None);
    let budget =
        fields.number("error_budget", (0, 1_000)).or_else(|| fields.node("error_budget").is_none().then_some(3));
    let run = run(fields);
    if !fields.needed(&["interval"]) {
        return None;
    }
    let interval = fields.span("interval", None)?;
    if interval < INTERVAL {
        fields.wrong("interval", format!("is {interval}, of at least {INTERVAL}"));
    }
    if deadline.is_some_and(|deadline| deadline < interval) {
        fields.wrong("deadline", format!("is shorter than the interval of {interval}: it would look once"));
    }
    let error_budget = u32::try_from(budget?).ok()?;
    Some(PollWork { run: run?, interval, attempt_timeout, deadline, error_budget })
}

fn timer(fields: &mut Fields<'_, '_>) -> Option<TimerWork> {
    let (at, after) = (fields.text("at"), fields.span("after", None));
    if fields.node("at").is_some() == fields.node("after").is_some() {
        fields.wrong("after", "a timer has one of `at: 2026-03-01T09:00:00Z` and `after: 30s`".to_owned());
        return None;
    }
    let time_zone = fields.text("time_zone");
    if time_zone.is_some() && fields.node("at").is_none() {
        fields.wrong("time_zone", "says where `at` is: with `after` leave it out".to_owned());
    }
    let timer = TimerWork { at, after, time_zone };
    // What a value brings is looked at when the state is entered.
    let is_known = timer.at.as_ref().is_some_and(|at| !at.contains("{{"));
    let shown = TimerWork {
        at: is_known.then(|| timer.at.clone()).flatten().or(Some("2026-01-01T00:00:00".into())),
        ..timer.clone()
    };
    if timer.at.is_some()
        && let Err((key, why)) = due(&shown, &|text| Ok(text.to_owned()), Timestamp::from_micros(0))
    {
        fields.wrong(key, why);
    }
    Some(timer)
}

fn signal(fields: &mut Fields<'_, '_>, name: Option<&str>) -> SignalWork {
    let signal = fields.text("signal").or_else(|| name.map(str::to_owned)).unwrap_or_default();
    if !is_signal_name(&signal) {
        fields.wrong("signal", format!("`{signal}` is no name of a signal: it {SIGNAL_NAME}"));
    }
    let fits = fields.node("match").map(crate::relay::node::Node::value);
    if fits.as_ref().is_some_and(|fits| !is_match(fits)) {
        fields.wrong("match", format!("at most {MATCH_BYTES} bytes nested at most 64 levels"));
    }
    SignalWork { signal, fits, deadline: fields.span("deadline", None) }
}

fn park(fields: &mut Fields<'_, '_>) -> Option<ParkWork> {
    let options = fields.texts("options").unwrap_or_default();
    let twice = options.iter().enumerate().find(|(at, option)| options[..*at].contains(option));
    if let Some((_, twice)) = twice {
        fields.wrong("options", format!("`{twice}` is there twice"));
    }
    let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= QUESTION_CHARS;
    if options.len() > QUESTIONS || !options.iter().all(fits) {
        fields.wrong("options", format!("at most {QUESTIONS}, each of 1 to {QUESTION_CHARS} characters"));
    }
    if !fields.needed(&["question"]) {
        return None;
    }
    Some(ParkWork { question: fields.long_text("question", QUESTION_CHARS)?, options })
}

fn terminal(fields: &mut Fields<'_, '_>) -> Option<TerminalWork> {
    let reason = fields.long_text("reason", 2_000);
    if !fields.needed(&["outcome"]) {
        return None;
    }
    let outcome = match fields.text("outcome")?.as_str() {
        "completed" => Terminal::Completed,
        "failed" => Terminal::Failed,
        "cancelled" => Terminal::Cancelled,
        other => {
            let nearest = crate::yaml::nearest(other, ["completed", "failed", "cancelled"]).unwrap_or_default();
            fields.wrong("outcome", format!("unknown value `{other}`: the nearest is `{nearest}`"));
            return None;
        }
    };
    Some(TerminalWork { outcome, reason })
}
