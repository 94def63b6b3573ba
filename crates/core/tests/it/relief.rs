//! What is done about long requests, by what is known of the checkpoints before.

use outlive_core::compaction::Summary;
use outlive_core::content::{Failure, FailureKind, Usage};
use outlive_core::context::Window;
use outlive_core::event::{
    ActivationCause, Aside, CheckpointActivated, CheckpointCreated, CompactionCancelled, CompactionFailed,
    CompactionStarted, CompactionTrigger, Event, Made, Sizes, Strategy,
};
use outlive_core::id::{CheckpointId, CompactionId};
use outlive_core::session::{Fact, Relief, Sized};

use crate::desk::{Desk, by, reply, text};

/// A conversation of forty small turns.
fn talked() -> Desk {
    let mut desk = Desk::with_session();
    for _ in 0..40 {
        desk.say(&"word ".repeat(40)).unwrap();
        desk.start_step(1, 1);
        desk.answer(1, 1, Ok(reply(vec![text(&"answer ".repeat(30))]))).unwrap();
        desk.settle();
    }
    desk
}

fn record(desk: &mut Desk, events: Vec<Event>) {
    desk.record(events.into_iter().map(Fact::of_session).collect(), None);
}

fn started(id: u128, model: Option<&str>, covers: Aside) -> Event {
    Event::CompactionStarted(CompactionStarted {
        compaction: CompactionId::from_bits(id),
        trigger: CompactionTrigger::Hard,
        focus: None,
        base: None,
        covers,
        tail_from: covers.last + 1,
        model: model.map(str::to_owned),
        tokens: Sizes::default(),
        newest: None,
        schema_from: None,
        by: by(),
    })
}

/// A checkpoint that leaves so many of a thousand tokens; the model goes on seeing all.
fn made(id: u128, trigger: CompactionTrigger, after: u64) -> Event {
    Event::CheckpointCreated(CheckpointCreated {
        checkpoint: CheckpointId::from_bits(id),
        version: 1,
        parent: None,
        compaction: None,
        covers: Aside { first: 1, last: 2 },
        tail_from: 3,
        made: Made { trigger, strategy: Strategy::Model, model: None, usage: Usage::default() },
        schema_from: None,
        carried: None,
        tokens: (1_000, after),
        summary: Summary::default(),
    })
}

fn chosen() -> Event {
    let cause = ActivationCause::Chosen;
    Event::CheckpointActivated(CheckpointActivated { checkpoint: None, tail_from: 0, cause, by: by() })
}

/// What is done about a request of this part of what is usable, in percent.
fn relief(desk: &mut Desk, percent: u64) -> String {
    let tokens: u64 = desk.transcript.marks().iter().map(|mark| mark.tokens).sum();
    let usable = tokens * 100 / percent;
    let window = Window { tokens: usable, output: 0, buffer: 0, ..Window::default() };
    let sized = Sized { tokens, counted: tokens, window: &window, keeper: "p/m", compacts: true };
    match desk.state.relieve(&desk.transcript, &sized, &mut desk.moment) {
        Relief::None => "sent".to_owned(),
        Relief::Wait => "waits".to_owned(),
        Relief::Fail(error) => error.code,
        Relief::Facts(facts) => match begun(&facts) {
            Some(started) => format!("compaction.started by {}", started.model.as_deref().unwrap_or("events")),
            None => facts[0].event.name().to_owned(),
        },
    }
}

fn begun(facts: &[Fact]) -> Option<&CompactionStarted> {
    if let Event::CompactionStarted(started) = &facts[0].event { Some(started) } else { None }
}

const BEGINS: &str = "compaction.started by p/m";

#[test]
fn what_is_done_follows_from_how_full_the_window_is() {
    for (percent, done) in [(50, "sent"), (76, BEGINS), (93, BEGINS), (120, BEGINS)] {
        assert_eq!(relief(&mut talked(), percent), done, "{percent} %");
    }
    let mut desk = talked();
    record(&mut desk, vec![started(1, Some("p/m"), Aside { first: 1, last: 50 })]);
    for (percent, done) in [(76, "sent"), (93, "waits"), (120, "waits")] {
        assert_eq!(relief(&mut desk, percent), done, "{percent} %, one is under way");
    }
}

#[test]
fn what_is_condensed_does_not_depend_on_how_the_provider_counts() {
    let mut desk = talked();
    let counted: u64 = desk.transcript.marks().iter().map(|mark| mark.tokens).sum();
    let mut covers = |percent: u64| {
        let tokens = counted * percent / 100;
        let window = Window { tokens: tokens * 100 / 93, output: 0, buffer: 0, ..Window::default() };
        let sized = Sized { tokens, counted, window: &window, keeper: "p/m", compacts: true };
        let relief = desk.state.relieve(&desk.transcript, &sized, &mut desk.moment);
        let Relief::Facts(facts) = relief else { panic!("{relief:?}") };
        begun(&facts).unwrap().covers
    };
    let plain = covers(100);
    for percent in [50, 155, 300] {
        let last = covers(percent).last;
        assert!(last.abs_diff(plain.last) <= 8, "{percent} %: up to {last}, not {}", plain.last);
    }
}

#[test]
fn two_checkpoints_that_free_little_stop_more_until_something_is_otherwise() {
    let hard = CompactionTrigger::Hard;
    let meagre = || {
        let mut desk = talked();
        record(&mut desk, vec![made(1, hard, 900), made(2, hard, 860)]);
        desk
    };
    let mut once = talked();
    record(&mut once, vec![made(1, hard, 900)]);
    assert_eq!(relief(&mut once, 93), BEGINS, "one is not enough");
    assert_eq!(relief(&mut meagre(), 93), "compaction.skipped");
    assert_eq!(relief(&mut meagre(), 120), BEGINS, "what cannot be sent is made shorter whatever it frees");
    for (event, done) in [
        (made(3, hard, 840), BEGINS),
        (made(3, CompactionTrigger::Asked, 500), BEGINS),
        (made(3, CompactionTrigger::Asked, 990), "compaction.skipped"),
        (chosen(), BEGINS),
    ] {
        let mut desk = meagre();
        record(&mut desk, vec![event.clone()]);
        assert_eq!(relief(&mut desk, 93), done, "{event:?}");
    }
}

