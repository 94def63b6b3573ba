//! What a relay did, as rows: one for each attempt, and one for each thing that happened to the whole.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{ArtifactRef, Entry, Event, Origin, StateOutcome, Via};
use crate::id::Seq;
use crate::time::Timestamp;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The event that it begins with.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// `attempt`, or what happened: `started`, `redefined`, `finished`, `reopened`.
    pub what: String,
    /// Of an attempt: the state; of an end: the one that it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Which attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Why it was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RowEnd>,
    /// Why, in the words of whoever decided, or how the relay ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who, where a person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Origin>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowEnd {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: StateOutcome,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// Why it did not do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What its command exited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The whole of a long output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactRef>,
}

impl Row {
    fn of(entry: &Entry, what: &str) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            what: what.to_owned(),
            state: None,
            attempt: None,
            via: None,
            input: Value::Null,
            ended: None,
            reason: None,
            by: None,
        }
    }

    /// Says whether nothing is missing of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.what != "attempt" || self.ended.is_some()
    }
}

/// Adds what an event says: a row, or the end of one.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what relays do has rows")]
pub fn add(rows: &mut Vec<Row>, entry: &Entry) {
    let row = |what: &str| Row::of(entry, what);
    match &entry.event {
        Event::RelayStarted(it) => {
            rows.push(Row { reason: Some(it.relay.clone()), by: Some(it.by.clone()), ..row("started") });
        }
        Event::RelayStateEntered(it) => rows.push(Row {
            state: Some(it.state.clone()),
            attempt: Some(it.attempt),
            via: Some(it.via),
            input: it.input.clone(),
            reason: it.reason.clone(),
            by: it.by.clone(),
            ..row("attempt")
        }),
        Event::RelayStateEnded(it) => {
            let open = rows.iter_mut().rev().find(|row| row.state.as_ref() == Some(&it.state) && !row.is_whole());
            let (output, error) = (it.output.clone(), it.error.clone());
            let ended = RowEnd {
                at: entry.at,
                outcome: it.outcome,
                output,
                error,
                code: it.code,
                artifact: it.artifact.clone(),
            };
            open.into_iter().for_each(|row| row.ended = Some(ended.clone()));
        }
        Event::RelayRedefined(it) => {
            rows.push(Row { reason: Some(it.reason.clone()), by: Some(it.by.clone()), ..row("redefined") });
        }
        Event::RelayFinished(it) => {
            let outcome = it.outcome.as_str();
            let reason = it.reason.as_ref().map_or_else(|| outcome.to_owned(), |why| format!("{outcome}: {why}"));
            rows.push(Row { state: it.state.clone(), reason: Some(reason), by: it.by.clone(), ..row("finished") });
        }
        Event::RelayReopened(it) => {
            rows.push(Row { reason: Some(it.reason.clone()), by: Some(it.by.clone()), ..row("reopened") });
        }
        _other => {}
    }
}
