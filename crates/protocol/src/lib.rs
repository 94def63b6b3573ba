//! What travels on the wire: API bodies, SSE frames, problem details.
//!
//! Bodies say what they hold and in which units; what they mean is `core`'s matter. Requests refuse keys that they do not
//! know, answers may gain keys.

pub mod agent;
pub mod agent_files;
pub mod approval;
pub mod archive;
pub mod audit;
pub mod checkpoint;
pub mod code;
pub mod context;
pub mod event;
pub mod health;
pub mod import;
pub mod iteration;
pub mod memory;
pub mod message;
pub mod notice;
pub mod noting;
pub mod problem;
pub mod question;
pub mod queue;
pub mod relay;
pub mod schedule;
pub mod search;
pub mod session;
pub mod socket;
pub mod stop;
pub mod task;
pub mod token;
pub mod trash;
pub mod wait;

pub use problem::Problem;

use serde::{Deserialize, Serialize};

/// Where all routes but the health checks live.
pub const BASE: &str = "/api/v1";

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Ask with this `cursor` for the next page; null on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}
