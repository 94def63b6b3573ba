//! What a session has used, by the day, through forks and rewinds; and budgets in an agent's file.

use std::collections::BTreeMap;

use super::desk::{Desk, call_reply, reply, text};
use super::history::{fork, rewind};
use outlive_core::agent::Agent;
use outlive_core::budget::{Capped, Limits, Scope, Unit};
use outlive_core::content::{Reply, StopReason, Usage};
use outlive_core::event::{Ending, TurnError};
use outlive_core::session::{Debt, Spending, read_snapshot, write_snapshot};

/// A reply as the shell hands it over: counted, with its cost where that is known.
pub fn counted(reply: Reply, cost_nano_usd: u64) -> Reply {
    let priced_steps = u64::from(cost_nano_usd > 0);
    Reply { usage: Usage { cost_nano_usd, steps: 1, priced_steps, ..reply.usage }, ..reply }
}

fn turn(desk: &mut Desk, cost: u64) {
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(counted(reply(vec![text("done")]), cost))).unwrap();
    desk.settle();
}

#[test]
fn what_was_used_is_counted_in_all_and_for_its_day() {
    let mut desk = Desk::with_session();
    turn(&mut desk, 100);
    turn(&mut desk, 20);
    let spent = desk.state.totals.spent;
    assert_eq!((spent.all.cost_nano_usd, spent.all.steps, spent.today, spent.day), (120, 2, spent.all, 20_454));
    desk.pass_ms(24 * 3_600_000);
    assert_eq!(spent.on(20_455), Usage::default());
    turn(&mut desk, 3);
    let spent = desk.state.totals.spent;
    assert_eq!((spent.all.cost_nano_usd, spent.today.cost_nano_usd, spent.day), (123, 3, 20_455));
    assert_eq!(spent.on(20_454), Usage::default(), "only the last day is kept");
    let kept = read_snapshot(&write_snapshot(&desk.state).unwrap()).unwrap();
    assert_eq!(kept.totals, desk.state.totals);
}

#[test]
fn a_step_counts_while_its_turn_runs_and_once_however_often_it_was_asked() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.die();
    desk.recover();
    desk.start_step(1, 2);
    assert_eq!(desk.state.totals.spent, Spending::default());
    desk.answer(1, 2, Ok(counted(call_reply(&["bash"]), 7))).unwrap();
    assert_eq!((desk.state.totals.spent.all.steps, desk.state.totals.spent.all.cost_nano_usd), (1, 7));
    assert!(desk.answer(1, 2, Ok(counted(call_reply(&["bash"]), 7))).is_err(), "the same again comes too late");
    assert_eq!(desk.state.totals.spent.all.steps, 1);
}

#[test]
fn a_step_that_was_written_before_steps_were_counted_folds_as_it_always_did() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("done")]))).unwrap();
    assert_eq!(desk.state.totals.spent, Spending::default());
}

#[test]
fn a_rewind_takes_nothing_back_and_a_fork_begins_with_nothing() {
    let mut desk = Desk::with_session();
    turn(&mut desk, 100);
    let to = desk.state.head;
    turn(&mut desk, 20);
    rewind(&mut desk, to).unwrap();
    assert_eq!(desk.state.totals.spent.all.cost_nano_usd, 120);
    let at = desk.entries.len();
    let mut other = fork(&mut desk, at);
    assert_eq!((other.state.totals.spent, other.state.totals.usage.cost_nano_usd), (Spending::default(), 120));
    turn(&mut other, 3);
    assert_eq!((other.state.totals.spent.all.cost_nano_usd, desk.state.totals.spent.all.cost_nano_usd), (3, 120));
}

#[test]
fn an_answer_that_was_cut_where_a_budget_ended_names_the_budget() {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    let capped = Capped { max_output_tokens: 300, scope: Scope::Session, unit: Unit::Usd };
    desk.start_step_capped(1, Some(capped));
    desk.answer(1, 1, Ok(Reply { stop_reason: StopReason::MaxTokens, ..reply(vec![text("half")]) })).unwrap();
    let message = "the answer was cut at 300 tokens, all that the budget of the session had left; go on in a new session, \
                   or raise `spec.budget.session.usd` in agent.yaml";
    let error = Some(TurnError { code: "budget_exceeded".into(), message: message.into() });
    assert_eq!(desk.owed(), vec![Debt::End { ending: Ending::Failed, error }]);
}

fn read(spec: &str) -> Result<Agent, String> {
    let yaml = format!("apiVersion: outlive/v1\nkind: Agent\nmetadata: {{name: helper}}\nspec:\n  {spec}\n");
    let files = BTreeMap::from([("agent.yaml".to_owned(), yaml.into_bytes())]);
    Agent::read(&"helper".parse().unwrap(), &files, &|_| None).map_err(|error| error.to_string())
}

#[test]
fn budgets_are_read_from_the_agent_s_file_and_what_does_not_fit_is_refused_with_its_place() {
    let budget = read("budget: {turn: {tokens: 9}, session: {steps: 8}, day: {usd: 2.50}}").unwrap().budget;
    assert_eq!(budget.turn, Limits { tokens: Some(9), ..Limits::default() });
    assert_eq!(budget.session, Limits { steps: Some(8), ..Limits::default() });
    assert_eq!(budget.day, Limits { nano_usd: Some(2_500_000_000), ..Limits::default() });
    assert!(read("session: {max_steps: 3}").unwrap().budget.is_empty());
    let check = |spec: &str, expected: &str| {
        let error = read(spec).unwrap_err();
        assert!(error.starts_with(expected), "{spec}: {error}");
    };
    check("budget: {trun: {tokens: 9}}", "agent.yaml:5:12: unknown key `trun`: the nearest is `turn`");
    check("budget: {turn: {dollars: 9}}", "agent.yaml:5:19: unknown key `dollars`: the nearest is `");
    check("budget: {turn: {tokens: 0}}", "agent.yaml:5:19: spec.budget.turn.tokens: is at least 1");
    check("budget: {day: {usd: -1}}", "agent.yaml:5:18: spec.budget.day.usd: is an amount in US dollars above 0");
    check("budget: {turn: {tokens: -1}}", "agent.yaml:5:");
    check("budgets: {}", "agent.yaml:5:3: unknown key `budgets`: the nearest is `budget`");
    check("hooks: {}\n  access: {}\n  sandbx: {}", "agent.yaml:7:3: unknown key `sandbx`: the nearest is `sandbox`");
}
