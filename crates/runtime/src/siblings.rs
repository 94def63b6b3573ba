//! Lets the tools `session` and `artifact` look at what is kept: rows and journals of other sessions, and long results.

use outlive_core::context::{MessageItem, fold_messages};
use outlive_core::digest::Digest;
use outlive_core::event::{Aside, Entry, Event};
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
    fn output(&self, session: SessionId, hash: Digest) -> Pending<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            match self.keeps(session, &hash).await {
                Ok(true) => self.0.artifacts.get(hash).await.map_err(|error| error.to_string()),
                Ok(false) => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

/// Says whether an event keeps this beside its journal. A call that asks for it does not.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else keeps any")]
fn keeps(event: &Event, hash: &Digest) -> bool {
    match event {
        Event::CallFinished(finished) => finished.artifact.as_ref().is_some_and(|kept| kept.hash == *hash),
        Event::ArtifactStored(stored) => stored.artifact.hash == *hash,
        Event::MessageReceived(message) => message.attachments.iter().any(|file| file.hash == *hash),
        _keeps_none => false,
    }
}

impl Kept {
    async fn keeps(&self, session: SessionId, hash: &Digest) -> Result<bool, StoreError> {
        let mut at = 0;
        loop {
            let lines = self.0.journals.read(session, at, PAGE).await?.lines;
            let Some(last) = lines.last() else { return Ok(false) };
            at = last.seq();
            for line in lines.iter().filter(|line| line.as_str().contains(hash.as_str())) {
                if keeps(&load::read(session, line)?.event, hash) {
                    return Ok(true);
                }
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_asks_for_an_output_does_not_keep_it() {
        use outlive_core::event::{ArtifactRef, CallFinished, MessageReceived, Outcome};
        let hash = Digest::of(b"much");
        let artifact = || ArtifactRef { hash: hash.clone(), bytes: 4, media_type: "text/plain".to_owned() };
        let finished = |content: String, artifact| {
            let call = outlive_core::id::CallId::from_bits(1);
            let (details, outcome) = (Some(serde_json::json!({ "id": content })), Outcome::Ok);
            Event::CallFinished(CallFinished { call, attempt: 1, outcome, content, details, artifact, duration_ms: 1 })
        };
        let named = format!("artifact {hash}");
        let said = serde_json::json!({ "content": named, "origin": { "kind": "cli" } });
        let said: MessageReceived = serde_json::from_value(said).unwrap();
        for (event, keeps_it) in [
            (finished(named.clone(), Some(artifact())), true),
            (finished(named, None), false),
            (Event::MessageReceived(said), false),
        ] {
            assert_eq!(keeps(&event, &hash), keeps_it, "{event:?}");
        }
    }
}
