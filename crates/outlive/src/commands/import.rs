//! Brings in what other programs have: their conversations, and of Duragent the agents, too.
//!
//! Their files are read here and never written. Each conversation goes to the server on its own, which takes all of it or
//! nothing; the same one again is left as it is.

mod agents;
mod memories;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use outlive_core::id::AgentName;
use outlive_core::import::{ID_LABEL, PROGRAM_LABEL, Read, Talk};
use outlive_protocol::Page;
use outlive_protocol::import::{ImportTalk, ImportedTalk};
use outlive_protocol::session::SessionRow;
use outlive_store::foreign::{self, Unit};
use reqwest::Method;

use crate::client::{Client, connect, encoded};
use crate::config::{self, Workspace};
use crate::exit::{Failure, Outcome, ok};
use report::Report;

/// What to bring in.
#[derive(Debug, Args)]
pub struct Bring {
    /// The program that it is from
    pub program: Program,
    /// Its folder, or one below it, or one file
    pub path: PathBuf,
    /// The agent that goes on with the conversations; the only one, or `default`, when it is left out
    #[arg(short, long, value_parser = crate::cli::id::<AgentName>)]
    pub agent: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A program to bring something in from.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Program {
    /// A workspace of Duragent: `.duragent`, or the folder that holds it
    Duragent,
    /// Claude Code: `~/.claude`
    ClaudeCode,
    /// Codex CLI: `~/.codex`
    Codex,
    /// dagent: `chat.json` and `session.json`, wherever they lie below
    Dagent,
    /// OpenCode: `~/.local/share/opencode`
    Opencode,
    /// Not conversations: what Claude Code and Duragent remember in Markdown, for the memory files of `--agent`
    Memories,
}

impl Program {
    /// Returns whose conversations they are; `None` where they are none.
    fn talks(self) -> Option<foreign::Program> {
        match self {
            Self::Duragent => Some(foreign::Program::Duragent),
            Self::ClaudeCode => Some(foreign::Program::ClaudeCode),
            Self::Codex => Some(foreign::Program::Codex),
            Self::Dagent => Some(foreign::Program::Dagent),
            Self::Opencode => Some(foreign::Program::Opencode),
            Self::Memories => None,
        }
    }
}

/// Brings it in.
///
/// # Errors
///
/// There is nothing, or something could not be brought in; the report says what.
pub async fn run(place: &Workspace, bring: &Bring) -> Outcome {
    let Some(program) = bring.program.talks() else { return memories::run(place, bring) };
    let found = foreign::find(program, &bring.path, &scratch(place));
    let found = found.map_err(|error| Failure::NotFound(format!("{}: {error}", bring.path.display())))?;
    let mut report = Report::of(program.name(), bring);
    report.found(&found);
    let mut target = Target::of(place, bring, program.name()).await?;
    if program == foreign::Program::Duragent {
        target.agents.extend(agents::bring(place, bring, &mut report)?);
    }
    if found.units.is_empty() && report.agents.is_empty() {
        return Err(nothing(program, bring, &found));
    }
    let taken = target.take_all(&found.units, &mut report).await;
    report.print(bring.json)?;
    taken?;
    match report.sessions.failed {
        0 => ok(),
        failed => Err(Failure::Failed(format!("{failed} of {} sessions were not imported", report.sessions.found))),
    }
}

/// Says where something would lie, and why what lies there is not read.
fn nothing(program: foreign::Program, bring: &Bring, found: &foreign::Found) -> Failure {
    let why = found.skipped.first().map(|damage| format!("; {}: {}", damage.file, damage.reason)).unwrap_or_default();
    let (path, name, places) = (bring.path.display(), program.name(), program.places());
    Failure::NotFound(format!("{path}: no sessions of {name}: they lie in {places}{why}"))
}

/// A folder for copies of what cannot be read without being touched.
fn scratch(place: &Workspace) -> PathBuf {
    let run = place.root.join("run");
    if run.is_dir() { run } else { PathBuf::from(config::variable("TMPDIR").unwrap_or_else(|| "/tmp".to_owned())) }
}

/// Reads one conversation, and notes what there is to say of it.
fn read(unit: &Unit, report: &mut Report) -> Option<(Talk, Option<String>)> {
    let read = match unit.read() {
        Ok(read) => read,
        Err(error) => {
            report.failed(&unit.shown, &error.to_string());
            return None;
        }
    };
    let Some(Read { talk, too_large, agent, damages, damaged, left_out }) = read else {
        report.leave_out("sessions of subagents", 1);
        report.sessions.found -= 1;
        return None;
    };
    report.set_aside(damages, damaged);
    left_out.into_iter().for_each(|(what, count)| report.leave_out(what, count));
    match (talk, too_large) {
        (Some(talk), None) => return Some((talk, agent)),
        (_, Some(why)) => {
            report.sessions.too_large += 1;
            report.note(&unit.shown, &why);
        }
        (None, None) => report.sessions.empty += 1,
    }
    None
}

/// Where it goes.
struct Target {
    /// None where nothing is to be changed and no workspace is there.
    client: Option<Client>,
    is_dry: bool,
    /// The agent for all that name none.
    agent: String,
    is_named: bool,
    agents: BTreeSet<String>,
    /// What was imported before: the program's ids, with those of their sessions.
    before: BTreeMap<String, BTreeSet<String>>,
}

impl Target {
    async fn of(place: &Workspace, bring: &Bring, program: &str) -> Result<Self, Failure> {
        let named = bring.agent.clone();
        let mut target = Self {
            client: None,
            is_dry: bring.dry_run,
            is_named: named.is_some(),
            agent: named.clone().unwrap_or_else(|| "default".to_owned()),
            agents: BTreeSet::new(),
            before: BTreeMap::new(),
        };
        if bring.dry_run && !has_sessions(&place.root) {
            return Ok(target);
        }
        let client = connect(place).await?;
        target.agents = super::run::agents(&client).await?.into_iter().collect();
        target.agent = super::run::agent(&client, named.as_deref()).await?;
        if !target.agents.contains(&target.agent) {
            return Err(Failure::NotFound(format!("there is no agent `{}`", target.agent)));
        }
        target.before = before(&client, program).await?;
        target.client = Some(client);
        Ok(target)
    }

