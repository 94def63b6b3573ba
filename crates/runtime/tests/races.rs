//! The real runtime on several threads: what only shows where things truly happen at once.

use std::sync::Arc;

use outlive_core::command::Command;
use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::session::Refusal;
use outlive_core::time::Timestamp;
use outlive_runtime::clock::{Moments, TokioClock};
use outlive_runtime::kit::{Card, Kit, KitError, Kits};
use outlive_runtime::{Runtime, Settings, SubmitError};
use outlive_store::{StoreError, memory};

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

/// An actor of a session that is not there leaves at once: whoever writes to it in that moment is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_an_inbox_took_is_read_though_its_actor_was_about_to_leave() {
    let (store, _) = memory::store();
    let clock = TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000));
    let runtime = Runtime::start(store, Arc::new(NoAgents), Moments::new(Arc::new(clock), 1), Settings::default());
    let runtime = runtime.await.unwrap();
    // From outside the workers, where a new actor begins on another thread at once.
    for n in 1..=60_000 {
        let by = Origin { kind: OriginKind::Api, sender: None };
        let session = SessionId::from_bits(n);
        let answer = runtime.submit(session, Command::Interrupt { by }, None).await;
        assert!(matches!(answer, Err(SubmitError::Refused(Refusal::NoSession))), "{session}: {answer:?}");
    }
}
