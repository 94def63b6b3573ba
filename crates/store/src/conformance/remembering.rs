//! Promises of what finds memories.

use outlive_core::content::Usage;
use outlive_core::event::{
    Aside, CallFinished, CallStarted, Effect, Entry, Event, Line, MemoryAdded, MemoryEdited, MemoryForgotten,
    MemoryObserved, MemoryReflected, Origin, OriginKind, Outcome, SessionUpdated,
};
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::{Kind, Memory, Mode, Priority, Scope};
use outlive_core::redact::FORGOTTEN;
use outlive_core::time::Timestamp;

use super::searching::begun;
use super::{Subject, row, session, take};
use crate::{
    Append, Author, Measured, Note, RecallHit, RecallQuery, Recalled, RememberedQuery, Sight, Space, Store, Unmeasured,
};

/// Returns a memory of an agent's, which holds since that day of 1970.
#[must_use]
pub fn memory(id: u128, day: i64, text: &str) -> Memory {
    Memory {
        id: MemoryId::from_bits(id),
        kind: Kind::Fact,
        scope: Scope::Agent,
        priority: Priority::Medium,
        text: text.to_owned(),
        since: on(day),
        until: None,
        sources: vec![1],
        supersedes: Vec::new(),
    }
}

/// Returns that day.
#[must_use]
pub fn on(day: i64) -> Timestamp {
    Timestamp::from_micros(day * 86_400_000_000)
}

pub(super) fn who() -> Origin {
    Origin::of(OriginKind::Cli)
}

/// Returns the event by which these are observed.
#[must_use]
pub fn observed(memories: Vec<Memory>) -> Event {
    let covers = Aside { first: 1, last: 1 };
    let (model, usage) = (Some("m".to_owned()), Usage::default());
    Event::MemoryObserved(MemoryObserved { covers, memories, model, usage, is_unobserved: false })
}

pub(super) fn forgotten(memories: &[u128]) -> Event {
    let memories = memories.iter().map(|id| MemoryId::from_bits(*id)).collect();
    Event::MemoryForgotten(MemoryForgotten { memories, sources: false, by: who() })
}

pub(super) fn edited(id: u128, text: &str) -> Event {
    Event::MemoryEdited(MemoryEdited { memory: MemoryId::from_bits(id), text: text.to_owned(), scope: None, by: who() })
}

fn recalled_by(call: u128, tool: &str, memories: &[u128]) -> [Event; 2] {
    let call = CallId::from_bits(call);
    let memories: Vec<String> = memories.iter().map(|id| MemoryId::from_bits(*id).to_string()).collect();
    let started = CallStarted {
        call,
        tool: tool.to_owned(),
        arguments: serde_json::json!({ "query": "x" }),
        attempt: 1,
        effect: Effect::Read,
        idempotency_key: "k".to_owned(),
    };
    let finished = CallFinished {
        call,
        attempt: 1,
        outcome: Outcome::Ok,
        content: "…".to_owned(),
        details: Some(serde_json::json!({ "memories": memories })),
        artifact: None,
        duration_ms: 1,
    };
    [Event::CallStarted(started), Event::CallFinished(finished)]
}

fn line_of(seq: Seq, event: Event) -> Line {
    let at = on(i64::try_from(seq).expect("a small seq"));
    let entry = Entry { seq, at, turn: None, step: None, asked: None, tokens: None, event };
    Line::write(&entry).expect("a line that can be written")
}

/// Appends these events to a session of this agent, which is made where it is missing, and notes its row.
pub async fn note(store: &Store, journal: SessionId, agent: &str, events: Vec<Event>) {
    note_behind(store, journal, begun(journal, agent), events).await;
}

/// The same, where it is begun by this line.
pub(super) async fn note_behind(store: &Store, journal: SessionId, begins: Line, events: Vec<Event>) {
    let epoch = take(store, journal).await;
    let expected = store.journals.head(journal).await.unwrap_or(0);
    let mut lines = if expected == 0 { vec![begins] } else { Vec::new() };
    for event in events {
        lines.push(line_of(expected + lines.len() as Seq + 1, event));
    }
    let head = expected + lines.len() as Seq;
    store.journals.append(Append { journal, epoch, expected, lines }).await.expect("appended");
    store.index.note(row(journal, head, i64::try_from(head).expect("a small head")));
}

