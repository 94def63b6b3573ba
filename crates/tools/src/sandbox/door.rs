//! The one way out of a sandbox whose network is granted: a listener of its own loopback, handed out to us.
//!
//! Who confines the command from within listens on the sandbox's loopback and passes that listener through a socket that only
//! it sees, before the command begins. So nothing inside has to carry anything, and the network is still not shared: each
//! connection is taken here, and goes where [`Egress`] lets it.
//!
//! Invariant: a door takes one listener, from the first who comes, and is shut then.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tempfile::TempDir;
use tokio::io::Interest;
use tokio::net::UnixListener;

use super::proxy;
use crate::egress::{Egress, SystemNames};

/// Where the door is seen inside.
pub(super) const INSIDE: &str = "/run/outlive/door";
/// The port of the sandbox's loopback on which the proxy listens.
const PORT: u16 = 3128;
/// One descriptor.
const ROOM: usize = rustix::cmsg_space!(ScmRights(1));

/// A door that nobody came to yet.
#[derive(Debug)]
pub(crate) struct Door {
    folder: TempDir,
    listener: UnixListener,
    egress: Egress,
}

impl Door {
    /// Makes one that leads to what is granted.
    pub fn to(egress: Egress) -> Result<Self, String> {
        let made = || {
            let folder = tempfile::Builder::new().prefix("outlive-door").tempdir()?;
            let listener = UnixListener::bind(folder.path().join("door"))?;
            Ok::<_, std::io::Error>(Self { folder, listener, egress })
        };
        made().map_err(|error| format!("the way to the granted network cannot be made: {error}"))
    }

    /// Where it is outside.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("door")
    }

    /// What a command must know to use it.
    pub fn environment() -> impl Iterator<Item = (String, String)> {
        let proxy = format!("http://127.0.0.1:{PORT}");
        let proxied = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        let direct = ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), "localhost,127.0.0.1,::1".to_owned()));
        proxied.map(|name| (name.to_owned(), proxy.clone())).into_iter().chain(direct)
    }

    /// Serves whoever comes through it, for ever. Without anybody it waits.
    pub async fn serve(self) {
        let Self { folder, listener, egress } = self;
        let passed = passed(listener).await;
        drop(folder);
        match passed {
            Ok(listener) => proxy::serve(listener, &egress, &SystemNames).await,
            Err(error) => {
                tracing::warn!(%error, "a sandbox did not open its way to the granted network");
                std::future::pending().await
            }
        }
    }
}

/// Takes the listener from the first who comes, and shuts the door.
async fn passed(door: UnixListener) -> std::io::Result<tokio::net::TcpListener> {
    let (stream, _unnamed) = door.accept().await?;
    drop(door);
    loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || received(stream.as_fd())) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return tokio::net::TcpListener::from_std(listener);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn received(stream: std::os::fd::BorrowedFd<'_>) -> std::io::Result<TcpListener> {
    let mut space = [MaybeUninit::uninit(); ROOM];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut passed: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed.extend(descriptors);
        }
    }
    passed.pop().map(TcpListener::from).ok_or_else(|| std::io::Error::other("nobody passed a listener"))
}

/// Listens inside, and hands the listener out.
pub(super) fn open(door: &Path) -> Result<(), String> {
    let opened = || {
        let listener = TcpListener::bind(("127.0.0.1", PORT))?;
        let stream = UnixStream::connect(door)?;
        let mut space = [MaybeUninit::uninit(); ROOM];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [listener.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(std::io::Error::other("no room for one descriptor"));
        }
        sendmsg(&stream, &[IoSlice::new(b"l")], &mut ancillary, SendFlags::empty())?;
        Ok(())
    };
    opened().map_err(|error: std::io::Error| format!("the way to the granted network cannot be opened: {error}"))
}
