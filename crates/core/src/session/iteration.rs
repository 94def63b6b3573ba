//! A loop: turn after turn towards a goal, each with a fresh context, until its checks pass.
//!
//! Where it stands is a fold of its events and of the turns and calls in between; what comes next is owed like everything else.
//! So a crash in an iteration goes on with that iteration's turn, and one in a check runs that check again.
//!
//! Invariants: a check is a call like any other, ruled on and run like one; an iteration is over when its turn has ended, and a
//! turn that ended by asking is not.

use serde::{Deserialize, Serialize};

use super::decide::{Facts, Moment, Refusal};
use super::settle::{Fact, begun};
use super::{Hold, State};
use crate::command::{LoopCommand, NewLoop};
use crate::compaction::{Open, Section, Summary};
use crate::content::Usage;
use crate::event::{
    ActivationCause, Aside, Behavior, CallFinished, Check, CheckCall, CheckpointCreated, CompactionTrigger, Decider,
    Ending, Entry, Event, LoopChecksAsked, LoopEnded, LoopExit, LoopIterationStarted, LoopStarted, Made,
    MessageReceived, Origin, OriginKind, Outcome, Strategy, TurnEnded,
};
use crate::id::{CallId, CheckpointId, TurnId};
use crate::limits::{CHECK_BYTES, CHECK_MS, CHECK_NAME_CHARS, CHECK_TAIL_CHARS, CHECKS, GOAL_BYTES, ITERATIONS};
use crate::turn::{Asking, Call, Turn};

/// The tool whose calls checks are.
const CHECKER: &str = "bash";
/// Bytes of its command line that a checkpoint shows of a check.
const SHOWN: usize = 400;

/// Where a loop stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loop {
    /// What each iteration is told to do.
    pub goal: String,
    /// What is run after each, and how that went last.
    pub checks: Vec<Checked>,
    /// The most iterations.
    pub limit: u32,
    /// The iteration that began last, from 1; 0 before the first.
    pub number: u32,
    /// Who began it.
    pub by: Origin,
    /// What comes next.
    pub stage: Stage,
    /// What happened, where its exit does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What comes next in a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The next iteration.
    Due,
    /// The end of the iteration's turn, or of the one that goes on with it.
    Open,
    /// Its end is to be written.
    Over(LoopExit),
    /// Nothing.
    Ended(LoopExit),
}

/// A check, and how it went last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is run.
    #[serde(flatten)]
    pub check: Check,
    /// The call that runs it in this iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// How it went last.
    pub result: CheckResult,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// It did not run yet.
    #[default]
    Untried,
    /// It exited with 0.
    Passed,
    /// It did not.
    Failed {
        /// With what, unless it was ended.
        exit_code: Option<i64>,
        /// The last of what it printed.
        tail: String,
    },
    /// It could not be run at all.
    Unfit {
        /// Why.
        why: String,
    },
}

/// A part of a loop that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// The next iteration.
    Iterate,
    /// The checks of the one that runs.
    Check,
    /// The end.
    End,
}

impl Loop {
    fn new(started: &LoopStarted) -> Self {
        let checked = |check: &Check| Checked { check: check.clone(), call: None, result: CheckResult::Untried };
        Self {
            goal: started.goal.clone(),
            checks: started.checks.iter().map(checked).collect(),
            limit: started.limit,
            number: 0,
            by: started.by.clone(),
            stage: Stage::Due,
            reason: None,
        }
    }

