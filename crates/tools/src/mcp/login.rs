//! The seam for servers that ask who comes.

use std::fmt::Debug;

use rmcp::transport::AuthClient;

use crate::Pending;

/// Lets requests in at one server.
pub trait Login: Debug + Send + Sync {
    /// Returns what sends requests with the token that there is; without one they go out bare, and the server refuses them.
    ///
    /// # Errors
    ///
    /// Why there is none, in one line.
    fn client(&self, http: reqwest::Client) -> Pending<'_, Result<AuthClient<reqwest::Client>, String>>;

    /// Says what a person does to let the agent in, in one line: `outlive …`.
    fn way_in(&self) -> String;
}
