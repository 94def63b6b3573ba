//! What a tool call may do: allow, ask, deny.

/// What rules look at: one call, already resolved against the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What rules call the tool: `bash`, `read`, `write`, `edit`, …
    pub tool: String,
    /// The command line, the resolved path, …: what follows the colon of a rule.
    pub target: String,
    /// How far it reaches when no rule speaks of it.
    pub reach: Reach,
}

/// How far a call reaches when no rule speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Within what the session was given: allowed.
    Within,
    /// Beyond it: asked.
    Beyond,
    /// Where no call may go, asked or not: denied.
    Forbidden,
}
