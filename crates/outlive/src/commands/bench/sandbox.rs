//! What a sandbox adds to the start of a command.

use std::path::Path;
use std::time::Duration;

use outlive_core::agent::{SandboxMode, SandboxSpec};
use outlive_core::id::CallId;
use outlive_tools::exec::{Exec, Job};
use outlive_tools::sandbox::Sandbox;
use outlive_tools::{Invocation, Place};

use super::bare::ms;
use super::{Bar, Figure, Scale, folder, median};
use crate::config;
use crate::exit::Failure;

/// Time for the smallest command.
const LIMIT: Duration = Duration::from_secs(30);

/// Measures the smallest command in bubblewrap beside the same without a sandbox, by turns.
///
/// # Errors
///
/// bubblewrap does not work here, or what the system says.
pub(super) async fn measure(dir: &Path, scale: Scale) -> Result<Vec<Figure>, Failure> {
    let home = folder(dir)?;
    let place = Place { cwd: home.path().into(), roots: vec![home.path().into()], protected: Vec::new() };
    let exec = Exec::new(config::environment(), home.path(), &home.path().join("children"));
    let exec = exec.confined_by(std::env::current_exe()?);
    let within =
        |mode| Sandbox::of(&SandboxSpec { mode, ..SandboxSpec::default() }).map(|sandbox| exec.within(sandbox));
    let bare = within(SandboxMode::Trust).map_err(Failure::Failed)?;
    let walled = within(SandboxMode::Bubblewrap).map_err(Failure::Failed)?;
    walled.kind(&place).await.map_err(Failure::Failed)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..scale.of(200) {
        without.push(took(&bare, &place).await?);
        with.push(took(&walled, &place).await?);
    }
    let (without, with) = (median(without), median(with));
    Ok(vec![
        Figure::new("p50 of `true` in bubblewrap", with, "ms").against("ms: without a sandbox", without),
        Figure::new("of which the sandbox", with - without, "ms").bar(Bar::AtMost(15.0)),
    ])
}

async fn took(exec: &Exec, place: &Place) -> Result<f64, Failure> {
    let invocation = Invocation::of_nobody(CallId::from_bits(1), place.clone());
    let began = ms();
    exec.run(Job { invocation: &invocation, command: "true", limit: LIMIT }).await.map_err(Failure::Failed)?;
    Ok(ms() - began)
}