    /// Says whether it has not ended.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !matches!(self.stage, Stage::Ended(_))
    }

    fn checked_by(&mut self, call: CallId) -> Option<&mut Checked> {
        self.checks.iter_mut().find(|checked| checked.call == Some(call))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else moves a loop")]
    fn hear(&mut self, entry: &Entry) {
        match &entry.event {
            Event::LoopIterationStarted(started) => {
                (self.number, self.stage) = (started.number, Stage::Open);
                self.checks.iter_mut().for_each(|checked| checked.call = None);
            }
            Event::LoopChecksAsked(asked) => {
                for checked in &mut self.checks {
                    let call = asked.calls.iter().find(|call| call.check == checked.check);
                    (checked.call, checked.result) = (call.map(|call| call.call), CheckResult::Untried);
                }
            }
            Event::CallFinished(finished) => self.found(finished.call, self.result_of(finished)),
            Event::CallDenied(denied) => {
                let rule =
                    if let Decider::Policy(rule) = &denied.by { format!("rule `{rule}`: ") } else { String::new() };
                let why = last_of(&format!("{rule}{}", denied.content), CHECK_TAIL_CHARS);
                self.found(denied.call, CheckResult::Unfit { why });
            }
            Event::CallLost(lost) => {
                self.found(lost.call, CheckResult::Unfit { why: last_of(&lost.known, CHECK_TAIL_CHARS) });
            }
            Event::TurnEnded(ended) => self.end_turn(ended),
            // With a turn its end follows from the turn's.
            Event::InterruptRequested(_) if entry.turn.is_none() && matches!(self.stage, Stage::Due | Stage::Open) => {
                self.stage = Stage::Over(LoopExit::Aborted);
            }
            Event::LoopEnded(ended) => {
                self.stage = Stage::Ended(ended.exit);
                self.reason.clone_from(&ended.reason);
            }
            _other => {}
        }
    }

    fn found(&mut self, call: CallId, result: CheckResult) {
        if let Some(checked) = self.checked_by(call) {
            checked.result = result;
        }
    }

    /// What many checks print has as much room as what a few do.
    fn result_of(&self, finished: &CallFinished) -> CheckResult {
        if finished.outcome == Outcome::Ok {
            return CheckResult::Passed;
        }
        let chars = CHECK_TAIL_CHARS.min(16 * CHECK_TAIL_CHARS / self.checks.len().max(1));
        let exit_code = finished.details.as_ref().and_then(|details| details.get("exit_code")?.as_i64());
        CheckResult::Failed { exit_code, tail: last_of(&finished.content, chars) }
    }

    /// A turn that a person has begun between iterations counts where it does not complete: nothing goes on behind it.
    fn end_turn(&mut self, ended: &TurnEnded) {
        let is_of_window = || ended.error.as_ref().is_some_and(|error| error.code == "context_overflow");
        self.stage = match (ended.ending, self.stage) {
            (_, Stage::Over(_) | Stage::Ended(_)) => return,
            (Ending::Ask | Ending::Sleep, stage) => stage,
            (Ending::Interrupted, _) => Stage::Over(LoopExit::Aborted),
            (Ending::Failed, _) if is_of_window() => Stage::Over(LoopExit::Context),
            (Ending::Failed, _) => Stage::Over(LoopExit::Error),
            (Ending::Complete, Stage::Due) => Stage::Due,
            (Ending::Complete, Stage::Open) => self.checked(),
        };
        if let Stage::Over(exit) = self.stage {
            let failed = ended.error.as_ref().map(|error| error.message.clone());
            self.reason = failed.or_else(|| self.unfit().filter(|_| exit == LoopExit::Error));
        }
    }

    fn checked(&self) -> Stage {
        let all = |is: fn(&CheckResult) -> bool| self.checks.iter().all(|checked| is(&checked.result));
        if all(|result| *result == CheckResult::Passed) {
            return Stage::Over(LoopExit::Passed);
        }
        if !all(|result| !matches!(result, CheckResult::Unfit { .. })) {
            return Stage::Over(LoopExit::Error);
        }
        if self.number >= self.limit { Stage::Over(LoopExit::Iterations) } else { Stage::Due }
    }

    /// Names the first check that could not be run.
    fn unfit(&self) -> Option<String> {
        self.checks.iter().find_map(|Checked { check, result, .. }| match result {
            CheckResult::Unfit { why } => Some(format!("check `{}` could not be run: {why}", check.name)),
            CheckResult::Untried | CheckResult::Passed | CheckResult::Failed { .. } => None,
        })
    }

    /// Returns what a checkpoint says of its checks.
    pub(super) fn open(&self) -> Vec<Open> {
        let line = |Checked { check, result, .. }: &Checked| {
            let Check { name, run } = check;
            let run = run.get(..run.floor_char_boundary(SHOWN)).unwrap_or_default();
            let (section, text) = match result {
                CheckResult::Untried => (Section::Pending, format!("check `{name}` has not run yet: `{run}`")),
                CheckResult::Passed => (Section::Completed, format!("check `{name}` passed when it ran last: `{run}`")),
                CheckResult::Failed { exit_code, tail } => {
                    let how = exit_code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
                    let text = format!("check `{name}` failed when it ran last{how}: `{run}`\nIt ended with:\n{tail}");
                    (Section::Blockers, text)
                }
                CheckResult::Unfit { why } => {
                    (Section::Blockers, format!("check `{name}` could not be run: `{run}`\n{why}"))
                }
            };
            Open { own: "check", section, text }
        };
        self.checks.iter().map(line).collect()
    }

    fn next_step(&self) -> String {
        let fails = |checked: &&Checked| matches!(checked.result, CheckResult::Failed { .. });
        let failing: Vec<&str> = self.checks.iter().filter(fails).map(|checked| checked.check.name.as_str()).collect();
        match (self.stage, failing.as_slice()) {
            (Stage::Over(exit) | Stage::Ended(exit), _) => format!("none: the loop ended: {}", exit.as_str()),
            (Stage::Due | Stage::Open, []) => "work towards the goal; then its checks are run".to_owned(),
            (Stage::Due | Stage::Open, failing) => format!("make these checks pass: {}", failing.join(", ")),
        }
    }

    /// Returns what an iteration is told.
    fn told(&self, number: u32) -> String {
        let names: Vec<&str> = self.checks.iter().map(|checked| checked.check.name.as_str()).collect();
        format!(
            "{}\n\n[iteration {number} of {}: once you are done these checks are run: {}]",
            self.goal,
            self.limit,
            names.join(", ")
        )
    }
}

