//! Every dialect against a server on loopback, over real HTTP, and its reader on recorded and hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asked;
mod broken;
mod fixture;
mod form;
mod media;
mod prefix;
mod recorded;
