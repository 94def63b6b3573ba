//! What lines of a journal say about what is remembered.

use outlive_core::event::{CallFinished, Entry, Event, Line, Origin};
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::Memory;
use outlive_core::time::Timestamp;

use super::Author;

/// The tool whose calls show memories to a model.
const TOOL: &str = "recall";
/// Characters at a line's beginning that hold its type.
const HEAD: usize = 96;

/// What follows a session's position.
pub(crate) struct News {
    pub(super) session: SessionId,
    /// Whose it is, and the project that it belongs to: known from its first event.
    pub(super) begun: Option<(String, Option<String>)>,
    pub(super) facts: Vec<Fact>,
    /// The position that it follows.
    pub(super) after: Seq,
    /// Of the last line that was read.
    pub(super) position: Seq,
}

/// What a line says.
pub(super) enum Fact {
    /// Something is remembered.
    Row(Box<New>),
    /// It says something else.
    Edited { memory: MemoryId, text: String, by: Origin, seq: Seq, at: Timestamp },
    /// They are forgotten.
    Forgotten(Vec<MemoryId>),
    /// A call is going to show some.
    Asked(CallId),
    /// It has shown these.
    Used { call: CallId, memories: Vec<MemoryId>, seq: Seq, at: Timestamp },
}

/// Something new that is remembered.
pub(super) struct New {
    pub(super) memory: Memory,
    pub(super) by: Author,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
}

impl News {
    /// Reads the lines that follow a position. A line that this version cannot read says nothing to it.
    pub(super) fn read(session: SessionId, after: Seq, lines: &[Line]) -> Self {
        let mut news =
            Self { session, begun: None, facts: Vec::new(), after, position: lines.last().map_or(after, Line::seq) };
        for entry in lines.iter().filter(|line| matters(line.as_str())).filter_map(|line| line.read().ok()) {
            news.take(entry);
        }
        news
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others say nothing about what is remembered")]
    fn take(&mut self, entry: Entry) {
        let Entry { seq, at, event, .. } = entry;
        match event {
            Event::SessionCreated(created) => self.begun = Some((created.agent.to_string(), created.project)),
            Event::MemoryObserved(observed) => {
                self.rows(observed.memories, &Author::Observer(observed.model), (seq, at));
            }
            Event::MemoryReflected(reflected) => {
                self.rows(reflected.memories, &Author::Reflection(reflected.model), (seq, at));
            }
            Event::MemoryAdded(added) => self.rows(vec![added.memory], &Author::Somebody(added.by), (seq, at)),
            Event::MemoryEdited(edited) => {
                let (memory, text, by) = (edited.memory, edited.text, edited.by);
                self.facts.push(Fact::Edited { memory, text, by, seq, at });
            }
            Event::MemoryForgotten(forgotten) => self.facts.push(Fact::Forgotten(forgotten.memories)),
            Event::MemoryErased(erased) => self.facts.push(Fact::Forgotten(erased.memories)),
            Event::CallStarted(started) if started.tool == TOOL => self.facts.push(Fact::Asked(started.call)),
            Event::CallFinished(finished) => self.facts.extend(used(&finished, seq, at)),
            _other => {}
        }
    }

    fn rows(&mut self, memories: Vec<Memory>, by: &Author, (seq, at): (Seq, Timestamp)) {
        let row = |memory| Fact::Row(Box::new(New { memory, by: by.clone(), seq, at }));
        self.facts.extend(memories.into_iter().map(row));
    }
}

fn used(finished: &CallFinished, seq: Seq, at: Timestamp) -> Option<Fact> {
    let listed = finished.details.as_ref()?.get("memories")?.as_array()?;
    let memories: Vec<MemoryId> = listed.iter().filter_map(|id| id.as_str()?.parse().ok()).collect();
    (!memories.is_empty()).then_some(Fact::Used { call: finished.call, memories, seq, at })
}

/// Says whether a line may be about what is remembered: most are not, and need not be read for it.
fn matters(line: &str) -> bool {
    let head = line.get(..line.floor_char_boundary(HEAD)).unwrap_or(line);
    let Some((_, name)) = head.split_once("\"type\":\"") else { return true };
    let is = |prefix: &str| name.starts_with(prefix);
    is("memory.")
        || is("session.created")
        || (is("call.started") && line.contains(TOOL))
        || (is("call.finished") && line.contains("\"memories\""))
}
