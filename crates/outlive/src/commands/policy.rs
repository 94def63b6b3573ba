//! Says what an agent may do, and by which rule. Reads the files as they are: needs no server.

use std::process::ExitCode;
use std::sync::Arc;

use outlive_core::agent;
use outlive_core::policy::{LOCAL_POLICY, Mode, Outcome as Becomes, Place, Policy, Reach, Rule, Subject, Verdict};
use outlive_runtime::{catalog, kit};
use outlive_store::AgentFolders as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_tools::path::{Want, resolve};
use serde::Serialize;

use crate::cli::policy::{Explain, Policy as Command, Test};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// Exit code of what may not run without a person, or at all.
const DENIED: u8 = 4;

pub fn run(place: &Workspace, command: &Command) -> Outcome {
    match command {
        Command::Test(wanted) => test(place, wanted),
        Command::Explain(wanted) => explain(place, wanted),
    }
}

/// An agent's rules, and where its files are.
struct Rules<'a> {
    place: &'a Workspace,
    agent: String,
    policy: Policy,
}

impl<'a> Rules<'a> {
    fn of(place: &'a Workspace, wanted: Option<&str>) -> Result<Self, Failure> {
        let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
        let names = folders.names().map_err(Failure::failed)?;
        let agent = match (wanted, names.as_slice()) {
            (Some(name), _) => name.to_owned(),
            (None, [only]) => only.clone(),
            (None, _) if names.iter().any(|name| name == "default") => "default".to_owned(),
            (None, _) => {
                return Err(Failure::Usage("name an agent with -a; `outlive agent list` shows them".to_owned()));
            }
        };
        let files = folders.read(&agent).map_err(Failure::failed)?;
        let files = files.ok_or_else(|| Failure::NotFound(format!("there is no agent `{agent}`")))?;
        Ok(Self { place, agent, policy: agent::policy(&files) })
    }

    fn shown(&self, place: &Place) -> String {
        let folder = self.place.root.join("agents").join(&self.agent);
        let file = match &*place.file {
            file @ ("policy.yaml" | LOCAL_POLICY) => folder.join(file),
            _workspace => self.place.root.join("policy.yaml"),
        };
        format!("{}:{}", file.display(), place.line)
    }
}

/// A part, for programs.
#[derive(Debug, Serialize)]
struct PartView {
    part: String,
    verdict: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What `policy test` says, for programs.
#[derive(Debug, Serialize)]
struct Judged {
    agent: String,
    verdict: &'static str,
    rule: String,
    /// What an `always` would store.
    #[serde(skip_serializing_if = "Option::is_none")]
    always: Option<String>,
    parts: Vec<PartView>,
}

fn word(becomes: Becomes) -> &'static str {
    match becomes {
        Becomes::Allow => "allow",
        Becomes::Ask => "ask",
        Becomes::Deny => "deny",
    }
}

fn test(place: &Workspace, wanted: &Test) -> Outcome {
    let rules = Rules::of(place, wanted.agent.as_deref())?;
    let works = catalog::place(&place.root, &place.cwd);
    let subject = subject(&wanted.tool, &wanted.command, &works)?;
    let judgement = kit::judge(&rules.policy, &works, &subject);
    let parts = judgement.parts.iter().map(|part| PartView {
        part: part.part.clone(),
        verdict: word(part.outcome),
        rule: part.rule.clone(),
        at: part.place.as_ref().map(|place| rules.shown(place)),
    });
    let granted = |rule: &str| rules.policy.grants.iter().find(|grant| grant.rule == rule);
    let (verdict, rule, always) = match &judgement.verdict {
        Verdict::Allow { rule } => (Becomes::Allow, rule.clone(), None),
        Verdict::Deny { reason, .. } => (Becomes::Deny, reason.clone(), None),
        Verdict::Ask { rule, suggestion } => match granted(suggestion) {
            Some(grant) => (Becomes::Allow, format!("granted at {}", rules.shown(&grant.place)), None),
            None => (Becomes::Ask, rule.clone(), Some(suggestion.clone())),
        },
    };
    let judged = Judged { agent: rules.agent.clone(), verdict: word(verdict), rule, always, parts: parts.collect() };
    if wanted.json {
        show::json(&judged)?;
    } else {
        print(&judged);
    }
    if verdict == Becomes::Allow { ok() } else { Ok(ExitCode::from(DENIED)) }
}

