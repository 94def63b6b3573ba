//! Who is told of what outside of any client: written with it, kept until they have it.

use super::desk::{Desk, by, reply, text};
use outlive_core::command::{Command, NewWait, NoticeCommand, Report, Then, Undelivered, Until, WaitCommand};
use outlive_core::content::{Failure, FailureKind};
use outlive_core::event::{Entry, Event, Overdue, RelayFinished};
use outlive_core::id::NoticeId;
use outlive_core::limits::{NOTICES, NOTICES_GIVEN_UP};
use outlive_core::notice::{Letter, Target, Teller, Topic};
use outlive_core::session::{Beside, Debt, Refusal, read_snapshot, write_snapshot};

const HOUR_MS: u64 = 3_600_000;

fn target(name: &str, topics: &[Topic]) -> Target {
    Target { name: name.into(), topics: topics.iter().copied().collect(), agents: Default::default() }
}

/// What of a desk's journal is worth telling.
fn worth_telling(desk: &Desk) -> Vec<(Topic, String)> {
    let mut state = outlive_core::session::State::default();
    let mut told = Vec::new();
    for entry in &desk.entries {
        state.apply(entry);
        told.extend(Topic::of(&entry.event, &state).map(|topic| (topic, entry.event.name().to_owned())));
    }
    told
}

/// A turn that ended, of which `ops` is to be told.
fn due() -> (Desk, NoticeId) {
    let mut desk = ended();
    tell(&mut desk, &[target("ops", &Topic::ALL)]);
    let id = desk.state.upkeep.notices.all[0].notice;
    (desk, id)
}

fn ended() -> Desk {
    let mut desk = Desk::with_session();
    desk.say("go").unwrap();
    desk.start_step(1, 1);
    desk.answer(1, 1, Ok(reply(vec![text("the report is there")]))).unwrap();
    desk.settle();
    desk
}

fn tell(desk: &mut Desk, targets: &[Target]) {
    let of = desk.state.head;
    let (facts, _) = desk.state.told(&[(Topic::Ending, of)], targets, &mut desk.moment);
    desk.record(facts, None);
}

fn report(desk: &mut Desk, notice: NoticeId, outcome: Result<(), Undelivered>) -> Result<(), Refusal> {
    desk.command(Command::Report(Report::Told { notice, outcome })).map(drop)
}

/// The notices that are to be told now.
fn owed(desk: &Desk) -> Vec<NoticeId> {
    let tell = |debt| if let Debt::Beside(Beside::Tell(notice)) = debt { Some(notice) } else { None };
    desk.owed().into_iter().filter_map(tell).collect()
}

#[test]
fn questions_approvals_failures_and_endings_are_told_and_nothing_else() {
    let check = |desk: &Desk, told: &[(Topic, &str)]| {
        let told: Vec<_> = told.iter().map(|(topic, event)| (*topic, (*event).to_owned())).collect();
        assert_eq!(worth_telling(desk), told);
    };
    check(&ended(), &[(Topic::Ending, "turn.ended")]);
    check(&Desk::with_question(), &[(Topic::Ask, "question.asked")]);
    check(&Desk::with_approval(), &[(Topic::Approval, "call.approval_requested")]);
    let mut refused = Desk::with_session();
    refused.say("go").unwrap();
    refused.start_step(1, 1);
    refused
        .answer(1, 1, Err(Failure { kind: FailureKind::Auth, message: "no key".into(), retry_after_ms: None }))
        .unwrap();
    refused.settle();
    check(&refused, &[(Topic::Failure, "turn.ended")]);
    let mut interrupted = Desk::with_session();
    interrupted.say("go").unwrap();
    interrupted.command(Command::Interrupt { by: by() }).unwrap();
    interrupted.settle();
    check(&interrupted, &[]);
    // Its turns come and go: its end is told.
    let looped = super::iteration::looped();
    let ends = looped.entries.iter().filter(|entry| matches!(entry.event, Event::TurnEnded(_))).count();
    assert!(ends > 1, "{ends}");
    assert!(worth_telling(&looped).iter().all(|(_, event)| event == "loop.ended"), "{:?}", worth_telling(&looped));
    check(&super::waiting::slept(), &[(Topic::Ending, "turn.ended")]);
}

