//! Asks the model that keeps an agent's notes, within its time and its budgets.

use std::sync::Arc;

use futures_util::FutureExt as _;
use outlive_core::budget::{Grant, Need, Purse, Scope, grant, input_at_most};
use outlive_core::content::{Block, Failure, FailureKind, Reply, ReplyBlock, Request, StopReason, Usage};
use outlive_core::session::State;

use crate::kit::Kit;
use crate::ledger::{Aside, Claim};
use crate::shell::Shell;

/// What is done for the notes of a session, and with what.
#[derive(Clone)]
pub(crate) struct Notes {
    pub(crate) shell: Shell,
    pub(crate) kit: Arc<Kit>,
    /// The session when it began.
    pub(crate) state: State,
}

/// Pause where a budget is used up: it may be raised, or the day may end.
const BROKE_MS: u64 = 3_600_000;

impl Notes {
    /// Asks, and returns what was said with what it took. A part of an answer is none, and took what it took.
    pub(super) async fn ask(&self, request: Request) -> Result<(String, Usage), (Failure, Usage)> {
        let reply = self.reply(request).await.map_err(|failure| (failure, Usage::default()))?;
        let usage = reply.usage.counted(self.shell.kits.prices(&self.kit.keeper.name).as_ref());
        let none = |kind, why| Err((failure(kind, why), usage));
        match reply.stop_reason {
            StopReason::MaxTokens => return none(FailureKind::Truncated, "the answer was cut"),
            StopReason::Refusal => return none(FailureKind::Refused, "the model declined to answer"),
            StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence => {}
        }
        let texts = reply.content.iter().filter_map(|block| match block {
            ReplyBlock::Text(text) => Some(text.as_str()),
            ReplyBlock::Thinking { .. } | ReplyBlock::RedactedThinking(_) | ReplyBlock::ToolUse { .. } => None,
        });
        let mut text: String = texts.collect();
        self.shell.kits.secrets().now().clean(&mut text);
        Ok((text, usage))
    }

    async fn reply(&self, mut request: Request) -> Result<Reply, Failure> {
        let keeper = &self.kit.keeper;
        let room = u32::try_from(keeper.window.output).unwrap_or(u32::MAX);
        request.max_output_tokens = request.max_output_tokens.min(room.max(1));
        let _aside = self.afford(&keeper.name, &mut request).await?;
        let sink: outlive_model::Sink = Arc::new(|_fragment| {});
        let asked = std::panic::AssertUnwindSafe(keeper.model.stream(request, sink)).catch_unwind();
        match tokio::time::timeout(self.kit.terms.step_timeout, asked).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_panic)) => Err(failure(FailureKind::Truncated, "the model's adapter panicked")),
            Err(_elapsed) => Err(failure(FailureKind::Timeout, "no whole answer within the time limit")),
        }
    }

    /// Holds a request to this model against what the session and the day may use; gives its reply only the room that is left.
    pub(super) async fn afford(&self, model: &str, request: &mut Request) -> Result<Option<Aside>, Failure> {
        let (budget, workspace) = (&self.kit.terms.budget, self.shell.settings.budget);
        let system: usize = request.system.iter().map(String::len).sum();
        let said: usize = request.messages.iter().flat_map(|message| &message.content).map(bytes).sum();
        let need = Need {
            model,
            prices: self.shell.kits.prices(model),
            input_tokens: input_at_most((system + said) as u64 / 4),
            output_tokens: request.max_output_tokens,
        };
        let spent = self.state.totals.spent;
        let mut purses = vec![Purse { scope: Scope::Session, limits: budget.session, used: spent.all }];
        let broke = |error: outlive_core::event::TurnError| Failure {
            kind: FailureKind::RateLimited,
            message: error.message,
            retry_after_ms: Some(BROKE_MS),
        };
        let Some(profile) = self.state.profile.as_ref().filter(|_| !(budget.day.is_empty() && workspace.is_empty()))
        else {
            let granted = grant(&purses, &need).map_err(broke)?;
            cap(request, &granted);
            return Ok(None);
        };
        let day = self.shell.moments.now().max(self.state.updated_at).day();
        let opened = self.shell.ledger.open(&self.shell.store, day).await;
        opened.map_err(|error| failure(FailureKind::Network, &error.to_string()))?;
        let claim = Claim { session: profile.session, agent: profile.agent.clone(), day, used: spent.on(day) };
        let claimed = self.shell.ledger.claim(&claim, |sums| {
            let daily = [(Scope::Day, budget.day, sums.agent), (Scope::WorkspaceDay, workspace, sums.workspace)];
            purses.extend(daily.map(|(scope, limits, used)| Purse { scope, limits, used }));
            grant(&purses, &need)
        });
        let (granted, aside) = claimed.map_err(broke)?;
        cap(request, &granted);
        Ok(Some(aside))
    }
}

fn cap(request: &mut Request, granted: &Grant) {
    request.max_output_tokens = granted.capped.map_or(request.max_output_tokens, |capped| capped.max_output_tokens);
}

fn bytes(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolUse { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => 0,
    }
}

pub(super) fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned(), retry_after_ms: None }
}
