//! Agents that outlive their processes.
//!
//! | Where | What |
//! |---|---|
//! | `cli` | what can be typed |
//! | `commands` | a file for each command |
//! | `config` | the environment, `outlive.yaml`, which workspace: read here and nowhere else |
//! | `client` | talks to the workspace's server, and starts one where none runs |
//! | `courier` | carries what people are told outside of any client; tells webhooks of calls that a policy names |
//! | `telemetry` | traces and metrics for a collector, where that is built in |
//! | `private` | keeps its keys from the commands that tools run |
//! | `supervisor` | tells systemd how the server is |
//! | `wire` | the only place that names concrete stores, models and tools |

#[macro_use]
mod show;
mod cli;
mod client;
mod commands;
mod config;
mod courier;
mod exit;
mod private;
mod supervisor;
#[cfg(feature = "otlp")]
mod telemetry;
#[cfg(not(feature = "otlp"))]
#[path = "telemetry/none.rs"]
mod telemetry;
mod wire;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    // In a sandbox it is not this program but the way into a command.
    if let Some(code) = outlive_tools::sandbox::confine::entered(std::env::args_os()) {
        return code;
    }
    let cli = cli::Cli::parse();
    let outcome = private::keep()
        .and_then(|()| tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build())
        .map_err(exit::Failure::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(cli));
            // A thread that is still at something nobody waits for does not hold up the end.
            runtime.shutdown_timeout(LAST);
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("outlive: {failure}");
            failure.code()
        }
    }
}

/// Time for threads to end what they are at.
const LAST: std::time::Duration = std::time::Duration::from_secs(2);

/// Half of the processors: the log, the files, the list and the tools have threads of their own, and a second worker that is
/// woken for one session's turn costs more than it brings.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}
