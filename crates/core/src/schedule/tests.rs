use super::*;
use crate::event::{RunEnded, RunSkipped, RunStarted, SkipCause};
use crate::id::Ids;
use crate::limits::RUNS_OF_ONE;

const DAY: u64 = 86_400_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn by() -> Origin {
    Origin::of(crate::event::OriginKind::Cli)
}

fn zones() -> Zones {
    Zones::bundled()
}

fn plan(json: &str) -> Plan {
    let mut whole: serde_json::Value = serde_json::from_str(json).unwrap();
    let defaults = serde_json::json!({"agent": "helper", "message": "look"});
    for (key, value) in defaults.as_object().unwrap() {
        whole.as_object_mut().unwrap().entry(key).or_insert(value.clone());
    }
    serde_json::from_value(whole).unwrap()
}

/// A schedule with its journal: facts go in as a runtime puts them in.
struct Desk {
    state: Schedule,
    entries: Vec<Entry>,
    ids: Ids,
}

impl Desk {
    fn new(now: &str, json: &str) -> Self {
        let event = create(ScheduleId::from_bits(7), plan(json), by(), at(now), &zones()).unwrap();
        let entry = Entry { seq: 1, at: at(now), turn: None, step: None, asked: None, tokens: None, event };
        let state = Schedule::begin(&entry).unwrap();
        Self { state, entries: vec![entry], ids: Ids::from_bits(1 << 20) }
    }

