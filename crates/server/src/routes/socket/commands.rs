//! What a client asks over a WebSocket: each frame is translated into a command, and what becomes of it into a reply.

use outlive_core::command::{Command, Decision, Message, Verdict};
use outlive_core::event::{Behavior, Origin, Scope};
use outlive_core::id::{Seq, SessionId};
use outlive_core::media::Attachment;
use outlive_protocol::message::MessageAccepted;
use outlive_protocol::socket::{ClientFrame, OnCall, REPLY, Say, ServerFrame};
use outlive_protocol::{code, token};
use outlive_runtime::Accepted;
use outlive_runtime::subscribe::Subscription;
use serde_json::{Value, json};

use super::talk::Client;
use crate::App;
use crate::audit::{self, Deed};
use crate::body::{id, named};
use crate::problem::{ApiError, ApiResult};
use crate::routes::approvals::verb;
use crate::routes::{artifacts, control};
use crate::tokens::Identity;

/// What became of a frame.
pub(super) struct Done {
    pub(super) request_id: Option<String>,
    pub(super) answer: Answer,
    pub(super) then: Option<Then>,
}

/// What follows once the reply is sent.
pub(super) enum Then {
    Listen(SessionId, Box<Subscription>),
    Forget(SessionId),
}

/// A status and a body, or a problem.
pub(super) type Answer = ApiResult<(u16, Value)>;

/// Does what a frame asks.
pub(super) async fn act(app: App, client: Client, text: String) -> Done {
    let (request_id, frame) = read(&text);
    let frame = frame.and_then(|frame| {
        client.who.needs(needed(&frame))?;
        app.rates.token(&client.who, client.from)?;
        Ok(frame)
    });
    let by = client.by;
    let frame = match frame {
        Ok(frame) => frame,
        Err(error) => return Done { request_id, answer: Err(error), then: None },
    };
    match frame {
        ClientFrame::Subscribe { session, after, .. } => match listen(&app, &session, after).await {
            Ok((answer, then)) => {
                let on = [("session", session.as_str())];
                let deed = Deed::of_frame("session.read", &on, (&client.who, client.from.to_string()));
                let answer = audit::record(&app, deed, "ok".to_owned()).await.map(|()| (200, answer));
                Done { request_id, answer, then: Some(then) }
            }
            Err(error) => Done { request_id, answer: Err(error), then: None },
        },
        ClientFrame::Unsubscribe { session, .. } => match id(&session) {
            Ok(session) => {
                Done { request_id, answer: Ok((200, json!({"session": session}))), then: Some(Then::Forget(session)) }
            }
            Err(error) => Done { request_id, answer: Err(error), then: None },
        },
        frame @ (ClientFrame::Message(_)
        | ClientFrame::Steer(_)
        | ClientFrame::Interrupt { .. }
        | ClientFrame::Approve(_)
        | ClientFrame::Deny(_)
        | ClientFrame::Answer { .. }) => {
            let deed = deed(&frame, (&client.who, client.from.to_string()));
            let answer = submit(&app, by, frame).await;
            let outcome = answer.as_ref().map_or_else(ApiError::code, |_| "ok".to_owned());
            let answer = audit::record(&app, deed, outcome).await.and(answer);
            Done { request_id, answer, then: None }
        }
    }
}

/// What a frame is in the audit log.
fn deed(frame: &ClientFrame, who: (&Identity, String)) -> Deed {
    let (what, session, thing) = match frame {
        ClientFrame::Message(said) => ("message", &said.session, None),
        ClientFrame::Steer(said) => ("message", &said.session, None),
        ClientFrame::Interrupt { session, .. } => ("interrupt", session, None),
        ClientFrame::Approve(on) => (verb(verdict(on.scope)), &on.session, Some(("call", on.call.as_str()))),
        ClientFrame::Deny(on) => ("deny", &on.session, Some(("call", on.call.as_str()))),
        ClientFrame::Answer { session, question, .. } => ("answer", session, Some(("question", question.as_str()))),
        ClientFrame::Subscribe { session, .. } | ClientFrame::Unsubscribe { session, .. } => {
            ("session.read", session, None)
        }
    };
    let on: Vec<(&str, &str)> = [("session", session.as_str())].into_iter().chain(thing).collect();
    Deed::of_frame(what, &on, who)
}

fn verdict(scope: Option<Scope>) -> Verdict {
    match scope {
        None | Some(Scope::Once) => Verdict::Allow,
        Some(Scope::Always) => Verdict::AllowAlways,
        Some(Scope::Agent) => Verdict::AllowAgent,
    }
}

/// What a frame needs of a token, as the routes that do the same.
fn needed(frame: &ClientFrame) -> token::Scope {
    match frame {
        ClientFrame::Subscribe { .. } | ClientFrame::Unsubscribe { .. } => token::Scope::Read,
        ClientFrame::Message(_)
        | ClientFrame::Steer(_)
        | ClientFrame::Interrupt { .. }
        | ClientFrame::Answer { .. } => token::Scope::Talk,
        ClientFrame::Approve(on) if on.scope == Some(Scope::Agent) => token::Scope::Admin,
        ClientFrame::Approve(_) | ClientFrame::Deny(_) => token::Scope::Approve,
    }
}