/// Returns the line by which a session of this agent begins that has this, too.
pub(super) fn begun_with(journal: SessionId, agent: &str, (key, value): (&str, serde_json::Value)) -> Line {
    let line = begun(journal, agent).changed(|line| line.insert(key.to_owned(), value).is_none());
    line.expect("a line").expect("another one")
}

pub(super) fn asked(text: &str) -> RecallQuery {
    RecallQuery { text: text.to_owned(), now: on(10_000), limit: 20, ..RecallQuery::default() }
}

/// Returns what is found.
pub async fn recalled(store: &Store, query: RecallQuery) -> Recalled {
    store.memories.recall(query).await.expect("recalled")
}

pub(super) fn ids(hits: &[RecallHit]) -> Vec<u128> {
    hits.iter().map(|hit| hit.row.memory.id.bits()).collect()
}

async fn found(store: &Store, text: &str) -> Vec<u128> {
    ids(&recalled(store, asked(text)).await.hits)
}

async fn listed(store: &Store, query: RememberedQuery) -> Vec<u128> {
    let page = store.memories.list(RememberedQuery { limit: 50, ..query }).await.expect("listed");
    page.rows.iter().map(|row| row.memory.id.bits()).collect()
}

/// By words, their forms, parts of words; at once and later; the score is the sum of what explains it.
pub async fn what_is_remembered_is_found_by_what_it_says(subject: &mut impl Subject) {
    let store = subject.open();
    let memories = vec![
        memory(1, 1, "Marta lives in Lisbon"),
        memory(2, 1, "The deploy key of web-03 is kept in the vault"),
        memory(3, 1, "漢字の試験は金曜日"),
    ];
    note(&store, session(1), "scribe", vec![observed(memories)]).await;
    for (text, expected) in [
        ("Where does Marta live?", vec![1]),
        ("who is living in lisbon", vec![1]),
        ("deploying keys", vec![2]),
        ("web-03", vec![2]),
        ("Lisbonn", vec![1]),
        ("金曜日", vec![3]),
        ("", vec![]),
        ("zebra", vec![]),
    ] {
        assert_eq!(found(&store, text).await, expected, "{text}");
    }
    drop(store);
    let store = subject.open();
    let all = recalled(&store, asked("Where does Marta live?")).await;
    let hit = all.hits.first().expect("a hit");
    assert_eq!(hit.row.by, Author::Observer(Some("m".to_owned())));
    assert_eq!((hit.row.session, hit.row.seq, hit.row.agent.as_str()), (session(1), 2, "scribe"));
    let sum: f64 = hit.explain.iter().map(|(_, part)| part).sum();
    assert!(hit.score == sum && hit.explain.iter().any(|(part, _)| *part == "names"), "{hit:?}");
    assert_eq!(listed(&store, RememberedQuery::default()).await, [3, 2, 1]);
}

/// A session knows its own, its project's, its agent's, and what is for all.
pub async fn nobody_recalls_what_only_another_may_know(subject: &mut impl Subject) {
    let store = subject.open();
    let of = |n: u128| -> Vec<Memory> {
        let scopes = [Scope::Session, Scope::Agent, Scope::All];
        let one =
            |(i, scope): (usize, &Scope)| Memory { scope: *scope, ..memory(n * 10 + i as u128, 1, "a needle here") };
        scopes.iter().enumerate().map(one).collect()
    };
    note(&store, session(1), "one", vec![observed(of(1))]).await;
    note(&store, session(2), "one", vec![observed(of(2))]).await;
    note(&store, session(3), "other", vec![observed(of(3))]).await;
    let seen = async |sight: Sight| {
        let mut seen = ids(&recalled(&store, RecallQuery { sight, ..asked("needle") }).await.hits);
        seen.sort_unstable();
        seen
    };
    let session_of = |n: u128| Sight { session: Some(session(n)), ..Sight::default() };
    assert_eq!(seen(session_of(1)).await, [10, 11, 12, 21, 22, 32], "its agent is known");
    assert_eq!(seen(session_of(3)).await, [12, 22, 30, 31, 32]);
    assert_eq!(seen(session_of(9)).await, [12, 22, 32], "one that is not there");
    let new = Sight { agent: Some("other".to_owned()), session: Some(session(9)), project: None };
    assert_eq!(seen(new).await, [12, 22, 31, 32], "one that is new");
    let agent = Sight { agent: Some("other".to_owned()), ..Sight::default() };
    assert_eq!(seen(agent).await, [12, 22, 30, 31, 32], "all of an agent's");
    assert_eq!(seen(Sight::default()).await.len(), 9);
    let all =
        RememberedQuery { agent: Some("one".to_owned()), scope: Some(Scope::Agent), ..RememberedQuery::default() };
    assert_eq!(listed(&store, all).await, [21, 11]);
}

