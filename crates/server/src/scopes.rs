//! What each route needs of a token: the one place that says so. A route that has no row here is for `admin` alone.
//!
//! `read` sees what was said and done; `talk` also has sessions made, talked to, stopped, named and put away, and answers
//! questions; `approve` also decides on calls. What deletes, brings in what others made, changes what an agent is or may do, or
//! hands out tokens needs `admin`; so does a decision that is kept for all sessions of an agent.

use axum::http::Method;
use outlive_protocol::BASE;
use outlive_protocol::token::Scope::{self, Admin, Approve, Read, Talk};

/// Routes outside the base that anybody on a good Host may ask.
pub(crate) const OPEN: [&str; 3] = ["/livez", "/readyz", "/version"];

/// The route that takes a signature in place of a token.
pub(crate) const SIGNED: &str = "/api/v1/hooks/{name}";

/// Method, path, scope: under the base, but for the last rows.
const TABLE: &[(&str, &str, Scope)] = &[
    ("GET", "/agents", Read),
    ("POST", "/agents", Admin),
    ("GET", "/agents/{name}", Read),
    ("PUT", "/agents/{name}", Admin),
    ("DELETE", "/agents/{name}", Admin),
    // What an agent is made of may hold what its author keeps to himself.
    ("GET", "/agents/{name}/files", Admin),
    ("GET", "/agents/{name}/versions", Admin),
    ("GET", "/agents/{name}/export", Admin),
    ("GET", "/sessions", Read),
    ("POST", "/sessions", Talk),
    ("POST", "/sessions/import", Admin),
    ("GET", "/sessions/{id}", Read),
    ("PATCH", "/sessions/{id}", Talk),
    ("DELETE", "/sessions/{id}", Admin),
    ("POST", "/sessions/{id}/restore", Admin),
    ("GET", "/sessions/{id}/messages", Read),
    ("POST", "/sessions/{id}/messages", Talk),
    ("GET", "/sessions/{id}/events", Read),
    ("POST", "/sessions/{id}/interrupt", Talk),
    ("POST", "/sessions/{id}/pause", Talk),
    ("POST", "/sessions/{id}/resume", Talk),
    // Its checks run on the word of whoever begins it.
    ("POST", "/sessions/{id}/loop", Approve),
    ("DELETE", "/sessions/{id}/loop", Talk),
    ("GET", "/relays", Read),
    ("POST", "/relays", Admin),
    ("GET", "/relays/{name}", Read),
    ("POST", "/relays/{name}/start", Approve),
    ("GET", "/sessions/{id}/relay", Read),
    ("POST", "/sessions/{id}/relay", Approve),
    ("POST", "/sessions/{id}/waits", Talk),
    ("POST", "/sessions/{id}/signals", Talk),
    ("GET", "/waits", Read),
    // A relay's waits steer it: those take `approve`.
    ("POST", "/waits/{id}/fire", Talk),
    ("POST", "/waits/{id}/move", Talk),
    ("POST", "/waits/{id}/cancel", Talk),
    ("GET", "/notices", Read),
    ("POST", "/notices/{id}/retry", Talk),
    ("POST", "/notices/{id}/drop", Talk),
    ("GET", "/targets", Read),
    ("POST", "/targets/{name}/test", Admin),
    ("GET", "/tasks", Read),
    ("POST", "/sessions/{id}/compact", Talk),
    ("GET", "/sessions/{id}/checkpoints", Read),
    ("POST", "/sessions/{id}/checkpoints", Talk),
    ("GET", "/sessions/{id}/checkpoints/{checkpoint}", Read),
    ("POST", "/sessions/{id}/fork", Talk),
    ("POST", "/sessions/{id}/rewind", Talk),
    ("GET", "/sessions/{id}/export", Read),
    ("GET", "/sessions/{id}/approvals", Read),
    ("POST", "/sessions/{id}/approvals/{call}", Approve),
    ("GET", "/sessions/{id}/questions", Read),
    ("POST", "/sessions/{id}/questions/{question}", Talk),
    ("GET", "/sessions/{id}/context", Read),
    ("GET", "/sessions/{id}/queue", Read),
    ("PUT", "/sessions/{id}/queue", Talk),
    ("GET", "/events", Read),
    // Each of its frames is held to its own scope.
    ("GET", "/ws", Read),
    ("GET", "/inbox", Read),
    ("GET", "/memory", Read),
    ("GET", "/memory/{id}", Read),
    ("GET", "/search", Read),
    ("POST", "/memory", Talk),
    ("POST", "/memory/reflect", Talk),
    ("PATCH", "/memory/{id}", Talk),
    ("DELETE", "/memory/{id}", Admin),
    ("GET", "/schedules", Read),
    ("POST", "/schedules", Talk),
    ("GET", "/schedules/{id}", Read),
    ("PUT", "/schedules/{id}", Talk),
    ("DELETE", "/schedules/{id}", Admin),
    ("POST", "/schedules/{id}/pause", Talk),
    ("POST", "/schedules/{id}/resume", Talk),
    ("POST", "/schedules/{id}/run", Talk),
    ("GET", "/schedules/{id}/events", Read),
    ("GET", "/audit", Admin),
    ("GET", "/stop", Read),
    // Whoever decides what may run may stop it all; to let it go on again takes more.
    ("POST", "/stop", Approve),
    ("DELETE", "/stop", Admin),
    ("GET", "/trash", Read),
    ("DELETE", "/trash", Admin),
    ("POST", "/imports", Admin),
    ("POST", "/artifacts", Talk),
    ("GET", "/artifacts/{hash}", Read),
    ("GET", "/reindex", Read),
    ("POST", "/reindex", Admin),
    ("GET", "/tokens", Admin),
    ("POST", "/tokens", Admin),
    ("DELETE", "/tokens/{name}", Admin),
    ("GET", "/openapi.json", Read),
];

