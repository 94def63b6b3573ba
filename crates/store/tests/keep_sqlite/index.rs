//! The list on SQLite when its file is lost, damaged, foreign or behind.

use std::path::Path;

use outlive_core::id::SessionId;
use outlive_store::conformance::{lines, row, session};
use outlive_store::{Append, ListQuery, Row, Store};

use super::{copy_folder, damages, open};

fn all() -> ListQuery {
    ListQuery { limit: 100_000, ascending: true, ..ListQuery::default() }
}

async fn append(store: &Store, journal: SessionId, count: u64) {
    let epoch = store.leases.take(journal).await.unwrap();
    let expected = store.journals.head(journal).await.unwrap_or(0);
    store.journals.append(Append { journal, epoch, expected, lines: lines(expected, count) }).await.unwrap();
}

/// A closed workspace whose list holds sessions 1 to 3, all at rest.
async fn listed(root: &Path) -> Vec<Row> {
    let (store, _open) = open(root);
    assert_eq!(store.index.unsettled().await.unwrap(), []);
    let rows: Vec<Row> = (1..=3).map(|n| row(session(n), 2, i64::try_from(n).unwrap())).collect();
    for row in &rows {
        append(&store, row.session, 2).await;
        store.index.note(row.clone());
    }
    rows
}

/// Opens the workspace, checks that all is unsettled and not listed, notes a row of each, and checks the next start.
async fn check_rebuilt(root: &Path, rows: &[Row], case: &str) {
    {
        let (store, _open) = open(root);
        assert_eq!(store.index.list(all()).await.unwrap(), [], "{case}");
        assert_eq!(store.index.unsettled().await.unwrap(), [1, 2, 3].map(session), "{case}");
        assert!(store.index.needs_rebuild(), "{case}");
        store.index.note(rows[0].clone());
    }
    {
        let (store, _open) = open(root);
        assert_eq!(store.index.unsettled().await.unwrap(), [2, 3].map(session), "{case}: a rebuild goes on");
        rows.iter().cloned().for_each(|row| store.index.note(row));
        assert!(!store.index.needs_rebuild(), "{case}");
    }
    let (store, _open) = open(root);
    assert!(!store.index.needs_rebuild(), "{case}");
    assert_eq!(store.index.list(all()).await.unwrap(), rows, "{case}");
    assert_eq!(store.index.unsettled().await.unwrap(), [], "{case}");
}

#[tokio::test]
async fn a_lost_damaged_or_foreign_list_is_rebuilt() {
    for (case, damage) in damages() {
        let root = tempfile::tempdir().unwrap();
        let rows = listed(root.path()).await;
        damage(&root.path().join("index.db"));
        check_rebuilt(root.path(), &rows, case).await;
    }
}

#[tokio::test]
async fn a_list_from_before_the_journals_went_on_is_rebuilt() {
    let root = tempfile::tempdir().unwrap();
    let mut rows = listed(root.path()).await;
    let old = std::fs::read(root.path().join("index.db")).unwrap();
    {
        let (store, _open) = open(root.path());
        append(&store, session(3), 5).await;
        rows[2].head = 7;
        store.index.note(rows[2].clone());
    }
    std::fs::write(root.path().join("index.db"), old).unwrap();
    check_rebuilt(root.path(), &rows, "restored").await;
}

#[tokio::test]
async fn whichever_page_is_damaged_a_list_is_right_or_an_error_and_can_be_rebuilt() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("index.db");
    let rows = listed(root.path()).await;
    let good = std::fs::read(&path).unwrap();
    let mut errors = 0;
    for page in 0..good.len() / 4_096 {
        let mut bytes = good.clone();
        bytes.get_mut(page * 4_096..(page + 1) * 4_096).unwrap().fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        {
            let (store, _open) = open(root.path());
            match store.index.list(all()).await {
                Ok(listed) if listed.is_empty() => assert!(store.index.needs_rebuild(), "page {page}"),
                Ok(listed) => assert_eq!(listed, rows, "page {page}"),
                Err(error) => {
                    assert!(error.to_string().contains("rebuilt when the server starts again"), "{error}");
                    assert!(store.index.needs_rebuild(), "page {page}");
                    errors += 1;
                }
            }
            let unsettled = store.index.unsettled().await.unwrap();
            let lost = store.index.needs_rebuild();
            assert_eq!(unsettled, if lost { [1, 2, 3].map(session).to_vec() } else { vec![] }, "page {page}");
            store.index.rebuild(rows.clone()).await.unwrap();
            assert_eq!(store.index.list(all()).await.unwrap(), rows, "page {page}");
        }
        let (store, _open) = open(root.path());
        assert_eq!(store.index.list(all()).await.unwrap(), rows, "page {page}");
        assert!(!store.index.needs_rebuild());
    }
    assert!(errors > 0, "no page made a list fail: what is damaged here?");
}