impl State {
    /// Returns the loop that is under way, if one is.
    #[must_use]
    pub fn looping(&self) -> Option<&Loop> {
        self.queue.looping.as_deref().filter(|looping| looping.is_under_way())
    }

    pub(super) fn decide_loop(&self, what: &LoopCommand, by: &Origin) -> Facts {
        match (what, self.looping()) {
            (_, _) if self.is_archived() => Err(Refusal::Archived),
            (LoopCommand::Start(_), Some(_)) => Err(loop_running()),
            (LoopCommand::Start(new), None) => {
                self.check_calm()?;
                self.check_not_relaying()?;
                check(new)?;
                let NewLoop { goal, checks, limit } = new.clone();
                Ok(vec![Fact::of_session(Event::LoopStarted(LoopStarted { goal, checks, limit, by: by.clone() }))])
            }
            (LoopCommand::Abort, None) => {
                let what = "no loop is under way in this session".to_owned();
                Err(Refusal::Invalid { code: "loop_not_running", what })
            }
            (LoopCommand::Abort, Some(_)) => Ok(self.interrupt(by)),
        }
    }

    /// Returns the fact that the loop ends without going on.
    pub(super) fn loop_aborted(&self) -> Option<Fact> {
        self.looping().map(Loop::aborted)
    }

    /// Returns the facts that end what would begin turns by itself in a journal that comes from elsewhere: what it waits for, and a
    /// loop or a relay with its turn, whose commands nobody here has approved.
    #[must_use]
    pub fn left_elsewhere(&self) -> Vec<Fact> {
        let by = Origin::of(OriginKind::Import);
        let turn = self.turn.iter().filter(|_| self.looping().is_none() && self.relaying().is_some());
        let of_relay = turn.flat_map(Turn::parted).chain(self.relay_parted());
        self.loop_left()
            .into_iter()
            .chain(of_relay)
            .chain(self.waits_cancelled(0, &by))
            .chain(self.notices_dropped(&by))
            .collect()
    }

    fn loop_left(&self) -> Vec<Fact> {
        let Some(looping) = self.looping() else { return Vec::new() };
        let turn = self.turn.iter().filter(|_| looping.stage == Stage::Open);
        let reason = Some("it was under way where the session comes from: begin it again".to_owned());
        let ended = LoopEnded { exit: LoopExit::Aborted, number: looping.number, reason };
        turn.flat_map(Turn::parted).chain([Fact::of_session(Event::LoopEnded(ended))]).collect()
    }

