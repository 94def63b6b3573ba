//! Which part of the conversation the model sees: a checkpoint, then the events from one on; and what is being done about it.

use serde::{Deserialize, Serialize};

use crate::event::{CheckpointActivated, CompactionFailed, CompactionStarted, Entry, Event, Strategy};
use crate::id::{CheckpointId, CompactionId, Seq};
use crate::time::Timestamp;

/// What the model sees of the journal. The summary itself is in the journal, where `made` says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct View {
    /// The checkpoint in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointId>,
    /// The first event that the model sees as it is; 0 shows all.
    #[serde(default)]
    pub tail_from: Seq,
    /// Every checkpoint, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<Version>,
    /// The compaction that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
    /// Compactions in a row that failed.
    #[serde(default)]
    pub failures: u32,
    /// Until then none begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
    /// Checkpoints in a row that freed little.
    #[serde(default)]
    pub meagre: u32,
}

/// A checkpoint, by where its summary is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Which.
    pub checkpoint: CheckpointId,
    /// Its `checkpoint.created`.
    pub seq: Seq,
    /// Its number.
    pub version: u32,
    /// The first event that it leaves as it is.
    pub tail_from: Seq,
    /// Who made it.
    pub strategy: Strategy,
}

/// A compaction that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Which.
    pub compaction: CompactionId,
    /// Its `compaction.started`.
    pub seq: Seq,
    /// The last event that is condensed so far.
    pub done_to: Seq,
    /// The last event that it condenses.
    pub to: Seq,
}

/// Of the tokens before, a checkpoint that frees less than this part is meagre, in percent.
const MEAGRE_PERCENT: u64 = 15;

impl View {
    /// Returns the checkpoint in use.
    #[must_use]
    pub fn active(&self) -> Option<&Version> {
        self.made.iter().find(|version| Some(version.checkpoint) == self.checkpoint)
    }

    /// Says whether nothing was ever done about it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of what the model sees come here")]
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::CompactionStarted(started) => self.begin(entry.seq, started),
            Event::CompactionProgressed(progressed) => {
                if let Some(it) = self.under_way.as_mut().filter(|it| it.compaction == progressed.compaction) {
                    it.done_to = progressed.to;
                }
            }
            Event::CompactionFailed(failed) => self.fail(failed),
            Event::CompactionCancelled(cancelled) => self.end(cancelled.compaction),
            Event::CheckpointCreated(created) => {
                created.compaction.into_iter().for_each(|compaction| self.end(compaction));
                let (before, after) = created.tokens;
                let freed = before.saturating_sub(after).saturating_mul(100);
                let is_meagre = freed < before.saturating_mul(MEAGRE_PERCENT);
                self.meagre = if is_meagre { self.meagre.saturating_add(1) } else { 0 };
                if created.made.strategy == Strategy::Model {
                    (self.failures, self.rests_until) = (0, None);
                }
                self.made.push(Version {
                    checkpoint: created.checkpoint,
                    seq: entry.seq,
                    version: created.version,
                    tail_from: created.tail_from,
                    strategy: created.made.strategy,
                });
            }
            Event::CheckpointActivated(activated) => self.activate(activated),
            _of_requests => {}
        }
    }

    fn begin(&mut self, seq: Seq, started: &CompactionStarted) {
        let (done_to, to) = (started.covers.first.saturating_sub(1), started.covers.last);
        self.under_way = Some(UnderWay { compaction: started.compaction, seq, done_to, to });
    }

    fn fail(&mut self, failed: &CompactionFailed) {
        self.end(failed.compaction);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = failed.rests_until;
    }

    fn end(&mut self, compaction: CompactionId) {
        self.under_way.take_if(|it| it.compaction == compaction);
    }

    fn activate(&mut self, activated: &CheckpointActivated) {
        let known = |id: &CheckpointId| self.made.iter().any(|version| version.checkpoint == *id);
        if activated.checkpoint.as_ref().is_none_or(known) {
            (self.checkpoint, self.tail_from) = (activated.checkpoint, activated.tail_from);
        }
    }
}
