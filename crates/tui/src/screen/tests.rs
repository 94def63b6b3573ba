use outlive_core::event::{Line, RecoveryNoted};

use super::*;

fn entry(seq: u64, rest: &str) -> Input {
    let body = format!(
        "{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",{rest},\"turn\":\"trn_00000000000000000000000001\",\"step\":1"
    );
    let sealed = format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()));
    Input::Event(Box::new(Line::check(sealed.as_bytes()).unwrap().read().unwrap()))
}

fn text(text: &str) -> Input {
    Input::Delta(Delta::Text { text: text.into() })
}

fn draw(screen: &mut Screen, inputs: &[Input]) -> String {
    inputs.iter().flat_map(|input| screen.update(input)).map(|piece| piece.text).collect()
}

const FINISHED: &str = r#""type":"step.finished","attempt":1,"content":[{"type":"text","text":"Hello there.\nBye."}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1},"latency_ms":1,"model":"m""#;
const ENDED: &str = r#""type":"turn.ended","ending":"complete","usage":{"input_tokens":1,"output_tokens":1}"#;

#[test]
fn an_answer_that_streamed_is_not_printed_twice() {
    let streamed = draw(
        &mut Screen::default(),
        &[text("Hello "), text("there.\n"), text("Bye."), entry(1, FINISHED), entry(2, ENDED)],
    );
    let replayed = draw(&mut Screen::default(), &[entry(1, FINISHED), entry(2, ENDED)]);
    assert_eq!(streamed, "Hello there.\nBye.\n");
    assert_eq!(replayed, streamed);
}

#[test]
fn fragments_that_were_lost_are_made_good_by_the_event() {
    let drawn = draw(&mut Screen::default(), &[text("Hello there.\n"), entry(1, FINISHED)]);
    assert_eq!(drawn, "Hello there.\nBye.\n");
}

#[test]
fn an_approval_waits_until_it_is_decided() {
    let mut screen = Screen::default();
    let asked = r#""type":"call.approval_requested","call":"call_00000000000000000000000001","tool":"bash","summary":"ls","rule":"bash:ls","effect":"effectful""#;
    draw(&mut screen, &[entry(1, asked)]);
    assert_eq!(screen.waiting.len(), 1);
    let denied = r#""type":"call.denied","call":"call_00000000000000000000000001","by":"runtime","content":"no""#;
    assert_eq!(draw(&mut screen, &[entry(2, denied)]), "✗ no\n");
    assert_eq!(screen.waiting.len(), 0);
}

#[test]
fn a_crash_is_told_in_one_line() {
    let noted = RecoveryNoted { summary: "the process died: 1 call lost".into(), ..RecoveryNoted::default() };
    let noted = serde_json::to_string(&noted).unwrap();
    let line = format!("\"type\":\"recovery.noted\",{}", &noted[1..noted.len() - 1]);
    let drawn = draw(&mut Screen::default(), &[text("half a"), entry(1, &line)]);
    assert_eq!(drawn, "half a\n⟲ the process died: 1 call lost: back at 2026-01-01T00:00:00.000000Z\n");
}

const STARTED: &str = r#""type":"step.started","model":"m","attempt":1,"request":"0000000000000000","blocks":[],"tokens_estimated":1,"agent_digest":"d","messages":1"#;

#[test]
fn an_answer_is_not_printed_twice_though_the_connection_went_in_its_middle() {
    let same = [entry(1, STARTED), text("Hello th"), Input::Away, Input::Live, text("Bye."), entry(2, FINISHED)];
    assert_eq!(draw(&mut Screen::default(), &same), "Hello there.\nBye.\n");
}

#[test]
fn an_answer_that_is_asked_again_voids_what_was_shown() {
    let died = RecoveryNoted { summary: "the process died".into(), ..RecoveryNoted::default() };
    let died = serde_json::to_string(&died).unwrap();
    let died = format!("\"type\":\"recovery.noted\",{}", &died[1..died.len() - 1]);
    let again = STARTED.replace("\"attempt\":1", "\"attempt\":2");
    let inputs = [
        entry(1, STARTED),
        text("Hello th"),
        Input::Away,
        entry(2, &died),
        entry(3, &again),
        Input::Live,
        text("ere.\n"),
        entry(4, FINISHED),
    ];
    let drawn = draw(&mut Screen::default(), &inputs);
    let told = "⟲ the process died: back at 2026-01-01T00:00:00.000000Z\n(asked again: what was shown of this answer is void)\n";
    assert_eq!(drawn, format!("Hello th\n{told}Hello there.\nBye.\n"));
}

#[test]
fn whoever_joins_in_the_middle_of_an_answer_reads_it_whole_at_its_end() {
    let joined = [entry(1, STARTED), Input::Live, text("ere.\nBy"), entry(2, FINISHED)];
    assert_eq!(draw(&mut Screen::default(), &joined), "Hello there.\nBye.\n");
}

#[test]
fn the_state_says_what_is_waited_for() {
    let mut screen = Screen::default();
    let mut check = |inputs: &[Input], state: &str, queued: usize| {
        draw(&mut screen, inputs);
        assert_eq!((screen.state(), screen.queue.len()), (state, queued));
    };
    check(&[], "idle", 0);
    check(&[entry(1, r#""type":"turn.started","trigger":"message""#), entry(2, STARTED)], "working", 0);
    let queued = r#""type":"input.queued","input":"inp_00000000000000000000000001","content":"c","origin":{"kind":"cli"},"starts":"trn_00000000000000000000000002""#;
    check(&[entry(3, queued)], "working", 1);
    check(&[entry(4, r#""type":"session.paused","by":{"kind":"cli"}"#)], "paused", 1);
    check(&[entry(5, r#""type":"session.resumed","by":{"kind":"cli"}"#)], "working", 1);
    let removed = r#""type":"input.removed","input":"inp_00000000000000000000000001","by":{"kind":"cli"}"#;
    check(&[entry(6, removed), entry(7, ENDED)], "idle", 0);
}
