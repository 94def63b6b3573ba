//! Keeps one login in a file that its owner alone can read.
//!
//! Invariants: the file is put in place whole; one that others can read, or that is not a plain file, is not taken; what was
//! kept for another address is as if it were not there.

#![expect(clippy::disallowed_methods, reason = "a login's file is this module's own, as small as it is secret")]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmcp::transport::auth::{
    AuthError, AuthorizationMetadata, CredentialRefreshGuard, CredentialStore, StoredCredentials,
};
use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::Refused;

/// Bytes of a file that is taken.
const MOST: u64 = 1 << 20;
/// How often it is asked whether another process is done, and how many times.
const TURN: (Duration, u32) = (Duration::from_millis(50), 600);

/// The folder of all logins, in a workspace.
pub const FOLDER: &str = "logins";

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The server's address: the token goes there and nowhere else.
    pub(super) server: String,
    /// The token, and what it was granted for.
    pub(super) credentials: Option<StoredCredentials>,
    /// As whom it was got.
    pub(super) client: Option<Registered>,
    /// From whom.
    pub(super) metadata: Option<AuthorizationMetadata>,
    /// What the server said when it last refused a request.
    pub(super) challenge: Option<String>,
    /// What the server asked for since, and was not granted.
    pub(super) wanted: Vec<String>,
}

/// How an authorization server knows this program.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    pub(super) redirect: String,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).field("redirect", &self.redirect).finish_non_exhaustive()
    }
}

/// Where one login is kept.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
    server: String,
}

impl TokenFile {
    /// The file of an agent's login to the server that it knows under this name, in the workspace at `root`.
    #[must_use]
    pub fn new(root: &Path, agent: &str, name: &str) -> Self {
        Self { path: root.join(FOLDER).join(agent).join(format!("{name}.json")), server: String::new() }
    }

    /// For the server at this address.
    pub(super) fn of(self, server: &str) -> Self {
        Self { server: server.to_owned(), ..self }
    }

    fn wrong(&self, why: impl fmt::Display) -> Refused {
        Refused::File { path: self.path.display().to_string(), why: why.to_string() }
    }

    pub(super) fn read(&self) -> Result<Kept, Refused> {
        let mut text = Vec::new();
        let open = OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&self.path);
        match open {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
            Err(error) => return Err(self.wrong(error)),
            Ok(file) => {
                let found = file.metadata().map_err(|error| self.wrong(error))?;
                if !found.is_file() || found.mode() & 0o077 != 0 {
                    return Err(self.wrong("others than its owner can read it: remove it, and log in again"));
                }
                file.take(MOST).read_to_end(&mut text).map_err(|error| self.wrong(error))?;
            }
        }
        let broken = |_| self.wrong("it is not what was written: remove it, and log in again");
        let kept: Kept = serde_json::from_slice(&text).map_err(broken)?;
        Ok(if kept.server == self.server { kept } else { Kept::default() })
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), Refused> {
        let mut kept = self.read()?;
        change(&mut kept);
        kept.server.clone_from(&self.server);
        self.write(&kept).map_err(|error| self.wrong(error))
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        let folder = self.folder()?;
        // Made for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, kept)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        File::open(folder)?.sync_all()
    }

    fn folder(&self) -> io::Result<&Path> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(folder)
    }

    pub(super) fn remove(&self) -> Result<(), Refused> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.wrong(error)),
            _gone => Ok(()),
        }
    }

    /// Waits until no other task or process renews this login.
    async fn turn(&self) -> io::Result<File> {
        self.folder()?;
        let path = self.path.with_extension("lock");
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = open.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)?;
        for _ in 0..TURN.1 {
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(file);
            }
            tokio::time::sleep(TURN.0).await;
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds it"))
    }
}

fn stored(refused: &Refused) -> AuthError {
    AuthError::CredentialStoreError(refused.to_string())
}

#[async_trait::async_trait]
impl CredentialStore for TokenFile {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        Ok(self.read().map_err(|refused| stored(&refused))?.credentials)
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        self.change(|kept| kept.credentials = Some(credentials)).map_err(|refused| stored(&refused))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.remove().map_err(|refused| stored(&refused))
    }

    async fn on_refresh_token_rejected(&self, rejected: &StoredCredentials) -> Result<(), AuthError> {
        let change = |kept: &mut Kept| {
            let same = |it: &StoredCredentials| it.token_received_at == rejected.token_received_at;
            if kept.credentials.as_ref().is_some_and(same) {
                kept.credentials = None;
            }
        };
        self.change(change).map_err(|refused| stored(&refused))
    }

    async fn acquire_refresh_guard(&self) -> Result<Option<CredentialRefreshGuard>, AuthError> {
        let turn = self.turn().await.map_err(|error| stored(&self.wrong(error)))?;
        Ok(Some(CredentialRefreshGuard::new(turn)))
    }
}

#[cfg(test)]
mod tests;