/// One that names another takes its place; both can be looked at as of a day.
pub async fn a_newer_fact_stands_before_the_older(subject: &mut impl Subject) {
    let store = subject.open();
    let named = Memory { supersedes: vec![MemoryId::from_bits(1)], ..memory(2, 20, "Marta lives in Porto") };
    let ended = Memory { until: Some(on(15)), ..memory(5, 1, "Marta lives with Ana") };
    note(&store, session(2), "scribe", vec![observed(vec![named, ended])]).await;
    let first = vec![memory(1, 10, "Marta lives in Lisbon"), memory(3, 10, "The gate's code is 4711")];
    note(&store, session(1), "scribe", vec![observed(first), observed(vec![memory(4, 30, "The gate's code is 1138")])])
        .await;
    assert_eq!(found(&store, "Where does Marta live?").await, [2]);
    assert_eq!(found(&store, "gate code").await, [4, 3], "the newer first, though it named nothing");
    let then = RecallQuery { as_of: Some(on(12)), ..asked("Where does Marta live?") };
    let then = ids(&recalled(&store, then).await.hits);
    assert!(then.contains(&1) && then.contains(&5) && !then.contains(&2), "{then:?}");
    let before = RecallQuery { as_of: Some(on(0)), ..asked("Where does Marta live?") };
    assert_eq!(recalled(&store, before).await.hits, []);
    let both = RecallQuery { superseded: true, ..asked("Where does Marta live?") };
    let both = recalled(&store, both).await.hits;
    assert_eq!(both.first().map(|hit| hit.row.memory.id.bits()), Some(2));
    assert_eq!(both.len(), 3, "all that was ever said of it");
    let old = store.memories.get(MemoryId::from_bits(1)).await.expect("read").expect("it is there");
    assert_eq!(old.superseders.iter().map(|row| row.memory.id.bits()).collect::<Vec<_>>(), [2]);
    let new = store.memories.get(MemoryId::from_bits(2)).await.expect("read").expect("it is there");
    assert_eq!(new.superseded.iter().map(|row| row.memory.id.bits()).collect::<Vec<_>>(), [1]);
    let condensed = Memory { supersedes: vec![MemoryId::from_bits(4)], ..memory(6, 40, "Codes change each month") };
    let usage = Usage::default();
    let reflected = MemoryReflected { memories: vec![condensed], model: None, usage };
    note(&store, session(1), "scribe", vec![Event::MemoryReflected(reflected)]).await;
    assert_eq!(listed(&store, RememberedQuery::default()).await, [6, 5, 3, 2], "condensed ones are listed no more");
    let all = RememberedQuery { superseded: true, ..RememberedQuery::default() };
    assert_eq!(listed(&store, all).await, [6, 4, 5, 3, 2, 1]);
}

/// What was edited is found by what it says now; what is forgotten by nothing, whatever comes after.
pub async fn what_is_edited_or_forgotten_is_found_as_it_is_now(subject: &mut impl Subject) {
    let mut store = subject.open();
    let added = MemoryAdded { memory: memory(1, 1, "The door is blue"), by: who() };
    let others = vec![memory(2, 1, "The secretword is swordfish"), memory(3, 1, "The roof is red")];
    note(&store, session(1), "scribe", vec![Event::MemoryAdded(added), observed(others)]).await;
    assert_eq!(found(&store, "blue").await, [1]);
    note(&store, session(1), "scribe", vec![edited(1, "The door is green"), forgotten(&[2])]).await;
    note(&store, session(1), "scribe", vec![edited(2, "swordfish again"), observed(vec![memory(2, 1, "swordfish")])])
        .await;
    for case in ["at once", "after a new start", "made anew"] {
        assert_eq!(found(&store, "blue").await, [], "{case}");
        assert_eq!(found(&store, "green").await, [1], "{case}");
        assert_eq!(found(&store, "swordfish secretword").await, [], "{case}");
        assert_eq!(listed(&store, RememberedQuery::default()).await, [3, 1], "{case}");
        assert_eq!(store.memories.get(MemoryId::from_bits(2)).await, Ok(None), "{case}");
        let one = store.memories.get(MemoryId::from_bits(1)).await.expect("read").expect("it is there");
        assert_eq!((one.edits.len(), one.row.edited.map(|(_, by)| by)), (1, Some(who())), "{case}");
        drop(store);
        store = subject.open();
        if case == "after a new start" {
            store.memories.begin_anew().await.expect("begun anew");
        }
    }
}

