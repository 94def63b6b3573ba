//! How long requests are: estimated before they are sent, and learned from what their providers counted.

use std::sync::Arc;

use outlive_core::command::{Command, Report};
use outlive_core::content::FailureKind;
use outlive_core::context::Counter;
use outlive_core::redact::Secrets;
use outlive_core::session::StepPlan;

use super::Actor;

impl Actor {
    /// Returns what takes secrets out of events, and counts them.
    pub(super) fn counting(&self) -> (Secrets, Arc<dyn Counter>) {
        (self.errand.secrets.clone(), Arc::clone(&self.errand.counter))
    }

    /// Says how long the request is by all that is known of its model, and keeps in mind what that was made of.
    pub(super) fn weigh(&mut self, plan: StepPlan) -> StepPlan {
        let tokens_estimated = self.shell.kits.scales().calibration(&plan.model).estimate(&plan.load);
        self.running.weighed = Some((plan.model.clone(), plan.load));
        StepPlan { tokens_estimated, ..plan }
    }

    /// Learns from what a provider says of a request: what it counted, or that it was too long.
    pub(super) fn learn(&mut self, command: &Command) {
        let Command::Report(Report::Step { answer, .. }) = command else { return };
        let Some((model, load)) = self.running.weighed.take() else { return };
        let scales = self.shell.kits.scales();
        let is_news = match answer {
            Ok(reply) => {
                let last = self.transcript.as_ref().and_then(|transcript| transcript.last_reply());
                scales.learn(&model, &load, (reply.usage, last))
            }
            Err(failure) if failure.kind == FailureKind::Overflow => scales.teach(&model, &failure.message),
            Err(_failure) => false,
        };
        if is_news && scales.is_kept() {
            let kits = Arc::clone(&self.shell.kits);
            let written = crate::tasks::apart(async move { kits.scales().write() });
            self.shell.tasks.spawn("scales", written);
        }
    }
}
