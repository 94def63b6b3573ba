//! Enters into the audit log what was asked of the API: who, from where, what, on which things, and what came of it.
//!
//! | Asked | Entered |
//! |---|---|
//! | a decision or a change | before the answer goes out, synced |
//! | a message, a read | soon after; a read that repeats within a minute once |
//! | what was refused at the door | soon after, so many a minute of known tokens and so many of nobody; the others are counted |
//!
//! Invariants: no content and no secret is entered, only kinds and ids; a change that no row names is entered all the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outlive_core::time::Timestamp;
use outlive_protocol::BASE;
use outlive_runtime::audit::{Act, Audit};
use outlive_runtime::{Refused, StoreError};

use crate::App;
use crate::body::named;
use crate::peer::Address;
use crate::problem::ApiError;
use crate::tokens::Identity;

/// What is done with an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Synced before the answer.
    Change,
    /// Soon; the journal has it for sure.
    Said,
    /// Soon, and once a minute.
    Read,
}
use Weight::{Change, Read, Said};

/// What a route does. One that is not here is a list where it reads, and where it changes something goes by its own name.
const TABLE: &[(&str, &str, &str, Weight)] = &[
    ("POST", "/agents", "agent.import", Change),
    ("PUT", "/agents/{name}", "agent.put", Change),
    ("DELETE", "/agents/{name}", "agent.delete", Change),
    ("GET", "/agents/{name}", "agent.read", Read),
    ("GET", "/agents/{name}/files", "agent.read", Read),
    ("GET", "/agents/{name}/export", "agent.export", Change),
    ("POST", "/sessions", "session.create", Said),
    ("POST", "/sessions/import", "session.import", Change),
    ("GET", "/sessions/{id}", "session.read", Read),
    ("PATCH", "/sessions/{id}", "session.update", Said),
    ("DELETE", "/sessions/{id}", "session.delete", Change),
    ("POST", "/sessions/{id}/restore", "session.restore", Change),
    ("GET", "/sessions/{id}/messages", "session.read", Read),
    ("GET", "/sessions/{id}/approvals", "session.read", Read),
    ("GET", "/sessions/{id}/questions", "session.read", Read),
    ("GET", "/sessions/{id}/context", "session.read", Read),
    ("GET", "/sessions/{id}/queue", "session.read", Read),
    ("POST", "/sessions/{id}/messages", "message", Said),
    ("GET", "/sessions/{id}/events", "session.read", Read),
    ("POST", "/sessions/{id}/interrupt", "interrupt", Said),
    ("POST", "/sessions/{id}/pause", "pause", Said),
    ("POST", "/sessions/{id}/resume", "resume", Said),
    ("POST", "/sessions/{id}/loop", "loop.start", Change),
    ("DELETE", "/sessions/{id}/loop", "loop.abort", Said),
    ("GET", "/relays", "relay.list", Read),
    ("POST", "/relays", "relay.keep", Change),
    ("GET", "/relays/{name}", "relay.show", Read),
    ("POST", "/relays/{name}/start", "relay.start", Change),
    ("GET", "/sessions/{id}/relay", "relay.history", Read),
    ("POST", "/sessions/{id}/relay", "relay.change", Change),
    ("POST", "/sessions/{id}/waits", "wait.arm", Said),
    ("POST", "/sessions/{id}/signals", "signal", Said),
    ("POST", "/hooks/{name}", "webhook", Said),
    ("GET", "/waits", "wait.list", Read),
    ("POST", "/waits/{id}/fire", "wait.fire", Change),
    ("POST", "/waits/{id}/move", "wait.move", Change),
    ("POST", "/waits/{id}/cancel", "wait.cancel", Change),
    ("GET", "/notices", "notice.list", Read),
    ("POST", "/notices/{id}/retry", "notice.retry", Change),
    ("POST", "/notices/{id}/drop", "notice.drop", Change),
    ("GET", "/targets", "notice.targets", Read),
    ("POST", "/targets/{name}/test", "notice.test", Change),
    ("POST", "/sessions/{id}/compact", "session.compact", Said),
    ("GET", "/sessions/{id}/checkpoints", "session.read", Read),
    ("POST", "/sessions/{id}/checkpoints", "session.checkpoint", Said),
    ("GET", "/sessions/{id}/checkpoints/{checkpoint}", "session.read", Read),
    ("POST", "/sessions/{id}/fork", "session.fork", Said),
    ("POST", "/sessions/{id}/rewind", "session.rewind", Change),
    ("GET", "/sessions/{id}/export", "session.export", Change),
    ("POST", "/sessions/{id}/approvals/{call}", "decide", Change),
    ("POST", "/sessions/{id}/questions/{question}", "answer", Change),
    ("PUT", "/sessions/{id}/queue", "queue.put", Said),
    ("POST", "/memory", "memory.add", Said),
    ("POST", "/memory/reflect", "memory.reflect", Said),
    ("PATCH", "/memory/{id}", "memory.edit", Change),
    ("DELETE", "/memory/{id}", "memory.forget", Change),
    ("GET", "/events", "session.read", Read),
    ("GET", "/inbox", "inbox.read", Read),
    ("GET", "/memory", "memory.list", Read),
    ("GET", "/memory/{id}", "memory.show", Read),
    ("GET", "/search", "search", Read),
    ("GET", "/ws", "connect", Read),
    ("DELETE", "/trash", "trash.empty", Change),
    ("POST", "/imports", "session.import", Change),
    ("POST", "/artifacts", "artifact.put", Said),
    ("GET", "/artifacts/{hash}", "artifact.read", Read),
    ("POST", "/reindex", "reindex", Said),
    ("GET", "/tokens", "token.list", Read),
    ("POST", "/tokens", "token.create", Change),
    ("DELETE", "/tokens/{name}", "token.revoke", Change),
    ("POST", "/stop", "stop", Change),
    ("DELETE", "/stop", "lift", Change),
    ("POST", "/schedules", "schedule.create", Change),
    ("GET", "/schedules/{id}", "schedule.read", Read),
    ("PUT", "/schedules/{id}", "schedule.update", Change),
    ("DELETE", "/schedules/{id}", "schedule.remove", Change),
    ("POST", "/schedules/{id}/pause", "schedule.pause", Change),
    ("POST", "/schedules/{id}/resume", "schedule.resume", Change),
    ("POST", "/schedules/{id}/run", "schedule.run", Said),
    ("GET", "/schedules/{id}/events", "schedule.read", Read),
    ("GET", "/audit", "audit.read", Read),
];

