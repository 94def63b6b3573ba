//! Judges a call part by part: a command line by each thing that it does, any other call as one.
//!
//! Invariants: a part that is denied denies the call; a call is allowed only if each of its parts is. What is not understood is
//! allowed by no rule, and where commands are denied at all not by a mode either.

use super::rule::Place;
use super::shell::{self, Part, Role, Touch, Word};
use super::words::Program;
use super::{Mode, Notify, Policy, Reach, Rule, Subject, Verdict, deny, own};

/// Finds what a path of a command line really is: the subject of reading or writing it, or why it cannot be told.
pub type Look<'a> = &'a dyn Fn(&str, Touch) -> Result<Subject, String>;

/// What becomes of a part, or of a call. The graver one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It may run.
    Allow,
    /// A person decides.
    Ask,
    /// It never runs.
    Deny,
}

/// One part of a call, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The part, in words.
    pub part: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The rule that says so, or the default in words.
    pub rule: String,
    /// Where the rule stands.
    pub place: Option<Place>,
}

/// A call, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Its parts, in the order in which they are written.
    pub parts: Vec<Judged>,
}

impl Judgement {
    /// Returns the parts that made it ask, each with the reason.
    #[must_use]
    pub fn because(&self) -> Vec<String> {
        let asks = self.parts.iter().filter(|judged| judged.outcome == Outcome::Ask);
        asks.map(|judged| format!("{} ({})", judged.part, judged.rule)).collect()
    }
}

/// Programs that start nothing by their arguments: a word that is the name of a denied program is only a word to them.
const LEAVES: &str = "\
    [ basename cat cd chmod chown cmp column comm cp cut date df diff dirname du echo egrep false fgrep file fold \
    git grep head hexdump hostname id jq join kill ln ls md5sum mkdir mv nl od paste pgrep printf ps pwd readlink \
    realpath rev rg rm rmdir seq sha256sum sleep sort stat tac tail tee test touch tr type which tree uniq wc";

impl Policy {
    /// Judges a call. `look` finds the paths of a command line.
    #[must_use]
    pub fn judge(&self, subject: &Subject, look: Look<'_>) -> Judgement {
        let closed = self.unreadable.is_some() || subject.reach == Reach::Forbidden;
        if subject.tool != "bash" || closed {
            let verdict = self.rule_whole(subject);
            return Judgement { parts: vec![self.as_part(subject, &verdict)], verdict };
        }
        let mut found = shell::parts(&subject.target);
        let works = |part: &Part| matches!(part, Part::Program { role: Role::Runs | Role::Carries, .. });
        if !found.iter().any(works) {
            // Nothing runs that they could steer: they are what is asked for.
            for part in &mut found {
                if let Part::Program { role, .. } = part {
                    *role = Role::Runs;
                }
            }
        }
        let mut parts: Vec<Judged> = found.iter().map(|part| self.part(part, look)).collect();
        if parts.is_empty() {
            parts.push(self.unknown("it runs nothing"));
        }
        if let Some(why) = own::hinted(&subject.target, &found) {
            parts.push(Judged {
                part: "not understood: a path".to_owned(),
                outcome: Outcome::Ask,
                rule: why.to_owned(),
                place: None,
            });
        }
        let gravest = parts.iter().rev().max_by_key(|judged| judged.outcome);
        let verdict = match gravest {
            Some(Judged { outcome: Outcome::Deny, rule, part, .. }) => {
                deny(rule.clone(), format!("denied by `{rule}`: {part}"))
            }
            Some(Judged { outcome: Outcome::Ask, rule, .. }) => {
                Verdict::Ask { rule: rule.clone(), suggestion: subject.as_rule() }
            }
            Some(Judged { outcome: Outcome::Allow, .. }) => Verdict::Allow { rule: rules_of(&parts) },
            None => deny("default: nothing to judge", "there is nothing to judge".to_owned()),
        };
        Judgement { verdict, parts }
    }

    /// Returns the `notify` rules that are about a call.
    #[must_use]
    pub fn notices(&self, subject: &Subject) -> Vec<&Notify> {
        let parts = if subject.tool == "bash" { shell::parts(&subject.target) } else { Vec::new() };
        let starts = |rule: &Rule| {
            let told = |words: &[Word]| rule.commands().is_some_and(|it| it.reaches(words));
            parts.iter().any(|part| matches!(part, Part::Program { words, .. } if told(words)))
        };
        let about = |notify: &&Notify| {
            if subject.tool == "bash" { starts(&notify.rule) } else { notify.rule.binds(subject) }
        };
        self.notify.iter().filter(about).collect()
    }

    fn as_part(&self, subject: &Subject, verdict: &Verdict) -> Judged {
        let (outcome, rule) = match verdict {
            Verdict::Allow { rule } => (Outcome::Allow, rule),
            Verdict::Ask { rule, .. } => (Outcome::Ask, rule),
            Verdict::Deny { rule, .. } => (Outcome::Deny, rule),
        };
        let part = format!("{} {}", subject.tool, subject.target);
        Judged { part, outcome, rule: rule.clone(), place: self.place_of(rule) }
    }

