//! An agent ready to run: its request frame, model, tools, policy and limits, made afresh when its files change.

use std::sync::Arc;
use std::time::Duration;

use outlive_core::agent::{Files, MemorySpec};
use outlive_core::budget::Budget;
use outlive_core::catalogue::Catalogue;
use outlive_core::context::{Frame, Window};
use outlive_core::cost::Prices;
use outlive_core::event::{Decider, OnDisconnect};
use outlive_core::id::{AgentName, SessionId};
use outlive_core::memory::pack::Part;
use outlive_core::policy::shell::Touch;
use outlive_core::policy::{Judgement, Policy, Subject, Unattended, Verdict};
use outlive_core::redact::Secrets;
use outlive_core::session::{
    ASK_USER, Allowance, LIST_TOOL, Notes, Ruling, State, WAIT_TOOL, read_questions, read_relay_call, read_todos,
    read_wait,
};
use outlive_core::turn::{Call, Lineup, Turn};
use outlive_model::Model;
use outlive_store::StoreError;
use outlive_store::memory_files::{HeldMemory, MemoryFiles};
use outlive_tools::path::{Want, resolve};
use outlive_tools::registry::Toolbox;
use outlive_tools::{Pending, Place};

use crate::Courier;
use crate::meaning::Meaning;
use crate::scales::Scales;

/// What a session needs of its agent to take a step.
#[derive(Clone)]
pub struct Kit {
    /// Whom it asks, best first: never empty.
    pub voices: Voices,
    /// The tools on offer.
    pub toolbox: Arc<Toolbox>,
    /// What they may do.
    pub policy: Policy,
    /// Where they may act.
    pub place: Place,
    /// Limits.
    pub terms: Terms,
    /// Who condenses what was said, and looks at it for what is to be remembered.
    pub keeper: Keeper,
}

/// Who keeps an agent's conversations within bounds, and what is to outlast them.
#[derive(Clone)]
pub struct Keeper {
    /// Whom it asks.
    pub model: Arc<dyn Model>,
    /// That model, as `provider/name`.
    pub name: String,
    /// How much a request to it may have.
    pub window: Window,
    /// Whether checkpoints are made by themselves.
    pub compacts: bool,
    /// What outlasts conversations; none where the agent's files say nothing of it.
    pub memory: Option<MemorySpec>,
    /// The files of it that people may edit.
    pub files: Arc<dyn MemoryFiles>,
}

impl Keeper {
    /// The model that answers keeps the conversations, too, and nothing outlasts them.
    #[must_use]
    pub fn plain(voice: &Voice) -> Self {
        Self {
            model: Arc::clone(&voice.model),
            name: voice.frame.model.clone(),
            window: voice.frame.window,
            compacts: true,
            memory: None,
            files: Arc::new(HeldMemory::default()),
        }
    }
}

/// A model, with the stable part of every request to it.
#[derive(Clone)]
pub struct Voice {
    /// The stable part.
    pub frame: Frame,
    /// The model.
    pub model: Arc<dyn Model>,
}

/// The model of an agent, and those that stand in for it.
#[derive(Clone)]
pub struct Voices {
    first: Voice,
    fallback: Vec<Voice>,
    lineup: Lineup,
    others: Option<Others>,
}

/// Makes a voice of a model that the agent's files do not name, by its `provider/name`.
pub type Others = Arc<dyn Fn(&str) -> Result<Voice, String> + Send + Sync>;

impl Voices {
    /// One model, for which nobody stands in.
    #[must_use]
    pub fn only(first: Voice) -> Self {
        let lineup = Lineup { models: [first.frame.model.clone()].into(), ..Lineup::default() };
        Self { first, fallback: Vec::new(), lineup, others: None }
    }

    /// Other models can be asked for, too.
    #[must_use]
    pub fn with_others(self, others: Others) -> Self {
        Self { others: Some(others), ..self }
    }

    /// Returns these with this model, a `provider/name`, in the first place.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked.
    pub fn led_by(&self, name: &str) -> Result<Self, String> {
        let own = std::iter::once(&self.first).chain(&self.fallback).find(|voice| voice.frame.model == name);
        let first = match (own, &self.others) {
            (Some(own), _) => own.clone(),
            (None, Some(others)) => others(name)?,
            (None, None) => return Err(format!("the agent asks no model `{name}`")),
        };
        let is_other = |voice: &&Voice| voice.frame.model != first.frame.model;
        let fallback: Vec<Voice> = self.fallback.iter().filter(is_other).cloned().collect();
        let led = Self { others: self.others.clone(), ..Self::only(first) };
        Ok(led.with_fallback(fallback, self.lineup.after, self.lineup.rest_ms))
    }

    /// Returns these, each with this behind its system prompt.
    #[must_use]
    pub fn told(mut self, more: &[String]) -> Self {
        if !more.is_empty() {
            for voice in std::iter::once(&mut self.first).chain(&mut self.fallback) {
                voice.frame = voice.frame.with_more(more);
            }
        }
        self
    }