    /// Refuses what would pull the ground from under a loop.
    pub(super) fn check_not_looping(&self) -> Result<(), Refusal> {
        if self.looping().is_some() { Err(loop_running()) } else { Ok(()) }
    }

    pub(super) fn hear_loop(&mut self, entry: &Entry) {
        if let Event::LoopStarted(started) = &entry.event {
            self.queue.looping = Some(Box::new(Loop::new(started)));
        }
        if let Event::LoopChecksAsked(asked) = &entry.event {
            let turn = self.turn.as_mut().filter(|turn| entry.turn == Some(turn.id));
            turn.into_iter().for_each(|turn| turn.take_checks(asked));
        }
        if let Some(looping) = self.queue.looping.as_mut().filter(|looping| looping.is_under_way()) {
            looping.hear(entry);
        }
    }

    /// Returns what the loop owes while no turn runs.
    pub(super) fn owed_of_loop(&self) -> Option<Round> {
        match self.looping()?.stage {
            Stage::Over(_) => Some(Round::End),
            Stage::Due if self.hold == Hold::Open && !self.is_asking_after() => Some(Round::Iterate),
            Stage::Due | Stage::Open | Stage::Ended(_) => None,
        }
    }

    /// Says whether the running turn has its checks before it.
    pub(super) fn is_to_check(&self) -> bool {
        let is_checking = self.turn.as_ref().is_some_and(|turn| turn.asking == Asking::Checks);
        self.looping().is_some_and(|looping| looping.stage == Stage::Open) && !is_checking
    }

    /// Returns the facts of a part of the loop that is owed; `base` is what the checkpoint in use says.
    #[must_use]
    pub fn go_round(&self, round: Round, base: Option<&Summary>, moment: &mut Moment) -> Vec<Fact> {
        let Some(looping) = self.looping() else { return Vec::new() };
        match round {
            Round::Iterate => self.iterate(looping, base, moment),
            Round::Check => self.turn.iter().map(|turn| looping.asked(turn, moment)).collect(),
            Round::End => {
                // What the model saw of the last iteration it still sees.
                let mut facts = self.noted(looping, (base, self.upkeep.view.tail_from), moment);
                facts.extend(looping.over());
                facts
            }
        }
    }

    fn iterate(&self, looping: &Loop, base: Option<&Summary>, moment: &mut Moment) -> Vec<Fact> {
        let number = looping.number.saturating_add(1);
        let turn = TurnId::from_bits(moment.ids.fresh());
        let mut facts = self.noted(looping, (base, self.head + 1), moment);
        facts.push(Fact::of_turn(turn, Event::LoopIterationStarted(LoopIterationStarted { number })));
        facts.extend(begun(
            turn,
            MessageReceived {
                content: looping.told(number),
                attachments: Vec::new(),
                output_schema: None,
                behavior: Behavior::FollowUp,
                // Whoever began it said it once.
                origin: if number == 1 { looping.by.clone() } else { Origin::of(OriginKind::Runtime) },
                input: None,
            },
        ));
        facts
    }

    /// Returns the facts of a checkpoint that says where the loop stands, and is seen with the events from `tail_from` on.
    fn noted(&self, looping: &Loop, (base, tail_from): (Option<&Summary>, u64), moment: &mut Moment) -> Vec<Fact> {
        let view = &self.upkeep.view;
        let summary =
            Summary { goal: looping.goal.clone(), next_step: looping.next_step(), ..base.cloned().unwrap_or_default() };
        let summary = summary.with_open(&self.open_items()).with_bounds();
        let after = summary.tokens();
        let id = CheckpointId::from_bits(moment.ids.fresh());
        let created = CheckpointCreated {
            checkpoint: id,
            version: view.next_version(),
            parent: view.checkpoint,
            compaction: None,
            covers: Aside { first: 1, last: tail_from.saturating_sub(1).max(1) },
            tail_from,
            made: Made {
                trigger: CompactionTrigger::Loop,
                strategy: Strategy::Loop,
                model: None,
                usage: Usage::default(),
            },
            schema_from: None,
            carried: None,
            tokens: (self.totals.filled.map_or(after, |filled| filled.tokens), after),
            summary,
        };
        self.seen(created, (tail_from, ActivationCause::Iterated), &Origin::of(OriginKind::Runtime))
    }

