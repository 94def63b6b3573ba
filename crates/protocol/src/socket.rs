//! What travels over `GET /ws`: JSON objects, one a text frame.
//!
//! A client sends [`ClientFrame`]s, the server [`ServerFrame`]s. What follows a `subscribe` says the same, under the same
//! names, as the server-sent events of the session.

use std::sync::Arc;

use outlive_core::event::Scope;
use outlive_core::id::Seq;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::PostAttachment;
use crate::question::AnswerBody;

/// A frame of a client. Each but `subscribe` and `unsubscribe` needs a `request_id`: the same one acts once, also over
/// another connection and after a restart. `sender` says who asks, where several people share the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ClientFrame {
    /// Listen to a session: its events after a seq, then live. Again: from there anew.
    Subscribe {
        /// Which.
        session: String,
        /// Only events after this seq.
        #[serde(default)]
        after: Seq,
        /// Comes back in the reply.
        #[serde(default)]
        request_id: Option<String>,
    },
    /// Listen no more.
    Unsubscribe {
        /// To which.
        session: String,
        /// Comes back in the reply.
        #[serde(default)]
        request_id: Option<String>,
    },
    /// Say something: while a turn runs it waits for its end.
    Message(Say),
    /// Say something to the running turn, before its next step.
    Steer(Say),
    /// Stop the running turn.
    Interrupt {
        /// In which session.
        session: String,
        /// The client's name for it.
        request_id: String,
        /// Who asks.
        #[serde(default)]
        sender: Option<String>,
    },
    /// Let a call run.
    Approve(OnCall),
    /// Do not let a call run.
    Deny(OnCall),
    /// Answer a question.
    Answer {
        /// In which session.
        session: String,
        /// Which.
        question: String,
        /// An answer for each of its questions, in order: a label, words, or several.
        answers: Vec<AnswerBody>,
        /// The client's name for it.
        request_id: String,
        /// Who asks.
        #[serde(default)]
        sender: Option<String>,
    },
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Say {
    /// In which session.
    pub session: String,
    /// The text: up to 1 MiB. None is needed beside attachments.
    #[serde(default)]
    pub content: String,
    /// Files that come with it: up to 20, each kept before with `POST /artifacts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<PostAttachment>,
    /// A JSON Schema that the turn's final answer must fit: an object of up to 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub output_schema: Option<Arc<serde_json::Value>>,
    /// The client's name for it.
    pub request_id: String,
    /// Who says it.
    #[serde(default)]
    pub sender: Option<String>,
}

/// What a person decides on a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnCall {
    /// In which session.
    pub session: String,
    /// Which call.
    pub call: String,
    /// The event that asked: a decision on a question that was put anew is refused.
    #[serde(default)]
    pub seq: Option<Seq>,
    /// To approve: `once`, which is usual, or `always`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub scope: Option<Scope>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// The client's name for it.
    pub request_id: String,
    /// Who decides.
    #[serde(default)]
    pub sender: Option<String>,
}

/// A frame of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerFrame {
    /// The session, but for replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `event`, `delta` or `live`, as in the server-sent events; `end`: nothing more comes of this session; `reply`.
    pub event: String,
    /// The event's seq: `after` for the next `subscribe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Seq>,
    /// Of a reply: what it answers; absent where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Of a reply: the HTTP status that the same request would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The journal's line, the fragment, the seq, the answer or the problem.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Value,
}

/// Name of the frames that answer a client's.
pub const REPLY: &str = "reply";
/// Name of the frames that say that nothing more comes of a session.
pub const END: &str = "end";
/// The subprotocol that a browser names before its token: it can set no other header.
pub const BEARER: &str = "bearer";
/// The route, under the base.
pub const ROUTE: &str = "/ws";
