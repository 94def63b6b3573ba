//! A session's row in the list: a fold of its state, and of what its agent's files have noted.

use outlive_core::id::{SessionId, WaitId};
use outlive_core::session::{Notices, State, Waits};
use outlive_core::time::Timestamp;
use outlive_store::{Awaiting, Row, WaitRow};

use crate::shell::Shell;

/// Returns the row of a session in this state.
pub(crate) fn row(shell: &Shell, (session, state): (SessionId, &State)) -> Row {
    let profile = state.profile.as_ref();
    let labels = profile.map(|profile| serde_json::to_string(&profile.labels).unwrap_or_default());
    Row {
        session,
        head: state.head,
        agent: profile.map(|profile| profile.agent.to_string()).unwrap_or_default(),
        title: profile.and_then(|profile| profile.title.clone().or_else(|| profile.opening.clone())),
        project: profile.and_then(|profile| profile.project.clone()),
        task: profile.and_then(|profile| profile.task.clone().map(Box::new)),
        status: state.status().as_str().to_owned(),
        created_at: profile.map_or(0, |profile| profile.created_at.micros()),
        updated_at: state.updated_at.micros(),
        owed: state.is_owed(shell.notes(state)),
        labels: labels.unwrap_or_else(|| "{}".to_owned()),
        waits: waits(session, &state.queue.waits).chain(notices(session, &state.upkeep.notices)).collect(),
    }
}

fn waits(session: SessionId, waits: &Waits) -> impl Iterator<Item = WaitRow> {
    let armed = waits.armed.iter().map(move |wait| WaitRow {
        kind: Awaiting::Wait,
        wait: wait.wait,
        session,
        over_at: wait.terms.over_at().map(Timestamp::micros),
        terms: serde_json::to_string(wait).unwrap_or_default(),
        ended: false,
    });
    let ended = waits.ended.iter().map(move |past| {
        let terms = serde_json::to_string(past).unwrap_or_default();
        WaitRow { kind: Awaiting::Wait, wait: past.wait, session, over_at: None, terms, ended: true }
    });
    armed.chain(ended)
}

fn notices(session: SessionId, notices: &Notices) -> impl Iterator<Item = WaitRow> {
    notices.all.iter().map(move |notice| WaitRow {
        kind: Awaiting::Notice,
        wait: WaitId::from_bits(notice.notice.bits()),
        session,
        over_at: notice.next_at.map(Timestamp::micros),
        terms: serde_json::to_string(notice).unwrap_or_default(),
        ended: false,
    })
}
