//! Every decision of Outlive, pure: no files, clock, randomness, tasks or environment.
//!
//! | Where | What |
//! |---|---|
//! | [`id`], [`time`], [`limits`] | values that everything else is made of |
//! | [`event`] | the one vocabulary: what a journal line can say, and its exact bytes |
//! | [`command`] | what can be asked of a session |
//! | [`session`] | the state of a session: `decide`, `apply`, `owed` |
//! | [`schedule`] | what is to be done at times: when it is due, what of it is owed |
//! | [`task`] | the piece of work that a session is for, which is its name |
//! | [`turn`] | the machines inside a turn: step, call, ending |
//! | [`context`] | the transcript and the model request made of it, always well-formed |
//! | [`compaction`] | what stands for the older part of a conversation, and how it changes |
//! | [`memory`] | what is remembered across sessions |
//! | [`policy`] | what a tool call may do: allow, ask, deny |
//! | [`hooks`] | what an agent's author puts before and behind its calls |
//! | [`relay`] | long work as states, of which the agent picks the next |
//! | [`media`] | files that are attached to messages: types, bounds, names |
//! | [`agent`] | an agent's definition, read from its files |
//! | [`secret`], [`redact`] | keys that do not print; what is known of them, taken out of whatever is written or shown |
//! | [`catalogue`], [`cost`] | what is known of models, and what their tokens cost |
//! | [`budget`] | what may be used, and whether the next step fits |
//! | [`archive`] | a session or an agent as one file, the same bytes for the same content |
//! | [`import`] | conversations of other programs: read from their records, made a journal at rest |

pub mod agent;
pub mod archive;
pub mod budget;
pub mod catalogue;
pub mod command;
pub mod compaction;
pub mod content;
pub mod context;
pub mod cost;
pub mod digest;
pub mod event;
pub mod hooks;
pub mod id;
pub mod import;
pub mod limits;
pub mod media;
pub mod memory;
pub mod notice;
pub mod policy;
pub mod redact;
pub mod relay;
pub mod schedule;
pub mod secret;
pub mod session;
pub mod task;
pub mod template;
pub mod time;
pub mod turn;
pub mod webhook;
pub mod yaml;
