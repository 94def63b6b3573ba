//! Archives: whole or none, and what is damaged in one is found.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test of files")]

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use outlive_store::backup::{Journal, Report, Writer, check, in_trash};
use outlive_store::conformance::{line, session};

const SCHEDULE: &str = "sch_00000000000000000000000001";

/// A workspace with something of everything, and an archive of it.
fn made() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join(".outlive");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("outlive.yaml", "server: {port: 1}\n");
    write("agents/helper/skills/one/SKILL.md", "a skill\n");
    write("memory/world/sea.md", "salt\n");
    write("token", "secret");
    write("run/lock", "{}");
    write("commit/00000001.log", "");
    write("index.db-wal", "");
    write("search.db", "");
    write("agents/helper/agent.new-3", "a person's");
    write("agents/.versions/helper/pending.new-0", "half");
    write(&format!("trash/{}.new-0", session(8)), "half");
    // A line of it is just being written, and another schedule removed.
    write(&format!("schedules/{SCHEDULE}/events.jsonl"), &format!("{}\nhalf", line(1, "words").as_str()));
    write(&format!("schedules/{SCHEDULE}/state.yaml"), "derived");
    write(&format!("schedules/{SCHEDULE}.gone/events.jsonl"), "half");
    let script = root.join("agents/helper/skills/one/run.sh");
    write("agents/helper/skills/one/run.sh", "true\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("agents/link")).unwrap();
    let archive = home.path().join("all.tar");
    let mut writer = Writer::begin(&archive, "1").unwrap();
    for n in 1..=3 {
        let mut journal = Journal::new(session(n));
        (1..=5).for_each(|seq| journal.push(line(seq, "words").as_str()).unwrap());
        writer.journal(journal).unwrap();
    }
    writer.rest(&root).unwrap();
    let sealed = writer.seal().unwrap();
    assert!(!archive.exists(), "it has its name before it is whole");
    sealed.publish().unwrap();
    (home, archive)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_archive_holds_what_people_and_agents_made_and_nothing_else() {
    let (home, archive) = made();
    let report = check(&archive).unwrap();
    assert_eq!((report.sessions, report.events, &report.problems), (3, 15, &vec![]));
    assert_eq!(names(home.path()), [".outlive", "all.tar"], "nothing is left of the trial");
    let (mut found, mut modes): (Vec<String>, Vec<u32>) = Default::default();
    let mut tar = tar::Archive::new(std::fs::File::open(&archive).unwrap());
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        found.push(entry.path().unwrap().to_string_lossy().into_owned());
        modes.extend(found.last().filter(|path| path.ends_with(".sh")).map(|_| entry.header().mode().unwrap()));
    }
    assert_eq!(modes, [0o750], "what can be run stays so");
    let journals = (1..=3).map(|n| format!(".outlive/sessions/{}/events.jsonl", session(n)));
    let one = ["agents/helper/skills/one/SKILL.md", "agents/helper/skills/one/run.sh"];
    let files = [one[0], one[1], "agents/helper/agent.new-3", "backup.json", "memory/world/sea.md", "outlive.yaml"];
    let schedule = format!(".outlive/schedules/{SCHEDULE}/events.jsonl");
    let mut expected: Vec<String> =
        files.iter().map(|path| format!(".outlive/{path}")).chain(journals).chain([schedule]).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let taken = Writer::begin(&archive, "1").err().unwrap().to_string();
    assert!(taken.contains("exists: choose another name"), "{taken}");
}