/// What a handler says of its deed, where the route does not tell: the verb, and a thing that it is done to.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) what: &'static str,
    pub(crate) on: Option<(&'static str, String)>,
}

/// The code of a problem, beside the answer.
#[derive(Clone)]
pub(crate) struct Problem(pub(crate) String);

/// Where acts are entered, if anywhere. Cheap to clone.
#[derive(Clone, Default)]
pub struct Trail(Option<Arc<Inner>>);

struct Inner {
    log: Arc<dyn Audit>,
    seen: Mutex<Seen>,
}

/// What was entered lately.
#[derive(Default)]
struct Seen {
    reads: HashMap<String, Timestamp>,
    /// Requests of known tokens that were refused, and those of nobody: these must not hide those.
    refused: [Minute; 2],
}

/// A minute that is counted: how many were refused in it, and how many of those were not entered.
#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    of: i64,
    count: u32,
    missed: u32,
}

impl Minute {
    /// Counts one more. Says whether it is entered, and with how many that were not.
    fn one_more(&mut self, now: i64) -> Option<u32> {
        if self.of != now {
            (self.of, self.count) = (now, 0);
        }
        if self.count >= REFUSALS {
            self.missed = self.missed.saturating_add(1);
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.missed))
    }
}

/// Who asks without a token.
const NOBODY: &str = "nobody";
/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;
/// Reads that are remembered. Once there are more, they are entered again.
const READS: usize = 4_096;
/// Refusals at the door that are entered in a minute.
const REFUSALS: u32 = 60;

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trail(…)")
    }
}

impl Trail {
    /// Enters into this log.
    #[must_use]
    pub fn new(log: Arc<dyn Audit>) -> Self {
        Self(Some(Arc::new(Inner { log, seen: Mutex::default() })))
    }

    /// Returns the log.
    pub(crate) fn log(&self) -> Option<&dyn Audit> {
        self.0.as_deref().map(|inner| &*inner.log)
    }

