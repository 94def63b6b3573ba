//! Looks for damage: every line of every journal, every frame of the log. Repairs on request, and keeps what it takes out.

mod segments;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outlive_core::event::Line;
use outlive_core::id::{ScheduleId, Seq, SessionId};
use serde::Serialize;

use super::frame;
use super::fs::{Disk, RealDisk, read_all, replace};
use super::lock::{Lock, LockError};
use super::mend::{self, Mended};
use super::recover::{self, Recovery, Replay, Replays};
use super::scrub;
use super::tails;
use segments::Flaw;

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
    scrubs: scrub::Marks,
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
    let (replays, scrubs, report, mended) = (Replays::new(), scrub::Marks::new(), Report::default(), Vec::new());
    let mut round = Round { disk, root, repair, replays, scrubs, report, mended, settles: false };
    for name in disk.list(&root.join("commit")).unwrap_or_default() {
        if let Some(number) = recover::number_of(&name, "log") {
            round.segment(&name, number)?;
        }
    }
    // What is being written anew is its new lines already, wherever it is not yet.
    round.scrubs = scrub::marks(disk, root).unwrap_or_default();
    scrub::replay_anew(&round.scrubs, &mut round.replays);
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
    round.all_schedules()?;
    let Round { replays, report, mended, settles, .. } = round;
    if repair == Repair::Yes && settles {
        mend::settle(&(Arc::new(disk.clone()) as Arc<dyn Disk>), root, &replays, mended)?;
    }
    Ok(report)
}

