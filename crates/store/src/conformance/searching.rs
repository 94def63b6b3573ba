//! Promises of the search.

use std::collections::BTreeMap;

use outlive_core::content::{Block, StopReason, Usage};
use outlive_core::context::MessageRole;
use outlive_core::event::{
    Behavior, CallFinished, Entry, Event, Line, MessageReceived, OnDisconnect, Origin, OriginKind, Outcome,
    SessionCreated, StepFinished,
};
use outlive_core::id::{CallId, Seq, SessionId};
use outlive_core::time::Timestamp;

use super::{Subject, row, session, take};
use crate::{Append, Found, SearchQuery, Store};

/// Returns the line by which a session of this agent begins.
#[must_use]
pub fn begun(session: SessionId, agent: &str) -> Line {
    let created = SessionCreated {
        task: None,
        taken_to: None,
        memory: None,
        session,
        agent: agent.parse().expect("an agent's name"),
        agent_digest: "0".to_owned(),
        title: None,
        project: None,
        parent: None,
        on_disconnect: OnDisconnect::Continue,
        labels: BTreeMap::new(),
        by: Origin::of(OriginKind::Api),
    };
    written(1, Event::SessionCreated(created))
}

/// Returns the line by which somebody says something.
#[must_use]
pub fn said(seq: Seq, role: MessageRole, text: &str) -> Line {
    let content = text.to_owned();
    let event = match role {
        MessageRole::User => Event::MessageReceived(MessageReceived {
            content,
            attachments: Vec::new(),
            output_schema: None,
            behavior: Behavior::FollowUp,
            origin: Origin::of(OriginKind::Api),
            input: None,
        }),
        MessageRole::Assistant => Event::StepFinished(StepFinished {
            served_by: None,
            attempt: 1,
            content: vec![Block::Text { text: content }],
            stop_reason: StopReason::EndTurn,
            usage: Usage::default(),
            latency_ms: 1,
            provider_request_id: None,
            model: "model".to_owned(),
        }),
        MessageRole::Tool => Event::CallFinished(CallFinished {
            call: CallId::from_bits(1),
            attempt: 1,
            outcome: Outcome::Ok,
            content,
            details: None,
            artifact: None,
            duration_ms: 1,
        }),
    };
    written(seq, event)
}

fn written(seq: Seq, event: Event) -> Line {
    let at = Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(seq).expect("a small seq"));
    let entry = Entry { seq, at, turn: None, step: None, asked: None, tokens: None, event };
    Line::write(&entry).expect("a line that can be written")
}

/// Appends what users say to a session, which is made where it is missing, and notes its row.
pub async fn tell(store: &Store, journal: SessionId, agent: &str, said_by: &[(MessageRole, &str)]) {
    let epoch = take(store, journal).await;
    let expected = store.journals.head(journal).await.unwrap_or(0);
    let mut lines = if expected == 0 { vec![begun(journal, agent)] } else { Vec::new() };
    for (role, text) in said_by {
        lines.push(said(expected + lines.len() as Seq + 1, *role, text));
    }
    let head = expected + lines.len() as Seq;
    store.journals.append(Append { journal, epoch, expected, lines }).await.expect("appended");
    store.index.note(row(journal, head, i64::try_from(head).expect("a small head")));
}

/// Returns what is found.
pub async fn found(store: &Store, query: SearchQuery) -> Found {
    let limit = if query.limit == 0 { 50 } else { query.limit };
    store.search.find(SearchQuery { limit, ..query }).await.expect("searched")
}

async fn places(store: &Store, query: SearchQuery) -> Vec<(u128, Seq)> {
    let mut places: Vec<(u128, Seq)> =
        found(store, query).await.hits.iter().map(|hit| (hit.session.bits(), hit.seq)).collect();
    places.sort_unstable();
    places
}

async fn typed(store: &Store, text: &str) -> Vec<(u128, Seq)> {
    places(store, SearchQuery { text: text.to_owned(), ..SearchQuery::default() }).await
}

use MessageRole::{Assistant, Tool, User};

