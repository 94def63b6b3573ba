//! Holds a step against the budgets before it is asked: its worst case fits, or its reply gets less room, or its turn ends.

use outlive_core::budget::{Budget, Need, Purse, Scope, grant, input_at_most};
use outlive_core::content::Request;
use outlive_core::cost::Prices;
use outlive_core::event::TurnError;
use outlive_core::session::StepPlan;
use outlive_store::StoreError;

use super::Actor;
use crate::ledger::Claim;

/// A step that is about to be asked.
pub(super) struct Proposed {
    pub(super) request: Request,
    pub(super) plan: StepPlan,
    /// What the model's tokens cost.
    pub(super) prices: Option<Prices>,
}

impl Actor {
    /// Says whether the step may be asked; gives its reply only the room that is left. The inner error is the turn's.
    pub(super) async fn afford(
        &mut self,
        budget: &Budget,
        step: &mut Proposed,
    ) -> Result<Result<(), TurnError>, StoreError> {
        let day_bounds = [(Scope::Day, budget.day), (Scope::WorkspaceDay, self.shell.settings.budget)];
        let is_daily = day_bounds.iter().any(|(_, limits)| !limits.is_empty());
        if budget.is_empty() && !is_daily {
            return Ok(Ok(()));
        }
        let need = Need {
            model: &step.plan.model,
            prices: step.prices,
            input_tokens: input_at_most(step.plan.tokens_estimated),
            output_tokens: step.request.max_output_tokens,
        };
        let spent = self.state.totals.spent;
        let turn = self.state.turn.as_ref().map(|turn| turn.usage).unwrap_or_default();
        let mut purses = vec![
            Purse { scope: Scope::Turn, limits: budget.turn, used: turn },
            Purse { scope: Scope::Session, limits: budget.session, used: spent.all },
        ];
        let agent = self.state.profile.as_ref().map(|profile| profile.agent.clone());
        let granted = match agent.filter(|_| is_daily) {
            None => grant(&purses, &need),
            Some(agent) => {
                let day = self.shell.moments.now().max(self.state.updated_at).day();
                self.shell.ledger.open(&self.shell.store, day).await?;
                let claim = Claim { session: self.id, agent, day, used: spent.on(day) };
                let claimed = self.shell.ledger.claim(&claim, |sums| {
                    let used = [sums.agent, sums.workspace];
                    let daily = day_bounds.into_iter().zip(used);
                    purses.extend(daily.map(|((scope, limits), used)| Purse { scope, limits, used }));
                    grant(&purses, &need)
                });
                claimed.map(|(granted, aside)| {
                    self.running.aside = Some(aside);
                    granted
                })
            }
        };
        Ok(granted.map(|granted| {
            if let Some(capped) = granted.capped {
                step.request.max_output_tokens = capped.max_output_tokens;
            }
            step.plan.capped = granted.capped;
        }))
    }

    /// Gives back what was set aside for a step that does not run any more.
    pub(super) fn give_back(&mut self) {
        if self.held.step.is_none() {
            self.running.aside = None;
        }
    }
}