    async fn take_all(&self, units: &[Unit], report: &mut Report) -> Result<(), Failure> {
        for unit in units {
            if let Some(read) = read(unit, report) {
                self.take(unit, read, report).await?;
            }
        }
        Ok(())
    }

    /// Takes a conversation, or says that it would.
    async fn take(
        &self,
        unit: &Unit,
        (talk, agent): (Talk, Option<String>),
        report: &mut Report,
    ) -> Result<(), Failure> {
        let own = agent.filter(|agent| !self.is_named && self.agents.contains(agent));
        let (session, counts) = (talk.session().to_string(), (talk.messages(), talk.calls()));
        let before = self.before.get(&talk.source.id);
        let grown = before.is_some_and(|sessions| !sessions.contains(&session));
        let already = before.is_some_and(|sessions| sessions.contains(&session));
        let imported = match &self.client {
            Some(client) if !self.is_dry && !already => {
                let agent = own.unwrap_or_else(|| self.agent.clone());
                let body = ImportTalk { agent, talk, request_id: None };
                client.send::<ImportedTalk>(Method::POST, "/imports", &body).await.map(|done| done.already)
            }
            Some(_) | None => Ok(already),
        };
        match imported {
            Ok(already) => report.taken(&session, counts, (already, grown)),
            // It is not the conversation's fault: the next one would end the same.
            Err(failure @ (Failure::Unreachable(_) | Failure::Denied(_) | Failure::Busy(_))) => return Err(failure),
            Err(failure) => report.failed(&unit.shown, &failure.to_string()),
        }
        Ok(())
    }
}

fn has_sessions(root: &Path) -> bool {
    root.join("sessions").is_dir()
}

/// Asks which sessions came from a program.
async fn before(client: &Client, program: &str) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
    let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let label = encoded(&format!("{PROGRAM_LABEL}={program}"));
    let mut cursor = String::new();
    loop {
        let page: Page<SessionRow> = client.get(&format!("/sessions?label={label}&limit=200{cursor}")).await?;
        for row in page.items {
            let id = row.labels.get(ID_LABEL).cloned().unwrap_or_default();
            before.entry(id).or_default().insert(row.id);
        }
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={}", encoded(&next)),
            None => return Ok(before),
        }
    }
}
