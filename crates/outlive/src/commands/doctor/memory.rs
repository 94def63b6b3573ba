//! What is remembered: the files that people edit, and the index that finds notes.

use std::sync::Arc;

use outlive_core::id::AgentName;
use outlive_core::memory::{PAGE_BYTES, Page, WRITTEN_BYTES, Written};
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_store::memory_files::{MemoryFiles as _, PlainMemory};
use outlive_store::{AgentFolders as _, Examined, examine};

use super::Check;
use crate::config::Workspace;

/// Events behind which the index is late, not only at rest: it follows when somebody asks.
const LATE: u64 = 100_000;

pub(super) fn checks(place: &Workspace) -> Vec<Check> {
    let mut checks = files(place);
    checks.extend(index(place));
    checks
}

fn files(place: &Workspace) -> Vec<Check> {
    let folders = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    let names = folders.names().unwrap_or_default();
    let (mut found, mut shown) = (Vec::new(), 0);
    for agent in names.iter().filter_map(|name| name.parse::<AgentName>().ok()) {
        let (good, checks) = of_agent(&PlainMemory::of(place.root.clone()), &agent);
        shown += good;
        // Topics are everybody's: each is named once.
        found.extend(checks);
    }
    found.sort_by(|a: &Check, b: &Check| a.found.cmp(&b.found));
    found.dedup_by(|a, b| a.found == b.found);
    if found.is_empty() {
        found.push(Check::ok(WHAT, format!("{shown} are there, and shown whole")));
    }
    found
}

const WHAT: &str = "memory files";

/// Returns how many files of an agent are good, and what is wrong with the others.
fn of_agent(files: &PlainMemory, agent: &AgentName) -> (usize, Vec<Check>) {
    let pages = match files.pages(agent) {
        Ok(pages) => pages,
        Err(error) => {
            let said = format!("days or topics of agent `{agent}` cannot be listed: {error}");
            let fix = "`daily` and `world` are plain folders that this user can read; links are not followed";
            return (0, vec![Check::warning(WHAT, said, fix)]);
        }
    };
    let (mut good, mut checks) = (0, Vec::new());
    for page in pages {
        let path = page.place(agent).join("/");
        match files.read(agent, &page) {
            Ok(None) => {}
            Ok(Some(written)) => match flaw(&page, &written) {
                None => good += 1,
                Some((said, fix)) => checks.push(Check::warning(WHAT, format!("{path}: {said}"), fix)),
            },
            Err(error) => {
                let fix = "put a plain file there that this user can read; until then no model sees it";
                checks.push(Check::warning(WHAT, format!("{path}: {error}"), fix));
            }
        }
    }
    (good, checks)
}

fn flaw(page: &Page, written: &Written) -> Option<(String, &'static str)> {
    let bytes = written.bytes;
    let shorter = match page {
        Page::Curated => {
            "make it shorter: what belongs to a day goes to daily/DATE.md, what all agents share to world/TOPIC.md"
        }
        Page::Day(_) | Page::World(_) => "make it shorter, or part it",
    };
    if bytes > WRITTEN_BYTES as u64 {
        return Some((format!("it has {bytes} bytes: nothing is added above {WRITTEN_BYTES}"), shorter));
    }
    if bytes > PAGE_BYTES as u64 {
        return Some((format!("it has {bytes} bytes: a model is shown no more than the first {PAGE_BYTES}"), shorter));
    }
    (!written.is_text).then(|| ("it is not UTF-8: what is no text is shown as \u{fffd}".to_owned(), "save it as UTF-8"))
}

fn index(place: &Workspace) -> Vec<Check> {
    let what = "memory.db";
    let (file, aside) = examine(&place.root);
    let mut checks = vec![match file {
        Examined::Missing => Check::ok(what, "not there yet; the first question makes it"),
        Examined::Good { memories, behind } if behind < LATE => {
            Check::ok(what, format!("{memories} memories; {behind} events are followed with the next question"))
        }
        Examined::Good { memories, behind } => {
            let said = format!("{memories} memories; it is {behind} events behind");
            Check::warning(what, said, "`outlive memory list` has it follow; if it stays so, `outlive logs` says why")
        }
        Examined::Unfit(why) => {
            let fix = "nothing is lost: `outlive memory list` has it set aside and made anew from the journals";
            Check::warning(what, format!("cannot be used: {why}"), fix)
        }
    }];
    if aside {
        let said = "memory.db.damaged lies beside it, and may hold what was forgotten since";
        checks.push(Check::warning(what, said, "remove it, unless you want to find out what happened to it"));
    }
    checks
}
