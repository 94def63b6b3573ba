//! What people do about what the model sees.

use std::time::Duration;

use outlive_core::command::{Command, ContextCommand};
use outlive_core::event::{Origin, OriginKind};
use outlive_core::id::SessionId;

use super::{Life, Simulation};

impl Simulation {
    pub(super) async fn shrink(&mut self, life: &Life, session: SessionId) {
        self.faults.release();
        let read = tokio::time::timeout(Duration::from_secs(600), life.runtime.checkpoints(session)).await;
        let Ok(Ok((made, view))) = read else { return };
        let pick = self.rng.below(made.len().max(1) as u64);
        let one = made.get(usize::try_from(pick).unwrap());
        let what = match (self.rng.below(12), one) {
            (0, _) => ContextCommand::Cancel,
            (1, _) => ContextCommand::Clear { summary: None },
            (2, _) => ContextCommand::Reset,
            (3, _) => ContextCommand::Activate(None),
            (4..6, Some(one)) => ContextCommand::Activate(Some(one.created.checkpoint)),
            (6..8, Some(one)) => {
                let mut summary = one.created.summary.clone();
                summary.next_step = "what a person wants".to_owned();
                summary.items.truncate(summary.items.len().saturating_sub(usize::try_from(self.rng.below(2)).unwrap()));
                ContextCommand::Edit { checkpoint: one.created.checkpoint, summary }
            }
            (8..10, Some(one)) if !one.created.summary.items.is_empty() => {
                let items = &one.created.summary.items;
                let item = items[usize::try_from(self.rng.below(items.len() as u64)).unwrap()].id.clone();
                ContextCommand::Pin { item, pinned: self.rng.chance(50), summary: None }
            }
            _ => {
                let model =
                    [None, Some("sim/other"), Some("nobody/knows")][usize::try_from(self.rng.below(3)).unwrap()];
                let focus = self.rng.chance(30).then(|| "what matters".to_owned());
                ContextCommand::Compact { focus, model: model.map(str::to_owned), plan: None }
            }
        };
        let cancels = matches!(what, ContextCommand::Cancel);
        let by = Origin::of(OriginKind::Web);
        let answer = self.ask(life, session, Command::Context { what, by }, None).await;
        if let (true, Some(Ok(_))) = (cancels, answer) {
            let after = tokio::time::timeout(Duration::from_secs(600), life.runtime.checkpoints(session)).await;
            if let Ok(Ok((_, after))) = after {
                let is_same = (after.checkpoint, after.tail_from) == (view.checkpoint, view.tail_from);
                let moved = after.made.len() > view.made.len();
                assert!(is_same || moved, "what is cancelled leaves all as it was");
            }
        }
    }

    /// A person who looks at what a compaction would do changes nothing.
    pub(super) async fn look_ahead(&mut self, life: &Life, session: SessionId) {
        let before = self.store.journals.head(session).await.unwrap_or_default();
        let seen = tokio::time::timeout(Duration::from_secs(600), life.runtime.preview(session, None)).await;
        if let Ok(Ok(preview)) = seen {
            let gains = preview.plan.is_none_or(|plan| plan.tokens.covered > 0 && plan.covers.last < plan.tail_from);
            assert!(gains, "{preview:?}");
            assert!(before > 0);
        }
    }
}
