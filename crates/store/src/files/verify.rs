//! Looks for damage: every line of every journal, every frame of the log. Repairs on request, and keeps what it takes out.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::{Seq, SessionId};
use serde::Serialize;

use super::frame;
use super::fs::{Disk, RealDisk, read_all};
use super::lock::{Lock, LockError};
use super::mend::{self, Mended};
use super::recover::{self, Recovery, Replay, Replays};
use super::tails;

/// Whether damage is only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only looks.
    No,
    /// Cuts torn tails; keeps of damaged journals the good beginning, with what the commit log has, and a copy of the rest
    /// beside them.
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

/// What one check goes through.
struct Round<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    repair: Repair,
    replays: Replays,
    report: Report,
    /// Journals that do not fit the log, as they are to be.
    mended: Vec<Mended>,
    /// Whether a repair is to bring the log to the journals and let it go.
    settles: bool,
}

/// Checks a workspace. A repair owns it meanwhile.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::ResourceBusy`] if another process owns what is to be repaired.
pub fn verify<D: Disk + Clone + 'static>(disk: &D, root: &Path, repair: Repair) -> io::Result<Report> {
    let _lock = if repair == Repair::Yes { Some(own(root)?) } else { None };
    let (replays, report, mended) = (Replays::new(), Report::default(), Vec::new());
    let mut round = Round { disk, root, repair, replays, report, mended, settles: false };
    for name in disk.list(&root.join("commit")).unwrap_or_default() {
        if let Some(number) = recover::number_of(&name, "log") {
            round.segment(&name, number)?;
        }
    }
    let mut sessions: BTreeSet<SessionId> = round.replays.keys().copied().collect();
    let trash = disk.list(&root.join("trash")).unwrap_or_default();
    let names = disk.list(&root.join("sessions")).unwrap_or_default();
    sessions.extend(names.iter().chain(&trash).filter_map(|name| name.parse::<SessionId>().ok()));
    // What is being erased is gone, however much of it is left.
    sessions.retain(|session| !trash.contains(&format!("{session}.gone")));
    for session in sessions {
        let is_here = disk.identity(&round.folder("sessions", session).join("events.jsonl")).is_ok();
        let is_there = disk.identity(&round.folder("trash", session).join("events.jsonl")).is_ok();
        round.journal(if is_there && !is_here { "trash" } else { "sessions" }, session)?;
    }
    let Round { replays, report, mended, settles, .. } = round;
    if repair == Repair::Yes && settles {
        mend::settle(&(Arc::new(disk.clone()) as Arc<dyn Disk>), root, &replays, mended)?;
    }
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

impl Round<'_> {
    fn problem(&mut self, file: String, line: u64, what: String) {
        self.report.problems.push(Problem { file, line, what, repaired: self.repair == Repair::Yes });
    }

    fn folder(&self, place: &str, session: SessionId) -> PathBuf {
        self.root.join(place).join(session.to_string())
    }

    /// Checks a segment of the log, and takes in what it holds.
    fn segment(&mut self, name: &str, number: u64) -> io::Result<()> {
        let bytes = read_all(self.disk, &self.root.join("commit").join(name), u64::MAX)?;
        let scan = frame::scan(&bytes, number);
        self.report.frames += scan.frames.len() as u64;
        recover::replay(&bytes, &scan, &mut self.replays, &mut Recovery::default());
        if scan.damaged {
            let what =
                "a frame in the middle is damaged; a start or a repair keeps a copy and goes on with the good ones";
            self.problem(format!("commit/{name}"), 0, what.to_owned());
            self.settles = true;
        }
        Ok(())
    }

    /// Checks a journal: its file by itself, and whether it fits the log. A repair of the file alone is done at once.
    fn journal(&mut self, place: &str, session: SessionId) -> io::Result<()> {
        let folder = self.folder(place, session);
        let path = folder.join("events.jsonl");
        let bytes = match read_all(self.disk, &path, u64::MAX) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.report.journals += u64::from(bytes.is_some());
        let bytes = bytes.unwrap_or_default();
        let (good, lines, wrong) = check(&bytes);
        self.report.lines += lines;
        let file = format!("{place}/{session}/events.jsonl");
        let rest = bytes.get(good..).unwrap_or_default();
        let is_tail = !rest.contains(&b'\n');
        if let Some(why) = &wrong {
            self.problem(file.clone(), lines + 1, unreadable(why, lines, rest));
        }
        let (misfits, whole) = self.misfits(session, &bytes);
        let fits = misfits.is_empty();
        misfits.into_iter().for_each(|(line, what)| self.problem(file.clone(), line, what));
        self.settles |= !fits;
        if self.repair == Repair::No || wrong.is_none() && fits {
            return Ok(());
        }
        let only_torn = is_tail && fits;
        if !bytes.is_empty() && !only_torn {
            mend::keep_aside(self.disk, &folder, "damaged", &bytes)?;
        }
        if !fits {
            self.mended.push(Mended { journal: session, lines: whole });
            return Ok(());
        }
        tails::cut(self.disk, &path, good as u64, bytes.len() as u64)
    }

    /// Says where a journal and the log do not fit, and what the two are together.
    fn misfits(&self, session: SessionId, bytes: &[u8]) -> (Vec<(Seq, String)>, Vec<Line>) {
        let Some(logged) = self.replays.get(&session) else { return (Vec::new(), Vec::new()) };
        let mut filed = Replay::default();
        for line in bytes.split(|byte| *byte == b'\n').filter_map(|text| sound(text).ok()) {
            filed.lines.entry(line.seq()).or_insert(line);
        }
        let whole = mend::together(&filed, Some(logged));
        let mut misfits = Vec::new();
        let differs = |(seq, line): &(&Seq, &Line)| filed.lines.get(*seq).is_some_and(|filed| filed != *line);
        if let Some((seq, _)) = logged.lines.iter().find(differs).filter(|_| !logged.removed) {
            misfits.push((*seq, "it is not the line that the commit log has, which was acknowledged".to_owned()));
        }
        let end = whole.len() as Seq;
        if let Some((goes_on, _)) = logged.lines.range(end + 1..).next() {
            let what = format!(
                "its good lines end before this one, and the commit log goes on at line {goes_on}; lines are missing; a \
                 repair ends the journal here and keeps what comes later beside it"
            );
            misfits.push((end + 1, what));
        }
        (misfits, whole)
    }
}

fn unreadable(why: &str, lines: u64, rest: &[u8]) -> String {
    let size = rest.len();
    if rest.contains(&b'\n') {
        format!("damaged ({why}): {lines} lines before it are good; {size} bytes from here on are not")
    } else {
        format!(
            "torn tail of {size} bytes ({why}): never acknowledged, or restored from the commit log at the next start"
        )
    }
}

/// Returns the bytes and number of good lines from the beginning, and what is wrong with the next one.
fn check(bytes: &[u8]) -> (usize, u64, Option<String>) {
    let (mut at, mut lines) = (0, 0);
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return (at, lines, Some("line has no end".to_owned()));
        };
        match sound(rest.get(..end).unwrap_or_default()) {
            Ok(line) if line.seq() == lines + 1 => {}
            Ok(line) => return (at, lines, Some(format!("seq {} where {} belongs", line.seq(), lines + 1))),
            Err(error) => return (at, lines, Some(error.to_string())),
        }
        lines += 1;
        at += end + 1;
    }
    (at, lines, None)
}

fn sound(text: &[u8]) -> Result<Line, outlive_core::event::LineError> {
    Line::check(text).and_then(|line| line.read().map(|_| line))
}
