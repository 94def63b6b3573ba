//! The files of what is remembered: what a person, a program or a trap puts there is read in bounds, and nothing outside is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the tests put files where people would")]

use std::path::Path;

use outlive_core::id::AgentName;
use outlive_core::memory::world::Told;
use outlive_core::memory::{PAGE_BYTES, Page, WRITTEN_BYTES, curated};
use outlive_store::memory_files::{HeldMemory, MemoryFiles, PlainMemory};
use outlive_store::{Class, workspace};

fn scribe() -> AgentName {
    "scribe".parse().unwrap()
}

fn day(text: &str) -> Page {
    Page::Day(text.parse().unwrap())
}

fn topic(text: &str) -> Page {
    Page::World(text.parse().unwrap())
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("agents/scribe")).unwrap();
    home
}

fn plain(home: &Path) -> PlainMemory {
    PlainMemory::of(home.to_owned())
}

fn text(files: &dyn MemoryFiles, page: &Page) -> Option<String> {
    files.read(&scribe(), page).unwrap().map(|written| written.text)
}

#[test]
fn what_is_written_is_read_back_by_every_keeper() {
    let home = home();
    let (plain, held) = (plain(home.path()), HeldMemory::default());
    for files in [&plain as &dyn MemoryFiles, &held] {
        assert_eq!(text(files, &Page::Curated), None);
        files.append(&scribe(), &Page::Curated, "one").unwrap();
        files.append(&scribe(), &Page::Curated, "two\n").unwrap();
        assert_eq!(text(files, &Page::Curated).as_deref(), Some("one\ntwo\n"));
        files.replace(&scribe(), &Page::Curated, "anew").unwrap();
        assert_eq!(text(files, &Page::Curated).as_deref(), Some("anew"));
        for page in [day("2026-01-01"), day("2026-01-02"), topic("tools")] {
            files.append(&scribe(), &page, &page.to_string()).unwrap();
        }
        let pages = [Page::Curated, day("2026-01-02"), day("2026-01-01"), topic("tools")];
        assert_eq!(files.pages(&scribe()).unwrap(), pages);
        let long = files.replace(&scribe(), &topic("long"), &"x".repeat(WRITTEN_BYTES + 1));
        assert_eq!(long.map_err(|error| error.class()), Err(Class::Refused));
        assert_eq!(text(files, &topic("long")), None);
    }
    let other: AgentName = "other".parse().unwrap();
    assert!(plain.append(&other, &Page::Curated, "x").is_err(), "an agent is not made by a note");
    assert!(!home.path().join("agents/other").exists());
}

#[test]
fn a_file_of_fifty_megabytes_is_shown_cut_and_warned_of() {
    let home = home();
    let files = plain(home.path());
    std::fs::create_dir_all(home.path().join("agents/scribe/memory")).unwrap();
    let path = home.path().join("agents/scribe/memory/MEMORY.md");
    std::fs::write(&path, "head ").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(50 << 20).unwrap();
    let (found, warnings) = files.all(&scribe());
    assert!(found[0].text.len() <= PAGE_BYTES && found[0].bytes == 50 << 20);
    assert_eq!(warnings.len(), 1);
    assert!(curated(&found, 2_000).len() <= 2_000);
    let refused = files.append(&scribe(), &Page::Curated, "x").map_err(|error| error.class());
    assert_eq!(refused, Err(Class::Refused));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 50 << 20, "it stays as it was");
}

