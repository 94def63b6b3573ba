//! Agents that outlive their processes.
fn main() {}
