//! What narrows a question: conditions on rows. One rule says what a session may know, for whoever looks and whoever lists.

use outlive_core::memory::Scope;
use outlive_core::time::Timestamp;
use rusqlite::types::Value;

use super::Sight;
use super::table::scope_number;

/// Conditions on `r` (a row) and `s` (its session).
pub(super) struct Narrow {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Narrow {
    /// Begins with this condition.
    pub(super) fn by(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Names a value.
    pub(super) fn name(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    pub(super) fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    pub(super) fn scope(&mut self, scope: Option<Scope>) {
        if let Some(scope) = scope {
            self.and(&format!("r.scope = {}", scope_number(scope)));
        }
    }

    /// What this one may know.
    pub(super) fn sight(&mut self, sight: &Sight) {
        let ways = ways(sight);
        if ways.is_empty() {
            return;
        }
        let ways: Vec<String> = ways.into_iter().map(|way| self.take(way)).collect();
        self.and(&format!("({})", ways.join(" OR ")));
    }

    pub(super) fn holding(&mut self, now: Timestamp, as_of: Option<Timestamp>) {
        let moment = self.name(as_of.unwrap_or(now).micros());
        self.and(&format!("(r.until IS NULL OR r.until > {moment})"));
        match as_of {
            None => self.and("r.taken IS NULL"),
            Some(_) => self.and(&format!("r.since <= {moment} AND (r.taken IS NULL OR r.taken > {moment})")),
        }
    }

    /// Names the values of a way.
    fn take(&mut self, (sql, values): Way) -> String {
        let mut parts = sql.split('?');
        let mut named = parts.next().unwrap_or_default().to_owned();
        for (value, part) in values.into_iter().zip(parts) {
            named.push_str(&self.name(value));
            named.push_str(part);
        }
        named
    }
}

/// A condition, and what stands in the place of each `?` in it.
type Way = (&'static str, Vec<Value>);

/// Returns the ways in which something may be known: what is for all; what its agent knows in every session, and in those of its
/// project; its own. Without a session, all that the agent's sessions noted. None where everything may be known.
fn ways(sight: &Sight) -> Vec<Way> {
    let agent = || sight.agent.clone().map(Value::from);
    let mut ways: Vec<Way> = Vec::new();
    if sight.session.is_some() || sight.agent.is_some() {
        ways.push(("r.scope = 3", Vec::new()));
    }
    let Some(session) = sight.session else {
        ways.extend(agent().map(|agent| ("r.agent = ?", vec![agent])));
        return ways;
    };
    ways.push(("r.session = (SELECT key FROM sessions WHERE id = ?)", vec![session.to_string().into()]));
    ways.extend(agent().map(|agent| ("r.agent = ? AND r.scope = 2", vec![agent])));
    let project = sight.project.clone().map(Value::from);
    ways.extend(agent().zip(project).map(|(agent, project)| {
        let sql = "r.agent = ? AND r.scope = 1 AND s.project = ?";
        (sql, vec![agent, project])
    }));
    ways
}

/// Returns what this session may know of what others noted, each way apart: an index has each in order.
pub(super) fn of_others(sight: &Sight) -> Vec<Narrow> {
    let own = sight.session.map(|session| session.to_string());
    let apart = |way: Way| {
        let mut narrow = Narrow::by("TRUE");
        let way = narrow.take(way);
        narrow.and(&way);
        if let Some(own) = &own {
            let own = narrow.name(own.clone());
            narrow.and(&format!("s.id <> {own}"));
        }
        narrow
    };
    ways(sight).into_iter().filter(|(sql, _)| !sql.starts_with("r.session")).map(apart).collect()
}

/// Returns what this agent's sessions noted, each scope apart, for the same reason.
pub(super) fn of_agent(agent: &str, scope: Option<Scope>) -> Vec<Narrow> {
    let scopes = [Scope::Session, Scope::Project, Scope::Agent, Scope::All];
    let apart = |one: Scope| {
        let mut narrow = Narrow::by("TRUE");
        let agent = narrow.name(agent.to_owned());
        narrow.and(&format!("r.agent = {agent}"));
        narrow.scope(Some(one));
        narrow
    };
    scopes.into_iter().filter(|one| scope.is_none_or(|scope| scope == *one)).map(apart).collect()
}
