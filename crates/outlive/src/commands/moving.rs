//! Carries sessions between workspaces: export and import.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use outlive_protocol::archive::{ARCHIVE_TYPE, SessionImported};
use reqwest::Method;

use crate::cli::moving::{ExportSession, Format, ImportSession};
use crate::client::Client;
use crate::exit::Failure;
use crate::show;

/// Writes a session into a file.
///
/// # Errors
///
/// What the server or the system says; then there is no file.
pub async fn export(client: &Client, export: ExportSession) -> Result<(), Failure> {
    let route = format!("/sessions/{}/export?format={}", export.session, export.format.as_str());
    let bytes = client.bytes(Method::GET, &route, None).await?;
    keep(&bytes, export.output.as_deref(), export.format == Format::Archive)
}

/// Takes a session in.
///
/// # Errors
///
/// What the server or the system says.
pub async fn import(client: &Client, import: ImportSession) -> Result<(), Failure> {
    let bytes = read(&import.file)?;
    let route = format!("/sessions/import?as_new={}", import.as_new);
    let answer = client.bytes(Method::POST, &route, Some((ARCHIVE_TYPE, bytes))).await?;
    let done: SessionImported = serde_json::from_slice(&answer)?;
    if import.json {
        return show::json(&done);
    }
    if done.was_there {
        say!("{} is there already, event for event", done.id);
    } else {
        let artifacts = if done.artifacts == 1 { "artifact" } else { "artifacts" };
        say!("{} is here, with {} events and {} {artifacts}", done.id, done.head, done.artifacts);
    }
    let agent = &done.agent;
    match done.agent_was.as_str() {
        "made" => say!("agent `{agent}` came along: look at it before you let it work (outlive agent show {agent})"),
        "kept" => say!(
            "agent `{agent}` is another one here: it stays, and the session talks to it; the one that came is kept as a version \
             (`outlive agent versions {agent}`)"
        ),
        "missing" => say!("agent `{agent}` is missing: the session can be read; to go on it needs one of this name"),
        _same => {}
    }
    if !done.was_there && done.status == "running" {
        say!(
            "a turn was running: it goes on when you speak to the session, or when the server starts next; to keep it \
             still: outlive session pause {}",
            done.id
        );
    }
    Ok(())
}

/// Writes what was exported: a file whole or not at all.
///
/// # Errors
///
/// What the system says; bytes for programs do not go to a terminal.
pub fn keep(bytes: &[u8], file: Option<&Path>, is_binary: bool) -> Result<(), Failure> {
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        if is_binary && std::io::stdout().is_terminal() {
            return Err(Failure::Usage("an archive is nothing for a terminal: name a file with -o FILE".to_owned()));
        }
        std::io::stdout().lock().write_all(bytes)?;
        return Ok(());
    };
    let named = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(named)?;
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(named)?;
    beside.persist(file).map_err(|error| named(error.error))?;
    say!("wrote {} ({} bytes)", file.display(), bytes.len());
    Ok(())
}

/// Reads what is to be imported.
///
/// # Errors
///
/// What the system says; it is larger than any archive.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let most = outlive_core::archive::ARCHIVE_BYTES as u64;
    let mut bytes = Vec::new();
    let done = if file == Path::new("-") {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        super::run::files::open(file).and_then(|opened| opened.take(most + 1).read_to_end(&mut bytes))
    };
    match done {
        Ok(read) if read as u64 > most => {
            Err(Failure::Usage(format!("{} is larger than the {most} bytes of an archive", file.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::NotFound(format!("there is no file {}", file.display())))
        }
        Err(error) => Err(Failure::Failed(format!("{}: {error}", file.display()))),
    }
}