    /// Enters what the policy or a tool refused to an agent.
    pub fn refused(&self, refused: Refused) {
        let Some(inner) = &self.0 else { return };
        let Refused { at, session, call, agent, tool, what, rule } = refused;
        let on = [("session", session.to_string()), ("call", call.to_string()), ("tool", tool)];
        let mut on: BTreeMap<String, String> = on.map(|(kind, id)| (kind.to_owned(), id)).into();
        on.extend(rule.map(|rule| ("rule".to_owned(), rule)));
        let who = agent.map_or_else(|| "agent".to_owned(), |agent| format!("agent:{agent}"));
        let outcome = if what == "call.asked" { "asked" } else { "denied" }.to_owned();
        inner.log.note(Act { at, who, sender: None, from: None, what: what.to_owned(), on, outcome });
    }

    async fn enter(&self, act: Act, weight: Weight) -> Result<(), StoreError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        match weight {
            Change => inner.log.enter(act).await?,
            Said => inner.log.note(act),
            // Nothing was read; ids that are not there could be made up without end.
            Read if act.outcome != "ok" => {}
            Read if inner.is_fresh(&act) => inner.log.note(act),
            Read => {}
        }
        Ok(())
    }

    /// Enters that somebody was not let in.
    pub(crate) fn turned_away(&self, deed: Deed, error: &ApiError, at: Timestamp) {
        let Some(inner) = &self.0 else { return };
        let mut seen = inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let [known, nobody] = &mut seen.refused;
        let minute = if deed.who == NOBODY { nobody } else { known };
        let Some(missed) = minute.one_more(at.micros().div_euclid(MINUTE)) else { return };
        drop(seen);
        let mut on = deed.on;
        if missed > 0 {
            on.insert("not_entered".to_owned(), missed.to_string());
        }
        let what = "access.refused".to_owned();
        inner.log.note(Act { at, who: deed.who, sender: None, from: deed.from, what, on, outcome: error.code() });
    }
}

impl Inner {
    /// Says whether it is the first of its kind in a minute.
    fn is_fresh(&self, act: &Act) -> bool {
        let key = format!("{}\n{}\n{:?}\n{:?}\n{}", act.who, act.what, act.from, act.on, act.outcome);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.reads.get(&key).is_some_and(|before| act.at.micros() - before.micros() < MINUTE) {
            return false;
        }
        if seen.reads.len() >= READS {
            seen.reads.clear();
        }
        seen.reads.insert(key, act.at);
        true
    }
}

/// Who does what on which things.
pub(crate) struct Deed {
    pub(crate) who: String,
    pub(crate) sender: Option<String>,
    pub(crate) from: Option<String>,
    what: String,
    weight: Weight,
    on: BTreeMap<String, String>,
}

impl Deed {
    /// A command of a WebSocket.
    pub(crate) fn of_frame(what: &'static str, on: &[(&str, &str)], (who, from): (&Identity, String)) -> Self {
        let weight = if what.starts_with("approve") || ["deny", "answer"].contains(&what) { Change } else { Said };
        let on = on.iter().filter_map(|(kind, id)| Some(((*kind).to_owned(), shown(id)?))).collect();
        Self { who: who.name.to_string(), sender: None, from: Some(from), what: what.to_owned(), weight, on }
    }

    /// What a request asks, by its route.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let (method, extensions) = (request.method(), request.extensions());
        let pattern = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let path = pattern.strip_prefix(BASE).unwrap_or(pattern);
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        let verb = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let row = TABLE.iter().find(|(of, route, _, _)| *of == verb && *route == path);
        let (what, weight) = match row {
            Some((_, _, what, weight)) => ((*what).to_owned(), *weight),
            None if reads => ("list".to_owned(), Read),
            None => (format!("{verb} {path}"), Change),
        };
        let who = extensions.get::<Identity>().map_or_else(|| NOBODY.to_owned(), |who| who.name.to_string());
        let from = extensions.get::<Address>().map(|from| from.0.to_string());
        let sender = request.headers().get("outlive-sender");
        let sender = sender.and_then(|value| named(std::str::from_utf8(value.as_bytes()).ok()?));
        let mut on = things(pattern, request.uri().path());
        if row.is_none() {
            on.insert("route".to_owned(), shown(path).unwrap_or_default());
        }
        Some(Self { who, sender, from, what, weight, on }).filter(|deed| deed.what != "list" || deed.who == NOBODY)
    }

    fn act(self, at: Timestamp, outcome: String) -> Act {
        let Self { who, sender, from, what, on, .. } = self;
        Act { at, who, sender, from, what, on, outcome }
    }
}