#[test]
fn a_notice_waits_through_restarts_until_it_is_delivered() {
    let (mut desk, id) = due();
    assert_eq!(owed(&desk), [id]);
    desk.held.beside.insert(Beside::Tell(id));
    assert_eq!(owed(&desk), [], "it is under way");
    desk.die();
    let back = read_snapshot(&write_snapshot(&desk.state).unwrap()).unwrap();
    assert_eq!(back.upkeep.notices, desk.state.upkeep.notices);
    assert_eq!(owed(&desk), [id], "a death in between leaves it owed, under the same id");
    report(&mut desk, id, Ok(())).unwrap();
    assert_eq!((owed(&desk), desk.state.upkeep.notices.is_empty()), (vec![], true));
    assert_eq!(report(&mut desk, id, Ok(())), Err(Refusal::Stale), "a report that comes twice changes nothing");
}

#[test]
fn tries_come_ever_later_then_it_is_given_up_and_a_person_decides() {
    let (mut desk, id) = due();
    let began = desk.moment.at;
    let mut tries = Vec::new();
    while let [next] = owed(&desk)[..] {
        tries.push(desk.moment.at.ms_since(began));
        report(&mut desk, next, Err(Undelivered::for_now("nobody answers"))).unwrap();
        let Some(at) = desk.state.wakes_at() else { break };
        assert!(desk.owed().contains(&Debt::WaitUntil(at)));
        desk.pass_ms(at.ms_since(desk.moment.at));
    }
    assert_eq!(tries.len(), 10, "{tries:?}");
    assert!(tries.windows(3).all(|three| three[2] - three[1] > three[1] - three[0]), "{tries:?}");
    assert!((44 * HOUR_MS..54 * HOUR_MS).contains(tries.last().unwrap()), "{tries:?}");
    let given_up = desk.state.upkeep.notices.get(id).unwrap().clone();
    assert_eq!((given_up.attempts, given_up.next_at, given_up.error.as_deref()), (10, None, Some("nobody answers")));
    desk.command(Command::Notice { what: NoticeCommand::Retry(id), by: by() }).unwrap();
    assert_eq!(owed(&desk), [id]);
    report(&mut desk, id, Err(Undelivered::for_good("gone"))).unwrap();
    assert_eq!(owed(&desk), [], "what would never be otherwise is not tried again");
    desk.command(Command::Notice { what: NoticeCommand::Drop(id), by: by() }).unwrap();
    assert!(desk.state.upkeep.notices.is_empty());
    let unknown = desk.command(Command::Notice { what: NoticeCommand::Retry(id), by: by() });
    assert_eq!(unknown, Err(Refusal::NoNotice(id)));
}

#[test]
fn who_is_told_is_who_wants_to_hear_of_it_from_this_agent_as_long_as_there_is_room() {
    let mut desk = ended();
    let of_others = Target { agents: ["writer".parse().unwrap()].into(), ..target("writers", &Topic::ALL) };
    let of_it = Target { agents: ["helper".parse().unwrap()].into(), ..target("helpers", &[Topic::Ending]) };
    tell(&mut desk, &[of_others, of_it.clone(), target("asked", &[Topic::Ask])]);
    let told = |desk: &Desk| desk.state.upkeep.notices.all.iter().map(|it| it.target.clone()).collect::<Vec<_>>();
    assert_eq!(told(&desk), ["helpers"]);
    for _ in 0..NOTICES {
        tell(&mut desk, std::slice::from_ref(&of_it));
    }
    assert_eq!(told(&desk).len(), NOTICES);
    let (none, left_out) = desk.state.told(&[(Topic::Ending, 1), (Topic::Ending, 2)], &[of_it], &mut desk.moment);
    assert_eq!((none, left_out), (vec![], 2));
    tell(&mut desk, &[target("others", &Topic::ALL)]);
    assert_eq!(told(&desk).last().unwrap(), "others", "what one does not take is no other's matter");
}

#[test]
fn what_is_given_up_makes_room_and_of_much_of_it_the_newest_stays() {
    let mut desk = ended();
    for _ in 0..NOTICES_GIVEN_UP + 3 {
        tell(&mut desk, &[target("gone", &Topic::ALL)]);
        let id = desk.state.upkeep.notices.all.last().unwrap().notice;
        report(&mut desk, id, Err(Undelivered::for_good("gone"))).unwrap();
    }
    let all = &desk.state.upkeep.notices.all;
    assert_eq!(all.len(), NOTICES_GIVEN_UP);
    let last = desk
        .entries
        .iter()
        .rev()
        .find_map(|it| if let Event::NoticeDue(due) = &it.event { Some(due.notice) } else { None });
    assert_eq!(all.last().map(|notice| notice.notice), last);
}

