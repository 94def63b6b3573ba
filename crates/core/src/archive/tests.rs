use super::*;
use crate::agent::{Files, starter};
use crate::digest::Digest;
use crate::event::{Entry, Event, Line, Origin, OriginKind, SessionCreated, SessionPaused};
use crate::id::{AgentName, SessionId};
use crate::time::Timestamp;

fn session(n: u128) -> SessionId {
    SessionId::from_bits(n)
}

fn name() -> AgentName {
    "helper".parse().unwrap()
}

fn line(seq: u64, event: Event) -> Line {
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    Line::write(&Entry { seq, at, turn: None, step: None, asked: None, tokens: None, event }).unwrap()
}

fn created() -> Event {
    Event::SessionCreated(SessionCreated {
        task: None,
        taken_to: None,
        memory: None,
        session: session(7),
        agent: name(),
        agent_digest: "0".to_owned(),
        title: None,
        project: None,
        parent: None,
        on_disconnect: crate::event::OnDisconnect::Continue,
        labels: BTreeMap::new(),
        by: Origin::of(OriginKind::Cli),
    })
}

fn paused(reason: &str) -> Event {
    let by = Origin::of(OriginKind::Cli);
    Event::SessionPaused(SessionPaused { by, reason: Some(reason.to_owned()) })
}

fn journal() -> Vec<Line> {
    vec![line(1, created()), line(2, paused(Digest::of(b"kept").as_str()))]
}

fn packed(files: &Files, artifacts: &[(&Digest, &[u8])], lines: &[Line]) -> Vec<u8> {
    let (mut packer, part) = SessionArchive::begin(name(), Ok(files));
    for (hash, content) in artifacts {
        packer.add(&SessionArchive::artifact(hash), content).unwrap();
    }
    SessionArchive::finish(packer, (session(7), part), lines).unwrap()
}

fn whole() -> Vec<u8> {
    packed(&starter(&name()), &[(&Digest::of(b"kept"), b"kept")], &journal())
}

fn refused(bytes: &[u8], says: &str) {
    let why = SessionArchive::read(bytes).unwrap_err().to_string();
    assert!(why.contains(says), "{why}");
}

/// Writes an entry whatever it says, with a right checksum.
fn crafted(path: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut head = header("placeholder", 0).unwrap().to_vec();
    head[..11].fill(0);
    head[..path.len()].copy_from_slice(path);
    change(&mut head);
    head[148..156].fill(b' ');
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head.extend([0; 1024]);
    head
}

#[test]
fn what_was_written_is_read_and_written_again_as_it_was() {
    let bytes = whole();
    let read = SessionArchive::read(&bytes).unwrap();
    assert_eq!((read.session, read.lines.as_slice()), (session(7), journal().as_slice()));
    assert_eq!(read.artifacts, [(Digest::of(b"kept"), b"kept".as_slice())]);
    assert_eq!(read.agent, (name(), Some(starter(&name()))));
    let artifacts: Vec<(&Digest, &[u8])> = read.artifacts.iter().map(|(hash, bytes)| (hash, *bytes)).collect();
    assert_eq!(packed(read.agent.1.as_ref().unwrap(), &artifacts, &read.lines), bytes);
}

#[test]
fn an_agent_comes_back_with_paths_of_any_length_that_fits() {
    let mut files = starter(&name());
    files.insert(format!("skills/{}/{}", "a".repeat(70), "b".repeat(90)), vec![0, 159, 146, 150]);
    let archive = AgentArchive { name: name(), files };
    let bytes = archive.write().unwrap();
    assert_eq!(AgentArchive::read(&bytes).unwrap(), archive);
    assert!(AgentArchive::read(&whole()).unwrap_err().to_string().contains("session import"));
    refused(&bytes, "agent import");
}

#[test]
fn cut_anywhere_it_is_none() {
    let bytes = whole();
    for end in 0..bytes.len() {
        assert!(SessionArchive::read(&bytes[..end]).is_err(), "cut at {end}");
    }
    refused(&[bytes.as_slice(), &[0]].concat(), "does not end as it must");
    refused(&[bytes.as_slice(), &bytes].concat(), "does not end as it must");
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let bytes = whole();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(SessionArchive::read(&changed).is_err(), "byte {at} changed");
    }
}

