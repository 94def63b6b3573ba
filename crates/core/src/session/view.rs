//! Which part of the conversation the model sees: a checkpoint, then the events from one on; and what is being done about it.

use serde::{Deserialize, Serialize};

use crate::content::{FailureKind, Usage};
use crate::event::{
    ActivationCause, Aside, CheckpointActivated, CheckpointCreated, CompactionFailed, CompactionProgressed,
    CompactionStarted, CompactionTrigger, Entry, Event, OriginKind, SessionRewound, StepFailed, Strategy,
};
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
    /// Why none begins, as it was said last, until one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// The `step.started` of the request that is under way.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub asked: Seq,
    /// Set while the provider says that the request is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<Overflow>,
    /// What events alone made nothing shorter of, or somebody cancelled: it is not begun again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vain: Option<Vain>,
}

/// A compaction that made nothing of it, and is not begun again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vain {
    /// What it covered.
    pub covers: Aside,
    /// Why it had begun: what need not be much shorter is tried again where it must be.
    pub trigger: CompactionTrigger,
    /// Set once the turn is over that it was in: the next one may need it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

impl Vain {
    fn of(started: &CompactionStarted) -> Self {
        Self { covers: started.covers, trigger: started.trigger, over: false }
    }

    /// Says whether this is what it was to cover.
    pub(super) fn is_of(self, covers: Aside) -> bool {
        self.covers == covers
    }

    /// Says whether nothing else comes of it also where the request cannot be sent as it is.
    pub(super) fn is_final(self, covers: Aside) -> bool {
        let must = matches!(self.trigger, CompactionTrigger::Hard | CompactionTrigger::Overflow);
        self.is_of(covers) && must && !self.over
    }
}

/// A request that a provider says is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// How often in a row it said so.
    pub times: u32,
    /// The `step.started` of the request that it said so of last.
    pub seq: Seq,
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
    /// The events that it stands for.
    pub covers: Aside,
    /// The version that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<CheckpointId>,
    /// Who made it.
    pub strategy: Strategy,
    /// The message whose schema the turn's answer must fit, where it is covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_from: Option<Seq>,
    /// The message that it carries word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Seq>,
}

/// A compaction that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Which.
    pub compaction: CompactionId,
    /// Its `compaction.started`.
    pub seq: Seq,
    /// The last event that is condensed whole so far.
    pub done_to: Seq,
    /// Bytes of the event behind it that are condensed, too.
    #[serde(default)]
    pub part: u64,
    /// The last event that it condenses.
    pub to: Seq,
    /// What began it.
    pub started: Box<CompactionStarted>,
    /// Where its pieces are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<Seq>,
    /// The tokens that they took.
    #[serde(default)]
    pub usage: Usage,
}