fn print(judged: &Judged) {
    for part in &judged.parts {
        let at = part.at.as_ref().map(|at| format!("  {at}")).unwrap_or_default();
        say!("{:6} {}", part.verdict, part.part.replace('\n', "\n       "));
        say!("       {}{at}", part.rule);
    }
    say!("=> {} for agent `{}`: {}", judged.verdict, judged.agent, judged.rule);
    if let Some(always) = &judged.always {
        say!("   always would store: {always}");
    }
}

/// What a call of this tool on this target would be.
fn subject(tool: &str, target: &str, works: &outlive_tools::Place) -> Result<Subject, Failure> {
    let want = match tool {
        "read" | "list" | "glob" | "grep" => Some(Want::Read),
        "write" | "edit" => Some(Want::Write),
        "bash" | "cli" | "web" | "mcp" | "skill" | "session" | "schedule" => None,
        _ => return Err(Failure::Usage(format!("no rules are about a tool `{tool}`"))),
    };
    let (tool, target) = (tool.to_owned(), target.to_owned());
    match want {
        None => Ok(Subject { tool, target, reach: Reach::Beyond }),
        Some(want) => {
            let found = resolve(works, &target, want).map_err(Failure::Usage)?;
            Ok(Subject { tool, target: found.name, reach: found.reach })
        }
    }
}

/// A rule, for programs.
#[derive(Debug, Serialize)]
struct RuleView {
    list: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What `policy explain` says, for programs.
#[derive(Debug, Serialize)]
struct Explained {
    agent: String,
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    rules: Vec<RuleView>,
}

fn explain(place: &Workspace, wanted: &Explain) -> Outcome {
    let rules = Rules::of(place, wanted.agent.as_deref())?;
    let policy = &rules.policy;
    let view = |list: &'static str, rule: &Rule| {
        let at = rule.place().map(|place| rules.shown(place));
        RuleView { list, rule: rule.to_string(), at }
    };
    let lists = [("deny", &policy.deny), ("ask", &policy.ask), ("allow", &policy.allow)];
    let mut all: Vec<RuleView> =
        lists.into_iter().flat_map(|(list, rules)| rules.iter().map(move |rule| view(list, rule))).collect();
    let granted = |rule: String, place| RuleView { list: "grant", rule, at: Some(rules.shown(place)) };
    all.extend(policy.grants.iter().map(|grant| granted(grant.rule.clone(), &grant.place)));
    all.extend(policy.notify.iter().map(|notify| view("notify", &notify.rule)));
    let mode = policy.mode.unwrap_or_default();
    let explained = Explained { agent: rules.agent.clone(), mode, unreadable: policy.unreadable.clone(), rules: all };
    if wanted.json {
        show::json(&explained)?;
        return ok();
    }
    say!("agent `{}`, mode {}", explained.agent, show_mode(mode));
    if let Some(why) = &explained.unreadable {
        say!("everything is denied, because the policy cannot be read: {why}");
    }
    for rule in &explained.rules {
        say!("{:6} {}  {}", rule.list, rule.rule, rule.at.as_deref().unwrap_or_default());
    }
    say!("where no rule speaks: {}", otherwise(mode));
    ok()
}

fn show_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => "ask",
        Mode::Restrict => "restrict",
        Mode::Dangerous => "dangerous",
    }
}

fn otherwise(mode: Mode) -> &'static str {
    match mode {
        Mode::Ask => "files in the working folder are free, all else is asked",
        Mode::Restrict => "files in the working folder can be read, all else is denied",
        Mode::Dangerous => {
            "all is allowed; what is not understood is asked where any rule denies or asks about a command"
        }
    }
}
