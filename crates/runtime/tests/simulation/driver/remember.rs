//! What people do about what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use outlive_core::command::{Command, MemoryCommand};
use outlive_core::event::{Event, Origin, OriginKind};
use outlive_core::id::{MemoryId, SessionId};
use outlive_core::memory::forget::Extent;
use outlive_core::memory::{Kind, Memory, Mode, Priority, Rows, Scope};
use outlive_core::time::Timestamp;
use outlive_runtime::{RecallQuery, Whose};

use super::{Life, Simulation};
use crate::check::memory::{noted, nowhere};
use crate::hands::read_all;

const PATIENCE: Duration = Duration::from_secs(600);

fn by() -> Origin {
    Origin::of(OriginKind::Api)
}

impl Simulation {
    pub(super) async fn remember(&mut self, life: &Life, session: SessionId) {
        self.faults.release();
        match self.rng.below(20) {
            0..6 => self.note(life, session).await,
            6..8 => self.rewrite(life).await,
            8..14 => self.forget(life).await,
            14..17 => {
                let whose = self.whose(session);
                let reflected = life.runtime.reflect(&whose, self.rng.chance(20), (by(), None));
                drop(tokio::time::timeout(PATIENCE, reflected).await);
            }
            _ => {
                let mode =
                    [Mode::On, Mode::On, Mode::Incognito, Mode::Off][usize::try_from(self.rng.below(4)).unwrap()];
                let what = MemoryCommand::Mode(mode);
                self.ask(life, session, Command::Memory { what, by: by() }, None).await;
            }
        }
    }

    fn whose(&self, session: SessionId) -> Whose {
        if self.rng.chance(30) { Whose::Agent("sim".parse().unwrap()) } else { Whose::Session(session) }
    }

    async fn note(&mut self, life: &Life, session: SessionId) {
        self.asked += 1;
        let whose = self.whose(session);
        let request = format!("n{}", self.asked).parse().ok();
        let memory = Memory {
            id: MemoryId::from_bits(0),
            kind: Kind::Fact,
            scope: [Scope::Session, Scope::Agent, Scope::All][usize::try_from(self.rng.below(3)).unwrap()],
            priority: Priority::High,
            text: format!("{} is what somebody wants noted", self.world.word()),
            since: Timestamp::from_micros(0),
            until: None,
            sources: Vec::new(),
            supersedes: Vec::new(),
        };
        let mut first = None;
        for _ in 0..=self.rng.below(2) {
            let answer = life.runtime.note(&whose, memory.clone(), (by(), request.clone()));
            let Ok(Ok((home, kept))) = tokio::time::timeout(PATIENCE, answer).await else { continue };
            assert!(first.is_none_or(|first| first == kept.id), "the same request, another memory");
            first = Some(kept.id);
            self.promised.kept.insert(kept.id, home);
        }
        if let Some(id) = first.filter(|_| self.rng.chance(30)) {
            let found = self.store.memories.get(id).await.unwrap();
            assert!(found.is_some(), "{id} is noted, and not found");
        }
    }

    /// All rows that anybody may see, by where they are.
    async fn rows(&self) -> Vec<(SessionId, MemoryId)> {
        let mut all = Vec::new();
        for session in self.store.directory.sessions().await.unwrap() {
            let mut rows = Rows::default();
            read_all(&self.store, session).await.iter().for_each(|entry| rows.apply(entry));
            all.extend(rows.live().iter().map(|row| (session, row.memory.id)));
        }
        all
    }

    async fn any(&self) -> Option<MemoryId> {
        let all = self.rows().await;
        let at = usize::try_from(self.rng.below(all.len().max(1) as u64)).unwrap();
        all.get(at).map(|(_, memory)| *memory)
    }

    async fn rewrite(&mut self, life: &Life) {
        let Some(memory) = self.any().await else { return };
        let text = format!("{} is what it says now", self.world.word());
        drop(tokio::time::timeout(PATIENCE, life.runtime.rewrite(memory, (Some(text), None), (by(), None))).await);
    }

    /// The words that each memory has ever said, where only it says them.
    async fn ever_said(&self) -> BTreeMap<MemoryId, BTreeSet<String>> {
        let mut words = BTreeMap::<MemoryId, BTreeSet<String>>::new();
        let mut put = |id: MemoryId, text: &str| {
            let own = text.split(' ').next().filter(|word| word.starts_with("note") && word.ends_with('x'));
            words.entry(id).or_default().extend(own.map(str::to_owned));
        };
        for session in self.store.directory.sessions().await.unwrap() {
            for entry in read_all(&self.store, session).await {
                noted(&entry.event).iter().for_each(|memory| put(memory.id, &memory.text));
                if let Event::MemoryEdited(edited) = &entry.event {
                    put(edited.memory, &edited.text);
                }
            }
        }
        words
    }

    async fn forget(&mut self, life: &Life) {
        let Some(memory) = self.any().await else { return };
        let mut words = self.ever_said().await;
        let extent = if self.rng.chance(30) { Extent::Sources } else { Extent::Words };
        let forgotten = life.runtime.forget_memory(memory, extent, (by(), None));
        let Ok(Ok(forgotten)) = tokio::time::timeout(PATIENCE, forgotten).await else { return };
        // What is left stands in what somebody said.
        if forgotten.lines.is_none() || !forgotten.left.is_empty() || life.fuse.burnt() {
            return;
        }
        let gone: BTreeSet<String> = forgotten.memories.iter().filter_map(|id| words.remove(id)).flatten().collect();
        gone.iter().for_each(|word| self.world.forget(word));
        for id in &forgotten.memories {
            assert_eq!(self.store.memories.get(*id).await.unwrap(), None, "{id} is forgotten, and there");
        }
        for word in &gone {
            let query = RecallQuery { text: word.clone(), superseded: true, limit: 8, ..RecallQuery::default() };
            let found = life.runtime.recall(query).await.unwrap();
            assert!(
                !found.hits.iter().any(|hit| hit.row.memory.text.contains(word)),
                "{word} is forgotten, and recalled"
            );
        }
        nowhere(&self.store, &gone).await;
        self.promised.gone.extend(gone);
    }
}
