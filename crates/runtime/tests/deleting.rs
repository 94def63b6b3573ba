//! How long what was deleted lies in the trash.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Create};
use outlive_core::digest::Digest;
use outlive_core::event::{OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::time::Timestamp;
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits};
use outlive_runtime::{Runtime, Settings};
use outlive_store::{Store, StoreError, memory};

const DAY: Duration = Duration::from_secs(86_400);

struct NoAgents;

impl Kits for NoAgents {
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        Err(KitError::Invalid { agent: agent.clone(), why: "there are none".into() })
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Invalid { agent: agent.clone(), why: "there are none".into() })
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

async fn start(store: &Store, clock: &Arc<TokioClock>, keep_deleted: Option<Duration>) -> Arc<Runtime> {
    let settings = Settings { keep_deleted, ..Settings::default() };
    Runtime::start(store.clone(), Arc::new(NoAgents), Moments::new(clock.clone(), 1), settings).await.unwrap()
}

/// Makes a session and deletes it.
async fn discard(runtime: &Runtime, n: u128) {
    let by = Origin::of(OriginKind::Cli);
    let create = Create {
        agent: "scribe".parse().unwrap(),
        agent_digest: Digest::of(b"x").short().to_owned(),
        title: None,
        project: None,
        on_disconnect: OnDisconnect::Continue,
        labels: BTreeMap::new(),
        by: by.clone(),
    };
    runtime.submit(SessionId::from_bits(n), Command::Create(create), None).await.unwrap();
    runtime.discard(SessionId::from_bits(n), by, None).await.unwrap();
}

async fn there(runtime: &Runtime) -> Vec<u128> {
    runtime.discarded().await.unwrap().iter().map(|note| note.row.session.bits()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_trash_too_long_is_erased_with_a_later_deletion_and_at_a_start() {
    let (store, _) = memory::store();
    let clock = Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000)));
    let runtime = start(&store, &clock, Some(DAY * 2)).await;
    discard(&runtime, 1).await;
    tokio::time::advance(DAY).await;
    discard(&runtime, 2).await;
    assert_eq!(there(&runtime).await, [2, 1]);
    tokio::time::advance(DAY + DAY / 2).await;
    discard(&runtime, 3).await;
    assert_eq!(there(&runtime).await, [3, 2]);
    tokio::time::advance(DAY * 2).await;
    runtime.shutdown().await;
    let forever = start(&store, &clock, None).await;
    discard(&forever, 4).await;
    assert_eq!(there(&forever).await, [4, 3, 2]);
    forever.shutdown().await;
    let runtime = start(&store, &clock, Some(DAY)).await;
    while there(&runtime).await != [4] {
        tokio::task::yield_now().await;
    }
}