    fn note(&mut self, now: &str, event: Event) {
        let seq = self.state.head + 1;
        let entry = Entry { seq, at: at(now), turn: None, step: None, asked: None, tokens: None, event };
        let line = crate::event::Line::write(&entry).unwrap();
        assert_eq!(line.read(), Ok(entry.clone()), "{line:?}");
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    fn command(&mut self, now: &str, command: ScheduleCommand) -> bool {
        let fact = self.state.decide(command, &by(), at(now), &zones()).unwrap();
        let is_new = fact.is_some();
        fact.into_iter().for_each(|fact| self.note(now, fact));
        is_new
    }

    /// What the clock owes, in short; it is noted.
    fn settle(&mut self, now: &str, seats: usize) -> Vec<String> {
        let facts = self.state.settle(at(now), seats, &mut self.ids, &zones());
        let said = facts.iter().map(short).collect();
        facts.into_iter().for_each(|fact| self.note(now, fact));
        assert!(self.state.settle(at(now), 0, &mut self.ids, &zones()).is_empty(), "settled is settled");
        said
    }

    fn end(&mut self, now: &str, outcome: Ending) {
        let run = self.state.under_way().next().unwrap();
        let error = (outcome == Ending::Failed).then(|| "no key".to_owned());
        let ended = RunEnded { run: run.run, attempt: run.attempt, outcome, error };
        self.note(now, Event::RunEnded(ended));
    }

    fn next(&self) -> Option<String> {
        self.state.next(&zones()).map(time)
    }
}

fn time(at: Timestamp) -> String {
    at.to_string().replace(".000000Z", "Z")
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only these are settled")]
fn short(fact: &Event) -> String {
    match fact {
        Event::RunStarted(RunStarted { due_at, lateness_ms, attempt, .. }) => {
            format!("start {} late {lateness_ms} attempt {attempt}", time(*due_at))
        }
        Event::RunQueued(queued) => format!("queue {}", time(queued.due_at)),
        Event::RunSkipped(RunSkipped { due_at, until, why }) => {
            format!("skip {} to {} {why:?}", time(*due_at), time(*until))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rule_is_due_at_its_times() {
    let check = |json: &str, after: &str, due: &[&str]| {
        let rule = plan(json).checked(at("2026-01-01T00:00:00Z"), &zones()).unwrap().rule;
        let mut last = at(after);
        let mut found = Vec::new();
        while let Some(next) = rule.next(last, &zones()).unwrap().filter(|_| found.len() < due.len().max(1)) {
            found.push(time(next));
            last = next;
        }
        assert_eq!(found, due, "{json}");
    };
    check(r#"{"at": "2026-05-01T12:00:00+02:00"}"#, "2026-01-01T00:00:00Z", &["2026-05-01T10:00:00Z"]);
    check(r#"{"at": "2026-05-01T12:00", "zone": "Europe/Berlin"}"#, "2026-01-01T00:00:00Z", &["2026-05-01T10:00:00Z"]);
    check(r#"{"at": "2026-05-01T12:00"}"#, "2026-05-01T12:00:00Z", &[]);
    // A time that the clock leaps over, and one that it shows twice.
    check(r#"{"at": "2026-03-29T02:30", "zone": "Europe/Berlin"}"#, "2026-01-01T00:00:00Z", &["2026-03-29T01:00:00Z"]);
    check(r#"{"at": "2026-10-25T02:30", "zone": "Europe/Berlin"}"#, "2026-01-01T00:00:00Z", &["2026-10-25T00:30:00Z"]);
    check(r#"{"every": "90m"}"#, "2026-01-01T00:00:00Z", &["2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"]);
    check(r#"{"every": "1d", "anchor": "2026-02-01T08:00:00Z"}"#, "2026-01-01T00:00:00Z", &["2026-02-01T08:00:00Z"]);
    check(r#"{"every": "1d", "anchor": "2020-02-01T08:00:00Z"}"#, "2026-01-01T08:00:00Z", &["2026-01-02T08:00:00Z"]);
    check(r#"{"cron": "@daily"}"#, "2026-01-01T00:00:00Z", &["2026-01-02T00:00:00Z"]);
    check(r#"{"cron": "0 9 * * mon-FRI"}"#, "2026-01-02T09:00:00Z", &["2026-01-05T09:00:00Z"]);
    check(r#"{"cron": "0 0 29 2 *"}"#, "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    check(r#"{"cron": "0 0 29 2 */7"}"#, "2026-01-01T00:00:00Z", &["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]);
    // One of both days where both are named.
    check(
        r#"{"cron": "0 0 13 * 5"}"#,
        "2026-01-01T00:00:00Z",
        &["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"],
    );
    check(
        r#"{"cron": "0 0 * * FRI-SUN"}"#,
        "2026-01-01T00:00:00Z",
        &["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"],
    );
}

#[test]
fn a_time_of_the_day_is_due_once_however_the_clock_leaps_and_what_is_due_every_hour_goes_by_time_itself() {
    let check = |cron: &str, zone: &str, after: &str, due: &[&str]| {
        let rule = Rule::Cron { cron: cron.into(), zone: Some(zone.into()) };
        let mut last = at(after);
        let found: Vec<String> = due
            .iter()
            .map(|_| {
                last = rule.next(last, &zones()).unwrap().unwrap();
                time(last)
            })
            .collect();
        assert_eq!(found, due, "{cron} {zone}");
    };
    let (spring, autumn) = ("2026-03-28T22:00:00Z", "2026-10-24T22:30:00Z");
    // Leapt over: right after, once for all of them.
    check("30 2 * * *", "Europe/Berlin", spring, &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    check("*/20 2 * * *", "Europe/Berlin", spring, &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    check("0 2,3 * * *", "Europe/Berlin", spring, &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    check("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
    // Shown twice: the first time.
    check("30 2 * * *", "Europe/Berlin", autumn, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    check("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", &["2026-10-26T01:30:00Z"]);
    check(
        "0 0-4 * * *",
        "Europe/Berlin",
        autumn,
        &["2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"],
    );
    check(
        "30 * * * *",
        "Europe/Berlin",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
    );
    // By half an hour, at midnight, and by a whole day.
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T12:00:00Z",
        &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
    );
    check(
        "35 * * * *",
        "Australia/Lord_Howe",
        "2026-10-03T14:40:00Z",
        &["2026-10-03T15:05:00Z", "2026-10-03T15:35:00Z"],
    );
    check("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", &["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]);
    check("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", &["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]);
}

#[test]
fn what_is_no_schedule_is_refused_with_the_place() {
    let check = |json: &str, why: &str| {
        let mut whole: serde_json::Value = serde_json::from_str(json).unwrap();
        let fields = whole.as_object_mut().unwrap();
        fields.entry("agent").or_insert("helper".into());
        fields.entry("message").or_insert("look".into());
        let read: Result<Plan, _> = serde_json::from_value(whole);
        let refused = match read {
            Err(error) => error.to_string(),
            Ok(plan) => plan.checked(at("2026-01-01T00:00:00Z"), &zones()).unwrap_err().to_string(),
        };
        assert_eq!(refused, why, "{json}");
    };
    check("{}", "one of `at`, `every` and `cron` is needed");
    check(r#"{"at": "2026-01-01T00:00:00Z", "cron": "@daily"}"#, "one of `at`, `every` and `cron` is needed");
    check(r#"{"cron": "@daily", "anchor": "2026-01-01T00:00:00Z"}"#, "`anchor` belongs to `every`");
    check(
        r#"{"cron": "@daily", "session": "ses_00000000000000000000000001"}"#,
        "one of `session` and `agent` is needed",
    );
    check(
        r#"{"cron": "* * * *"}"#,
        "cron: 5 fields are needed (minute, hour, day of the month, month, day of the week), these are 4",
    );
    check(r#"{"cron": "60 * * * *"}"#, "cron: minute: `60` is not 0 to 59");
    check(
        r#"{"cron": "* * * FEBR *"}"#,
        "cron: month: `FEBR` is not 1 to 12 or JAN, FEB, MAR, APR, MAY, JUN, JUL, AUG, SEP, OCT, NOV, DEC",
    );
    check(r#"{"cron": "*/0 * * * *"}"#, "cron: minute: `0` is no step from 1 to 59");
    check(r#"{"cron": "* 22-2 * * *"}"#, "cron: hour: `22-2` ends before it begins");
    check(
        r#"{"cron": "@reboot"}"#,
        "cron: `@reboot` is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly",
    );
    check(r#"{"cron": "0 0 30 2 *"}"#, "it is never due: no such day comes");
    check(
        r#"{"cron": "@daily", "zone": "Europe/Atlantis"}"#,
        "zone: no time zone `Europe/Atlantis` is known here: name one such as Europe/Berlin",
    );
    check(
        r#"{"cron": "@daily", "zone": "../../etc/passwd"}"#,
        "zone: no time zone `../../etc/passwd` is known here: name one such as Europe/Berlin",
    );
    check(
        r#"{"at": "tomorrow"}"#,
        "at: `tomorrow` is no time such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 with a zone",
    );
    check(
        r#"{"at": "2026-13-01T00:00:00Z"}"#,
        "at: `2026-13-01T00:00:00Z` is no time such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 with a zone",
    );
    check(r#"{"every": "soon"}"#, "`soon` is not a time such as 90s, 10m, 1h, 2d");
    check(r#"{"every": "10ms"}"#, "every: `10ms` is not a second to ten years");
    check(r#"{"cron": "@daily", "message": " "}"#, "message: 1 to 1048576 bytes are needed");
    check(r#"{"cron": "@daily", "name": "a\nb"}"#, "name: 1 to 200 characters on one line are needed");
    check(r#"{"cron": "@daily", "retry": {"attempts": 0}}"#, "retry.attempts: 1 to 10, not 0");
}

#[test]
fn the_end_of_time_is_no_run() {
    let rule = Rule::At { at: "9999-12-30T21:59:59Z".into(), zone: None };
    assert!(rule.next(at("2026-01-01T00:00:00Z"), &zones()).unwrap().is_some());
    for json in [r#"{"cron": "@yearly"}"#, r#"{"every": "1000d"}"#] {
        let rule = plan(json).rule;
        assert_eq!(rule.next(at("9999-12-01T00:00:00Z"), &zones()), Ok(None), "{json}");
    }
}

#[test]
fn what_was_missed_runs_as_the_policy_says() {
    let check = |overdue: &str, now: &str, said: &[&str]| {
        let json = format!(r#"{{"cron": "0 * * * *", "overlap": "queue", "overdue": {overdue}}}"#);
        let mut desk = Desk::new("2026-01-01T00:00:00Z", &json);
        assert_eq!(desk.settle(now, 8), said, "{overdue}");
    };
    let (in_time, late) = ("2026-01-01T01:00:00.5Z", "2026-01-01T03:30:00Z");
    for overdue in [r#""fire""#, r#""fire_once""#, r#""skip""#, r#"{"expire_after_ms": 1000}"#] {
        check(overdue, "2026-01-01T00:59:59.999999Z", &[]);
        check(overdue, in_time, &["start 2026-01-01T01:00:00Z late 500 attempt 1"]);
    }
    let once = "start 2026-01-01T03:00:00Z late 1800000 attempt 1";
    let before = "skip 2026-01-01T01:00:00Z to 2026-01-01T02:00:00Z Overdue";
    let all = "skip 2026-01-01T01:00:00Z to 2026-01-01T03:00:00Z Overdue";
    let first = "start 2026-01-01T01:00:00Z late 9000000 attempt 1";
    check(r#""fire""#, late, &[first, "queue 2026-01-01T02:00:00Z", "queue 2026-01-01T03:00:00Z"]);
    check(r#""fire_once""#, late, &[before, once]);
    check(r#""skip""#, late, &[all]);
    check(r#"{"expire_after_ms": 3600000}"#, late, &[before, once]);
    check(r#"{"expire_after_ms": 1800000}"#, late, &[before, once]);
    check(r#"{"expire_after_ms": 1799999}"#, late, &[all]);
}

#[test]
fn years_of_missed_minutes_are_accounted_for_at_once() {
    let mut desk = Desk::new("1990-01-01T00:00:00Z", r#"{"cron": "* * * * *", "overdue": "fire"}"#);
    let said = desk.settle("2026-01-01T00:00:30Z", 1);
    assert_eq!(said.len(), 51);
    assert_eq!(said[0], "skip 1990-01-01T00:01:00Z to 2025-12-31T23:10:00Z Overdue");
    assert_eq!(said[1], "start 2025-12-31T23:11:00Z late 2970000 attempt 1");
    assert_eq!(said[50], "queue 2026-01-01T00:00:00Z");
    assert_eq!(desk.next().unwrap(), "2026-01-01T00:01:00Z");
    let mut desk = Desk::new("1990-01-01T00:00:00Z", r#"{"every": "1s"}"#);
    let said = desk.settle("2026-01-01T00:00:00Z", 1);
    assert_eq!(said[0], "skip 1990-01-01T00:00:01Z to 2025-12-31T23:59:59Z Overdue");
}

#[test]
fn a_run_that_is_due_while_another_is_under_way_is_skipped_queued_or_runs_beside_it() {
    let check = |overlap: &str, second: &str, after: &[&str]| {
        let json = format!(r#"{{"every": "1m", "overlap": "{overlap}"}}"#);
        let mut desk = Desk::new("2026-01-01T00:00:00Z", &json);
        assert_eq!(desk.settle("2026-01-01T00:01:00Z", 8), ["start 2026-01-01T00:01:00Z late 0 attempt 1"]);
        assert_eq!(desk.settle("2026-01-01T00:02:00Z", 8), [second]);
        desk.end("2026-01-01T00:02:30Z", Ending::Complete);
        assert_eq!(desk.settle("2026-01-01T00:02:30Z", 8), after, "{overlap}");
    };
    check("skip", "skip 2026-01-01T00:02:00Z to 2026-01-01T00:02:00Z Overlap", &[]);
    check("queue", "queue 2026-01-01T00:02:00Z", &["start 2026-01-01T00:02:00Z late 30000 attempt 1"]);
    check("parallel", "start 2026-01-01T00:02:00Z late 0 attempt 1", &[]);
}

#[test]
fn one_schedule_whose_runs_do_not_end_takes_no_room_from_all_others() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"every": "1m", "overlap": "parallel"}"#);
    for minute in 1..=10 {
        desk.settle(&format!("2026-01-01T00:{minute:02}:00Z"), 32);
    }
    assert_eq!((desk.state.under_way().count(), desk.state.runs.len()), (RUNS_OF_ONE, 10));
    assert!(!desk.state.waits_for_room(at("2026-01-01T00:10:00Z")));
    desk.end("2026-01-01T00:10:01Z", Ending::Complete);
    assert_eq!(desk.settle("2026-01-01T00:10:01Z", 32), ["start 2026-01-01T00:09:00Z late 61000 attempt 1"]);
}

#[test]
fn where_there_is_no_room_a_run_waits_for_it() {
    for overlap in ["skip", "queue", "parallel"] {
        let mut desk = Desk::new("2026-01-01T00:00:00Z", &format!(r#"{{"every": "1m", "overlap": "{overlap}"}}"#));
        assert_eq!(desk.settle("2026-01-01T00:01:00Z", 0), ["queue 2026-01-01T00:01:00Z"]);
        assert!(desk.state.waits_for_room(at("2026-01-01T00:01:00Z")));
        assert_eq!(desk.settle("2026-01-01T00:01:01Z", 1), ["start 2026-01-01T00:01:00Z late 1000 attempt 1"]);
    }
}

#[test]
fn a_failed_run_is_tried_again_in_its_session_and_never_ends_the_schedule() {
    let json = r#"{"every": "1h", "retry": {"attempts": 3, "first": "10s", "longest": "15s"}}"#;
    let mut desk = Desk::new("2026-01-01T00:00:00Z", json);
    desk.settle("2026-01-01T01:00:00Z", 8);
    let first = desk.state.runs[0].clone();
    let mut now = at("2026-01-01T01:00:00Z");
    for (attempt, least, most) in [(2, 5_000, 10_000), (3, 7_500, 15_000)] {
        desk.end(&now.to_string(), Ending::Failed);
        let due = desk.state.wakes_at(&zones()).unwrap();
        assert!((least..=most).contains(&due.ms_since(now)), "{attempt}: {}", due.ms_since(now));
        assert!(desk.settle(&Timestamp::from_micros(due.micros() - 1).to_string(), 8).is_empty());
        let said = desk.settle(&due.to_string(), 8);
        assert!(said[0].ends_with(&format!("attempt {attempt}")), "{said:?}");
        let run = &desk.state.runs[0];
        assert_eq!((run.session, run.attempt), (first.session, attempt));
        assert_eq!(run.said(), format!("[attempt {attempt}: the one before failed]\n\nlook"));
        now = due;
    }
    desk.end(&now.to_string(), Ending::Failed);
    assert_eq!(desk.state.counts, Counts { done: 0, failed: 1, skipped: 0 });
    assert_eq!((desk.state.runs.len(), desk.state.history[0].attempts), (0, 3));
    assert_eq!(desk.next().unwrap(), "2026-01-01T02:00:00Z");
    for outcome in [Ending::Complete, Ending::Ask, Ending::Sleep, Ending::Interrupted] {
        let mut desk = Desk::new("2026-01-01T00:00:00Z", json);
        desk.settle("2026-01-01T01:00:00Z", 8);
        desk.end("2026-01-01T01:00:01Z", outcome);
        assert_eq!(desk.state.counts.done, 1, "{outcome:?}");
    }
}

#[test]
fn a_report_of_an_attempt_that_is_over_changes_nothing() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"every": "1h", "retry": {"attempts": 2}}"#);
    desk.settle("2026-01-01T01:00:00Z", 8);
    let run = desk.state.runs[0].run;
    let ended = |attempt| Event::RunEnded(RunEnded { run, attempt, outcome: Ending::Failed, error: None });
    desk.note("2026-01-01T01:00:01Z", ended(1));
    let before = desk.state.runs.clone();
    desk.note("2026-01-01T01:00:02Z", ended(1));
    assert_eq!(desk.state.runs, before);
}

#[test]
fn while_it_is_paused_nothing_is_due_and_nothing_of_it_is_made_up_for() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"every": "1h"}"#);
    assert!(desk.command("2026-01-01T00:10:00Z", ScheduleCommand::Pause { reason: Some("holidays".into()) }));
    assert!(!desk.command("2026-01-01T00:10:01Z", ScheduleCommand::Pause { reason: None }));
    assert_eq!((desk.next(), desk.settle("2026-01-05T00:00:00Z", 8)), (None, vec![]));
    // Asked for, it runs.
    let run = RunId::from_bits(99);
    assert!(desk.command("2026-01-05T00:00:00Z", ScheduleCommand::Run(run)));
    assert!(!desk.command("2026-01-05T00:00:01Z", ScheduleCommand::Run(run)));
    assert_eq!(desk.settle("2026-01-05T00:00:01Z", 8), ["start 2026-01-05T00:00:00Z late 1000 attempt 1"]);
    desk.end("2026-01-05T00:00:02Z", Ending::Complete);
    assert!(!desk.command("2026-01-05T00:00:03Z", ScheduleCommand::Run(run)));
    assert!(desk.command("2026-01-05T00:30:00Z", ScheduleCommand::Resume));
    assert_eq!(desk.settle("2026-01-05T00:59:59Z", 8), Vec::<String>::new());
    assert_eq!(desk.next().unwrap(), "2026-01-05T01:00:00Z");
}

#[test]
fn what_is_asked_for_while_it_is_paused_is_tried_again_and_waits_for_nothing_that_is_held() {
    let json = r#"{"every": "1h", "retry": {"attempts": 2, "first": "10s", "longest": "10s"}}"#;
    let mut desk = Desk::new("2026-01-01T00:00:00Z", json);
    // One that was due has failed, and is held back.
    desk.settle("2026-01-01T01:00:00Z", 8);
    desk.end("2026-01-01T01:00:01Z", Ending::Failed);
    desk.command("2026-01-01T01:00:02Z", ScheduleCommand::Pause { reason: None });
    assert_eq!(desk.state.wakes_at(&zones()), None);
    desk.command("2026-01-01T01:00:03Z", ScheduleCommand::Run(RunId::from_bits(99)));
    assert_eq!(desk.settle("2026-01-01T01:00:03Z", 8), ["start 2026-01-01T01:00:03Z late 0 attempt 1"]);
    desk.end("2026-01-01T01:00:04Z", Ending::Failed);
    let due = desk.state.wakes_at(&zones()).expect("the clock wakes it");
    assert!(desk.settle(&due.to_string(), 8)[0].ends_with("attempt 2"));
}

#[test]
fn what_is_due_once_runs_once_also_where_that_is_past() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"at": "2025-12-31T23:00:00Z"}"#);
    assert_eq!(desk.settle("2026-01-01T00:00:00Z", 8), ["start 2025-12-31T23:00:00Z late 3600000 attempt 1"]);
    desk.end("2026-01-01T00:00:01Z", Ending::Complete);
    assert_eq!((desk.next(), desk.settle("2027-01-01T00:00:00Z", 8)), (None, vec![]));
    // Another message is no other time; another time is.
    let mut change = |json: &str| desk.command("2027-01-01T00:00:00Z", ScheduleCommand::Update(Box::new(plan(json))));
    assert!(change(r#"{"at": "2025-12-31T23:00:00Z", "message": "other"}"#));
    assert!(!change(r#"{"at": "2025-12-31T23:00:00Z", "message": "other"}"#));
    assert_eq!(desk.settle("2027-01-01T00:00:00Z", 8), Vec::<String>::new());
    let mut change = |json: &str| desk.command("2027-01-01T00:00:00Z", ScheduleCommand::Update(Box::new(plan(json))));
    assert!(change(r#"{"at": "2027-02-01T00:00:00Z"}"#));
    assert_eq!(desk.next().unwrap(), "2027-02-01T00:00:00Z");
}

#[test]
fn another_rule_counts_from_its_change_and_runs_under_way_keep_their_message() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"every": "1h"}"#);
    desk.settle("2026-01-01T01:00:00Z", 8);
    let command = ScheduleCommand::Update(Box::new(plan(r#"{"cron": "30 * * * *", "message": "other"}"#)));
    desk.command("2026-01-01T05:00:00Z", command);
    assert_eq!(desk.settle("2026-01-01T05:00:00Z", 8), Vec::<String>::new());
    let run = &desk.state.runs[0];
    assert_eq!((desk.next().unwrap().as_str(), run.message.as_str()), ("2026-01-01T05:30:00Z", "look"));
    assert_eq!((run.agent.as_ref().unwrap().as_str(), run.session.bits()), ("helper", run.run.bits()));
}

#[test]
fn what_was_removed_is_over() {
    let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"every": "1h"}"#);
    desk.settle("2026-01-01T01:00:00Z", 8);
    desk.command("2026-01-01T01:00:01Z", ScheduleCommand::Remove);
    assert_eq!((desk.state.under_way().count(), desk.next()), (0, None));
    let refused = desk.state.decide(ScheduleCommand::Resume, &by(), at("2026-01-01T02:00:00Z"), &zones());
    assert!(refused.is_err());
}

#[test]
fn a_snapshot_and_every_beginning_of_a_journal_with_the_rest_give_the_same() {
    let mut desk = Desk::new(
        "2026-01-01T00:00:00Z",
        r#"{"name": "tea", "every": "1m", "overlap": "queue", "retry": {"attempts": 2, "first": "1s", "longest": "1s"}}"#,
    );
    let mut now = at("2026-01-01T00:00:00Z");
    for step in 0..300_u64 {
        now = now.plus_ms(20_000);
        if desk.state.under_way().next().is_some() && step % 2 == 0 {
            desk.end(&now.to_string(), if step % 3 == 0 { Ending::Failed } else { Ending::Complete });
        }
        desk.settle(&now.to_string(), usize::from(step % 5 != 0));
    }
    assert_eq!(desk.state.history.len(), RUNS_REMEMBERED);
    let mut again = Schedule::begin(&desk.entries[0]).unwrap();
    for entry in &desk.entries[1..] {
        let snapshot = read_snapshot(&write_snapshot(&again).unwrap());
        assert_eq!(snapshot.as_ref(), Some(&again));
        again.apply(entry);
    }
    assert_eq!(again, desk.state);
    assert_eq!(read_snapshot("something else"), None);
}

proptest::proptest! {
    #[test]
    fn whatever_the_clock_does_each_time_is_accounted_for_once(steps in proptest::collection::vec(-2_i64 * DAY as i64..4 * DAY as i64, 1..40)) {
        let mut desk = Desk::new("2026-01-01T00:00:00Z", r#"{"cron": "0 */6 * * *", "zone": "Europe/Berlin", "overdue": "fire", "overlap": "parallel"}"#);
        let mut now = at("2026-01-01T00:00:00Z");
        let mut runs = Vec::new();
        // What has waited for room was due by a clock that was put back since.
        let mut latest = now;
        for step in steps {
            now = Timestamp::from_micros(now.micros() + step * 1_000);
            latest = latest.max(now);
            for fact in desk.state.settle(now, usize::MAX, &mut desk.ids.clone(), &zones()) {
                if let Event::RunStarted(started) = &fact {
                    proptest::prop_assert!(started.due_at <= latest, "never early");
                    runs.push(started.due_at);
                } else if let Event::RunSkipped(skipped) = &fact {
                    proptest::prop_assert_ne!(skipped.why, SkipCause::Overlap);
                }
                desk.ids.fresh();
                desk.note(&now.to_string(), fact);
            }
            let under_way: Vec<RunId> = desk.state.under_way().map(|run| run.run).collect();
            for _run in under_way {
                desk.end(&now.to_string(), Ending::Complete);
            }
        }
        proptest::prop_assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{runs:?}");
    }
}