    fn place_of(&self, rule: &str) -> Option<Place> {
        let all = self.deny.iter().chain(&self.ask).chain(&self.allow);
        all.filter(|known| known.to_string() == rule).find_map(|known| known.place().cloned())
    }

    fn part(&self, part: &Part, look: Look<'_>) -> Judged {
        match part {
            Part::Program { words, role } => self.program(words, *role, look),
            Part::Unknown { why } => self.unknown(why),
            Part::Path { touch, path } => {
                let verb = if *touch == Touch::Read { "read" } else { "write" };
                let Some(path) = path else {
                    return self.unknown(&format!("it redirects to {verb} what is not written out"));
                };
                match look(path, *touch) {
                    Ok(subject) => self.as_part(&subject, &self.rule_whole(&subject)),
                    Err(why) => self.unknown(&format!("it redirects to {verb} `{path}`: {why}")),
                }
            }
        }
    }

    /// What is not understood: by the mode, which allows it only where no command is denied.
    fn unknown(&self, why: &str) -> Judged {
        let judged = |outcome, rule: &str| Judged {
            part: format!("not understood: {why}"),
            outcome,
            rule: rule.to_owned(),
            place: None,
        };
        let all = self.deny.iter().find(|rule| rule.commands().is_some_and(super::words::Words::is_all));
        if let Some(rule) = all {
            return by(Outcome::Deny, rule, format!("not understood: {why}"));
        }
        let fenced = self.deny.iter().chain(&self.ask).any(|rule| rule.commands().is_some());
        match self.mode.unwrap_or_default() {
            Mode::Restrict => judged(Outcome::Deny, "mode: restrict"),
            Mode::Dangerous if !fenced => judged(Outcome::Allow, "mode: dangerous"),
            Mode::Dangerous | Mode::Ask => judged(Outcome::Ask, "default: what is not understood is asked"),
        }
    }

    fn program(&self, words: &[Word], role: Role, look: Look<'_>) -> Judged {
        let part = shell::line(words);
        let said = |outcome, rule: &str| Judged { part: part.clone(), outcome, rule: rule.to_owned(), place: None };
        let binding = |rules: &[Rule]| {
            rules.iter().find(|rule| rule.commands().is_some_and(|it| it.names(words, Program::ByName))).cloned()
        };
        if let Some(rule) = binding(&self.deny) {
            return by(Outcome::Deny, &rule, part);
        }
        if let Some(rule) = binding(&self.ask) {
            return by(Outcome::Ask, &rule, part);
        }
        let otherwise = match role {
            Role::Steers => said(Outcome::Allow, "default: part of the shell"),
            Role::Carries => said(Outcome::Allow, "default: what it starts is judged"),
            Role::Runs => {
                let allowed = |rule: &&Rule| rule.commands().is_some_and(|it| it.names(words, Program::Exact));
                match (self.allow.iter().find(allowed), self.mode.unwrap_or_default()) {
                    (Some(rule), _) => by(Outcome::Allow, rule, part.clone()),
                    (None, Mode::Dangerous) => said(Outcome::Allow, "mode: dangerous"),
                    (None, Mode::Restrict) => said(Outcome::Deny, "mode: restrict"),
                    (None, Mode::Ask) => said(Outcome::Ask, "default: no rule allows it"),
                }
            }
        };
        if otherwise.outcome != Outcome::Allow {
            return otherwise;
        }
        if let Some(why) = self.doubt(words, role).or_else(|| own::named(words, look)) {
            return said(Outcome::Ask, &why);
        }
        otherwise
    }

    /// Says which rule that forbids or asks could be meant after all.
    fn doubt(&self, words: &[Word], role: Role) -> Option<String> {
        let rules = || self.deny.iter().chain(&self.ask);
        if let Some(rule) = rules().find(|rule| rule.commands().is_some_and(|it| it.reaches(words))) {
            return Some(format!("it could be what `{rule}` is about"));
        }
        let name = words.first().and_then(Word::literal).map_or("", shell::base);
        if role != Role::Runs || shell::listed(LEAVES, name) {
            return None;
        }
        // It may start what its arguments name.
        let named = |rule: &&Rule| {
            let program = rule.commands().and_then(super::words::Words::program);
            program.is_some_and(|program| words.iter().skip(1).any(|word| mentions(word, &program)))
        };
        rules().find(named).map(|rule| format!("its arguments name what `{rule}` is about"))
    }
}

/// Names each rule that allowed a part, once.
fn rules_of(parts: &[Judged]) -> String {
    let mut rules: Vec<&str> = Vec::new();
    for judged in parts {
        if !rules.contains(&judged.rule.as_str()) {
            rules.push(&judged.rule);
        }
    }
    rules.join(", ")
}

fn by(outcome: Outcome, rule: &Rule, part: String) -> Judged {
    Judged { part, outcome, rule: rule.to_string(), place: rule.place().cloned() }
}

/// Whether a word has this program's name in it, as a word of its own.
fn mentions(word: &Word, program: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let texts = word.bits().iter().filter_map(|bit| match bit {
        shell::Bit::Text(text) => Some(text.as_str()),
        shell::Bit::Gap => None,
    });
    texts.flat_map(|text| text.split(|c| !inside(c))).any(|piece| piece == program)
}
