//! Promises of the trash.

use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::SessionId;
use outlive_core::time::Timestamp;

use super::{Subject, all, append, line, lines, row, session, take};
use crate::{Deed, ListQuery, Note, Row, Store, StoreError};

fn note(journal: SessionId, at: i64, request: Option<&str>) -> Note {
    let by = Origin::of(OriginKind::Cli);
    Note { at: Timestamp::from_micros(at), by, request: request.map(str::to_owned), row: row(journal, 3, 5) }
}

/// Sessions 1 to `count` of three lines each, listed and with snapshots.
async fn fill(store: &Store, count: u128) {
    for journal in (1..=count).map(session) {
        append(store, (journal, take(store, journal).await), 0, 3).await.expect("appended");
        store.snapshots.put(journal, "seq: 3\n".to_owned()).await.expect("kept");
        store.index.note(row(journal, 3, 5));
    }
}

async fn listed(store: &Store) -> Vec<SessionId> {
    let query = ListQuery { limit: 9, ascending: true, ..ListQuery::default() };
    store.index.list(query).await.expect("listed").iter().map(|row| row.session).collect()
}

async fn check_gone(store: &Store, journal: SessionId) {
    let gone = StoreError::NotFound(journal);
    assert_eq!(all(store, journal).await, Err(gone.clone()));
    assert_eq!(store.journals.head(journal).await, Err(gone.clone()));
    assert_eq!(store.trash.discard(journal, note(journal, 1, None)).await, Err(gone));
    assert_eq!(store.snapshots.get(journal).await, Ok(None));
    assert!(!store.directory.sessions().await.expect("listed").contains(&journal));
    assert!(!listed(store).await.contains(&journal));
}

/// With its lines, its snapshot, its row; and it goes on.
pub async fn what_is_in_the_trash_is_gone_and_comes_back_whole(subject: &mut impl Subject) {
    let store = subject.open();
    fill(&store, 2).await;
    let kept = note(session(1), 7, None);
    assert_eq!(store.trash.discard(session(1), kept.clone()).await, Ok(()));
    drop(store);
    for _ in 0..2 {
        let store = subject.open();
        store.index.unsettled().await.expect("asked");
        check_gone(&store, session(1)).await;
        assert_eq!(store.trash.discarded().await, Ok(vec![kept.clone()]));
        let anew = append(&store, (session(1), take(&store, session(1)).await), 0, 1).await;
        assert!(anew.is_err_and(|error| error.to_string().contains("in the trash")), "made anew under it");
    }
    let store = subject.open();
    for _ in 0..2 {
        assert_eq!(store.trash.restore(session(1)).await, Ok(()));
        assert_eq!(all(&store, session(1)).await, Ok(lines(0, 3)));
    }
    assert_eq!(store.trash.restore(session(9)).await, Err(StoreError::NotFound(session(9))));
    assert_eq!((store.trash.discarded().await, listed(&store).await), (Ok(vec![]), vec![session(1), session(2)]));
    assert_eq!(store.snapshots.get(session(1)).await, Ok(Some("seq: 3\n".to_owned())));
    assert_eq!(append(&store, (session(1), take(&store, session(1)).await), 3, 2).await, Ok(()));
    drop(store);
    let store = subject.open();
    store.index.unsettled().await.expect("asked");
    assert_eq!(all(&store, session(1)).await, Ok(lines(0, 5)));
    assert_eq!(listed(&store).await, [session(1), session(2)]);
}

/// Several at once, here or there; an unknown one alone is told.
pub async fn what_is_erased_is_gone_wherever_it_was(subject: &mut impl Subject) {
    let store = subject.open();
    fill(&store, 4).await;
    for (n, at) in [(1, 5), (2, 6)] {
        store.trash.discard(session(n), note(session(n), at, None)).await.expect("discarded");
    }
    let there = store.trash.discarded().await.expect("listed");
    assert_eq!(there.iter().map(|note| note.row.session).collect::<Vec<_>>(), [session(2), session(1)]);
    assert_eq!(store.trash.erase(vec![session(1), session(3)], None).await, Ok(()));
    let unknown = StoreError::NotFound(session(1));
    assert_eq!(store.trash.erase(vec![session(1)], None).await, Err(unknown.clone()));
    assert_eq!(store.trash.erase(vec![], None).await, Ok(()));
    assert_eq!(store.trash.restore(session(1)).await, Err(unknown));
    drop(store);
    let store = subject.open();
    store.index.unsettled().await.expect("asked");
    check_gone(&store, session(1)).await;
    check_gone(&store, session(3)).await;
    assert_eq!(store.trash.discarded().await, Ok(vec![note(session(2), 6, None)]));
    assert_eq!((all(&store, session(4)).await, listed(&store).await), (Ok(lines(0, 3)), vec![session(4)]));
    assert_eq!(append(&store, (session(3), take(&store, session(3)).await), 0, 1).await, Ok(()));
}

