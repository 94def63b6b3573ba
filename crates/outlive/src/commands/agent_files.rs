//! Agents as files: their versions, taking one away and back, carrying one to another workspace.

use std::io::IsTerminal as _;

use outlive_protocol::Page;
use outlive_protocol::agent_files::{AgentVersion, AgentWritten, WriteAgent};
use outlive_protocol::archive::ARCHIVE_TYPE;
use reqwest::Method;

use super::moving::{keep, read};
use crate::cli::moving::{AgentVersions, DeleteAgent, ExportAgent, ImportAgent, RestoreAgent};
use crate::client::Client;
use crate::exit::Failure;
use crate::show;

/// Lists what an agent was before.
///
/// # Errors
///
/// What the server says.
pub async fn versions(client: &Client, asked: AgentVersions) -> Result<(), Failure> {
    let page: Page<AgentVersion> = client.get(&format!("/agents/{}/versions", asked.name)).await?;
    if asked.json {
        return show::json(&page);
    }
    if page.items.is_empty() {
        say!("nothing is kept: agent `{}` was not changed or deleted by a command", asked.name);
        return Ok(());
    }
    let row = |version: AgentVersion| vec![version.digest, version.kept_at.unwrap_or_default()];
    let rows: Vec<Vec<String>> = page.items.into_iter().map(row).collect();
    show::table(&["VERSION", "UNTIL"], &rows);
    Ok(())
}

/// Lets an agent be what it was.
///
/// # Errors
///
/// What the server says; there is no such version, or more than one.
pub async fn restore(client: &Client, asked: RestoreAgent) -> Result<(), Failure> {
    let name = &asked.name;
    let page: Page<AgentVersion> = client.get(&format!("/agents/{name}/versions")).await?;
    let begin = asked.digest.unwrap_or_default();
    let mut fitting = page.items.into_iter().filter(|version| version.digest.starts_with(&begin));
    let version =
        fitting.next().ok_or_else(|| Failure::NotFound(format!("no such version of agent `{name}` is kept")))?;
    if !begin.is_empty() && fitting.next().is_some() {
        return Err(Failure::Usage(format!("`{begin}` begins more than one version; give more of it")));
    }
    let body = WriteAgent { files: None, version: Some(version.digest) };
    let done: AgentWritten = client.send(Method::PUT, &format!("/agents/{name}"), &body).await?;
    say!("agent `{name}` is version {} again", done.digest);
    Ok(())
}

/// Takes an agent away.
///
/// # Errors
///
/// What the server says; nobody said yes.
pub async fn delete(client: &Client, asked: DeleteAgent) -> Result<(), Failure> {
    let name = &asked.name;
    if !asked.yes && std::io::stdin().is_terminal() {
        say!("take agent `{name}` away? Its sessions stay, but cannot go on without it. Type yes:");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        if line.trim() != "yes" {
            return Err(Failure::Denied("not deleted".to_owned()));
        }
    } else if !asked.yes {
        return Err(Failure::Usage("say --yes to delete without being asked".to_owned()));
    }
    client.delete(&format!("/agents/{name}")).await?;
    say!("deleted; `outlive agent restore {name}` brings it back");
    Ok(())
}

/// Writes an agent into a file.
///
/// # Errors
///
/// What the server or the system says; then there is no file.
pub async fn export(client: &Client, asked: ExportAgent) -> Result<(), Failure> {
    let bytes = client.bytes(Method::GET, &format!("/agents/{}/export", asked.name), None).await?;
    keep(&bytes, asked.output.as_deref(), true)
}

/// Takes an agent in.
///
/// # Errors
///
/// What the server or the system says.
pub async fn import(client: &Client, asked: ImportAgent) -> Result<(), Failure> {
    let route = format!("/agents?replace={}", asked.replace);
    let answer = client.bytes(Method::POST, &route, Some((ARCHIVE_TYPE, read(&asked.file)?))).await?;
    let done: AgentWritten = serde_json::from_slice(&answer)?;
    say!("agent `{}` is here: look at it before you let it work (outlive agent show {})", done.name, done.name);
    done.warnings.iter().for_each(|warning| say!("warning   {warning}"));
    Ok(())
}
