//! What a server may ask of us while it works, and what it tells: roots, questions, progress, changed lists.
//!
//! Sampling is refused: a server does not spend its client's tokens here.

#![expect(deprecated, reason = "servers of older versions still ask for roots and sampling")]

use std::path::PathBuf;
use std::sync::Arc;

use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationCapability, ErrorCode, ErrorData, FormElicitationCapability,
    Implementation, ListRootsResult, ProgressNotificationParam, ProtocolVersion, Root, RootsCapabilities,
    UrlElicitationCapability,
};
use rmcp::service::{InboundStreamOrigin, NotificationContext, RequestContext, RoleClient};
use tokio::sync::Notify;

use super::call::Calls;

/// Our side of a connection.
#[derive(Clone)]
pub(super) struct Client {
    /// What is under way.
    pub calls: Calls,
    /// Told when a list has changed.
    pub changed: Arc<Notify>,
    /// The folders that servers are told of.
    pub roots: Arc<[PathBuf]>,
    /// What the server is called.
    pub name: Arc<str>,
}

impl Client {
    pub fn new(name: &str, roots: &[PathBuf]) -> Self {
        Self { calls: Calls::default(), changed: Arc::default(), roots: roots.into(), name: name.into() }
    }

    /// Returns the folders, as a server is told of them.
    pub fn told_roots(&self) -> ListRootsResult {
        let root = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Root::new(address(path)).with_name(name)
        };
        ListRootsResult::new(self.roots.iter().map(root).collect())
    }
}

/// Writes a path as an address.
fn address(path: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte);
    let written = path.as_os_str().as_bytes().iter().map(|byte| match plain(byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    format!("file://{}", written.collect::<String>())
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        capabilities.roots = Some(RootsCapabilities::default());
        let elicitation = ElicitationCapability::new().with_form(FormElicitationCapability::default());
        capabilities.elicitation = Some(elicitation.with_url(UrlElicitationCapability::default()));
        let us = Implementation::new("outlive", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(capabilities, us).with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(self.told_roots())
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let of = match context.extensions.get::<InboundStreamOrigin>() {
            Some(InboundStreamOrigin::OutboundRequest(id)) => Some(id.clone()),
            Some(InboundStreamOrigin::Unassociated) | None => None,
        };
        let refuse = |why: &str| Err(ErrorData::new(ErrorCode::INVALID_REQUEST, why.to_owned(), None));
        let Some(inquirer) = self.calls.inquirer(of.as_ref()) else {
            return refuse("it cannot be told which request this belongs to, so nobody is asked");
        };
        let asked = tokio::select! {
            asked = inquirer.ask(&self.name, &params) => asked,
            () = context.ct.cancelled() => Some(ElicitResult::new(ElicitationAction::Cancel)),
        };
        match asked {
            Some(result) => Ok(result),
            None => refuse("one thing at a time is asked of a person"),
        }
    }

    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let why = "this client does not answer with its model on a server's behalf";
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, why, None))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        let share = params.total.map(|total| format!("{}/{total}", params.progress));
        let text = match (params.message, share) {
            (Some(message), Some(share)) => Some(format!("[{share}] {message}")),
            (Some(message), None) => Some(message),
            (None, Some(share)) => Some(format!("[{share}]")),
            (None, None) => None,
        };
        self.calls.progress(&params.progress_token, text);
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_folder_is_told_as_an_address() {
        assert_eq!(super::address("/srv/a b/ß".as_ref()), "file:///srv/a%20b/%C3%9F");
    }
}
