//! What an import did, or would do: counted, and with the place and the reason of everything that was not taken.

use std::collections::BTreeMap;

use outlive_core::import::Damage;
use outlive_store::foreign::Found;
use serde::Serialize;

use super::Bring;
use crate::exit::Failure;
use crate::show::{self, plain};

/// Places that are printed; more are counted.
const PRINTED: usize = 20;
/// Places that are kept, for JSON.
const KEPT: usize = 1_000;

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    program: &'static str,
    dry_run: bool,
    pub sessions: Sessions,
    messages: usize,
    calls: usize,
    pub agents: Vec<AgentReport>,
    /// New sessions.
    ids: Vec<String>,
    records_set_aside: u64,
    set_aside: Vec<Damage>,
    left_out: BTreeMap<&'static str, u64>,
    not_imported: Vec<Note>,
}

/// Sessions, by what became of them.
#[derive(Debug, Default, Serialize)]
pub struct Sessions {
    pub found: usize,
    imported: usize,
    grown: usize,
    already_there: usize,
    pub empty: usize,
    pub too_large: usize,
    pub failed: usize,
}

/// What became of an agent.
#[derive(Debug, Serialize)]
pub struct AgentReport {
    pub name: String,
    pub outcome: &'static str,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Note {
    file: String,
    reason: String,
}

impl Report {
    pub fn of(program: &'static str, bring: &Bring) -> Self {
        Self { program, dry_run: bring.dry_run, ..Self::default() }
    }

    /// Notes what there is.
    pub fn found(&mut self, found: &Found) {
        self.sessions.found = found.units.len();
        self.set_aside(found.skipped.clone(), found.skipped.len() as u64);
        found.left_out.iter().for_each(|(what, count)| self.leave_out(what, *count));
    }

    pub fn set_aside(&mut self, damages: Vec<Damage>, count: u64) {
        self.records_set_aside += count;
        let room = KEPT.saturating_sub(self.set_aside.len());
        self.set_aside.extend(damages.into_iter().take(room));
    }

    pub fn leave_out(&mut self, what: &'static str, count: u64) {
        *self.left_out.entry(what).or_default() += count;
    }

    pub fn note(&mut self, file: &str, reason: &str) {
        if self.not_imported.len() < KEPT {
            self.not_imported.push(Note { file: file.to_owned(), reason: reason.to_owned() });
        }
    }

    pub fn failed(&mut self, file: &str, reason: &str) {
        self.sessions.failed += 1;
        self.note(file, reason);
    }

    /// Notes what became of a session, and what it holds if it is new.
    pub fn taken(&mut self, session: &str, (messages, calls): (usize, usize), (already, grown): (bool, bool)) {
        if already {
            self.sessions.already_there += 1;
            return;
        }
        self.sessions.imported += 1;
        self.sessions.grown += usize::from(grown);
        self.messages += messages;
        self.calls += calls;
        self.ids.push(session.to_owned());
    }

    /// # Errors
    ///
    /// It cannot be JSON.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return show::json(self);
        }
        let Sessions { found, imported, grown, already_there, empty, too_large, failed } = self.sessions;
        let would = if self.dry_run { " (only looked: nothing was changed)" } else { "" };
        say!("{}: {} found{would}", self.program, counted(found, "session"));
        let holding = match imported {
            0 => String::new(),
            _ => format!(", with {} and {}", counted(self.messages, "message"), counted(self.calls, "call")),
        };
        let beside = match grown {
            0 => String::new(),
            grown => format!("; {grown} of them grown since an earlier import, which is left as it is"),
        };
        say!("  {imported} imported{holding}{beside}");
        for (count, what) in
            [(already_there, "already there"), (empty, "empty"), (too_large, "too large"), (failed, "failed")]
        {
            if count > 0 {
                say!("  {count} {what}");
            }
        }
        self.agents.iter().for_each(AgentReport::print);
        self.print_rest();
        Ok(())
    }

    fn print_rest(&self) {
        let left: Vec<String> = self.left_out.iter().map(|(what, count)| format!("{what} ({count})")).collect();
        if !left.is_empty() {
            say!("  left out: {}", left.join(", "));
        }
        for note in self.not_imported.iter().take(PRINTED) {
            say!("not imported: {}: {}", plain(&note.file), plain(&note.reason));
        }
        if self.records_set_aside > 0 {
            say!("set aside: {}", self.records_set_aside);
        }
        for Damage { file, line, reason } in self.set_aside.iter().take(PRINTED) {
            let place = if *line > 0 { format!("{}:{line}", plain(file)) } else { plain(file) };
            say!("  {place}: {}", plain(reason));
        }
        let rest = self.records_set_aside.saturating_sub(self.set_aside.len().min(PRINTED) as u64);
        if rest > 0 {
            say!("  and {rest} more");
        }
    }
}

impl AgentReport {
    fn print(&self) {
        say!("agent {}: {}", plain(&self.name), self.outcome);
        self.notes.iter().for_each(|note| say!("  {}", plain(note)));
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
