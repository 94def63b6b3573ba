//! Starts a program only to see whether it can be: no call of anybody, no record, no output that is kept.

#![expect(clippy::disallowed_methods, reason = "a part of `exec`: a start that is registered as every other")]

use std::process::{Output, Stdio};
use std::time::Duration;

use super::tree;
use crate::sandbox::Launch;

/// Keeps a process from being taken for a stray.
struct Registered(i32);

impl Drop for Registered {
    fn drop(&mut self) {
        tree::running().remove(&self.0);
    }
}

/// Runs it to its end.
///
/// # Errors
///
/// It cannot be started, or does not end in time.
pub(crate) async fn try_out(launch: &Launch, limit: Duration) -> Result<Output, String> {
    let Some((program, arguments)) = launch.argv.split_first() else { return Err("is not named".to_owned()) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env_clear().envs(&launch.environment).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (child, _registered) = {
        let mut running = tree::running();
        let child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        running.insert(pid);
        (child, Registered(pid))
    };
    match tokio::time::timeout(limit, child.wait_with_output()).await {
        Ok(ended) => ended.map_err(|error| format!("cannot be waited for: {error}")),
        Err(_late) => Err("does not come to an end".to_owned()),
    }
}
