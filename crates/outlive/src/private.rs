//! Keeps the environment and the memory of this process from the commands that its tools run: keys are in there.
//!
//! Commands run as the same user: this closes `/proc/PID/environ`, `/proc/PID/mem`, debuggers and core dumps to them, not the
//! files that this user can read. It does not hold root with all its capabilities, whom nothing here can hold.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Call it first.
///
/// # Errors
///
/// The system says no.
pub fn keep() -> std::io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
