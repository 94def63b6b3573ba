//! The hands: they do what is owed, outside the actor, and report back through its inbox. They decide nothing.

mod condense;
mod erase;
mod files;
mod inquiries;
mod keeper;
mod model;
mod observe;
mod speech;
mod tell;
mod tool;

pub(crate) use condense::{Condense, KeeperVoice, Voice, condense};
pub(crate) use erase::{Forgetting, erase, holding, traces, would_erase};
pub(crate) use inquiries::Inquiries;
pub(crate) use keeper::Notes;
pub(crate) use model::ask;
pub(crate) use observe::{observe, reflect};
pub(crate) use tell::{About, Tell, tell};
pub(crate) use tool::{find, run};

use std::sync::Arc;
use std::time::Duration;

use outlive_core::command::{Command, Report};
use outlive_core::content::Delta;
use outlive_core::id::{CallId, SessionId, TurnId};
use outlive_core::redact::Secrets;
use tokio::sync::mpsc;

use crate::actor::Mail;
use crate::feeds::Feeds;

/// What every hand is given: whom it works for and where it reports.
#[derive(Clone)]
pub(crate) struct Errand {
    pub(crate) session: SessionId,
    pub(crate) inbox: mpsc::Sender<Mail>,
    pub(crate) feeds: Feeds,
    pub(crate) turn: crate::log::Turn,
    /// What must not be told.
    pub(crate) secrets: Secrets,
    /// Counts what is told.
    pub(crate) counter: Arc<dyn outlive_core::context::Counter>,
    /// Running calls that ask a person.
    pub(crate) inquiries: Inquiries,
    /// What was read when looks began: of an earlier round, they read what is erased since.
    pub(crate) round: u64,
}

/// A model request to make.
pub(crate) struct Ask {
    pub(crate) turn: TurnId,
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    pub(crate) request: outlive_core::content::Request,
    pub(crate) model: Arc<dyn outlive_model::Model>,
    pub(crate) artifacts: Arc<dyn outlive_store::Artifacts>,
    pub(crate) limit: Duration,
    /// What its tokens cost, where that is known.
    pub(crate) prices: Option<outlive_core::cost::Prices>,
}

/// A call to run or to look for.
pub(crate) struct Run {
    pub(crate) call: CallId,
    pub(crate) attempt: u32,
    pub(crate) tool: String,
    pub(crate) arguments: serde_json::Value,
    pub(crate) idempotency_key: String,
    /// Where it led when it was ruled on, as the journal has it.
    pub(crate) ruled: Option<outlive_core::policy::Ruled>,
    /// Whether somebody sits at its turn who can be asked.
    pub(crate) attended: bool,
    pub(crate) kit: Arc<crate::kit::Kit>,
    pub(crate) artifacts: Arc<dyn outlive_store::Artifacts>,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

impl Errand {
    /// Reports to the actor. If it is gone, so is whoever wanted to know.
    pub(crate) async fn report(&self, report: Report) {
        self.inbox.send(Mail::Told(Command::Report(report))).await.ok();
    }

    /// Reports what comes of having read the journal, unless something of it was erased since.
    pub(crate) async fn report_read(&self, report: Report) {
        self.inbox.send(Mail::Read(self.round, Command::Report(report))).await.ok();
    }

    /// Wakes the actor: what it is owed may have changed.
    pub(crate) async fn wake(&self) {
        self.inbox.send(Mail::Told(Command::Wake)).await.ok();
    }

    fn tell(&self, delta: Delta) {
        self.feeds.fragment(self.session, delta);
    }
}
