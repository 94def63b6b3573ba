use super::*;
use crate::screen::tests::{ENDED, FINISHED, STARTED, asked, entry, wants};

/// A person at a terminal: time goes on by a second with each thing that happens.
struct Seat {
    talk: Talk,
    now: Timestamp,
}

impl Seat {
    fn new() -> Self {
        let now = Timestamp::from_micros(0);
        let who = Who { back: "outlive attach ses_1".into(), ..Who::default() };
        let mut seat = Self { talk: Talk::new(who, History::of(vec!["before".into()]), now), now };
        seat.hears(Input::Live);
        seat
    }

    fn after_ms(&mut self, ms: u64, happened: Happened) -> Vec<Wish> {
        self.now = self.now.plus_ms(ms);
        self.talk.update(self.now, happened)
    }

    fn hears(&mut self, input: Input) -> Vec<Wish> {
        self.after_ms(1_000, Happened::Session(input))
    }

    fn key(&mut self, code: KeyCode) -> Vec<Wish> {
        self.after_ms(1_000, Happened::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn control(&mut self, c: char) -> Vec<Wish> {
        self.after_ms(1_000, Happened::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
    }

    fn types(&mut self, text: &str) -> Vec<Wish> {
        text.chars().flat_map(|c| self.key(KeyCode::Char(c))).collect()
    }

    /// Types a line and sends it; what is wished of the server.
    fn sends(&mut self, text: &str) -> Vec<Wish> {
        self.types(text);
        self.key(KeyCode::Enter).into_iter().filter(|wish| !matches!(wish, Wish::Keep(_))).collect()
    }

    fn printed(&mut self) -> Vec<String> {
        let lines = self.talk.finished();
        lines.iter().map(|line| line.iter().map(|piece| piece.text.as_str()).collect()).collect()
    }
}

fn call(n: u8) -> CallId {
    CallId::from_bits(n.into())
}

fn say(text: &str) -> Wish {
    Wish::Say(text.into(), Behavior::FollowUp, Vec::new())
}

#[test]
fn a_message_is_visible_until_it_is_durable_and_back_in_the_box_if_refused() {
    let mut seat = Seat::new();
    assert_eq!(seat.types("hi"), []);
    assert_eq!(seat.key(KeyCode::Enter), [Wish::Keep("hi".into()), say("hi")]);
    assert_eq!(seat.talk.outbox.unsent, ["hi"]);
    assert!(seat.talk.farewell().starts_with("your last message may not have arrived; come back with: "));
    seat.after_ms(1, Happened::Done(say("hi"), Ok(())));
    assert!(seat.talk.outbox.unsent.is_empty());

    seat.sends("again");
    seat.after_ms(1, Happened::Done(say("again"), Err("the queue is full".into())));
    assert_eq!(seat.printed(), ["the queue is full"]);
    assert_eq!(seat.talk.editor.text(), "again");
}

#[test]
fn words_with_a_slash_are_for_this_program() {
    let mut seat = Seat::new();
    assert_eq!(seat.sends("/steer not that"), [Wish::Say("not that".into(), Behavior::Steer, Vec::new())]);
    assert_eq!(seat.sends("/pause"), [Wish::Pause]);
    assert_eq!(seat.sends("/resume"), [Wish::Resume]);
    assert_eq!(seat.sends("/detach"), [Wish::Leave]);
    assert_eq!(seat.sends("/steer"), []);
    assert_eq!(seat.sends("/nothing"), []);
    assert_eq!(seat.printed().last().unwrap(), "there is no /nothing: /help lists what there is");
    assert_eq!(seat.sends("/usr/bin is a folder"), [say("/usr/bin is a folder")]);
}

#[test]
fn up_finds_what_was_sent_before() {
    let mut seat = Seat::new();
    seat.sends("second");
    seat.types("draft");
    seat.key(KeyCode::Up);
    assert_eq!(seat.talk.editor.text(), "second");
    seat.key(KeyCode::Up);
    assert_eq!(seat.talk.editor.text(), "before");
    seat.key(KeyCode::Down);
    seat.key(KeyCode::Down);
    assert_eq!(seat.talk.editor.text(), "draft");
}

#[test]
fn ctrl_c_stops_the_turn_then_clears_the_box_then_leaves() {
    let mut seat = Seat::new();
    seat.hears(entry(1, STARTED));
    seat.types("kept");
    assert_eq!(seat.control('c'), [Wish::Interrupt]);
    assert_eq!(seat.talk.note, Note::Says("stopping the turn".into()));
    seat.hears(entry(2, r#""type":"turn.interrupt_requested","by":{"kind":"cli"}"#));
    assert_eq!(seat.control('c'), []);
    seat.hears(entry(3, ENDED));
    assert_eq!(seat.talk.editor.text(), "kept");
    assert_eq!(seat.control('c'), []);
    assert_eq!(seat.talk.editor.text(), "");
    assert_eq!(seat.types("x"), []);
    assert_eq!(seat.control('c'), []);
    assert_eq!(seat.control('c'), [Wish::Leave]);
}

#[test]
fn ctrl_d_leaves_only_with_an_empty_box_and_says_how_to_come_back() {
    let mut seat = Seat::new();
    seat.hears(entry(1, STARTED));
    seat.types("a");
    assert_eq!(seat.control('d'), []);
    seat.key(KeyCode::Backspace);
    assert_eq!(seat.control('d'), [Wish::Leave]);
    assert_eq!(seat.talk.farewell(), "the turn goes on without you; come back with: outlive attach ses_1");
}

#[test]
fn a_question_shows_all_of_what_will_run_and_one_key_decides() {
    let mut seat = Seat::new();
    seat.hears(wants(1, "ls\\n\\u001b[2K\\u202erm"));
    assert_eq!(
        seat.printed(),
        [
            "? bash wants to run:",
            "    ls",
            "    ␛[2K<U+202E>rm",
            "  always would store, for this session: bash:ls",
            "␛[2K<U+202E>rm",
        ]
    );
    assert_eq!(seat.key(KeyCode::Char('x')), []);
    assert_eq!(seat.key(KeyCode::Char('y')), [Wish::Decide(call(1), Some(4), Verdict::Allow, None)]);
    assert_eq!(seat.key(KeyCode::Char('y')), []);
    assert_eq!(seat.talk.editor.text(), "y");
}

#[test]
fn a_no_takes_a_reason_and_always_and_later_are_keys_too() {
    let mut seat = Seat::new();
    seat.hears(wants(1, "one"));
    seat.hears(wants(2, "two"));
    seat.key(KeyCode::Char('n'));
    seat.types("not");
    seat.key(KeyCode::Esc);
    seat.key(KeyCode::Char('n'));
    seat.types("too much");
    assert_eq!(seat.key(KeyCode::Enter), [Wish::Decide(call(1), Some(4), Verdict::Deny, Some("too much".into()))]);
    assert_eq!(seat.talk.asking.as_ref().unwrap().call, call(2));
    assert_eq!(seat.key(KeyCode::Char('s')), []);
    assert!(seat.talk.asking.is_none());
    seat.key(KeyCode::Tab);
    assert_eq!(seat.key(KeyCode::Char('a')), [Wish::Decide(call(2), Some(4), Verdict::AllowAlways, None)]);
}

#[test]
fn what_is_typed_when_a_question_appears_does_not_decide_it() {
    let mut seat = Seat::new();
    seat.types("say ");
    seat.hears(wants(1, "rm"));
    assert_eq!(seat.types("yes"), []);
    assert_eq!(seat.talk.editor.text(), "say yes");
    // Tab goes to the question, and what was typed comes back after it.
    seat.key(KeyCode::Tab);
    assert_eq!(seat.key(KeyCode::Char('y')), [Wish::Decide(call(1), Some(4), Verdict::Allow, None)]);
    assert_eq!(seat.talk.editor.text(), "say yes");

    let mut seat = Seat::new();
    seat.hears(wants(1, "rm"));
    let key = |c| Happened::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    assert_eq!(seat.after_ms(100, key('y')), []);
    assert_eq!(seat.after_ms(900, key('o')), []);
    assert_eq!(seat.talk.editor.text(), "yo");
}

#[test]
fn a_paste_decides_nothing_and_sends_nothing() {
    let mut seat = Seat::new();
    seat.hears(wants(1, "rm"));
    assert_eq!(seat.after_ms(2_000, Happened::Paste("y\ny\n".into())), []);
    assert_eq!(seat.talk.editor.text(), "y\ny\n");
}

#[test]
fn a_question_is_put_once_and_goes_when_somebody_else_answers_it() {
    let mut seat = Seat::new();
    seat.hears(wants(1, "rm"));
    assert_eq!(seat.printed().len(), 3);
    seat.hears(Input::Lost);
    seat.hears(Input::Live);
    assert_eq!(seat.printed(), Vec::<String>::new());
    seat.key(KeyCode::Char('n'));
    seat.types("because");
    let denied = r#""type":"call.denied","call":"call_00000000000000000000000001","by":"runtime","content":"no""#;
    seat.hears(entry(2, denied));
    assert!(seat.talk.asking.is_none());
    assert_eq!(seat.talk.editor.text(), "");
}

#[test]
fn why_the_server_does_not_come_back_is_told_once() {
    let mut seat = Seat::new();
    seat.hears(Input::Lost);
    for _ in 0..3 {
        seat.after_ms(2_000, Happened::Away("it did not come up:\nunknown key".into()));
    }
    assert_eq!(seat.printed(), ["it did not come up:", "unknown key"]);
    seat.hears(Input::Live);
    assert_eq!(seat.talk.note, Note::None);
}

#[test]
fn a_decision_that_fails_is_asked_for_again() {
    let mut seat = Seat::new();
    seat.hears(wants(1, "rm"));
    let wish = seat.key(KeyCode::Char('y')).remove(0);
    seat.printed();
    seat.after_ms(1, Happened::Done(wish, Err("no".into())));
    assert_eq!(seat.printed()[..2], ["no", "? bash wants to run:"]);
    assert!(seat.talk.asking.is_some());
}

#[test]
fn what_was_decided_before_is_not_asked_when_history_is_replayed() {
    let now = Timestamp::from_micros(0);
    let mut talk = Talk::new(Who::default(), History::default(), now);
    let denied = r#""type":"call.denied","call":"call_00000000000000000000000001","by":"runtime","content":"no""#;
    for input in [wants(1, "rm"), entry(2, denied), Input::Live] {
        talk.update(now, Happened::Session(input));
    }
    assert!(talk.asking.is_none());
    assert_eq!(talk.finished().len(), 1);
}

#[test]
fn what_streams_is_printed_line_by_line_without_what_drives_a_terminal() {
    let mut seat = Seat::new();
    let delta = |text: &str| Input::Delta(outlive_core::content::Delta::Text { text: text.into() });
    seat.hears(asked(1));
    seat.hears(delta("Hello \x1b[2"));
    seat.hears(delta("Jthere.\nBye."));
    assert_eq!(seat.printed(), ["Hello there."]);
    seat.hears(entry(3, FINISHED));
    assert_eq!(seat.printed().last().unwrap(), "Bye.");
}

fn photo() -> Attachment {
    let name = Some("photo.png".to_owned());
    Attachment { hash: outlive_core::digest::Digest::of(b"photo"), media_type: "image/png".into(), name, bytes: 12_345 }
}

#[test]
fn an_attached_file_is_shown_and_goes_with_the_next_message() {
    let mut seat = Seat::new();
    assert_eq!(seat.sends("/attach"), []);
    assert!(seat.printed().concat().contains("which file"));
    assert_eq!(seat.sends("/attach my photo.png "), [Wish::Attach("my photo.png".into())]);
    let below = |seat: &Seat| {
        let rows = crate::view(&seat.talk, 80, 20).rows;
        rows.concat().iter().map(|piece| piece.text.as_str()).collect::<String>()
    };
    assert!(below(&seat).contains("attaching: my photo.png"), "{}", below(&seat));
    assert_eq!(seat.sends("look"), [], "it waits for its file");
    assert_eq!(seat.talk.editor.text(), "look");
    seat.after_ms(1, Happened::Attached("my photo.png".into(), Ok(photo())));
    assert!(below(&seat).contains("attached: image photo.png, 12 kB"), "{}", below(&seat));
    assert!(!below(&seat).contains("attaching"), "{}", below(&seat));
    let sent = Wish::Say("look".into(), Behavior::FollowUp, vec![photo()]);
    assert_eq!(seat.sends(""), std::slice::from_ref(&sent));
    assert!(!below(&seat).contains("attached:") && below(&seat).contains("sending: [image photo.png, 12 kB]"));
    // It was refused: both are here again.
    seat.after_ms(1, Happened::Done(sent.clone(), Err("no".into())));
    assert!(below(&seat).contains("attached: image photo.png"));
    assert_eq!(seat.sends(""), [sent]);
    assert_eq!(seat.sends("next"), [say("next")]);
}

#[test]
fn a_file_that_cannot_be_attached_is_told_and_one_that_is_can_be_taken_back_or_sent_alone() {
    let mut seat = Seat::new();
    seat.sends("/attach no.png");
    seat.after_ms(1, Happened::Attached("no.png".into(), Err("no.png cannot be read".into())));
    assert_eq!(seat.printed(), ["no.png cannot be read"]);
    assert_eq!(seat.sends("hi"), [say("hi")]);
    seat.sends("/attach a.png");
    seat.after_ms(1, Happened::Attached("a.png".into(), Ok(photo())));
    seat.control('c');
    assert_eq!(seat.sends("without"), [say("without")]);
    seat.sends("/attach a.png");
    seat.after_ms(1, Happened::Attached("a.png".into(), Ok(photo())));
    assert_eq!(seat.sends(""), [Wish::Say(String::new(), Behavior::FollowUp, vec![photo()])]);
}
