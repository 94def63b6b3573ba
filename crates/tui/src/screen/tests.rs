use outlive_core::event::{Line, RecoveryNoted};

use super::*;

pub(crate) fn entry(seq: u64, rest: &str) -> Input {
    let body = format!(
        "{{\"seq\":{seq},\"at\":\"2026-01-01T00:00:00.000000Z\",{rest},\"turn\":\"trn_00000000000000000000000001\",\"step\":1"
    );
    let sealed = format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()));
    Input::Event(Box::new(Line::check(sealed.as_bytes()).unwrap().read().unwrap()))
}

fn text(text: &str) -> Input {
    Input::Delta(Delta::Text { text: text.into() })
}

fn output(call: u8, text: &str) -> Input {
    let call = CallId::from_bits(call.into());
    Input::Delta(Delta::ToolOutput { call, text: text.into() })
}

fn draw(screen: &mut Screen, inputs: &[Input]) -> String {
    inputs.iter().flat_map(|input| screen.update(input)).map(|piece| piece.text).collect()
}

/// All that is drawn from the beginning.
fn drawn(inputs: &[Input]) -> String {
    draw(&mut Screen::default(), inputs)
}

pub(crate) fn asked(attempt: u32) -> Input {
    entry(
        1,
        &format!(
            r#""type":"step.started","model":"p/m","attempt":{attempt},"request":"0","blocks":[],"tokens_estimated":1,"agent_digest":"0","messages":1"#
        ),
    )
}

pub(crate) fn started(call: u8, attempt: u32) -> Input {
    entry(
        2,
        &format!(
            r#""type":"call.started","call":"{}","tool":"bash","arguments":{{"command":"ls {call}"}},"attempt":{attempt},"effect":"effectful","idempotency_key":"k""#,
            CallId::from_bits(call.into())
        ),
    )
}

pub(crate) fn finished(call: u8, content: &str) -> Input {
    entry(
        3,
        &format!(
            r#""type":"call.finished","call":"{}","attempt":1,"outcome":"ok","content":"{content}","duration_ms":100"#,
            CallId::from_bits(call.into())
        ),
    )
}

pub(crate) fn wants(call: u8, summary: &str) -> Input {
    entry(
        4,
        &format!(
            r#""type":"call.approval_requested","call":"{}","tool":"bash","summary":"{summary}","rule":"bash:{summary}","effect":"effectful""#,
            CallId::from_bits(call.into())
        ),
    )
}

pub(crate) const FINISHED: &str = r#""type":"step.finished","attempt":1,"content":[{"type":"text","text":"Hello there.\nBye."}],"stop_reason":"end_turn","usage":{"input_tokens":1200,"output_tokens":34},"latency_ms":1,"model":"m""#;
pub(crate) const STARTED: &str = r#""type":"turn.started","trigger":"message""#;
pub(crate) const ENDED: &str =
    r#""type":"turn.ended","ending":"complete","usage":{"input_tokens":1,"output_tokens":1}"#;
const VOID: &str = "⟲ asked again: the unfinished answer above is void\n";

fn answered() -> Input {
    entry(5, FINISHED)
}

