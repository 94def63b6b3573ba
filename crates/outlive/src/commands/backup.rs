//! Makes a backup of a workspace while it is written, and tries it out; or tries one out that was made.
//!
//! Journals come from the server, which gives what is acknowledged and nothing else; a server that dies meanwhile is started
//! again. Files come from the disk, after the journals: what a journal names is there by then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::id::SessionId;
use outlive_protocol::Page;
use outlive_protocol::event::Events;
use outlive_protocol::session::SessionRow;
use outlive_store::backup::{self, Journal, Report, Writer};
use outlive_store::files::fs::RealDisk;
use outlive_store::files::kept::Kept;

use crate::cli::Backup;
use crate::client::{Client, connect, encoded};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// How often a server that is gone is looked for again.
const TRIES: usize = 5;
/// How often a session is looked for that is in no part: what was erased meanwhile never is.
const ROUNDS: usize = 3;

pub async fn run(place: &Workspace, wanted: &Backup) -> Outcome {
    if let Some(archive) = &wanted.check {
        let report = backup::check(archive).map_err(|error| failed(archive, &error))?;
        return answer(archive, &report, wanted.json);
    }
    let Some(target) = &wanted.target else { return Err(Failure::Usage("name a file to write".to_owned())) };
    let target = named(target);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (inside, root) = (std::fs::canonicalize(folder), std::fs::canonicalize(&place.root));
    if inside.is_ok_and(|inside| root.is_ok_and(|root| inside.starts_with(root))) {
        let why = format!("{} lies in the workspace that is backed up: name a place outside of it", target.display());
        return Err(Failure::Usage(why));
    }
    let mut writer = Writer::begin(&target, env!("CARGO_PKG_VERSION")).map_err(|error| failed(&target, &error))?;
    let mut source = Source { place, client: connect(place).await?, tries: TRIES };
    // What moves into or out of the trash meanwhile is in one of the two parts: what was in neither is looked for again.
    let mut known: BTreeSet<SessionId> = backup::in_trash(&place.root)?.into_iter().collect();
    let sessions = source.sessions().await?;
    known.extend(&sessions);
    let mut missing: Vec<SessionId> = sessions.into_iter().collect();
    for _ in 0..ROUNDS {
        for session in missing {
            source.put(&mut writer, session).await?;
        }
        writer.rest(&place.root)?;
        missing = writer.lacks(&known);
        if missing.is_empty() {
            break;
        }
    }
    let sealed = writer.seal().map_err(|error| failed(&target, &error))?;
    let mut report = Report::default();
    if !wanted.no_verify {
        report = sealed.check()?;
        if !report.problems.is_empty() {
            // What is no good backup gets no name.
            return answer(&target, &report, wanted.json);
        }
    }
    let bytes = sealed.publish().map_err(|error| failed(&target, &error))?;
    if let Err(error) = note(&place.root, &target) {
        say!("the workspace could not note where it is: {error}");
    }
    if wanted.no_verify {
        if wanted.json {
            show::json(&serde_json::json!({ "archive": target, "bytes": bytes, "report": null }))?;
        } else {
            say!("made {}, {bytes} bytes, not tried out: `outlive backup --check FILE` does", target.display());
        }
        return ok();
    }
    answer(&target, &report, wanted.json)
}

/// Where the workspace's backups are noted: what is forgotten is still in them.
fn noted(root: &Path) -> Kept {
    Kept::at(Arc::new(RealDisk), root.join("backups.json"))
}

/// Returns the backups that were made of a workspace and are still there, oldest first.
pub fn made(root: &Path) -> Vec<PathBuf> {
    let read = noted(root).read().ok().flatten();
    let known: Vec<PathBuf> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    known.into_iter().filter(|path| path.exists()).collect()
}

fn note(root: &Path, target: &Path) -> std::io::Result<()> {
    let path = std::path::absolute(target)?;
    let others = made(root).into_iter().filter(|other| *other != path);
    let all: Vec<PathBuf> = others.chain([path.clone()]).collect();
    noted(root).replace(&serde_json::to_vec(&all)?)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}

/// A folder gets a file with a name of its own, by the time.
fn named(target: &Path) -> PathBuf {
    if !target.is_dir() {
        return target.to_owned();
    }
    use outlive_runtime::clock::{Clock as _, SystemClock};
    let now: String = SystemClock.now().to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    target.join(format!("outlive-{}Z.tar", now.split('.').next().unwrap_or_default().trim_end_matches('Z')))
}

fn answer(archive: &Path, report: &Report, json: bool) -> Outcome {
    if json {
        show::json(&serde_json::json!({ "archive": archive, "report": report }))?;
    } else {
        let Report { sessions, events, files, bytes, .. } = report;
        say!("{}: {sessions} sessions, {events} events, {files} files, {bytes} bytes", archive.display());
        report.warnings.iter().for_each(|warning| say!("warning: {warning}"));
        report.problems.iter().for_each(|problem| say!("{problem}"));
    }
    if report.problems.is_empty() {
        if !json {
            say!("unpacked on trial, and every journal folds: a good backup");
        }
        return ok();
    }
    Err(Failure::Failed("this is no good backup".to_owned()))
}

/// Where journals come from.
struct Source<'a> {
    place: &'a Workspace,
    client: Client,
    tries: usize,
}

impl Source<'_> {
    /// Asks, of a server that is started again where it has died.
    async fn get<T: serde::de::DeserializeOwned>(&mut self, route: &str) -> Result<T, Failure> {
        loop {
            match self.client.get(route).await {
                Err(Failure::Unreachable(_) | Failure::Busy(_)) if self.tries > 0 => {
                    self.tries -= 1;
                    self.client = connect(self.place).await?;
                }
                other => return other,
            }
        }
    }

    /// Returns all sessions, in an order that nothing which happens meanwhile can change: those that are listed, and those
    /// that have a folder.
    async fn sessions(&mut self) -> Result<BTreeSet<SessionId>, Failure> {
        let mut sessions: BTreeSet<SessionId> = backup::on_disk(&self.place.root)?.into_iter().collect();
        let mut cursor = String::new();
        loop {
            let page: Page<SessionRow> = self.get(&format!("/sessions?sort=created&limit=200{cursor}")).await?;
            sessions.extend(page.items.iter().filter_map(|row| row.id.parse::<SessionId>().ok()));
            let Some(next) = page.next_cursor else { return Ok(sessions) };
            cursor = format!("&cursor={}", encoded(&next));
        }
    }

    /// Puts a session's journal in, up to its head of now. One that is gone meanwhile stays out; one that is damaged goes in
    /// as it lies there.
    async fn put(&mut self, writer: &mut Writer, session: SessionId) -> Result<(), Failure> {
        let (mut journal, mut goal) = (Journal::new(session), u64::MAX);
        while journal.head() < goal {
            let route = format!("/sessions/{session}/events?after={}&limit=1000", journal.head());
            match self.get::<Events>(&route).await {
                Ok(page) => {
                    // What is written from now on is not waited for: there may be no end to it.
                    goal = goal.min(page.head);
                    page.items.iter().try_for_each(|line| journal.push(line.get()))?;
                }
                Err(Failure::NotFound(_)) => return Ok(()),
                Err(Failure::Failed(why)) if why.ends_with("(journal_corrupt)") => {
                    return Ok(writer.damaged(&self.place.root, session)?);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(writer.journal(journal)?)
    }
}
