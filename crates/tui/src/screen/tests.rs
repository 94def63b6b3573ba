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
