//! What holds of checkpoints, whatever window, model and person do.

use std::collections::BTreeMap;

use outlive_core::compaction::{Item, Section};
use outlive_core::content::Block;
use outlive_core::event::{
    ActivationCause, Aside, CheckpointActivated, CheckpointCreated, CompactionTrigger, Entry, Event, OriginKind,
    Strategy, TodoStatus,
};
use outlive_core::id::{CallId, CheckpointId, CompactionId, Seq};
use outlive_core::session::State;
use outlive_core::turn::Phase;

/// What a person said that must be kept to, in each message that says so.
type Forbidden = BTreeMap<Seq, String>;

pub fn checkpoints_hold(entries: &[Entry]) {
    let (mut state, mut made) = (State::default(), BTreeMap::<CheckpointId, CheckpointCreated>::new());
    let (mut under_way, mut forbidden) = (None::<CompactionId>, Forbidden::new());
    for (at, entry) in entries.iter().enumerate() {
        let ends = |compaction| assert_eq!(under_way, Some(compaction), "{} of another", entry.event.name());
        match &entry.event {
            // What Outlive says binds nobody.
            Event::MessageReceived(message) if message.origin.kind != OriginKind::Runtime => {
                let said = message.content.split("Never touch ").nth(1).and_then(|rest| rest.split('.').next());
                forbidden.extend(said.map(|said| (entry.seq, format!("Never touch {said}."))));
            }
            Event::StepStarted(started) => {
                let usable = started.room.as_ref().map_or(u64::MAX, |room| room.usable);
                let tokens = started.tokens_estimated;
                assert!(
                    tokens <= usable,
                    "a request of {tokens} tokens is sent, {usable} are usable, at {}",
                    entry.seq
                );
            }
            Event::CompactionStarted(started) => {
                assert_eq!(under_way, None, "two compactions at once, at {}", entry.seq);
                assert!(started.covers.first <= started.covers.last && started.covers.last < entry.seq);
                under_way = Some(started.compaction);
            }
            Event::CompactionProgressed(progressed) => ends(progressed.compaction),
            Event::CompactionFailed(failed) => {
                ends(failed.compaction);
                under_way = None;
            }
            Event::CompactionCancelled(cancelled) => {
                ends(cancelled.compaction);
                under_way = None;
            }
            Event::CheckpointCreated(created) => {
                if let Some(compaction) = created.compaction {
                    ends(compaction);
                    under_way = None;
                    passes_the_gates(&state, &made, created);
                    keeps_what_must_stay(&state, created, &forbidden);
                }
                let activated = entries.get(at + 1..).into_iter().flatten();
                let shown = activated.take(2).any(
                    |it| matches!(&it.event, Event::CheckpointActivated(a) if a.checkpoint == Some(created.checkpoint)),
                );
                // A fork may share the one and not the other.
                let parent = state.profile.as_ref().and_then(|profile| profile.parent.as_ref());
                let is_cut = parent.is_some_and(|parent| parent.seq == entry.seq);
                assert!(shown || is_cut, "checkpoint {} is made and not shown", created.version);
                made.insert(created.checkpoint, created.clone());
            }
            Event::CheckpointActivated(activated) => {
                let known = activated.checkpoint.as_ref().map(|id| made.contains_key(id));
                assert_ne!(known, Some(false), "a checkpoint is shown that nobody made, at {}", entry.seq);
                assert!(activated.cause != ActivationCause::Compacted || known == Some(true));
            }
            Event::SessionRewound(_) => under_way = None,
            _ => {}
        }
        state.apply(entry);
        assert_eq!(state.upkeep.view.under_way.as_ref().map(|it| it.compaction), under_way, "at {}", entry.seq);
        let shown = state.upkeep.view.checkpoint;
        assert!(shown.is_none_or(|id| state.upkeep.view.version(id).is_some()), "what is shown is set aside");
    }
}

