//! Erases what is forgotten: every line that holds its words, in this journal and in all others, is written anew without them, each
//! by its session's own actor.
//!
//! Invariant: this journal's own lines go last. Until then its rows say which words they are, so that a start after a death goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use outlive_core::command::Report;
use outlive_core::content::Block;
use outlive_core::event::{Entry, Event, Line};
use outlive_core::id::{MemoryId, Seq, SessionId};
use outlive_core::memory::Memory;
use outlive_core::memory::pack::harmless;
use outlive_core::redact::{FORGOTTEN, Redactor};
use outlive_core::secret::Secret;
use outlive_core::session::State;
use outlive_store::StoreError;

use super::Errand;
use crate::load;
use crate::shell::Shell;

/// Lines read at once.
const PAGE: usize = 1_024;
/// Characters from which on words are looked for in whatever line: shorter ones are said by chance.
const TELLING: usize = 8;
/// The same for whole messages.
const TELLING_MESSAGE: usize = 24;
/// Pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// What is looked for.
pub(crate) struct Traces {
    words: Redactor,
    /// Messages that are erased, too: their places in this journal.
    sources: BTreeSet<Seq>,
    /// Messages that stay, since nobody asked for them to go.
    spared: BTreeSet<Seq>,
    with_sources: bool,
}

/// Erases, and reports.
pub(crate) async fn erase(errand: Errand, shell: Shell, state: State) {
    let memories: Vec<MemoryId> = state.upkeep.memories.forgetting.iter().copied().collect();
    let report = match everywhere(&errand, &shell, &state).await {
        Ok(lines) => Report::Erased { memories, lines },
        Err(why) => {
            tracing::warn!(%why, "what is forgotten is not erased yet");
            tokio::time::sleep(PAUSE).await;
            Report::Erased { memories: Vec::new(), lines: 0 }
        }
    };
    errand.report(report).await;
}

async fn everywhere(errand: &Errand, shell: &Shell, state: &State) -> Result<u64, String> {
    let own = errand.session;
    let gone = |error: StoreError| error.to_string();
    let traces = traces(shell, own, state).await.map_err(gone)?;
    let runtime = shell.door.runtime().ok_or("the runtime is closing")?;
    let mut others = shell.store.directory.sessions().await.map_err(gone)?;
    others.retain(|session| *session != own);
    others.push(own);
    let mut count = 0;
    for session in others {
        let lines = match found(shell, session, &traces, session == own).await {
            Ok(lines) => lines,
            // Nobody can read it: it has no words for anybody.
            Err(StoreError::Corrupt { .. } | StoreError::NotFound(_)) if session != own => continue,
            Err(error) => return Err(error.to_string()),
        };
        count += lines.len() as u64;
        // Whoever is awake may have it before its eyes without a word of it in its journal.
        if !lines.is_empty() || runtime.is_live(session) {
            runtime.scrub(session, lines).await.map_err(|error| error.to_string())?;
        }
    }
    if count > 0 {
        // What was found by its words is found no more.
        shell.store.search.begin_anew().await.map_err(gone)?;
    }
    Ok(count)
}