/// A line that was written anew without its words says nothing any more, however the file came to know of it.
pub async fn what_was_erased_from_its_line_is_no_memory(subject: &mut impl Subject) {
    let mut store = subject.open();
    let said = "Ada has a dog called Zorblax";
    note(&store, session(1), "scribe", vec![observed(vec![memory(1, 1, said)])]).await;
    let others = vec![memory(2, 1, said), memory(3, 1, "The roof is red")];
    note(&store, session(2), "scribe", vec![observed(others), edited(3, said), observed(vec![memory(4, 1, "Well")])])
        .await;
    assert_eq!(found(&store, "Zorblax").await.len(), 3);
    note(&store, session(1), "scribe", vec![forgotten(&[1])]).await;
    let gone = [observed(vec![memory(2, 1, FORGOTTEN), memory(3, 1, "The roof is red")]), edited(3, FORGOTTEN)];
    let lines = (2..).zip(gone).map(|(seq, event)| line_of(seq, event)).collect();
    let epoch = take(&store, session(2)).await;
    store.journals.scrub(session(2), epoch, lines).await.expect("written anew");
    for case in ["at once", "after a new start", "made anew"] {
        assert_eq!(found(&store, "Zorblax").await, [], "{case}");
        assert_eq!(found(&store, "forgotten").await, [], "{case}");
        assert_eq!(listed(&store, RememberedQuery::default()).await, [4], "{case}");
        drop(store);
        store = subject.open();
        if case == "after a new start" {
            store.memories.begin_anew().await.expect("begun anew");
        }
    }
}

/// Whichever of them is read first.
pub async fn what_a_forgotten_one_had_replaced_is_found_again(subject: &mut impl Subject) {
    let mut store = subject.open();
    let one = |id| MemoryId::from_bits(id);
    let taking = Memory { supersedes: vec![one(1)], ..memory(2, 2, "a needle in hay") };
    note(&store, session(1), "scribe", vec![observed(vec![memory(1, 1, "a needle"), taking])]).await;
    assert_eq!(listed(&store, RememberedQuery::default()).await, [2]);
    note(&store, session(1), "scribe", vec![forgotten(&[2])]).await;
    for case in ["at once", "after a new start", "made anew"] {
        assert_eq!(found(&store, "needle").await, [1], "{case}");
        assert_eq!(listed(&store, RememberedQuery::default()).await, [1], "{case}");
        let row = store.memories.get(one(1)).await.expect("read").expect("it is there").row;
        assert_eq!(row.superseded_by, [], "{case}");
        drop(store);
        store = subject.open();
        if case == "after a new start" {
            store.memories.begin_anew().await.expect("begun anew");
        }
    }
}

/// Who knew it knows it still: of another agent's nothing takes a place, nor does what fewer may know.
pub async fn nothing_takes_the_place_of_what_more_may_know(subject: &mut impl Subject) {
    let store = subject.open();
    let over = |id: u128, old: u128, scope: Scope| Memory {
        supersedes: vec![MemoryId::from_bits(old)],
        scope,
        ..memory(id, 2, "another needle")
    };
    let old = vec![memory(1, 1, "a needle"), memory(2, 1, "a needle"), memory(3, 1, "a needle")];
    note(&store, session(1), "scribe", vec![observed(old)]).await;
    note(&store, session(2), "scribe", vec![observed(vec![over(11, 1, Scope::Session), over(12, 2, Scope::All)])])
        .await;
    note(&store, session(3), "other", vec![observed(vec![over(13, 3, Scope::Agent)])]).await;
    let mut shown = listed(&store, RememberedQuery::default()).await;
    shown.sort_unstable();
    assert_eq!(shown, [1, 3, 11, 12, 13]);
}

