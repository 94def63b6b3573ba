//! Relays: long work as states, of which the agent picks the next one; everything around that decision is deterministic.
//!
//! | module | decides |
//! |---|---|
//! | [`definition`] | what a relay is |
//! | [`node`] | a file's or a body's values with their places |
//! | [`validate`] | whether it can be one: every fault at once, each with its place and the way out |
//! | [`schema`] | what a state's input must be |
//! | [`history`] | what a relay did, as rows |
//! | [`mod@line`] | the command line of a state, in which no value is ever read by a shell |
//! | [`due`] | when a timer is due |
//! | [`draw`] | a relay and its path as text |
//! | [`run`] | where a relay stands: a fold of its session's events |
//!
//! Invariant: a value of a template is one argument or one variable of a command, whatever it holds.

pub mod definition;
pub mod draw;
pub mod due;
pub mod history;
pub mod line;
pub mod node;
pub mod run;
pub mod schema;
pub mod validate;

pub use definition::{
    AgentWork, Command, Definition, Guard, PollWork, Retry, ScriptEffect, ScriptWork, SignalWork, Span, StateSpec,
    Terminal, TerminalWork, TimerWork, Work,
};
pub use run::{About, Begun, Entered, Past, Relay, Stage, Stuck, Trace};
pub use validate::{Fault, Faults, read_text, read_value};
