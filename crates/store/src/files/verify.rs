//! Looks for damage: every line of every journal, every frame of the log. Repairs on request, and keeps what it takes out.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use serde::Serialize;

use super::frame::{self, Kind, Scan};
use super::fs::{Disk, RealDisk, read_all, replace};
use super::lock::{Lock, LockError};
use super::{recover, tails};

/// Whether damage is only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only looks.
    No,
    /// Cuts torn tails; sets damaged journals' rest aside beside them and keeps the good beginning.
    Yes,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Journals that were read.
    pub journals: u64,
    /// Good lines in them.
    pub lines: u64,
    /// Good frames in the log.
    pub frames: u64,
    /// What is wrong, in plain words.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the workspace.
    pub file: String,
    /// Line number, from 1; 0 where there are no lines.
    pub line: u64,
    /// What is wrong, and what follows from it.
    pub what: String,
    /// Whether it was mended.
    pub repaired: bool,
}

/// First line of each journal that the log still holds.
type Logged = BTreeMap<SessionId, Seq>;

/// Checks a workspace. A repair owns it meanwhile.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::ResourceBusy`] if another process owns what is to be repaired.
pub fn verify(disk: &dyn Disk, root: &Path, repair: Repair) -> io::Result<Report> {
    let _lock = if repair == Repair::Yes { Some(own(root)?) } else { None };
    let (mut report, mut logged) = (Report::default(), Logged::new());
    for name in disk.list(&root.join("commit")).unwrap_or_default().iter() {
        let Some(number) = recover::number_of(name, "log") else { continue };
        let bytes = read_all(disk, &root.join("commit").join(name), u64::MAX)?;
        let scan = frame::scan(&bytes, number);
        report.frames += scan.frames.len() as u64;
        note(&scan, &mut logged);
        if scan.damaged {
            let what = "a frame in the middle is damaged; the next start keeps a copy and goes on with the good ones";
            report.problems.push(Problem {
                file: format!("commit/{name}"),
                line: 0,
                what: what.to_owned(),
                repaired: false,
            });
        }
    }
    for name in disk.list(&root.join("sessions")).unwrap_or_default() {
        if let Ok(session) = name.parse::<SessionId>() {
            let good = journal(disk, root, (&name, repair), &mut report)?;
            let first = logged.remove(&session).unwrap_or(1);
            report.problems.extend(misfit(&name, good, first));
        }
    }
    report.problems.extend(logged.iter().filter_map(|(session, first)| misfit(&session.to_string(), 0, *first)));
    Ok(report)
}

/// Takes the workspace's lock, so that no server starts while files are cut.
fn own(root: &Path) -> io::Result<Lock> {
    RealDisk.make_dir(&root.join("run"))?;
    Lock::take(&root.join("run")).map_err(|error| match error {
        LockError::Owned(owner) => {
            let why = format!("workspace is owned by process {}; stop it before a repair", owner.pid);
            io::Error::new(io::ErrorKind::ResourceBusy, why)
        }
        LockError::Io(error) => error,
    })
}

/// Notes where the log of each journal begins.
fn note(scan: &Scan, logged: &mut Logged) {
    for (head, _) in &scan.frames {
        match head.kind {
            // What the file holds from before is removed with it at the next start.
            Kind::Removed => logged.insert(head.journal, 1),
            Kind::Lines => Some(*logged.entry(head.journal).or_insert(head.first)),
        };
    }
}

/// Says that a journal with so many good lines does not reach to where the log goes on with it.
fn misfit(name: &str, good: u64, first: Seq) -> Option<Problem> {
    let what =
        format!("its good lines end before this one, and the commit log goes on at line {first}; lines are missing");
    let file = format!("sessions/{name}/events.jsonl");
    (good + 1 < first).then(|| Problem { file, line: good + 1, what, repaired: false })
}

/// Checks a journal's file; returns how many good lines it begins with.
fn journal(disk: &dyn Disk, root: &Path, (name, repair): (&str, Repair), report: &mut Report) -> io::Result<u64> {
    let path = root.join("sessions").join(name).join("events.jsonl");
    let bytes = match read_all(disk, &path, u64::MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    report.journals += 1;
    let (good, lines, wrong) = check(&bytes);
    report.lines += lines;
    let Some(why) = wrong else { return Ok(lines) };
    let rest = bytes.len() - good;
    let is_tail = bytes.get(good..).is_some_and(|rest| !rest.contains(&b'\n'));
    if repair == Repair::Yes {
        if !is_tail {
            let aside = (1..).map(|n| path.with_file_name(format!("events.jsonl.damaged-{n}")));
            if let Some(aside) = aside.into_iter().find(|aside| disk.identity(aside).is_err()) {
                replace(disk, &aside, &bytes)?;
            }
        }
        tails::cut(disk, &path, good as u64, bytes.len() as u64)?;
    }
    let what = if is_tail {
        format!(
            "torn tail of {rest} bytes ({why}): never acknowledged, or restored from the commit log at the next start"
        )
    } else {
        format!("damaged ({why}): {lines} lines before it are good; {rest} bytes from here on are not")
    };
    let file = format!("sessions/{name}/events.jsonl");
    report.problems.push(Problem { file, line: lines + 1, what, repaired: repair == Repair::Yes });
    Ok(lines)
}

/// Returns the bytes and number of good lines from the beginning, and what is wrong with the next one.
fn check(bytes: &[u8]) -> (usize, u64, Option<String>) {
    let (mut at, mut lines) = (0, 0);
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return (at, lines, Some("line has no end".to_owned()));
        };
        let checked = Line::check(rest.get(..end).unwrap_or_default()).and_then(|line| line.read().map(|_| line));
        match checked {
            Ok(line) if line.seq() == lines + 1 => {}
            Ok(line) => return (at, lines, Some(format!("seq {} where {} belongs", line.seq(), lines + 1))),
            Err(error) => return (at, lines, Some(error.to_string())),
        }
        lines += 1;
        at += end + 1;
    }
    (at, lines, None)
}
