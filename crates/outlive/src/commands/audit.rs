//! The audit log, read from its files: no server need run.

use outlive_core::digest::Digest;
use outlive_core::time::Timestamp;
use outlive_store::audit::{AuditEntry, Broken, read, verify};

use crate::cli::{Audit, AuditList, AuditVerify};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

pub fn run(place: &Workspace, command: &Audit) -> Outcome {
    match command {
        Audit::List(wanted) => list(place, wanted),
        Audit::Verify(wanted) => check(place, wanted),
    }
}

fn list(place: &Workspace, wanted: &AuditList) -> Outcome {
    let since = wanted.since.as_deref().map(str::parse::<Timestamp>).transpose();
    let since =
        since.map_err(|_| Failure::Usage("--since: a moment in RFC 3339, such as 2026-01-31T00:00:00Z".to_owned()))?;
    let fits = |entry: &AuditEntry| {
        let act = &entry.act;
        let is_what = |what: &String| *what == act.what || (what.ends_with('.') && act.what.starts_with(what.as_str()));
        wanted.who.as_ref().is_none_or(|who| *who == act.who || Some(who) == act.sender.as_ref())
            && wanted.what.as_ref().is_none_or(is_what)
            && wanted.session.as_ref().is_none_or(|session| act.on.get("session") == Some(session))
            && since.is_none_or(|since| act.at >= since)
    };
    let entries = read(&place.root, wanted.limit, &fits)?;
    if wanted.json {
        for entry in &entries {
            say!("{}", serde_json::to_string(entry)?);
        }
        return ok();
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    show::table(&["SEQ", "AT", "WHO", "FROM", "WHAT", "OUTCOME", "ON"], &rows);
    ok()
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let act = &entry.act;
    let who = act.sender.as_ref().map_or_else(|| act.who.clone(), |sender| format!("{}/{sender}", act.who));
    let on: Vec<String> = act.on.iter().map(|(kind, id)| format!("{kind}={id}")).collect();
    let from = act.from.clone().unwrap_or_default();
    let shown = [who, from, act.what.clone(), act.outcome.clone(), on.join(" ")];
    // One line, whatever was sent.
    let shown = shown.map(|text| text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""));
    [entry.seq.to_string(), act.at.to_string()].into_iter().chain(shown).collect()
}

fn check(place: &Workspace, wanted: &AuditVerify) -> Outcome {
    let noted = wanted.head.as_deref().map(|head| {
        Digest::parse(head).ok_or_else(|| Failure::Usage("--head: 64 lowercase hex digits are needed".to_owned()))
    });
    let found = verify(&place.root, noted.transpose()?.as_ref())?;
    let shown = |broken: &Broken| serde_json::json!({"file": broken.file, "line": broken.line, "why": broken.why});
    if wanted.json {
        show::json(&serde_json::json!({
            "entries": found.entries,
            "head": found.head,
            "torn_bytes": found.torn_bytes,
            "broken": found.broken.as_ref().map(shown),
            "missing": found.missing.iter().map(shown).collect::<Vec<_>>(),
        }))?;
    }
    if let Some(broken) = found.broken {
        return Err(Failure::Failed(format!("the audit log is broken at {}", place_of(&broken))));
    }
    if !found.missing.is_empty() {
        let all: Vec<String> = found.missing.iter().map(place_of).collect();
        return Err(Failure::Failed(format!("entries of the audit log are missing:\n  {}", all.join("\n  "))));
    }
    if wanted.json {
        return ok();
    }
    if found.torn_bytes > 0 {
        say!("{} bytes at the end are of an entry that was not finished; the next start cuts them", found.torn_bytes);
    }
    say!("{} entries, none was changed, moved or taken out", found.entries);
    say!("head {}", found.head);
    ok()
}

fn place_of(broken: &Broken) -> String {
    let at = if broken.line > 0 { format!(", line {}", broken.line) } else { String::new() };
    format!("audit/{}{at}: {}", broken.file, broken.why)
}
