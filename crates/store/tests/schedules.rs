//! Journals of schedules on a disk that loses, tears and refuses, at every operation of a story.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use outlive_core::event::{Ending, Entry, Event, Line, Origin, OriginKind, RunCause, RunEnded, RunStarted};
use outlive_core::id::{RunId, ScheduleId, SessionId};
use outlive_core::schedule::{self, Plan, Schedule, Zones};
use outlive_core::time::Timestamp;
use outlive_store::files::faults::{Fault, FaultyDisk, Keep, Space};
use outlive_store::files::schedules::ScheduleFiles;
use outlive_store::files::verify::{Repair, verify};
use outlive_store::{Schedules, StoreError, memory};

const ROOT: &str = "/w";

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000).plus_ms(second * 1_000)
}

fn id(n: u128) -> ScheduleId {
    ScheduleId::from_bits(n)
}

fn line(n: u128, seq: u64) -> Line {
    let plan: Plan = serde_json::from_str(r#"{"every": "1m", "agent": "helper", "message": "look"}"#).unwrap();
    let (run, session) = (RunId::from_bits(u128::from(seq / 2)), SessionId::from_bits(3));
    let event = match seq {
        1 => schedule::create(id(n), plan, Origin::of(OriginKind::Cli), at(0), &Zones::bundled()).unwrap(),
        _ if seq.is_multiple_of(2) => {
            let cause = RunCause::Due;
            Event::RunStarted(RunStarted { run, due_at: at(seq), lateness_ms: 0, session, attempt: 1, cause })
        }
        _ => Event::RunEnded(RunEnded { run, attempt: 1, outcome: Ending::Complete, error: None }),
    };
    Line::write(&Entry { seq, at: at(seq), turn: None, step: None, asked: None, tokens: None, event }).unwrap()
}

fn folded(n: u128, head: u64) -> Option<Schedule> {
    let mut state = Schedule::begin(&line(n, 1).read().unwrap()).filter(|_| head > 0)?;
    (2..=head).for_each(|seq| state.apply(&line(n, seq).read().unwrap()));
    Some(state)
}

fn open(disk: &FaultyDisk) -> std::io::Result<ScheduleFiles> {
    open_at(disk, Path::new(ROOT))
}

fn open_at(disk: &FaultyDisk, root: &Path) -> std::io::Result<ScheduleFiles> {
    ScheduleFiles::open(Arc::new(disk.clone()), root)
}

/// Writes to two journals whatever fails; returns the heads that were acknowledged, and those that may be there.
fn story(store: &dyn Schedules) -> ([u64; 2], [u64; 2]) {
    let (mut heads, mut most) = ([0; 2], [0; 2]);
    for round in 0..8 {
        for n in 0..2_usize {
            let (schedule, head) = (id(n as u128 + 1), heads[n]);
            let lines: Vec<Line> = (head + 1..=head + 1 + round % 2).map(|seq| line(n as u128 + 1, seq)).collect();
            match store.append(schedule, &lines) {
                Ok(()) => heads[n] += lines.len() as u64,
                Err(_) => most[n] = most[n].max(head + lines.len() as u64),
            }
            if round == 4
                && let Some(state) = folded(n as u128 + 1, heads[n])
            {
                store.put_snapshot(&state).ok();
            }
        }
    }
    (heads, std::array::from_fn(|n| most[n].max(heads[n])))
}

fn heads(store: &dyn Schedules) -> [u64; 2] {
    std::array::from_fn(|n| {
        let n = n as u128 + 1;
        let state = store.load(id(n)).unwrap();
        let head = state.as_ref().map_or(0, |state| state.head);
        assert_eq!(state, folded(n, head), "what was written");
        let lines: Vec<Line> = (1..=head).map(|seq| line(n, seq)).collect();
        assert_eq!(store.read(id(n), 0, usize::MAX).unwrap(), lines);
        assert_eq!(
            store.read(id(n), head / 2, 2).unwrap(),
            lines[(head / 2) as usize..].iter().take(2).cloned().collect::<Vec<_>>()
        );
        head
    })
}

#[test]
fn whatever_operation_fails_and_whatever_a_crash_loses_nothing_acknowledged_is_lost_and_all_goes_on() {
    let probe = FaultyDisk::default();
    story(&open(&probe).unwrap());
    let written = probe.operations();
    for fault in [Fault::Io, Fault::NoSpace, Fault::Cut] {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Half] {
            for n in 0..written {
                let disk = FaultyDisk::default();
                disk.plan(n, fault);
                let (least, most) = open(&disk).map(|store| story(&store)).unwrap_or_default();
                disk.crash(keep);
                let store = open(&disk).unwrap();
                let found = heads(&store);
                let held = (0..2).all(|n| (least[n]..=most[n].max(least[n])).contains(&found[n]));
                assert!(held, "{fault:?} at {n}, {keep:?}: {least:?} <= {found:?} <= {most:?}");
                for (n, head) in found.iter().enumerate() {
                    let n = n as u128 + 1;
                    assert_eq!(store.append(id(n), &[line(n, head + 1)]), Ok(()), "{fault:?} at {n}, {keep:?}");
                }
                assert_eq!(heads(&open(&disk).unwrap()), found.map(|head| head + 1));
            }
        }
    }
}

