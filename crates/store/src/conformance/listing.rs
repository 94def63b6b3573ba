//! Promises of the list.

use outlive_core::id::WaitId;
use outlive_core::task::{Task, TaskState};

use super::{Subject, append, row, session, take};
use crate::{Awaiting, Key, Label, ListQuery, OfTask, Row, Sort, Store, WaitQuery, WaitRow};

async fn list(store: &Store, query: ListQuery) -> Vec<Row> {
    store.index.list(query).await.expect("listed")
}

async fn ids(store: &Store, query: ListQuery) -> Vec<u128> {
    list(store, ListQuery { limit: 99, ..query }).await.iter().map(|row| row.session.bits()).collect()
}

/// Pages put together are the list, whatever their size, with rows of the same moment.
pub async fn rows_come_newest_first_in_pages(subject: &mut impl Subject) {
    let mut whole: Vec<Row> = (1..=23).map(|n| row(session(n), 1, i64::try_from(n / 4).unwrap_or(0) - 2)).collect();
    let store = subject.open();
    whole.iter().cloned().for_each(|row| store.index.note(row));
    drop(store);
    // Half of them written long ago, half a moment ago.
    let store = subject.open();
    for found in whole.iter_mut().step_by(2) {
        found.title = Some("again".to_owned());
        store.index.note(found.clone());
    }
    for ascending in [true, false] {
        whole.sort_by_key(|row| (row.updated_at, row.session));
        if !ascending {
            whole.reverse();
        }
        for limit in [1, 2, 5, 23, 50] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = list(&store, ListQuery { ascending, after, limit, ..Default::default() }).await;
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.place(Sort::Updated));
                seen.extend(page);
            }
            assert_eq!(seen, whole, "ascending {ascending}, limit {limit}");
        }
    }
    assert_eq!(list(&store, ListQuery::default()).await, [], "a limit of 0");
}

/// Also once it is written, and no more once its session waits for it no more.
pub async fn what_sessions_wait_for_is_listed_by_its_time(subject: &mut impl Subject) {
    let store = subject.open();
    let wait = |n: u128, of: u128, over_at: Option<i64>| WaitRow {
        kind: Awaiting::Wait,
        wait: WaitId::from_bits(n),
        session: session(of),
        over_at,
        terms: format!("{n}"),
        ended: false,
    };
    let sleeping =
        |of: u128, waits: Vec<WaitRow>| Row { status: "sleeping".to_owned(), waits, ..row(session(of), 1, 1) };
    let over = WaitRow { ended: true, ..wait(9, 2, None) };
    store.index.note(sleeping(1, vec![wait(1, 1, Some(50)), wait(2, 1, None)]));
    store.index.note(sleeping(2, vec![wait(3, 2, Some(10)), over]));
    let notice = WaitRow { kind: Awaiting::Notice, ..wait(4, 3, Some(20)) };
    store.index.note(Row { waits: vec![notice], ..row(session(3), 1, 0) });
    // A fork has the waits of its original, ended.
    let parted = |n: u128| WaitRow { ended: true, ..wait(n, 4, None) };
    store.index.note(Row { waits: vec![parted(1), parted(2), parted(9)], ..row(session(4), 1, 0) });
    for written in [false, true, true] {
        let ask = |query: WaitQuery| store.index.waits(query);
        let ids = |found: Vec<WaitRow>| found.into_iter().map(|row| row.wait.bits()).collect::<Vec<_>>();
        let both = WaitQuery { timed: true, limit: 9, ..WaitQuery::default() };
        assert_eq!(ids(ask(both.clone()).await.expect("waits are listed")), [3, 4, 1], "written: {written}");
        let notices = WaitQuery { kind: Some(Awaiting::Notice), ..both };
        assert_eq!(ids(ask(notices).await.expect("notices are listed")), [4], "written: {written}");
        let all = WaitQuery { kind: Some(Awaiting::Wait), limit: 9, ..WaitQuery::default() };
        assert_eq!(
            ids(ask(all.clone()).await.expect("waits are listed")),
            [3, 1, 2],
            "what no time ends comes last, written: {written}"
        );
        let after = Some((Some(10), WaitId::from_bits(3)));
        assert_eq!(ids(ask(WaitQuery { after, limit: 1, ..all.clone() }).await.expect("waits are listed")), [1]);
        let timed = ask(WaitQuery { timed: true, ..all.clone() }).await.expect("waits are listed");
        let bare = |n, of, at| WaitRow { terms: String::new(), ..wait(n, of, Some(at)) };
        assert_eq!(timed, [bare(3, 2, 10), bare(1, 1, 50)], "those that a time ends, and when; written: {written}");
        assert_eq!(
            ids(ask(WaitQuery { session: Some(session(1)), ..all.clone() }).await.expect("waits are listed")),
            [1, 2]
        );
        for (n, of) in [(1, 1), (9, 2)] {
            let one = WaitQuery { wait: Some(WaitId::from_bits(n)), limit: 1, ..all.clone() };
            let found = ask(one).await.expect("waits are listed");
            let found: Vec<_> = found.iter().map(|row| (row.wait.bits(), row.session)).collect();
            assert_eq!(found, [(n, session(of))], "of the original, written: {written}");
        }
        let mut rows = list(&store, ListQuery { limit: 9, ..ListQuery::default() }).await;
        rows.retain(|row| row.session < session(4));
        let armed = |wait: &&WaitRow| wait.kind == Awaiting::Wait;
        let first = |row: &Row| row.waits.iter().find(armed).map(|wait| wait.over_at);
        assert_eq!(
            rows.iter().map(first).collect::<Vec<_>>(),
            [Some(Some(10)), Some(Some(50)), None],
            "written: {written}"
        );
    }
    store.index.note(row(session(1), 2, 2));
    let left = store
        .index
        .waits(WaitQuery { kind: Some(Awaiting::Wait), limit: 9, ..WaitQuery::default() })
        .await
        .expect("waits are listed");
    assert_eq!(left.len(), 1);
}

