//! When a timer is due: so long from now, at a moment, or at a time on the wall of a zone. Zones are those that this version
//! was made with, so that the same journal says the same on every machine.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::definition::TimerWork;
use crate::time::Timestamp;

/// Returns when a timer is due; `fill` puts values into a text.
///
/// # Errors
///
/// The key that does not fit, and why.
pub fn due(
    timer: &TimerWork,
    fill: &dyn Fn(&str) -> Result<String, String>,
    now: Timestamp,
) -> Result<Timestamp, (&'static str, String)> {
    if let Some(after) = timer.after {
        return Ok(now.plus_ms(after.0));
    }
    let zone = zone(timer.time_zone.as_deref().unwrap_or("UTC")).map_err(|why| ("time_zone", why))?;
    let at = fill(timer.at.as_deref().unwrap_or_default()).map_err(|why| ("at", why))?;
    if let Ok(at) = at.trim().parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || {
        let shown: String = at.chars().take(80).collect();
        ("at", format!("`{shown}` is not a time such as 2026-03-01T09:00:00Z, or 2026-03-01T09:00 with a `time_zone`"))
    };
    let wall: DateTime = at.trim().parse().map_err(|_| wrong())?;
    // A time that the clock leaps over comes right after; of two with one name the first is meant.
    let instant = zone.to_ambiguous_timestamp(wall).compatible().map_err(|_| wrong())?;
    Ok(Timestamp::from_micros(instant.as_microsecond()))
}

fn zone(name: &str) -> Result<TimeZone, String> {
    let is_name = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
    let found = is_name.then(|| TimeZoneDatabase::bundled().get(name).ok()).flatten();
    found.ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        format!("`{shown}` is no time zone such as Europe/Berlin or UTC")
    })
}