    /// Returns who began the loop that a call is a check of: they have approved it, and it may be run again.
    pub(super) fn checks_for(&self, call: CallId) -> Option<&Origin> {
        let looping = self.looping()?;
        looping.checks.iter().any(|checked| checked.call == Some(call)).then_some(&looping.by)
    }
}

impl Loop {
    fn aborted(&self) -> Fact {
        let ended = LoopEnded { exit: LoopExit::Aborted, number: self.number, reason: None };
        Fact::of_session(Event::LoopEnded(ended))
    }

    fn over(&self) -> Option<Fact> {
        let (Stage::Over(exit), number) = (self.stage, self.number) else { return None };
        Some(Fact::of_session(Event::LoopEnded(LoopEnded { exit, number, reason: self.reason.clone() })))
    }

    fn asked(&self, turn: &Turn, moment: &mut Moment) -> Fact {
        let mut call =
            |checked: &Checked| CheckCall { call: CallId::from_bits(moment.ids.fresh()), check: checked.check.clone() };
        let calls = self.checks.iter().map(&mut call).collect();
        Fact::of_step(turn, Event::LoopChecksAsked(LoopChecksAsked { number: self.number, calls }))
    }
}

impl Turn {
    /// From here on its calls are these checks.
    pub(super) fn take_checks(&mut self, asked: &LoopChecksAsked) {
        let call = |CheckCall { call, check }: &CheckCall| {
            let input = serde_json::json!({ "command": check.run, "timeout_ms": CHECK_MS });
            Call::asked(*call, CHECKER.to_owned(), input, None)
        };
        self.calls = asked.calls.iter().map(call).collect();
        self.asking = Asking::Checks;
    }
}

fn loop_running() -> Refusal {
    let what = "a loop is under way in this session: wait for its end, or abort it".to_owned();
    Refusal::Invalid { code: "loop_running", what }
}

/// Refuses what is no loop, with the place.
fn check(new: &NewLoop) -> Result<(), Refusal> {
    let wrong = |what: String| Err(Refusal::Invalid { code: "loop_invalid", what });
    if new.goal.trim().is_empty() || new.goal.len() > GOAL_BYTES {
        return wrong(format!("goal: 1 to {GOAL_BYTES} bytes are needed"));
    }
    if !(1..=ITERATIONS).contains(&new.limit) {
        return wrong(format!("iterations: 1 to {ITERATIONS}, not {}", new.limit));
    }
    if !(1..=CHECKS).contains(&new.checks.len()) {
        return wrong(format!("checks: 1 to {CHECKS} are needed, these are {}", new.checks.len()));
    }
    for (at, Check { name, run }) in new.checks.iter().enumerate() {
        let is_name =
            (1..=CHECK_NAME_CHARS).contains(&name.trim().chars().count()) && !name.chars().any(char::is_control);
        if !is_name || new.checks.iter().take(at).any(|earlier| earlier.name == *name) {
            return wrong(format!("checks[{at}].name: 1 to {CHECK_NAME_CHARS} characters that no other check has"));
        }
        if run.trim().is_empty() || run.len() > CHECK_BYTES {
            return wrong(format!("checks[{at}].run: a command line of 1 to {CHECK_BYTES} bytes is needed"));
        }
    }
    Ok(())
}

/// The end of a text, from the beginning of a line where there is one.
fn last_of(text: &str, chars: usize) -> String {
    let text = text.trim_end();
    let surplus = text.chars().count().saturating_sub(chars);
    let Some((at, _)) = text.char_indices().nth(surplus).filter(|_| surplus > 0) else { return text.to_owned() };
    let end = &text[at..];
    let from = end.find('\n').filter(|from| from * 2 < end.len()).map_or(0, |from| from + 1);
    format!("…{}", &end[from..])
}
