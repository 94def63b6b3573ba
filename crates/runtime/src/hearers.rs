//! Tells of calls that a `notify` rule names, once their start is durable: to the log, and to whoever carries it further.
//!
//! Invariant: whoever carries it keeps no call waiting: what does not fit in the queue is not told, and the log says so.

use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::id::{CallId, SessionId};
use tokio::sync::mpsc;

use crate::kit::Kit;
use crate::outbox::Lines;
use crate::refusals::Refusals;

/// A call that starts, and that a rule says to tell of.
#[derive(Debug, Clone, PartialEq)]
pub struct CallNotice {
    /// Its session.
    pub session: SessionId,
    /// The call.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// Exactly what runs.
    pub summary: String,
    /// The rule.
    pub rule: String,
    /// Where to, beside the log.
    pub webhook: Option<String>,
}

/// Who hears, outside of any client. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Hearers {
    /// Who carries what is told of calls further, if anybody.
    carrier: Arc<Mutex<Option<mpsc::Sender<CallNotice>>>>,
    /// Who hears of calls that did not simply run.
    pub(crate) refusals: Refusals,
    /// Who waits to tell somebody outside.
    pub(crate) lines: Lines,
}

impl Hearers {
    /// Lets somebody carry notices from now on, in place of whoever did before.
    pub(crate) fn carry(&self, behind: usize) -> mpsc::Receiver<CallNotice> {
        let (sender, receiver) = mpsc::channel(behind);
        *self.carrier.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Tells of a call that starts now.
    pub(crate) fn tell(&self, kit: &Kit, (session, call): (SessionId, CallId), started: (&str, &serde_json::Value)) {
        if kit.policy.notify.is_empty() {
            return;
        }
        let (tool, arguments) = started;
        let Ok((_tool, assessment)) = kit.toolbox.prepare(tool, arguments, &kit.place) else { return };
        for notify in kit.policy.notices(&assessment.subject) {
            let rule = notify.rule.to_string();
            // What runs stands in the journal; a log holds no text of a conversation.
            tracing::info!(%session, %call, tool, rule, "a call starts that a rule says to tell of");
            let Some(webhook) = notify.webhook.clone() else { continue };
            let (tool, summary) = (tool.to_owned(), assessment.summary.clone());
            self.pass_on(CallNotice { session, call, tool, summary, rule, webhook: Some(webhook) });
        }
    }

    fn pass_on(&self, notice: CallNotice) {
        let carrier = self.carrier.lock().unwrap_or_else(PoisonError::into_inner);
        let call = notice.call;
        if carrier.as_ref().is_none_or(|carrier| carrier.try_send(notice).is_err()) {
            tracing::warn!(%call, "a webhook is not told of a call: too many wait already");
        }
    }
}
