//! What people do about loops.

use outlive_core::command::{Command, LoopCommand, NewLoop};
use outlive_core::event::{Check, Origin, OriginKind};
use outlive_core::id::SessionId;

use super::{Life, Simulation};
use crate::checks::{CHECK, FORBIDDEN};
use crate::seen::mark;

impl Simulation {
    pub(super) async fn go_round(&mut self, life: &Life, session: SessionId) {
        let by = Origin::of([OriginKind::Api, OriginKind::Cli][usize::try_from(self.rng.below(2)).unwrap()]);
        if self.rng.chance(20) {
            drop(self.ask(life, session, Command::Loop { what: LoopCommand::Abort, by }, None).await);
            return;
        }
        self.asked += 1;
        let id = format!("l{}", self.asked);
        let check = |n: u64| {
            let run = if self.rng.chance(4) { FORBIDDEN.to_owned() } else { format!("{CHECK} {n} of {id}") };
            Check { name: format!("check {n}"), run }
        };
        let checks = (0..=self.rng.below(3)).map(check).collect();
        let new = NewLoop {
            goal: format!("work on {id} {}", mark(session)),
            checks,
            limit: 1 + u32::try_from(self.rng.below(4)).unwrap(),
        };
        let command = Command::Loop { what: LoopCommand::Start(new), by };
        let id = id.parse().ok();
        let first = self.ask(life, session, command.clone(), id.clone()).await;
        let Some(Ok(accepted)) = first else { return };
        if let Some(Ok(again)) = self.ask(life, session, command, id.clone()).await {
            assert!(again.duplicate && again.seq == accepted.seq, "a loop is begun twice");
        }
        // What was said last may be said again: this is no message.
        self.acknowledged.entry(session).or_default().insert(0, (id.unwrap(), accepted));
    }
}
