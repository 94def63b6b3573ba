//! What the faults of the memory store do, seen by a writer.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use outlive_core::event::Line;
use outlive_core::id::SessionId;
use outlive_store::conformance::line;
use outlive_store::memory::{self, Fault};
use outlive_store::{Append, Class, Epoch, Store, StoreError};

fn journal() -> SessionId {
    SessionId::from_bits(7)
}

async fn append(store: &Store, epoch: Epoch, seq: u64) -> Result<(), StoreError> {
    store.journals.append(Append { journal: journal(), epoch, expected: seq - 1, lines: vec![line(seq, "x")] }).await
}

async fn seqs(store: &Store) -> Vec<u64> {
    let opened = store.journals.read(journal(), 0, 100).await;
    opened.map(|opened| opened.lines.iter().map(Line::seq).collect()).unwrap_or_default()
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn an_append_refused_before_writing_can_be_tried_again() {
    let (store, faults) = memory::store();
    let epoch = store.leases.take(journal()).await.unwrap();
    faults.next(Fault::NoSpace);
    faults.next(Fault::Io);
    assert_eq!(append(&store, epoch, 1).await, Err(StoreError::NoSpace));
    assert_eq!(append(&store, epoch, 1).await.unwrap_err().class(), Class::Busy);
    assert_eq!(append(&store, epoch, 1).await, Ok(()));
    assert_eq!((faults.appends(), faults.acknowledged()), (3, 1));
    faults.every(2, Fault::NoSpace);
    assert_eq!(append(&store, epoch, 2).await, Err(StoreError::NoSpace));
    assert_eq!(append(&store, epoch, 2).await, Ok(()));
}

#[tokio::test]
async fn a_poisoned_store_acknowledges_nothing_until_it_is_opened_again() {
    for (fault, kept) in [(Fault::PoisonedKept, vec![1, 2]), (Fault::PoisonedLost, vec![1])] {
        let (store, faults) = memory::store();
        let epoch = store.leases.take(journal()).await.unwrap();
        faults.after(1, fault);
        append(&store, epoch, 1).await.unwrap();
        assert_eq!(append(&store, epoch, 2).await.unwrap_err().code(), "store_poisoned");
        assert_eq!(append(&store, epoch, 2).await.unwrap_err().class(), Class::Lost);
        assert_eq!(seqs(&store).await, [1], "what was not acknowledged is not read");
        let store = faults.reopen();
        assert_eq!(seqs(&store).await, kept, "{fault:?}");
        let again = store.leases.take(journal()).await.unwrap();
        assert_eq!(append(&store, again, kept.len() as u64 + 1).await, Ok(()));
    }
}

#[tokio::test]
async fn a_writer_from_before_the_crash_is_fenced() {
    let (store, faults) = memory::store();
    let old = store.leases.take(journal()).await.unwrap();
    append(&store, old, 1).await.unwrap();
    let opened = faults.reopen();
    assert_eq!(append(&store, old, 2).await, Err(StoreError::Fenced(journal())));
    assert!(opened.leases.take(journal()).await.unwrap() > old);
    assert_eq!(append(&opened, old, 2).await, Err(StoreError::Fenced(journal())));
    assert_eq!(seqs(&opened).await, [1]);
}

#[tokio::test]
async fn an_append_hangs_until_it_is_let_go() {
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        let (store, faults) = memory::store();
        let epoch = store.leases.take(journal()).await.unwrap();
        faults.next(fault);
        let mut hung = pin!(append(&store, epoch, 1));
        for _ in 0..10 {
            assert!(poll_once(hung.as_mut()).is_pending());
        }
        assert_eq!((faults.hanging(), seqs(&store).await), (1, vec![]));
        faults.release();
        assert_eq!(hung.await, Ok(()));
        assert_eq!((faults.hanging(), seqs(&store).await), (0, vec![1]));
    }
}

#[tokio::test]
async fn an_append_that_hung_through_a_crash_before_writing_is_fenced() {
    let (store, faults) = memory::store();
    let epoch = store.leases.take(journal()).await.unwrap();
    faults.next(Fault::HangBefore);
    let mut hung = pin!(append(&store, epoch, 1));
    while faults.hanging() == 0 {
        assert!(poll_once(hung.as_mut()).is_pending());
    }
    faults.crash();
    faults.release();
    assert_eq!(hung.await, Err(StoreError::Fenced(journal())));
}

#[tokio::test]
async fn a_caller_that_goes_away_while_an_append_runs_loses_all_or_nothing_of_it() {
    for (polls, kept) in [(0, vec![]), (1, vec![]), (2, vec![1])] {
        let (store, faults) = memory::store();
        let epoch = store.leases.take(journal()).await.unwrap();
        let mut running = Box::pin(append(&store, epoch, 1));
        for _ in 0..polls {
            assert!(poll_once(running.as_mut()).is_pending());
        }
        drop(running);
        assert_eq!(seqs(&store).await, kept, "after {polls} polls");
        assert_eq!(seqs(&faults.reopen()).await, kept);
    }
}