#[test]
fn a_session_that_leaves_the_trash_meanwhile_is_missed_and_put_in_once() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join(".outlive");
    let journal = |n| {
        let mut journal = Journal::new(session(n));
        journal.push(line(1, "words").as_str()).unwrap();
        journal
    };
    let discard = |n| {
        let folder = root.join("trash").join(session(n).to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("events.jsonl"), format!("{}\n", line(1, "words").as_str())).unwrap();
        folder
    };
    let restored = discard(1);
    (2..=4).for_each(|n| drop(discard(n)));
    std::fs::write(root.join("trash").join(format!("{}.gone", session(4))), "{}").unwrap();
    let known = [1, 2, 3, 5].map(session).into();
    assert_eq!(in_trash(&root).unwrap(), [1, 2, 3, 4].map(session));
    let archive = home.path().join("all.tar");
    let mut writer = Writer::begin(&archive, "1").unwrap();
    // It was among the sessions when these were put in, and went to the trash then.
    writer.journal(journal(3)).unwrap();
    writer.journal(journal(5)).unwrap();
    std::fs::remove_dir_all(restored).unwrap();
    writer.rest(&root).unwrap();
    assert_eq!(writer.lacks(&known), [session(1)]);
    std::fs::create_dir_all(root.join("artifacts/00")).unwrap();
    std::fs::write(root.join("artifacts/00/new"), "what it named meanwhile").unwrap();
    writer.journal(journal(1)).unwrap();
    writer.rest(&root).unwrap();
    assert_eq!(writer.lacks(&known), []);
    writer.seal().unwrap().publish().unwrap();
    let mut tar = tar::Archive::new(std::fs::File::open(&archive).unwrap());
    let paths = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned());
    let found: Vec<String> = paths.collect();
    let count = |text: &str| found.iter().filter(|path| path.contains(text)).count();
    let each = [1, 2, 3, 4, 5].map(|n| count(&format!("{}/events.jsonl", session(n))));
    assert_eq!((each, count(".gone"), count("artifacts/00/new")), ([1, 1, 1, 0, 1], 0, 1));
    assert_eq!(check(&archive).unwrap().problems, [] as [String; 0]);
}

#[test]
fn a_journal_with_a_gap_or_a_damaged_line_does_not_go_in() {
    let mut journal = Journal::new(session(1));
    journal.push(line(1, "one").as_str()).unwrap();
    assert!(journal.push(line(3, "three").as_str()).unwrap_err().to_string().contains("event 3"));
    let torn = line(2, "two").as_str().replace("two", "tow");
    assert!(journal.push(&torn).is_err());
}

fn is_good(report: &std::io::Result<Report>) -> bool {
    report.as_ref().is_ok_and(|report| report.problems.is_empty() && report.sessions == 3)
}

#[test]
fn half_an_archive_is_never_a_good_one() {
    let (home, archive) = made();
    let whole = std::fs::read(&archive).unwrap();
    let half = home.path().join("half.tar");
    for length in (0..whole.len()).step_by(256) {
        std::fs::write(&half, &whole[..length]).unwrap();
        let report = check(&half);
        // Behind the list there are only zeros, which say that it is the end.
        let is_whole = whole[length..].iter().all(|byte| *byte == 0) && is_good(&report);
        assert!(is_whole || !is_good(&report), "{length} bytes of {} pass: {report:?}", whole.len());
    }
}

#[test]
fn a_changed_byte_is_found_wherever_it_matters() {
    let (_home, archive) = made();
    let file = std::fs::File::options().read(true).write(true).open(&archive).unwrap();
    let whole = std::fs::read(&archive).unwrap();
    // Contents, not what a header says of owners and times.
    for needle in ["a skill", "salt", "words", "port: 1", "\"version\": \"1\""] {
        let at = whole.windows(needle.len()).position(|part| part == needle.as_bytes()).unwrap() as u64;
        file.write_all_at(b"\x07", at).unwrap();
        assert!(!is_good(&check(&archive)), "{needle}");
        file.write_all_at(&needle.as_bytes()[..1], at).unwrap();
    }
    assert!(is_good(&check(&archive)));
}

#[test]
fn an_archive_that_leads_out_of_its_folder_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("evil.tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    let name = b".outlive/../../evil";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    builder.append(&header, &b"evil"[..]).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, ".outlive/agents", "/etc").unwrap();
    builder.finish().unwrap();
    let report = check(&archive).unwrap();
    let says = |text: &str| report.problems.iter().any(|problem| problem.contains(text));
    assert!(says("`.outlive/../../evil` has no place") && says("`.outlive/agents` has no place"), "{report:?}");
    assert_eq!(names(home.path()), ["evil.tar"]);
}
