//! What is remembered: listed, found, told where it comes from.

use clap::{Args, Subcommand, ValueEnum};
use outlive_core::id::MemoryId;
use outlive_protocol::memory::{MemoryPage, MemoryRow, MemoryStory};
use outlive_tui::{Piece, Style};

use super::list::query;
use super::noting;
use crate::cli::id;
use crate::cli::memory::Note;
use crate::client::{Client, connect, encoded};
use crate::config::Workspace;
use crate::exit::{Failure, Outcome, ok};
use crate::show;

/// Memories in one answer of the server.
const PAGE: usize = 100;

/// What to do with what is remembered.
#[derive(Debug, Subcommand)]
pub enum Memory {
    /// List what is remembered, newest first
    List(List),
    /// Find what is remembered: ask a question, or give words
    Search(Search),
    /// Say where a memory comes from, what became of it, and who saw it
    Why {
        /// Which
        #[arg(value_parser = id::<MemoryId>)]
        memory: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change it
    #[command(flatten)]
    Note(Note),
}

/// Which memories.
#[derive(Debug, Args)]
pub struct Narrow {
    /// Only of this agent
    #[arg(long, short)]
    agent: Option<String>,
    /// Only of this session
    #[arg(long, short)]
    session: Option<String>,
    /// Only of this scope
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// Those, too, whose place another took
    #[arg(long)]
    superseded: bool,
    /// At most this many
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which memories to list.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    narrow: Narrow,
}

/// What to find.
#[derive(Debug, Args)]
pub struct Search {
    /// A question, or words
    #[arg(required = true)]
    words: Vec<String>,
    /// What held then: a day as 2026-01-31, or an RFC 3339 time
    #[arg(long)]
    as_of: Option<String>,
    /// Say what each score is made of
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    narrow: Narrow,
}

/// Who may know it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// Its session alone
    Session,
    /// Sessions of its project
    Project,
    /// Sessions with its agent
    Agent,
    /// Every session here
    All,
}

pub async fn run(place: &Workspace, command: Memory) -> Outcome {
    let client = connect(place).await?;
    match command {
        Memory::Note(note) => noting::run(place, note).await,
        Memory::List(list) => {
            let page = pages(&client, &list.narrow, &[]).await?;
            listed(&page, &list.narrow, "nothing is remembered")
        }
        Memory::Search(search) => {
            let asked = [("q", Some(search.words.join(" "))), ("as_of", search.as_of.clone())];
            let page = pages(&client, &search.narrow, &asked).await?;
            listed(&page, &search.narrow, "nothing found")?;
            if search.explain && !search.narrow.json {
                page.items.iter().for_each(explained);
            }
            ok()
        }
        Memory::Why { memory, json } => {
            let story: MemoryStory = client.get(&format!("/memory/{}", encoded(&memory))).await?;
            if json {
                show::json(&story)?;
            } else {
                told(&story);
            }
            ok()
        }
    }
}

/// Gathers pages until they are as many as asked for.
async fn pages(
    client: &Client,
    narrow: &Narrow,
    asked: &[(&'static str, Option<String>)],
) -> Result<MemoryPage, Failure> {
    let scope = narrow.scope.map(|scope| match scope {
        Scope::Session => "session",
        Scope::Project => "project",
        Scope::Agent => "agent",
        Scope::All => "all",
    });
    let mut filter = asked.to_vec();
    filter.extend([
        ("agent", narrow.agent.clone()),
        ("session", narrow.session.clone()),
        ("scope", scope.map(str::to_owned)),
        ("superseded", narrow.superseded.then(|| "true".to_owned())),
    ]);
    let query = query(&filter);
    let mut all = MemoryPage { items: Vec::new(), next_cursor: None, behind: 0, notes: Vec::new() };
    while all.items.len() < narrow.limit {
        let limit = (narrow.limit - all.items.len()).min(PAGE);
        let cursor = all.next_cursor.map(|cursor: String| format!("&cursor={}", encoded(&cursor))).unwrap_or_default();
        let page: MemoryPage = client.get(&format!("/memory?{query}limit={limit}{cursor}")).await?;
        all.items.extend(page.items);
        (all.next_cursor, all.behind, all.notes) = (page.next_cursor, page.behind, page.notes);
        if all.next_cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

fn listed(page: &MemoryPage, narrow: &Narrow, none: &str) -> Outcome {
    if narrow.json {
        show::json(page)?;
        return ok();
    }
    page.items.iter().for_each(shown);
    if page.items.is_empty() {
        say!("{none}");
    }
    page.notes.iter().for_each(|note| say!("{note}"));
    if page.behind > 0 {
        say!("{} sessions are not looked through yet; ask again in a while", page.behind);
    }
    ok()
}

/// Returns a word of a value as JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Returns the day of a time.
fn day(at: outlive_core::time::Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn shown(row: &MemoryRow) {
    let nature = row.nature;
    let mut head = format!("{}  {}  {}  {}", row.id, day(row.since), word(&nature.scope), word(&nature.kind));
    if let Some(until) = row.until {
        head.push_str(&format!("  until {}", day(until)));
    }
    if !row.superseded_by.is_empty() {
        head.push_str("  superseded");
    }
    if let Some(score) = row.score {
        head.push_str(&format!("  {score:.4}"));
    }
    head.push('\n');
    let text = row.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let pieces = [Piece::new(Style::Dim, &head), Piece::new(Style::Plain, &format!("  {text}\n"))];
    show::pieces(show::colors(), &pieces);
}

fn explained(row: &MemoryRow) {
    let parts: Vec<String> = row.explain.iter().map(|part| format!("{} {:+.4}", part.part, part.adds)).collect();
    say!("{} = {}", row.id, parts.join(", "));
}

fn told(story: &MemoryStory) {
    let MemoryStory { memory, edits, superseded, superseders, uses, used } = story;
    shown(memory);
    let origin = &memory.origin;
    let named = origin.named.as_ref().map(|named| format!(" ({named})")).unwrap_or_default();
    say!("written {} by {}{named}, agent {}", origin.at, origin.by, origin.agent);
    let sources: Vec<String> = origin.sources.iter().map(ToString::to_string).collect();
    if sources.is_empty() {
        say!("in {} at {}", origin.session_id, origin.seq);
    } else {
        say!("in {} at {}, from events {}", origin.session_id, origin.seq, sources.join(", "));
    }
    for edit in edits {
        say!("edited {} by {}", edit.at, word(&edit.by.kind));
    }
    for (what, rows) in [("took the place of", superseded), ("its place was taken by", superseders)] {
        if !rows.is_empty() {
            say!("{what}:");
            rows.iter().for_each(shown);
        }
    }
    say!("shown to a model {used} times");
    for one in uses {
        say!("  {}  {}  {}", one.at, one.session_id, one.seq);
    }
}