/// Of those that were listed: not what was brought back since, nor what went there anew.
pub async fn what_was_brought_back_is_not_erased_with_the_others(subject: &mut impl Subject) {
    let store = subject.open();
    fill(&store, 3).await;
    for n in 1..=3 {
        store.trash.discard(session(n), note(session(n), 5, None)).await.expect("discarded");
    }
    let listed = store.trash.discarded().await.expect("listed");
    store.trash.restore(session(1)).await.expect("restored");
    store.trash.restore(session(2)).await.expect("restored");
    store.trash.discard(session(2), note(session(2), 6, None)).await.expect("discarded");
    assert_eq!(store.trash.erase_discarded(listed.clone()).await, Ok(1));
    assert_eq!(store.trash.erase_discarded(listed).await, Ok(0));
    assert_eq!(all(&store, session(1)).await, Ok(lines(0, 3)));
    assert_eq!(store.trash.discarded().await, Ok(vec![note(session(2), 6, None)]));
    let gone = StoreError::NotFound(session(3));
    assert_eq!(store.trash.restore(session(3)).await, Err(gone));
}

/// With what the list shows once it is back; nobody else's lines, and not those of one that is among the sessions.
pub async fn lines_in_the_trash_are_written_anew_there(subject: &mut impl Subject) {
    let store = subject.open();
    fill(&store, 2).await;
    store.trash.discard(session(1), note(session(1), 7, None)).await.expect("discarded");
    let titled = || Row { title: Some("as it is now".to_owned()), ..row(session(1), 3, 5) };
    assert_eq!(store.trash.inside().scrub(session(1), vec![line(2, "anew")], titled()).await, Ok(()));
    let beyond = store.trash.inside().scrub(session(1), vec![line(4, "beyond")], titled()).await;
    assert!(matches!(beyond, Err(StoreError::Refused { .. })), "{beyond:?}");
    let gone = Err(StoreError::NotFound(session(2)));
    assert_eq!(store.trash.inside().scrub(session(2), vec![line(2, "anew")], row(session(2), 3, 5)).await, gone);
    assert_eq!(store.trash.inside().read(session(2), 0, 9).await.map(|_| ()), gone);
    drop(store);
    let store = subject.open();
    let anew = [lines(0, 1), vec![line(2, "anew")], lines(2, 1)].concat();
    for (after, limit, wanted) in [(0, 9, &anew[..]), (1, 1, &anew[1..2]), (2, 9, &anew[2..]), (3, 9, &[])] {
        assert_eq!(store.trash.inside().read(session(1), after, limit).await, Ok(wanted.to_vec()));
    }
    assert_eq!(store.trash.discarded().await, Ok(vec![Note { row: titled(), ..note(session(1), 7, None) }]));
    assert_eq!(store.trash.restore(session(1)).await, Ok(()));
    assert_eq!((all(&store, session(1)).await, all(&store, session(2)).await), (Ok(anew), Ok(lines(0, 3))));
    assert_eq!(store.snapshots.get(session(1)).await, Ok(None), "it is of the old lines");
    assert_eq!(store.trash.inside().read(session(1), 0, 9).await, Err(StoreError::NotFound(session(1))));
}

/// Also after the session came back, and after it is gone.
pub async fn a_request_that_deleted_is_remembered(subject: &mut impl Subject) {
    let store = subject.open();
    fill(&store, 1).await;
    let known = async |store: &Store, request: &str| store.trash.answered(session(1), request.to_owned()).await;
    store.trash.discard(session(1), note(session(1), 7, Some("d1"))).await.expect("discarded");
    assert_eq!(known(&store, "d1").await, Ok(Some(Deed::Discarded)));
    store.trash.restore(session(1)).await.expect("restored");
    assert_eq!(known(&store, "d1").await, Ok(Some(Deed::Discarded)));
    store.trash.discard(session(1), note(session(1), 8, Some("d2"))).await.expect("discarded");
    store.trash.erase(vec![session(1)], Some("e1".to_owned())).await.expect("erased");
    drop(store);
    for _ in 0..2 {
        let store = subject.open();
        for (request, deed) in [("d1", Deed::Discarded), ("d2", Deed::Discarded), ("e1", Deed::Erased)] {
            assert_eq!(known(&store, request).await, Ok(Some(deed)), "{request}");
        }
        assert_eq!(known(&store, "e2").await, Ok(None));
        assert_eq!(store.trash.answered(session(2), "e1".to_owned()).await, Ok(None));
    }
}