/// Kinds and ids that stand in a path, by the pattern that it fits.
fn things(pattern: &str, path: &str) -> BTreeMap<String, String> {
    let kind = |before: &str| match before {
        "approvals" => "call",
        "agents" => "agent",
        "questions" => "question",
        "artifacts" => "artifact",
        "schedules" => "schedule",
        "tokens" => "token",
        _ => "session",
    };
    let parts: Vec<(&str, &str)> = pattern.split('/').zip(path.split('/')).collect();
    let ids = parts.windows(2).filter(|pair| pair[1].0.starts_with('{'));
    ids.filter_map(|pair| Some((kind(pair[0].0).to_owned(), shown(pair[1].1)?))).collect()
}

/// An id as it can be entered: whatever else somebody sends as one is not.
fn shown(id: &str) -> Option<String> {
    let fits = id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:{}".contains(&byte));
    fits.then(|| id.to_owned())
}

/// Enters what a request did, once it is known what came of it.
pub(crate) async fn follow(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(deed) = Deed::of(&request).filter(|_| app.settings.audit.0.is_some()) else {
        return next.run(request).await;
    };
    if deed.weight != Change {
        return entered(&app, deed, next.run(request).await).await;
    }
    // What is changed is entered, also when whoever asked has gone.
    let runtime = Arc::clone(&app.runtime);
    let whole = runtime.see_through(async move { entered(&app, deed, next.run(request).await).await }).await;
    whole.unwrap_or_else(|error| ApiError::from(error).into_response())
}

async fn entered(app: &App, mut deed: Deed, response: Response) -> Response {
    if let Some(told) = response.extensions().get::<Told>() {
        told.what.clone_into(&mut deed.what);
        deed.on.extend(told.on.as_ref().and_then(|(kind, id)| Some(((*kind).to_owned(), shown(id)?))));
    }
    if let Some(made) = response.headers().get(header::LOCATION).and_then(|made| made.to_str().ok()) {
        let kind = if made.contains("/agents/") { "agent" } else { "session" };
        deed.on.extend(made.rsplit('/').next().and_then(|id| Some((kind.to_owned(), shown(id)?))));
    }
    let problem = response.extensions().get::<Problem>().map(|problem| problem.0.clone());
    let outcome = problem.unwrap_or_else(|| {
        let status = response.status();
        if status.is_success() || status.is_informational() { "ok".to_owned() } else { status.as_u16().to_string() }
    });
    let stops = deed.what == "stop";
    match record(app, deed, outcome).await {
        Err(error) if !stops => error.into_response(),
        Ok(()) | Err(_) => response,
    }
}

/// Enters a deed of a known outcome.
///
/// # Errors
///
/// It was to be entered before its answer, and cannot be.
pub(crate) async fn record(app: &App, deed: Deed, outcome: String) -> Result<(), ApiError> {
    let weight = deed.weight;
    let entered = app.settings.audit.enter(deed.act(app.runtime.moments().now(), outcome), weight).await;
    entered.map_err(|error| {
        tracing::error!(%error, "what was done could not be entered into the audit log");
        ApiError::from(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_verb() {
        let document: serde_json::Value = serde_json::from_str(&crate::openapi()).expect("JSON");
        for (path, operations) in document["paths"].as_object().expect("paths") {
            let path = path.strip_prefix(BASE).unwrap_or(path);
            for method in operations.as_object().expect("operations").keys().map(|method| method.to_uppercase()) {
                let has_row = TABLE.iter().any(|(of, route, _, _)| *of == method && *route == path);
                assert!(has_row || method == "GET", "{method} {path}");
            }
        }
    }

    #[test]
    fn so_many_refusals_are_entered_in_a_minute_and_the_others_are_counted() {
        let mut minute = Minute::default();
        let entered = (0..REFUSALS + 5).filter_map(|_| minute.one_more(7)).collect::<Vec<u32>>();
        assert_eq!(entered, vec![0; usize::try_from(REFUSALS).expect("few")]);
        assert_eq!(minute.one_more(8), Some(5));
        assert_eq!(minute.one_more(8), Some(0));
    }

    #[test]
    fn only_ids_are_entered_as_ids() {
        let pattern = "/api/v1/sessions/{id}/approvals/{call}";
        let of = |path: &str| things(pattern, path).into_iter().map(|(kind, id)| format!("{kind}={id}")).collect();
        let said: Vec<String> = of("/api/v1/sessions/ses_1/approvals/call_2");
        assert_eq!(said, ["call=call_2", "session=ses_1"]);
        let hostile: Vec<String> = of("/api/v1/sessions/a%0Ab/approvals/call_2");
        assert_eq!(hostile, ["call=call_2"]);
    }
}
