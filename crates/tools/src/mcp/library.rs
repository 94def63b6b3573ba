//! Resources and prompts of servers, as tools of an agent.

use std::sync::Arc;

use super::listing::Listing;
use super::server::Server;
use crate::Tool;

/// The servers that have resources or prompts.
pub(crate) struct Library;

impl Library {
    pub fn of(_servers: Vec<(Arc<Server>, Arc<Listing>)>) -> Vec<Arc<dyn Tool>> {
        Vec::new()
    }
}
