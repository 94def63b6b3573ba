//! What lines of a journal say about what is remembered.

use outlive_core::event::{CallFinished, Entry, Event, Line, MemoryEdited, Origin};
use outlive_core::id::{CallId, MemoryId, Seq, SessionId};
use outlive_core::memory::{Memory, Mode, Scope};
use outlive_core::time::Timestamp;

use super::Author;

/// The tool whose calls show memories to a model.
const TOOL: &str = "recall";
/// Characters at a line's beginning that hold its type.
const HEAD: usize = 96;

/// What follows a session's position.
pub(crate) struct News {
    pub(super) session: SessionId,
    /// How it began: known from its first event.
    pub(super) begun: Option<Begun>,
    pub(super) facts: Vec<Fact>,
    /// The position that it follows.
    pub(super) after: Seq,
    /// Of the last line that was read.
    pub(super) position: Seq,
}

/// How a session began.
pub(super) struct Begun {
    /// Whose it is.
    pub(super) agent: String,
    /// The project that it belongs to.
    pub(super) project: Option<String>,
    /// The last event that came from an archive.
    pub(super) taken_to: Seq,
}

/// What a line says.
pub(super) enum Fact {
    /// Something is remembered.
    Row(Box<New>),
    /// It says something else.
    Edited(Box<Edit>),
    /// They are forgotten.
    Forgotten(Vec<MemoryId>, Seq),
    /// A call is going to show some.
    Asked(CallId),
    /// It has shown these.
    Used { call: CallId, memories: Vec<MemoryId>, seq: Seq, at: Timestamp },
    /// The session takes part that far from here on.
    Mode(Mode),
}

/// What a memory says from then on, and who may know it where that is said, too.
pub(super) struct Edit {
    pub(super) memory: MemoryId,
    pub(super) text: String,
    pub(super) scope: Option<Scope>,
    pub(super) by: Origin,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
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
            Event::SessionCreated(created) => {
                let (agent, taken_to) = (created.agent.to_string(), created.taken_to.unwrap_or_default());
                self.begun = Some(Begun { agent, project: created.project, taken_to });
                self.facts.extend(created.memory.map(Fact::Mode));
            }
            Event::SessionUpdated(updated) => self.facts.extend(updated.memory.map(Fact::Mode)),
            Event::MemoryObserved(observed) => {
                self.rows(observed.memories, &Author::Observer(observed.model), (seq, at));
            }
            Event::MemoryReflected(reflected) => {
                self.rows(reflected.memories, &Author::Reflection(reflected.model), (seq, at));
            }
            Event::MemoryAdded(added) => self.rows(vec![added.memory], &Author::Somebody(added.by), (seq, at)),
            Event::MemoryEdited(edited) => {
                let MemoryEdited { memory, text, scope, by } = edited;
                self.facts.push(Fact::Edited(Box::new(Edit { memory, text, scope, by, seq, at })));
            }
            Event::MemoryForgotten(forgotten) => self.facts.push(Fact::Forgotten(forgotten.memories, seq)),
            Event::MemoryErased(erased) => self.facts.push(Fact::Forgotten(erased.memories, seq)),
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
        || (is("session.updated") && line.contains("\"memory\""))
        || (is("call.started") && line.contains(TOOL))
        || (is("call.finished") && line.contains("\"memories\""))
}
