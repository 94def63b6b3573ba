//! A relay as text: its states and where they lead, and the path that it has taken so far.

use super::definition::{Definition, StateSpec, Terminal, Work};
use super::run::{Relay, Trace};

/// Draws the states, each with what comes after it.
#[must_use]
pub fn definition(definition: &Definition) -> String {
    let mut lines = vec![definition.name.clone()];
    let wide = definition.states.iter().map(|state| state.name.chars().count()).max().unwrap_or(0);
    for (at, state) in definition.states.iter().enumerate() {
        let last = at + 1 == definition.states.len();
        let (branch, below) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let first = if state.name == definition.first { "▶" } else { " " };
        let name = format!("{:<wide$}", state.name);
        lines.push(format!("{branch}{first} {name}  {:<8}  {}", state.kind(), after(state)));
        if let Some(description) = state.description.as_deref().and_then(|text| text.lines().next()) {
            lines.push(format!("{below}  {:wide$}  {description}", ""));
        }
    }
    lines.join("\n")
}

/// Where a state leads, in words.
fn after(state: &StateSpec) -> String {
    if let Work::Terminal(end) = &state.work {
        return format!("■ {}", end.outcome.as_str());
    }
    let next = state.next.as_ref().map_or_else(|| "→ (the agent chooses)".to_owned(), |next| format!("→ {next}"));
    let failure = state.on_failure.as_ref().map(|to| format!(", on failure → {to}")).unwrap_or_default();
    let tries = state.retry.as_ref().map(|retry| format!(", {} attempts", retry.attempts)).unwrap_or_default();
    format!("{next}{failure}{tries}")
}

/// Draws the path so far, oldest first: a line for each attempt.
#[must_use]
pub fn path(relay: &Relay) -> String {
    let traced = &relay.path;
    let wide = traced.iter().map(|trace| trace.state.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    if relay.attempts > traced.len() as u64 {
        lines.push(format!("… {} attempts before", relay.attempts - traced.len() as u64));
    }
    // The end that it came to has no outcome but that of the whole.
    let open = relay.outcome.filter(|_| !relay.is_under_way()).map_or("…", Terminal::as_str);
    for Trace { state, attempt, at, outcome } in traced {
        let outcome = outcome.as_ref().map_or(open, |outcome| outcome.as_str());
        lines.push(format!("{at}  {state:<wide$}  #{attempt:<3} {outcome}"));
    }
    lines.push(format!("now: {}", relay.standing()));
    lines.join("\n")
}