#[test]
fn a_loop_is_a_line_at_each_of_its_turns() {
    let shown = drawn(&[
        entry(1, r#""type":"loop.started","goal":"g","checks":[],"limit":3,"by":{"kind":"cli"}"#),
        entry(2, r#""type":"loop.iteration_started","number":1"#),
        entry(3, r#""type":"loop.checks_asked","number":1,"calls":[]"#),
        entry(4, r#""type":"loop.ended","exit":"error","number":1,"reason":"no""#),
    ]);
    assert_eq!(
        shown,
        "↻ a loop of up to 3 iterations begins\n↻ iteration 1\n↻ iteration 1: 0 checks\n↻ the loop ended, error, after 1 iterations: no\n"
    );
}

#[test]
fn an_answer_that_streamed_is_not_printed_twice() {
    let parts = [text("Hello "), text("there.\n"), text("By"), text("e.")];
    let mut screen = Screen::default();
    draw(&mut screen, &[Input::Live, asked(1)]);
    assert_eq!(draw(&mut screen, &parts), "Hello there.\n");
    assert_eq!(screen.unfinished(), [Piece::new(Style::Plain, "Bye.")]);
    assert_eq!(draw(&mut screen, &[answered(), entry(6, ENDED)]), "Bye.\n");
    assert_eq!(drawn(&[asked(1), answered(), entry(6, ENDED)]), "Hello there.\nBye.\n");
}

#[test]
fn fragments_that_were_lost_are_made_good_by_the_event() {
    assert_eq!(drawn(&[Input::Live, asked(1), text("Hello there.\n"), answered()]), "Hello there.\nBye.\n");
    assert_eq!(
        drawn(&[Input::Live, asked(1), text("there.\n"), answered()]),
        "there.\n⟲ pieces of the answer above were missed; the whole of it:\nHello there.\nBye.\n"
    );
}

#[test]
fn whoever_comes_in_mid_answer_sees_a_preview_and_then_the_whole_once() {
    let mut screen = Screen::default();
    assert_eq!(draw(&mut screen, &[asked(1), Input::Live, text("there.\nBy")]), "");
    assert_eq!(screen.preview(), "there.\nBy");
    assert_eq!(draw(&mut screen, &[answered()]), "Hello there.\nBye.\n");
    assert_eq!(screen.preview(), "");
}

#[test]
fn a_connection_that_breaks_in_mid_answer_prints_nothing_twice() {
    // The server lived on: what follows is a preview, then the event adds what is missing.
    let mut screen = Screen::default();
    let before = [Input::Live, asked(1), text("Hello there.\nB"), Input::Lost, Input::Live];
    assert_eq!(draw(&mut screen, &before), "Hello there.\n");
    assert_eq!(draw(&mut screen, &[text("ye.")]), "");
    assert_eq!(draw(&mut screen, &[answered()]), "Bye.\n");
}

#[test]
fn an_answer_that_is_asked_again_is_void_and_begins_anew_once() {
    let first = [Input::Live, asked(1), text("Hello th"), Input::Lost];
    for again in [
        // Heard live, with and without the fragment that tells of it; only in the journal; late.
        vec![Input::Live, asked(2), text("Hello there.\n"), answered()],
        vec![Input::Live, asked(2), Input::Delta(Delta::Restart), text("Hello there.\n"), answered()],
        vec![asked(2), Input::Live, text("there.\n"), answered()],
        vec![asked(2), Input::Live, Input::Delta(Delta::Restart), text("Hello there.\n"), answered()],
        vec![asked(2), answered(), Input::Live],
    ] {
        let whole = drawn(&[first.to_vec(), again].concat());
        assert_eq!(whole, format!("Hello th\n{VOID}Hello there.\nBye.\n"));
    }
}

#[test]
fn a_second_attempt_of_which_nothing_was_seen_is_not_spoken_of() {
    assert_eq!(drawn(&[Input::Live, asked(1), asked(2), answered()]), "Hello there.\nBye.\n");
}

#[test]
fn output_is_printed_as_it_comes_and_not_again_at_the_end() {
    let done = "  ✓ done (0.1 s)\n";
    assert_eq!(
        drawn(&[Input::Live, started(1, 1), output(1, "a\nb"), finished(1, "a\\nb\\n")]),
        format!("⚙ bash ls 1\na\nb\n{done}")
    );
    assert_eq!(drawn(&[started(1, 1), finished(1, "a\\nb\\n")]), format!("⚙ bash ls 1\na\nb\n{done}"));
    // What was missed is added, and what was heard in part only is a preview.
    assert_eq!(
        drawn(&[Input::Live, started(1, 1), output(1, "a\n"), Input::Lost, output(1, "c\n"), finished(1, "a\\nb\\nc")]),
        format!("⚙ bash ls 1\na\nb\nc\n{done}")
    );
    // Fragments may be lost without a word.
    assert_eq!(
        drawn(&[Input::Live, started(1, 1), output(1, "b\n"), finished(1, "a\\nb")]),
        format!("⚙ bash ls 1\nb\n… pieces were missed; the whole of it:\na\nb\n{done}")
    );
    assert_eq!(
        drawn(&[started(1, 1), Input::Live, output(1, "b\n"), finished(1, "a\\nb")]),
        format!("⚙ bash ls 1\na\nb\n{done}")
    );
}

#[test]
fn calls_that_run_at_once_are_told_apart() {
    let all = [Input::Live, started(1, 1), started(2, 1), output(1, "one\n"), output(2, "two\n"), finished(1, "one")];
    assert_eq!(
        drawn(&all),
        "⚙ bash ls 1\n⚙ bash ls 2\n⚙ … bash ls 1\none\n⚙ … bash ls 2\ntwo\n⚙ … bash ls 1\n  ✓ done (0.1 s)\n"
    );
}

#[test]
fn of_a_flood_the_beginning_and_the_end_are_printed() {
    let lines = |range: std::ops::Range<usize>| range.map(|n| format!("{n}\n")).collect::<String>();
    for size in [1, 7, 100, 10_000] {
        let mut screen = Screen::default();
        let mut whole = draw(&mut screen, &[Input::Live, started(1, 1)]);
        for part in lines(0..1_000).split_inclusive('\n').collect::<Vec<_>>().chunks(size) {
            whole += &draw(&mut screen, &[output(1, &part.concat())]);
        }
        assert!(screen.preview().ends_with("998\n999\n"));
        whole += &draw(&mut screen, &[finished(1, &lines(0..1_000).replace('\n', "\\n"))]);
        let (begin, end) = (lines(0..100), lines(995..1_000));
        assert_eq!(whole, format!("⚙ bash ls 1\n{begin}… 895 more lines\n{end}  ✓ done (0.1 s)\n"), "{size} at once");
    }
}

#[test]
fn an_approval_waits_until_it_is_decided() {
    let mut screen = Screen::default();
    draw(&mut screen, &[wants(1, "ls")]);
    assert_eq!(screen.waiting.len(), 1);
    let denied = r#""type":"call.denied","call":"call_00000000000000000000000001","by":"runtime","content":"no""#;
    assert_eq!(draw(&mut screen, &[entry(2, denied)]), "✗ no\n");
    assert_eq!(screen.waiting.len(), 0);
}

#[test]
fn an_always_says_which_rule_it_stored() {
    let allowed = r#""type":"call.allowed","call":"call_00000000000000000000000001","by":{"person":{"kind":"cli"}},"scope":"always","effect":"effectful""#;
    assert_eq!(drawn(&[wants(1, "ls"), entry(2, allowed)]), "✓ allowed, and from now on in this session: bash:ls\n");
}

#[test]
fn a_crash_is_told_in_one_line() {
    let noted = RecoveryNoted {
        last_event_at: "2025-12-31T23:59:58Z".parse().ok(),
        summary: "the process died after 2025-12-31T23:59:58.000000Z: outcome unknown, not run again: bash".into(),
        ..RecoveryNoted::default()
    };
    let noted = serde_json::to_string(&noted).unwrap();
    let line = format!("\"type\":\"recovery.noted\",{}", &noted[1..noted.len() - 1]);
    assert_eq!(
        drawn(&[Input::Live, asked(1), text("half a"), Input::Lost, entry(1, &line)]),
        "half a\n⟲ the server died after 2025-12-31 23:59:58 and was back at 2026-01-01 00:00:00 UTC: outcome unknown, \
         not run again: bash\n"
    );
}

#[test]
fn follow_ups_wait_until_they_run() {
    let mut screen = Screen::default();
    let queued = r#""type":"input.queued","input":"inp_00000000000000000000000001","content":"next","origin":{"kind":"cli"},"starts":"trn_00000000000000000000000002""#;
    assert_eq!(draw(&mut screen, &[entry(1, queued)]), "");
    assert_eq!(screen.later.queue.len(), 1);
    let received = r#""type":"message.received","content":"next\nline","origin":{"kind":"cli"},"input":"inp_00000000000000000000000001""#;
    assert_eq!(draw(&mut screen, &[entry(2, received)]), "\n› next\n  line\n\n");
    assert_eq!(screen.later.queue.len(), 0);
}

#[test]
fn files_are_shown_before_what_is_said_about_them() {
    let hash = "0".repeat(64);
    let files = format!(r#"[{{"hash":"{hash}","media_type":"image/png","name":"photo.png","bytes":12345}}]"#);
    let received =
        format!(r#""type":"message.received","content":"look","attachments":{files},"origin":{{"kind":"cli"}}"#);
    assert_eq!(drawn(&[entry(1, &received)]), "\n› [image photo.png, 12 kB]\n  look\n\n");
}

#[test]
fn what_runs_and_what_it_costs_is_known() {
    let mut screen = Screen::default();
    draw(&mut screen, &[entry(1, STARTED)]);
    assert_eq!(screen.activity, Activity::Working("2026-01-01T00:00:00Z".parse().unwrap()));
    draw(&mut screen, &[asked(1), answered(), entry(2, r#""type":"turn.interrupt_requested","by":{"kind":"cli"}"#)]);
    assert_eq!((screen.activity, screen.usage.input_tokens), (Activity::Stopping, 1_200));
    draw(&mut screen, &[entry(3, ENDED)]);
    assert!(!screen.runs());
}

#[test]
fn an_outage_is_shown_with_the_next_try_and_with_who_stands_in() {
    let mut screen = Screen::default();
    let failed = entry(
        2,
        r#""type":"step.failed","attempt":1,"kind":"overloaded","message":"too busy","retry_at":"2026-01-01T00:00:09Z""#,
    );
    draw(&mut screen, &[entry(1, STARTED), asked(1)]);
    assert_eq!(draw(&mut screen, &[failed]), "⏳ too busy; asked again at 2026-01-01 00:00:09 UTC\n");
    let (since, until) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T00:00:09Z".parse().unwrap());
    assert_eq!(screen.activity, Activity::Waiting(since, until));
    assert_eq!(draw(&mut screen, &[asked(2)]), "");
    assert_eq!(screen.activity, Activity::Working(since));
    let other = entry(
        3,
        r#""type":"step.started","model":"other/m","attempt":3,"request":"0","blocks":[],"tokens_estimated":1,"agent_digest":"0","messages":1"#,
    );
    assert_eq!(draw(&mut screen, &[other]), "→ other/m is asked\n");
}

#[test]
fn the_end_of_a_turn_says_what_it_took_where_that_was_counted() {
    let ended = |usage: &str| entry(3, &format!(r#""type":"turn.ended","ending":"complete","usage":{{{usage}}}"#));
    let draw_end = |usage: &str| {
        let mut screen = Screen::default();
        draw(&mut screen, &[entry(1, STARTED)]);
        draw(&mut screen, &[ended(usage)])
    };
    let tokens = r#""input_tokens":1200,"output_tokens":34"#;
    assert_eq!(draw_end(tokens), "");
    assert_eq!(draw_end(&format!(r#"{tokens},"steps":2"#)), "↑1.2k ↓34 tokens · cost unknown\n");
    let partly = format!(r#"{tokens},"cost_nano_usd":12345678,"steps":2,"priced_steps":1"#);
    assert_eq!(draw_end(&partly), "↑1.2k ↓34 tokens · at least $0.0123\n");
    let free = format!(r#"{tokens},"steps":1,"priced_steps":1"#);
    assert_eq!(draw_end(&free), "↑1.2k ↓34 tokens · $0\n");
}

#[test]
fn a_question_shows_its_options_and_takes_a_number_a_label_or_words() {
    let ask = |options: &str, multiple: bool| {
        entry(
            4,
            &format!(
                r#""type":"question.asked","question":"qst_00000000000000000000000001","call":"call_00000000000000000000000001","questions":[{{"text":"Which?","options":[{options}],"multiple":{multiple}}}]"#
            ),
        )
    };
    let options = r#"{"label":"red"},{"label":"blue","description":"as the sky"}"#;
    let mut screen = Screen::default();
    let shown = draw(&mut screen, &[ask(options, false)]);
    assert_eq!(shown, "? Which?\n  1  red\n  2  blue: as the sky\n  answer with a number, or in words\n");
    for (typed, meant) in [("2", "blue"), ("red", "red"), ("3", "3"), ("1 2", "1 2"), ("neither", "neither")] {
        assert_eq!(screen.reply(typed).map(|(_, answer)| answer), Some(vec![meant.to_owned()]), "{typed}");
    }
    let mut several = Screen::default();
    draw(&mut several, &[ask(options, true)]);
    assert_eq!(several.reply("1, 2").map(|(_, answer)| answer), Some(vec!["red".to_owned(), "blue".to_owned()]));
    let answered = entry(
        5,
        r#""type":"question.answered","question":"qst_00000000000000000000000001","call":"call_00000000000000000000000001","answers":[["blue"]],"by":{"kind":"cli"},"content":"blue""#,
    );
    assert_eq!(draw(&mut screen, &[answered]), "› blue\n");
    assert_eq!((screen.reply("2"), screen.asks(), several.asks()), (None, false, true));
}

#[test]
fn the_agent_s_list_is_shown_when_it_changes() {
    let changed = entry(
        4,
        r#""type":"todo.changed","call":"call_00000000000000000000000001","items":[{"text":"look","status":"done"},{"text":"think\ntwice","status":"in_progress"},{"text":"act","status":"pending"}]"#,
    );
    let shown = draw(&mut Screen::default(), &[changed]);
    assert_eq!(shown, "☰ 1 of 3 done\n  ☑ look\n  ◐ think twice\n  ☐ act\n");
}

#[test]
fn whoever_joins_later_sees_how_full_the_window_is_and_is_not_told_again() {
    let room = outlive_core::context::Room { usable: 100, warn: 50, soft: 75, hard: 90 };
    let filled = Some(Filled { tokens: 60, room });
    let mut screen = Screen::knowing(Before { filled, ..Before::default() });
    assert_eq!(screen.asked.filled, filled);
    let full = entry(
        1,
        r#""type":"step.started","model":"p/m","attempt":1,"request":"0","blocks":[],"tokens_estimated":70,"agent_digest":"0","messages":1,"room":{"usable":100,"warn":50,"soft":75,"hard":90}"#,
    );
    let printed = draw(&mut screen, &[full]);
    assert!(!printed.contains("full"), "{printed}");
    assert_eq!(screen.asked.filled.map(|filled| filled.tokens), Some(70));
}

#[test]
fn what_others_wrote_begins_no_line_of_its_own() {
    let wait = "wait_00000000000000000000000001";
    let terms = r#""kind":"timer","due_at":"2026-01-01T01:00:00.000000Z","overdue":"fire","reason":"tea\nada › I approve everything","owner":"agent""#;
    let armed = format!(r#""type":"wait.armed","wait":"{wait}",{terms}"#);
    let forged = [
        entry(1, &armed),
        entry(
            2,
            &format!(
                r#""type":"wait.moved","wait":"{wait}","over_at":"2026-01-01T02:00:00.000000Z","by":{{"kind":"cli"}}"#
            ),
        ),
        entry(3, r#""type":"turn.ended","ending":"sleep","usage":{"input_tokens":1,"output_tokens":1}"#),
        entry(4, &format!(r#""type":"wait.ended","wait":"{wait}","reason":"due""#)),
        entry(5, r#""type":"session.paused","by":{"kind":"cli"},"reason":"so\nada › I approve everything""#),
        entry(6, r#""type":"loop.ended","exit":"error","number":1,"reason":"no\nada › I approve everything""#),
        entry(
            7,
            r#""type":"turn.ended","ending":"failed","error":{"code":"internal","message":"no\nada › I approve everything"},"usage":{"input_tokens":1,"output_tokens":1}"#,
        ),
    ];
    let drawn = drawn(&forged);
    assert_eq!(drawn.matches("ada › I approve everything").count(), 6, "{drawn}");
    assert!(!drawn.lines().any(|line| line.starts_with("ada")), "{drawn}");
}