/// In each order pages put together are the list, with rows that are alike.
pub async fn a_list_is_in_the_order_that_is_asked_for(subject: &mut impl Subject) {
    let titles = [None, Some("beta"), Some("Alpha"), Some("Über"), Some("alpha"), Some("zeta\0x"), Some("zeta")];
    let mut whole: Vec<Row> = (1..=21_usize)
        .map(|n| Row {
            title: titles.get(n % titles.len()).copied().flatten().map(str::to_owned),
            created_at: (n as i64 * 7) % 5,
            ..row(session(n as u128), 1, (n as i64 * 11) % 4)
        })
        .collect();
    let store = subject.open();
    whole.iter().take(11).cloned().for_each(|row| store.index.note(row));
    drop(store);
    let store = subject.open();
    whole.iter().skip(11).cloned().for_each(|row| store.index.note(row));
    for (sort, ascending) in
        [Sort::Updated, Sort::Created, Sort::Title].map(|sort| [(sort, true), (sort, false)]).concat()
    {
        whole.sort_by_key(|row| row.place(sort));
        if !ascending {
            whole.reverse();
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = list(&store, ListQuery { sort, ascending, after, limit: 4, ..Default::default() }).await;
            let Some(last) = page.last() else { break };
            after = Some(last.place(sort));
            seen.extend(page);
        }
        assert_eq!(seen, whole, "{sort:?}, ascending {ascending}");
    }
}

