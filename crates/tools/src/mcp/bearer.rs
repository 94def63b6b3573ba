//! The seam for servers that ask who comes: something that yields a token for an address.

use std::fmt::Debug;

use crate::Pending;

/// Yields tokens for one server.
pub trait Bearer: Debug + Send + Sync {
    /// Returns the token to send now; none where there is none yet. It is asked before every request, so it must be quick: a
    /// token that has run out is renewed here.
    ///
    /// # Errors
    ///
    /// Why there is none, and what a person can do, in one line.
    fn token(&self) -> Pending<'_, Result<Option<String>, String>>;

    /// The server refused a request: 401, or 403 for want of scope. Returns a token that is worth trying once more.
    ///
    /// # Errors
    ///
    /// Why there is none, and what a person can do, in one line: `outlive …`, or an address to open.
    fn challenged<'a>(&'a self, challenge: &'a str) -> Pending<'a, Result<String, String>>;
}