#[test]
fn without_room_nothing_is_written_and_once_there_is_some_all_goes_on() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    store.append(id(1), &[line(1, 1)]).unwrap();
    disk.set_full(Space::None);
    assert_eq!(store.append(id(1), &[line(1, 2)]), Err(StoreError::NoSpace));
    assert_eq!(store.append(id(2), &[line(2, 1)]), Err(StoreError::NoSpace));
    disk.set_full(Space::Enough);
    assert_eq!(store.append(id(1), &[line(1, 2)]), Ok(()));
    assert_eq!(store.append(id(2), &[line(2, 1)]), Ok(()));
    assert_eq!(heads(&open(&disk).unwrap()), [2, 1]);
}

#[test]
fn after_a_failed_sync_a_journal_is_closed_until_a_restart_and_the_others_are_not() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    store.append(id(1), &[line(1, 1)]).unwrap();
    // The write is the next operation, the sync the one after.
    disk.plan(1, Fault::Io);
    assert!(matches!(store.append(id(1), &[line(1, 2)]), Err(StoreError::Poisoned(_))));
    assert!(matches!(store.append(id(1), &[line(1, 2)]), Err(StoreError::Poisoned(_))));
    assert_eq!(store.append(id(2), &[line(2, 1)]), Ok(()));
    disk.crash(Keep::Nothing);
    let store = open(&disk).unwrap();
    assert_eq!((heads(&store), store.append(id(1), &[line(1, 2)])), ([1, 1], Ok(())));
}

#[test]
fn damage_sets_one_schedule_aside_and_names_the_line_and_a_repair_keeps_what_is_before_it() {
    // Its lock is a real file.
    let (disk, home) = (FaultyDisk::default(), tempfile::tempdir().unwrap());
    story(&open_at(&disk, home.path()).unwrap());
    let path = home.path().join("schedules").join(id(1).to_string()).join("events.jsonl");
    // Without its snapshot all of it is read.
    disk.tamper(&path.with_file_name("state.yaml"), Vec::clear);
    let third: usize = (1..=2).map(|seq| line(1, seq).as_str().len() + 1).sum();
    disk.tamper(&path, |bytes| bytes[third + 20] ^= 1);
    let store = open_at(&disk, home.path()).unwrap();
    let damaged = store.load(id(1)).unwrap_err().to_string();
    let begins = format!("journal of schedule `{}` is damaged at line 3: crc is", id(1));
    assert!(damaged.starts_with(&begins), "{damaged}");
    assert_eq!(store.load(id(2)).unwrap().unwrap().head, 12);
    let places = |repair| {
        let found = verify(&disk, home.path(), repair).unwrap().problems;
        found.into_iter().map(|found| (found.file, found.line, found.repaired)).collect::<Vec<_>>()
    };
    let file = format!("schedules/{}/events.jsonl", id(1));
    assert_eq!(places(Repair::No), [(file.clone(), 3, false)]);
    assert_eq!(places(Repair::Yes), [(file, 3, true)]);
    assert_eq!(places(Repair::No), []);
    assert_eq!(open_at(&disk, home.path()).unwrap().load(id(1)).unwrap(), folded(1, 2));
}

#[test]
fn any_cut_of_a_journal_is_the_beginning_of_it() {
    let disk = FaultyDisk::default();
    story(&open(&disk).unwrap());
    let path = Path::new(ROOT).join("schedules").join(id(1).to_string()).join("events.jsonl");
    let whole = disk.bytes(&path).unwrap();
    for cut in 0..=whole.len() {
        disk.tamper(&path, |bytes| *bytes = whole[..cut].to_vec());
        let head = open(&disk).unwrap().load(id(1)).unwrap().map_or(0, |state| state.head);
        assert_eq!(head, whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64, "{cut}");
    }
}

#[test]
fn what_was_removed_is_gone_whenever_the_machine_stops() {
    for n in 0..4 {
        let disk = FaultyDisk::default();
        let store = open(&disk).unwrap();
        story(&store);
        disk.plan(n, Fault::Cut);
        let removed = store.remove(id(1));
        disk.crash(Keep::Everything);
        let store = open(&disk).unwrap();
        let left = store.schedules().unwrap();
        assert!(left == [id(2)] || removed.is_err() && left == [id(1), id(2)], "{n}: {left:?}");
        assert_eq!(store.remove(id(9)), Ok(()));
    }
}

#[test]
fn the_one_in_memory_keeps_the_same_promises() {
    let (store, faults) = memory::store();
    let (acknowledged, _) = story(&*store.house.schedules);
    assert_eq!(acknowledged, [12, 12]);
    assert_eq!(heads(&*store.house.schedules), acknowledged);
    assert!(store.house.schedules.append(id(1), &[line(1, 20)]).is_err());
    faults.next(memory::Fault::PoisonedKept);
    assert!(store.house.schedules.append(id(1), &[line(1, 13)]).is_err());
    let store = faults.reopen();
    assert_eq!(heads(&*store.house.schedules), [13, 12]);
    store.house.schedules.remove(id(1)).unwrap();
    assert_eq!(store.house.schedules.schedules().unwrap(), [id(2)]);
}
