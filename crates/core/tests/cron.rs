//! When expressions are due, compared with an implementation from the Python package index, around each leap of the clocks.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "it starts a program of the test environment; a test that cannot go on has failed"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use outlive_core::schedule::{Rule, Zones};
use outlive_core::time::Timestamp;

const CASES: usize = 1_500;
const COUNT: usize = 8;

/// Zones with leaps of half an hour, an hour and two, at midnight and later, north and south; and one without.
const ZONES: [&str; 16] = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "America/Nuuk",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Etc/UTC",
];

struct Case {
    cron: String,
    zone: &'static str,
    after: i64,
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn number(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn field(&mut self, least: u64, most: u64, stars: u64) -> String {
        match self.below(10) {
            n if n < stars => "*".to_owned(),
            8 => format!("*/{}", self.number(2, most / 2)),
            9 => {
                // Of one value alone cronsim makes the first of a range.
                let first = self.number(least, most - 1);
                let last = self.number(first + 1, most);
                format!("{first}-{last}/{}", self.number(1, 3))
            }
            7 => format!("{},{}", self.number(least, most), self.number(least, most)),
            _ => self.number(least, most).to_string(),
        }
    }

    fn case(&mut self, zones: &Zones) -> Case {
        let zone = ZONES[self.below(ZONES.len() as u64) as usize];
        // Early hours: that is where clocks leap.
        let hour = if self.below(2) == 0 { self.number(0, 3).to_string() } else { self.field(0, 23, 3) };
        let month = self.field(1, 12, 7);
        let weekday = match self.below(5) {
            0 => ["MON", "SUN", "mon-fri", "7", "5-7"][self.below(5) as usize].to_owned(),
            1 => self.field(0, 6, 4),
            _ => "*".to_owned(),
        };
        let cron = format!("{} {hour} {} {month} {weekday}", self.field(0, 59, 2), self.field(1, 28, 7));
        // 2021 to 2030; mostly within two days before a leap.
        let mut after = 1_609_459_200 + self.below(9 * 365 * 86_400) as i64;
        let from = jiff::Timestamp::from_second(after).unwrap();
        if self.below(10) > 1
            && let Some(leap) = zones.get(zone).unwrap().following(from).next()
        {
            after = leap.timestamp().as_second() - self.below(2 * 86_400) as i64;
        }
        Case { cron, zone, after }
    }
}

impl Case {
    fn rule(&self) -> Rule {
        Rule::Cron { cron: self.cron.clone(), zone: Some(self.zone.to_owned()) }
    }

    fn ours(&self, zones: &Zones) -> Vec<i64> {
        let mut at = Timestamp::from_micros(self.after * 1_000_000);
        let mut next = || {
            at = self.rule().next(at, zones).unwrap()?;
            Some(at.micros() / 1_000_000)
        };
        std::iter::from_fn(&mut next).take(COUNT).collect()
    }

    /// What goes by time itself there, and by the time of the day here: a field that begins with `*` while hours are named.
    /// And where clocks leap by half an hour, cronsim loses a time of what is due every hour.
    fn is_meant_otherwise(&self) -> bool {
        let fields: Vec<&str> = self.cron.split(' ').collect();
        let names_hours = fields[1] != "*";
        names_hours && (fields[0].starts_with('*') || fields[1].starts_with('*'))
            || !names_hours && self.zone == "Australia/Lord_Howe"
    }

    fn leaps_within(&self, (from, to): (i64, i64), zones: &Zones) -> bool {
        let zone = zones.get(self.zone).unwrap();
        let leap = zone.following(jiff::Timestamp::from_second(from - 86_400).unwrap()).next();
        leap.is_some_and(|leap| leap.timestamp().as_second() <= to)
    }
}

/// `./test` makes it, beside the build.
fn python() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools").join("bin/python")
}

/// Both look into the same files, so that only what is made of them is compared.
fn zones() -> (PathBuf, Zones) {
    let (python, needed) =
        (python(), "import cronsim, pathlib, tzdata; print(pathlib.Path(tzdata.__file__).parent / 'zoneinfo')");
    let found = Command::new(&python).args(["-c", needed]).output().ok().filter(|found| found.status.success());
    let shown = python.display();
    let found =
        found.unwrap_or_else(|| panic!("cronsim is needed: ./test gets it, or: {shown} -m pip install cronsim tzdata"));
    let folder = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let zones = Zones::from_dir(&folder).unwrap();
    (folder, zones)
}

fn theirs(cases: &[Case], folder: &Path) -> Vec<Vec<i64>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cron_reference.py");
    let mut asking = Command::new(python());
    asking.arg(script).env("PYTHONTZPATH", folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ran = asking.spawn().unwrap();
    let mut asked = ran.stdin.take().unwrap();
    let lines: String = cases
        .iter()
        .map(|case| {
            let asked = serde_json::json!({"cron": case.cron, "zone": case.zone, "after": case.after, "count": COUNT});
            format!("{asked}\n")
        })
        .collect();
    let writes = std::thread::spawn(move || asked.write_all(lines.as_bytes()));
    let said = ran.wait_with_output().unwrap();
    writes.join().unwrap().ok();
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn expressions_are_due_when_another_implementation_says_they_are_but_where_that_is_meant_otherwise() {
    let (folder, zones) = zones();
    let mut dice = Dice(20_261_122);
    let cases: Vec<Case> = (0..CASES).map(|_case| dice.case(&zones)).collect();
    let (mut same, mut meant, mut wrong) = (0, 0, Vec::new());
    for (case, theirs) in cases.iter().zip(theirs(&cases, &folder)) {
        let ours = case.ours(&zones);
        let differs =
            ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs).map(|(a, b)| (*a.min(b), *a.max(b)));
        match differs {
            None if ours.len() == theirs.len() => same += 1,
            Some(between) if case.is_meant_otherwise() && case.leaps_within(between, &zones) => meant += 1,
            _ => wrong.push(format!(
                "{} {} after {}\n  ours   {ours:?}\n  theirs {theirs:?}",
                case.cron, case.zone, case.after
            )),
        }
    }
    eprintln!("{same} alike, {meant} meant otherwise");
    assert!(wrong.is_empty(), "{} of {CASES}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > 1_400 && meant > 10, "{same} alike, {meant} meant otherwise");
}