/// What the model sees begins with no result of a call that it does not see: a call is asked and answered before the tail, or in it.
pub fn calls_keep_their_results(entries: &[Entry]) {
    let (mut asked, mut answered) = (BTreeMap::<CallId, Seq>::new(), BTreeMap::<CallId, Seq>::new());
    for entry in entries {
        let call = match &entry.event {
            Event::StepFinished(finished) => {
                let call =
                    |block: &Block| if let Block::ToolUse { id, .. } = block { Some((*id, entry.seq)) } else { None };
                asked.extend(finished.content.iter().filter_map(call));
                continue;
            }
            Event::CallFinished(finished) => finished.call,
            Event::CallDenied(denied) => denied.call,
            Event::CallLost(lost) => lost.call,
            Event::QuestionAnswered(question) if question.attempt.is_none() => question.call,
            _ => continue,
        };
        answered.entry(call).or_insert(entry.seq);
    }
    for entry in entries {
        let Event::CheckpointActivated(CheckpointActivated { tail_from, .. }) = &entry.event else { continue };
        let is_open = |call: &CallId| answered.get(call).is_none_or(|at| at >= tail_from);
        let parted = asked.iter().find(|(call, at)| *at < tail_from && **at < entry.seq && is_open(call));
        assert_eq!(parted, None, "a call is before {tail_from}, and its result is not, at {}", entry.seq);
    }
}

/// It is shorter, holds no error, and takes away nothing that binds.
fn passes_the_gates(state: &State, made: &BTreeMap<CheckpointId, CheckpointCreated>, created: &CheckpointCreated) {
    let (before, after) = created.tokens;
    let bound = match created.made.trigger {
        CompactionTrigger::Upgrade | CompactionTrigger::Loop => u64::MAX,
        CompactionTrigger::Soft => before * 60 / 100,
        CompactionTrigger::Hard | CompactionTrigger::Overflow | CompactionTrigger::Asked => before.saturating_sub(1),
    };
    assert!(after <= bound, "checkpoint {} leaves {after} of {before} tokens", created.version);
    let said = [&created.summary.goal, &created.summary.next_step];
    // How a loop ended is no error of whoever condenses.
    assert!(!said.iter().any(|text| text.contains("I'm sorry") || text.starts_with("error")), "{said:?}");
    let goes_on = created.made.trigger == CompactionTrigger::Upgrade || created.parent == state.upkeep.view.checkpoint;
    assert!(goes_on, "checkpoint {} goes on from another than what was shown", created.version);
    let Some(parent) = created.parent.and_then(|parent| made.get(&parent)) else { return };
    let binds = |item: &&Item| item.pinned || matches!(item.section, Section::Constraints | Section::Decisions);
    for item in parent.summary.items.iter().filter(binds) {
        let stays = created.summary.items.iter().any(|now| {
            let says = now.text == item.text || item.section == Section::Decisions;
            now.id == item.id && now.section == item.section && now.pinned == item.pinned && says
        });
        let made_room =
            item.section == Section::Decisions && item.sources.iter().any(|seq| created.summary.moved.contains(seq));
        assert!(
            stays || made_room || item.is_own(),
            "checkpoint {} has lost {item:?}: {:?}",
            created.version,
            created.summary
        );
    }
}

/// The newest request, what is open, what waits, and what is forbidden is in it.
fn keeps_what_must_stay(state: &State, created: &CheckpointCreated, forbidden: &Forbidden) {
    let has = |text: &str| created.summary.items.iter().any(|item| text.starts_with(item.text.trim_end_matches('…')));
    for todo in state.todos.iter().filter(|todo| todo.status != TodoStatus::Done) {
        assert!(has(&todo.text), "open todo `{}` is lost: {:?}", todo.text, created.summary);
    }
    for call in state.calls() {
        if let Phase::Awaiting { summary, .. } = &call.phase {
            let waits = created.summary.items.iter().any(|item| item.text.contains(summary));
            assert!(waits, "the approval of `{summary}` is lost: {:?}", created.summary);
        }
    }
    assert!(!created.summary.last_request.is_empty(), "the last request is lost: {created:?}");
    let aside = state.profile.as_ref().map(|profile| profile.aside.clone()).unwrap_or_default();
    let Aside { first, last } = created.covers;
    for (_, said) in forbidden.range(first..=last).filter(|(seq, _)| !Aside::holds(&aside, **seq)) {
        let kept = created.summary.items.iter().any(|item| item.section == Section::Constraints && item.text == *said);
        let by_hand = created.made.strategy == Strategy::Edited;
        assert!(kept || by_hand, "`{said}` is lost in {}: {:?}", created.version, created.summary);
    }
}
