//! The core from outside: events and commands in, state, debts and lines out.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod accounting;
mod budget;
mod checkpoints;
mod desk;
mod edges;
mod fallback;
mod forgetting;
mod history;
mod import;
mod inquiry;
mod iteration;
mod journal;
mod memories;
mod notices;
mod properties;
mod relay;
mod relay_rules;
mod relief;
mod said;
mod session;
mod stopping;
mod unattended;
mod waiting;