/// Checks the journals of schedules alone; nothing is changed.
///
/// # Errors
///
/// What the system says.
pub fn schedules<D: Disk>(disk: &D, root: &Path) -> io::Result<Report> {
    let (replays, scrubs, report, mended) = (Replays::new(), scrub::Marks::new(), Report::default(), Vec::new());
    let mut round = Round { disk, root, repair: Repair::No, replays, scrubs, report, mended, settles: false };
    round.all_schedules()?;
    Ok(round.report)
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

    /// Checks a journal: its files by themselves, and whether they fit the log. A repair of the newest file alone is done at
    /// once.
    fn journal(&mut self, place: &str, session: SessionId) -> io::Result<()> {
        let folder = self.folder(place, session);
        let path = folder.join("events.jsonl");
        let bytes = match read_all(self.disk, &path, u64::MAX) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // After the file: lines move from it to segments, never back.
        let past = segments::inspect(self.disk, &folder)?;
        self.report.journals += u64::from(bytes.is_some() || past.last > 0);
        self.report.lines += past.lines;
        let is_lost = bytes.is_none() && past.last > 0;
        let bytes = bytes.unwrap_or_default();
        let Live { first, good, lines, wrong } = check(&bytes, past.last + 1);
        // A line that is in a segment, too, counts once.
        self.report.lines += lines.saturating_sub(past.last + 1 - first);
        let file = format!("{place}/{session}/events.jsonl");
        let rest = bytes.get(good..).unwrap_or_default();
        let is_tail = !rest.contains(&b'\n');
        if let Some(why) = &wrong {
            self.problem(file.clone(), lines + 1, unreadable(why, lines, rest));
        }
        if !past.flaws.is_empty() {
            return self.broken(place, session, &bytes, past.flaws);
        }
        let (misfits, whole) = self.misfits(session, &bytes, first);
        let fits = misfits.is_empty();
        misfits.into_iter().for_each(|(line, what)| self.problem(file.clone(), line, what));
        self.settles |= !fits;
        if is_lost && fits && whole.is_empty() {
            self.problem(file, 0, format!("it is not there, though segments hold the events up to {}", past.last));
            return if self.repair == Repair::Yes { replace(self.disk, &path, &[]) } else { Ok(()) };
        }
        if self.repair == Repair::No || wrong.is_none() && fits {
            return Ok(());
        }
        let only_torn = is_tail && fits;
        if !bytes.is_empty() && !only_torn {
            mend::keep_aside(self.disk, &folder, "damaged", &bytes)?;
        }
        if !fits {
            self.mended.push(Mended { journal: session, lines: whole, flawed: None });
            return Ok(());
        }
        tails::cut(self.disk, &path, good as u64, bytes.len() as u64)
    }

    fn all_schedules(&mut self) -> io::Result<()> {
        let names = self.disk.list(&self.root.join("schedules")).unwrap_or_default();
        names.iter().filter_map(|name| name.parse().ok()).try_for_each(|schedule| self.schedule(schedule))
    }

    /// Checks a schedule's journal, which stands by itself.
    fn schedule(&mut self, schedule: ScheduleId) -> io::Result<()> {
        let folder = self.root.join("schedules").join(schedule.to_string());
        let path = folder.join("events.jsonl");
        let bytes = match read_all(self.disk, &path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Live { good, lines, wrong, .. } = check(&bytes, 1);
        (self.report.journals, self.report.lines) = (self.report.journals + 1, self.report.lines + lines);
        let Some(why) = wrong else { return Ok(()) };
        let rest = bytes.get(good..).unwrap_or_default();
        self.problem(format!("schedules/{schedule}/events.jsonl"), lines + 1, unreadable(&why, lines, rest));
        if self.repair == Repair::No {
            return Ok(());
        }
        if rest.contains(&b'\n') {
            mend::keep_aside(self.disk, &folder, "damaged", &bytes)?;
        }
        tails::cut(self.disk, &path, good as u64, bytes.len() as u64)
    }

    /// Says what is wrong with a journal's segments. A repair makes one file of all that can be read.
    fn broken(&mut self, place: &str, session: SessionId, bytes: &[u8], flaws: Vec<Flaw>) -> io::Result<()> {
        let mut flawed = BTreeSet::new();
        for Flaw { name, line, why } in flaws {
            let what = format!(
                "damaged ({why}); a repair makes one file of all events up to the first one that can be read nowhere, and \
                 keeps the rest beside it"
            );
            self.problem(format!("{place}/{session}/{name}"), line, what);
            flawed.insert(name);
        }
        if self.repair == Repair::Yes {
            let folder = self.folder(place, session);
            let mut filed = Replay { lines: segments::salvaged(self.disk, &folder)?, removed: false };
            // Where both have a line, the file's was checked by itself.
            filed.lines.extend(sound_lines(bytes).map(|line| (line.seq(), line)));
            self.anew(session, &mut filed);
            if !bytes.is_empty() {
                mend::keep_aside(self.disk, &folder, "damaged", bytes)?;
            }
            let lines = mend::together(&filed, self.replays.get(&session), 1);
            self.mended.push(Mended { journal: session, lines, flawed: Some(flawed) });
            self.settles = true;
        }
        Ok(())
    }

    fn anew(&self, session: SessionId, filed: &mut Replay) {
        for (seq, line) in self.scrubs.get(&session).into_iter().flat_map(|mark| &mark.lines) {
            filed.lines.entry(*seq).and_modify(|old| *old = line.clone());
        }
    }

    /// Says where a journal's file, which begins with this event, and the log do not fit, and what the two are together.
    fn misfits(&self, session: SessionId, bytes: &[u8], first: Seq) -> (Vec<(u64, String)>, Vec<Line>) {
        let Some(logged) = self.replays.get(&session) else { return (Vec::new(), Vec::new()) };
        let mut filed = Replay::default();
        for line in sound_lines(bytes) {
            filed.lines.entry(line.seq()).or_insert(line);
        }
        self.anew(session, &mut filed);
        let whole = mend::together(&filed, Some(logged), first);
        let mut misfits = Vec::new();
        let differs = |(seq, line): &(&Seq, &Line)| filed.lines.get(*seq).is_some_and(|filed| filed != *line);
        if let Some((seq, _)) = logged.lines.range(first..).find(differs).filter(|_| !logged.removed) {
            let what = "it is not the line that the commit log has, which was acknowledged".to_owned();
            misfits.push((*seq - first + 1, what));
        }
        let end = whole.len() as u64;
        if let Some((goes_on, _)) = logged.lines.range(first + end..).next() {
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

/// What a journal's file is.
struct Live {
    /// Its first event.
    first: Seq,
    /// Bytes of its good lines from the beginning.
    good: usize,
    lines: u64,
    /// What is wrong with the next one.
    wrong: Option<String>,
}

/// Checks a journal's file, which may begin with any event up to the one that follows the segments.
fn check(bytes: &[u8], next: Seq) -> Live {
    let begins = sound_lines(bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default()).next();
    let first = begins.map(|line| line.seq()).filter(|first| (1..=next).contains(first)).unwrap_or(next);
    let mut live = Live { first, good: 0, lines: 0, wrong: None };
    while live.wrong.is_none()
        && let Some(rest) = bytes.get(live.good..).filter(|rest| !rest.is_empty())
    {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            live.wrong = Some("line has no end".to_owned());
            break;
        };
        let expected = first + live.lines;
        match sound(rest.get(..end).unwrap_or_default()) {
            Ok(line) if line.seq() == expected => {
                live.lines += 1;
                live.good += end + 1;
            }
            Ok(line) => live.wrong = Some(format!("seq {} where {expected} belongs", line.seq())),
            Err(error) => live.wrong = Some(error.to_string()),
        }
    }
    live
}

fn sound_lines(bytes: &[u8]) -> impl Iterator<Item = Line> {
    bytes.split(|byte| *byte == b'\n').filter_map(|text| sound(text).ok())
}

fn sound(text: &[u8]) -> Result<Line, outlive_core::event::LineError> {
    Line::check(text).and_then(|line| line.read().map(|_| line))
}