/// No character has a meaning.
pub async fn whatever_is_asked_is_only_words(subject: &mut impl Subject) {
    let store = subject.open();
    let hostile = "a AND b; NOT near OR {c} text:x \u{1f44b}wave nul\0end \"quoted\" it's";
    note(&store, session(1), "scribe", vec![observed(vec![memory(1, 1, hostile)])]).await;
    for text in
        ["AND", "b NOT c", "NEAR(a b)", "text:x", "\u{1f44b} wave", "\"quoted", "nul\0end", "{c}", "x*", "-b ^c"]
    {
        assert_eq!(found(&store, text).await, [1], "{text}");
    }
    for text in ["\"", "\"\"", "*", "\u{1f44b}", "\0", "^", "- -", "() {} []", ":", "';--", "%_"] {
        assert_eq!(found(&store, text).await, [], "{text}");
    }
    recalled(&store, asked(&"wörds and more \" * ( ".repeat(50_000))).await;
}

/// Calls of the tool that recalls, and of no other; of others what they say of memories means nothing.
pub async fn what_was_shown_to_a_model_is_a_use(subject: &mut impl Subject) {
    let store = subject.open();
    note(&store, session(1), "scribe", vec![observed(vec![memory(1, 1, "one"), memory(2, 1, "two")])]).await;
    note(&store, session(2), "scribe", recalled_by(7, "recall", &[1]).to_vec()).await;
    let [started, finished] = recalled_by(8, "recall", &[1, 2]);
    note(&store, session(2), "scribe", vec![started]).await;
    assert_eq!(found(&store, "one").await, [1]);
    note(&store, session(2), "scribe", vec![finished]).await;
    note(&store, session(2), "scribe", recalled_by(9, "files", &[1, 2]).to_vec()).await;
    let used = async |id| store.memories.get(MemoryId::from_bits(id)).await.expect("read").expect("it is there");
    let one = used(1).await;
    let calls: Vec<(Seq, u128)> = one.uses.iter().map(|used| (used.seq, used.call.bits())).collect();
    assert_eq!((one.used, calls), (2, vec![(5, 8), (3, 7)]));
    assert_eq!(used(2).await.used, 1);
    let mode = |mode| {
        let updated = SessionUpdated { title: None, labels: None, memory: Some(mode), by: who() };
        Event::SessionUpdated(updated)
    };
    for (call, said, uses) in [(10, Mode::Incognito, 1), (11, Mode::On, 2)] {
        note(&store, session(3), "scribe", vec![mode(said)]).await;
        note(&store, session(3), "scribe", recalled_by(call, "recall", &[2]).to_vec()).await;
        assert_eq!(used(2).await.used, uses, "{said:?}");
    }
}

/// In the trash and back, and gone for good.
pub async fn memories_go_and_come_with_their_session(subject: &mut impl Subject) {
    let store = subject.open();
    note(&store, session(1), "scribe", vec![observed(vec![memory(1, 1, "a needle")])]).await;
    let taking = Memory { supersedes: vec![MemoryId::from_bits(1)], ..memory(2, 2, "another needle") };
    note(&store, session(2), "scribe", vec![observed(vec![taking])]).await;
    assert_eq!(found(&store, "needle").await, [2]);
    let note = Note { at: on(9), by: who(), request: None, row: row(session(2), 2, 2) };
    store.trash.discard(session(2), note).await.expect("deleted");
    store.index.forget(session(2));
    assert_eq!(found(&store, "needle").await, [1], "nothing has its place any more");
    store.trash.restore(session(2)).await.expect("brought back");
    store.index.note(row(session(2), 2, 3));
    assert_eq!(found(&store, "needle").await, [2]);
    store.journals.remove(session(2)).await.expect("removed");
    store.index.forget(session(2));
    assert_eq!(found(&store, "needle").await, [1]);
    drop(store);
    let store = subject.open();
    assert_eq!(found(&store, "needle").await, [1]);
    assert_eq!(store.memories.get(MemoryId::from_bits(2)).await, Ok(None));
}