/// Of the tokens before, a checkpoint that frees less than this part is meagre, in percent.
const MEAGRE_PERCENT: u64 = 15;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_nothing(seq: &Seq) -> bool {
    *seq == 0
}

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

    /// Returns a checkpoint by its id.
    #[must_use]
    pub fn version(&self, checkpoint: CheckpointId) -> Option<&Version> {
        self.made.iter().find(|version| version.checkpoint == checkpoint)
    }

    /// Returns the number of the next checkpoint.
    pub(super) fn next_version(&self) -> u32 {
        self.made.iter().map(|version| version.version).max().unwrap_or_default().saturating_add(1)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only events of what the model sees come here")]
    pub(super) fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::CompactionStarted(started) => self.begin(entry.seq, started),
            Event::CompactionProgressed(progressed) => self.progress(entry.seq, progressed),
            Event::CompactionFailed(failed) => self.fail(failed),
            Event::CompactionCancelled(cancelled) => {
                let ended = self.end(cancelled.compaction).filter(|_| cancelled.by.kind != OriginKind::Runtime);
                self.vain = ended.map(|it| Vain::of(&it.started)).or(self.vain);
            }
            Event::CompactionSkipped(skipped) => self.skipped = Some(skipped.reason.clone()),
            Event::CheckpointCreated(created) => self.create(entry.seq, created),
            Event::CheckpointActivated(activated) => self.activate(activated),
            _of_requests => {}
        }
    }

    /// A turn is over. What a person did about its request, nobody knows: the next one is sent as if it were the first.
    pub(super) fn end_turn(&mut self) {
        self.asked = 0;
        self.overflow = None;
        self.vain.iter_mut().for_each(|vain| vain.over = true);
    }

    /// A step failed: it may be for the length of its request.
    pub(super) fn note_failed(&mut self, failed: &StepFailed) {
        if failed.kind == FailureKind::Overflow {
            let times = self.overflow.map_or(0, |overflow| overflow.times).saturating_add(1);
            self.overflow = Some(Overflow { times, seq: self.asked });
        }
    }

    /// Goes back to what the model saw then; what is set aside is no version any more.
    pub(super) fn go_back(&mut self, rewound: &SessionRewound, aside: &[Aside]) {
        self.made.retain(|version| !Aside::holds(aside, version.seq));
        (self.under_way, self.overflow, self.skipped, self.vain) = (None, None, None, None);
        (self.checkpoint, self.tail_from) = (rewound.checkpoint, rewound.tail_from);
    }

    fn begin(&mut self, seq: Seq, started: &CompactionStarted) {
        let (done_to, to) = (started.covers.first.saturating_sub(1), started.covers.last);
        let (compaction, started) = (started.compaction, Box::new(started.clone()));
        self.skipped = None;
        let (pieces, usage) = (Vec::new(), Usage::default());
        self.under_way = Some(UnderWay { compaction, seq, done_to, part: 0, to, started, pieces, usage });
    }

    fn progress(&mut self, seq: Seq, progressed: &CompactionProgressed) {
        if let Some(it) = self.under_way.as_mut().filter(|it| it.compaction == progressed.compaction) {
            (it.done_to, it.part) = (progressed.to, progressed.part);
            it.pieces.push(seq);
            it.usage.add(progressed.usage);
        }
    }

    fn create(&mut self, seq: Seq, created: &CheckpointCreated) {
        created.compaction.into_iter().for_each(|compaction| drop(self.end(compaction)));
        self.vain = None;
        let (before, after) = created.tokens;
        let freed = before.saturating_sub(after).saturating_mul(100);
        let is_meagre = freed < before.saturating_mul(MEAGRE_PERCENT);
        let of_itself = matches!(created.made.trigger, CompactionTrigger::Soft | CompactionTrigger::Hard);
        match (of_itself, is_meagre) {
            (true, true) => self.meagre = self.meagre.saturating_add(1),
            (_, false) => self.meagre = 0,
            (false, true) => {}
        }
        if created.made.strategy == Strategy::Model {
            (self.failures, self.rests_until) = (0, None);
        }
        self.made.push(Version {
            checkpoint: created.checkpoint,
            seq,
            version: created.version,
            tail_from: created.tail_from,
            covers: created.covers,
            parent: created.parent,
            strategy: created.made.strategy,
            schema_from: created.schema_from,
            carried: created.carried,
        });
    }

    fn fail(&mut self, failed: &CompactionFailed) {
        let ended = self.end(failed.compaction).filter(|it| it.started.model.is_none());
        self.vain = ended.map(|it| Vain::of(&it.started)).or(self.vain);
        self.failures = self.failures.saturating_add(1);
        self.rests_until = failed.rests_until;
    }

    fn end(&mut self, compaction: CompactionId) -> Option<UnderWay> {
        self.under_way.take_if(|it| it.compaction == compaction)
    }

    fn activate(&mut self, activated: &CheckpointActivated) {
        let known = |id: &CheckpointId| self.made.iter().any(|version| version.checkpoint == *id);
        if activated.checkpoint.as_ref().is_none_or(known) {
            (self.checkpoint, self.tail_from) = (activated.checkpoint, activated.tail_from);
            (self.skipped, self.vain) = (None, None);
            // A compaction answers what the provider said; whoever chose another view asks another request.
            if activated.cause != ActivationCause::Compacted {
                (self.meagre, self.overflow) = (0, None);
            }
        }
    }
}
