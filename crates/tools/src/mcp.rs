//! Speaks to servers of tools.

pub mod oauth;