/// Of the same model and length, and never what is no vector.
pub async fn vectors_of_different_spaces_are_never_compared(subject: &mut impl Subject) {
    let store = subject.open();
    let memories = vec![memory(1, 1, "cats purr"), memory(2, 1, "dogs bark"), memory(3, 1, "fish swim")];
    note(&store, session(1), "scribe", vec![observed(memories)]).await;
    let space = |model: &str, dimensions| Space { service: model.to_owned(), model: "m".to_owned(), dimensions };
    let vector = |id: u128, text: &str, vector: &[f32]| Measured {
        memory: MemoryId::from_bits(id),
        text: text.to_owned(),
        vector: vector.to_vec(),
    };
    let missing = async |model: &str| {
        let query = Unmeasured { service: model.to_owned(), limit: 9, ..Unmeasured::default() };
        let missing = store.memories.unmeasured(query).await.expect("read");
        missing.iter().map(|one| one.memory.bits()).collect::<Vec<_>>()
    };
    assert_eq!(missing("a").await, [3, 2, 1]);
    let vectors = vec![
        vector(1, "cats purr", &[1.0, 0.1]),
        vector(2, "said something else then", &[0.0, 1.0]),
        vector(3, "fish swim", &[f32::NAN, 1.0]),
    ];
    store.memories.measured(space("a", 2), vectors).await.expect("kept");
    store.memories.measured(space("b", 3), vec![vector(2, "dogs bark", &[1.0, 0.0, 0.0])]).await.expect("kept");
    store.memories.measured(space("a", 2), vec![vector(2, "dogs bark", &[1.0, 0.0, 0.0])]).await.expect("kept");
    assert_eq!(missing("a").await, [3, 2], "neither of another text, nor of another length, nor without numbers");
    let near = async |space: Space, vector: &[f32]| {
        let query = RecallQuery { vector: Some((space, vector.to_vec())), ..asked("zoology") };
        ids(&recalled(&store, query).await.hits)
    };
    assert_eq!(near(space("a", 2), &[1.0, 0.0]).await, [1]);
    assert_eq!(near(space("b", 3), &[1.0, 0.0, 0.0]).await, [2]);
    assert_eq!(near(space("b", 2), &[1.0, 0.0]).await, []);
    assert_eq!(near(space("a", 3), &[1.0, 0.0, 0.0]).await, []);
    assert_eq!(near(space("a", 2), &[f32::INFINITY, 0.0]).await, []);
    let other = Space { model: "another".to_owned(), ..space("a", 2) };
    assert_eq!(near(other.clone(), &[1.0, 0.0]).await, [], "it calls itself otherwise now");
    let of = async |space: Option<Space>, agent: &str| {
        let (service, agent) = ("a".to_owned(), Some(agent.to_owned()));
        let missing = store.memories.unmeasured(Unmeasured { service, space, agent, limit: 9 }).await.expect("read");
        missing.iter().map(|one| one.memory.bits()).collect::<Vec<_>>()
    };
    assert_eq!(of(Some(space("a", 2)), "scribe").await, [3, 2]);
    assert_eq!(of(Some(other), "scribe").await, [3, 2, 1], "what another model made is made anew");
    assert_eq!(of(Some(space("a", 3)), "scribe").await, [3, 2, 1], "and what has another length");
    assert_eq!(of(None, "other").await, [0_u128; 0], "another agent's are not sent to this one's service");
    let query = RecallQuery { vector: Some((space("a", 2), vec![1.0, 0.0])), ..asked("zoology") };
    assert_eq!(recalled(&store, query.clone()).await.unmeasured, 2);
    assert_eq!(ids(&recalled(&store, RecallQuery { text: "?".to_owned(), ..query }).await.hits), [1], "without a word");
    store.memories.retain(["a".to_owned()].into()).await.expect("retained");
    assert_eq!((near(space("a", 2), &[1.0, 0.0]).await, missing("b").await), (vec![1], vec![3, 2, 1]));
    note(&store, session(1), "scribe", vec![edited(1, "cats sleep")]).await;
    assert_eq!(near(space("a", 2), &[1.0, 0.0]).await, [], "it says something else now");
}

/// Pages put together are all, none twice.
pub async fn memories_are_listed_in_pages(subject: &mut impl Subject) {
    let store = subject.open();
    for n in 1..=5 {
        let four = (0..4).map(|i| memory(n * 10 + i, 1, "row")).collect();
        note(&store, session(n), "scribe", vec![observed(four)]).await;
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = RememberedQuery { after, limit: 3, ..RememberedQuery::default() };
        let page = store.memories.list(query).await.expect("listed");
        assert!(page.rows.len() <= 3);
        all.extend(page.rows.iter().map(|row| row.memory.id.bits()));
        after = page.rows.last().map(|row| (row.at, row.memory.id));
        if !page.more {
            break;
        }
    }
    let whole = listed(&store, RememberedQuery::default()).await;
    assert_eq!((all.len(), &all), (20, &whole));
}
