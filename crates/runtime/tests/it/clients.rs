//! What clients of a session see when they come, fall behind, go and come back. On a paused clock.

mod fixture;
mod joining;
mod presence;