#[test]
fn what_made_nothing_shorter_and_what_was_cancelled_is_not_begun_again() {
    let mut desk = talked();
    assert_eq!(relief(&mut desk, 93), BEGINS);
    let covers = planned(&mut desk);
    let failed = |id| {
        let (message, usage) = (String::new(), Usage::default());
        let compaction = CompactionId::from_bits(id);
        Event::CompactionFailed(CompactionFailed { compaction, message, usage, rests_until: None })
    };
    record(&mut desk, vec![started(1, Some("p/m"), covers), failed(1)]);
    assert_eq!(relief(&mut desk, 93), BEGINS, "events alone may do better");
    record(&mut desk, vec![started(2, None, covers), failed(2)]);
    assert_eq!(relief(&mut desk, 93), "compaction.skipped");
    let mut desk = talked();
    let compaction = CompactionId::from_bits(1);
    let cancelled = Event::CompactionCancelled(CompactionCancelled { compaction, by: by() });
    record(&mut desk, vec![started(1, Some("p/m"), covers), cancelled]);
    assert_eq!(relief(&mut desk, 93), "compaction.skipped");
    record(&mut desk, vec![chosen()]);
    assert_eq!(relief(&mut desk, 93), BEGINS);
}

#[test]
fn what_was_cancelled_or_made_little_shorter_is_tried_again_where_the_request_cannot_be_sent_otherwise() {
    let failed = |id| {
        let (message, usage, compaction) = (String::new(), Usage::default(), CompactionId::from_bits(id));
        Event::CompactionFailed(CompactionFailed { compaction, message, usage, rests_until: None })
    };
    let soft = |event| {
        let Event::CompactionStarted(started) = event else { return event };
        Event::CompactionStarted(CompactionStarted { trigger: CompactionTrigger::Soft, ..started })
    };
    let mut desk = talked();
    let covers = covered(&mut desk, 120);
    record(&mut desk, vec![soft(started(1, None, covers)), failed(1)]);
    assert_eq!(relief(&mut desk, 120), BEGINS, "it need not be as much shorter");
    let mut desk = talked();
    desk.say("go on").unwrap();
    let covers = covered(&mut desk, 120);
    record(&mut desk, vec![started(1, None, covers), failed(1)]);
    assert_eq!(relief(&mut desk, 120), "context_overflow", "nothing comes of it in this turn");
    desk.state.upkeep.view.vain.iter_mut().for_each(|vain| vain.over = true);
    assert_eq!(relief(&mut desk, 120), BEGINS, "the next turn tries it once");
    // Stopped together with its turn, it comes behind the turn's end.
    let mut desk = talked();
    let covers = covered(&mut desk, 120);
    let compaction = CompactionId::from_bits(1);
    let cancelled = Event::CompactionCancelled(CompactionCancelled { compaction, by: by() });
    record(&mut desk, vec![started(1, None, covers), cancelled]);
    assert_eq!(relief(&mut desk, 120), BEGINS);
}

/// The events that are covered where what is seen is so much of what is usable, in percent.
fn covered(desk: &mut Desk, percent: u64) -> Aside {
    let tokens: u64 = desk.transcript.marks().iter().map(|mark| mark.tokens).sum();
    let window = Window { tokens: tokens * 100 / percent, output: 0, buffer: 0, ..Window::default() };
    let sized = Sized { tokens, counted: tokens, window: &window, keeper: "p/m", compacts: true };
    let Relief::Facts(facts) = desk.state.relieve(&desk.transcript, &sized, &mut desk.moment) else { panic!() };
    begun(&facts).unwrap().covers
}

#[test]
fn a_request_that_was_refused_while_a_checkpoint_was_made_is_not_the_shorter_one() {
    let overflow = || Failure { kind: FailureKind::Overflow, message: "too long".into(), retry_after_ms: None };
    let mut desk = talked();
    desk.say("go on").unwrap();
    desk.start_step(1, 1);
    record(&mut desk, vec![made(1, CompactionTrigger::Soft, 100), chosen()]);
    desk.answer(1, 1, Err(overflow())).unwrap();
    assert_eq!(relief(&mut desk, 50), "sent", "the next one is shorter than what was refused");
    desk.start_step(1, 2);
    desk.answer(1, 2, Err(overflow())).unwrap();
    assert_ne!(relief(&mut desk, 50), "sent", "this one was refused");
}

#[test]
fn what_a_fork_leaves_to_its_original_it_begins_itself() {
    let mut desk = talked();
    let covers = planned(&mut desk);
    record(&mut desk, vec![started(1, Some("p/m"), covers)]);
    let parted = desk.state.parted(None, &by());
    desk.record(parted, None);
    assert_eq!(relief(&mut desk, 93), BEGINS);
}

/// The events that the next compaction at 93 percent covers.
fn planned(desk: &mut Desk) -> Aside {
    let tokens: u64 = desk.transcript.marks().iter().map(|mark| mark.tokens).sum();
    let window = Window { tokens: tokens * 100 / 93, output: 0, buffer: 0, ..Window::default() };
    let plan = outlive_core::compaction::plan(desk.transcript.marks(), desk.state.head, (tokens, &window), false);
    plan.unwrap().covers
}
