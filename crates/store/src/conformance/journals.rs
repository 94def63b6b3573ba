//! Promises of journals, leases and the directory.

use futures_util::future::join_all;
use outlive_core::limits::LINE_BYTES;

use super::{Subject, all, append, line, lines, session, take};
use crate::{Append, Class, Epoch, StoreError};

/// The bytes, the order, the head.
pub async fn what_was_appended_is_read_back(subject: &mut impl Subject) {
    let store = subject.open();
    let writer = (session(1), take(&store, session(1)).await);
    for (expected, count) in [(0, 1), (1, 3), (4, 200)] {
        assert_eq!(append(&store, writer, expected, count).await, Ok(()));
        assert_eq!(store.journals.head(session(1)).await, Ok(expected + count));
    }
    let odd = line(205, "ü\u{2028}\n\"\\\0 end");
    let one = Append { journal: session(1), epoch: writer.1, expected: 204, lines: vec![odd.clone()] };
    assert_eq!(store.journals.append(one).await, Ok(()));
    let mut whole = lines(0, 204);
    whole.push(odd);
    assert_eq!(all(&store, session(1)).await, Ok(whole));
    assert_eq!(store.directory.sessions().await, Ok(vec![session(1)]));
}

/// Every position, every limit.
pub async fn a_read_goes_on_from_a_position_up_to_its_limit(subject: &mut impl Subject) {
    let store = subject.open();
    append(&store, (session(1), take(&store, session(1)).await), 0, 6).await.expect("appended");
    for after in 0..9 {
        for limit in 0..9 {
            let read = store.journals.read(session(1), after, limit).await.expect("read").lines;
            let most = u64::try_from(limit).unwrap_or(u64::MAX);
            assert_eq!(read, lines(after, 6_u64.saturating_sub(after).min(most)), "after {after}, limit {limit}");
        }
    }
}

/// Whoever expects another head is told the right one.
pub async fn an_append_at_a_wrong_head_changes_nothing(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let writer = (journal, take(&store, journal).await);
    let conflict = |expected, head| Err(StoreError::Conflict { journal, expected, head });
    assert_eq!(append(&store, writer, 3, 1).await, conflict(3, 0), "an empty journal");
    assert_eq!(append(&store, writer, 0, 2).await, Ok(()));
    for expected in [0, 1, 3, 99] {
        assert_eq!(append(&store, writer, expected, 1).await, conflict(expected, 2));
    }
    assert_eq!(all(&store, journal).await, Ok(lines(0, 2)));
    assert_eq!(append(&store, writer, 2, 1).await, Ok(()));
}

/// All or none, and no gaps.
pub async fn lines_with_a_gap_are_refused_whole(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let epoch = take(&store, journal).await;
    append(&store, (journal, epoch), 0, 1).await.expect("appended");
    for seqs in [vec![3], vec![1], vec![2, 4], vec![2, 2], vec![2, 3, 2]] {
        let lines = seqs.iter().map(|seq| line(*seq, "x")).collect();
        let refused = store.journals.append(Append { journal, epoch, expected: 1, lines }).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{seqs:?}: {refused:?}");
    }
    assert_eq!(all(&store, journal).await, Ok(lines(0, 1)));
}

/// Nothing is not an append, and makes no journal.
pub async fn an_append_without_lines_is_refused(subject: &mut impl Subject) {
    let store = subject.open();
    let writer = (session(1), take(&store, session(1)).await);
    assert_eq!(append(&store, writer, 0, 0).await.map_err(|error| error.class()), Err(Class::Refused));
    assert_eq!(store.directory.sessions().await, Ok(vec![]));
    assert_eq!(store.journals.head(session(1)).await, Err(StoreError::NotFound(session(1))));
}

/// Reading makes nothing; nor does taking a lease.
pub async fn an_unknown_journal_is_not_found(subject: &mut impl Subject) {
    let store = subject.open();
    let unknown = session(9);
    take(&store, unknown).await;
    for _ in 0..2 {
        assert_eq!(all(&store, unknown).await, Err(StoreError::NotFound(unknown)));
        assert_eq!(store.journals.head(unknown).await, Err(StoreError::NotFound(unknown)));
        assert_eq!(store.journals.remove(unknown).await, Err(StoreError::NotFound(unknown)));
    }
    assert_eq!(store.directory.sessions().await, Ok(vec![]));
}

