//! The real runtime on the memory store, with models and tools that do as they are told.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed; some lay out the files that tools meet, and look at processes"
)]

mod beginning;
mod budget;
mod calls;
mod catalog;
mod clients;
mod condensing;
mod deleting;
mod dying;
mod forgetting;
mod held;
mod hostile;
mod house;
mod iteration;
mod leaving;
mod many_waits;
mod meaning;
mod media;
mod notices;
mod noting;
mod outage;
mod races;
mod refused_files;
mod relieved;
mod schedules;
mod servers;
mod trouble;
mod waits;
mod working;
