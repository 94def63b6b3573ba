//! Servers of tools: MCP over the pipes of a program, and over streamable HTTP.
//!
//! | Where | What |
//! |---|---|
//! | `pool` | the servers of all agents: shared by their sessions, ended together |
//! | `server` | one server's life: at rest, starting, up, down and started again |
//! | `connect`, `bounded` | how a connection is made, in which version of the protocol, and read |
//! | `depth`, `valve` | what of a program is not read: what is nested too deep, and what it says while it does not listen |
//! | `http`, `bearer` | what requests over HTTP carry, and who lets them in |
//! | `oauth` | logins to servers: had, kept, renewed |
//! | `client` | what a server may ask of us, and tell us |
//! | `listing` | what it offers, held to bounds; `names`: what the model calls it |
//! | `elicit` | what it asks a person |
//! | `call`, `rounds` | one request: heard, stopped, timed out, lost; and asked again with what the server still needs |
//! | `tool`, `library` | its tools, and its resources and prompts, as tools of an agent |
//! | `result` | what it answered, as text, details and an artifact |
//!
//! The protocol itself is the official SDK's; what a server sends is bounded here before anything of it is believed.
//!
//! Invariants: a server's word on what a tool does is a claim: it decides what runs side by side and what a crash means, never
//! whether a person is asked. What was allowed for good is bound to the description and schema that were there.

mod bearer;
mod bounded;
mod call;
mod client;
mod connect;
mod depth;
mod elicit;
mod http;
mod library;
mod listing;
mod names;
pub mod oauth;
mod pool;
mod result;
mod rounds;
mod server;
mod tool;
mod valve;

use std::time::Duration;

pub use bearer::Bearer;
pub use connect::Setup;
pub use pool::{Pool, Seen, Wanted};

/// Bytes of one message of a server: a line, or an event of a stream. A body over HTTP has the same bound.
pub const FRAME_BYTES: usize = 16 << 20;
/// Tools of one server; what it lists beyond that is left out.
pub const TOOLS: usize = 256;
/// Resources, templates and prompts that one look shows.
pub const ITEMS: usize = 500;
/// Pages of one list.
pub const PAGES: usize = 64;
/// Bytes of a tool's schema.
pub const SCHEMA_BYTES: usize = outlive_core::limits::SCHEMA_BYTES;
/// Levels of a tool's schema.
pub const SCHEMA_DEPTH: usize = 32;
/// Characters of a description that the model is shown.
pub const DESCRIPTION_CHARS: usize = 4_000;
/// Bytes of a tool's name, as its server calls it.
pub const NAME_BYTES: usize = 128;
/// Times that one request may come back for more input.
pub const ROUNDS: usize = 10;
/// Time for a connection to be made and all lists to be read.
pub const STARTING: Duration = Duration::from_secs(30);
/// Time that a turn's first step waits for servers that it has not seen yet.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Time without a call after which a server is ended; the next call starts it again.
pub const IDLE: Duration = Duration::from_secs(600);
/// Time that the last calls of a server have whose definition was replaced.
pub const LEAVING: Duration = Duration::from_secs(600);
/// Pause before a server that died is started again: first, and at most.
pub const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Time that a server is given to end its connection in order.
const CLOSING: Duration = Duration::from_secs(2);