/// Reads a frame, and, as far as it can be read, which one it is.
fn read(text: &str) -> (Option<String>, ApiResult<ClientFrame>) {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return (None, Err(ApiError::new(&code::MALFORMED_JSON, format!("frame: {error}")))),
    };
    let request_id = value.get("request_id").and_then(Value::as_str).map(str::to_owned);
    // A list would be taken for the fields in their order.
    let frame = if value.is_object() { serde_json::from_value(value) } else { serde_json::from_str("0") };
    (request_id, frame.map_err(|error| ApiError::new(&code::INVALID, format!("frame: {error}"))))
}

async fn listen(app: &App, session: &str, after: Seq) -> ApiResult<(Value, Then)> {
    let session: SessionId = id(session)?;
    let head = app.runtime.head(session).await?;
    if after > head {
        let what = format!("there is no event {after} to go on after: the journal ends with {head}");
        return Err(ApiError::new(&code::INVALID, what));
    }
    let subscription = Box::new(app.runtime.attach(session, after).await?);
    Ok((json!({"session": session, "after": after, "head": head}), Then::Listen(session, subscription)))
}

async fn submit(app: &App, by: Origin, mut frame: ClientFrame) -> Answer {
    let mut attachments = None;
    if let ClientFrame::Message(said) | ClientFrame::Steer(said) = &mut frame {
        attachments = Some(artifacts::named(app, std::mem::take(&mut said.attachments)).await?);
    }
    let is_message = attachments.is_some();
    let (session, name, command) = command(by, attachments.unwrap_or_default(), frame)?;
    let request = name.parse().map_err(|error| ApiError::new(&code::INVALID, format!("request_id: {error}")))?;
    let accepted = app.runtime.submit(id(&session)?, command, Some(request)).await?;
    if !is_message {
        return Ok((200, json!(control::done(accepted))));
    }
    let Accepted { seq, turn, duplicate, .. } = accepted;
    Ok((202, json!(MessageAccepted { seq, turn_id: turn, request_id: Some(name), duplicate })))
}

/// Returns the session, the request's name and the command.
fn command(by: Origin, attachments: Vec<Attachment>, frame: ClientFrame) -> ApiResult<(String, String, Command)> {
    let by = |sender: Option<String>| Origin { sender: sender.as_deref().and_then(named).or(by.sender), ..by };
    Ok(match frame {
        ClientFrame::Message(said) => say(said, attachments, (Behavior::FollowUp, by)),
        ClientFrame::Steer(said) => say(said, attachments, (Behavior::Steer, by)),
        ClientFrame::Interrupt { session, request_id, sender } => {
            (session, request_id, Command::Interrupt { by: by(sender) })
        }
        ClientFrame::Approve(on) => {
            let verdict = verdict(on.scope);
            decide(on, verdict, by)?
        }
        ClientFrame::Deny(on) if on.scope.is_some() => {
            return Err(ApiError::new(&code::INVALID, "frame: `scope` is of an approval; a call is denied once"));
        }
        ClientFrame::Deny(on) => decide(on, Verdict::Deny, by)?,
        ClientFrame::Answer { session, question, answers, request_id, sender } => {
            let answers = answers.into_iter().map(Vec::from).collect();
            (session, request_id, Command::Answer { question: id(&question)?, answers, by: by(sender) })
        }
        ClientFrame::Subscribe { .. } | ClientFrame::Unsubscribe { .. } => {
            return Err(ApiError::new(&code::INVALID, "frame: this is no command"));
        }
    })
}

fn say(
    said: Say,
    attachments: Vec<Attachment>,
    (behavior, by): (Behavior, impl FnOnce(Option<String>) -> Origin),
) -> (String, String, Command) {
    let (content, output_schema, origin) = (said.content, said.output_schema, by(said.sender));
    let message = Message { content, attachments, output_schema, behavior, origin };
    (said.session, said.request_id, Command::Message(message))
}

fn decide(
    on: OnCall,
    verdict: Verdict,
    by: impl FnOnce(Option<String>) -> Origin,
) -> ApiResult<(String, String, Command)> {
    let decision = Decision { call: id(&on.call)?, asked: on.seq, verdict, reason: on.reason, by: by(on.sender) };
    Ok((on.session, on.request_id, Command::Decide(decision)))
}

/// The frame that answers one.
pub(super) fn reply(request_id: Option<String>, answer: Answer) -> String {
    let (status, data) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let problem = error.into_problem();
            (problem.status, json!(problem))
        }
    };
    let frame =
        ServerFrame { session: None, event: REPLY.to_owned(), id: None, request_id, status: Some(status), data };
    // A frame of JSON values always serializes.
    serde_json::to_string(&frame).unwrap_or_default()
}
