use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use outlive_core::time::Timestamp;

use super::*;
use crate::screen::tests::{FINISHED, STARTED, asked, entry, wants};
use crate::{Happened, History, Input, Who};

const START: i64 = 1_767_225_600_000_000;

fn talk(inputs: &[Input], keys: &str) -> Talk {
    let who = Who { agent: "default".into(), model: "p/m".into(), ..Who::default() };
    let now = Timestamp::from_micros(START + 12_500_000);
    let mut talk = Talk::new(who, History::default(), now);
    for input in inputs {
        talk.update(now, Happened::Session(input.clone()));
    }
    for c in keys.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        let modifiers = if c == '\n' { KeyModifiers::ALT } else { KeyModifiers::NONE };
        talk.update(now, Happened::Key(KeyEvent::new(code, modifiers)));
    }
    talk
}

fn rows(talk: &Talk, width: usize, height: usize) -> Vec<String> {
    let row = |row: &Vec<Piece>| row.iter().map(|piece| piece.text.as_str()).collect::<String>();
    view(talk, width, height).rows.iter().map(row).collect()
}

fn text(text: &str) -> Input {
    Input::Delta(outlive_core::content::Delta::Text { text: text.into() })
}

#[test]
fn at_rest_there_is_a_box_and_a_status_line() {
    let talk = talk(&[Input::Live, asked(1), entry(2, FINISHED)], "");
    assert_eq!(
        rows(&talk, 61, 24),
        ["─".repeat(60).as_str(), "› a message; /help", "default · p/m · ↑1.2k ↓34 tokens · idle"]
    );
    assert_eq!(view(&talk, 61, 24).cursor, Some((1, 2)));
}

#[test]
fn the_box_grows_with_its_lines_and_the_cursor_is_in_it() {
    let talk = talk(&[Input::Live], "one\ntwo words with more");
    assert_eq!(rows(&talk, 14, 24)[1..5], ["› one", "  two words w", "  ith more", "idle"].map(String::from));
    assert_eq!(view(&talk, 14, 24).cursor, Some((3, 10)));
}

#[test]
fn where_it_is_narrow_what_changes_stays() {
    let talk = talk(&[Input::Live, entry(1, STARTED)], "");
    let status = |width| rows(&talk, width, 24).pop().unwrap();
    assert_eq!(status(45), "default · p/m · ↑0 ↓0 tokens · working 12 s");
    assert_eq!(status(40), "default · ↑0 ↓0 tokens · working 12 s");
    assert_eq!(status(30), "↑0 ↓0 tokens · working 12 s");
    assert_eq!(status(14), "working 12 s");
}

#[test]
fn the_line_that_streams_is_shown_as_it_will_be() {
    let talk = talk(&[Input::Live, entry(1, STARTED), asked(1), text("done\nso **far** it")], "");
    assert_eq!(rows(&talk, 61, 24)[0], "so far it");
    assert_eq!(rows(&talk, 61, 24)[3], "default · p/m · ↑0 ↓0 tokens · working 12 s");
}

#[test]
fn what_was_missed_is_previewed() {
    let talk = talk(&[entry(1, STARTED), asked(1), Input::Live, text("1\n2\n3\n4\n")], "");
    assert_eq!(rows(&talk, 61, 24)[..4], ["  │ 2", "  │ 3", "  │ 4", "─".repeat(60).as_str()].map(String::from));
}

#[test]
fn a_question_takes_the_box_once_it_was_seen() {
    let mut talk = talk(&[Input::Live, entry(1, STARTED), wants(1, "rm")], "");
    assert_eq!(rows(&talk, 80, 24)[1], "a question: see above");
    talk.update(Timestamp::from_micros(START + 20_000_000), Happened::Tick);
    assert_eq!(rows(&talk, 80, 24)[1], "y yes, once · a always, here · g always, this agent · n no, and why · s later");
    assert_eq!(rows(&talk, 80, 24)[2], "default · p/m · ↑0 ↓0 tokens · asks");
    assert_eq!(view(&talk, 80, 24).cursor, None);
}

#[test]
fn follow_ups_and_what_is_on_its_way_are_shown() {
    let queued = |n: u8| {
        entry(
            1,
            &format!(
                r#""type":"input.queued","input":"inp_0000000000000000000000000{n}","content":"q{n}","origin":{{"kind":"cli"}},"starts":"trn_00000000000000000000000002""#
            ),
        )
    };
    let mut talk = talk(&[Input::Live, entry(1, STARTED), queued(1), queued(2), queued(3)], "x");
    talk.update(Timestamp::from_micros(START), Happened::Key(KeyCode::Enter.into()));
    assert_eq!(
        rows(&talk, 80, 24)[..4],
        ["  next: q1", "  next: q2", "  next: q3", "  … and 1 more"].map(String::from)
    );
    assert!(rows(&talk, 80, 24).last().unwrap().ends_with(" · 3 queued"));
}

#[test]
fn a_server_that_is_away_is_said() {
    let mut talk = talk(&[Input::Live, Input::Lost], "");
    let now = Timestamp::from_micros(START + 15_500_000);
    talk.update(now, Happened::Away("the server did not come up".into()));
    let rows = rows(&talk, 80, 24);
    assert_eq!(rows[2..], ["trying again; Ctrl-D leaves", "default · p/m · ↑0 ↓0 tokens · reconnecting… 3 s"]);
}

#[test]
fn numbers_of_tokens_are_short() {
    let shown = [0, 999, 1_000, 12_345, 123_456, 1_234_567].map(tokens);
    assert_eq!(shown, ["0", "999", "1.0k", "12.3k", "123k", "1.2M"]);
}

proptest::proptest! {
    #[test]
    fn no_frame_is_larger_than_the_terminal(keys in "([a-z字👩\n]| )*", streamed in "([a-z字]| |\t)*", width in 9_usize..50, height in 1_usize..12) {
        let talk = talk(&[Input::Live, entry(1, STARTED), asked(1), text(&streamed)], &keys);
        let frame = view(&talk, width, height);
        proptest::prop_assert!(frame.rows.len() <= height);
        for row in &frame.rows {
            let wide: usize = row.iter().map(|piece| columns(&piece.text)).sum();
            proptest::prop_assert!(wide < width, "{row:?}");
        }
        if let Some((row, column)) = frame.cursor {
            proptest::prop_assert!(row < frame.rows.len() && column < width);
        }
    }
}
