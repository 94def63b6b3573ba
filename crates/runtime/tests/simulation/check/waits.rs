//! What waits promise.

use std::collections::{BTreeMap, BTreeSet};

use outlive_core::event::{Entry, Event, Overdue, WaitArmed, WaitEnded, WaitOwner, WaitReason};
use outlive_core::id::{Seq, WaitId};
use outlive_core::limits::OVERDUE_MS;

/// A wait ends once, never before its time, and as its policy says; a signal ends one wait, in its turn among those of its name;
/// and what an end begins is said once.
pub fn waits_hold(entries: &[Entry]) {
    let mut armed: BTreeMap<WaitId, WaitArmed> = BTreeMap::new();
    let (mut ended, mut signals) = (BTreeSet::new(), Signals::default());
    for entry in entries {
        match &entry.event {
            Event::WaitArmed(wait) => {
                assert!(!ended.contains(&wait.wait), "{} is armed after its end", wait.wait);
                assert_eq!(armed.insert(wait.wait, wait.clone()), None, "{} is armed twice", wait.wait);
            }
            Event::WaitMoved(moved) => {
                let Some(wait) = armed.get_mut(&moved.wait) else { panic!("{} is moved after its end", moved.wait) };
                let over = if wait.terms.due_at.is_some() { &mut wait.terms.due_at } else { &mut wait.terms.deadline };
                *over = Some(moved.over_at);
            }
            Event::SignalReceived(signal) => signals.come.push((entry.seq, signal.name.clone())),
            Event::WaitEnded(end) => {
                let Some(wait) = armed.remove(&end.wait) else { panic!("{} ends, and is not armed", end.wait) };
                ended.insert(end.wait);
                ends_rightly(&wait, end, entry);
                signals.end(&wait, end);
                if wait.owner != WaitOwner::Relay && says_so(end, &wait) {
                    assert!(said(entries, end.wait) <= 1, "the end of {} is said twice", end.wait);
                }
            }
            _ => {}
        }
    }
}

/// What was waited for and is over is over, and its end was said.
pub fn nothing_is_lost(entries: &[Entry]) {
    let (mut armed, mut ended) = (BTreeMap::new(), Vec::new());
    for entry in entries {
        match &entry.event {
            Event::WaitArmed(wait) => drop(armed.insert(wait.wait, wait.clone())),
            Event::WaitEnded(end) => ended.extend(armed.remove(&end.wait).map(|wait| (wait, end.clone()))),
            _ => {}
        }
    }
    let open: Vec<&WaitArmed> = armed.values().filter(|wait| wait.terms.over_at().is_some()).collect();
    assert!(open.is_empty(), "waits outlast their time: {open:?}");
    for (wait, end) in ended.iter().filter(|(wait, _)| wait.owner != WaitOwner::Relay) {
        let times = usize::from(says_so(end, wait));
        assert_eq!(said(entries, wait.wait), times, "what the end of {wait:?} begins: {end:?}");
    }
}

fn ends_rightly(wait: &WaitArmed, end: &WaitEnded, entry: &Entry) {
    let (over, what) = (wait.terms.over_at(), format!("{wait:?} ends by {end:?} at {}", entry.at));
    let is_over = over.is_some_and(|over| over <= entry.at);
    // By the clock as it was: the journal's time does not go back with it.
    let late = end.lateness_ms.filter(|late| over.is_some_and(|over| *late <= entry.at.ms_since(over)));
    match (end.reason, end.by.is_some()) {
        (WaitReason::Due, true) | (WaitReason::Cancelled, _) => {}
        (WaitReason::Due, false) => {
            assert!(is_over && wait.terms.signal.is_none(), "{what}");
            let most = match wait.terms.overdue {
                Overdue::Fire | Overdue::FireOnce => u64::MAX,
                Overdue::Skip => OVERDUE_MS,
                Overdue::ExpireAfter(ms) => ms,
            };
            assert!(late.is_some_and(|late| late <= most), "{what}");
        }
        (WaitReason::Expired, _) => {
            assert!(is_over && late.is_some(), "{what}");
            let bears = matches!(wait.terms.overdue, Overdue::Fire | Overdue::FireOnce);
            assert!(wait.terms.signal.is_some() || !bears, "{what}");
        }
        (WaitReason::Signal, _) => assert!(wait.terms.signal.is_some() && end.signal.is_some(), "{what}"),
    }
}

/// Whether the agent is told that it is over: of what is cancelled or was missed it is not.
fn says_so(end: &WaitEnded, wait: &WaitArmed) -> bool {
    match end.reason {
        WaitReason::Due | WaitReason::Signal => true,
        WaitReason::Expired => wait.terms.signal.is_some(),
        WaitReason::Cancelled => false,
    }
}

fn said(entries: &[Entry], wait: WaitId) -> usize {
    let sender = wait.to_string();
    let says = |entry: &&Entry| matches!(&entry.event, Event::MessageReceived(message) if message.origin.sender.as_ref() == Some(&sender));
    entries.iter().filter(says).count()
}

#[derive(Default)]
struct Signals {
    come: Vec<(Seq, String)>,
    used: BTreeSet<Seq>,
}

impl Signals {
    fn end(&mut self, wait: &WaitArmed, end: &WaitEnded) {
        let Some(signal) = end.signal else { return };
        let awaited = wait.terms.signal.as_ref().unwrap();
        let name = self.come.iter().find(|(seq, _)| *seq == signal).map(|(_, name)| name);
        assert_eq!(name, Some(&awaited.name), "{end:?} by another signal");
        assert!(self.used.insert(signal), "signal {signal} ends two waits");
        if awaited.fits.is_none() {
            let earlier = self.come.iter().find(|(seq, name)| *name == awaited.name && !self.used.contains(seq));
            assert!(earlier.is_none_or(|(seq, _)| *seq > signal), "{end:?} though {earlier:?} came before");
        }
    }
}