#[test]
fn only_plain_files_that_go_down_are_taken() {
    let good = |_: &mut [u8]| {};
    for path in ["../x", "/etc/passwd", "a/../../x", "./a", "a//b", "..", "a\\b", "a\nb", &"a/".repeat(40)] {
        refused(&crafted(path.as_bytes(), good), "is not a path that goes down");
    }
    refused(&crafted(b"\xff\xfe", good), "not one that Outlive writes");
    for (kind, what) in
        [(b'1', "hard link"), (b'2', "symbolic link"), (b'3', "device"), (b'5', "folder"), (b'6', "pipe")]
    {
        refused(&crafted(b"x", |head| head[156] = kind), what);
    }
    for kind in [0, b'7', b'L', b'K', b'x', b'g', b'S'] {
        refused(&crafted(b"x", |head| head[156] = kind), "not one that Outlive writes");
    }
    let foreign: [(usize, &[u8]); 5] =
        [(100, b"0000755"), (108, b"0001750"), (136, b"14700000000"), (157, b"/etc/passwd"), (124, b"77777777777")];
    for (at, text) in foreign {
        let bytes = crafted(b"x", |head| head[at..at + text.len()].copy_from_slice(text));
        assert!(SessionArchive::read(&bytes).is_err(), "{at}");
    }
    refused(&crafted(b"x", |head| head[124] = 0x80), "not one that Outlive writes");
}

#[test]
fn an_entry_comes_once_and_in_order() {
    let mut packer = Packer::default();
    packer.add("b", b"").unwrap();
    for path in ["b", "a"] {
        assert!(packer.add(path, b"").unwrap_err().to_string().contains("sorted, each once"));
    }
    let twice = [crafted(b"b", |_| {})[..512].to_vec(), crafted(b"b", |_| {})].concat();
    refused(&twice, "out of order, or there twice");
}

#[test]
fn what_is_packed_again_is_told_how_to_unpack_it() {
    refused(b"\x28\xb5\x2f\xfd....", "zstd -d");
    refused(b"\x1f\x8b....", "gunzip");
    refused(b"", "ends at byte 0");
    refused(&[0; 1024], "no manifest.json");
}

#[test]
fn a_journal_is_whole_and_its_own() {
    let of = |lines: &[Line]| packed(&starter(&name()), &[], lines);
    refused(&of(&[line(1, created()), line(3, paused("x"))]), "line 2: its seq is 3");
    refused(&of(&[line(2, created())]), "line 1: its seq is 2");
    refused(&of(&[line(1, paused("x"))]), "begins with session.created");
    refused(&of(&[line(1, created()), line(2, created())]), "made once");
    refused(&of(&[]), "holds no session");
    let (packer, part) = SessionArchive::begin(name(), Err("there is none".to_owned()));
    let foreign = SessionArchive::finish(packer, (session(8), part), &journal()).unwrap();
    refused(&foreign, "belongs to session");
    let (packer, part) = SessionArchive::begin("other".parse().unwrap(), Ok(&starter(&name())));
    let other = SessionArchive::finish(packer, (session(7), part), &journal()).unwrap();
    refused(&other, "does not talk to agent `other`");
}

#[test]
fn a_line_with_a_wrong_crc_is_refused_though_its_hash_is_right() {
    let text = format!("{}\n", journal()[0].as_str().replace("\"helper\"", "\"hamper\""));
    let (mut packer, part) = SessionArchive::begin(name(), Ok(&starter(&name())));
    packer.add("events.jsonl", text.as_bytes()).unwrap();
    let manifest = Manifest { session: Some(session(7)), head: Some(1), ..Manifest::new(Kind::Session, part) };
    refused(&packer.finish(manifest).unwrap(), "line 1: crc is");
}

#[test]
fn nothing_comes_along_that_does_not_belong() {
    let stray = Digest::of(b"stray");
    refused(&packed(&starter(&name()), &[(&stray, b"stray")], &journal()), "holds more than");
    refused(&packed(&starter(&name()), &[(&Digest::of(b"kept"), b"other")], &journal()), "do not give its hash");
    let mut files = starter(&name());
    files.insert("memory/MEMORY.md".to_owned(), vec![]);
    refused(&packed(&files, &[], &journal()), "`memory/MEMORY.md` is no place");
}

#[test]
fn another_version_names_itself() {
    let of = |text: &str| {
        let mut packer = Packer::default();
        packer.put(Manifest::PATH, text.as_bytes()).unwrap();
        packer.bytes.resize(packer.bytes.len() + 1024, 0);
        packer.bytes
    };
    refused(&of(r#"{"format":"outlive-archive","version":2,"new":1}"#), "it has version 2, this Outlive reads 1");
    refused(&of(r#"{"format":"other","version":1}"#), "format `other`");
    refused(&of(r#"{"format":"outlive-archive","version":1,"extra":1}"#), "unknown field `extra`");
    refused(&of("[]"), "manifest.json: ");
}
