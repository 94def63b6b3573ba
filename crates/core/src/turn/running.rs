//! What runs now and what it has said so far: a fold of events and fragments.
//!
//! Pure, bounded, and never needed: what is said in the end is in the events.
//!
//! Invariant: a fragment counts only while what it is a part of runs; one that comes late is nobody's.

use std::collections::BTreeMap;

use crate::content::{Delta, OutputSoFar, Said, SoFar, StepSoFar, cut_outputs};
use crate::event::{Entry, Event};
use crate::id::{CallId, Seq};

/// What runs in a session, and what it has said.
#[derive(Debug, Clone, Default)]
pub struct Running {
    head: Seq,
    step: Option<StepSoFar>,
    outputs: BTreeMap<CallId, OutputSoFar>,
}

impl Running {
    /// Folds an event.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else begins or ends what speaks")]
    pub fn event(&mut self, entry: &Entry) {
        self.head = entry.seq;
        match &entry.event {
            Event::StepStarted(_) => self.step = Some(StepSoFar { asked: entry.seq, ..StepSoFar::default() }),
            Event::StepFinished(_) | Event::StepFailed(_) => self.step = None,
            Event::CallStarted(started) => {
                let call = started.call;
                self.outputs.insert(call, OutputSoFar { call, cut_bytes: 0, text: String::new() });
            }
            Event::CallFinished(finished) => drop(self.outputs.remove(&finished.call)),
            Event::CallLost(lost) => drop(self.outputs.remove(&lost.call)),
            // What ran before a death does not run any more.
            Event::TurnEnded(_) | Event::RecoveryNoted(_) => {
                self.step = None;
                self.outputs.clear();
            }
            _silent => {}
        }
    }

    /// Folds a fragment; says whether it is of something that runs.
    pub fn delta(&mut self, delta: &Delta) -> bool {
        match delta {
            Delta::Text { text } => self.say(Said::Text { text: text.clone() }),
            Delta::Thinking { text } => self.say(Said::Thinking { text: text.clone() }),
            Delta::ToolOutput { call, text } => {
                let Some(output) = self.outputs.get_mut(call) else { return false };
                output.text.push_str(text);
                cut_outputs(self.outputs.values_mut());
                true
            }
            Delta::Restart => {
                let asked = self.step.as_ref().map(|step| step.asked);
                self.step = asked.map(|asked| StepSoFar { asked, ..StepSoFar::default() });
                asked.is_some()
            }
            Delta::SoFar(so_far) => {
                self.step.clone_from(&so_far.step);
                self.outputs = so_far.outputs.iter().map(|output| (output.call, output.clone())).collect();
                true
            }
        }
    }

    fn say(&mut self, said: Said) -> bool {
        let Some(step) = &mut self.step else { return false };
        step.say(said);
        true
    }

    /// Returns the last event that was folded; 0 before the first.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// Says whether nothing runs that could speak.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.step.is_none() && self.outputs.is_empty()
    }

    /// Returns what runs and what it has said, if anything runs.
    #[must_use]
    pub fn so_far(&self) -> Option<SoFar> {
        let outputs = || self.outputs.values().cloned().collect();
        (!self.is_silent()).then(|| SoFar { step: self.step.clone(), outputs: outputs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: Seq, rest: &str) -> Entry {
        let body = format!("{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",{rest}");
        let sealed = format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()));
        crate::event::Line::check(sealed.as_bytes()).unwrap().read().unwrap()
    }

    const ASKED: &str = r#""type":"step.started","model":"p/m","attempt":1,"request":"0","blocks":[],"tokens_estimated":1,"agent_digest":"0","messages":1"#;
    const ENDED: &str = r#""type":"turn.ended","ending":"complete","usage":{"input_tokens":1,"output_tokens":1}"#;

    fn text(text: &str) -> Delta {
        Delta::Text { text: text.into() }
    }

    fn started(call: CallId) -> Entry {
        let rest = format!(
            r#""type":"call.started","call":"{call}","tool":"bash","arguments":{{}},"attempt":1,"effect":"read","idempotency_key":"k""#
        );
        entry(2, &rest)
    }

    #[test]
    fn what_is_said_is_kept_until_its_event_comes() {
        let mut running = Running::default();
        assert!(!running.delta(&text("nobody asked")), "a fragment of nothing counts nothing");
        running.event(&entry(1, ASKED));
        for delta in [text("a"), text("b"), Delta::Thinking { text: "c".into() }, text("d")] {
            assert!(running.delta(&delta));
        }
        let step = running.so_far().unwrap().step.unwrap();
        let said =
            [Said::Text { text: "ab".into() }, Said::Thinking { text: "c".into() }, Said::Text { text: "d".into() }];
        assert_eq!((step.asked, step.said.as_slice()), (1, said.as_slice()));
        running.delta(&Delta::Restart);
        assert_eq!(running.so_far().unwrap().step, Some(StepSoFar { asked: 1, ..StepSoFar::default() }));
        running.event(&entry(2, ENDED));
        assert_eq!((running.so_far(), running.head()), (None, 2));
        assert!(!running.delta(&text("late")));
    }

    #[test]
    fn what_is_kept_is_bounded_and_says_how_much_is_gone() {
        let (mut running, call) = (Running::default(), CallId::from_bits(1));
        running.event(&entry(1, ASKED));
        running.event(&started(call));
        let mut said = 0;
        for round in 0..300 {
            // Of three bytes a character: a cut in the middle of one would panic.
            let piece = "…".repeat(round * 7);
            said += piece.len();
            running.delta(&if round % 2 == 0 { text(&piece) } else { Delta::Thinking { text: piece.clone() } });
            running.delta(&Delta::ToolOutput { call, text: piece });
            let so_far = running.so_far().unwrap();
            let (step, output) = (so_far.step.unwrap(), &so_far.outputs[0]);
            let kept: usize = step.said.iter().map(|said| said.text().len()).sum();
            assert_eq!(
                (kept + step.cut_text_bytes + step.cut_thinking_bytes, output.text.len() + output.cut_bytes),
                (said, said)
            );
            assert!(kept + output.text.len() <= 300 * 1_024);
        }
        assert!(said > 600 * 1_024);
    }
}
