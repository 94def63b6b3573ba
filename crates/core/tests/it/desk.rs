//! A session on a desk: says what the shell would say, records what is decided, and holds what would run.

use outlive_core::budget::Capped;
use outlive_core::command::{Command, Create, Done, Message, Report};
use outlive_core::content::{Block, Failure, Reply, ReplyBlock, StopReason, Usage};
use outlive_core::context::{Frame, FrameParts, Load, Room, Transcript, assemble};
use outlive_core::event::{
    Asked, Behavior, Choice, Decider, Effect, Entry, OnDisconnect, OnLost, Origin, OriginKind, Outcome, Question,
};
use outlive_core::id::{CallId, Ids, Seq, SessionId, TurnId};
use outlive_core::media::Attachment;
use outlive_core::session::{Allowance, Debt, Decided, Fact, Held, Moment, Refusal, Ruling, State, StepPlan, recovery};
use outlive_core::time::Timestamp;

pub struct Desk {
    pub state: State,
    pub transcript: Transcript,
    pub entries: Vec<Entry>,
    pub held: Held,
    pub allowed: Allowance,
    pub moment: Moment,
}

pub fn by() -> Origin {
    Origin::of(OriginKind::Cli)
}

pub fn policy() -> Decider {
    Decider::Policy("default".into())
}

pub fn text(text: &str) -> ReplyBlock {
    ReplyBlock::Text(text.into())
}

pub fn reply(content: Vec<ReplyBlock>) -> Reply {
    let usage = Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() };
    Reply {
        content,
        stop_reason: StopReason::EndTurn,
        usage,
        model: "test".into(),
        provider_request_id: None,
        served_by: None,
    }
}

pub fn call_reply(tools: &[&str]) -> Reply {
    let call = |name: &&str| ReplyBlock::ToolUse { name: (*name).into(), arguments: "{}".into() };
    reply(tools.iter().map(call).collect())
}

/// What the model is told last.
pub fn told(desk: &Desk) -> Vec<Block> {
    request(desk).messages.last().map(|last| last.content.clone()).unwrap_or_default()
}

fn request(desk: &Desk) -> outlive_core::content::Request {
    let parts = FrameParts {
        window: outlive_core::context::Window::default(),
        system: Vec::new(),
        tools: Vec::new(),
        max_output_tokens: 1,
        temperature: None,
        model: "m".into(),
        agent_digest: "d".into(),
    };
    assemble(&Frame::new(parts), &desk.transcript).0
}

impl Desk {
    pub fn empty() -> Self {
        let at = Timestamp::from_micros(1_767_225_600_000_000);
        Self {
            state: State::default(),
            transcript: Transcript::default(),
            entries: Vec::new(),
            held: Held::default(),
            allowed: Allowance { max_steps: 50, ..Allowance::default() },
            moment: Moment { at, ids: Ids::from_bits(0x019b_7b2a_8400_0000_0000_0000_0000_0000) },
        }
    }

    pub fn with_session() -> Self {
        let mut desk = Self::empty();
        let create = Create {
            agent: "helper".parse().unwrap(),
            agent_digest: "d".into(),
            title: None,
            project: None,
            task: None,
            on_disconnect: OnDisconnect::Continue,
            labels: std::collections::BTreeMap::new(),
            memory: None,
            by: by(),
        };
        desk.command(Command::Create(create)).unwrap();
        desk
    }