#[test]
fn no_link_leads_out_and_nothing_but_plain_files_is_read() {
    let (home, outside) = (home(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("MEMORY.md"), "secret").unwrap();
    std::fs::write(outside.path().join("2026-01-01.md"), "secret").unwrap();
    let files = plain(home.path());
    let memory = home.path().join("agents/scribe/memory");
    // A folder that is a link, then a file that is one, then a pipe, then a folder.
    std::os::unix::fs::symlink(outside.path(), &memory).unwrap();
    assert!(files.read(&scribe(), &Page::Curated).is_err());
    assert!(files.append(&scribe(), &Page::Curated, "x").is_err());
    std::fs::remove_file(&memory).unwrap();
    std::fs::create_dir(&memory).unwrap();
    std::os::unix::fs::symlink(outside.path(), memory.join("daily")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("MEMORY.md"), memory.join("MEMORY.md")).unwrap();
    assert!(files.read(&scribe(), &Page::Curated).is_err());
    assert!(files.pages(&scribe()).is_err(), "the days are elsewhere");
    std::fs::remove_file(memory.join("daily")).unwrap();
    let (found, warnings) = files.all(&scribe());
    assert!(found.is_empty() && warnings.iter().any(|warning| warning.contains("link")), "{warnings:?}");
    std::fs::remove_file(memory.join("MEMORY.md")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        memory.join("MEMORY.md"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    assert!(files.read(&scribe(), &Page::Curated).is_err(), "a pipe");
    std::fs::remove_file(memory.join("MEMORY.md")).unwrap();
    std::fs::create_dir(memory.join("MEMORY.md")).unwrap();
    assert!(files.read(&scribe(), &Page::Curated).is_err(), "a folder");
    assert_eq!(std::fs::read_to_string(outside.path().join("MEMORY.md")).unwrap(), "secret");
}

#[test]
fn an_edit_is_no_other_agent() {
    let home = tempfile::tempdir().unwrap();
    let (store, _workspace) = workspace::open(home.path(), workspace::Options::default()).unwrap();
    let made = [("agent.yaml".to_owned(), b"model: x\n".to_vec())].into();
    store.agents.create("scribe", made).unwrap();
    let before = (store.agents.stamp("scribe").unwrap(), store.agents.read("scribe").unwrap());
    let files = plain(home.path());
    for page in [Page::Curated, day("2026-01-01"), topic("tools")] {
        files.append(&scribe(), &page, "a note").unwrap();
    }
    assert_eq!((store.agents.stamp("scribe").unwrap(), store.agents.read("scribe").unwrap()), before);
    assert_eq!(store.agents.names().unwrap(), ["scribe"]);
}

#[test]
fn no_line_of_many_who_write_at_once_is_lost() {
    let home = home();
    let (plain, held) = (plain(home.path()), HeldMemory::default());
    for files in [&plain as &dyn MemoryFiles, &held] {
        std::thread::scope(|scope| {
            for writer in 0..6 {
                scope.spawn(move || {
                    for line in 0..10 {
                        let told = Told { text: format!("- {writer} says {line}"), version: None };
                        files.change(&scribe(), &topic("tools"), &|before| told.make(before)).unwrap();
                    }
                });
            }
        });
        assert_eq!(text(files, &topic("tools")).unwrap().lines().count(), 60);
    }
}

#[test]
fn what_a_person_saves_while_a_tool_writes_is_not_lost() {
    let home = home();
    let files = plain(home.path());
    let path = home.path().join("memory/world/tools.md");
    files.append(&scribe(), &topic("tools"), "- one").unwrap();
    let saved = std::cell::Cell::new(false);
    let changed = files.change(&scribe(), &topic("tools"), &|before| {
        if !saved.replace(true) {
            std::fs::write(&path, "- by hand\n").unwrap();
        }
        Ok(Some(format!("{before}- two\n")))
    });
    assert!(changed.unwrap());
    assert_eq!(text(&files, &topic("tools")).as_deref(), Some("- by hand\n- two\n"));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_is_no_text_or_too_long_is_not_changed_by_any_way_of_writing() {
    let home = home();
    let files = plain(home.path());
    std::fs::create_dir_all(home.path().join("memory/world")).unwrap();
    for bytes in [b"a\xff\xfe".to_vec(), vec![b'x'; WRITTEN_BYTES + 1]] {
        std::fs::write(home.path().join("memory/world/odd.md"), &bytes).unwrap();
        let refused = |done: Result<(), outlive_store::StoreError>| done.map_err(|error| error.class());
        assert_eq!(refused(files.append(&scribe(), &topic("odd"), "x")), Err(Class::Refused));
        assert_eq!(refused(files.replace(&scribe(), &topic("odd"), "x")), Err(Class::Refused));
        assert_eq!(std::fs::read(home.path().join("memory/world/odd.md")).unwrap(), bytes);
    }
}

#[test]
fn a_long_file_is_read_piece_by_piece() {
    let home = home();
    let (plain, held) = (plain(home.path()), HeldMemory::default());
    let whole: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    for files in [&plain as &dyn MemoryFiles, &held] {
        files.replace(&scribe(), &Page::Curated, &whole).unwrap();
        let mut read = Vec::new();
        while let Some((piece, bytes)) = files.piece(&scribe(), &Page::Curated, read.len() as u64).unwrap() {
            assert_eq!(bytes, whole.len() as u64);
            if piece.is_empty() {
                break;
            }
            read.extend(piece);
        }
        assert_eq!(read, whole.as_bytes());
        assert_eq!(files.piece(&scribe(), &topic("none"), 0).unwrap(), None);
    }
}
