//! Allows or denies a call that waits for a person.

use outlive_core::command::Verdict;
use outlive_protocol::Page;
use outlive_protocol::approval::{ApprovalView, Decide as Body, InboxItem};
use outlive_protocol::session::Done;
use reqwest::Method;

use crate::cli::{Always, Decide};
use crate::client::connect;
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};

/// Which command was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `approve`
    Approve,
    /// `deny`
    Deny,
}

pub async fn run(place: &Workspace, decide: Decide, word: Word) -> Outcome {
    if word == Word::Deny && decide.always.is_some() {
        return Err(Failure::Usage(
            "--always allows: a call is denied each time, or by a rule in policy.yaml".to_owned(),
        ));
    }
    let client = connect(place).await?;
    let (session, call, seq) = match (&decide.session, &decide.call) {
        (Some(session), Some(call)) => (session.clone(), call.clone(), None),
        (session, call) => {
            let inbox: Page<InboxItem> = client.all("/inbox").await?;
            let found = only(inbox, session.as_deref(), call.as_deref())?;
            (found.session_id.to_string(), found.call.to_string(), Some(found.seq))
        }
    };
    let decision = match (word, decide.always) {
        (Word::Approve, Some(Always::Agent)) => Verdict::AllowAgent,
        (Word::Approve, Some(Always::Session)) => Verdict::AllowAlways,
        (Word::Approve, None) => Verdict::Allow,
        (Word::Deny, _) => Verdict::Deny,
    };
    let body = Body { decision, seq, reason: decide.reason, request_id: None };
    let _: Done = client.send(Method::POST, &format!("/sessions/{session}/approvals/{call}"), &body).await?;
    say!("{} {call} in {session}", if word == Word::Approve { "allowed" } else { "denied" });
    ok()
}

fn only(inbox: Page<InboxItem>, session: Option<&str>, call: Option<&str>) -> Result<ApprovalView, Failure> {
    let fits = |view: &ApprovalView| {
        session.is_none_or(|session| view.session_id.to_string() == session)
            && call.is_none_or(|call| view.call.to_string() == call)
    };
    let call_of = |item| if let InboxItem::Approval(view) = item { Some(view) } else { None };
    let mut found: Vec<ApprovalView> = inbox.items.into_iter().filter_map(call_of).filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Failure::Usage("several calls wait: name one; `outlive inbox` lists them".to_owned())),
        (None, _) => {
            let which = call.map_or_else(|| "no call".to_owned(), |call| format!("no call {call}"));
            let why = format!("{which} waits for a decision; name its session with -s to hear what was decided");
            Err(Failure::NotFound(why))
        }
    }
}
