//! What is to happen by itself: the journals of schedules and the files of relays.

use std::sync::Arc;

use outlive_core::relay::read_text;
use outlive_store::RelayFiles as _;
use outlive_store::files::beside::Beside;
use outlive_store::files::fs::RealDisk;
use outlive_store::files::verify;

use super::Check;
use crate::config::Workspace;

pub(super) fn checks(place: &Workspace) -> Vec<Check> {
    let mut checks = schedules(place);
    checks.extend(relays(place));
    checks
}

fn schedules(place: &Workspace) -> Vec<Check> {
    let report = match verify::schedules(&RealDisk, &place.root) {
        Ok(report) => report,
        Err(error) => {
            let fix = "make the folder `schedules` of the workspace readable for this user";
            return vec![Check::wrong("schedules", format!("they cannot be read: {error}"), fix)];
        }
    };
    let wrong = |problem: &verify::Problem| {
        let said = format!("{}:{}: {}; nothing of this one runs", problem.file, problem.line, problem.what);
        Check::wrong("schedules", said, "outlive serve --stop, then outlive verify --repair")
    };
    let found: Vec<Check> = report.problems.iter().map(wrong).collect();
    if found.is_empty() { vec![Check::ok("schedules", format!("{} are there", report.journals))] } else { found }
}

fn relays(place: &Workspace) -> Vec<Check> {
    let files = Beside { root: place.root.clone(), disk: Arc::new(RealDisk) };
    let names = match files.relay_names() {
        Ok(names) => names,
        Err(error) => {
            let fix = "make the folder `relays` of the workspace readable for this user";
            return vec![Check::warning("relays", error.to_string(), fix)];
        }
    };
    let flaw = |name: &String| {
        let file = format!("relays/{name}.yaml");
        let why = match files.relay(name) {
            Ok(text) => read_text(&text?, &file).err()?.to_string(),
            Err(error) => error.to_string(),
        };
        let first = why.lines().next().unwrap_or_default().to_owned();
        let fix = format!("mend it: `outlive relay validate {}` shows all", place.root.join(&file).display());
        Some(Check::warning("relays", first, fix))
    };
    let misnamed = |file: String| {
        let fix = "call it NAME.yaml, its name of lowercase letters, digits and `-`, or take it out of there";
        Check::warning("relays", format!("relays/{file} is no relay by its name: nobody reads it"), fix)
    };
    let mut found: Vec<Check> = names.iter().filter_map(flaw).collect();
    found.extend(files.misnamed_relays().unwrap_or_default().into_iter().map(misnamed));
    if found.is_empty() { vec![Check::ok("relays", format!("{} can be begun", names.len()))] } else { found }
}
