//! What clients of a session see when they come, fall behind, go and come back. On a paused clock.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that cannot go on has failed")]

mod fixture;
mod joining;
mod presence;
