//! What relays promise.

use outlive_core::event::{Entry, Event, StateOutcome, Via};

/// An attempt ends once and before the next begins; what must not run twice does so only where somebody or a check says so; an
/// end is told in its own append.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what relays do is looked at")]
pub fn attempts_hold(entries: &[Entry]) {
    let mut open: Option<(String, u32)> = None;
    let mut lost: Option<StateOutcome> = None;
    for (at, entry) in entries.iter().enumerate() {
        match &entry.event {
            Event::RelayStarted(_) => assert_eq!(open, None, "a relay began while another was under way"),
            Event::RelayStateEntered(entered) => {
                assert_eq!(open, None, "{} was entered while another state was open", entered.state);
                let is_again = entered.via == Via::Again && entered.state == "pay";
                assert!(!is_again || lost == Some(StateOutcome::Lost), "{} ran again without a word", entered.state);
                open = Some((entered.state.clone(), entered.attempt));
            }
            Event::RelayStateEnded(ended) => {
                assert_eq!(open.take(), Some((ended.state.clone(), ended.attempt)), "another attempt ended");
                lost = Some(ended.outcome);
            }
            Event::RelayFinished(finished) => {
                open = None;
                let told = entries.get(at + 1..at + 3).unwrap_or_default();
                let is_told = matches!(
                    told,
                    [Entry { event: Event::MessageReceived(_), .. }, Entry { event: Event::TurnStarted(_), .. },]
                );
                let is_parted = finished.reason.as_ref().is_some_and(|reason| reason.contains("was made from"));
                assert!(is_told || is_parted, "an end is not told");
            }
            _other => {}
        }
    }
}
