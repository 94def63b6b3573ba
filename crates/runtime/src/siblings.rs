//! Lets the tools `session` and `artifact` look at what is kept: rows and journals of other sessions, and long results.

use outlive_core::context::{MessageItem, fold_messages};
use outlive_core::digest::Digest;
use outlive_core::event::{Aside, Entry};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::time::Timestamp;
use outlive_store::{ListQuery, Pending, Row, Store, StoreError};
use outlive_tools::artifact::Outputs;
use outlive_tools::session::{Part, Said, Sibling, Siblings};

use crate::load;

/// Lines read at once.
const PAGE: usize = 1_024;
/// Lines that one look goes through.
const LINES: usize = 100_000;

/// The sessions of a store.
pub(crate) struct Kept(pub(crate) Store);

impl Siblings for Kept {
    fn list(&self, agent: AgentName, text: Option<String>, limit: usize) -> Pending<'_, Result<Vec<Sibling>, String>> {
        Box::pin(async move {
            let query = ListQuery { agent: Some(agent.to_string()), text, limit, ..ListQuery::default() };
            let rows = self.0.index.list(query).await.map_err(|error| error.to_string())?;
            Ok(rows.into_iter().map(sibling).collect())
        })
    }

    fn read(&self, agent: AgentName, session: SessionId, part: Part) -> Pending<'_, Result<Vec<Said>, String>> {
        Box::pin(async move {
            let rows = self.0.index.rows(vec![session]).await.map_err(|error| error.to_string())?;
            // One of another agent is not told apart from one that is not there.
            if !rows.iter().any(|row| row.agent == agent.as_str()) {
                return Err(format!("agent `{agent}` has no session {session}"));
            }
            self.messages(session, part).await.map_err(|error| error.to_string())
        })
    }
}

impl Outputs for Kept {
    fn output(&self, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move { self.0.artifacts.get(hash).await.map_err(|error| error.to_string()) })
    }
}

impl Kept {
    async fn messages(&self, session: SessionId, part: Part) -> Result<Vec<Said>, StoreError> {
        let state = load::state(&self.0, session).await?.state;
        let aside = state.profile.map(|profile| profile.aside).unwrap_or_default();
        let (mut said, mut at) = (Vec::new(), part.after);
        for _page in 0..LINES / PAGE {
            let lines = self.0.journals.read(session, at, PAGE).await?.lines;
            let Some(last) = lines.last() else { break };
            at = last.seq();
            let entries: Vec<Entry> =
                lines.iter().map(|line| load::read(session, line)).collect::<Result<_, StoreError>>()?;
            let shown = fold_messages(&entries).into_iter().filter(|item| !Aside::holds(&aside, item.seq));
            said.extend(shown.map(told));
            if said.len() >= part.limit {
                break;
            }
        }
        said.truncate(part.limit);
        Ok(said)
    }
}

fn sibling(row: Row) -> Sibling {
    Sibling {
        session: row.session,
        title: row.title.unwrap_or_default(),
        status: row.status,
        updated_at: Timestamp::from_micros(row.updated_at).to_string(),
    }
}

fn told(item: MessageItem) -> Said {
    let role = format!("{:?}", item.role).to_lowercase();
    let calls = item.tool_calls.iter().map(|call| format!("[called {} {}]", call.name, call.arguments));
    let text: Vec<String> = std::iter::once(item.content).filter(|text| !text.is_empty()).chain(calls).collect();
    Said { seq: item.seq, role, text: text.join("\n") }
}