/// Gone with its snapshot and its row, for whoever opens later too; its id may be used anew.
pub async fn a_removed_journal_is_gone(subject: &mut impl Subject) {
    let store = subject.open();
    let (gone, kept) = (session(1), session(2));
    let writer = (gone, take(&store, gone).await);
    append(&store, writer, 0, 5).await.expect("appended");
    append(&store, (kept, take(&store, kept).await), 0, 1).await.expect("appended");
    store.snapshots.put(gone, "seq: 5\n".to_owned()).await.expect("kept");
    store.index.note(super::row(gone, 5, 5));
    store.index.note(super::row(kept, 1, 6));
    assert_eq!(store.journals.remove(gone).await, Ok(()));
    let late = append(&store, writer, 5, 1).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. } | StoreError::Fenced(_))), "{late:?}");
    drop(store);
    for _ in 0..2 {
        let store = subject.open();
        assert_eq!(all(&store, gone).await, Err(StoreError::NotFound(gone)));
        assert_eq!(store.directory.sessions().await, Ok(vec![kept]));
        assert_eq!(store.snapshots.get(gone).await, Ok(None));
        let listed = store.index.list(crate::ListQuery { limit: 9, ..Default::default() }).await.expect("listed");
        assert_eq!(listed.iter().map(|row| row.session).collect::<Vec<_>>(), [kept]);
    }
    let store = subject.open();
    assert_eq!(append(&store, (gone, take(&store, gone).await), 0, 2).await, Ok(()));
    assert_eq!(all(&store, gone).await, Ok(lines(0, 2)));
}

/// Writers that start from the same head cannot both be right.
pub async fn of_writers_at_the_same_head_one_wins(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let epoch = take(&store, journal).await;
    for head in 0..8 {
        let writers = (0..8).map(|writer| {
            let lines = vec![line(head + 1, &format!("writer {writer}"))];
            store.journals.append(Append { journal, epoch, expected: head, lines })
        });
        let won = join_all(writers).await.into_iter().enumerate().filter(|(_, done)| done.is_ok());
        let won: Vec<usize> = won.map(|(writer, _)| writer).collect();
        assert_eq!(won.len(), 1, "winners at {head}: {won:?}");
        let expected = won.iter().map(|writer| line(head + 1, &format!("writer {writer}"))).collect::<Vec<_>>();
        assert_eq!(store.journals.read(journal, head, 9).await.expect("read").lines, expected);
    }
}

/// Appends of many journals at once do not mix.
pub async fn many_journals_grow_at_once(subject: &mut impl Subject) {
    let opened = subject.open();
    let store = &opened;
    let writers = (1..=40).map(|n| async move {
        let journal = session(n);
        let epoch = take(store, journal).await;
        for turn in 0..10 {
            let lines = vec![line(turn + 1, &format!("{journal} {turn}"))];
            store.journals.append(Append { journal, epoch, expected: turn, lines }).await.expect("appended");
        }
    });
    join_all(writers).await;
    drop(opened);
    let store = subject.open();
    for journal in (1..=40).map(session) {
        let expected = (0..10).map(|turn| line(turn + 1, &format!("{journal} {turn}"))).collect();
        assert_eq!(all(&store, journal).await, Ok(expected));
    }
    assert_eq!(store.directory.sessions().await, Ok((1..=40).map(session).collect()));
}

/// Up to the limit of a line, and several in one append.
pub async fn large_lines_come_back_whole(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let epoch = take(&store, journal).await;
    let sizes = [1, LINE_BYTES - 200, 70_000, 3 << 20];
    let large: Vec<_> = (1..).zip(sizes).map(|(seq, size)| line(seq, &"x".repeat(size))).collect();
    let one = Append { journal, epoch, expected: 0, lines: large.clone() };
    assert_eq!(store.journals.append(one).await, Ok(()));
    assert_eq!(append(&store, (journal, epoch), 4, 2).await, Ok(()));
    drop(store);
    let store = subject.open();
    let read = all(&store, journal).await.expect("read");
    assert!(read == [large, lines(4, 2)].concat(), "{:?}", read.iter().map(|l| l.as_str().len()).collect::<Vec<_>>());
    assert_eq!(store.journals.read(journal, 3, 2).await.expect("read").lines.len(), 2);
}

/// A guess is no lease.
pub async fn an_epoch_never_taken_is_fenced(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let newest = take(&store, journal).await;
    for epoch in [Epoch(0), Epoch(newest.0 + 1), Epoch(u64::MAX)] {
        assert_eq!(append(&store, (journal, epoch), 0, 1).await, Err(StoreError::Fenced(journal)));
    }
    assert_eq!(append(&store, (journal, newest), 0, 1).await, Ok(()));
}

/// Acknowledged means there; old means fenced.
pub async fn opening_again_keeps_all_and_fences_old_writers(subject: &mut impl Subject) {
    let mut old = Vec::new();
    for round in 0..4 {
        let store = subject.open();
        let writer = (session(1), take(&store, session(1)).await);
        for stale in &old {
            assert!(*stale < writer.1, "{stale:?} against {:?}", writer.1);
            assert_eq!(append(&store, (session(1), *stale), round, 1).await, Err(StoreError::Fenced(session(1))));
        }
        assert_eq!(append(&store, writer, round, 1).await, Ok(()));
        assert_eq!(all(&store, session(1)).await, Ok(lines(0, round + 1)));
        old.push(writer.1);
    }
}