#[test]
fn one_that_is_being_told_keeps_no_wait_from_its_time() {
    let (mut desk, id) = due();
    desk.held.beside.insert(Beside::Tell(id));
    let new =
        NewWait { until: Some(Until::In(2_000)), signal: None, overdue: Overdue::Fire, reason: "the post".into() };
    desk.command(Command::Wait { what: WaitCommand::Arm(new), by: by() }).unwrap();
    let at = desk.state.queue.waits.armed[0].terms.due_at.unwrap();
    assert_eq!(desk.owed(), [Debt::WaitUntil(at)]);
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_from_being_told() {
    let (mut desk, id) = due();
    let day_before = outlive_core::time::Timestamp::from_micros(desk.moment.at.micros() - 86_400_000_000);
    desk.moment.at = day_before;
    assert_eq!(owed(&desk), [id], "what is new is told at once");
    report(&mut desk, id, Err(Undelivered::for_now("down"))).unwrap();
    assert_eq!(owed(&desk), []);
    desk.moment.at = outlive_core::time::Timestamp::from_micros(day_before.micros() - 30 * 86_400_000_000);
    assert_eq!(owed(&desk), [id], "and nobody waits for longer than the longest pause");
}

#[test]
fn what_is_put_off_counts_for_nothing_and_what_is_decided_is_dropped() {
    let (mut desk, id) = due();
    let put_off = Undelivered { why: "many wait".into(), then: Then::PutOff };
    for _ in 0..20 {
        desk.pass_ms(HOUR_MS);
        report(&mut desk, id, Err(put_off.clone())).unwrap();
        assert_eq!((desk.state.upkeep.notices.get(id).unwrap().attempts, owed(&desk)), (0, vec![]));
    }
    report(&mut desk, id, Err(Undelivered { why: "it is decided".into(), then: Then::Drop })).unwrap();
    assert!(desk.state.upkeep.notices.is_empty());
}

#[test]
fn a_relay_that_somebody_ended_or_left_is_not_told_of() {
    let state = ended().state;
    let told = |outcome, state_name: Option<&str>, by| {
        let finished = RelayFinished { outcome, state: state_name.map(str::to_owned), reason: None, by };
        Topic::of(&Event::RelayFinished(finished), &state)
    };
    use outlive_core::relay::Terminal::{Cancelled, Completed, Failed};
    assert_eq!(told(Completed, Some("done"), None), Some(Topic::Ending));
    assert_eq!(told(Cancelled, Some("unwanted"), None), Some(Topic::Ending));
    assert_eq!(told(Failed, Some("broken"), None), Some(Topic::Failure));
    assert_eq!((told(Cancelled, None, Some(by())), told(Cancelled, None, None)), (None, None));
}

#[test]
fn a_paused_and_an_archived_session_tell_what_they_have_to_and_one_that_goes_on_elsewhere_nothing() {
    let (mut desk, id) = due();
    desk.command(Command::Pause { by: by(), reason: None }).unwrap();
    assert_eq!(owed(&desk), [id]);
    desk.command(Command::Archive { archived: true, by: by() }).unwrap();
    assert_eq!(owed(&desk), [id]);
    let (left, _) = due();
    assert!(left.state.left_elsewhere().iter().any(
        |fact| matches!(&fact.event, Event::NoticeDropped(it) if it.notice == left.state.upkeep.notices.all[0].notice)
    ));
}

#[test]
fn a_letter_says_what_happened_and_what_can_be_done() {
    let letter = |desk: &Desk, topic: Topic| {
        let found = |entry: &&Entry| Topic::of(&entry.event, &desk.state) == Some(topic);
        let entry = desk.entries.iter().rev().find(found).unwrap();
        Letter::of((NoticeId::from_bits(1), topic), entry, "the report is there", &Teller::of(&desk.state))
    };
    let ended = letter(&ended(), Topic::Ending);
    assert_eq!((ended.kind, ended.data.summary.as_str()), ("ending", "helper is done"));
    assert_eq!((ended.data.text.as_str(), ended.data.title.as_deref()), ("the report is there", Some("go")));
    let desk = Desk::with_question();
    let (asked, question) = (letter(&desk, Topic::Ask), desk.state.open_questions()[0].question);
    let said = format!("Which?\n- red\n- blue\n\nAnswer it with `outlive answer --question {question} WORDS`.");
    assert_eq!(asked.data.text, said);
    let approval = letter(&Desk::with_approval(), Topic::Approval).data;
    assert!(approval.text.starts_with("ls\n") && approval.text.contains("outlive approve call_"), "{}", approval.text);
    let json = serde_json::to_value(letter(&desk, Topic::Ask)).unwrap();
    assert_eq!(json["data"]["details"]["question_id"], serde_json::json!(question));
    assert!(json["id"].as_str().unwrap().starts_with("ntc_") && json["timestamp"].is_string());
}
