//! What a tool call may do: allow, ask, deny.
//!
//! Pure. A rule speaks of exactly what it names: a `bash` rule of one simple command, a file rule of one path, or of all below
//! a folder (`DIR/**`). A command line is taken apart ([`shell`]) and each part judged on its own ([`Policy::judge`]). Deny
//! beats ask beats allow, whatever the level; where no rule speaks, the mode does. Rules that forbid or ask reach further than
//! those that allow ([`Rule::binds`]), and into walks that start above what they name ([`Policy::closed`]).
//!
//! Invariants: what is forbidden stays so in every mode and under every rule; a policy that cannot be read denies all.

mod closed;
mod judge;
mod local;
mod own;
mod read;
mod rule;
pub mod shell;
mod words;

pub use closed::Closed;
pub use judge::{Judged, Judgement, Look, Outcome};
pub use local::with_grant;
pub use rule::{Place, Rule, RuleError, argument_vector, is_like};

use serde::{Deserialize, Serialize};

use crate::yaml::YamlError;

/// An agent's own rules on this machine: not exported, not versioned with it.
pub const LOCAL_POLICY: &str = "policy.local.yaml";

/// What rules look at: one call, already resolved against the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What rules call the tool: `bash`, `read`, `write`, `edit`, …
    pub tool: String,
    /// The command line, the resolved path, …: what follows the colon of a rule.
    pub target: String,
    /// How far it reaches when no rule speaks of it.
    pub reach: Reach,
}

/// How far a call reaches when no rule speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Within what the session was given: allowed.
    Within,
    /// Beyond it: asked.
    Beyond,
    /// Where no call may go, asked or not: denied.
    Forbidden,
}

/// Where a call led when it was ruled on. Links can change until it runs: it may then go nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// The real name of its path.
    pub target: String,
    /// How far that reached.
    pub reach: Reach,
}

impl Subject {
    /// Returns where the call leads, if that is a path; what other tools act on stands in their arguments.
    #[must_use]
    pub fn ruled(&self) -> Option<Ruled> {
        rule::names_path(&self.tool).then(|| Ruled { target: self.target.clone(), reach: self.reach })
    }

    /// Returns the rule that speaks of exactly this and nothing else: what an `always` stores.
    ///
    /// It is compared as a whole with later subjects' rules, never read as a pattern.
    #[must_use]
    pub fn as_rule(&self) -> String {
        format!("{}:{}", self.tool, self.target)
    }

    /// Whether the call only looks.
    fn reads(&self) -> bool {
        matches!(self.tool.as_str(), "read" | "list" | "glob" | "grep")
    }
}

/// What becomes of a call of which no rule speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Within the roots it is allowed, beyond them a person is asked.
    #[default]
    Ask,
    /// It is denied, but for reads within the roots.
    Restrict,
    /// It is allowed.
    Dangerous,
}

/// The rules of one level, or of several combined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The mode, where this level sets one.
    pub mode: Option<Mode>,
    /// What is refused.
    pub deny: Vec<Rule>,
    /// What a person is asked.
    pub ask: Vec<Rule>,
    /// What is permitted.
    pub allow: Vec<Rule>,
    /// Calls that a person allowed for good, each as an approval showed it: compared as a whole, never read as a pattern.
    pub grants: Vec<Grant>,
    /// Those of which is told when they ran.
    pub notify: Vec<Notify>,
    /// Why the policy could not be read: then all is refused.
    pub unreadable: Option<String>,
}

/// A call that a person allowed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it allows: one call.
    pub rule: String,
    /// Where it stands.
    pub place: Place,
}

/// A rule on calls of which somebody is told once they start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Which.
    pub rule: Rule,
    /// Where to; to the log, if nowhere else.
    pub webhook: Option<String>,
}

/// What may become of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may start.
    Allow {
        /// The rule that says so, or the default in words.
        rule: String,
    },
    /// A person decides.
    Ask {
        /// The rule that says so, or the default in words.
        rule: String,
        /// The rule that an `always` would store. Where a session was granted it before, the call may start.
        suggestion: String,
    },
    /// It never starts.
    Deny {
        /// The rule that says so, or the default in words.
        rule: String,
        /// What the model is told.
        reason: String,
    },
}

impl Policy {
    /// Reads a `policy.yaml`. `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// What is wrong and where: use [`Policy::unreadable`] with it, so that nothing runs on a policy that was not understood.
    pub fn parse(text: &str, file: &str) -> Result<Self, YamlError> {
        read::parse(text, file)
    }