/// All of the words, in any case; phrases; beginnings; at once and later.
pub async fn what_was_said_is_found_by_its_words(subject: &mut impl Subject) {
    let store = subject.open();
    tell(&store, session(1), "scribe", &[(User, "The quick brown fox jumps"), (Assistant, "over the lazy dog")]).await;
    tell(&store, session(2), "scribe", &[(User, "a brown dog"), (Tool, "fox-trot.rs: 42 lines")]).await;
    let cases: [(&str, &[(u128, Seq)]); 12] = [
        ("fox", &[(1, 2), (2, 3)]),
        ("FOX brown", &[(1, 2)]),
        ("brown", &[(1, 2), (2, 2)]),
        ("\"brown fox\"", &[(1, 2)]),
        ("\"fox brown\"", &[]),
        ("laz*", &[(1, 3)]),
        ("laz", &[]),
        ("\"the la\"*", &[(1, 3)]),
        ("fox-trot.rs", &[(2, 3)]),
        ("42", &[(2, 3)]),
        ("dog", &[(1, 3), (2, 2)]),
        ("cat", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(typed(&store, text).await, expected, "just said: {text}");
    }
    drop(store);
    let store = subject.open();
    for (text, expected) in cases {
        assert_eq!(typed(&store, text).await, expected, "said long ago: {text}");
    }
    tell(&store, session(2), "scribe", &[(User, "and now a cat")]).await;
    assert_eq!(typed(&store, "cat").await, [(2, 4)]);
}

/// By session, agent, who said it; pages put together are all hits.
pub async fn a_search_is_narrowed_and_paged(subject: &mut impl Subject) {
    let store = subject.open();
    for n in 1..=10 {
        let agent = if n % 2 == 0 { "even" } else { "odd" };
        tell(&store, session(n), agent, &[(User, "needle one"), (Assistant, "needle two"), (User, "hay")]).await;
    }
    let needle = || SearchQuery { text: "needle".to_owned(), ..SearchQuery::default() };
    assert_eq!(places(&store, SearchQuery { session: Some(session(3)), ..needle() }).await, [(3, 2), (3, 3)]);
    assert_eq!(places(&store, SearchQuery { session: Some(session(99)), ..needle() }).await, []);
    assert_eq!(places(&store, SearchQuery { agent: Some("even".to_owned()), ..needle() }).await.len(), 10);
    assert_eq!(places(&store, SearchQuery { agent: Some("none".to_owned()), ..needle() }).await, []);
    let users = SearchQuery { role: Some(User), agent: Some("odd".to_owned()), ..needle() };
    assert_eq!(places(&store, users).await, [(1, 2), (3, 2), (5, 2), (7, 2), (9, 2)]);
    let mut all = Vec::new();
    for skip in (0..30).step_by(7) {
        let page = places(&store, SearchQuery { skip, limit: 7, ..needle() }).await;
        assert!(page.len() <= 7);
        all.extend(page);
    }
    all.sort_unstable();
    assert_eq!(all, places(&store, needle()).await, "no hit twice, none missing");
    assert_eq!(all.len(), 20);
}

/// No character has a meaning but quotes and a star, and those cannot be wrong.
pub async fn whatever_is_typed_is_only_words(subject: &mut impl Subject) {
    let store = subject.open();
    tell(&store, session(1), "scribe", &[(User, "a AND b; NOT near OR {c} text:x \u{1f44b}wave nul\0end")]).await;
    for text in
        ["AND", "a NOT b", "NEAR(a b)", "text:x", "\u{1f44b} wave", "\"NOT near\"", "nul end", "nul\0end", "{c}"]
    {
        let expected: &[(u128, Seq)] = if text.starts_with("NEAR(") { &[] } else { &[(1, 2)] };
        assert_eq!(typed(&store, text).await, expected, "{text}");
    }
    for text in ["", "\"", "\"\"", "*", "**", "\u{1f44b}", "\0", "^", "- -", "() {} []", "\"*\"*", ":", "';--", "%_"] {
        assert_eq!(typed(&store, text).await, [], "{text}");
    }
    let much = SearchQuery { text: "x".repeat(1 << 20), limit: 9, ..SearchQuery::default() };
    assert!(store.search.find(much).await.is_err());
}

/// Not at once, not later, not after it is made anew.
pub async fn what_was_removed_is_not_found(subject: &mut impl Subject) {
    let store = subject.open();
    tell(&store, session(1), "scribe", &[(User, "ephemeral words")]).await;
    tell(&store, session(2), "scribe", &[(User, "words that stay")]).await;
    assert_eq!(typed(&store, "words").await, [(1, 2), (2, 2)]);
    store.journals.remove(session(1)).await.expect("removed");
    store.index.forget(session(1));
    assert_eq!(typed(&store, "words").await, [(2, 2)]);
    drop(store);
    let store = subject.open();
    assert_eq!(typed(&store, "words").await, [(2, 2)]);
    store.search.begin_anew().await.expect("begun anew");
    assert_eq!(typed(&store, "words").await, [(2, 2)]);
    assert_eq!(typed(&store, "ephemeral").await, []);
    assert_eq!(store.search.catching().await.map(|catching| (catching.sessions, catching.behind)), Ok((1, 0)));
}
