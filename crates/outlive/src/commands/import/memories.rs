//! Markdown memories of other programs: added to an agent's memory files, each once; what is there stays.

use outlive_core::id::AgentName;
use outlive_store::foreign::memories::{self, Brought, DryRun};
use outlive_store::memory_files::PlainMemory;

use super::Bring;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show::{self, plain};

/// Brings them in, or says what there is.
///
/// # Errors
///
/// There is nothing, or something could not be brought in; the report says what.
pub fn run(place: &Workspace, bring: &Bring) -> Outcome {
    let unnamed = || Failure::Usage("whose memory is it to be? Name the agent: `--agent NAME`".to_owned());
    let agent: AgentName = bring.agent.as_deref().ok_or_else(unnamed)?.parse().map_err(Failure::failed)?;
    let files = PlainMemory::of(place.root.clone());
    let dry = if bring.dry_run { DryRun::Yes } else { DryRun::No };
    let brought = memories::bring(&bring.path, &agent, (&files, dry));
    let brought = brought.map_err(|error| Failure::NotFound(format!("{}: {error}", bring.path.display())))?;
    if brought == Brought::default() {
        let path = bring.path.display();
        let places = "`CLAUDE.md`, `MEMORY.md`, `memory/*.md`, `daily/DATE.md` and `world/TOPIC.md`";
        return Err(Failure::NotFound(format!("{path}: no memories: they lie in {places}")));
    }
    print(&brought, bring)?;
    match brought.skipped.len() {
        0 => ok(),
        count => Err(Failure::Failed(format!("{count} files were not brought in"))),
    }
}

fn print(brought: &Brought, bring: &Bring) -> Result<(), Failure> {
    let Brought { added, already, others, skipped } = brought;
    if bring.json {
        let added: Vec<_> =
            added.iter().map(|(from, to)| serde_json::json!({"from": from, "to": to.to_string()})).collect();
        return show::json(&serde_json::json!({
            "dry_run": bring.dry_run, "added": added, "already_there": already, "others": others, "not_imported": skipped,
        }));
    }
    let would = if bring.dry_run { " (only looked: nothing was changed)" } else { "" };
    say!("memories: {} added, {already} already there{would}", added.len());
    if *others > 0 {
        say!("  {others} of other agents left out");
    }
    for (from, to) in added {
        say!("  {} → {to}", plain(from));
    }
    for damage in skipped {
        say!("not imported: {}: {}", plain(&damage.file), plain(&damage.reason));
    }
    Ok(())
}