    /// Others stand in, best first, once the first has failed `after` times in a row; it rests for `rest_ms`.
    #[must_use]
    pub fn with_fallback(self, fallback: Vec<Voice>, after: u32, rest_ms: u64) -> Self {
        let all = std::iter::once(&self.first).chain(&fallback);
        let models = all.map(|voice| voice.frame.model.clone()).collect();
        Self { fallback, lineup: Lineup { models, after, rest_ms }, ..self }
    }

    /// Returns the one at this place; the first where there is none.
    #[must_use]
    pub fn at(&self, place: usize) -> &Voice {
        place.checked_sub(1).and_then(|place| self.fallback.get(place)).unwrap_or(&self.first)
    }

    /// Returns their names, best first, and when they give way.
    #[must_use]
    pub fn lineup(&self) -> &Lineup {
        &self.lineup
    }
}

/// An agent's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Steps of one turn.
    pub max_steps: u32,
    /// What its sessions may use.
    pub budget: Budget,
    /// Time of one model request, from asking to the last byte.
    pub step_timeout: Duration,
    /// Time without anything to do, after which the session leaves memory.
    pub idle_evict: Duration,
    /// What becomes of a turn without a client, where the session does not say.
    pub on_disconnect: OnDisconnect,
    /// Time that a turn goes on after its last client has gone, where it is to be paused then.
    pub disconnect_grace: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_steps: 50,
            budget: Budget::default(),
            step_timeout: Duration::from_secs(600),
            idle_evict: Duration::from_secs(60),
            on_disconnect: OnDisconnect::Continue,
            disconnect_grace: Duration::from_secs(10),
        }
    }
}

/// Why an agent cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// There is no such agent.
    #[error(
        "there is no agent `{0}`; `outlive agent list` shows them, `outlive agent new {0}` makes it, and if it was \
             deleted `outlive agent versions {0}` shows what is kept of it"
    )]
    Unknown(AgentName),
    /// Its files are not right.
    #[error("agent `{agent}` cannot run: {why}")]
    Invalid {
        /// Which.
        agent: AgentName,
        /// File, line and what is wrong.
        why: String,
    },
    /// Nothing runs that would need one.
    #[error("no turn is running")]
    NoTurn,
}

/// What people are told of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its name.
    pub name: AgentName,
    /// What it is for.
    pub description: String,
    /// Its version, in its author's words.
    pub version: Option<String>,
    /// `provider/name` of the model that it asks.
    pub model: String,
    /// Those that stand in for it.
    pub fallback: Vec<String>,
    /// Digest of its files.
    pub digest: String,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// Names of its skills.
    pub skills: Vec<String>,
    /// The folder that its tools work in.
    pub works_in: String,
    /// What its files ask for that this version does not have.
    pub warnings: Vec<String>,
    /// What becomes of a turn without a client.
    pub on_disconnect: OnDisconnect,
}

/// How it stands with tools that are not an agent's own: those of servers.
#[derive(Default)]
pub struct Offered {
    /// Another number once they have changed: then a new kit has them.
    pub version: u64,
    /// Where they are only being found out: what the first step waits for, and never for long.
    pub expected: Option<Pending<'static, ()>>,
}

/// What agents have beside their kits: what calls leave behind, and reach back to; what finds memories.
pub trait Aftermath: Send + Sync {
    /// The runtime has started: tools that ask something of sessions ask it.
    fn met(&self, _door: &crate::Door) {}

    /// Ends what calls of a session, or of all, left running in the background, and waits until it has ended.
    fn end(&self, _of: Option<SessionId>) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Returns who carries what people are told outside of any client, where somebody is to be told.
    fn courier(&self) -> Option<&Arc<dyn Courier>> {
        None
    }

    /// A session was erased: what its tools keep of it beside the journal goes, too.
    fn erased(&self, _session: SessionId) {}

    /// Returns the services by which this agent, or each of all agents, finds memories by what they mean: of those that name
    /// one. Starts nothing of theirs.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn meanings(&self, _agent: Option<&AgentName>) -> Result<Vec<(AgentName, Arc<Meaning>)>, StoreError> {
        Ok(Vec::new())
    }
}

/// Makes kits.
pub trait Kits: Aftermath {
    /// Returns the agent's kit as its files stand now.
    ///
    /// # Errors
    ///
    /// [`KitError`]
    fn kit(&self, agent: &AgentName) -> Result<Arc<Kit>, KitError>;

    /// Returns what people are told of the agent.
    ///
    /// # Errors
    ///
    /// [`KitError`]
    fn card(&self, agent: &AgentName) -> Result<Card, KitError>;

    /// Returns all agents' names, sorted.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn names(&self) -> Result<Vec<AgentName>, StoreError>;

    /// Returns what the tokens of `provider/name` cost now, where that is known.
    fn prices(&self, model: &str) -> Option<Prices> {
        Catalogue::built_in().prices(model)
    }

    /// Returns the secrets that are known: what is written and told is without them.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }

    /// Returns how it stands with tools that are not the agent's own, and has them found out.
    fn offered(&self, _agent: &AgentName) -> Offered {
        Offered::default()
    }