#[tokio::test]
async fn a_list_that_turned_out_damaged_is_rebuilt_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("index.db");
    let rows = listed(root.path()).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.get_mut(4_096..8_192).unwrap().fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    {
        let (store, _open) = open(root.path());
        assert!(store.index.list(all()).await.is_err());
        assert!(store.index.list(all()).await.is_err(), "half a list is none");
    }
    check_rebuilt(root.path(), &rows, "damaged").await;
    assert!(root.path().join("index.db.damaged").exists(), "the evidence is kept");
}

#[tokio::test]
async fn an_append_whose_writer_went_away_before_it_noted_a_row_is_unsettled_after_a_clean_end() {
    let root = tempfile::tempdir().unwrap();
    let rows = listed(root.path()).await;
    for _ in 0..2 {
        let (store, open) = open(root.path());
        append(&store, session(2), 1).await;
        open.close();
    }
    {
        let (store, _open) = open(root.path());
        assert_eq!(store.index.unsettled().await.unwrap(), [session(2)]);
        assert_eq!(store.index.list(all()).await.unwrap(), rows, "the old row is better than none");
        store.index.note(row(session(2), 4, 9));
        assert_eq!(store.index.unsettled().await.unwrap(), []);
    }
    let (store, _open) = open(root.path());
    assert_eq!(store.index.unsettled().await.unwrap(), []);
}

#[tokio::test]
async fn an_append_that_failed_leaves_nothing_to_settle() {
    let root = tempfile::tempdir().unwrap();
    listed(root.path()).await;
    {
        let (store, _open) = open(root.path());
        let epoch = store.leases.take(session(2)).await.unwrap();
        let wrong = Append { journal: session(2), epoch, expected: 9, lines: lines(9, 1) };
        assert!(store.journals.append(wrong).await.is_err());
    }
    let (store, _open) = open(root.path());
    assert_eq!(store.index.unsettled().await.unwrap(), []);
}

/// What a process killed after appending leaves: the log still holds the frames, and the list was told of none of them.
#[tokio::test]
async fn after_a_kill_what_the_log_touched_is_settled_by_its_row() {
    let root = tempfile::tempdir().unwrap();
    listed(root.path()).await;
    let (copy, uncovered) = (tempfile::tempdir().unwrap(), session(2));
    {
        let (store, _open) = open(root.path());
        store.journals.remove(session(1)).await.unwrap();
        append(&store, uncovered, 1).await;
        append(&store, session(3), 1).await;
        store.index.note(row(session(3), 3, 9));
        append(&store, session(4), 1).await;
        // What is listed is not yet written, as a rule; written or not, the next start must know.
        copy_folder(root.path(), copy.path());
    }
    let (store, open) = open(copy.path());
    assert!(open.recovery().frames > 0, "{:?}", open.recovery());
    let unsettled = store.index.unsettled().await.unwrap();
    assert!(unsettled.contains(&uncovered) && unsettled.contains(&session(4)), "{unsettled:?}");
    assert!(!unsettled.contains(&session(1)), "{unsettled:?}");
    let listed = store.index.list(all()).await.unwrap();
    assert!(listed.iter().all(|row| row.session != session(1)), "a removed session is listed: {listed:?}");
}

#[tokio::test]
async fn ten_thousand_rows_are_written_listed_and_searched() {
    let root = tempfile::tempdir().unwrap();
    let (store, files) = open(root.path());
    let rows: Vec<Row> = (1..=10_000_u32)
        .map(|n| Row { title: Some(format!("Title {n}")), ..row(session(n.into()), 20, i64::from(n)) })
        .collect();
    rows.iter().cloned().for_each(|row| store.index.note(row));
    assert_eq!(store.index.list(all()).await.unwrap(), rows);
    drop((store, files));
    let (store, _open) = open(root.path());
    assert_eq!(store.index.list(all()).await.unwrap(), rows);
    let found = store.index.list(ListQuery { text: Some("title 777".to_owned()), ..all() }).await.unwrap();
    assert_eq!(found.len(), 11);
}

#[tokio::test]
async fn a_closed_list_refuses_instead_of_hanging() {
    let root = tempfile::tempdir().unwrap();
    let (store, open) = open(root.path());
    open.close();
    store.index.note(row(session(1), 1, 1));
    assert!(store.index.list(all()).await.is_err());
    assert!(store.index.unsettled().await.is_err());
}

/// With many askers at once, each waits for its turn.
#[tokio::test]
async fn a_thousand_lists_at_once_are_all_answered() {
    let root = tempfile::tempdir().unwrap();
    let journals = open(root.path());
    journals.0.index.note(row(session(1), 1, 1));
    let lists = (0..1_000).map(|_| journals.0.index.list(all()));
    for listed in futures_util::future::join_all(lists).await {
        assert_eq!(listed.unwrap().len(), 1);
    }
}
