//! A long run of an agent that remembers, on a store in memory, with a script for a model: what tests hold and `outlive bench`
//! measures.
//!
//! Everything that makes requests anew happens in it: observation, reflection, checkpoints, files that change, a load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use outlive_core::command::{Command, Create, Message};
use outlive_core::content::{Failure, Purpose, Reply, Request};
use outlive_core::context::reuse::Reuse;
use outlive_core::context::{Frame, FrameParts, Window};
use outlive_core::event::{Behavior, BlockHash, Ending, Event, OnDisconnect, Origin, OriginKind};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::memory::Page;
use outlive_core::policy::Policy;
use outlive_core::time::Timestamp;
use outlive_model::rehearsal::Rehearsal;
use outlive_model::{Description, Model, Sink};
use outlive_store::StoreError;
use outlive_store::memory_files::{HeldMemory, MemoryFiles as _};
use outlive_tools::Place;
use outlive_tools::registry::Toolbox;

use crate::clock::{Moments, TokioClock};
use crate::kit::{Aftermath, Card, Keeper, Kit, KitError, Kits, Terms, Voice, Voices};
use crate::{Runtime, Settings, Whose};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Played {
    /// Requests of turns.
    pub calls: usize,
    /// Which part of their bytes was sent before.
    pub reuse: f64,
    /// Those that were above what their model can be given.
    pub over: usize,
    /// Those that began otherwise than the one before, and nothing in the journal says so.
    pub undeclared: usize,
    /// How often each kind of event stands in the journals.
    pub events: BTreeMap<String, usize>,
}

/// How long it is.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Sessions, one after the other.
    pub sessions: usize,
    /// Turns of each.
    pub turns: usize,
    /// Tokens of the model's window.
    pub window: u64,
    /// Sentences of a message; the reply has as many.
    pub sentences: usize,
}

/// The rehearsal, listened to.
struct Heard(Arc<Mutex<Reuse>>);

impl Model for Heard {
    fn describe(&self) -> Description {
        Rehearsal::instant().describe()
    }

    fn stream(&self, request: Request, sink: Sink) -> outlive_model::Pending<'_, Result<Reply, Failure>> {
        if request.purpose == Purpose::Step {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).add(&request);
        }
        Box::pin(async move { Rehearsal::instant().stream(request, sink).await })
    }
}

struct Only(Arc<Kit>);

impl Aftermath for Only {}

impl Kits for Only {
    fn kit(&self, _agent: &AgentName) -> Result<Arc<Kit>, KitError> {
        Ok(Arc::clone(&self.0))
    }

    fn card(&self, agent: &AgentName) -> Result<Card, KitError> {
        Err(KitError::Unknown(agent.clone()))
    }

    fn names(&self) -> Result<Vec<AgentName>, StoreError> {
        Ok(Vec::new())
    }
}

fn kit(window: u64, (reuse, files): (&Arc<Mutex<Reuse>>, &Arc<HeldMemory>)) -> Kit {
    let parts = FrameParts {
        system: vec!["You are a helper. ".repeat(40)],
        tools: Vec::new(),
        max_output_tokens: 1_000,
        temperature: None,
        model: "rehearsal/script".to_owned(),
        agent_digest: String::new(),
        window: Window { tokens: window, ..Window::default() },
    };
    let voice = Voice { frame: Frame::new(parts), model: Arc::new(Heard(Arc::clone(reuse))) };
    let (memory, files) = (Some(outlive_core::agent::MemorySpec::default()), Arc::clone(files));
    let keeper = Keeper { memory, files, ..Keeper::plain(&voice) };
    Kit {
        keeper,
        voices: Voices::only(voice),
        toolbox: Arc::new(Toolbox::new(Vec::new())),
        policy: Policy::default(),
        place: Place { cwd: "/".into(), roots: Vec::new(), protected: Vec::new() },
        terms: Terms::default(),
    }
}