/// Reads from the session's own journal what its forgotten rows said, and where that came from.
async fn traces(shell: &Shell, session: SessionId, state: &State) -> Result<Traces, StoreError> {
    let forgetting = &state.upkeep.memories.forgetting;
    let (mut texts, mut sources) = (BTreeSet::new(), BTreeSet::new());
    each(shell, session, |line| {
        if line.as_str().contains("\"memory.") {
            note(&load::read(session, line)?.event, forgetting, &mut texts, &mut sources);
        }
        Ok(())
    })
    .await?;
    texts.extend(texts.iter().map(|text| harmless(text)).collect::<Vec<_>>());
    texts.retain(|text| text.chars().count() >= TELLING && text != FORGOTTEN);
    let (sources, spared) =
        if state.upkeep.memories.with_sources { (sources, BTreeSet::new()) } else { (BTreeSet::new(), sources) };
    if !sources.is_empty() {
        each(shell, session, |line| {
            if sources.contains(&line.seq()) {
                texts.extend(said(&load::read(session, line)?.event));
            }
            Ok(())
        })
        .await?;
    }
    let secrets: Vec<Secret> = texts.into_iter().map(Secret::new).collect();
    let words = Redactor::forgetting(&secrets);
    Ok(Traces { words, sources, spared, with_sources: state.upkeep.memories.with_sources })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else says what a row says")]
fn note(event: &Event, of: &BTreeSet<MemoryId>, texts: &mut BTreeSet<String>, sources: &mut BTreeSet<Seq>) {
    let mut rows = |memories: &[Memory]| {
        for memory in memories.iter().filter(|memory| of.contains(&memory.id)) {
            texts.insert(memory.text.clone());
            sources.extend(&memory.sources);
        }
    };
    match event {
        Event::MemoryObserved(observed) => rows(&observed.memories),
        Event::MemoryReflected(reflected) => rows(&reflected.memories),
        Event::MemoryAdded(added) => rows(std::slice::from_ref(&added.memory)),
        Event::MemoryEdited(edited) if of.contains(&edited.memory) => {
            texts.insert(edited.text.clone());
        }
        _says_nothing => {}
    }
}

/// Returns the lines of all journals that hold one of these texts still.
pub(crate) async fn holding(shell: &Shell, texts: &[String]) -> Result<Vec<(SessionId, Seq)>, StoreError> {
    let secrets: Vec<Secret> = texts.iter().filter(|text| *text != FORGOTTEN).map(Secret::new).collect();
    let (words, mut left) = (Redactor::new(secrets.iter().map(|text| ("", text))), Vec::new());
    for session in shell.store.directory.sessions().await? {
        let looked = each(shell, session, |line| {
            left.extend(words.finds(line.as_str().as_bytes()).then(|| (session, line.seq())));
            Ok(())
        });
        match looked.await {
            Ok(()) | Err(StoreError::NotFound(_) | StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Returns the lines of a journal that hold what is looked for, without it.
async fn found(shell: &Shell, session: SessionId, traces: &Traces, is_own: bool) -> Result<Vec<Line>, StoreError> {
    let mut lines = Vec::new();
    each(shell, session, |line| {
        lines.extend(traces.without(session, line, is_own)?);
        Ok(())
    })
    .await?;
    Ok(lines)
}

async fn each(
    shell: &Shell,
    session: SessionId,
    mut with: impl FnMut(&Line) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut at = 0;
    loop {
        let lines = shell.store.journals.read(session, at, PAGE).await?.lines;
        let Some(last) = lines.last() else { return Ok(()) };
        at = last.seq();
        lines.iter().try_for_each(&mut with)?;
    }
}

impl Traces {
    /// Returns the line without what is looked for, where it has some of it.
    fn without(&self, session: SessionId, line: &Line, is_own: bool) -> Result<Option<Line>, StoreError> {
        let corrupt = |error: outlive_core::event::LineError| StoreError::Corrupt {
            journal: session,
            line: line.seq(),
            why: error.to_string(),
        };
        if is_own && self.sources.contains(&line.seq()) {
            let mut entry = load::read(session, line)?;
            return if blank(&mut entry) { Line::write(&entry).map(Some).map_err(corrupt) } else { Ok(None) };
        }
        let is_spared = (is_own && self.spared.contains(&line.seq())) || !self.with_sources && is_message(line);
        if is_spared {
            return Ok(None);
        }
        line.redacted(&self.words).map_err(corrupt)
    }
}

/// What a person said stays unless they ask for it to go.
fn is_message(line: &Line) -> bool {
    let head: String = line.as_str().chars().take(160).collect();
    ["message.received", "input.queued", "input.edited"]
        .iter()
        .any(|name| head.contains(&format!("\"type\":\"{name}\"")))
}

/// Puts a mark in the place of all that an event says; says whether it said something.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a source")]
fn blank(entry: &mut Entry) -> bool {
    let forgotten = || FORGOTTEN.to_owned();
    match &mut entry.event {
        Event::MessageReceived(message) if message.content != FORGOTTEN => message.content = forgotten(),
        Event::CallFinished(finished) if finished.content != FORGOTTEN => {
            (finished.content, finished.details, finished.artifact) = (forgotten(), None, None);
        }
        Event::QuestionAnswered(answered) if answered.content != FORGOTTEN => {
            answered.content = forgotten();
            answered.answers = answered.answers.iter().map(|_| vec![forgotten()]).collect();
        }
        Event::StepFinished(finished) => {
            return finished.content.iter_mut().fold(false, |any, it| blank_block(it) | any);
        }
        _no_source => return false,
    }
    entry.tokens = None;
    true
}

fn blank_block(block: &mut Block) -> bool {
    match block {
        Block::Text { text } if text != FORGOTTEN => *text = FORGOTTEN.to_owned(),
        Block::Thinking { thinking, signature } if thinking != FORGOTTEN => {
            (*thinking, *signature) = (FORGOTTEN.to_owned(), None);
        }
        Block::ToolUse { input, .. } => {
            let empty = serde_json::Value::Object(serde_json::Map::new());
            if *input == empty {
                return false;
            }
            *input = empty;
        }
        Block::Text { .. }
        | Block::Thinking { .. }
        | Block::RedactedThinking { .. }
        | Block::ToolResult { .. }
        | Block::Media(_) => return false,
    }
    true
}

/// Returns what an event says, where others may have repeated it word by word.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is a source")]
fn said(event: &Event) -> Vec<String> {
    let texts = match event {
        Event::MessageReceived(message) => vec![message.content.trim().to_owned()],
        Event::CallFinished(finished) => vec![finished.content.trim().to_owned()],
        Event::StepFinished(finished) => finished
            .content
            .iter()
            .filter_map(|block| match block {
                Block::Text { text } => Some(text.trim().to_owned()),
                Block::Thinking { .. }
                | Block::RedactedThinking { .. }
                | Block::ToolUse { .. }
                | Block::ToolResult { .. }
                | Block::Media(_) => None,
            })
            .collect(),
        _no_source => Vec::new(),
    };
    texts.into_iter().filter(|text| text.chars().count() >= TELLING_MESSAGE && text != FORGOTTEN).collect()
}