    /// Returns what weighs its requests.
    fn scales(&self) -> &Scales {
        Scales::plain()
    }

    /// Checks files that are to be an agent, and returns the warnings.
    ///
    /// # Errors
    ///
    /// [`KitError::Invalid`] with file, line and column.
    fn check(&self, agent: &AgentName, files: &Files) -> Result<Vec<String>, KitError> {
        crate::check_agent(agent, files, &|_| None)
    }
}

impl Kit {
    /// Returns what a turn may do.
    #[must_use]
    pub fn allowance(&self) -> Allowance {
        Allowance { max_steps: self.terms.max_steps, lineup: self.voices.lineup().clone(), notes: self.notes() }
    }

    /// Returns what is done for what is to be remembered: nothing where the agent's files do not ask for it.
    #[must_use]
    pub fn notes(&self) -> Notes {
        let frame = &self.voices.at(0).frame;
        let room = Part::Session.tokens((&frame.window, frame.weight().all().tokens), None);
        let observes = self.keeper.memory.as_ref().is_some_and(MemorySpec::observes);
        // As the tokens of a pack are counted.
        Notes { observes, room: room.saturating_mul(3) }
    }

    /// Rules on a call: its arguments first, then the policy, then what a person allowed always.
    #[must_use]
    pub fn rule(&self, state: &State, call: &Call) -> Ruling {
        let refuse = |content: String| Ruling::Denied { by: Decider::Runtime, content };
        if let Some(raw) = &call.malformed {
            return refuse(format!(
                "The arguments of this call are not a JSON object; it did not run. They were: {raw}"
            ));
        }
        let (tool, assessment) = match self.toolbox.prepare(&call.tool, &call.input, &self.place) {
            Ok(prepared) => prepared,
            Err(refusal) => return refuse(refusal.to_string()),
        };
        let alone = state.turn.as_ref().is_some_and(Turn::is_unattended);
        let denies = alone && self.policy.unattended == Some(Unattended::Deny);
        if call.tool == ASK_USER && denies {
            return refuse(NOBODY.to_owned());
        }
        if call.tool == ASK_USER {
            // It does nothing but ask a person: no policy asks a person about that.
            return read_questions(&call.input).map_or_else(refuse, Ruling::Question);
        }
        if call.tool == LIST_TOOL {
            return read_todos(&call.input).map_or_else(refuse, Ruling::Todos);
        }
        if let Some(read) = read_relay_call(&call.tool, &call.input) {
            return read.map_or_else(refuse, Ruling::Relay);
        }
        if call.tool == WAIT_TOOL {
            return read_wait(&call.input).map_or_else(refuse, Ruling::Wait);
        }
        // Not what the policy suggests: it does not know how long the call runs.
        let grant = assessment.grant();
        let grant = tool.pin().map_or(grant.clone(), |pin| format!("{grant} as described by {pin}"));
        let vouched = state.vouched(call.id);
        let (effect, on_lost) = match vouched {
            Some(vouched) => (vouched.effect, vouched.on_lost),
            None => (assessment.effect, assessment.on_lost),
        };
        let ruled = assessment.subject.ruled();
        let judgement = judge(&self.policy, &self.place, &assessment.subject);
        let because = judgement.because();
        match (judgement.verdict, vouched.and_then(|vouched| vouched.by)) {
            (Verdict::Allow { rule }, _) => Ruling::Allowed { by: Decider::Policy(rule), effect, on_lost, ruled },
            (Verdict::Deny { rule, reason }, _) => Ruling::Denied { by: Decider::Policy(rule), content: reason },
            (Verdict::Ask { .. }, _)
                if state.answered.decisions.grants.contains(&grant) || self.policy.grants(&grant) =>
            {
                Ruling::Allowed { by: Decider::Grant(grant), effect, on_lost, ruled }
            }
            (Verdict::Ask { .. }, Some(by)) => {
                Ruling::Allowed { by: Decider::Person(by.clone()), effect, on_lost, ruled }
            }
            (Verdict::Ask { .. }, None) if denies => {
                Ruling::Denied { by: Decider::Policy("unattended: deny".to_owned()), content: NOBODY.to_owned() }
            }
            (Verdict::Ask { .. }, None) => {
                Ruling::Ask { summary: assessment.summary, rule: grant, because, effect, on_lost, ruled }
            }
        }
    }
}

/// What the model is told where a person would be asked, and the policy says that nobody is.
const NOBODY: &str = "Not asked, so it did not run: nobody sits at this turn, and the policy says `unattended: deny`. Do what needs \
                      no approval, and say what is left.";

/// Judges what a call would do there, part by part, by the policy alone.
#[must_use]
pub fn judge(policy: &Policy, place: &Place, subject: &Subject) -> Judgement {
    policy.judge(subject, &|path, touch| {
        let (tool, want) = match touch {
            Touch::Read => ("read", Want::Read),
            Touch::Write => ("write", Want::Write),
        };
        let found = resolve(place, path, want)?;
        Ok(Subject { tool: tool.to_owned(), target: found.name, reach: found.reach })
    })
}