/// Outside the base.
const BESIDE: &[(&str, &str, Scope)] = &[("GET", "/metrics", Read)];

/// Returns what a route needs, by its pattern; `None` where the table does not name it.
pub(crate) fn named(method: &Method, pattern: &str) -> Option<Scope> {
    // What answers GET answers HEAD.
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let (table, path) = match pattern.strip_prefix(BASE) {
        Some(path) => (TABLE, path),
        None => (BESIDE, pattern),
    };
    table.iter().find(|(verb, route, _)| *verb == method && *route == path).map(|(_, _, scope)| *scope)
}

/// Returns what a request needs, by the route that it found. Where there is none, nothing is told but that.
pub(crate) fn needed(method: &Method, pattern: Option<&str>) -> Scope {
    match pattern {
        Some(pattern) => named(method, pattern).unwrap_or(Admin),
        None => Read,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Method and pattern of every route that the document has, but for those that are open.
    fn documented() -> BTreeSet<(String, String)> {
        let document: serde_json::Value = serde_json::from_str(&crate::openapi()).expect("JSON");
        let mut all = BTreeSet::from([("GET".to_owned(), format!("{BASE}/openapi.json"))]);
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                all.insert((method.to_uppercase(), path.clone()));
            }
        }
        all.retain(|(_, path)| !OPEN.contains(&path.as_str()) && path != SIGNED);
        all
    }

    #[test]
    fn every_route_has_its_scope_and_every_scope_its_route() {
        let under = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), format!("{BASE}{path}")));
        let beside = BESIDE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
        let listed: BTreeSet<(String, String)> = under.chain(beside).collect();
        assert_eq!(listed, documented());
    }

    #[test]
    fn what_no_row_names_is_for_admin_alone() {
        assert_eq!(needed(&Method::TRACE, Some("/api/v1/sessions")), Admin);
        assert_eq!(needed(&Method::GET, Some("/api/v1/later")), Admin);
        assert_eq!(needed(&Method::HEAD, Some("/api/v1/sessions")), Read);
    }
}