/// Plays it.
///
/// # Errors
///
/// A turn that did not complete, and why.
pub async fn play(length: Length) -> Result<Played, String> {
    let (reuse, files) = (Arc::<Mutex<Reuse>>::default(), Arc::<HeldMemory>::default());
    let agent: AgentName = "helper".parse().map_err(shown)?;
    let (store, _faults) = outlive_store::memory::store();
    let moments = Moments::new(Arc::new(TokioClock::from(Timestamp::from_micros(1_700_000_000_000_000))), 1);
    let kits = Arc::new(Only(Arc::new(kit(length.window, (&reuse, &files)))));
    let runtime = Runtime::start(store, kits, moments, Settings::default()).await.map_err(shown)?;
    let mut played = Played::default();
    for number in 1..=length.sessions {
        let session = SessionId::from_bits(number as u128);
        files.append(&agent, &Page::Curated, &format!("- session {number} began\n")).map_err(shown)?;
        reuse.lock().unwrap_or_else(PoisonError::into_inner).part();
        runtime.submit(session, Command::Create(create(&agent)), None).await.map_err(shown)?;
        for turn in 0..length.turns {
            say(&runtime, session, &words(number * length.turns + turn, length.sentences)).await?;
            if turn % (length.turns / 2).max(1) == 1 {
                // A person edits a file, and has the notes condensed.
                files.append(&agent, &Page::Curated, &format!("- turn {turn}\n")).map_err(shown)?;
                runtime.reflect(&Whose::Session(session), false, (by(), None)).await.map_err(shown)?;
            }
        }
        read(&runtime, session, &mut played).await?;
    }
    runtime.shutdown().await;
    played.reuse = reuse.lock().unwrap_or_else(PoisonError::into_inner).rate();
    Ok(played)
}

fn shown(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn by() -> Origin {
    Origin::of(OriginKind::Runtime)
}

fn create(agent: &AgentName) -> Create {
    Create {
        agent: agent.clone(),
        agent_digest: String::new(),
        title: None,
        project: None,
        on_disconnect: OnDisconnect::Continue,
        task: None,
        labels: BTreeMap::new(),
        memory: None,
        by: by(),
    }
}

/// What no other message says; the rehearsal answers with the same.
fn words(number: usize, sentences: usize) -> String {
    format!(
        "json Note that part {number} is kept on shelf {}. {}",
        number * 7 % 97,
        "The store was full that day. ".repeat(sentences)
    )
}

async fn say(runtime: &Arc<Runtime>, session: SessionId, content: &str) -> Result<(), String> {
    let message = Command::Message(Message::text(content, Behavior::FollowUp, by()));
    let said = runtime.submit(session, message, None).await.map_err(shown)?;
    let turn = said.turn.ok_or("no turn began")?;
    let outcome = runtime.outcome(session, turn, said.seq).await.map_err(shown)?;
    match outcome.error {
        None if outcome.ending == Ending::Complete => Ok(()),
        error => Err(format!("a turn ended as {:?}: {error:?}", outcome.ending)),
    }
}

/// Counts what a session's journal says.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what requests begin with is held against each other")]
async fn read(runtime: &Arc<Runtime>, session: SessionId, played: &mut Played) -> Result<(), String> {
    let lines = runtime.entries(session, 0, usize::MAX).await.map_err(shown)?;
    let mut begins: Option<Vec<BlockHash>> = None;
    for line in lines {
        let event = line.read().map_err(shown)?.event;
        *played.events.entry(event.name().to_owned()).or_default() += 1;
        match event {
            Event::ContextRebuilt(rebuilt) => begins = Some(rebuilt.blocks),
            Event::StepStarted(started) => {
                played.calls += 1;
                played.over += usize::from(started.room.is_none_or(|room| started.tokens_estimated > room.usable));
                let stable: Vec<BlockHash> =
                    started.blocks.into_iter().filter(|block| block.part != "messages").collect();
                played.undeclared += usize::from(*begins.get_or_insert_with(|| stable.clone()) != stable);
                begins = Some(stable);
            }
            _other => {}
        }
    }
    Ok(())
}