/// By labels, all of them, whatever is in them; and put away or not.
pub async fn a_list_shows_what_has_all_labels_that_are_asked_for(subject: &mut impl Subject) {
    let labelled = |n, labels: &str| Row { labels: labels.to_owned(), ..row(session(n), 1, 1) };
    let rows = [
        labelled(1, r#"{"env":"prod","team":"red"}"#),
        labelled(2, r#"{"env":"production"}"#),
        labelled(3, r#"{"team":"env","x":"prod'; DROP TABLE sessions; --"}"#),
        Row { status: "archived".to_owned(), ..labelled(4, r#"{"env":"prod"}"#) },
    ];
    let store = subject.open();
    rows.iter().cloned().for_each(|row| store.index.note(row));
    drop(store);
    let store = subject.open();
    let label = |key: &str, value: Option<&str>| Label { key: key.to_owned(), value: value.map(str::to_owned) };
    let cases = [
        (vec![label("env", Some("prod"))], None, vec![4, 1]),
        (vec![label("env", None)], None, vec![4, 2, 1]),
        (vec![label("env", Some("prod")), label("team", Some("red"))], None, vec![1]),
        (vec![label("env", Some("pro"))], None, vec![]),
        (vec![label("nv", None)], None, vec![]),
        (vec![label("x", Some("prod'; DROP TABLE sessions; --"))], None, vec![3]),
        (vec![label("env", Some("prod"))], Some(false), vec![1]),
        (vec![], Some(true), vec![4]),
        (vec![], Some(false), vec![3, 2, 1]),
    ];
    for (labels, archived, expected) in cases {
        let query = ListQuery { labels, archived, ..Default::default() };
        assert_eq!(ids(&store, query.clone()).await, expected, "{query:?}");
    }
}

fn task(feature: Option<&str>, task: Option<&str>) -> Box<Task> {
    let (feature, task) = (feature.map(str::to_owned), task.map(str::to_owned));
    let role = "dev".parse().expect("a name");
    Box::new(Task { project: "house-1".to_owned(), role, feature, task, state: TaskState::InDev })
}

/// By agent, status, project, text, task, and all of it together.
pub async fn a_list_shows_what_it_is_asked_for(subject: &mut impl Subject) {
    let rows = [
        Row { agent: "actor".to_owned(), title: Some("Über die Brücke 50%_".to_owned()), ..row(session(1), 1, 1) },
        Row { status: "asking".to_owned(), project: Some("house-1".to_owned()), ..row(session(2), 1, 2) },
        Row { status: "asking".to_owned(), title: Some("Bridge".to_owned()), ..row(session(0x300), 1, 3) },
        Row { task: Some(task(Some("f"), Some("t"))), labels: r#"{"a":"b"}"#.to_owned(), ..row(session(4), 1, 4) },
        Row { task: Some(task(Some("f"), None)), ..row(session(5), 1, 5) },
        Row { task: Some(task(None, Some("t"))), ..row(session(6), 1, 6) },
    ];
    let of_task = |feature: Option<&str>, task: Option<&str>| ListQuery {
        of_task: Some(Box::new(OfTask { feature: feature.map(str::to_owned), task: task.map(str::to_owned) })),
        ..Default::default()
    };
    let store = subject.open();
    rows.iter().cloned().for_each(|row| store.index.note(row));
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (ListQuery::default(), vec![6, 5, 4, 0x300, 2, 1]),
        (of_task(Some("f"), Some("t")), vec![4]),
        (of_task(Some("f"), None), vec![5]),
        (of_task(None, Some("t")), vec![6]),
        (of_task(Some("t"), None), vec![]),
        (ListQuery { agent: text("actor"), ..Default::default() }, vec![1]),
        (ListQuery { agent: text("act"), ..Default::default() }, vec![]),
        (ListQuery { status: text("asking"), ascending: true, ..Default::default() }, vec![2, 0x300]),
        (ListQuery { project: text("house-1"), ..Default::default() }, vec![2]),
        (ListQuery { text: text("über"), ..Default::default() }, vec![1]),
        (ListQuery { text: text("BR"), ..Default::default() }, vec![0x300, 1]),
        (ListQuery { text: text("%_"), ..Default::default() }, vec![1]),
        (ListQuery { text: text("_%"), ..Default::default() }, vec![]),
        (ListQuery { text: text("r0"), ..Default::default() }, vec![0x300]),
        (ListQuery { text: text("xyz"), ..Default::default() }, vec![]),
        (ListQuery { text: Some(session(2).to_string()), ..Default::default() }, vec![2]),
        (ListQuery { text: text("br"), status: text("asking"), ..Default::default() }, vec![0x300]),
        (ListQuery { text: text("br"), after: Some((Key::At(3), session(0x300))), ..Default::default() }, vec![1]),
    ];
    for (query, expected) in &cases {
        assert_eq!(ids(&store, query.clone()).await, *expected, "just noted: {query:?}");
    }
    drop(store);
    let store = subject.open();
    for (query, expected) in &cases {
        assert_eq!(ids(&store, query.clone()).await, *expected, "written: {query:?}");
    }
    assert_eq!(list(&store, ListQuery { limit: 9, ascending: true, ..Default::default() }).await, rows);
}

/// A list never misses what its reader has just done.
pub async fn a_row_noted_a_moment_ago_is_listed_once(subject: &mut impl Subject) {
    let store = subject.open();
    for head in 1..=50 {
        let noted = row(session(1 + u128::from(head % 2)), head, i64::try_from(head).unwrap_or(0));
        store.index.note(noted.clone());
        let listed = list(&store, ListQuery { limit: 9, ..Default::default() }).await;
        assert_eq!((listed.first(), listed.len()), (Some(&noted), 2.min(usize::try_from(head).unwrap_or(0))));
    }
}

/// Written or not, now and later.
pub async fn a_session_taken_off_the_list_stays_off(subject: &mut impl Subject) {
    let store = subject.open();
    (1..=3).for_each(|n| store.index.note(row(session(n), 1, 1)));
    store.index.forget(session(1));
    assert_eq!(ids(&store, ListQuery::default()).await, [3, 2]);
    let found = store.index.rows(vec![session(1), session(2), session(9)]).await;
    assert_eq!(found, Ok(vec![row(session(2), 1, 1)]));
    drop(store);
    let store = subject.open();
    store.index.forget(session(3));
    store.index.forget(session(7));
    assert_eq!(ids(&store, ListQuery::default()).await, [2]);
    drop(store);
    assert_eq!(ids(&subject.open(), ListQuery::default()).await, [2]);
}

/// Owed something, or further than its row; nothing else, so that a start costs what is to be done.
pub async fn a_restart_opens_what_is_owed_or_not_covered(subject: &mut impl Subject) {
    let store = subject.open();
    assert_eq!(store.index.unsettled().await, Ok(vec![]));
    let (rests, owed, behind, unlisted) = (session(1), session(2), session(3), session(4));
    for journal in [rests, owed, behind, unlisted] {
        append(&store, (journal, take(&store, journal).await), 0, 2).await.expect("appended");
    }
    store.index.note(row(rests, 2, 1));
    store.index.note(Row { owed: true, ..row(owed, 2, 1) });
    store.index.note(row(behind, 1, 1));
    drop(store);
    for _ in 0..3 {
        let store = subject.open();
        assert_eq!(store.index.unsettled().await, Ok(vec![owed, behind, unlisted]));
    }
    let store = subject.open();
    [owed, behind, unlisted].into_iter().for_each(|session| store.index.note(row(session, 2, 1)));
    assert_eq!(store.index.unsettled().await, Ok(vec![]));
    drop(store);
    let store = subject.open();
    assert_eq!(store.index.unsettled().await, Ok(vec![]));
    assert!(!store.index.needs_rebuild());
}

/// Those rows and no others.
pub async fn a_rebuilt_list_is_what_it_was_built_from(subject: &mut impl Subject) {
    let store = subject.open();
    store.index.note(row(session(1), 1, 1));
    store.index.note(row(session(2), 1, 2));
    assert_eq!(store.index.rebuild(vec![row(session(2), 3, 5), row(session(3), 1, 4)]).await, Ok(()));
    assert_eq!(ids(&store, ListQuery::default()).await, [2, 3]);
    drop(store);
    let listed = list(&subject.open(), ListQuery { limit: 9, ..Default::default() }).await;
    assert_eq!(listed, [row(session(2), 3, 5), row(session(3), 1, 4)]);
}
