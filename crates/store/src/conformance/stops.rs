//! Promises of the emergency stop.

use outlive_core::event::{Origin, OriginKind};
use outlive_core::time::Timestamp;

use super::Subject;
use crate::Stop;

/// Also after opening again, until it is lifted, and lifting twice is lifting once.
pub async fn a_stop_holds_until_it_is_lifted(subject: &mut impl Subject) {
    let stop = |at| Stop {
        at: Timestamp::from_micros(at),
        by: Origin { kind: OriginKind::Cli, sender: Some("ada".to_owned()) },
        reason: Some("it\n\"runs\" away".to_owned()),
    };
    let store = subject.open();
    assert_eq!(store.house.stops.stopped(), Ok(None));
    assert_eq!(store.house.stops.stop(&stop(7)), Ok(()));
    assert_eq!(store.house.stops.stop(&stop(8)), Ok(()));
    drop(store);
    let store = subject.open();
    assert_eq!(store.house.stops.stopped(), Ok(Some(stop(8))));
    assert_eq!((store.house.stops.lift(), store.house.stops.lift()), (Ok(()), Ok(())));
    drop(store);
    assert_eq!(subject.open().house.stops.stopped(), Ok(None));
}