    /// Returns the policy that denies everything, because the real one could not be read.
    #[must_use]
    pub fn unreadable(why: impl Into<String>) -> Self {
        Self { unreadable: Some(why.into()), ..Self::default() }
    }

    /// Whether a person allowed this for good.
    #[must_use]
    pub fn grants(&self, rule: &str) -> bool {
        self.unreadable.is_none() && self.grants.iter().any(|grant| grant.rule == rule)
    }

    /// Returns both levels' rules as one. The more specific level sets the mode, if it names one.
    #[must_use]
    pub fn combine(workspace: Self, agent: Self) -> Self {
        fn join<T>(mut a: Vec<T>, b: Vec<T>) -> Vec<T> {
            a.extend(b);
            a
        }
        Self {
            mode: agent.mode.or(workspace.mode),
            deny: join(workspace.deny, agent.deny),
            ask: join(workspace.ask, agent.ask),
            allow: join(workspace.allow, agent.allow),
            grants: join(workspace.grants, agent.grants),
            notify: join(workspace.notify, agent.notify),
            unreadable: workspace.unreadable.or(agent.unreadable),
        }
    }

    /// Rules on a call of which nothing but this is known: the paths of a command line are not.
    #[must_use]
    pub fn rule(&self, subject: &Subject) -> Verdict {
        self.judge(subject, &|_path, _touch| Err("where it leads is not known".to_owned())).verdict
    }

    /// Rules on a call that is one thing.
    fn rule_whole(&self, subject: &Subject) -> Verdict {
        let said = |rules: &[Rule], speaks: fn(&Rule, &Subject) -> bool| {
            rules.iter().find(|rule| speaks(rule, subject)).map(Rule::to_string)
        };
        if let Some(why) = &self.unreadable {
            return deny("unreadable policy", format!("the policy cannot be read, so nothing may run: {why}"));
        }
        if subject.reach == Reach::Forbidden {
            return deny("default: forbidden", format!("no call may go there, asked or not: {}", subject.target));
        }
        if let Some(rule) = said(&self.deny, Rule::binds) {
            let reason = format!("denied by the policy's rule `{rule}`");
            return deny(rule, reason);
        }
        let ask = |rule| Verdict::Ask { rule, suggestion: subject.as_rule() };
        if let Some(rule) = said(&self.ask, Rule::names) {
            return ask(rule);
        }
        let otherwise = match said(&self.allow, Rule::names) {
            Some(rule) => Verdict::Allow { rule },
            None => self.by_mode(subject),
        };
        // A rule that asks never opens what is denied, so what it only resembles is asked where it would be allowed.
        match (said(&self.ask, Rule::binds), &otherwise) {
            (Some(rule), Verdict::Allow { .. }) => ask(rule),
            (Some(_) | None, Verdict::Allow { .. } | Verdict::Ask { .. } | Verdict::Deny { .. }) => otherwise,
        }
    }

    /// Returns what a call that was allowed must still leave out where it walks: what a rule closes to it below.
    #[must_use]
    pub fn closed(&self, tool: &str, target: &str) -> Closed {
        let denied = self.deny.iter().filter(|rule| rule.is_on(tool));
        // Whoever was asked about the folder itself was asked about what is in it.
        let asked = self.ask.iter().filter(|rule| rule.is_on(tool) && !rule.covers(target));
        Closed::new(denied.chain(asked).cloned().collect())
    }

    fn by_mode(&self, subject: &Subject) -> Verdict {
        let allow = |rule: &str| Verdict::Allow { rule: rule.to_owned() };
        let within = subject.reach == Reach::Within;
        match self.mode.unwrap_or_default() {
            Mode::Dangerous => allow("mode: dangerous"),
            Mode::Restrict if within && subject.reads() => allow("default: a read within the roots"),
            Mode::Restrict => {
                deny("mode: restrict", "the policy's mode is `restrict`, and no allow rule names this call".to_owned())
            }
            Mode::Ask if within => allow("default: within the roots"),
            Mode::Ask => Verdict::Ask { rule: "default: beyond the roots".to_owned(), suggestion: subject.as_rule() },
        }
    }
}

fn deny(rule: impl Into<String>, reason: String) -> Verdict {
    Verdict::Deny { rule: rule.into(), reason }
}

#[cfg(test)]
mod tests;