/// A start is not an event.
pub async fn opening_again_and_again_changes_nothing(subject: &mut impl Subject) {
    let store = subject.open();
    for n in 1..4 {
        append(&store, (session(n), take(&store, session(n)).await), 0, 3).await.expect("appended");
    }
    drop(store);
    for _ in 0..4 {
        let store = subject.open();
        for n in 1..4 {
            let opened = store.journals.read(session(n), 0, 9).await.expect("read");
            assert_eq!((opened.lines, opened.cut_bytes), (lines(0, 3), 0));
        }
        assert_eq!(store.directory.sessions().await, Ok((1..4).map(session).collect()));
    }
}

/// The next line follows the last.
pub async fn a_journal_goes_on_after_opening_again(subject: &mut impl Subject) {
    for round in 0..5 {
        let store = subject.open();
        let writer = (session(1), take(&store, session(1)).await);
        append(&store, writer, round * 7, 4).await.expect("appended");
        append(&store, writer, round * 7 + 4, 3).await.expect("appended");
        store.leases.release(session(1), writer.1).await.expect("given back");
        assert_eq!(store.journals.head(session(1)).await, Ok(round * 7 + 7));
    }
    assert_eq!(all(&subject.open(), session(1)).await, Ok(lines(0, 35)));
}

/// The new lines are in the place of the old ones, for whoever opens later, too; all else goes on.
pub async fn a_scrubbed_line_is_read_as_it_is_now(subject: &mut impl Subject) {
    let store = subject.open();
    let (journal, other) = (session(1), session(2));
    let epoch = take(&store, journal).await;
    append(&store, (journal, epoch), 0, 9).await.expect("appended");
    append(&store, (other, take(&store, other).await), 0, 3).await.expect("appended");
    store.snapshots.put(journal, "line 4".to_owned()).await.expect("kept");
    let mut whole = lines(0, 9);
    for (seq, text) in [(4, ""), (9, "much longer than what it was before")] {
        whole[usize::try_from(seq - 1).unwrap_or_default()] = line(seq, text);
    }
    for _ in 0..2 {
        let new = vec![line(9, "much longer than what it was before"), line(4, "")];
        assert_eq!(store.journals.scrub(journal, epoch, new).await, Ok(()));
        assert_eq!(all(&store, journal).await, Ok(whole.clone()));
        assert_eq!(store.journals.head(journal).await, Ok(9));
        assert_eq!(store.snapshots.get(journal).await, Ok(None));
    }
    append(&store, (journal, epoch), 9, 2).await.expect("it goes on");
    whole.extend(lines(9, 2));
    drop(store);
    for _ in 0..2 {
        let store = subject.open();
        assert_eq!(all(&store, journal).await, Ok(whole.clone()));
        assert_eq!(all(&store, other).await, Ok(lines(0, 3)));
    }
}

/// Only lines that are there, each once, and only by its writer.
pub async fn what_is_not_there_cannot_be_scrubbed(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let epoch = take(&store, journal).await;
    let scrub = async |epoch, lines| store.journals.scrub(journal, epoch, lines).await;
    assert_eq!(scrub(epoch, vec![line(1, "")]).await, Err(StoreError::NotFound(journal)));
    append(&store, (journal, epoch), 0, 2).await.expect("appended");
    for lines in [vec![], vec![line(3, "")], vec![line(1, ""), line(1, "x")]] {
        assert_eq!(scrub(epoch, lines).await.map_err(|error| error.class()), Err(Class::Refused));
    }
    assert_eq!(scrub(Epoch(u64::MAX), vec![line(1, "")]).await, Err(StoreError::Fenced(journal)));
    assert_eq!(all(&store, journal).await, Ok(lines(0, 2)));
}

/// What only the old lines named goes with them.
pub async fn artifacts_of_scrubbed_lines_go_with_them(subject: &mut impl Subject) {
    let store = subject.open();
    let journal = session(1);
    let epoch = take(&store, journal).await;
    let mut named = Vec::new();
    for text in ["only the old line", "another line, too", "the new line, too"] {
        named.push(store.artifacts.put(text.into()).await.expect("kept"));
    }
    let old = line(1, &format!("{} {} {}", named[0], named[1], named[2]));
    let first = vec![old, line(2, named[1].as_str())];
    store.journals.append(Append { journal, epoch, expected: 0, lines: first }).await.expect("appended");
    assert_eq!(store.journals.scrub(journal, epoch, vec![line(1, named[2].as_str())]).await, Ok(()));
    for (hash, is_kept) in named.into_iter().zip([false, true, true]) {
        assert_eq!(store.artifacts.get(hash.clone()).await.map(|found| found.is_some()), Ok(is_kept), "{hash}");
    }
}
