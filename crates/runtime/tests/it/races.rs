//! The real runtime on several threads: what only shows where things truly happen at once.

use outlive_core::command::Command;
use outlive_core::session::Refusal;
use outlive_runtime::{Settings, SubmitError};

use super::house::{Agents, House, by};

/// An actor of a session that is not there leaves at once: whoever writes to it in that moment is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_inbox_took_is_read_though_its_actor_was_about_to_leave() {
    let house = House::empty(Agents::none(), Settings::default()).await;
    // From outside the workers, where a new actor begins on another thread at once.
    for n in 1..=60_000 {
        let answer = house.ask(n, Command::Interrupt { by: by() }).await;
        assert!(matches!(answer, Err(SubmitError::Refused(Refusal::NoSession))), "{n}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_seen_through_comes_to_its_end_though_nobody_waits_for_it() {
    let house = House::empty(Agents::none(), Settings::default()).await;
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let (done, ended) = tokio::sync::oneshot::channel();
    let work = async move {
        gate.await.ok();
        done.send(()).ok();
    };
    let mut waiting = Box::pin(house.runtime.see_through(work));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(waiting);
    open.send(()).unwrap();
    ended.await.unwrap();
}
