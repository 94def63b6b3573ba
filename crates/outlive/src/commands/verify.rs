//! Looks for damage in the workspace, without a server.

use outlive_store::files::fs::RealDisk;
use outlive_store::files::lock;
use outlive_store::files::verify::{Repair, verify};

use crate::client;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub fn run(place: &Workspace, repair: bool, json: bool) -> Outcome {
    let owned = lock::is_owned(&place.root.join("run"));
    if owned && repair {
        let address = client::running(place).unwrap_or_default();
        return Err(Failure::Busy(format!("a server runs at {address}; stop it first: outlive serve --stop")));
    }
    let report = verify(&RealDisk, &place.root, if repair { Repair::Yes } else { Repair::No })?;
    if json {
        show::json(&report)?;
    } else {
        say!("{} journals, {} good events, {} frames in the commit log", report.journals, report.lines, report.frames);
        for problem in &report.problems {
            let mended = if problem.repaired { " (mended; what was taken out lies beside it)" } else { "" };
            say!("{}:{}: {}{mended}", problem.file, problem.line, problem.what);
        }
        if owned && report.problems.is_empty() {
            say!("nothing is wrong in the files; the server that runs has newer lines in its commit log");
        }
    }
    if report.problems.iter().all(|problem| problem.repaired) {
        if !json && report.problems.is_empty() && !owned {
            say!("nothing is wrong");
        }
        return ok();
    }
    Err(Failure::Failed("something is wrong; `outlive verify --repair` mends what can be mended".to_owned()))
}
