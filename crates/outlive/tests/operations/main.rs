//! What an operator does, against the real binary: logs, supervision, the doctor, backups.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "a test of real processes and files")]

mod auditing;
mod backup;
mod browser;
mod doctor;
mod house;
mod logs;
#[cfg(feature = "otlp")]
mod otlp;
mod secrets;
mod stopping;
mod supervision;
mod tap;
mod trust;