    pub fn with_running_call(effect: Effect, on_lost: OnLost) -> Self {
        let mut desk = Self::with_session();
        desk.say("go").unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Ok(call_reply(&["bash"]))).unwrap();
        desk.rule(0, Ruling::Allowed { by: policy(), effect, on_lost, ruled: None });
        desk.start_call(0);
        desk
    }

    pub fn with_approval() -> Self {
        let mut desk = Self::with_session();
        desk.say("go").unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Ok(call_reply(&["bash"]))).unwrap();
        let (effect, on_lost) = (Effect::Effectful, OnLost::Report);
        desk.rule(
            0,
            Ruling::Ask { summary: "ls".into(), rule: "bash:ls".into(), because: vec![], effect, on_lost, ruled: None },
        );
        desk
    }

    /// A turn that ended because its agent asks a person.
    pub fn with_question() -> Self {
        let mut desk = Self::with_session();
        desk.say("go").unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Ok(call_reply(&["ask_user", "look"]))).unwrap();
        let choice = |label: &str| Choice { label: label.into(), description: None };
        let options = vec![choice("red"), choice("blue")];
        desk.rule(0, Ruling::Question(vec![Question { text: "Which?".into(), options, multiple: false }]));
        desk.rule(1, Ruling::Allowed { by: policy(), effect: Effect::Read, on_lost: OnLost::Report, ruled: None });
        desk.start_call(1);
        desk.finish_call(1);
        desk.settle();
        desk
    }

    pub fn record(&mut self, facts: Vec<Fact>, asked: Option<Asked>) {
        let mut asked = asked;
        for fact in facts {
            let Fact { turn, step, event } = fact;
            let entry = Entry {
                seq: self.state.head + 1,
                at: self.moment.at,
                turn,
                step,
                asked: asked.take(),
                tokens: None,
                event,
            };
            self.state.apply(&entry);
            self.transcript.apply(&entry);
            self.entries.push(entry);
        }
    }

    pub fn command(&mut self, command: Command) -> Result<(Seq, Option<TurnId>), Refusal> {
        self.command_as(command, None)
    }

    pub fn command_as(&mut self, command: Command, request: Option<&str>) -> Result<(Seq, Option<TurnId>), Refusal> {
        self.pass_ms(1);
        let asked = request.map(|id| Asked { request_id: id.parse().unwrap(), request_digest: command.digest() });
        let session = SessionId::from_bits(1);
        match self.state.decide(session, &command, asked.as_ref(), &mut self.moment)? {
            Decided::Duplicate(before) => Ok((before.seq, before.turn)),
            Decided::Facts(facts) => {
                let answer = (self.state.head + 1, facts.iter().find_map(|fact| fact.turn));
                self.record(facts, asked);
                Ok(answer)
            }
            Decided::Shared(_) => panic!("this desk has a session"),
        }
    }

    pub fn say(&mut self, content: &str) -> Result<(Seq, Option<TurnId>), Refusal> {
        self.say_as(content, None, Behavior::FollowUp)
    }

    pub fn say_as(
        &mut self,
        content: &str,
        id: Option<&str>,
        behavior: Behavior,
    ) -> Result<(Seq, Option<TurnId>), Refusal> {
        self.command_as(Command::Message(Message::text(content, behavior, by())), id)
    }

    pub fn owed(&self) -> Vec<Debt> {
        self.state.owed(self.moment.at, &self.held, &self.allowed)
    }

    /// Records what needs no shell, until nothing of that is owed.
    pub fn settle(&mut self) {
        while let Some(debt) = self.owed().into_iter().next() {
            let facts = if let Debt::EndWait(wait) = debt {
                self.state.end_wait(wait, &mut self.moment)
            } else {
                self.state.settle(&debt)
            };
            if facts.is_empty() {
                return;
            }
            self.record(facts, None);
        }
    }

    /// Everything is stopped; says whether that interrupts the turn.
    pub fn stop(&mut self) -> bool {
        let stopped = self.state.stopped(&by(), self.moment.at, &self.held);
        let has_stopped = stopped.is_some();
        self.record(stopped.into_iter().collect(), None);
        has_stopped
    }

    /// Forgets what runs, as a process that died.
    pub fn die(&mut self) {
        self.held = Held::default();
    }

    /// Does what the runtime does after a restart: notes, then settles, holding what it starts.
    pub fn recover(&mut self) {
        let debts = self.owed();
        let noted = recovery(&self.state, &debts, 0).expect("something was unfinished");
        self.record(vec![noted], None);
        while let Some(debt) = self.owed().into_iter().next() {
            let facts = self.state.settle(&debt);
            if facts.is_empty() {
                break;
            }
            self.record(facts, None);
            if let Debt::Start { call, attempt, .. } = debt {
                self.held.calls.insert(call, attempt);
            }
        }
    }

    pub fn start_step(&mut self, step: u32, attempt: u32) {
        self.ask("test/test", step, attempt, None);
    }

    pub fn start_step_of(&mut self, model: &str, step: u32, attempt: u32) {
        self.ask(model, step, attempt, None);
    }

    pub fn start_step_capped(&mut self, step: u32, capped: Option<Capped>) {
        self.ask("test/test", step, 1, capped);
    }

    fn ask(&mut self, model: &str, step: u32, attempt: u32, capped: Option<Capped>) {
        let turn = self.state.turn.as_ref().unwrap().id;
        let plan = StepPlan {
            model: model.into(),
            request: "0".into(),
            blocks: Vec::new(),
            tokens_estimated: 0,
            agent_digest: "d".into(),
            messages: 1,
            capped,
            load: Load::default(),
            room: Room::default(),
        };
        self.record(vec![plan.started(turn, step, attempt)], None);
        self.held.step = Some((turn, step, attempt));
    }

    pub fn answer(&mut self, step: u32, attempt: u32, answer: Result<Reply, Failure>) -> Result<(), Refusal> {
        self.answer_suspecting(Vec::new(), (step, attempt), answer)
    }

    pub fn answer_suspecting(
        &mut self,
        suspects: Vec<Attachment>,
        (step, attempt): (u32, u32),
        answer: Result<Reply, Failure>,
    ) -> Result<(), Refusal> {
        let turn = self.state.turn.as_ref().map_or(TurnId::from_bits(0), |turn| turn.id);
        self.held.step = None;
        self.command(Command::Report(Report::Step { turn, step, attempt, answer, suspects, latency_ms: 5 })).map(drop)
    }

    pub fn call(&self, at: usize) -> CallId {
        self.state.turn.as_ref().unwrap().calls[at].id
    }

    pub fn rule(&mut self, at: usize, ruling: Ruling) {
        let call = self.state.turn.as_ref().unwrap().calls[at].clone();
        let facts = ruling.facts(&self.state, &call, &mut self.moment);
        self.record(facts, None);
    }

    pub fn start_call(&mut self, at: usize) {
        let call = self.call(at);
        let facts = self.state.settle(&Debt::Start { call, attempt: 1, again: false });
        self.record(facts, None);
        self.held.calls.insert(call, 1);
    }

    pub fn finish_call(&mut self, at: usize) {
        let call = self.call(at);
        let attempt = self.state.turn.as_ref().unwrap().call(call).unwrap().attempt;
        self.held.calls.remove(&call);
        let done = Done { outcome: Outcome::Ok, content: "ok".into(), details: None, artifact: None };
        self.command(Command::Report(Report::Call { call, attempt, done, duration_ms: 1 })).unwrap();
    }

    /// All texts of the next request, in order.
    pub fn transcript_text(&self) -> Vec<String> {
        let text = |block: &Block| if let Block::Text { text } = block { Some(text.clone()) } else { None };
        let messages = request(self).messages;
        messages.iter().flat_map(|message| message.content.iter().filter_map(text).collect::<Vec<_>>()).collect()
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.moment.at = self.moment.at.plus_ms(ms);
    }
}
